"""From the start of a process to its lease: at once where nobody holds it, else as a standby until it must.

Law: taking over goes in this order and never back: the lease, the death of the process before, the ledger's
lock, the ledger's last record.  Until then nothing is written but the lease.  What cannot be done is tried
again, and said each time; meanwhile the standby stays one.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import attrs

from grinder.errors import EnvironmentFault, ExitStatus
from grinder.ledger.head import require_kept_head
from grinder.ledger.lock import LOCKED, WriterLock
from grinder.live.rebuild import Rebuilt
from grinder.log import logger
from grinder.run_folder import RunFolder
from grinder.standby.beats import EVERY_S, STANDBY, Beat, beats, read_beat, say
from grinder.standby.follower import Follower
from grinder.standby.lease import (
    GAVE_UP,
    HANDED_OVER,
    STOPPED,
    Lease,
    LeaseLost,
    nodes_folder,
    read_lease,
    take,
)
from grinder.standby.processes import ProcessId, boot_id, boot_ns, is_alive, this_process
from grinder.standby.sight import is_others
from grinder.standby.triggers import NS, Sight, reason_to_take_over

LOOK_S = 0.1
"""Between two looks at ledger and lease."""

ENDS_S = 10.0
"""A process that handed over has this long to end by itself."""

AGAIN_S = 5.0
"""Between two tries to take the ledger's lock."""


@attrs.define
class Taken:
    """What a process has when it may trade.

    Attributes:
        lock: of the ledger, held.
        rebuilt: the core after the ledger's last record; None when this process has not followed it.
        failover: why it was taken over from another process; empty when nobody held it.
    """

    lock: WriterLock
    lease: Lease
    rebuilt: Rebuilt | None = None
    failover: str = ""


class RunEnded(Exception):
    """There is nothing to take over any more; `status` is what the waiting process ends with."""

    def __init__(self, status: ExitStatus) -> None:
        self.status = status
        super().__init__(status.name)


def take_or_stand_by(folder: RunFolder, node: str, *, standby: bool, supervised: bool) -> Taken:
    """Hold the lease and the ledger's lock when this returns.

    Args:
        standby: wait for a reason to take over, even where nobody holds the lease.
        supervised: the end of standard input ends the wait.

    Raises:
        EnvironmentFault: a process that keeps no lease writes the ledger, or the folder cannot be written.
        RunEnded: the run ended while we stood by, or we were asked to end.
        LedgerError, Diverged, CoreFailure: the ledger cannot be followed.
    """
    nodes_folder(folder.path).mkdir(exist_ok=True)
    if not standby:
        taken = _at_once(folder.path, node)
        if taken is not None:
            return taken
    with _asked_to_end(supervised) as asked:
        follower = Follower(folder.ledger)
        try:
            return _Waiting(folder, node, follower, asked).until_taken()
        finally:
            follower.close()


def _at_once(run: Path, node: str) -> Taken | None:
    """Take the lease where nobody can hold it; None when another node does, or is to."""
    seen = read_lease(run)
    if seen is not None and is_others(run, seen, node):
        return None
    lock = WriterLock(run)
    try:
        lock.__enter__()  # it is ours, so whoever held the lease on this machine is dead
    except EnvironmentFault as fault:
        if fault.code == LOCKED and seen is not None and seen.node != node:
            return None  # late with its heartbeat, but there
        raise
    try:
        return Taken(lock, take(run, seen, node, "start"))
    except LeaseLost:
        lock.__exit__(None, None, None)
        return None


class _Waiting:
    """A standby, until it has taken over."""

    def __init__(self, folder: RunFolder, node: str, follower: Follower, asked: _Asked) -> None:
        self._folder = folder
        self._run = folder.path
        self._node = node
        self._follower = follower
        self._asked = asked
        self._boot = boot_id()
        self._process = this_process()
        self._said_ns = 0

    def until_taken(self) -> Taken:
        """Follow and look until there is a reason, then take over."""
        self._say(0)
        self._follower.catch_up()
        logger().info("standing by", node=self._node, record=self._follower.position)
        since_ns = boot_ns()
        held = False
        while True:
            self._asked.wait(LOOK_S)
            self._follower.catch_up()
            lease = read_lease(self._run)
            self._say(lease.epoch if lease else 0)
            held = held or (lease is not None and not lease.ended)
            if held and lease is not None and lease.ended in (STOPPED, GAVE_UP):
                logger().info("the run has ended", how=lease.ended, node=lease.node)
                raise RunEnded(ExitStatus.DONE if lease.ended == STOPPED else ExitStatus.GAVE_UP)
            reason = reason_to_take_over(self._sight(lease, since_ns))
            if reason and lease is not None:
                try:
                    return self._take_over(lease, reason)
                except LeaseLost:
                    continue  # another standby was sooner
                except OSError as error:
                    logger().critical("the lease cannot be taken", node=self._node, reason=str(error))
                    self._asked.wait(AGAIN_S)

    def _sight(self, lease: Lease | None, since_ns: int) -> Sight:
        return Sight(
            node=self._node,
            boot=self._boot,
            now_ns=boot_ns(),
            since_ns=since_ns,
            lease=lease,
            beat=read_beat(self._run, lease.node) if lease is not None else None,
        )

    def _say(self, epoch: int) -> None:
        now_ns = boot_ns()
        if now_ns - self._said_ns < EVERY_S * NS:
            return
        self._said_ns = now_ns
        say(
            self._run,
            Beat(
                boot=self._boot,
                at_ns=now_ns,
                node=self._node,
                process=self._process,
                role=STANDBY,
                epoch=epoch,
                position=self._follower.position,
                chain=self._follower.chain,
            ),
        )

    # --- taking over -----------------------------------------------------------------------------------

    def _take_over(self, before: Lease, reason: str) -> Taken:
        lease = take(self._run, before, self._node, reason)
        logger().warning("taking over", node=self._node, epoch=lease.epoch, reason=reason)
        lock = self._locked(before, lease)
        try:
            self._follower.catch_up()
            require_kept_head(self._folder.ledger)
        except BaseException:
            lock.__exit__(None, None, None)
            raise
        return Taken(lock, lease, self._follower.rebuilt(), reason)

    def _locked(self, before: Lease, lease: Lease) -> WriterLock:
        """The ledger's lock, once the process before is dead; tried for as long as that takes."""
        patience_s = ENDS_S if before.ended == HANDED_OVER else 0.0
        until = time.monotonic() + patience_s
        while True:
            if time.monotonic() >= until:
                for process in _of_earlier_epochs(self._run, before, lease):
                    _end_for_good(process)
            lock = WriterLock(self._run)
            try:
                lock.__enter__()
                return lock
            except EnvironmentFault as fault:
                if fault.code != LOCKED:
                    raise
                if time.monotonic() > until + AGAIN_S:
                    logger().critical("cannot take over yet", node=self._node, reason=fault.what)
                    until = time.monotonic()
            self._asked.wait(LOOK_S)
            self._say(lease.epoch)


def _of_earlier_epochs(run: Path, before: Lease, lease: Lease) -> set[ProcessId]:
    """Processes that held the lease before and may not know that they lost it."""
    found = {one.process for one in beats(run) if one.role != STANDBY and one.epoch < lease.epoch}
    return {before.process, *found} - {lease.process}


def _end_for_good(process: ProcessId) -> None:
    """Kill a process that has lost its lease: killed, it can send nothing and holds no lock."""
    if not is_alive(process):
        return
    logger().warning("the process that held the lease is killed", process=process.number)
    try:
        os.kill(process.number, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        logger().critical("it belongs to another user and cannot be killed", process=process.number)


# --- being asked to end --------------------------------------------------------------------------------


class _Asked:
    """Whether somebody wants the waiting process to end."""

    def __init__(self, supervised: bool) -> None:
        self._supervised = supervised
        self._signals = 0

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT came."""
        self._signals += 1

    def wait(self, seconds: float) -> None:
        """Wait a moment.

        Raises:
            RunEnded: we are to end.
        """
        if self._supervised:
            ready, _, _ = select.select([sys.stdin], [], [], seconds)
            if ready and not os.read(sys.stdin.fileno(), 4096):
                raise RunEnded(ExitStatus.DONE)
        else:
            time.sleep(seconds)
        if self._signals:
            raise RunEnded(ExitStatus.DONE)


@contextmanager
def _asked_to_end(supervised: bool) -> Iterator[_Asked]:
    asked = _Asked(supervised)
    before = {number: signal.signal(number, asked.signalled) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
