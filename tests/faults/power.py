"""A disk that may lose power: every write, sync, truncation and deletion of SQLite is written down.

Law: what the product believes is on disk is judged by what was synced.  From one recorded history the disk at
any moment can be made: everything synced is there; of what was written since, a drawn part is there, in any
order, whole or torn at any sector.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import attrs

from actors.records import LedgerRow
from grinder.ledger.appending import MAKE, append, settle

SECTOR = 512

_numbers = itertools.count(1)


@attrs.frozen
class Step:
    """One thing that happened: ``open``, ``write``, ``sync``, ``truncate``, ``delete``, ``acknowledged``."""

    kind: str
    name: str = ""
    offset: int = 0
    data: bytes = b""


@attrs.define
class Disk(apsw.VFS):
    """A file system that passes everything on and writes it down; syncs may be made to fail.

    Attributes:
        steps: what happened, in order.
        failing_sync: number of the sync that fails with an input/output error, and all after it; 0: none.
    """

    steps: list[Step] = attrs.field(factory=list, init=False)
    failing_sync: int = 0
    syncs: int = attrs.field(default=0, init=False)
    failed: int = attrs.field(default=0, init=False)
    vfs_name: str = attrs.field(factory=lambda: f"disk{next(_numbers)}", init=False)

    def __attrs_post_init__(self) -> None:
        super().__init__(self.vfs_name, base="")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return DiskFile(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self.steps.append(Step("delete", Path(filename).name))

    def connect(self, path: Path) -> apsw.Connection:
        """A connection of the product's kind on this disk."""
        connection = apsw.Connection(str(path), vfs=self.vfs_name)
        connection.set_busy_timeout(5_000)
        settle(connection)
        return connection

    def growing(self, name: str, folder: Path, grow: Callable[[], None]) -> None:
        """Let something write to a file past SQLite, and write down by how much it grew, synced."""
        path = folder / name
        before = path.stat().st_size
        grow()
        self.steps.append(Step("write", name, before, path.read_bytes()[before:]))
        self.steps.append(Step("sync", name))

    def acknowledged(self, position: int) -> None:
        """Somebody was told that everything up to a record is durable."""
        self.steps.append(Step("acknowledged", offset=position))


class DiskFile(apsw.VFSFile):
    """A file on the disk."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.name = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "").name
        super().__init__("", name, flags)
        disk.steps.append(Step("open", self.name))

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self.disk.steps.append(Step("write", self.name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self.disk.steps.append(Step("truncate", self.name, newsize))

    def xSync(self, flags: int) -> None:
        self.disk.syncs += 1
        if self.disk.failing_sync and self.disk.syncs >= self.disk.failing_sync:
            self.disk.failed += 1
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)
        self.disk.steps.append(Step("sync", self.name))


def make_ledger(connection: apsw.Connection) -> None:
    """The product's own tables, with the first epoch taken."""
    for statement in MAKE:
        connection.execute(statement)
    connection.execute("UPDATE writer_epoch SET epoch = epoch + 1")


class DiskRecorder:
    """What a writer needs of a recorder, over such a disk; errors as the standard library's."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.asked = 0

    def append_rows(self, rows: Sequence[LedgerRow], epoch: int) -> None:
        self.asked += 1
        try:
            append(self.connection, rows, epoch)
        except apsw.Error as error:
            told = sqlite3.OperationalError(str(error))
            told.sqlite_errorcode = getattr(error, "extendedresult", 0)
            raise told from error


# --- the disk at a moment ------------------------------------------------------------------------------


class Platter:
    """What is on the disk for certain, and what may be, as the steps go by."""

    def __init__(self) -> None:
        self.synced: dict[str, bytes] = {}
        self.since: dict[str, list[Step]] = {}
        self.acknowledged = 0

    def see(self, step: Step) -> None:
        """One more step."""
        if step.kind == "acknowledged":
            self.acknowledged = step.offset
        elif step.kind == "sync":
            content = bytearray(self.synced.get(step.name, b""))
            for one in self.since.pop(step.name, ()):
                _apply(content, one)
            self.synced[step.name] = bytes(content)
        elif step.kind == "delete":
            self.synced.pop(step.name, None)
            self.since.pop(step.name, None)
        elif step.kind in ("write", "truncate"):
            self.since.setdefault(step.name, []).append(step)

    def cut(self, chance: random.Random) -> dict[str, bytes]:
        """Files as a power cut at this moment may leave them."""
        style = chance.choice(("none", "all", "some", "torn"))
        files = {}
        for name in sorted({*self.synced, *self.since}):
            content = bytearray(self.synced.get(name, b""))
            survivors = list(_surviving(self.since.get(name, ()), style, chance))
            if style in ("some", "torn"):
                chance.shuffle(survivors)
            for step in survivors:
                _apply(content, step)
            if name in self.synced or survivors:
                files[name] = bytes(content)
        return files


def _surviving(steps: Sequence[Step], style: str, chance: random.Random) -> Iterator[Step]:
    for step in steps:
        if style == "all" or (style == "some" and chance.random() < 0.5):
            yield step
        elif style == "torn":
            if step.kind == "truncate":
                if chance.random() < 0.5:
                    yield step
                continue
            for at in range(0, len(step.data), SECTOR):
                if chance.random() < 0.5:
                    yield Step("write", step.name, step.offset + at, step.data[at : at + SECTOR])


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "truncate":
        del content[step.offset :]
        return
    end = step.offset + len(step.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[step.offset : end] = step.data
