"""Restart is replay: a core rebuilt from its ledger, every record compared.

Law: a ledger that does not verify, or that this program would have written differently, is not gone on with.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import attrs

from actors.core import Core
from actors.records import LedgerRow
from domain.codec import decode
from grinder.collecting import rare_collections
from grinder.errors import ExitStatus, LedgerError, UserError
from grinder.ledger.head import RESTORE, require_kept_head
from grinder.ledger.reading import connect, plain_rows
from grinder.ledger.verify import verify
from replay.compare import ComparingJournal, Divergence, difference


class Diverged(UserError):
    """This program decides something else than the ledger says was decided."""

    status = ExitStatus.DIVERGED

    def __init__(self, divergence: Divergence, ledger: Path) -> None:
        super().__init__(
            "run.diverged",
            f"record {divergence.position} of {divergence.stream} differs in {divergence.field}",
            place=str(ledger),
            value=f"expected {divergence.expected[:200]}, produced {divergence.actual[:200]}",
            fix="use the version of grinder that wrote the ledger",
        )


@attrs.frozen
class Rebuilt:
    """A core as its ledger left it.

    Attributes:
        records: records in the ledger; 0 for a new one.
        last_ns: time of the last one, 0 without any.
    """

    core: Core
    records: int
    last_ns: int


def rebuild(ledger: Path) -> Rebuilt:
    """Replay a ledger into a fresh core; every field of every record is compared, its hash included.

    Raises:
        LedgerError: the ledger is damaged, or lost records that were known to be on disk.
        Diverged: the core decides otherwise than the ledger says.
        CoreFailure: an actor raised.
    """
    whole = False
    try:
        rebuilt = _replayed(ledger)
        whole = True
    finally:
        # A record that was changed may make anything fail; if that is the reason, it is the one to tell.
        if not whole:
            _require_whole(ledger)
    require_kept_head(ledger)
    return rebuilt


def _require_whole(ledger: Path) -> None:
    verdict = verify(ledger)
    if not verdict.ok:
        raise LedgerError(
            "ledger.damaged",
            verdict.reason,
            place=f"{ledger} record {verdict.first_bad}",
            fix=RESTORE,
        )


@rare_collections()
def _replayed(ledger: Path) -> Rebuilt:
    with closing(connect(ledger)) as connection:
        journal = ComparingJournal(plain_rows(connection))
        core = Core(journal)
        last_ns = 0
        while journal.expected is not None and journal.divergence is None:
            row = LedgerRow._make(journal.expected)
            if row.cause != row.position:
                journal.divergence = difference(row, None)
                break
            core.learn(decode(row.topic, row.state), row.ts_ns)
            core.take_intents()  # they left, or will be asked for by reconciling
            last_ns = row.ts_ns
    if journal.divergence is not None:
        raise Diverged(journal.divergence, ledger)
    return Rebuilt(core, journal.compared, last_ns)
