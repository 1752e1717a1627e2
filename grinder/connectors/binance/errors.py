"""What Binance answers when it does not do as asked: one table of its codes.

Law: a code is either known to mean "certainly not done", or it is `OutcomeUnknown` for a request that writes.
An answer nobody can read is never success and never refusal.  The exchange's own code is kept, because a
caller may have to tell a duplicate client order id from any other refusal.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

import attrs

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    OrderRefused,
    OutcomeUnknown,
    RateLimited,
    Unavailable,
)
from grinder.connectors.converting import Unreadable, read_json

UNKNOWN_CODES = frozenset({-1000, -1001, -1006, -1007})
"""The exchange does not know itself whether it was done."""

RATE_CODES = frozenset({-1003, -1008, -1015, -1034})
"""Too many requests (-1003), orders (-1015) or connections (-1034); the system protects itself (-1008)."""

CLOCK_CODES = frozenset({-1021, -5028})
"""Our timestamp lies outside the window of the gateway (-1021) or of the matching engine (-5028)."""

KEY_CODES = frozenset({-1002, -1022, -1099, -2008, -2014, -2015, -2017, -4087})
"""Key, signature, address or permission."""

CLOSED_CODES = frozenset({-1016, -4200, -4203})
"""The service is shut; nothing was done."""

ABSENT_ORDER = "-2013"
UNKNOWN_ORDER = "-2011"
NOT_TRADED = "-1121"

DUPLICATE_CODES = frozenset({"-4116", "-4111"})
DUPLICATE_TEXT = "Duplicate order sent."
"""Spot refuses a duplicate id with the same code as a lack of funds: only the text tells."""

RETRY_SPENT_S = 10.0
"""How long to wait where the exchange says "too many" without saying for how long."""

RETRY_BANNED_S = 120.0
"""The shortest ban Binance documents."""

BANNED_UNTIL = re.compile(r"banned until (\d{13})")
LONGEST_TEXT = 200


@attrs.frozen
class Answer:
    """What came back over HTTP, before anybody judged it."""

    status: int
    headers: Mapping[str, str]
    body: str


def is_duplicate(error: ExchangeError) -> bool:
    """Whether a refusal says that the client order id is taken: the order may well be there."""
    return error.code in DUPLICATE_CODES or (error.code == "-2010" and DUPLICATE_TEXT in error.text)


def read(answer: Answer, *, writes: bool, now_ms: int) -> Any:
    """The JSON of an answer that is a success.

    Args:
        writes: the request would have changed something.
        now_ms: the exchange's time, for bans given as a moment.

    Raises:
        ExchangeError: it is no success; the class says what is known of the request.
    """
    if answer.status in (418, 429):
        _limited(answer, now_ms)
    try:
        payload = read_json(answer.body)
    except Unreadable as error:
        _unreadable(answer, str(error), writes=writes)
    code = error_code(payload)
    if code is not None:
        raise refusal(code, _text(payload), writes=writes, status=answer.status, retry_s=_retry_after(answer))
    if answer.status >= 400 or not isinstance(payload, (dict, list)):
        _unreadable(answer, answer.body, writes=writes)
    return payload


def error_code(payload: Any) -> int | None:
    """The code of an error, or None for anything else (a success may carry ``"code": 200``)."""
    if not isinstance(payload, dict):
        return None
    try:
        code = int(payload["code"])
    except (KeyError, TypeError, ValueError):
        return None
    return code if code < 0 else None


def item_error(payload: dict[str, Any]) -> ExchangeError | None:
    """The error one item of a batch carries, or None."""
    code = error_code(payload)
    return None if code is None else refusal(code, _text(payload), writes=True)


def refusal(
    code: int, text: str, *, writes: bool, status: int = 400, retry_s: float | None = None
) -> ExchangeError:
    """The error a code stands for.

    Args:
        status: of the HTTP answer; 5xx leaves the outcome open where the code does not settle it.
        retry_s: seconds the exchange asks to wait, if it does.
    """
    word = str(code)
    if code in RATE_CODES:
        return RateLimited(word, text, RETRY_SPENT_S if retry_s is None else retry_s)
    if code in CLOCK_CODES:
        return ClockSkewed(word, text)
    if code in KEY_CODES or status == 401:
        return AuthenticationFailed(word, text)
    if code in CLOSED_CODES:
        return Unavailable(word, text)
    if not writes:
        return Unavailable(word, text)
    if code in UNKNOWN_CODES or status >= 500:
        return OutcomeUnknown(word, text)
    return OrderRefused(word, text)


def no_answer(text: str, *, writes: bool) -> ExchangeError:
    """The error for a request that was not answered at all."""
    return OutcomeUnknown("no_answer", text) if writes else Unavailable("no_answer", text)


def not_understood(text: str, *, writes: bool) -> ExchangeError:
    """The error for an answer that has not the shape it should have."""
    return OutcomeUnknown("unreadable", text) if writes else Unavailable("unreadable", text)


def _limited(answer: Answer, now_ms: int) -> NoReturn:
    """429 asks to slow down, 418 shuts the address out; both say for how long, one way or another."""
    banned = answer.status == 418
    try:
        payload = read_json(answer.body)
    except Unreadable:
        payload = None
    code = error_code(payload)
    text = _text(payload) if code is not None else answer.body[:LONGEST_TEXT]
    wait = _retry_after(answer)
    until = BANNED_UNTIL.search(text)
    if wait is None and until:
        wait = max(0.0, (int(until.group(1)) - now_ms) / 1000)
    if wait is None:
        wait = RETRY_BANNED_S if banned else RETRY_SPENT_S
    raise RateLimited(str(code or answer.status), text, wait, banned=banned)


def _unreadable(answer: Answer, text: str, *, writes: bool) -> NoReturn:
    shown = text[:LONGEST_TEXT]
    if answer.status == 401:
        raise AuthenticationFailed("401", shown)
    if answer.status == 403:  # the firewall in front of the exchange, which speaks no JSON
        raise RateLimited("403", shown, _retry_after(answer) or RETRY_BANNED_S, banned=True)
    word = str(answer.status) if answer.status >= 400 else "unreadable"
    raise OutcomeUnknown(word, shown) if writes else Unavailable(word, shown)


def _retry_after(answer: Answer) -> float | None:
    for name, value in answer.headers.items():
        if name.lower() == "retry-after":
            try:
                return max(0.0, float(value))
            except ValueError:
                return None
    return None


def _text(payload: Any) -> str:
    return str(payload.get("msg", ""))[:LONGEST_TEXT]
