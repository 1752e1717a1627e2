"""What a Kraken key may do.

Law: what is not known to be forbidden counts as allowed where withdrawing is concerned, and as forbidden
where trading is.  ``GetApiKeyInfo`` says it outright; where it does not answer, requests without effect show
it: an order that is only validated, and the list of ways to withdraw.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from actors.ports import AuthenticationFailed, ExchangeError, OrderRefused, Permissions, Unavailable
from grinder.connectors.kraken.transport import KrakenTransport

PERMISSION_DENIED = "EGeneral:Permission denied"

_TRADING = ("modify-trades", "modify-orders", "create-modify-orders", "orders-modify")


async def permissions_of(transport: KrakenTransport) -> Permissions:
    """What the key may do, and in `text` how it was found.

    Raises:
        ExchangeError: nothing could be found out.
    """
    try:
        told = _told(await transport.private("GetApiKeyInfo"))
    except (Unavailable, AuthenticationFailed) as error:
        if isinstance(error, AuthenticationFailed) and error.code != PERMISSION_DENIED:
            raise
        told = None
    return told if told is not None else await _tried(transport)


def _told(answer: dict[str, Any]) -> Permissions | None:
    names = sorted(set(_names(answer.get("permissions"))))
    if not names:
        return None
    return Permissions(
        trade=any(_trades(name) for name in names),
        withdraw=any("withdraw" in name for name in names),
        text="Kraken says: " + ", ".join(names),
    )


def _names(value: object) -> Iterator[str]:
    """Names of what is granted: a list of names, or an object of names with truth values, nested or not."""
    if isinstance(value, str):
        yield value.strip().lower().replace("_", "-").replace(" ", "-")
    elif isinstance(value, list):
        for one in value:
            yield from _names(one)
    elif isinstance(value, dict):
        for name, granted in value.items():
            yield from _names(name) if granted is True else _names(granted)


def _trades(name: str) -> bool:
    return name in _TRADING or ("modify" in name and ("trade" in name or "order" in name))


async def _tried(transport: KrakenTransport) -> Permissions:
    return Permissions(
        trade=await _may_trade(transport),
        withdraw=await _may_withdraw(transport),
        text="Kraken does not say; found by requests without effect",
    )


async def _may_trade(transport: KrakenTransport) -> bool:
    """Whether an order that is only validated gets as far as being judged."""
    asked = {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "1", "volume": "1"}
    try:
        await transport.private("AddOrder", **asked, validate="true")
    except OrderRefused:
        return True  # judged and found wanting: the key was not what it failed on
    except AuthenticationFailed as error:
        if error.code == PERMISSION_DENIED:
            return False
        raise
    return True


async def _may_withdraw(transport: KrakenTransport) -> bool:
    """Whether the ways to withdraw are shown; what is not refused for the key counts as allowed."""
    try:
        await transport.private("WithdrawMethods")
    except AuthenticationFailed:
        return False
    except ExchangeError:
        return True
    return True
