"""The lease of a run: who may trade, in which epoch, and since when.

Law: it changes only by `take` and `end`, one process at a time, under a lock that dies with its holder;
taking it asks for the epoch that was seen, so of two who take at once one fails.  That the holder lives is
not told here but by its heartbeat, which needs no lock: a process that was stopped in the middle of anything
keeps nobody from reading.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from grinder.standby.processes import ProcessId, boot_id, boot_ns, this_process
from grinder.standby.slots import read_slot, write_slot

LEASE_S = 5
"""A holder that was silent for longer has lost its lease."""

START = "start"
"""Why a lease is taken that nobody held."""

STOPPING, STOPPED, GAVE_UP, HANDED_OVER = "stopping", "stopped", "gave_up", "handed_over"
"""How a holder ends: it puts its orders in order; it ended; it ended for good, because it must not go on; it
ended for a standby to take over."""

OVER = (STOPPED, GAVE_UP)
"""Ends after which nobody takes over."""

PATIENCE_S = 2.0
"""How long the lock of the lease is waited for: whoever holds it needs a moment, unless it was stopped."""


class LeaseLost(Exception):
    """Another process has taken the lease: this one must not act any more."""

    def __init__(self, lease: Lease | None) -> None:
        self.lease = lease
        now = f"{lease.node} holds it in epoch {lease.epoch}" if lease else "it is gone"
        super().__init__(f"the lease of the run is another's: {now}")


@attrs.frozen(kw_only=True)
class Lease:
    """Who may trade.

    Attributes:
        boot: of the machine, in which it was taken.
        taken_ns, ended_ns: on the clock of `boot_ns`; the second is 0 while it is held.
        ended: how its holder ends or ended, one of four words; empty while it is held.
        heir: the node it was handed over to.
        reason: why it was taken.
    """

    boot: str
    epoch: int
    node: str
    process: ProcessId
    taken_ns: int
    reason: str = ""
    ended: str = ""
    ended_ns: int = 0
    heir: str = ""


def nodes_folder(run: Path) -> Path:
    """Where the processes of a run tell of themselves."""
    return run / "nodes"


def _file(run: Path) -> Path:
    return nodes_folder(run) / "lease"


def read_lease(run: Path) -> Lease | None:
    """The lease as it is; None when nobody ever took it.

    Raises:
        OSError: it is there and cannot be read.
    """
    found = read_slot(_file(run))
    if found is None:
        return None
    try:
        process = ProcessId(int(found.pop("process")), int(found.pop("started")))
        return Lease(process=process, **found)
    except (KeyError, TypeError, ValueError):
        return None


def take(run: Path, seen: Lease | None, node: str, reason: str = "") -> Lease:
    """Become the holder, in the next epoch.

    Args:
        seen: the lease that is to be replaced.

    Raises:
        LeaseLost: it is not the one that was seen any more.
        OSError: it cannot be written, or another process does not let go of it.
    """
    with _changing(run):
        now = read_lease(run)
        if now != seen:
            raise LeaseLost(now)
        taken = Lease(
            boot=boot_id(),
            epoch=(seen.epoch if seen else 0) + 1,
            node=node,
            process=this_process(),
            taken_ns=boot_ns(),
            reason=reason,
        )
        _write(run, taken)
    return taken


def end(run: Path, held: Lease, how: str, heir: str = "") -> None:
    """Say how the holder ends; nothing when the lease is another's by now.

    Raises:
        OSError: it cannot be written.
    """
    with _changing(run):
        now = read_lease(run)
        if now is not None and now.epoch == held.epoch:
            _write(run, attrs.evolve(now, ended=how, ended_ns=boot_ns(), heir=heir))


def restore(run: Path, held: Lease) -> None:
    """Write the lease again that its holder had, where somebody removed it.

    Raises:
        OSError: it cannot be written.
    """
    with _changing(run):
        if read_lease(run) is None:
            _write(run, held)


def _write(run: Path, lease: Lease) -> None:
    told: dict[str, Any] = attrs.asdict(lease, recurse=False)
    process = lease.process
    write_slot(_file(run), {**told, "process": process.number, "started": process.started})


@contextmanager
def _changing(run: Path) -> Iterator[None]:
    nodes_folder(run).mkdir(exist_ok=True)
    until = time.monotonic() + PATIENCE_S
    with (nodes_folder(run) / "lease.lock").open("a+") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.01)
        yield
