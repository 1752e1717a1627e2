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
from domain.codec import decode
from grinder.config import Config, load_config
from grinder.errors import LedgerError, UserError
from grinder.ledger.faults import readable, require_whole
from grinder.ledger.reading import connect, plain_rows
from grinder.ledger.schema import SELECT
from grinder.live.deployed import changes_in, with_changes
from grinder.run_folder import RunFolder
from replay.compare import PlainRow

BACKTEST, PAPER, LIVE, FORK, SLICE, SIMULATION = "backtest", "paper", "live", "fork", "slice", "simulation"

WITH_SESSION = (PAPER, LIVE, SIMULATION)
"""Kinds of runs whose orders went through a live session: what answered them can only be modelled."""


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

    def config_at(self, position: int) -> Config:
        """The configuration of the history it begins with, as far as it was changed up to a position.

        Raises:
            ConfigError: this program cannot read it.
        """
        fork = self.manifest.get("fork")
        config = load_config([], {}, (fork or self.manifest)["config"])
        if fork:
            return config  # what was deployed before the first fork is in it
        events = [event for at, _, event in changes_in(self.folder.ledger) if at <= position]
        return with_changes(config, [one for event in events for one in event.changes])

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
    verdict = require_whole(folder.ledger, known)
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
