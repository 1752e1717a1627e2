"""Commands about a grid as a whole: start it again, deploy other terms, rebalance it, and the plan of that.

Law: terms are checked here as those of a new run are, and become an input; whether and when they are taken
is the core's to decide, and what it decided is read from the ledger, not guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import attrs

from actors.core import Core
from domain.account_state import AccountState
from domain.codec import decode
from domain.grid_state import GridStatus, SymbolState, inventory
from domain.inputs import (
    PORTFOLIO,
    DeployGrid,
    RebalanceGrid,
    SettingChange,
    StartGrid,
    symbol_actor,
)
from domain.instrument import LINEAR, Instrument
from domain.portfolio_state import PortfolioState, equity
from domain.record import Record
from domain.rejection import MessageRefused, Refusal
from domain.risk_events import GridAllowed, GridBlocked, RebalanceAllowed
from domain.units import units_text
from grinder.config import Config
from grinder.errors import ConfigError, UserError
from grinder.ledger.reading import connect
from grinder.live.deployed import differences, grid_of, terms_of, with_settings
from grinder.live.gate import Gate
from grinder.live.spec import RunSpec
from grinder.live.status import price_text
from grinder.opening import start_grid
from grinder.plan import GridPlan, asked_of, plan_listed
from grinder.run_folder import RunFolder

_OURS = frozenset(one.TOPIC for one in (DeployGrid, GridAllowed, RebalanceGrid, RebalanceAllowed))
"""Messages whose refusal is the refusal of a command of this module."""

DONE, BLOCKED = "done", "blocked"

_FIXES = {
    Refusal.ALREADY_OPEN: "stop it first, or deploy other terms",
    Refusal.NOT_RUNNING: "start the grid first",
    Refusal.NO_MORE_RUNS: "start a run of its own in another folder",
}


class Traded(Protocol):
    """A run whose grids are commanded."""

    folder: RunFolder
    spec: RunSpec
    core: Core
    gate: Gate

    async def command(self, command: Record) -> int:
        """Learn a command; its position, when it is durable."""

    def books(self) -> AccountState:
        """The account as it is now."""


@attrs.frozen(kw_only=True)
class Answer:
    """What the core decided.

    Attributes:
        position: of the command in the ledger.
        status: ``done`` or ``blocked``; reason and detail say by which limit.
        waits: a deployment waits for orders of the grid before it to end.
    """

    position: int
    status: str = DONE
    reason: str = ""
    detail: str = ""
    waits: bool = False
    changes: tuple[SettingChange, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON; what is empty is left out, but for the changes."""
        found: dict[str, Any] = {"position": self.position, "status": self.status}
        if self.status == BLOCKED:
            return {**found, "reason": self.reason, "detail": self.detail}
        changes = [{"setting": one.setting, "old": one.old, "new": one.new} for one in self.changes]
        return {**found, "waits": self.waits, "changes": changes}


def decided(ledger: Path, position: int) -> Answer:
    """What the core decided about the command at a position.

    Raises:
        UserError: it refused the command.
    """
    asked = "SELECT rowid, topic, state, cause FROM stored_events WHERE rowid > ? ORDER BY rowid"
    with closing(connect(ledger)) as connection:
        for at, topic, state, cause in connection.execute(asked, (position,)):
            if at == cause:
                break  # the next input
            if topic == GridBlocked.TOPIC:
                block: GridBlocked = decode(topic, state)
                return Answer(position=position, status=BLOCKED, reason=block.reason, detail=block.detail)
            if topic == MessageRefused.TOPIC:
                refused: MessageRefused = decode(topic, state)
                if refused.topic in _OURS:
                    raise _refusal(refused)
    return Answer(position=position)


def _refusal(refused: MessageRefused) -> UserError:
    reason = Refusal(refused.reason)
    return UserError(
        f"grid.{reason.value}",
        f"the grid's actor refuses: {reason.value.replace('_', ' ')}",
        value=refused.detail,
        fix=_FIXES.get(reason, "see what it says"),
    )


class GridCommands:
    """What an operator may ask of the grids of one run.

    Attributes:
        config: the run's configuration with every change deployed so far.
    """

    def __init__(self, run: Traded) -> None:
        self._run = run
        self._turn = asyncio.Lock()  # two deployments at once would both start from the same terms
        self.config: Config = run.spec.config

    async def start(self, symbol: str, operator: str) -> dict[str, Any]:
        """Start a stopped grid again under the terms deployed last.

        Raises:
            UserError: it is refused.
        """
        async with self._turn:
            terms = self._terms(self.config, symbol)
            return (await self._give(terms, (), operator, replaces=False)).as_dict()

    async def deploy(self, symbol: str, settings: Mapping[str, object], operator: str) -> dict[str, Any]:
        """Let a grid trade under other terms: stop it with its orders cancelled, then start it anew.

        Raises:
            UserError: the terms are wrong or no others, or it is refused.
        """
        async with self._turn:
            after, changes = self._changed(symbol, settings)
            if not changes:
                raise UserError(
                    "deploy.nothing_changes",
                    "these are the terms the grid has already",
                    value=symbol,
                    fix="start it if it has stopped, rebalance it if its orders are to be placed anew",
                )
            self._plan(after, symbol)
            answer = await self._give(self._terms(after, symbol), changes, operator, replaces=True)
            if answer.status == DONE:
                self.config = after
            return answer.as_dict()

    async def rebalance(self, symbols: Sequence[str], operator: str) -> dict[str, Any]:
        """Cancel the orders of these grids' levels and place them anew; grids that do not run are left out.

        Raises:
            UserError: none of them runs.
        """
        running = [one for one in symbols if self._grid(one).status is GridStatus.RUNNING]
        if not running:
            raise UserError(
                "grid.not_running",
                "no such grid runs",
                value=", ".join(symbols),
                fix=_FIXES[Refusal.NOT_RUNNING],
            )
        answer = Answer(position=0)
        for symbol in running:
            position = await self._run.command(RebalanceGrid(symbol=symbol, operator=operator))
            answer = await asyncio.to_thread(decided, self._run.folder.ledger, position)
            if answer.status == BLOCKED:
                break
        found = answer.as_dict()
        found.pop("changes", None)
        return {**found, "symbols": running}

    def preview(self, symbol: str, settings: Mapping[str, object]) -> dict[str, Any]:
        """What a deployment would do: the terms, what of them is new, and the ladder; nothing is changed.

        Raises:
            UserError: the terms are wrong.
        """
        after, changes = self._changed(symbol, settings)
        plan = self._plan(after, symbol)
        instrument = plan.instrument
        price = self._run.gate.prices.get(symbol)
        return {
            "symbol": symbol,
            "status": self._grid(symbol).status.value,
            "price": price_text(instrument, price) if price is not None else "",
            "terms": terms_of(after, symbol),
            "changes": [{"setting": one.setting, "old": one.old, "new": one.new} for one in changes],
            "plan": plan.as_dict(),
        }

    # --- parts -----------------------------------------------------------------------------------------

    def _grid(self, symbol: str) -> SymbolState:
        state: SymbolState = self._run.core.state_of(symbol_actor(symbol))
        return state

    def _listed(self, symbol: str) -> tuple[Instrument, tuple[Decimal, Decimal]]:
        """A symbol's instrument as the books have it, with its tick and lot.

        Raises:
            UserError: the start has not come so far.
        """
        found = self._run.books().instruments.get(symbol)
        if found is None:
            raise UserError(
                "grid.starting", "the run is not ready yet", value=symbol, fix="try again in a moment"
            )
        return found, (Decimal(found.tick), Decimal(found.lot))

    def _plan(self, after: Config, symbol: str) -> GridPlan:
        """The plan of a symbol's grid, checked with those of the others against what the account is worth.

        Raises:
            ConfigError: it could not earn or be paid for.
        """
        plans = {one.symbol: plan_listed(one, *self._listed(one.symbol), search=False) for one in after.grids}
        portfolio: PortfolioState = self._run.core.state_of(PORTFOLIO)
        needed, worth = sum(asked_of(one) for one in plans.values()), equity(portfolio)
        if portfolio.session_high and needed > worth:
            one = plans[symbol].instrument
            has = units_text(worth, one.quote_decimals)
            raise ConfigError(
                "config.capital_above_balance",
                "the grids ask for more than the account is worth",
                place=f"grids.{symbol}",
                value=f"{units_text(needed, one.quote_decimals)} of {has} {one.quote}",
                fix=f"invest at most {has} in all",
            )
        return plans[symbol]

    def _changed(
        self, symbol: str, settings: Mapping[str, object]
    ) -> tuple[Config, tuple[SettingChange, ...]]:
        after = with_settings(self.config, symbol, settings)
        changes = differences(self.config, after, symbol)
        held = inventory(self._grid(symbol))
        if held and grid_of(after, symbol).mode is not grid_of(self.config, symbol).mode:
            raise UserError(
                "deploy.mode",
                "a grid that holds something keeps its mode",
                value=symbol,
                fix="stop it with what it holds closed (flatten), then deploy",
            )
        return after, changes

    def _terms(self, config: Config, symbol: str) -> StartGrid:
        instrument, scale = self._listed(symbol)
        number = next(at for at, one in enumerate(config.grids) if one.symbol == symbol)
        beyond = {instrument.base: self._beyond_grids(instrument)}
        grid = config.grids[number]
        return start_grid(grid, number, instrument, scale, self._run.spec.ledger_id, beyond)

    def _beyond_grids(self, instrument: Instrument) -> int:
        """Base units the account holds and no grid: what terms with `existing` inventory may sell as well."""
        if instrument.kind == LINEAR:
            return 0
        books = self._run.books()
        held = sum(
            inventory(self._grid(symbol))
            for symbol, one in books.instruments.items()
            if one.base == instrument.base
        )
        return max(0, books.balances.get(f"wallet:{instrument.base}", 0) - held)

    async def _give(
        self, start: StartGrid, changes: tuple[SettingChange, ...], operator: str, *, replaces: bool
    ) -> Answer:
        command = DeployGrid(start=start, changes=changes, operator=operator, replaces=replaces)
        position = await self._run.command(command)
        waits = self._grid(start.symbol).pending is not None
        answer = await asyncio.to_thread(decided, self._run.folder.ledger, position)
        return attrs.evolve(answer, waits=waits, changes=changes)
