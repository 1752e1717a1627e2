"""Times as people write them: ISO 8601, UTC where nothing else is said.

Law: exact to the microsecond, in whole nanoseconds; no float on the way.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from grinder.errors import UserError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SPAN = re.compile(r"(\d+)(ms|s|m|h|d)?")
_UNIT_NS = {"ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}


def instant_ns(text: str) -> int:
    """A time in ns since 1970.

    Raises:
        UserError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            "usage.time", "this is no time", value=text, fix="write it as 2023-11-15T12:00 (UTC)"
        ) from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return (found - _EPOCH) // timedelta(microseconds=1) * 1_000


def span_ns(text: str) -> int:
    """A span such as ``60s``, ``5m`` or ``500ms`` in ns; plain numbers are seconds.

    Raises:
        UserError: it is none.
    """
    found = _SPAN.fullmatch(text)
    if found is None:
        raise UserError("usage.span", "this is no span of time", value=text, fix="write 60s, 5m, 2h or 1d")
    return int(found[1]) * _UNIT_NS[found[2] or "s"]


def time_text(ns: int) -> str:
    """A time for people, to the millisecond."""
    moment = _EPOCH + timedelta(microseconds=ns // 1_000)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}"
