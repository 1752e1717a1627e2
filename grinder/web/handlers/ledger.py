"""The ledger and the audit log: read, explained, verified.

Law: read-only.  A record is shown as it is stored, with its place in the chain.
"""

from __future__ import annotations

import sqlite3
from typing import Annotated, Any, Final

import attrs
import msgspec
import orjson
from msgspec import Meta

from actors.records import LedgerRow
from grinder.ledger.schema import SELECT
from grinder.ledger.verify import verify
from grinder.web.admission import Rate, Role
from grinder.web.call import Call, Route
from grinder.web.handlers.queries import AuditQuery, LedgerQuery, RunQuery
from grinder.web.problems import Problem
from replay.replayer import causal_path

LONGEST_PATH: Final = 64


class VerifyBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A chain head that was kept elsewhere; proves that nothing was cut off."""

    head: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")] = ""


def shown(row: LedgerRow) -> dict[str, Any]:
    """A record as JSON."""
    return {
        "position": row.position,
        "stream": row.stream,
        "version": row.version,
        "topic": row.topic,
        "ts_ns": row.ts_ns,
        "cause": row.cause,
        "state": orjson.loads(row.state),
        "chain": row.chain.hex(),
    }


async def ledger(call: Call) -> dict[str, Any]:
    """Records of a run, in order."""
    asked, run = call.query(LedgerQuery), call.run()
    until = 2**62 if asked.last is None else asked.last

    def question(connection: sqlite3.Connection) -> list[dict[str, Any]]:
        statement = f"{SELECT.replace('WHERE rowid > ?', 'WHERE rowid > ? AND rowid <= ?')} LIMIT ?"
        after = max(asked.first, 1) - 1
        return [
            shown(LedgerRow._make(row))
            for row in connection.execute(statement, (after, until, asked.limit + 1))
        ]

    found = await run.ledger(question)
    items = found[: asked.limit]
    following = items[-1]["position"] + 1 if len(found) > asked.limit else None
    return {"items": items, "next": following, "as_of": run.freshness()}


async def causes(call: Call) -> dict[str, Any]:
    """Why a record is there: it and what it follows from, back to the input."""
    run, text = call.run(), call.part("position")

    def question(connection: sqlite3.Connection) -> list[dict[str, Any]]:
        def fetch(position: int) -> LedgerRow | None:
            row = connection.execute(f"{SELECT} LIMIT 1", (position - 1,)).fetchone()
            return LedgerRow._make(row) if row and row[0] == position else None

        return [shown(row) for row in list(causal_path(fetch, int(text)))[:LONGEST_PATH]]

    found = await run.ledger(question) if len(text) <= 18 else []
    if not found:
        raise Problem(404, "ledger.position", "the ledger has no such record", value=text)
    return {"path": found, "as_of": run.freshness()}


async def verified(call: Call) -> dict[str, Any]:
    """Whether the ledger is whole and unchanged."""
    run, head = call.run(), call.body(VerifyBody).head
    if run.verifying:
        raise Problem(
            409, "ledger.verifying", "the ledger is being checked already", fix="wait for the answer"
        )
    run.verifying = True
    try:
        verdict = await run.work(lambda: verify(run.folder.ledger, head or None))
    finally:
        run.verifying = False
    call.audit(f"done ok={verdict.ok} records={verdict.records}")
    return {**attrs.asdict(verdict), "as_of": run.freshness()}


async def audit(call: Call) -> dict[str, Any]:
    """Who wanted what, and whether it was granted."""
    asked, log = call.query(AuditQuery), call.services.audit
    found = log.page(asked.cursor, asked.limit + 1, asked.user, asked.result)
    items = found[: asked.limit]
    return {"items": items, "next": items[-1]["id"] if len(found) > asked.limit else None}


async def audit_verified(call: Call) -> dict[str, Any]:
    """Whether the audit log is whole and unchanged."""
    return attrs.asdict(call.services.audit.verify())


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/ledger",
        name="ledger",
        handler=ledger,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=LedgerQuery,
        summary="Records of the ledger, in order",
        answer="LedgerPage",
        errors=(404, 503),
    ),
    Route(
        method="GET",
        path=r"/api/ledger/{position:[0-9]+}/causes",
        name="causes",
        handler=causes,
        role=Role.VIEWER,
        rate=Rate.READ,
        query=RunQuery,
        summary="A record and what it follows from",
        errors=(404, 503),
    ),
    Route(
        method="POST",
        path="/api/ledger/verify",
        name="verify",
        handler=verified,
        role=Role.OPERATOR,
        rate=Rate.WRITE,
        query=RunQuery,
        body=VerifyBody,
        summary="Check every record against the chain",
        answer="Verdict",
        errors=(403, 404, 409, 503),
    ),
    Route(
        method="GET",
        path="/api/audit",
        name="audit",
        handler=audit,
        role=Role.ADMIN,
        rate=Rate.READ,
        query=AuditQuery,
        summary="The log of decisions",
        answer="AuditPage",
        errors=(403,),
    ),
    Route(
        method="POST",
        path="/api/audit/verify",
        name="verify_audit",
        handler=audit_verified,
        role=Role.ADMIN,
        rate=Rate.WRITE,
        summary="Check the log of decisions against its chain",
        errors=(403, 409),
    ),
)
