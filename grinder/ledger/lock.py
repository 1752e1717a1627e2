"""One ledger, one writer: the lock file.

Law: the operating system holds the lock (`flock`), so it dies with its holder and never has to be cleaned
up.  What the file says is only for people.  The epoch in the ledger is the second line: it refuses a writer
that lost its lock without noticing.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

from grinder.errors import EnvironmentFault
from grinder.ledger.place import require_local

LOCKED = "ledger.locked"
"""The code of a refusal because another process lives."""


class WriterLock:
    """Holds a run folder for one process, from `__enter__` to `__exit__`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.lock"
        self._file: TextIO | None = None

    def __enter__(self) -> WriterLock:
        require_local(self.path.parent)
        try:
            self._file = self.path.open("a+")
        except OSError as error:
            raise EnvironmentFault(
                "ledger.not_writable",
                f"the run folder cannot be written: {error.strerror}",
                place=str(self.path.parent),
                fix="choose a folder you may write to",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            holder = self._file.read().strip() or "another process"
            self._file.close()
            self._file = None
            raise EnvironmentFault(
                LOCKED,
                f"another grinder is writing this ledger ({holder})",
                place=str(self.path.parent),
                fix="wait for it to end, or use another folder",
            ) from None
        with suppress(OSError):  # a full disk must not keep anybody from cancelling orders
            os.ftruncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), f"process {os.getpid()}\n".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
