"""The ledger as pages show it: records around a place, and why one of them is there.

Law: the words are those of `grinder explain`; a record is shown as it is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from grinder.inspection.amounts import Scales, scales_of
from grinder.inspection.records import Records
from grinder.inspection.tree import branch_of
from grinder.inspection.words import say
from grinder.web.call import Call
from grinder.web.pages.asked import Asked, AskedList
from grinder.web.problems import Problem

MOST_EFFECTS = 200


async def around(call: Call) -> Mapping[str, Any]:
    """A part of the ledger, oldest first, that holds a position; the end where none is named."""
    asked, run = call.query(AskedList), call.run()

    def read() -> dict[str, Any]:
        with Records(run.folder.path) as records:
            head = records.head()
            middle = min(asked.around if asked.around is not None else head, head)
            first = max(1, min(middle - asked.limit // 2, head - asked.limit + 1))
            scales = scales_of(records, min(head, first + asked.limit))
            found = []
            for row in records.since(first):
                found.append(_short(records, scales, row))
                if len(found) == asked.limit:
                    break
            return {"head": head, "first": first, "rows": found}

    return {"as_of": run.freshness(asked.at), **await run.work(read)}


def _short(records: Records, scales: Scales, row: Any) -> dict[str, Any]:
    return {
        "position": row.position,
        "stream": row.stream,
        "topic": row.topic,
        "ts_ns": str(row.ts_ns),
        "cause": row.cause,
        "says": say(scales, records.decoded(row)),
    }


async def record(call: Call) -> Mapping[str, Any]:
    """One record: what it says, the rule behind it, the way that led to it, and what it led to."""
    run, text = call.run(), call.part("position")
    if not text.isdigit() or len(text) > 15:
        raise Problem(404, "ledger.position", "this is no position", value=text)
    position = int(text)

    def read() -> dict[str, Any]:
        with Records(run.folder.path) as records:
            row = records.row(position)
            if row is None:
                raise Problem(404, "ledger.position", "the ledger has no such record", value=text)
            scales = scales_of(records, position)
            path = [_branch(records, scales, one) for one in reversed(records.path(position))]
            effects = [one for one in records.turn(position) if one.cause == position != one.position]
            return {
                "record": {**_branch(records, scales, row), "version": row.version, "chain": row.chain.hex()},
                "state": orjson.dumps(orjson.loads(row.state), option=orjson.OPT_INDENT_2).decode(),
                "path": path,
                "effects": [_branch(records, scales, one) for one in effects[:MOST_EFFECTS]],
            }

    return {"as_of": run.freshness(call.query(Asked).at), **await run.work(read)}


def _branch(records: Records, scales: Scales, row: Any) -> dict[str, Any]:
    found = branch_of(records, scales, row).as_dict()
    found["ts_ns"] = str(row.ts_ns)
    found.pop("branches")
    return found
