"""The exchanges that can be traded on, by the name the configuration uses.

Law: naming an exchange imports nothing; only `find` imports the one module that is asked for.  To add an
exchange here, add a line to `BUILT_IN`; to add one from a package of your own, declare an entry point of the
group `grinder.connectors`.  Both name a class that keeps `actors.ports.Connector`, in a module with the
constants `PRODUCTION` and `TESTNET`.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Protocol, cast

import attrs

from actors.ports import Capabilities, Connector, Decoder
from grinder.connectors.endpoint import Endpoint
from grinder.errors import ConfigError, EnvironmentFault
from grinder.secrets import Credentials

GROUP = "grinder.connectors"
"""The entry-point group of connectors in other packages."""

BUILT_IN: Mapping[str, str] = {
    "binance": "grinder.connectors.binance.spot:SpotConnector",
    "binance-usdm": "grinder.connectors.binance.usdm:UsdmConnector",
    "bybit": "grinder.connectors.bybit.connector:BybitConnector",
    "bybit-linear": "grinder.connectors.bybit.connector:BybitLinearConnector",
    "kraken": "grinder.connectors.kraken.connector:KrakenConnector",
    "okx": "grinder.connectors.okx.connector:OkxConnector",
    "okx-swap": "grinder.connectors.okx.swap:OkxSwapConnector",
}
"""Name of the exchange -> ``module:class``."""

IN_PROCESS: Mapping[str, str] = {"simulated": "grinder.simulated.frames:FrameDecoder"}
"""Exchanges that have no wire and cannot be traded on by name, only their tapes read: name of the exchange ->
``module:class`` of its decoder, which is made without arguments and needs no instruments."""


class ConnectorClass(Protocol):
    """What a registered name stands for: called, it makes a connector."""

    name: str
    capabilities: Capabilities

    def __call__(
        self, endpoint: Endpoint, credentials: Credentials | None, clock: Callable[[], int]
    ) -> Connector:
        """A connector to the exchange at `endpoint`; without credentials for market data alone."""


@attrs.frozen(kw_only=True)
class Registered:
    """An exchange that was found.

    Attributes:
        name: as in the configuration.
        make: the connector's class.
        production: the exchange's own addresses; None for an exchange that is only ever told its address.
        testnet: those of its test network; None where it has none.
    """

    name: str
    make: ConnectorClass
    production: Endpoint | None
    testnet: Endpoint | None


def names() -> tuple[str, ...]:
    """Every name that can be found, the built-in ones first."""
    return (*BUILT_IN, *sorted(point.name for point in _points().values() if point.name not in BUILT_IN))


def find(name: str) -> Registered:
    """The exchange of a name.

    Raises:
        ConfigError: there is none; the nearest names are told.
        EnvironmentFault: its package cannot be imported, or is no connector.
    """
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return _load(name, module, attribute, BUILT_IN[name])
    point = _points().get(name)
    if point is None:
        near = difflib.get_close_matches(name.lower(), names(), n=3, cutoff=0.5)
        raise ConfigError(
            "exchange.unknown",
            "no exchange has this name",
            value=name[:80],
            fix=f"write {' or '.join(near)}" if near else f"write one of {', '.join(names())}",
        )
    return _load(name, point.module, point.attr, point.value)


def decoder_of(name: str) -> Decoder | None:
    """A fresh decoder of an exchange in the process; None for an exchange that has a connector."""
    if name not in IN_PROCESS:
        return None
    module, _, attribute = IN_PROCESS[name].partition(":")
    decoder: Decoder = getattr(importlib.import_module(module), attribute)()
    return decoder


def _points() -> dict[str, metadata.EntryPoint]:
    """Entry points by name; of two with one name the first in the order of their values."""
    points = sorted(metadata.entry_points(group=GROUP), key=lambda point: point.value, reverse=True)
    return {point.name: point for point in points}


def _load(name: str, module_name: str, attribute: str, value: str) -> Registered:
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise EnvironmentFault(
            "exchange.not_importable",
            f"the connector of {name!r} cannot be imported: {error}",
            value=value,
            fix="install what it needs (`pip install 'grinder[live]'` for the built-in ones)",
        ) from error
    made = getattr(module, attribute, None)
    if not isinstance(made, type) or not isinstance(getattr(made, "capabilities", None), Capabilities):
        raise EnvironmentFault(
            "exchange.no_connector",
            f"what is registered as {name!r} is no connector class",
            value=value,
            fix="see docs/exchanges.md, and run the contract suite on it",
        )
    return Registered(
        name=name,
        make=cast(ConnectorClass, made),
        production=_endpoint(name, module_name, getattr(module, "PRODUCTION", None)),
        testnet=_endpoint(name, module_name, getattr(module, "TESTNET", None)),
    )


def _endpoint(name: str, module: str, found: object) -> Endpoint | None:
    if found is None or isinstance(found, Endpoint):
        return found
    raise EnvironmentFault(
        "exchange.no_connector",
        f"the addresses of {name!r} are no `Endpoint`",
        value=module,
        fix="PRODUCTION and TESTNET are `grinder.connectors.endpoint.Endpoint`, or None",
    )
