"""What a page may ask for.

Law: a field that is not here is refused.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Name = Annotated[str, msgspec.Meta(max_length=200)]
Position = Annotated[int, msgspec.Meta(ge=0)]


class Asked(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A page: `run` is the name of one, the first where it is empty; `at` the record it is shown at."""

    run: Name = ""
    at: Position | None = None


class AskedList(Asked, forbid_unknown_fields=True, kw_only=True):
    """A list.

    `before` is where the part before this one begins (the `next` of its answer), `around` the record a part
    of the ledger is shown around; `status` is ``working`` or ``ended``, of decisions their action; empty
    for all.
    """

    symbol: Name = ""
    status: Name = ""
    before: Position | None = None
    around: Position | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100


class AskedChart(Asked, forbid_unknown_fields=True, kw_only=True):
    """A part of a chart: times in ns (0: the whole run), and how many candles there is room for."""

    from_ns: Position = 0
    to_ns: Position = 0
    candles: Annotated[int, msgspec.Meta(ge=10, le=2000)] = 240


class AskedCompare(Asked, forbid_unknown_fields=True, kw_only=True):
    """Names of run folders beside the run."""

    a: Name = ""
    b: Name = ""
