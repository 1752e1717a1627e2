"""Who holds the lease of a run, seen from outside.

Law: reads, and needs no lock: whoever asks may be wrong a moment later, so nothing is done because of an
answer that the lease itself or the ledger's lock would not refuse.
"""

from __future__ import annotations

from pathlib import Path

from grinder.standby.beats import STANDBY, Beat, age_ns, beats, read_beat
from grinder.standby.lease import HANDED_OVER, LEASE_S, OVER, Lease, read_lease
from grinder.standby.processes import NS, boot_id, boot_ns, is_alive


def holder_alive(run: Path) -> str:
    """The node that holds the lease and was heard of lately; empty when there is none."""
    lease = read_lease(run)
    return lease.node if lease is not None and not lease.ended and is_others(run, lease, "") else ""


def is_of_another(run: Path, node: str) -> bool:
    """Whether the run's orders are another node's to look after, alive or not; False where nobody's."""
    lease = read_lease(run)
    return lease is not None and lease.boot == boot_id() and lease.node != node


def standbys(run: Path) -> list[Beat]:
    """Processes that follow the run and could take over now, the furthest first."""
    boot, now_ns = boot_id(), boot_ns()
    found = []
    for one in beats(run):
        age = age_ns(one, boot, now_ns)
        near = age is not None and age <= LEASE_S * NS
        if one.role == STANDBY and one.position and near and is_alive(one.process):
            found.append(one)
    return sorted(found, key=lambda one: (-one.position, one.node))


def is_others(run: Path, lease: Lease, node: str) -> bool:
    """Whether another node holds the lease and lives, or has just been given it."""
    now_ns, boot = boot_ns(), boot_id()
    if lease.boot != boot:
        return False
    if lease.ended == HANDED_OVER:
        return lease.heir != node and now_ns - lease.ended_ns <= LEASE_S * NS
    if lease.ended in OVER or lease.node == node or not is_alive(lease.process):
        return False
    beat = read_beat(run, lease.node)
    age = age_ns(beat, boot, now_ns) if beat is not None and beat.process == lease.process else None
    return min(now_ns - lease.taken_ns, age if age is not None else now_ns) <= LEASE_S * NS
