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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import attrs

from grinder.errors import EnvironmentFault, ExitStatus, UserError
from grinder.ledger.head import require_kept_head
from grinder.ledger.lock import LOCKED, WriterLock
from grinder.live.rebuild import Rebuilt
from grinder.log import logger
from grinder.run_folder import RunFolder
from grinder.standby.beats import EVERY_S, STANDBY, Beat, beats, read_beat, say
from grinder.standby.follower import MOST, Follower
from grinder.standby.lease import (
    HANDED_OVER,
    LEASE_S,
    OVER,
    START,
    STOPPED,
    STOPPING,
    Lease,
    LeaseLost,
    nodes_folder,
    read_lease,
    restore,
    take,
)
from grinder.standby.processes import NS, ProcessId, boot_id, boot_ns, is_alive, this_process
from grinder.standby.sight import is_others
from grinder.standby.triggers import Sight, reason_to_take_over

LOOK_S = 0.1
"""Between two looks at ledger and lease."""

ENDS_S = 10.0
"""A process that handed over has this long to end by itself."""

AGAIN_S = 5.0
"""Between two tries of what cannot be done yet."""

SLEPT_S = 2.0
"""Who did not look for longer did not run, nor did, perhaps, the one that is looked at."""


@attrs.define
class Taken:
    """What a process has when it may trade.

    Attributes:
        lock: of the ledger, held.
        rebuilt: the core after the ledger's last record; None when this process has not followed it.
        failover: why it was taken over from another process; empty when nobody held it.
        finish: whether the run was being stopped, so that only its orders are to be put in order.
    """

    lock: WriterLock
    lease: Lease
    rebuilt: Rebuilt | None = None
    failover: str = ""
    finish: bool = False


class RunEnded(Exception):
    """There is nothing to take over any more; `status` is what the waiting process ends with."""

    def __init__(self, status: ExitStatus) -> None:
        self.status = status
        super().__init__(status.name)


Able = Callable[[str], None]
"""Asked before a takeover, with its reason: whether this process could trade.

Raises:
    UserError: it could not.
"""


@attrs.frozen(kw_only=True)
class Asked:
    """How a process was started.

    Attributes:
        standby: wait for a reason to take over, even where nobody holds the lease.
        supervised: the end of standard input ends the wait.
        again: its supervisor started it again.
    """

    standby: bool = False
    supervised: bool = False
    again: bool = False


def take_or_stand_by(folder: RunFolder, node: str, started: Asked, able: Able = lambda reason: None) -> Taken:
    """Hold the lease and the ledger's lock when this returns.

    Raises:
        EnvironmentFault: a process that keeps no lease writes the ledger, or the folder cannot be written.
        RunEnded: the run ended while we stood by, or we were asked to end.
        LedgerError, Diverged, CoreFailure: the ledger cannot be followed.
    """
    try:
        nodes_folder(folder.path).mkdir(exist_ok=True)
        taken = None if started.standby else _at_once(folder.path, node, started.again)
    except OSError as error:
        raise EnvironmentFault(
            "standby.lease",
            f"the lease of the run cannot be taken: {error.strerror or error}",
            place=str(nodes_folder(folder.path)),
            fix="make room on the disk, or mend the folder",
        ) from error
    if taken is not None:
        return taken
    follower = Follower(folder.ledger)
    try:
        # Whoever ends this process while it reads for the first time ends it at once.
        waiting = _Waiting(folder, node, follower, started.again, able)
        with _asked_to_end(started.supervised) as asked:
            return waiting.until_taken(asked)
    finally:
        follower.close()


def _at_once(run: Path, node: str, again: bool) -> Taken | None:
    """Take the lease where nobody can hold it; None when another node does, or is to."""
    seen = read_lease(run)
    if seen is not None and is_others(run, seen, node):
        return None
    lock = WriterLock(run)
    try:
        lock.__enter__()  # it is ours, so whoever held the lease on this machine is dead
    except EnvironmentFault as fault:
        now = read_lease(run)
        if fault.code == LOCKED and now is not None and (now.node != node or now != seen):
            return None  # late with its heartbeat, or sooner than we
        raise
    try:
        finish = again and seen is not None and seen.ended == STOPPING
        return Taken(lock, take(run, seen, node, START), finish=finish)
    except LeaseLost:
        lock.__exit__(None, None, None)
        return None
    except OSError:
        lock.__exit__(None, None, None)
        raise


class _Waiting:
    """A standby, until it has taken over.

    Raises:
        LedgerError, Diverged, CoreFailure: the ledger cannot be followed.
    """

    def __init__(self, folder: RunFolder, node: str, follower: Follower, again: bool, able: Able) -> None:
        self._folder = folder
        self._run = folder.path
        self._node = node
        self._follower = follower
        self._able = able
        self._boot = boot_id()
        self._process = this_process()
        self._said_ns = 0
        self._looked_ns = boot_ns()
        self._since_ns = 0
        self._seen: Lease | None = None
        """The lease as it was last seen."""
        self._held = again
        """Whether somebody held it while we were there."""
        self._follower.begin()
        logger().info("standing by", node=node, record=follower.position)

    def until_taken(self, asked: _Ending) -> Taken:
        """Follow and look until there is a reason, then take over."""
        self._looked_ns = self._since_ns = boot_ns()
        while True:
            asked.wait(LOOK_S)
            behind = self._follower.catch_up() >= MOST
            lease = self._look()
            self._say(lease)
            if behind or lease is None:
                continue
            self._held = self._held or not lease.ended
            if self._held and lease.ended in OVER:
                logger().info("the run has ended", how=lease.ended, node=lease.node)
                raise RunEnded(ExitStatus.DONE if lease.ended == STOPPED else ExitStatus.GAVE_UP)
            reason = reason_to_take_over(self._sight(lease))
            if reason and self._is_able(reason):
                taken = self._try(lease, reason, asked)
                if taken is not None:
                    return taken
            elif reason:
                asked.wait(AGAIN_S)

    def _look(self) -> Lease | None:
        """The lease, or what was last seen of it where somebody removed it."""
        now_ns = boot_ns()
        if now_ns - self._looked_ns > SLEPT_S * NS:
            self._since_ns = now_ns  # the machine slept, and with it the holder: it has its time again
        self._looked_ns = now_ns
        try:
            found = read_lease(self._run)
            if found is None and self._seen is not None:
                silent = boot_ns() - self._since_ns > LEASE_S * NS
                if silent and not is_alive(self._seen.process):
                    restore(self._run, self._seen)
                return self._seen
        except OSError as error:
            logger().error("the lease cannot be read", node=self._node, reason=str(error))
            return self._seen
        self._seen = found
        return found

    def _sight(self, lease: Lease) -> Sight:
        return Sight(
            node=self._node,
            boot=self._boot,
            now_ns=boot_ns(),
            since_ns=self._since_ns,
            lease=lease,
            beat=read_beat(self._run, lease.node),
        )

    def _say(self, lease: Lease | None) -> None:
        now_ns = boot_ns()
        if now_ns - self._said_ns < EVERY_S * NS:
            return
        self._said_ns = now_ns
        beat = Beat(
            boot=self._boot,
            at_ns=now_ns,
            node=self._node,
            process=self._process,
            role=STANDBY,
            epoch=lease.epoch if lease else 0,
            position=self._follower.position,
            chain=self._follower.chain,
        )
        say(self._run, beat)

    def _is_able(self, reason: str) -> bool:
        """Whether this process could trade; better known before the one that does is gone."""
        try:
            self._able(reason)
        except UserError as error:
            logger().critical("cannot take over", node=self._node, why=reason, reason=str(error))
            return False
        return True

    # --- taking over -----------------------------------------------------------------------------------

    def _try(self, before: Lease, reason: str, asked: _Ending) -> Taken | None:
        """Take over; None when the lease could not be had."""
        try:
            lease = take(self._run, before, self._node, reason)
        except LeaseLost:
            return None  # another standby was sooner
        except OSError as error:
            logger().critical("the lease cannot be taken", node=self._node, reason=str(error))
            asked.wait(AGAIN_S)
            return None
        asked.status = ExitStatus.UNEXPECTED  # from here on our supervisor has to look after the orders
        logger().warning("taking over", node=self._node, epoch=lease.epoch, reason=reason)
        lock = self._locked(before, lease, asked)
        try:
            while self._follower.catch_up():
                self._say(lease)
            require_kept_head(self._folder.ledger)
            asked.wait(0)
        except BaseException:
            lock.__exit__(None, None, None)
            raise
        finish = before.ended == STOPPING
        return Taken(lock, lease, self._follower.rebuilt(), reason, finish)

    def _locked(self, before: Lease, lease: Lease, asked: _Ending) -> WriterLock:
        """The ledger's lock, once the process before is dead; tried for as long as that takes."""
        end_at = time.monotonic() + (ENDS_S if before.ended == HANDED_OVER else 0.0)
        while True:
            if time.monotonic() >= end_at:
                end_at = time.monotonic() + AGAIN_S
                for process in _of_earlier_epochs(self._run, before, lease):
                    _end_for_good(process)
            lock = WriterLock(self._run)
            try:
                lock.__enter__()
                return lock
            except (EnvironmentFault, OSError) as fault:
                if not isinstance(fault, EnvironmentFault) or fault.code != LOCKED:
                    logger().error("the ledger cannot be locked yet", node=self._node, reason=str(fault))
            asked.wait(LOOK_S)
            self._say(lease)


def _of_earlier_epochs(run: Path, before: Lease, lease: Lease) -> set[ProcessId]:
    """Processes that held the lease before and may not know that they lost it."""
    held = [one for one in beats(run) if one.role != STANDBY and one.boot == lease.boot]
    found = {one.process for one in held if one.epoch < lease.epoch}
    of_before = {before.process} if before.boot == lease.boot else set()
    return (found | of_before) - {lease.process}


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


class _Ending:
    """Whether somebody wants the waiting process to end.

    Attributes:
        status: what it ends with then.
    """

    def __init__(self, supervised: bool) -> None:
        self.status = ExitStatus.DONE
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
                raise RunEnded(self.status)
        else:
            time.sleep(seconds)
        if self._signals:
            raise RunEnded(self.status)


@contextmanager
def _asked_to_end(supervised: bool) -> Iterator[_Ending]:
    asked = _Ending(supervised)
    before = {number: signal.signal(number, asked.signalled) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
