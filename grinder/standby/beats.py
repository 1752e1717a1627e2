"""Heartbeats: what each process of a run says of itself once a second.

Law: one file for each node, which nobody else writes.  It tells of this moment and need not outlive the
machine.
"""

from __future__ import annotations

from pathlib import Path

import attrs

from grinder.log import logger
from grinder.standby.lease import nodes_folder
from grinder.standby.processes import ProcessId
from grinder.standby.slots import read_slot, write_slot

EVERY_S = 1.0

STARTING, STANDBY, ACTIVE = "starting", "standby", "active"


@attrs.frozen(kw_only=True)
class Beat:
    """One heartbeat.

    Attributes:
        boot, at_ns: when, on the clock of `boot_ns`.
        role: ``starting`` (it reads the ledger), ``standby`` or ``active``.
        epoch: of the lease it holds, or sees.
        position, chain: the last record of the ledger it has stored or followed, the chain in hex.
        failed_rounds: rounds of health checks in a row that failed in a way another process might mend.
        was_well: whether a round went well since it is active.
    """

    boot: str
    at_ns: int
    node: str
    process: ProcessId
    role: str
    epoch: int
    position: int = 0
    chain: str = ""
    failed_rounds: int = 0
    was_well: bool = False


def _file(run: Path, node: str) -> Path:
    return nodes_folder(run) / f"{node}.beat"


def write_beat(run: Path, beat: Beat) -> None:
    """Say it.

    Raises:
        OSError: it cannot be written.
    """
    told = attrs.asdict(beat, recurse=False)
    process = beat.process
    write_slot(_file(run, beat.node), {**told, "process": process.number, "started": process.started})


def say(run: Path, beat: Beat) -> None:
    """Say it; where it cannot be written, the log says so instead."""
    try:
        write_beat(run, beat)
    except OSError as error:
        logger().error("a heartbeat cannot be written", node=beat.node, reason=str(error))


def read_beat(run: Path, node: str) -> Beat | None:
    """What a node said last; None when it never said anything."""
    return _read(_file(run, node))


def beats(run: Path) -> tuple[Beat, ...]:
    """What every node said last, by name."""
    found = (_read(path) for path in sorted(nodes_folder(run).glob("*.beat")))
    return tuple(one for one in found if one is not None)


def _read(path: Path) -> Beat | None:
    try:
        found = read_slot(path) or {}
        process = ProcessId(int(found.pop("process")), int(found.pop("started")))
        return Beat(process=process, **found)
    except (OSError, KeyError, TypeError, ValueError):
        return None


def age_ns(beat: Beat, boot: str, now_ns: int) -> int | None:
    """How long ago it was said; None when that was before the machine was booted."""
    return now_ns - beat.at_ns if beat.boot == boot else None
