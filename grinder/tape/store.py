"""The files of the tape: opened, appended to, sealed, and finished after a crash.

Law: a block is written whole or cut off again; a sealed segment is on the disk before anybody is told of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import attrs

from domain.notes import TapeSegmentReport
from grinder.log import logger
from grinder.observation.alerts import NS
from grinder.tape.layout import (
    OPEN,
    Entry,
    Flush,
    Frame,
    Header,
    TapeError,
    block_of,
    line_of,
    segment_name,
    segment_number,
    segments,
)
from grinder.tape.reader import Segment, file_hash


@attrs.frozen(kw_only=True)
class TapeSettings:
    """How the tape is kept.

    Attributes:
        segment_bytes: lines in one segment, before compression.
        segment_ns: longest time one segment covers.
        queue_bytes: frames that may wait for the disk; more are lost.
        flush_s: how often what came is written out.
    """

    segment_bytes: int = 64 << 20
    segment_ns: int = 3600 * NS
    queue_bytes: int = 64 << 20
    flush_s: float = 1.0


Sealed = Callable[[TapeSegmentReport], None]


def write_all(file: FileIO, data: bytes) -> None:
    """Write all of it: on a disk that fills up a write takes a part and says so only in its answer."""
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]


class SegmentStore:
    """The files of a session; used by one thread."""

    def __init__(self, folder: Path, header: Header, settings: TapeSettings, sealed: Sealed) -> None:
        self._folder = folder
        self._header = header
        self._settings = settings
        self._sealed = sealed
        self._file: FileIO | None = None
        self._path = folder
        self._good = self._text_bytes = self._frames = 0
        self._first_ns = self._last_ns = 0

    def finish_earlier(self) -> None:
        """Seal what an earlier session left open, less its torn tail."""
        for path in segments(self._folder):
            if path.name.endswith(OPEN):
                try:
                    self._finish(path)
                except (OSError, TapeError) as error:
                    logger().error(
                        "a segment of the tape is left as it is", name=path.name, reason=str(error)
                    )
        last = max(map(segment_number, segments(self._folder)), default=0)
        self._header = self._header._replace(segment=last)

    def _finish(self, path: Path) -> None:
        segment = Segment(path)
        times = [entry[0] for entry in segment.entries() if isinstance(entry, (Frame, Flush))]
        frames = sum(1 for entry in segment.entries() if isinstance(entry, Frame))
        if segment.damage is not None and not segment.damage.torn:
            logger().error("a segment of the tape is damaged", damage=segment.damage.render())
            return
        with path.open("r+b") as file:
            file.truncate(segment.whole_bytes)
            os.fsync(file.fileno())
        if not segment.whole_bytes:
            path.unlink()
            return
        self._report(path, frames, min(times, default=0), max(times, default=0))

    def begin(self) -> None:
        """Open the session's first segment and make its first line durable, before any frame has come.

        Raises:
            OSError: it was not written; the next write tries again.
        """
        file = self._file or self._open()
        os.fsync(file.fileno())
        self._sync_folder()

    def write(self, entries: list[Entry], lines: list[bytes]) -> None:
        """Append one block, opening a segment if none is open.

        Raises:
            OSError: it was not written; what a failed write left is cut off with the next.
        """
        file = self._file or self._open()
        block = block_of(lines)
        file.seek(self._good)
        file.truncate(self._good)
        write_all(file, block)
        self._good += len(block)
        self._text_bytes += sum(map(len, lines))
        for entry in entries:
            if isinstance(entry, (Frame, Flush)):
                self._frames += isinstance(entry, Frame)
                self._first_ns = self._first_ns or entry[0]
                self._last_ns = entry[0]

    def is_due(self) -> bool:
        """Whether the open segment is full."""
        covered_ns = self._last_ns - self._first_ns
        full = self._text_bytes >= self._settings.segment_bytes or covered_ns >= self._settings.segment_ns
        return self._file is not None and full

    def seal(self) -> None:
        """Make the open segment final and report it.

        Raises:
            OSError: it could not be made durable.
        """
        if self._file is None:
            return
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        self._report(self._path, self._frames, self._first_ns, self._last_ns)

    def _open(self) -> FileIO:
        header = self._header._replace(segment=self._header.segment + 1)
        path = self._folder / (segment_name(header.segment) + OPEN.removeprefix(".tape.zst"))
        file = path.open("xb", buffering=0)
        block = block_of([line_of(header)])
        try:
            write_all(file, block)
        except OSError:
            file.close()
            path.unlink()
            raise
        self._file, self._path, self._header = file, path, header
        self._good = len(block)
        self._text_bytes = self._frames = self._first_ns = self._last_ns = 0
        return file

    def _report(self, path: Path, frames: int, first_ns: int, last_ns: int) -> None:
        sealed = path.with_name(path.name.removesuffix(".part"))
        path.rename(sealed)
        self._sync_folder()
        self._sealed(
            TapeSegmentReport(
                name=sealed.name,
                sha256=file_hash(sealed),
                frames=frames,
                bytes=sealed.stat().st_size,
                first_ns=first_ns,
                last_ns=last_ns,
            )
        )

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
