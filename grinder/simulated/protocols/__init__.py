"""Which protocols there are, and where each one is.

Law: a protocol's module is imported when somebody asks for that protocol, not before.
"""

from __future__ import annotations

from importlib import import_module

from grinder.simulated.server import WireServer

PROTOCOLS: dict[str, tuple[str, str]] = {
    "binance": ("grinder.simulated.protocols.binance", "BinanceSpotServer"),
    "binance-usdm": ("grinder.simulated.protocols.binance_usdm", "BinanceUsdmServer"),
    "bybit": ("grinder.simulated.protocols.bybit", "BybitServer"),
    "okx": ("grinder.simulated.protocols.okx", "OkxServer"),
    "kraken": ("grinder.simulated.protocols.kraken", "KrakenServer"),
}
"""Name on the command line -> (module, class)."""

PERPETUALS = frozenset({"binance-usdm"})
"""Protocols that list perpetual contracts unless told otherwise; the others list spot."""


def protocol(name: str) -> type[WireServer]:
    """The server class of a protocol.

    Raises:
        KeyError: there is none of this name.
        ModuleNotFoundError: it is named but not there.
    """
    module, server = PROTOCOLS[name]
    found: type[WireServer] = getattr(import_module(module), server)
    return found
