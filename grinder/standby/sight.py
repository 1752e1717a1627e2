"""Who holds the lease of a run, seen from outside.

Law: reads, and needs no lock: whoever asks may be wrong a moment later, so nothing is done because of an
answer that the lease itself or the ledger's lock would not refuse.
"""

from __future__ import annotations

from pathlib import Path

from grinder.standby.beats import age_ns, read_beat
from grinder.standby.lease import HANDED_OVER, LEASE_S, Lease, read_lease
from grinder.standby.processes import boot_id, boot_ns, is_alive

NS = 10**9


def holder_alive(run: Path) -> str:
    """The node that holds the lease and was heard of lately; empty when there is none."""
    lease = read_lease(run)
    if lease is None or lease.ended or not is_others(run, lease, ""):
        return ""
    return lease.node


def is_others(run: Path, lease: Lease, node: str) -> bool:
    """Whether another node holds the lease and lives, or has just been given it."""
    now_ns, boot = boot_ns(), boot_id()
    if lease.boot != boot:
        return False
    if lease.ended == HANDED_OVER:
        return lease.heir != node and now_ns - lease.ended_ns <= LEASE_S * NS
    if lease.ended or lease.node == node or not is_alive(lease.process):
        return False
    beat = read_beat(run, lease.node)
    age = age_ns(beat, boot, now_ns) if beat is not None and beat.epoch == lease.epoch else None
    return min(now_ns - lease.taken_ns, age if age is not None else now_ns) <= LEASE_S * NS
