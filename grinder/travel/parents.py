"""The run that is travelled from: its folder, manifest, records and configuration.

Law: only read.  A run whose ledger does not verify, or whose manifest cannot be understood, is refused before
anything is written anywhere.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from actors.records import LedgerRow
from domain.codec import UnknownTopicError, decode
from grinder.config import Config, load_config
from grinder.errors import LedgerError, UserError
from grinder.ledger.reading import connect, plain_rows
from grinder.ledger.schema import SELECT
from grinder.ledger.verify import verify
from grinder.run_folder import RunFolder
from replay.compare import PlainRow

BACKTEST, PAPER, LIVE, FORK, SLICE, SIMULATION = "backtest", "paper", "live", "fork", "slice", "simulation"


@attrs.frozen(kw_only=True)
class Parent:
    """A run.

    Attributes:
        kind: of its manifest; ``base`` is that of the run at the root of its forks.
        records: how many records its ledger has.
        head: chain after the last, hex.
    """

    folder: RunFolder
    manifest: dict[str, Any]
    records: int
    head: str

    @property
    def kind(self) -> str:
        return str(self.manifest.get("kind", ""))

    @property
    def base(self) -> str:
        fork = self.manifest.get("fork") or {}
        return str(fork.get("base", self.kind))

    @property
    def root(self) -> Path:
        """The folder of the run at the root of its forks, where a tape would be."""
        fork = self.manifest.get("fork") or {}
        return Path(fork.get("root", self.folder.path))

    @property
    def ledger_id(self) -> str:
        return str(self.manifest["ledger_id"])

    @property
    def seed(self) -> int:
        return int(self.manifest.get("seed", 0))

    def config(self) -> Config:
        """The configuration in force at its end.

        Raises:
            ConfigError: this program cannot read it.
        """
        return load_config([], {}, self.manifest["config"])

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection to the ledger, to be read only.

        Raises:
            LedgerError: the ledger cannot be read, or a newer program wrote it.
        """
        with closing(connect(self.folder.ledger)) as connection, readable(self.folder.ledger):
            yield connection

    def end_of_input(self, connection: sqlite3.Connection, position: int) -> int:
        """Position of the last record of the input that record `position` belongs to."""
        later = connection.execute(
            "SELECT min(rowid) FROM stored_events WHERE rowid > ? AND cause = rowid", (position,)
        ).fetchone()[0]
        return int(later) - 1 if later else self.records


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What goes wrong while a ledger is read, in the user's words."""
    try:
        yield
    except UnknownTopicError as error:
        raise LedgerError(
            "ledger.unknown_record",
            str(error),
            place=str(path),
            fix="use the version of grinder that wrote it, or a later one",
        ) from error
    except sqlite3.DatabaseError as error:
        raise LedgerError(
            "ledger.damaged",
            f"the ledger cannot be read: {error}",
            place=str(path),
            fix="run `grinder verify` to find the first bad record",
        ) from error


def read_parent(run: Path) -> Parent:
    """A run to travel from.

    Raises:
        LedgerError: there is none, its ledger does not verify, or its manifest is missing.
    """
    folder = RunFolder(run)
    folder.require()
    manifest = folder.read_manifest()
    if not manifest.get("kind"):
        raise LedgerError(
            "run.manifest",
            "the run has no manifest, so what it was made from is not known",
            place=str(folder.manifest),
            fix="restore manifest.json",
        )
    known = manifest.get("head") if manifest.get("finished") else None
    verdict = verify(folder.ledger, known)
    if not verdict.ok:
        raise LedgerError(
            "ledger.damaged",
            verdict.reason,
            place=f"{folder.ledger} record {verdict.first_bad}",
            fix="restore the folder from a backup",
        )
    return Parent(folder=folder, manifest=manifest, records=verdict.records, head=verdict.head)


def checked_position(parent: Parent, position: int, name: str) -> int:
    """A position of the parent's ledger.

    Raises:
        UserError: the ledger has no such record.
    """
    if not 1 <= position <= parent.records:
        raise UserError(
            "usage.position",
            f"{name} lies outside the ledger, which has {parent.records:,} records",
            place=str(parent.folder.path),
            value=str(position),
            fix=f"give a position from 1 to {parent.records}",
        )
    return position


def rows_through(connection: sqlite3.Connection, last: int, after: int = 0) -> Iterator[PlainRow]:
    """Records after a position, up to and with another."""
    for row in plain_rows(connection, after):
        if row[0] > last:
            return
        yield row


def row_at(connection: sqlite3.Connection, position: int) -> LedgerRow | None:
    """One record."""
    found = connection.execute(f"{SELECT} LIMIT 1", (position - 1,)).fetchone()
    return LedgerRow._make(found) if found and found[0] == position else None


def records_of(connection: sqlite3.Connection, *kinds: Any) -> Iterator[tuple[LedgerRow, Any]]:
    """Records of some classes (any version), decoded, in order."""
    names = tuple(f"{kind.TOPIC.partition('/')[0]}/" for kind in kinds)
    marks = " OR ".join("topic GLOB ?" for _ in names)
    sql = SELECT.replace("WHERE rowid > ?", f"WHERE rowid > ? AND ({marks})")
    for row in map(LedgerRow._make, connection.execute(sql, (0, *(f"{name}*" for name in names)))):
        yield row, decode(row.topic, row.state)
