"""What Bybit's codes mean for whoever asked.

Law: tables and functions without I/O.  "Certainly not done" is said only of codes that are known to mean it;
a code about the state of Bybit's own systems, or one nobody knows, leaves the outcome of a write open.
"""

from __future__ import annotations

from collections.abc import Mapping

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    OrderRefused,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)

BAN_S = 600.0
"""How long an address is shut out after too many requests (HTTP 403)."""

RETRY_S = 1.0
"""After a refusal for too many requests that says no time."""

CLOCK = frozenset({"10002", "-1021"})

RATE = frozenset({"10006", "10018", "10429", "170005", "170222", "20003"})

AUTHENTICATION = frozenset(
    {
        *("10003", "10004", "10005", "10007", "10008", "10009", "10010", "10020", "10024", "10027"),
        *("10028", "10029", "33004", "100028", "131004", "-2015"),
    }
)

OPEN = frozenset(
    {
        "10000",  # server timeout
        "10014",  # the same request was seen before: that one may have been done
        "10016",  # internal error, or the service restarts
        "170001",
        "170007",  # time-out waiting for the backend
        "170032",
        "170146",  # creation timed out
        "170147",  # cancel timed out
        "170149",
        "148019",
    }
)

DUPLICATE = frozenset({"110072", "170141", "10014"})
"""An order with this client id exists already: which one, only a query tells."""

REFUSED = frozenset({"110074", "170810"})
"""Certain refusals the client library does not list: a closed contract, too many open orders."""

_REFUSING_KINDS = frozenset(
    {
        *("BadRequest", "BadSymbol", "InsufficientFunds", "InvalidOrder", "ManualInteractionNeeded"),
        *("MarginModeAlreadySet", "NoChange", "NotSupported", "OrderImmediatelyFillable", "OrderNotFillable"),
        *("OrderNotFound", "PermissionDenied", "AccountSuspended", "ArgumentsRequired", "DuplicateOrderId"),
    }
)
"""Names of the client library's error classes that mean "certainly not done"."""


def still_open(code: str, text: str, *, write: bool) -> ExchangeError:
    """The error for an answer that never came or cannot be read."""
    return OutcomeUnknown(code, text) if write else Unavailable(code, text)


def from_status(status: int, body: str, *, write: bool) -> ExchangeError | None:
    """The error an HTTP status stands for by itself; None where the body has to tell.

    A 403 is the ban of an address: 600 requests in 5 s.
    """
    if status == 403:
        return RateLimited("403", body, BAN_S, banned=True)
    if status == 429:
        return RateLimited("429", body, RETRY_S)
    if status == 401:
        return AuthenticationFailed("401", body)
    if status >= 500 or status == 408:
        return still_open(str(status), body, write=write)
    return None


def from_code(
    code: str, text: str, *, write: bool, kinds: Mapping[str, type], retry_after_s: float = RETRY_S
) -> ExchangeError:
    """The error a code stands for.

    Args:
        kinds: the client library's error classes by code.
        retry_after_s: what the headers say of the rate limit.
    """
    if code in CLOCK:
        return ClockSkewed(code, text)
    if code in RATE:
        return RateLimited(code, text, retry_after_s)
    if code in AUTHENTICATION:
        return AuthenticationFailed(code, text)
    if not write:
        return Unavailable(code, text)
    if code in OPEN or code in DUPLICATE:
        return OutcomeUnknown(code, text)
    kind = kinds.get(code)
    if code in REFUSED:
        return OrderRefused(code, text)
    if kind is not None and kind.__name__ in _REFUSING_KINDS:
        return OrderRefused(code, text)
    return OutcomeUnknown(code, text)
