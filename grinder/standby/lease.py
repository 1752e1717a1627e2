"""The lease of a run: who may trade, in which epoch, and since when.

Law: it changes only by `take` and `end`, one process at a time, under a lock that dies with its holder;
taking it asks for the epoch that was seen, so of two who take at once one fails.  That the holder lives is
not told here but by its heartbeat, which needs no lock: a process that was stopped in the middle of anything
keeps nobody from reading.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from grinder.live.places import read_json, write_private
from grinder.standby.processes import ProcessId, boot_id, boot_ns, this_process

LEASE_S = 5
"""A holder that was silent for longer has lost its lease."""

STOPPED, GAVE_UP, HANDED_OVER = "stopped", "gave_up", "handed_over"
"""How a holder ended: in order; for good, because it must not go on; or for a standby to take over."""


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
        ended: how its holder ended, one of three words; empty while it is held.
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
    return nodes_folder(run) / "lease.json"


def read_lease(run: Path) -> Lease | None:
    """The lease as it is; None when nobody ever took it."""
    found = read_json(_file(run))
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
    """
    with _changing(run):
        now = read_lease(run)
        if (now.epoch if now else 0) != (seen.epoch if seen else 0):
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
    """Say how the holder ended; nothing when the lease is another's by now."""
    with _changing(run):
        now = read_lease(run)
        if now is not None and now.epoch == held.epoch:
            _write(run, attrs.evolve(now, ended=how, ended_ns=boot_ns(), heir=heir))


def _write(run: Path, lease: Lease) -> None:
    told: dict[str, Any] = attrs.asdict(lease, recurse=False)
    process = lease.process
    write_private(_file(run), {**told, "process": process.number, "started": process.started})


@contextmanager
def _changing(run: Path) -> Iterator[None]:
    nodes_folder(run).mkdir(exist_ok=True)
    with (nodes_folder(run) / "lease.lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
