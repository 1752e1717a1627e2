"""What a run does because of its lease: keep it, take over step by step, and hand over.

Law: who took over cancels what the process before left on the exchange, compares the books, trades, and tells
people, in this order, each step in the ledger before the next begins.  A step that fails is told and tried
again; nothing is traded meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Any

from actors.ports import Connector, ExchangeError
from domain.inputs import PauseTrading
from domain.notes import FailoverReport, HandOver
from grinder.errors import UserError
from grinder.live.life import STARTING, TRADING, Life
from grinder.live.session import LiveSession
from grinder.live.sweeping import cancel_ours
from grinder.live.watching import Watching
from grinder.observation.alerts import CRITICAL, Alert
from grinder.standby.beats import ACTIVE, EVERY_S
from grinder.standby.processes import NS, boot_ns
from grinder.standby.sight import standbys

PAUSE = "failover"
"""Reason of the pause while a run is taken over; when it ends, levels ask at once for what was cancelled."""

AGAIN_S = 5.0
"""Between two tries of a step."""

SWEEP_S = 30.0
"""How long one try to cancel lasts."""

IN_STEP = 100_000
"""A standby may be so many records behind when a run is handed over to it; it reads them within a second."""


async def keep_lease(run: Life, watching: Watching) -> None:
    """Renew the lease until it is lost.

    Raises:
        LeaseLost: another process has taken it.
    """
    tenure = run.tenure
    assert tenure is not None
    tenure.beat_by_hand()
    while True:
        if watching.health_of is not None:
            tenure.rounds.look(watching.health_of.report)
        tenure.beat(ACTIVE, run.loop_core.durable_position, run.loop_core.durable_chain.hex())
        await asyncio.sleep(EVERY_S)


class Takeover:
    """The steps of a run that took over from another process; none of them happens at a start of its own."""

    def __init__(self, run: Life, watching: Watching) -> None:
        self._run = run
        self._watching = watching
        self.why = run.tenure.failover if run.tenure is not None else ""

    async def leased(self) -> None:
        """Say that the lease was taken, and why; nothing is placed from here to the end of the takeover."""
        if not self.why:
            return
        await self._report("lease", self.why)
        if PAUSE not in self._run.portfolio().pauses.get("", ()):
            await self._run.command(PauseTrading(reason=PAUSE, symbol="", operator=self._node))

    async def cancel(self, connector: Connector, session: LiveSession) -> None:
        """Cancel every order of ours that is open on the exchange; return when none is."""
        if not self.why:
            return
        while True:
            try:
                left = await cancel_ours(
                    connector,
                    self._run.spec.ledger_id,
                    longest_s=SWEEP_S,
                    may_send=session.wire.may_send,
                    listed=session.merger.swept.add,
                )
                failure = f"{left} orders are still open" if left else ""
            except (ExchangeError, OSError, TimeoutError) as error:
                failure = f"the exchange does not answer: {error}"
            if not failure:
                break
            self._tell("failover_stuck", f"orders of the process before cannot be cancelled yet: {failure}")
            await asyncio.sleep(AGAIN_S)
        await self._report("cancel", "no order of the process before is open")

    async def synchronised(self, differences: int) -> None:
        """Say that books and exchange were compared."""
        await self._report("sync", f"books and exchange were compared, {differences} differences")

    async def activated(self) -> None:
        """Say that it trades, and tell people."""
        await self._report("activate", f"trading again at record {self._run.core.position}")
        if self.why:
            self._tell("failover", f"{self._node} has taken over: {self.why}")
        await self._report("alert", "people were told")

    @property
    def _node(self) -> str:
        assert self._run.tenure is not None
        return self._run.tenure.lease.node

    def _tell(self, kind: str, text: str) -> None:
        self._watching.notify(Alert(level=CRITICAL, kind=kind, text=text))

    async def _report(self, step: str, reason: str) -> None:
        tenure = self._run.tenure
        if tenure is None or not self.why:
            return
        lease = tenure.lease
        note = FailoverReport(step=step, node=lease.node, epoch=lease.epoch, reason=reason)
        await self._run.command(note)


# --- handing over --------------------------------------------------------------------------------------


def heir_of(run: Life) -> str:
    """The node that takes over when this process has to end and the run has not; empty when there is none."""
    if run.tenure is None:
        return ""
    stored = run.loop_core.durable_position
    ready = [one for one in standbys(run.folder.path) if stored - one.position <= IN_STEP]
    return ready[0].node if ready else ""


async def hand_over(run: Life, operator: str) -> dict[str, Any]:
    """Let a standby take the run over; the command is in the ledger before anything ends.

    Raises:
        UserError: the run needs no lease, does not trade now, or nobody could take over.
    """
    if run.tenure is None:
        raise UserError("failover.paper", "a run on paper has no standby: its exchange ends with its process")
    if run.phase not in (STARTING, TRADING):
        raise UserError("failover.ending", "the run is about to end", value=run.phase)
    heir = heir_of(run)
    if not heir:
        raise UserError("failover.no_standby", "no standby follows the run",
                        fix=f"start one with `grinder standby {run.folder.path}`")  # fmt: skip
    position = await run.command(HandOver(node=heir, operator=operator))
    run.request_stop("cancel", heir)
    return {"position": position, "node": heir}


def lease_status(run: Life) -> dict[str, Any] | None:
    """Who trades and who stands by; None where a run needs no lease."""
    if run.tenure is None:
        return None
    lease, now_ns = run.tenure.lease, boot_ns()
    position = run.loop_core.durable_position
    return {
        "node": lease.node,
        "epoch": lease.epoch,
        "reason": lease.reason,
        "held_seconds": (now_ns - lease.taken_ns) // NS,
        "standbys": [
            {"node": one.node, "position": one.position, "behind": max(0, position - one.position)}
            for one in standbys(run.folder.path)
        ],
    }
