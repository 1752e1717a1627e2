"""Writing the tape, on a thread of its own.

Law: keeping a frame costs the loop an append and never waits.  When the disk does not follow, frames are
lost and the loss is on the tape; trading goes on.  Every second what came is written out; a full segment is
sealed: synchronised, hashed, renamed and reported, so that the ledger holds its hash.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pykka

from grinder.errors import EnvironmentFault
from grinder.log import logger
from grinder.observation.alerts import WARNING, Alert, Notify
from grinder.tape.layout import (
    End,
    Entry,
    Flush,
    Frame,
    Header,
    Loss,
    line_of,
)
from grinder.tape.store import Sealed, SegmentStore, TapeSettings

BLOCK_BYTES: Final = 1 << 20
"""A block is written when its lines have this many bytes, or when nothing more waits."""

ENTRY_BYTES: Final = 64
"""What an entry weighs beside its frame."""


def _nobody(alert: Alert) -> None:
    """Nobody is told."""


class TapeWriter:
    """The loop's end of the tape.  Its methods are called on one thread.

    Args:
        folder: made if it is not there; segments of earlier sessions in it are finished first.
        exchange: whose frames they are.
        session: a number no earlier session of this ledger has, such as the time it begins, ns.
        position: of the ledger now.
        sealed: told of every sealed segment, on the writer's thread.
        notify: told when frames are lost, on any thread.

    Attributes:
        frames, bytes: kept so far; dropped: lost so far (turns of the gate included).

    Raises:
        EnvironmentFault: the folder cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        exchange: str,
        session: int,
        position: int,
        *,
        sealed: Sealed,
        notify: Notify = _nobody,
        settings: TapeSettings | None = None,
    ) -> None:
        self._settings = settings or TapeSettings()
        self._notify = notify
        self._queue: deque[Entry] = deque()
        self._put = 0
        self._loss: Loss | None = None
        self._position = position
        self._due = threading.Event()
        self.frames = self.bytes = self.dropped = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFault(
                "tape.folder",
                f"the folder of the tape cannot be made: {error.strerror}",
                place=str(folder),
                fix="choose a folder you may write to, or set record.tape to false",
            ) from error
        store = SegmentStore(folder, Header(exchange, session, 0, position), self._settings, sealed)
        self._counters = _Counters()
        self._actor = _TapeActor.start(
            store, self._queue, self._due, self._counters, notify, self._settings.flush_s
        )

    def begun(self, timeout_s: float) -> bool:
        """Wait until the session's first block is on the disk, or could not be written; whether it came."""
        return self._counters.begun.wait(timeout_s)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._put - self._counters.taken

    def frame(self, stream: str, frame: bytes, received_ns: int, turn: int, position: int) -> None:
        """Keep a frame, or count it as lost; never waits."""
        size = len(frame) + ENTRY_BYTES
        if self._has_room(size, received_ns):
            self._queue.append(Frame(received_ns, turn, position, stream, frame))
            self.frames += 1
            self.bytes += len(frame)

    def flushed(self, now_ns: int, turn: int, position: int) -> None:
        """The gate looks at the prices."""
        self._position = position
        if self._has_room(ENTRY_BYTES, now_ns):
            self._queue.append(Flush(now_ns, turn, position))

    def close(self, position: int | None = None, timeout_s: float = 10.0) -> bool:
        """Write out and seal what is there, and end the thread; `sealed` has been told of it when this
        returns.

        Args:
            position: of the ledger's last record.

        Returns:
            Whether the thread ended in time.
        """
        if self._loss is not None:
            self._queue.append(self._loss)
            self._loss = None
        self._queue.append(End(self._position if position is None else position))
        self._due.set()
        with contextlib.suppress(pykka.ActorDeadError):
            try:
                self._actor.stop(block=True, timeout=timeout_s)
            except pykka.Timeout:
                return False
        return True

    def _has_room(self, size: int, now_ns: int) -> bool:
        waiting = self._put - self._counters.taken
        if waiting + size > self._settings.queue_bytes:
            self._lose(now_ns)
            return False
        if self._loss is not None:
            self._queue.append(self._loss)
            self._put += ENTRY_BYTES
            self._loss = None
        self._put += size
        if waiting > self._settings.queue_bytes // 4:
            self._due.set()
        return True

    def _lose(self, now_ns: int) -> None:
        self.dropped += 1
        if self._loss is None:
            self._loss = Loss(1, now_ns, now_ns)
            self._notify(Alert(WARNING, "tape_gap", text="the disk does not follow; frames are lost"))
        else:
            self._loss = Loss(self._loss.frames + 1, self._loss.first_ns, now_ns)


class _Counters:
    """What the thread tells the loop; written by the thread only."""

    def __init__(self) -> None:
        self.taken = 0
        self.begun = threading.Event()


class _TapeActor(pykka.ThreadingActor):
    """The edge actor that owns the files."""

    use_daemon_thread = True

    def __init__(
        self,
        store: SegmentStore,
        queue: deque[Entry],
        due: threading.Event,
        counters: _Counters,
        notify: Notify,
        flush_s: float,
    ) -> None:
        super().__init__()
        self._store = store
        self._queue = queue
        self._due = due
        self._counters = counters
        self._notify = notify
        self._flush_s = flush_s
        self._lost: Loss | None = None

    def on_start(self) -> None:
        self._store.finish_earlier()
        self._keep(self._store.begin)
        self._counters.begun.set()
        self.actor_ref.tell("drain")

    def on_receive(self, message: Any) -> None:
        """Wait for a moment, write out what came, and go on."""
        self._due.wait(self._flush_s)
        self._due.clear()
        self._drain()
        self.actor_ref.tell("drain")

    def on_stop(self) -> None:
        self._drain()
        self._keep(self._store.seal)

    def _drain(self) -> None:
        while self._queue:
            entries: list[Entry] = []
            lines: list[bytes] = []
            size = taken = 0
            while self._queue and size < BLOCK_BYTES:
                entry = self._queue.popleft()
                line = line_of(entry)
                entries.append(entry)
                lines.append(line)
                size += len(line)
                taken += ENTRY_BYTES + (len(entry.frame) if isinstance(entry, Frame) else 0)
            self._write(entries, lines)
            self._counters.taken += taken
        if self._store.is_due():
            self._keep(self._store.seal)

    def _write(self, entries: list[Entry], lines: list[bytes]) -> None:
        lost = self._lost
        if lost is not None:
            entries, lines = [lost, *entries], [line_of(lost), *lines]
        if self._keep(lambda: self._store.write(entries, lines)):
            self._lost = None
        else:
            self._lost = _losses(entries)

    def _keep(self, work: Callable[[], None]) -> bool:
        """Do something with the disk; whether it was done."""
        try:
            work()
        except OSError as error:
            logger().error("the tape cannot be written", reason=error.strerror)
            self._notify(Alert(WARNING, "tape_failed", text=f"the tape cannot be written: {error.strerror}"))
            return False
        return True


def _losses(entries: list[Entry]) -> Loss | None:
    """Entries that could not be written, as one loss."""
    frames, times = 0, []
    for entry in entries:
        if isinstance(entry, Loss):
            frames += entry.frames
            times += [entry.first_ns, entry.last_ns]
        elif isinstance(entry, (Frame, Flush)):
            frames += 1
            times.append(entry[0])
    return Loss(frames, min(times), max(times)) if times else None


__all__ = ["TapeSettings", "TapeWriter"]
