"""Kraken's names of assets and pairs.

Law: a name is translated by a table or kept; it is never guessed from its length.  Kraken says XBT for BTC
and XDG for DOGE, puts an X before its oldest coins and a Z before its oldest currencies, and calls one pair
``XBTUSD`` in orders, ``XXBTZUSD`` in the list of pairs and in trades, ``XBT/USD`` on the old WebSocket and
``BTC/USD`` on the new one.
"""

from __future__ import annotations

from collections.abc import Iterable

_OWN = {"BTC": "XBT", "DOGE": "XDG"}
"""Common name to Kraken's own."""

_COMMON = {own: common for common, own in _OWN.items()}

_OLD_COINS = ("XBT", "XDG", "ETC", "ETH", "LTC", "MLN", "REP", "XLM", "XMR", "XRP", "ZEC")
_OLD_MONEY = ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")

_PREFIXED = {"X" + coin: coin for coin in _OLD_COINS} | {"Z" + money: money for money in _OLD_MONEY}


def asset_name(native: str) -> str:
    """The common name of an asset: ``XXBT``, ``XBT`` and ``BTC`` are BTC.

    A suffix stays (``XBT.F`` is ``BTC.F``): what is staked or lent is no part of what an order can use.
    """
    plain, dot, suffix = native.partition(".")
    plain = _PREFIXED.get(plain, plain)
    return _COMMON.get(plain, plain) + dot + suffix


def own_name(asset: str) -> str:
    """Kraken's own short name of an asset: XBT for BTC."""
    return _OWN.get(asset, asset)


def long_name(asset: str) -> str:
    """The name under which balances and trades know an asset: ``XXBT``, ``ZUSD``; new ones have no prefix."""
    own = own_name(asset)
    if own in _OLD_COINS:
        return "X" + own
    return "Z" + own if own in _OLD_MONEY else own


def order_pair(base: str, quote: str) -> str:
    """A pair as orders name it (``XBTUSDT``)."""
    return own_name(base) + own_name(quote)


def stream_pair(base: str, quote: str) -> str:
    """A pair as WebSocket v2 names it (``BTC/USDT``)."""
    return f"{base}/{quote}"


def pair_names(base: str, quote: str) -> frozenset[str]:
    """Every name under which Kraken may speak of a pair."""
    bases, quotes = _variants(base), _variants(quote)
    return frozenset(b + between + q for b in bases for q in quotes for between in ("", "/"))


def _variants(asset: str) -> tuple[str, ...]:
    return (asset, own_name(asset), long_name(asset))


def symbols_by_name(pairs: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """(symbol, base, quote) of each listed instrument, turned into: any of Kraken's names to our symbol."""
    return {name: symbol for symbol, base, quote in pairs for name in pair_names(base, quote)}


def client_id(text: object) -> str:
    """A `cl_ord_id` as we derived it: a UUID comes back with hyphens or without, and means the same order."""
    if not isinstance(text, str):
        return ""
    plain = text.replace("-", "").lower()
    if len(plain) == 32 and all(c in "0123456789abcdef" for c in plain):
        return plain
    return text
