"""Funding that was exchanged while nobody listened: fetched, booked once, and no difference to anybody."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "connectors"))

from contract import DeskStage, stage_of

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import Connector, Quote, Signal
from actors.records import LedgerRow
from domain.account import AccountState
from domain.codec import decode
from domain.grids.spec import GridSpec
from domain.inputs import OpenAccount, OpenPortfolio, StartClock, StartGrid, TickReport
from domain.instrument import ListInstrument
from domain.record import Record
from grinder.live.session import LiveSession, SessionSettings
from grinder.observation.alerts import Alert
from projections.pnl_rows import TOTAL
from projections.record import LedgerRecord
from projections.registry import apply_all, fresh

BTC = "BTCUSDT"
LEDGER = "c0ffee00"
NS = 10**9
OPENING = 100_000 * NS
PERPETUALS = ("binance-usdm", "bybit-linear", "okx-swap", "simulated-linear")


class Life:
    """One process: a core on the records of the lives before it, a connector of its own, a session."""

    def __init__(self, stage: DeskStage, rows: Iterable[LedgerRow], **settings: Any) -> None:
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        for row in rows:
            if row.cause == row.position:
                self.core.learn(decode(row.topic, row.state), row.ts_ns)
        self.core.take_intents()
        self.journal.commit()
        self.alerts: list[Alert] = []
        self.known_ns = self.core.now_ns - 600 * NS if self.journal.rows else time.time_ns()
        self.connector: Connector = stage.connector()
        self.stage = stage
        given = {"start_difference_s": 0.5, "difference_s": 0.5, "fill_grace_s": 0.05, **settings}
        opened = [row.ts_ns for row in self.journal.rows if row.topic == OpenAccount.TOPIC]
        self.settings = SessionSettings(
            ledger_id=LEDGER,
            known_until_ns=self.known_ns,
            opened_ns=opened[0] if opened else time.time_ns(),
            quote_pause_s=0,
            quote_cancel_s=0,
            **given,
        )
        self.session = LiveSession(
            self.connector, self.books, self.learn, time.time_ns, self.settings, self.alerts.append
        )
        self.tasks: list[asyncio.Task[None]] = []

    def books(self) -> AccountState:
        state: AccountState = self.core.state_of("account")
        return state

    def learn(self, report: Record) -> None:
        self.core.learn(report, time.time_ns())
        intents = self.core.take_intents()
        self.journal.commit()
        loop = asyncio.get_running_loop()
        for intent in intents:
            loop.call_soon(self.session.submit, intent, time.time_ns())

    # --- the streams' side -----------------------------------------------------------------------------

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        """There is no tape."""

    def signal(self, stream: str, signal: Signal) -> None:
        if not isinstance(signal, Quote):
            self.session.signal(stream, signal)

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        self.session.stream_up(stream)

    def stream_down(self, stream: str, reason: str) -> None:
        self.session.stream_down(stream, reason)

    # --- its life --------------------------------------------------------------------------------------

    async def begin(self) -> None:
        await self.connector.open()
        if not self.journal.rows:
            self._open_books()
        self.connector.list_instruments({BTC: self.stage.instrument}, {})
        await self.session.open()
        self.tasks.append(asyncio.create_task(self.connector.listen(self)))
        await self.session.reconcile("start")
        self.tasks.append(asyncio.create_task(self.session.run()))

    def _open_books(self) -> None:
        instrument, price = self.stage.instrument, self.stage.price_ticks
        for command in (
            OpenAccount(
                ledger_id=LEDGER, exchange="any", quote="USDT", decimals=(("BTC", 8), ("USDT", 9)),
                balances=(("USDT", OPENING),),
            ),
            OpenPortfolio(
                session_drawdown_ppm=0, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0,
                cash=OPENING,
            ),
            StartClock(mark_interval_ns=3_600 * NS),
            ListInstrument(instrument=instrument),
            StartGrid(
                symbol=BTC, symbol_index=0, ledger_id=LEDGER,
                spec=GridSpec(form="bounded", spacing="arithmetic", count=4, lots=5,
                              lower_ticks=price - 20_000, upper_ticks=price + 20_000),
                mode="long", initial_inventory="buy", existing_units=0, stop_loss_ticks=0,
                take_profit_ticks=0, on_stop="cancel", post_only=True,
            ),
        ):  # fmt: skip
            self.learn(command)

    async def hold_a_position(self) -> None:
        """Let the grid buy what it starts with."""
        self.learn(TickReport(symbol=BTC, price_ticks=self.stage.price_ticks + 5))
        await until(lambda: BTC in self.books().positions and self.books().positions[BTC].units > 0)
        await until(self.agrees)

    async def die(self) -> None:
        self.session.stop()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        await self.session.close()
        await self.connector.close()

    # --- looking ---------------------------------------------------------------------------------------

    def records(self, name: str) -> list[Any]:
        rows = [row for row in self.journal.rows if row.topic.partition("/")[0] == name]
        return [decode(row.topic, row.state) for row in rows]

    def wallet(self) -> int:
        return self.books().balances["wallet:USDT"]

    def agrees(self) -> bool:
        """Whether books and exchange hold the same money."""
        return self.wallet() == sum(self.stage.desk.totals()["USDT"])

    def residual(self) -> Any:
        """What the parts of profit and loss leave unexplained."""
        view = fresh()
        apply_all(
            view,
            [
                LedgerRecord(row.position, row.stream, row.version, row.topic, row.ts_ns, row.cause,
                             decode(row.topic, row.state))
                for row in self.journal.rows
            ],
        )  # fmt: skip
        total = view.of(TOTAL).get(1)
        assert total is not None
        return total["funding"], total["identity_residual"]


async def until(holds: Callable[[], bool], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def exchange(name: str) -> AsyncIterator[DeskStage]:
    stage = stage_of(name)
    assert isinstance(stage, DeskStage)
    stage.desk.rules.funding[BTC] = (10_000, 10**18)  # a percent: a hundredth of that is no difference yet
    await stage.open()
    await stage.quote(stage.price_ticks, stage.price_ticks + 10)
    try:
        yield stage
    finally:
        await stage.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(40):
            await test()

    asyncio.run(bounded())


@pytest.mark.parametrize("name", PERPETUALS)
def test_funding_exchanged_while_no_process_ran_is_booked_once_and_is_no_difference(name: str) -> None:
    async def test() -> None:
        async with exchange(name) as stage:
            first = Life(stage, ())
            await first.begin()
            await first.hold_a_position()
            await first.die()
            await stage.pay_funding()
            assert not first.agrees()

            second = Life(stage, first.journal.rows)
            await second.begin()
            (paid,) = second.records("FundingPaid")
            assert paid.units == stage.desk.funding[0].units < 0
            assert second.agrees()
            assert not second.records("DifferenceFound")
            assert "difference" not in [alert.kind for alert in second.alerts]
            for cause in ("reconnect", "operator", "periodic"):
                assert (await second.session.reconcile(cause)).complete
            await second.die()

            third = Life(stage, second.journal.rows)
            await third.begin()
            assert len(third.records("FundingPaid")) == 1
            assert not third.records("Rejected"), "the same payment is not even told twice"
            funding, residual = third.residual()
            assert funding < 0
            assert residual == 0
            await third.die()

    run(test)


@pytest.mark.parametrize("name", PERPETUALS)
def test_funding_told_by_the_stream_and_by_the_list_is_booked_once(name: str) -> None:
    async def test() -> None:
        async with exchange(name) as stage:
            life = Life(stage, ())
            await life.begin()
            await life.hold_a_position()
            await stage.pay_funding()
            await until(lambda: len(life.records("FundingPaid")) == 1)
            assert (await life.session.reconcile("reconnect")).complete
            life.connector.reconnect("")
            await asyncio.sleep(0.5)
            assert (await life.session.reconcile("operator")).complete
            assert len(life.records("FundingReport")) == len(life.records("FundingPaid")) == 1
            assert life.agrees()
            await life.die()

    run(test)


@pytest.mark.parametrize("name", PERPETUALS)
def test_funding_the_stream_was_down_for_is_booked_after_the_reconnect(name: str) -> None:
    async def test() -> None:
        async with exchange(name) as stage:
            life = Life(stage, ())
            await life.begin()
            await life.hold_a_position()
            listening = life.tasks.pop(0)
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            await stage.pay_funding()
            await asyncio.sleep(0.1)
            assert not life.records("FundingPaid")
            life.tasks.append(asyncio.create_task(life.connector.listen(life)))
            await until(lambda: len(life.records("FundingPaid")) == 1)
            await until(life.agrees)
            assert not life.records("DifferenceFound")
            await life.die()

    run(test)


@pytest.mark.parametrize("name", PERPETUALS)
def test_funding_from_before_the_books_were_opened_is_in_the_opening_balance_already(name: str) -> None:
    async def test() -> None:
        async with exchange(name) as stage:
            stage.desk.wallet.position[BTC] = 10**6  # somebody held it before
            await stage.pay_funding()
            del stage.desk.wallet.position[BTC]
            stage.desk.deposit("USDT", OPENING - sum(stage.desk.totals()["USDT"]))
            await asyncio.sleep(0.01)
            life = Life(stage, ())
            await life.begin()
            assert not life.records("FundingPaid")
            assert life.agrees()
            await life.die()

    run(test)


def test_a_payment_the_stream_never_told_of_is_found_as_soon_as_an_amount_differs() -> None:
    async def test() -> None:
        async with exchange("simulated-linear") as stage:
            life = Life(stage, (), difference_s=60.0)
            await life.begin()
            await life.hold_a_position()
            stage.desk.funding_listeners.clear()
            await stage.pay_funding()
            assert (await life.session.reconcile("periodic")).complete
            assert not life.records("FundingPaid"), "every minute's look asks for no funding while all agrees"
            assert (await life.session.reconcile("periodic")).complete
            assert len(life.records("FundingPaid")) == 1
            assert life.agrees()
            assert not life.records("DifferenceFound")
            await life.die()

    run(test)


def test_where_funding_cannot_be_listed_it_is_a_difference_as_it_must_be() -> None:
    async def test() -> None:
        async with exchange("simulated-linear") as stage:
            first = Life(stage, ())
            await first.begin()
            await first.hold_a_position()
            await first.die()
            await stage.pay_funding()
            second = Life(stage, first.journal.rows)
            cannot = attrs.evolve(second.connector.capabilities, fundings=False)
            second.connector.capabilities = cannot  # type: ignore[misc]
            await second.begin()
            assert not second.records("FundingPaid")
            (found,) = second.records("DifferenceFound")
            assert (found.subject, found.exchange - found.books) == ("USDT", stage.desk.funding[0].units)
            await second.die()

    run(test)
