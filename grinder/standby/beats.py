"""Heartbeats: what each process of a run says of itself once a second.

Law: one small file for each node, written over in its place and never synced: it tells of this moment and
need not outlive the machine, and a disk that has become full still takes it.  A checksum tells a reader who
came in the middle of a writing to look again.  Nobody waits for a lock.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from zlib import crc32

import attrs
import orjson

from grinder.files import OWNER_ONLY
from grinder.log import logger
from grinder.standby.lease import nodes_folder
from grinder.standby.processes import ProcessId

EVERY_S = 1.0

SIZE = 1024
"""Bytes of a heartbeat's file, filled with spaces: it never grows, so it never needs room."""

LOOKS, LOOK_S = 5, 0.002
"""How often a reader looks whose checksum does not fit, and the time between."""

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
    content = orjson.dumps({**told, "process": process.number, "started": process.started})
    whole = f"{crc32(content):08x} ".encode() + content
    assert len(whole) <= SIZE, "a heartbeat is short"
    file = os.open(_file(run, beat.node), os.O_WRONLY | os.O_CREAT, OWNER_ONLY)
    try:
        os.pwrite(file, whole.ljust(SIZE), 0)
    finally:
        os.close(file)


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
    for _ in range(LOOKS):
        try:
            checksum, _, content = path.read_bytes().rstrip().partition(b" ")
        except OSError:
            return None
        if checksum == f"{crc32(content):08x}".encode():
            return _beat(content)
        time.sleep(LOOK_S)
    return None


def _beat(content: bytes) -> Beat | None:
    try:
        found = orjson.loads(content)
        process = ProcessId(int(found.pop("process")), int(found.pop("started")))
        return Beat(process=process, **found)
    except (KeyError, TypeError, ValueError):
        return None


def age_ns(beat: Beat, boot: str, now_ns: int) -> int | None:
    """How long ago it was said; None when that was before the machine was booted."""
    return now_ns - beat.at_ns if beat.boot == boot else None
