"""The seeded simulation: a real core and a real session against an exchange that does everything wrong.

Law: one seed is one world: market, faults, crashes and the operator are drawn from it, time is virtual, and
the same seed ends in the same head hash.  The invariants are checked at every change on the exchange and once
more at the end, against what the exchange itself knows.

    python tests/live/chaos.py 17          replays seed 17 and prints what happened
    python tests/live/chaos.py 0 2000      soaks seeds 0 to 1999
    python tests/live/chaos.py 0 2000 3    the same worlds with other chances of their faults (the third draw)
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import structlog
from chaos_process import Process
from chaos_scene import (
    LEDGER,
    MIDDLE,
    SECOND,
    SPOT,
    STORMY,
    SYMBOL,
    T0,
    Outcome,
    Shape,
    WatchedConnector,
    drawn_anew,
    fault_rules,
)

from actors.ports import (
    SnapshotStatus,
)
from domain.codec import decode
from domain.grids.spec import GridSpec
from domain.inputs import (
    CorrectBalance,
    OpenAccount,
    OpenPortfolio,
    OrderAbsentReport,
    OrderCancelledReport,
    OrderRejectedReport,
    ResumeTrading,
    StartGrid,
)
from domain.instrument import LINEAR, ListInstrument
from domain.order_events import DifferenceFound, OrderFilled, OrderTerms
from domain.orders import ENDED, OrderStatus
from domain.record import Record
from domain.rejection import MessageRefused
from domain.risk_events import TradingPaused
from grinder.observation.alerts import Alert
from replay.exchange.desk import Desk, DeskOrder, DeskUpdate
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import ExchangeRules
from replay.faults import KINDS, FaultPlan, FaultRule
from replay.virtual_time import VirtualTimeLoop, run


class World:
    """Everything of one seed.

    Args:
        draw: which of the chances of its faults.
        more: faults beside those of the seed.
    """

    def __init__(
        self, seed: int, shape: Shape, loop: VirtualTimeLoop, draw: int = 0, more: Sequence[FaultRule] = ()
    ) -> None:
        self.seed = seed
        self.shape = shape
        self.loop = loop
        self.clock = loop.now_ns
        self.outcome = Outcome(seed=seed)
        self.chance = random.Random(sha256(f"{seed}/chaos".encode()).digest())
        self.perpetual = seed % 3 == 0
        self.instrument = attrs.evolve(SPOT, kind=LINEAR, leverage_ppm=5_000_000) if self.perpetual else SPOT
        coins = 0 if self.perpetual else 10**6
        self.balances = {"USDT": 20_000 * 10**10} | ({} if self.perpetual else {"BTC": coins})
        fee_asset = "base" if seed % 5 == 1 and not self.perpetual else "quote"
        self.desk = Desk(
            {SYMBOL: self.instrument},
            dict(self.balances),
            ExchangeRules(fee_asset=fee_asset, volume_limited=True),
            seed,
            ids_unique_for_ever=seed % 2 == 0,
        )
        rules = fault_rules(self.chance, seed % STORMY == 3)
        self.faults = FaultPlan([*drawn_anew(rules, draw), *more], seed)
        self.connector = WatchedConnector(
            self.desk, self.faults, clock=self.clock, latency_s=0.02, timeout_s=5.0
        )
        self.connector.world = self
        self.connector.limits = []
        self.sent_ids: dict[str, int] = {}
        self.lagged_ns = 0
        """Until when lists were last shown as of an earlier time."""
        self.desk.listeners.append(self.changed)
        self.planting = random.Random(sha256(f"{seed}/hand".encode()).digest())
        self.planted: dict[str, bool] = {}
        self.by_hand: list[DeskOrder] = []
        self.open: dict[str, str] = {}
        """Our open orders on the exchange: client order id -> level and purpose."""
        self.stopped = False
        self.process = Process(self, [])

    # --- what the world does ---------------------------------------------------------------------------

    def begin(self, learn: Any) -> None:
        for command in (
            OpenAccount(
                ledger_id=LEDGER, exchange="simulated", quote="USDT", decimals=(),
                balances=tuple(sorted(self.balances.items())),
            ),
            OpenPortfolio(
                session_drawdown_ppm=0, daily_drawdown_ppm=0, inventory_max=0, orders_per_minute=0,
                cash=self.balances["USDT"], holdings=() if self.perpetual else ((SYMBOL, 10**6),),
            ),
            ListInstrument(instrument=self.instrument),
            StartGrid(
                symbol=SYMBOL, symbol_index=0, ledger_id=LEDGER,
                spec=GridSpec(form="bounded", spacing="arithmetic", count=8, lots=5,
                              lower_ticks=MIDDLE - 600, upper_ticks=MIDDLE + 600),
                mode="neutral" if self.perpetual else "long",
                initial_inventory="none" if self.perpetual or self.seed % 2 else "buy",
                existing_units=0, stop_loss_ticks=0, take_profit_ticks=0, on_stop="cancel", post_only=True,
            ),
        ):  # fmt: skip
            learn(command)

    async def market(self, until_ns: int) -> None:
        """A market that wanders around the middle of the grid."""
        price = MIDDLE
        chance = random.Random(sha256(f"{self.seed}/market".encode()).digest())
        mean = int(self.shape.spacing_s * SECOND)
        while self.clock() < until_ns:
            await asyncio.sleep((1 + chance.randrange(2 * mean)) / SECOND)
            price += chance.randrange(-120, 121) - (price - MIDDLE) // 12
            took = chance.choice((1, -1))
            traded = price + took
            row = MarketRow(
                ts_ns=self.clock(), price=traded, low=traded, high=traded, qty=1 + chance.randrange(12),
                side=took, bid=price - 1, ask=price + 1, bid_qty=5 + chance.randrange(40),
                ask_qty=5 + chance.randrange(40),
            )  # fmt: skip
            self.connector.push(SYMBOL, row)

    async def crashes(self, until_ns: int) -> None:
        """Kill the program at random moments and start it again."""
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(self.chance.random() * self.shape.faults_s / 2)
            if self.clock() >= until_ns:
                return
            killed_ns = self.clock()
            rows = await self.process.kill()
            self.connector.limits = []  # what it was told last it may not have lived to write down
            self.outcome.crashes += 1
            armed = bool(self.desk.armed)
            down_s = self.chance.choice((0.5, 5.0, 90.0))
            await asyncio.sleep(down_s)
            if armed and down_s > 80:
                old = [i for i in self.open if self.created_ns(i) < killed_ns]
                self.hold(not old, f"{old} outlived the dead-man switch")
                self.outcome.topics["dead man fired"] += 1
            self.process = Process(self, rows)
            self.life = self.loop.create_task(self.process.live())

    async def hand(self, until_ns: int) -> None:
        """Somebody trades by hand on the account, and an order of a lost ledger turns up."""
        for at, client_id in enumerate(("", LEDGER + "a" * 24, "deadbeef" + "b" * 24)):
            await asyncio.sleep(self.planting.random() * self.shape.faults_s / 3)
            if self.clock() >= until_ns:
                return
            terms = OrderTerms(
                client_order_id=client_id, symbol=SYMBOL, side="buy", order_type="limit",
                time_in_force="post_only", reduce_only=False, price_ticks=MIDDLE - 100_000 - 100 * at, lots=4,
            )  # fmt: skip
            self.planted[client_id] = True
            self.by_hand.append(self.desk.place(terms, self.clock()))

    async def operator(self) -> None:
        """A person who accepts what the exchange says once the program has shown a difference."""
        seen = 0
        shown: dict[str, int] = {}
        while True:
            await asyncio.sleep(20)
            process = self.process
            rows = process.journal.rows[: process.journal.committed]
            for row in rows[seen:]:
                if row.topic == DifferenceFound.TOPIC:
                    event = decode(row.topic, row.state)
                    shown[event.subject] = event.exchange - event.books
            seen = len(rows)
            if not process.trading or not process.alive:
                continue
            still = process.session.reconciling.differences()
            for subject in [one for one in sorted(shown) if still.get(one) == shown[one]]:
                units = self.known_transfer(subject, shown.pop(subject))
                if not units:
                    continue
                correction = CorrectBalance(
                    subject=subject,
                    units=units,
                    price_ticks=MIDDLE if subject == SYMBOL else 0,
                    reason="seen on the exchange",
                    operator="ann",
                )
                process.learn(correction)
                self.outcome.topics["corrected"] += 1
            pauses = process.core.state_of("portfolio").pauses
            if "difference" in pauses.get(SYMBOL, ()):
                process.learn(ResumeTrading(reason="difference", symbol=SYMBOL, operator="ann"))

    def known_transfer(self, subject: str, delta: int) -> int:
        """What a person accepts of a difference: on a perpetual only what was really withdrawn.

        The rest is profit realised at average cost in another order of executions than the exchange's; it
        goes away by itself when the position is flat.
        """
        if not self.perpetual or subject != "USDT":
            return delta
        withdrawn = 500 * 10**10
        return (delta + withdrawn // 2) // withdrawn * withdrawn

    def alerted(self, alert: Alert) -> None:
        self.outcome.alerts[alert.kind] += 1

    # --- what must hold --------------------------------------------------------------------------------

    def hold(self, kept: bool, words: str) -> None:
        if not kept:
            now_s = (self.clock() - T0) / SECOND
            self.outcome.problems.append(f"at {now_s:.3f} s: {words}")

    def sent(self, order_id: str) -> None:
        """An order leaves the program."""
        self.hold(order_id not in self.sent_ids, f"{order_id} was sent twice")
        self.hold(not self.stopped, f"{order_id} was sent after the stop")
        self.hold(self.process.alive, f"{order_id} was sent by a dead process")
        self.hold(order_id in self.process.committed, f"{order_id} was sent before its intent was durable")
        guarded = bool(self.desk.armed) or self.process.session.dead_man.off
        self.hold(guarded, f"{order_id} was sent while the dead-man switch was not armed")
        self.sent_ids[order_id] = self.clock()

    def told(self, report: Record) -> None:
        """A report reaches the core: what it claims is held against the truth."""
        if isinstance(report, OrderAbsentReport):
            self.absent(report.client_order_id)
        elif isinstance(report, OrderCancelledReport) and report.reason == "not_found":
            self.hold(False, f"{report.client_order_id} was given up")
        elif isinstance(report, OrderCancelledReport):
            there = self.desk.find(client_order_id=report.client_order_id)
            works = there is not None and there.status is SnapshotStatus.WORKING
            self.hold(not works, f"{report.client_order_id} was called ended ({report.reason}) and works")
            booked = self.process.books().orders[report.client_order_id].filled_lots
            done = there.filled_lots if there is not None else 0
            self.hold(booked == done, f"{report.client_order_id} ended with {booked} of {done} lots booked")
        elif isinstance(report, OrderRejectedReport):
            there = self.desk.find(client_order_id=report.client_order_id)
            gone = there is None or there.reject is not None
            self.hold(gone, f"{report.client_order_id} was called refused ({report.reason}) and is {there}")

    def absent(self, order_id: str) -> None:
        """An order is called absent: it may be there only if the exchange broke its word about time.

        Either it took the order later than it may, perhaps while the last look was on its way back, or it
        showed its lists as of long ago.  Then the order is found later; `final` sees that it was cancelled.
        """
        horizon_ns = int(self.process.session.resolving.horizon_s * SECOND)
        sent_ns = self.sent_ids.get(order_id, 0)
        age_ns = self.clock() - sent_ns
        self.hold(age_ns >= horizon_ns, f"{order_id} was called absent {age_ns} ns after it was sent")
        there = self.desk.find(client_order_id=order_id)
        if there is None:
            return
        late = there.created_ns - sent_ns > horizon_ns
        lagged = self.clock() - self.lagged_ns < 3 * int(self.connector.timeout_s * SECOND)
        self.hold(late or lagged, f"{order_id} was called absent and is {there}")
        self.outcome.topics["absent and late" if late else "absent and not shown"] += 1

    def changed(self, update: DeskUpdate) -> None:
        """Something happened to an order on the exchange."""
        order_id = update.order.client_id
        if not order_id.startswith(LEDGER):
            return
        if update.status.value not in ("working", "pending"):
            self.open.pop(order_id, None)
            return
        if order_id in self.open or order_id in self.planted:
            return
        self.outcome.orders += 1
        self.open[order_id] = key = order_id[:18]
        process = self.process
        self.hold(not self.stopped, f"{order_id} was placed after the stop")
        self.hold(order_id in process.committed, f"{order_id} was placed before its intent was durable")
        if key[14:17] == "fff":
            return
        same = [one for one in self.open if self.open[one] == key]
        wanted = [one for one in same if not self.excused(one)]
        self.hold(len(wanted) <= 1, f"{len(wanted)} orders work on one level and side: {same}")

    def created_ns(self, order_id: str) -> int:
        """When an order reached the exchange; a late one may do so after its sender's death."""
        order = self.desk.find(client_order_id=order_id)
        return order.created_ns if order is not None else 0

    def excused(self, order_id: str) -> bool:
        """Whether an order may work beside another: absent by all evidence, or its cancel is under way."""
        order = self.process.books().orders.get(order_id)
        if order is None or not self.process.alive:
            return True
        return order.status in ENDED or bool(order.cancels) or self.process.session.cancelling.wants(order_id)

    def final(self) -> None:
        """Books and exchange say the same, and nothing is left open."""
        process, desk = self.process, self.desk
        books = process.books()
        for order_id, order in sorted(books.orders.items()):
            open_there = order_id in self.open
            if order.status in (OrderStatus.UNKNOWN, OrderStatus.PENDING):
                self.hold(False, f"{order_id} is still {order.status}")
            elif order.status in ENDED:
                self.hold(not open_there, f"{order_id} is {order.status} and works on the exchange")
            else:
                self.hold(open_there, f"{order_id} is {order.status} and does not work on the exchange")
        for order_id in self.open:
            self.hold(order_id in books.orders, f"{order_id} works and nobody knows it")
        per_level = Counter(key for key in self.open.values() if key[14:17] != "fff")
        for key, count in sorted(per_level.items()):
            self.hold(count == 1, f"{count} orders are left on {key}")
        theirs = Counter[str]()
        for execution in desk.executions:
            theirs[execution.order.client_id] += execution.lots
        ours: Counter[str] = Counter()
        once: set[tuple[str, str]] = set()
        for row in process.journal.rows:
            if row.topic == OrderFilled.TOPIC:
                event = decode(row.topic, row.state)
                ours[event.client_order_id] += event.lots
                self.hold((event.client_order_id, event.fill_id) not in once, f"{event.fill_id} booked twice")
                once.add((event.client_order_id, event.fill_id))
        for order_id in sorted({*theirs, *ours}):
            self.hold(
                ours[order_id] == theirs[order_id],
                f"{order_id}: booked {ours[order_id]} of {theirs[order_id]} lots",
            )
        held = books.positions.get(SYMBOL)
        there, cost_there = desk.positions().get(SYMBOL, (0, 0))
        for asset, (free, locked) in desk.totals().items():
            have, total = books.balances.get(f"wallet:{asset}", 0), free + locked
            if asset == "USDT" and self.perpetual:
                # What is realised at average cost depends on the order of executions; with the cost of what
                # is still held it does not.
                have, total = have - (held.cost if held else 0), total - cost_there
            if asset in self.balances or have:
                self.hold(have == total, f"{asset}: books {have}, exchange {total}")
        self.hold((held.units if held else 0) == there, f"position: books {held}, exchange {there}")
        for one in self.by_hand:
            if one.reject is None and one.client_id.startswith(LEDGER):
                self.hold(one.status is not SnapshotStatus.WORKING, "an orphan of ours still works")
                self.outcome.topics["orphans"] += 1
            elif one.reject is None and one.reason not in ("dead_man", "exchange"):
                self.hold(one.status is SnapshotStatus.WORKING, f"an order of others ended: {one.reason}")
        held_units = books.balances.get("wallet:BTC", 0) if not self.perpetual else there
        inventory = process.core.state_of("portfolio").symbols[SYMBOL].inventory
        self.hold(inventory == held_units, f"portfolio holds {inventory}, the account {held_units}")
        self.hold(not process.session.merger.held, "an end still waits for its executions")
        self.hold(not process.session.merger.short, "executions are missing")
        self.hold(len(desk.executions) == len(once), f"{len(desk.executions)} executions, {len(once)} booked")

    # --- the whole -------------------------------------------------------------------------------------

    async def run(self) -> Outcome:
        shape = self.shape
        faults_end = T0 + int(shape.faults_s * SECOND)
        market_end = faults_end + int(shape.calm_s * SECOND)
        self.life = self.loop.create_task(self.process.live())
        around = [
            self.loop.create_task(self.market(market_end)),
            self.loop.create_task(self.crashes(faults_end)),
            self.loop.create_task(self.operator()),
            self.loop.create_task(self.hand(faults_end)),
        ]
        await asyncio.sleep(shape.faults_s)
        await around[1]
        self.faults.stop()
        self.outcome.fired.update(self.faults.fired())
        await asyncio.sleep(shape.calm_s + shape.quiet_s)
        await around[0]
        self.final()
        await self.end()
        for task in (*around, self.life, *self.process.tasks):
            task.cancel()
        await asyncio.gather(*around, self.life, *self.process.tasks, return_exceptions=True)
        for task in (*around, self.life):
            if task.done() and not task.cancelled() and task.exception() is not None:
                self.hold(False, f"a task failed: {task.exception()!r}")
        self.count()
        return self.outcome

    async def end(self) -> None:
        """A graceful stop: nothing of ours is left, and nothing leaves any more."""
        session = self.process.session
        self.process.trading = False
        left = await session.cancel_working()
        self.hold(left == (), f"left open: {left}")
        self.hold(await session.drain(10.0), "something is still under way")
        self.hold(await session.release() and not self.desk.armed, "the dead-man switch is still armed")
        session.stop()
        self.stopped = True
        self.hold(not self.open, f"open on the exchange after the stop: {list(self.open)}")
        await asyncio.sleep(120)
        await session.close()
        await self.connector.close()

    def count(self) -> None:
        process, outcome = self.process, self.outcome
        outcome.head = process.core.chain.hex()
        outcome.records = len(process.journal.rows)
        outcome.fills = len(self.desk.executions)
        for row in process.journal.rows:
            outcome.topics[row.topic] += 1
            if row.topic == MessageRefused.TOPIC:
                event = decode(row.topic, row.state)
                outcome.refused[f"{event.topic} {event.reason}"] += 1
            elif row.topic == TradingPaused.TOPIC:
                outcome.topics["paused " + decode(row.topic, row.state).reason] += 1


def play(seed: int, shape: Shape | None = None, draw: int = 0, more: Sequence[FaultRule] = ()) -> Outcome:
    """One world from its beginning to its end."""
    return run(lambda loop: World(seed, shape or Shape(), loop, draw, more).run(), T0)


_WARM = 20
"""Worlds before memory is measured: what is loaded and cached once is no growth."""


def resident_mb() -> float:
    """Memory this process holds, in MB; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * 4_096 / 1e6


def main(words: list[str]) -> int:
    """Play one seed and show it, or many and show what went wrong."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    first, last = int(words[0]), int(words[1]) if len(words) > 1 else int(words[0]) + 1
    draw = int(words[2]) if len(words) > 2 else 0
    fired: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    bad, memory = 0, 0.0
    for seed in range(first, last):
        began = time.monotonic()
        outcome = play(seed, draw=draw)
        fired += outcome.fired
        totals["crashes"] += outcome.crashes
        totals["fills"] += outcome.fills
        totals["orders"] += outcome.orders
        for name in ("alerts", "refused", "topics"):
            totals.update(getattr(outcome, name))
        bad += bool(outcome.problems)
        for problem in outcome.problems[:5]:
            print(f"seed {seed} draw {draw}: {problem}", flush=True)
        if last - first == 1:
            print(f"head {outcome.head} in {time.monotonic() - began:.2f} s")
            for name in ("fired", "alerts", "topics", "refused"):
                print(name, dict(sorted(getattr(outcome, name).items())))
            print(f"{outcome.crashes} crashes, {outcome.orders} orders, {outcome.fills} fills")
        if seed - first == _WARM:
            memory = resident_mb()
    hours = (last - first - _WARM) * (Shape().faults_s + Shape().calm_s) / 3_600
    if hours > 0:
        print(f"memory: {(resident_mb() - memory) / hours:+.3f} MB per simulated hour over {hours:.0f} h")
    never = sorted(set(KINDS) - set(fired))
    if last - first > 1:
        print(dict(sorted(totals.items())))
        print(f"{last - first} seeds, {bad} bad; never fired: {never}; fired {dict(sorted(fired.items()))}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
