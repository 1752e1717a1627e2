"""A session between a real core and an exchange made of the test's own hands, on virtual time.

Law: the exchange here keeps orders and executions truthfully; a test says which answer is lost, late or
wrong.  No rule of the product is repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import attrs

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import (
    Capabilities,
    ExchangeError,
    InstrumentRules,
    Listener,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Permissions,
    Placed,
    PositionSnapshot,
    Quote,
    SnapshotStatus,
    Unavailable,
)
from domain.account import AccountState
from domain.codec import decode
from domain.grids.spec import GridSpec
from domain.inputs import FillReport, OpenAccount, OpenPortfolio, StartGrid, StopGrid, TickReport
from domain.instrument import Instrument, ListInstrument
from domain.order_events import OrderSubmitted, OrderTerms
from domain.orders import BUY, ENDED, MARKET
from domain.record import Record
from domain.wake import inside, joined
from grinder.live.session import LiveSession, SessionSettings
from grinder.observation.alerts import Alert
from replay.virtual_time import VirtualTimeLoop

LEDGER = "c0ffee00"
SECOND = 10**9
T0 = 1_700_000_000 * SECOND
WORKING, FILLED, CANCELLED = SnapshotStatus.WORKING, SnapshotStatus.FILLED, SnapshotStatus.CANCELLED
REJECTED, UNREADABLE = SnapshotStatus.REJECTED, SnapshotStatus.UNREADABLE

COIN = Instrument(
    symbol="COINUSD",
    kind="spot",
    base="COIN",
    quote="USD",
    tick="1",
    lot="1",
    tick_size=1,
    price_decimals=0,
    base_decimals=0,
    quote_decimals=0,
    quote_per_tick_base=1,
    base_per_lot=1,
    min_notional=0,
    maker_fee_ppm=0,
    taker_fee_ppm=0,
)
"""A lot is one coin, a tick one dollar, and nothing costs a fee."""


@attrs.define
class Held:
    """An order on the exchange."""

    terms: OrderTerms
    exchange_id: str
    status: SnapshotStatus = WORKING
    filled: int = 0
    reason: str = ""

    def snapshot(self) -> OrderSnapshot:
        terms = self.terms
        return OrderSnapshot(
            client_order_id=terms.client_order_id,
            exchange_order_id=self.exchange_id,
            symbol=terms.symbol,
            side=terms.side,
            status=self.status,
            price_ticks=terms.price_ticks,
            lots=terms.lots,
            filled_lots=self.filled,
            reason=self.reason,
        )


Answer = ExchangeError | str | None
"""What befalls one order of a request: nothing, an error (not done), or a word: ``lost`` (done, no answer),
``dropped`` (not done, no answer), ``late N`` (no answer, done after N seconds), ``received`` (done, answer
without rest)."""


class HandMadeExchange:
    """A connector on an exchange in memory."""

    name: ClassVar[str] = "handmade"
    capabilities = Capabilities(place_batch=5, cancel_batch=5, dead_man="account", dead_man_s=(5, 300))

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.listener: Listener | None = None
        self.streaming = True
        self.orders: dict[str, Held] = {}
        self.executions: list[tuple[int, FillReport]] = []
        self.coins, self.dollars = 0, 100_000
        self.rule = InstrumentRules(
            symbol="COINUSD", native="COIN-USD", kind="spot", base="COIN", quote="USD",
            tick=Decimal(1), lot=Decimal(1),
        )  # fmt: skip
        self.drift_ns = 0
        self.asked: list[tuple[int, str, str]] = []
        """Every request that reached the wire: (time, what, about which order)."""
        self.next: dict[str, list[Answer]] = {"place": [], "cancel": []}
        self.reads: dict[str, list[ExchangeError | Callable[[Any], Any] | None]] = {}
        self.omitted: list[str] = []
        self.hidden_fills = 0
        self.reconnected: list[str] = []
        self.armed: list[int] = []

    # --- what the test does ----------------------------------------------------------------------------

    def of(self, client_order_id: str) -> list[Held]:
        return [one for one in self.orders.values() if one.terms.client_order_id == client_order_id]

    def resting(self) -> list[Held]:
        return [one for one in self.orders.values() if one.status is WORKING]

    def sent(self, what: str) -> list[str]:
        """Orders that requests of a kind were about, oldest first."""
        return [about for _, kind, about in self.asked if kind == what]

    def execute(
        self, held: Held, lots: int, *, stream: str = "fill then order", fill_id: str | None = None
    ) -> FillReport:
        """Trade some of an order and tell the stream, in the order asked for (empty: nothing is told)."""
        held.filled += lots
        if held.filled == held.terms.lots:
            held.status = FILLED
        buy = held.terms.side == BUY
        self.coins += lots if buy else -lots
        self.dollars += -lots * held.terms.price_ticks if buy else lots * held.terms.price_ticks
        number = f"f{len(self.executions) + 1}" if fill_id is None else fill_id
        fill = FillReport(
            client_order_id=held.terms.client_order_id,
            exchange_order_id=held.exchange_id,
            fill_id=number,
            symbol=held.terms.symbol,
            side=held.terms.side,
            price_ticks=held.terms.price_ticks,
            lots=lots,
            liquidity="maker",
            fee_asset="USD",
            fee_units=0,
            fee_value=0,
        )
        self.executions.append((self.clock(), fill))
        for word in stream.split(" then "):
            if word == "fill":
                self.tell(fill)
            elif word == "order":
                self.tell(held.snapshot())
        return fill

    def end(self, held: Held, status: SnapshotStatus = CANCELLED, reason: str = "") -> None:
        held.status, held.reason = status, reason
        self.tell(held.snapshot())

    def tell(self, signal: Any) -> None:
        if self.listener is not None and self.streaming:
            self.listener.signal("private", signal)

    def put(self, terms: OrderTerms) -> Held:
        held = Held(terms, f"x{len(self.orders) + 1}")
        self.orders[held.exchange_id] = held
        return held

    # --- Connector -------------------------------------------------------------------------------------

    def _note(self, what: str, about: str = "") -> None:
        self.asked.append((self.clock(), what, about))

    async def _read(self, what: str, about: str, answer: Callable[[], Any]) -> Any:
        self._note(what, about)
        await asyncio.sleep(0.01)
        planned = self.reads.get(what, [])
        fault = planned.pop(0) if planned else None
        if isinstance(fault, ExchangeError):
            raise fault
        return fault(answer()) if fault is not None else answer()

    async def open(self) -> None:
        return

    async def close(self) -> None:
        return

    async def server_time_ns(self) -> int:
        return await self._read("time", "", lambda: self.clock() + self.drift_ns)

    async def permissions(self) -> Permissions:
        return Permissions(trade=True, withdraw=False)

    async def rules(self, symbols: Sequence[str]) -> dict[str, InstrumentRules]:
        return await self._read("rules", "", lambda: {"COINUSD": self.rule})

    def list_instruments(self, instruments: Any, fee_prices: Any) -> None:
        return

    def decoder(self) -> Any:
        raise NotImplementedError

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        answers: list[Placed | ExchangeError] = []
        for terms in orders:
            self._note("place", terms.client_order_id)
        await asyncio.sleep(0.01)
        slow = False
        for terms in orders:
            fault = self.next["place"].pop(0) if self.next["place"] else None
            if fault == "silent":
                slow, fault = True, "lost"
            answers.append(self._placed(terms, fault))
        if slow:
            await asyncio.sleep(3_600)
        return answers

    def _placed(self, terms: OrderTerms, fault: Answer) -> Placed | ExchangeError:
        if isinstance(fault, ExchangeError):
            return fault
        if fault == "dropped":
            return OutcomeUnknown("timeout")
        if fault is not None and fault.startswith("late "):
            asyncio.get_running_loop().call_later(float(fault.split()[1]), self._appear, terms)
            return OutcomeUnknown("timeout")
        if self.of(terms.client_order_id):
            return OrderRefused("-2010", "Duplicate order sent.")
        held = self.put(terms)
        if terms.order_type == MARKET:
            self.execute(held, terms.lots)
        if fault == "lost as duplicate":
            return OrderRefused("-2010", "Duplicate order sent.")
        if fault == "lost":
            return OutcomeUnknown("-1007", "Timeout waiting for response; execution status unknown.")
        return Placed(exchange_order_id=held.exchange_id, resting=fault != "received")

    def _appear(self, terms: OrderTerms) -> None:
        self.tell(self.put(terms).snapshot())

    async def cancel(self, orders: Sequence[OrderRef]) -> list[OrderSnapshot | ExchangeError | None]:
        for ref in orders:
            self._note("cancel", ref.client_order_id)
        await asyncio.sleep(0.01)
        return [self._cancelled(ref) for ref in orders]

    def _cancelled(self, ref: OrderRef) -> OrderSnapshot | ExchangeError | None:
        fault = self.next["cancel"].pop(0) if self.next["cancel"] else None
        if isinstance(fault, ExchangeError):
            return fault
        held = self._find(ref)
        if held is None or held.status is not WORKING:
            return OrderRefused("-2011", "Unknown order sent.")
        if fault != "dropped":
            held.status = CANCELLED
        if fault in ("lost", "dropped"):
            return OutcomeUnknown("timeout")
        return None if fault == "received" else held.snapshot()

    def _find(self, ref: OrderRef) -> Held | None:
        if ref.exchange_order_id:
            return self.orders.get(ref.exchange_order_id)
        found = self.of(ref.client_order_id)
        return found[-1] if found else None

    async def cancel_all(self, symbol: str) -> None:
        raise NotImplementedError

    async def order(self, ref: OrderRef) -> OrderSnapshot | None:
        held = lambda: self._find(ref)  # noqa: E731
        return await self._read(
            "order", ref.client_order_id, lambda: one.snapshot() if (one := held()) is not None else None
        )

    async def open_orders(self) -> list[OrderSnapshot]:
        return await self._read(
            "open_orders",
            "",
            lambda: [one.snapshot() for one in self.resting() if one.exchange_id not in self.omitted],
        )

    async def fills(self, symbol: str, since_ns: int) -> list[FillReport]:
        return await self._read(
            "fills", "", lambda: [fill for at, fill in self.executions if at >= since_ns][:None]
        )

    async def balances(self) -> dict[str, Decimal]:
        return await self._read(
            "balances", "", lambda: {"COIN": Decimal(self.coins), "USD": Decimal(self.dollars)}
        )

    async def positions(self) -> list[PositionSnapshot]:
        return []

    async def arm_dead_man(self, seconds: int) -> None:
        self._note("dead_man", str(seconds))
        self.armed.append(seconds)

    async def listen(self, listener: Listener) -> None:
        self.listener = listener
        await asyncio.Event().wait()

    def reconnect(self, stream: str) -> None:
        self.reconnected.append(stream)
        self.streaming = True
        if self.listener is not None:
            self.listener.stream_down(stream, "reconnect")
            self.listener.stream_up(stream)


class Rig:
    """A core, its journal, a session and an exchange."""

    def __init__(self, **settings: Any) -> None:
        self.loop = asyncio.get_running_loop()
        self.exchange = HandMadeExchange(self.clock)
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        self.alerts: list[Alert] = []
        self.settings = SessionSettings(
            **{"ledger_id": LEDGER, "quote_pause_s": 0, "quote_cancel_s": 0, **settings}
        )
        self.session = self._session()
        self.running: asyncio.Task[None] | None = None
        self.ticking: asyncio.Task[None] | None = None
        self.price = 0

    def clock(self) -> int:
        return T0 + int(self.loop.time() * SECOND)

    def books(self) -> AccountState:
        state: AccountState = self.core.state_of("account")
        return state

    def _session(self) -> LiveSession:
        return LiveSession(
            self.exchange, self.books, self.learn, self.clock, self.settings, self.alerts.append
        )  # type: ignore[arg-type]

    def learn(self, report: Record) -> None:
        self.core.learn(report, self.clock())
        self.session.learned(report)
        intents = self.core.take_intents()
        if intents:
            self.loop.call_soon(self._commit, self.session, intents)

    def _commit(self, session: LiveSession, intents: list[Record]) -> None:
        """A group is on disk: its intents leave, unless the process died in between."""
        if session is self.session:
            self.journal.commit()
            for intent in intents:
                session.submit(intent, self.clock())

    # --- setting up ------------------------------------------------------------------------------------

    async def start(self, *, price: int = 105, levels: int = 3, lots: int = 10) -> None:
        """Open the books, start a grid of buys below the price, and let it place them."""
        for command in (
            OpenAccount(
                ledger_id=LEDGER, exchange="handmade", quote="USD", decimals=(),
                balances=(("COIN", 0), ("USD", 100_000)),
            ),
            OpenPortfolio(
                session_drawdown_ppm=0, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0,
                cash=100_000,
            ),
            ListInstrument(instrument=COIN),
            StartGrid(
                symbol="COINUSD", symbol_index=0, ledger_id=LEDGER,
                spec=GridSpec(form="bounded", spacing="arithmetic", count=levels, lots=lots,
                              lower_ticks=90, upper_ticks=90 + 5 * levels),
                mode="long", initial_inventory="none", existing_units=0, stop_loss_ticks=0,
                take_profit_ticks=0, on_stop="cancel", post_only=True,
            ),
        ):  # fmt: skip
            self.learn(command)
        await self.begin()
        self.tick(price)
        await asyncio.sleep(0.1)

    async def begin(self) -> None:
        """Bring the session up: listen, open, reconcile, run."""
        self.exchange.listener = self.session
        self.session.stream_up("private")
        await self.session.open()
        await self.session.reconcile("start")
        self.running = self.loop.create_task(self.session.run())
        if self.ticking is None:
            self.ticking = self.loop.create_task(self._tick())

    async def _tick(self) -> None:
        """The market stands still; the core is told so whenever it wants to know."""
        while True:
            await asyncio.sleep(0.5)
            wake = joined(*self.core.wake_of("COINUSD"))
            if self.price and inside(wake, self.clock(), self.price):
                self.tick(self.price)

    def tick(self, price: int) -> None:
        self.price = price
        self.learn(TickReport(symbol="COINUSD", price_ticks=price))

    async def die(self) -> None:
        """The process dies: what it was doing stops where it is."""
        self.session.stop()
        if self.running is not None:
            self.running.cancel()
        await asyncio.sleep(0)
        self.exchange.listener = None

    async def reborn(self, **settings: Any) -> None:
        """A new process: the core rebuilt from the journal, a new session, reconciled."""
        rows, self.journal = self.journal.rows, MemoryJournal()
        self.core = Core(self.journal)
        for row in rows:
            if row.cause == row.position:
                self.core.learn(decode(row.topic, row.state), row.ts_ns)
        self.core.take_intents()
        self.journal.commit()
        assert [row.chain for row in rows] == [row.chain for row in self.journal.rows]
        self.settings = attrs.evolve(self.settings, **settings)
        self.session = self._session()
        await self.begin()

    def stop_grid(self) -> None:
        self.learn(StopGrid(symbol="COINUSD", on_stop="cancel", reason="operator"))

    # --- looking ---------------------------------------------------------------------------------------

    def records(self, topic: str) -> list[Any]:
        """Every record of a class so far, by its name without the version."""
        return [decode(row.topic, row.state) for row in self.journal.rows if row.topic.split("/")[0] == topic]

    def ids(self) -> list[str]:
        """Orders that left the core, oldest first."""
        return [one.terms.client_order_id for one in self.records("OrderSubmitted")]

    def status(self, client_order_id: str) -> str:
        return str(self.books().orders[client_order_id].status.value)

    def kinds(self) -> list[str]:
        return [alert.kind for alert in self.alerts]

    def check(self) -> None:
        """What must hold at any moment."""
        places = self.exchange.sent("place")
        assert len(places) == len(set(places)), "an order was sent twice"
        committed = {
            decode(row.topic, row.state).terms.client_order_id
            for row in self.journal.rows[: self.journal.committed]
            if row.topic == OrderSubmitted.TOPIC
        }
        assert set(places) <= committed, "an order left before its intent was durable"


def play(story: Callable[[Rig], Coroutine[Any, Any, None]], **settings: Any) -> Rig:
    """Run a test's story on virtual time; the rig comes back for more questions."""
    made: list[Rig] = []

    async def whole() -> None:
        rig = Rig(**settings)
        made.append(rig)
        async with asyncio.timeout(24 * 3_600):
            await story(rig)
        rig.check()
        await rig.session.close()
        if rig.ticking is not None:
            rig.ticking.cancel()
            await asyncio.gather(rig.ticking, return_exceptions=True)
        if rig.running is not None:
            rig.running.cancel()
            if rig.running.done() and not rig.running.cancelled():
                rig.running.result()

    loop = VirtualTimeLoop()
    try:
        loop.run_until_complete(whole())
    finally:
        loop.close()
    return made[0]


__all__ = ["BUY", "COIN", "ENDED", "LEDGER", "Quote", "Rig", "Unavailable", "play"]
