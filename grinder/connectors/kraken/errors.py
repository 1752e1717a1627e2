"""What Kraken's error codes mean for whoever asked.

Law: a code that is not known to mean "not done" leaves a writing request open (`OutcomeUnknown`) and makes a
reading one `Unavailable`.  Kraken answers with a list of ``E<area>:<text>``; of several the one that promises
least decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    OrderRefused,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)

UNKNOWN_ORDER = "EOrder:Unknown order"
INVALID_NONCE = "EAPI:Invalid nonce"

PAIR_RETRY_S = 4.0
"""The slowest common decay (2.34/s) works off a cancel's dearest penalty (8) in this time."""

CALLS_RETRY_S = 5.0
"""The counter of calls decays by 0.33 to 1 a second."""

LOCKOUT_S = 900.0
"""Kraken's temporary lockout lasts 15 minutes."""

_AUTHENTICATION = (
    "EAPI:Invalid key",
    "EAPI:Invalid signature",
    "EGeneral:Permission denied",
    "ESession:Invalid session",
    "EAuth:",
    "ETrade:User Locked",
    "ETrade:Locked",
)

_NOT_DONE = (
    "EOrder:",
    "ETrade:",
    "EQuery:",
    "EAccount:",  # a pair that is closed to this account
    "EFunding:",
    "EAPI:Invalid arguments",
    "EAPI:Bad request",
    "EGeneral:Invalid arguments",
    "EGeneral:Unknown method",
    "EService:Market in ",  # cancel_only, post_only, limit_only
    "EService:Deadline elapsed",
)

_MEANING = {
    "EGeneral:Invalid arguments:volume": "no quantity in steps of the lot size",
    "EGeneral:Invalid arguments:price": "no price in steps of the tick",
    "EOrder:Invalid price": "no price in steps of the tick",
    "EOrder:Post only order": "it would have taken at once",
    "EOrder:Unknown order": "ended, or never there",
}
"""What codes say in other words than whoever reads them would look for."""

_TAKEN = re.compile(r"in use|exists|duplicate|unique", re.IGNORECASE)
"""How a repeated client order id may be worded; the wording is not documented."""

_THROTTLED = {
    "EOrder:Rate limit exceeded": PAIR_RETRY_S,
    "EAPI:Rate limit exceeded": CALLS_RETRY_S,
    "EGeneral:Too many requests": CALLS_RETRY_S,
    "EService:Throttled": CALLS_RETRY_S,
    "EService: Throttled": CALLS_RETRY_S,
}

_WORST_FIRST = (OutcomeUnknown, Unavailable, AuthenticationFailed, ClockSkewed, RateLimited, OrderRefused)


def from_codes(codes: Sequence[str], *, writes: bool) -> ExchangeError:
    """The error a list of codes stands for.

    Args:
        writes: the request was to change something.
    """
    found = [_from_code(code, writes=writes) for code in codes]
    return min(found, key=lambda error: _WORST_FIRST.index(type(error)))


def left_open(code: str, text: str, *, writes: bool) -> ExchangeError:
    """The error of a request that got no answer, or none that can be read."""
    return OutcomeUnknown(code, text) if writes else Unavailable(code, text)


def from_http(status: int, retry_after: str, *, writes: bool) -> ExchangeError:
    """The error an HTTP status other than 200 stands for, where the body holds no code."""
    code = f"http_{status}"
    if status in (418, 429):
        wait = float(retry_after) if retry_after.isdigit() else CALLS_RETRY_S
        return RateLimited(code, "too many requests", wait, banned=status == 418)
    if status == 401:
        return AuthenticationFailed(code, "not authorised")
    if status == 403:
        return RateLimited(code, "this address is shut out", LOCKOUT_S, banned=True)
    return left_open(code, "", writes=writes)


def _from_code(code: str, *, writes: bool) -> ExchangeError:
    if code == INVALID_NONCE:
        return ClockSkewed(code, "another program uses this key, or this machine's clock went back")
    for throttled, wait in _THROTTLED.items():
        if code.startswith(throttled):
            return RateLimited(code, "", wait)
    if code.startswith("EGeneral:Temporary lockout"):
        return RateLimited(code, "locked out after too many failures", LOCKOUT_S, banned=True)
    if writes and "cl_ord_id" in code and _TAKEN.search(code):
        return OutcomeUnknown(code, "an order of this id is open: an earlier request was carried out")
    if code.startswith(_AUTHENTICATION):
        return AuthenticationFailed(code)
    if code.startswith(_NOT_DONE):
        meaning = next((words for begin, words in _MEANING.items() if code.startswith(begin)), "")
        return OrderRefused(code, meaning) if writes else Unavailable(code)
    return left_open(code, "", writes=writes)
