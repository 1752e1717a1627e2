"""Export a slice of a run: a bug report that stands by itself, replays and verifies.

Law: the run is only read.  Secrets never were in a ledger; with ``--redact`` neither is whose run it was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from actors.core import Core
from actors.journal import Journal
from grinder import __version__
from grinder.collecting import rare_collections
from grinder.commands.backtest import Progress
from grinder.errors import ExitStatus, LedgerError, UserError
from grinder.interruption import Interruption
from grinder.ledger.lock import WriterLock
from grinder.ledger.reading import plain_rows
from grinder.run_folder import RunFolder
from grinder.storing import store_run
from grinder.travel.parents import SLICE, checked_position, read_parent, row_at, rows_through
from replay.compare import Divergence
from replay.slice import NO_LEDGER, HistoryOtherwise, Redactor, Sliced, cut, orders_named


class SliceDiverged(UserError):
    """The run does not replay under this program, so a slice made by it would show something else."""

    status = ExitStatus.DIVERGED


def parse_slice(text: str) -> tuple[int, int]:
    """``A..B`` as positions.

    Raises:
        UserError: it is none.
    """
    first, dots, last = text.partition("..")
    if not (dots and first.isascii() and first.isdigit() and last.isascii() and last.isdigit()):
        raise UserError(
            "usage.slice", "--slice takes A..B", value=text, fix="write --slice 100..200, with positions"
        )
    if not 0 < int(first) <= int(last):
        raise UserError("usage.slice", "the slice ends before it begins", value=text, fix="write 100..200")
    return int(first), int(last)


def export(run: Path, asked: str, out: Path, progress: Progress, *, redact: bool) -> dict[str, Any]:
    """Write a slice of a run into a folder; see the docs page for the keys.

    Raises:
        UserError: the slice or the folder cannot be used.
        LedgerError: the run's ledger is damaged.
        SliceDiverged: this program decides otherwise than the run recorded.
    """
    begin, end = parse_slice(asked)
    parent = read_parent(run)
    if out.resolve() == run.resolve():
        raise UserError(
            "usage.out", "a slice goes into a folder of its own", value=str(out), fix="name another"
        )
    checked_position(parent, begin, "--slice")
    checked_position(parent, end, "--slice")
    made: list[Sliced] = []
    with parent.connected() as connection:
        first = int(
            connection.execute(
                "SELECT max(rowid) FROM stored_events WHERE rowid <= ? AND cause = rowid", (begin,)
            ).fetchone()[0]
        )
        last = parent.end_of_input(connection, end)
        row = row_at(connection, last)
        ledger_id = NO_LEDGER if redact else parent.ledger_id
        manifest: dict[str, Any] = {
            "kind": SLICE,
            "program": __version__,
            "ledger_id": ledger_id,
            "slice": {
                "first": first,
                "last": last,
                "redacted": redact,
                "head": row.chain.hex() if row and not redact else "",
            },
        }
        folder = RunFolder(out)
        _refuse_other(folder, manifest)

        def produce(journal: Journal, interruption: Interruption) -> Core:
            def between(position: int) -> None:
                interruption.obey()
                if position % 4096 < 8:
                    progress("slice", position, last)

            part = rows_through(connection, last, first - 1)
            redactor = Redactor(parent.ledger_id, orders_named(part)) if redact else None
            made.append(cut(plain_rows(connection), first, last, journal, redactor, between))
            return made[0].core

        folder.create()
        try:
            with WriterLock(folder.path), rare_collections():
                done = store_run(folder, ledger_id, manifest, produce)
        except HistoryOtherwise as error:
            raise _diverged(error.divergence, run) from error
    (cut_out,) = made
    return {
        "run": str(out),
        "first": cut_out.first,
        "last": cut_out.last,
        "carried": cut_out.carried,
        "offset": cut_out.offset,
        "records": done.records,
        "inputs": done.inputs,
        "bytes": folder.ledger.stat().st_size,
        "redacted": redact,
        "head": done.head,
    }


def _diverged(found: Divergence, run: Path) -> SliceDiverged:
    return SliceDiverged(
        "export.diverged",
        f"record {found.position} of {found.stream} comes out otherwise in {found.field}",
        place=str(run),
        value=f"expected {found.expected[:200]}, produced {found.actual[:200]}",
        fix="use the version of grinder that wrote the run; see `grinder replay --code`",
    )


def _refuse_other(folder: RunFolder, manifest: dict[str, Any]) -> None:
    found = folder.read_manifest()
    if (found and found.get("slice") != manifest["slice"]) or (not found and folder.ledger.exists()):
        raise LedgerError(
            "ledger.other_run",
            "the folder holds another run",
            place=str(folder.path),
            fix="use another --out folder",
        )
