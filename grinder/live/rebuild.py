"""Restart is replay: a core rebuilt from its ledger, every record compared.

Law: a ledger that does not verify, or that this program would have written differently, is not gone on with.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from actors.core import Core
from actors.journal import MemoryJournal
from grinder.errors import ExitStatus, LedgerError, UserError
from grinder.ledger.head import RESTORE, require_kept_head
from grinder.ledger.verify import verify
from grinder.replaying import replay_ledger
from replay.compare import Divergence


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


def _replayed(ledger: Path) -> Rebuilt:
    found = replay_ledger(ledger)
    if found.divergence is not None:
        raise Diverged(found.divergence, ledger)
    found.core.journal = MemoryJournal()  # the ledger's records are used up
    return Rebuilt(found.core, found.records, found.core.now_ns)
