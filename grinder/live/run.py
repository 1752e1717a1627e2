"""A live run: started in order, watched until it is to end, and ended in order.

Law: what is done at the start is undone at the end, in reverse, however far the start came.  How it ended is
the process's exit status.
"""

from __future__ import annotations

import asyncio
from typing import Any

from domain.inputs import CorrectBalance
from grinder.errors import ExitStatus
from grinder.ledger.writer import JournalFailed
from grinder.live.accounts import TradingAccount
from grinder.live.clock import Clock
from grinder.live.correcting import corrections
from grinder.live.deploying import GridCommands
from grinder.live.failing_over import hand_over
from grinder.live.life import Life
from grinder.live.rebuild import Rebuilt
from grinder.live.spec import RunSpec
from grinder.live.starting import start
from grinder.live.status import run_status
from grinder.live.stopping import stop
from grinder.live.watching import Watching
from grinder.run_folder import RunFolder
from grinder.standby.tenure import Tenure


class LiveRun(Life):
    """One process's run, from its start to its end, and what its operator may ask of it."""

    def __init__(
        self,
        folder: RunFolder,
        spec: RunSpec,
        rebuilt: Rebuilt | None,
        account: TradingAccount,
        clock: Clock,
        watching: Watching,
        tenure: Tenure | None = None,
    ) -> None:
        super().__init__(folder, spec, rebuilt, account, clock, watching.broke)
        self.tenure = tenure
        self.watching = watching
        self.grids = GridCommands(self)

    async def main(self) -> ExitStatus:
        """Run from the start to the end; how it ended."""
        starting = asyncio.create_task(start(self, self.watching, self), name="start")
        ending = asyncio.create_task(self.ending.wait())
        await asyncio.wait((starting, ending), return_when=asyncio.FIRST_COMPLETED)
        try:
            if starting.done():
                try:
                    await starting  # a start that failed says why
                except JournalFailed:
                    if self.broken is None:
                        raise  # the journal itself has said already why the run ends
                await ending
            else:
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
        finally:
            ending.cancel()
            status = await stop(self, self.watching)
        return status

    # --- for the operator ------------------------------------------------------------------------------

    async def differences(self, symbol: str) -> list[CorrectBalance]:
        """What makes the books of a symbol agree with the exchange, asked now."""
        assert self.session is not None
        await self.session.reconcile("operator")
        seen = self.noted.amounts
        if seen is None:
            return []
        return corrections(self.books(), seen, symbol, self.gate.prices.get(symbol, 0))

    async def hand_over(self, operator: str) -> dict[str, Any]:
        """Let a standby take over."""
        return await hand_over(self, operator)

    def status(self) -> dict[str, Any]:
        """Everything there is to see."""
        return run_status(self)

    async def health(self) -> dict[str, Any]:
        """Whether all is well."""
        return await self.watching.health(self)
