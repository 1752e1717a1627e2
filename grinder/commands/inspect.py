"""Looking at a run: replay, verify, rebuild, report.

Law: the ledger is only read.  Views may be written, because they can always be made again.
"""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from actors.records import LedgerRow
from grinder.commands.backtest import Progress
from grinder.errors import EnvironmentFault, LedgerError
from grinder.ledger.faults import readable
from grinder.ledger.head import RESTORE, Head, missing_after, read_head
from grinder.ledger.reading import connect
from grinder.ledger.schema import SELECT
from grinder.ledger.verify import verify
from grinder.replaying import replay_ledger
from grinder.run_folder import RunFolder
from replay.replayer import causal_path


def replay_run(run: Path, progress: Progress) -> dict[str, Any]:
    """Replay a run's ledger; see the command contract for the keys.

    Raises:
        LedgerError: there is no ledger, it is damaged, or a newer program wrote it.
    """
    folder = RunFolder(run)
    folder.require()
    # Bytes that were changed may decode, and then trip up whoever uses what they say.
    besides = (struct.error, ValueError, TypeError)
    with closing(connect(folder.ledger)) as connection, readable(folder.ledger, *besides):
        total = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
        result = replay_ledger(folder.ledger, lambda done: progress("replay", done, total))
        found = result.divergence
        path = causal_path(lambda at: _row(connection, at), found.cause) if found else []
    divergence = None
    if found:
        steps = [{"position": r.position, "stream": r.stream, "topic": r.topic} for r in path]
        divergence = {**attrs.asdict(found), "path": steps}
    return {
        "identical": result.identical,
        "records": result.records,
        "head": result.head,
        "divergence": divergence,
        "states": result.states(),
    }


def _row(connection: sqlite3.Connection, position: int) -> LedgerRow | None:
    found = connection.execute(f"{SELECT} LIMIT 1", (position - 1,)).fetchone()
    return LedgerRow._make(found) if found and found[0] == position else None


def verify_run(run: Path, head: str | None, progress: Progress) -> dict[str, Any]:
    """Verify a run's ledger against its own chain, its manifest, the head kept beside it and, if given, a
    head kept elsewhere: a chain, which must be the last one, or `POSITION:CHAIN`.

    Raises:
        LedgerError: there is no ledger.
    """
    folder = RunFolder(run)
    folder.require()
    manifest = folder.read_manifest()
    place, _, chain = (head or "").rpartition(":")
    last = chain if head and not place else manifest.get("head") if manifest.get("finished") else None
    verdict = verify(
        folder.ledger, last, lambda done: progress("verify", done, manifest.get("records", done))
    )
    known = [read_head(folder.ledger), Head(int(place), chain.lower()) if place else None]
    for one in known if verdict.ok else ():
        reason = missing_after(folder.ledger, one) if one else ""
        if reason:
            verdict = attrs.evolve(verdict, ok=False, reason=reason)
    return attrs.asdict(verdict)


def rebuild_run(run: Path, progress: Progress) -> dict[str, Any]:
    """Build a run's views again.

    Raises:
        LedgerError: there is no ledger, or it does not verify; views of a damaged ledger would mislead.
    """
    from grinder.views.store import rebuild

    folder = RunFolder(run)
    verdict = verify_run(run, None, progress)
    if not verdict["ok"]:
        raise LedgerError(
            "ledger.damaged",
            verdict["reason"],
            place=f"{folder.ledger} record {verdict['first_bad']}",
            fix=RESTORE,
        )
    return attrs.asdict(rebuild(folder.path, lambda done: progress("rebuild", done, verdict["records"])))


def report_run(run: Path, html: Path) -> dict[str, Any]:
    """Write a run's report; views are brought up to date first.

    Raises:
        LedgerError: there is no ledger.
        EnvironmentFault: the charting extra is missing, or the file cannot be written.
    """
    from grinder.report import write_report
    from grinder.views.store import update

    folder = RunFolder(run)
    folder.require()
    update(folder.path)
    try:
        size = write_report(folder, html)
    except OSError as error:
        raise EnvironmentFault(
            "report.not_writable",
            f"the report cannot be written: {error.strerror}",
            place=str(html),
            fix="choose another file",
        ) from error
    return {"path": str(html), "bytes": size}
