"""When a standby takes over.

Law: a pure function of what can be seen: the lease, the last heartbeat of its holder, and a clock.  Nothing
is taken from a run that ended in order, and nothing by itself from a holder that was never well: what is
wrong there would be wrong here too, and two processes would pass the run to and fro.
"""

from __future__ import annotations

import attrs

from grinder.standby.beats import Beat
from grinder.standby.lease import HANDED_OVER, LEASE_S, OVER, Lease
from grinder.standby.processes import NS

UNWELL = "rounds of health checks of"
"""In every reason that is one because the holder is unwell."""

FAILED_ROUNDS = 3
"""So many failed rounds of health checks in a row are enough."""


@attrs.frozen(kw_only=True)
class Sight:
    """What a standby sees.

    Attributes:
        node: its own name.
        boot, now_ns: the clock of `boot_ns`.
        since_ns: since when it has been able to take over; it looks on for as long as a lease lasts first.
        beat: the last heartbeat of the lease's holder.
        lease_s: how long a holder may be silent.
    """

    node: str
    boot: str
    now_ns: int
    since_ns: int
    lease: Lease | None
    beat: Beat | None
    lease_s: int = LEASE_S


def reason_to_take_over(seen: Sight) -> str:
    """Why to take over now; empty when there is no reason."""
    lease = seen.lease
    if lease is None or lease.ended in OVER:
        return ""
    if lease.ended == HANDED_OVER and lease.heir == seen.node:
        return f"handed over by {lease.node}"
    silent_ns = seen.now_ns - _last_sign_ns(seen, lease)
    if silent_ns > seen.lease_s * NS:
        handed = lease.ended == HANDED_OVER
        what = f"{lease.heir} did not take over" if handed else f"no heartbeat of {lease.node}"
        return f"{what} for {silent_ns / NS:.1f} s"
    beat = _beat_of(seen, lease)
    if not lease.ended and beat is not None and beat.was_well and beat.failed_rounds >= FAILED_ROUNDS:
        return f"{beat.failed_rounds} {UNWELL} {lease.node} failed"
    return ""


def _beat_of(seen: Sight, lease: Lease) -> Beat | None:
    """The holder's heartbeat: of the very process that holds the lease, and of this boot."""
    beat = seen.beat
    if beat is None or beat.boot != seen.boot or beat.epoch != lease.epoch or beat.process != lease.process:
        return None
    return beat


def _last_sign_ns(seen: Sight, lease: Lease) -> int:
    """When the holder last showed that it lives, or we began to look, whichever is later."""
    signs = [seen.since_ns]
    if lease.boot == seen.boot:
        signs += [lease.taken_ns, lease.ended_ns]
    beat = _beat_of(seen, lease)
    if beat is not None and lease.ended != HANDED_OVER:
        signs.append(beat.at_ns)
    return max(signs)
