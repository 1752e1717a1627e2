"""What OKX's codes mean for whoever asked.

Law: tables and functions without I/O.  A code says "certainly not done" only where OKX's documents say so; a
code about the state of OKX's own systems leaves the outcome of a write open.
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

RATE_CODES: Mapping[str, float] = {
    "50011": 2.0,  # too many requests: every window of OKX is 2 s long
    "50061": 2.0,  # too many orders of this sub-account
    "50040": 2.0,  # too frequent operations
    "58102": 2.0,
    "60014": 2.0,  # too many requests on a WebSocket
}
"""Code and how long to wait, seconds: OKX sends no Retry-After."""

CLOCK_CODES = frozenset({"50102", "60006"})
"""Our timestamp is more than 30 s away from theirs."""

DUPLICATE = "51016"
"""An order of this client id exists: an earlier request was carried out, so this is no refusal."""

OPEN_CODES = frozenset({"50004", "50013", "50026", "51149", "51054", DUPLICATE})
"""Time-outs and failures inside OKX, and duplicates: what became of an order has to be asked."""

MAINTENANCE_CODES = frozenset({"50001", "50005", "51767", "51774"})

KEY_CODES = frozenset(
    {"50007", "50008", "50009", "50027", "50030", "50035", "50119", "50120", "51009", "51010"}
    | {str(code) for code in range(50100, 50115) if code != 50102}
    | {str(code) for code in range(60001, 60012) if code != 60006}
    | {"60022", "60024", "60026", "60031", "60032"}
)
"""Key, signature, passphrase, address, permission, or an account that may not trade."""

UNKNOWN_ORDER = "51603"
"""A query for an order OKX does not know."""

CANCEL_UNDER_WAY = "51410"
"""A cancel of this order was received before."""

STOPPING_SOON = frozenset({"64008"})
"""A notice: this connection will be closed for an upgrade."""

_RATE_NAMES = frozenset({"RateLimitExceeded", "DDoSProtection"})
_KEY_NAMES = frozenset({"AuthenticationError", "PermissionDenied", "AccountNotEnabled", "AccountSuspended"})
_OPEN_NAMES = frozenset({"NetworkError", "RequestTimeout", "ExchangeNotAvailable"})

BAN_S = 60.0
"""How long to stay away after an answer that shuts us out without saying for how long."""


def from_code(code: str, text: str, *, write: bool, kinds: Mapping[str, type] | None = None) -> ExchangeError:
    """The error a code stands for.

    Args:
        write: whether the request could change anything.
        kinds: the client library's classes by code, for the codes not named here.
    """
    kind = (kinds or {}).get(code)
    names = frozenset(one.__name__ for one in kind.__mro__) if isinstance(kind, type) else frozenset()
    if code in RATE_CODES or names & _RATE_NAMES:
        return RateLimited(code, text, RATE_CODES.get(code, 2.0))
    if code in CLOCK_CODES or "InvalidNonce" in names:
        return ClockSkewed(code, text)
    if code in MAINTENANCE_CODES or "OnMaintenance" in names:
        return Unavailable(code, text)
    if code in OPEN_CODES:
        return still_open(code, text, write=write)
    if code in KEY_CODES or names & _KEY_NAMES:
        return AuthenticationFailed(code, text)
    if names & _OPEN_NAMES:
        return still_open(code, text, write=write)
    return OrderRefused(code, text) if write else Unavailable(code, text)


def still_open(code: str, text: str, *, write: bool) -> ExchangeError:
    """A failure that says nothing: the outcome of a write is unknown, a reading request just failed."""
    return OutcomeUnknown(code, text) if write else Unavailable(code, text)


def from_status(status: int, retry_after: str, *, write: bool) -> ExchangeError | None:
    """What an HTTP status alone says; None for one whose body has to be read.

    Args:
        retry_after: the header of that name, or empty.
    """
    wait = min(float(retry_after), 86_400.0) if retry_after.isdecimal() else 0.0
    if status == 429:
        return RateLimited("429", "too many requests", wait or 2.0)
    if status in (403, 418):
        return RateLimited(str(status), "shut out", wait or BAN_S, banned=True)
    if status >= 500:
        return still_open(str(status), "server error", write=write)
    return None
