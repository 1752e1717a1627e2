"""Small live runs with a tape: a core and a gate on a real loop, a market that comes as frames.

Law: frames are read by a decoder of our own, so nothing here knows an exchange; the ledger and the tape are
real files, written as a live run writes them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import attrs
from small_ledgers import config, write_ledger

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import Capabilities, Decoder, Gap, Quote, Signal
from actors.records import LedgerRow
from domain.inputs import FillReport, OrderAcceptedReport
from domain.instrument import Instrument, value
from domain.notes import RunReport, TapeSegmentReport
from domain.order_events import CancelSubmitted, OrderSubmitted, OrderTerms
from domain.orders import ENDED
from domain.record import Record
from grinder.live.gate import Gate
from grinder.live.listening import Dispatcher
from grinder.opening import build_opening
from grinder.tape.layout import FOLDER
from grinder.tape.listening import GateTape
from grinder.tape.writer import TapeSettings, TapeWriter

SYMBOL = "BTCUSDT"
PRIVATE = "private"
START_NS = 1_700_000_000 * 10**9


class TinyDecoder:
    """Frames of a made-up exchange: ``{"q":[bid,ask]}`` or ``{"fill":{...}}``; a sequence number in each."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        try:
            said = json.loads(frame)
        except ValueError:
            return [Gap(stream=stream, detail=repr(frame[:40]))]
        expected = self._last.get(stream, said["n"] - 1) + 1
        self._last[stream] = said["n"]
        if said["n"] != expected:
            return [Gap(stream=stream, detail="a number is missing")]
        if "q" in said:
            bid, ask = said["q"]
            return [
                Quote(
                    symbol=SYMBOL,
                    bid_ticks=bid,
                    ask_ticks=ask,
                    bid_lots=1,
                    ask_lots=1,
                    exchange_ns=0,
                    received_ns=received_ns,
                )
            ]
        return [FillReport(**said["fill"])]


class TinySource:
    """A `Source` without a connector."""

    def __init__(self, exchange: str = "tiny") -> None:
        assert exchange == "tiny"
        self.instruments: dict[str, Instrument] = {}

    def relist(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        self.instruments = dict(instruments)

    def decoder(self) -> Decoder:
        assert self.instruments
        return TinyDecoder()


class TinyConnector(TinySource):
    """The same as a connector of the registry; it opens nothing."""

    name = "tiny"
    capabilities = Capabilities()

    def __init__(self, endpoint: object, credentials: object, clock: object) -> None:
        super().__init__()

    def list_instruments(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        self.relist(instruments, fee_prices)


class Session:
    """Answers intents at once, as REST would, and passes on the executions of the private stream."""

    def __init__(self, run: LiveTape) -> None:
        self.run = run
        self.working: dict[str, OrderTerms] = {}

    def submit(self, intent: Record) -> None:
        if isinstance(intent, OrderSubmitted):
            self.working[intent.terms.client_order_id] = intent.terms
            number = f"x{len(self.working)}-{intent.terms.client_order_id[:6]}"
            self.run.learn(
                OrderAcceptedReport(client_order_id=intent.terms.client_order_id, exchange_order_id=number)
            )
        elif isinstance(intent, CancelSubmitted):
            self.working.pop(intent.client_order_id, None)

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None: ...

    def signal(self, stream: str, signal: Signal) -> None:
        if isinstance(signal, FillReport):
            self.run.learn(signal)

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None: ...

    def stream_down(self, stream: str, reason: str) -> None: ...


class LiveTape:
    """One process: begins or goes on with a ledger, hears frames, ends in order or not."""

    def __init__(self, folder: Path, settings: TapeSettings, rows: Iterable[LedgerRow] = ()) -> None:
        self.folder = folder
        self.now_ns = START_NS
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        for row in rows:
            if row.cause == row.position:
                from domain.codec import decode

                self.core.learn(decode(row.topic, row.state), row.ts_ns)
                self.core.take_intents()
                self.now_ns = row.ts_ns
        self.reports: list[TapeSegmentReport] = []
        self.session = Session(self)
        for order_id, order in self.core.state_of("account").orders.items():
            if order.status not in ENDED:
                self.session.working[order_id] = OrderTerms(
                    client_order_id=order_id,
                    symbol=SYMBOL,
                    side=order.side,
                    order_type="limit",
                    time_in_force="post_only",
                    reduce_only=False,
                    price_ticks=order.price_ticks,
                    lots=order.lots,
                )
        self.gate = Gate(self.core, self.learn, self.clock, [SYMBOL])
        self.learn(RunReport(phase="started", mode="live", program="test", detail=""))
        if not self.core.state_of("account").opened:
            scales = {SYMBOL: (Decimal("0.1"), Decimal("0.001"))}
            for command in build_opening(config(), scales, "00000001").commands:
                self.learn(command)
        self.writer = TapeWriter(
            folder / FOLDER,
            "tiny",
            self.clock(),
            self.core.position,
            sealed=self.reports.append,
            settings=settings,
        )
        self.tape = GateTape(self.writer, self.gate, self.core)
        self.dispatcher = Dispatcher(self.session, self.gate, self.tape)
        self.decoder = TinyDecoder()
        self.numbers: dict[str, int] = {}
        self.gate.open()

    def clock(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    def learn(self, report: Record) -> int:
        position = self.core.learn(report, self.clock())
        for intent in self.core.take_intents():
            asyncio.get_running_loop().call_soon(self.session.submit, intent)
        self.gate.learned(report)
        return position

    def hear(self, stream: str, said: dict[str, object]) -> None:
        """A frame arrives."""
        number = self.numbers[stream] = self.numbers.get(stream, 0) + 1
        self.raw(stream, json.dumps({**said, "n": number}).encode())

    def raw(self, stream: str, frame: bytes) -> None:
        received_ns = self.clock()
        self.dispatcher.frame(stream, frame, received_ns)
        for signal in self.decoder.decode(stream, frame, received_ns):
            self.dispatcher.signal(stream, signal)

    def price(self, ticks: int) -> None:
        """Half a minute later: a quote around a price, and what it fills."""
        self.now_ns += 30 * 10**9
        self.hear("public", {"q": [ticks - 1, ticks + 1]})
        for order_id, terms in list(self.session.working.items()):
            is_buy = terms.side == "buy"
            at = terms.price_ticks or ticks
            if (is_buy and ticks <= at) or (not is_buy and ticks >= at):
                self.hear(PRIVATE, {"fill": self.fill_of(order_id, terms, at)})

    def fill_of(self, order_id: str, terms: OrderTerms, at: int) -> dict[str, object]:
        del self.session.working[order_id]
        order = self.core.state_of("account").orders[order_id]
        instrument = self.core.state_of("account").instruments[SYMBOL]
        worth = value(instrument, at, terms.lots * instrument.base_per_lot)
        return {
            "client_order_id": order_id,
            "exchange_order_id": order.exchange_order_id,
            "fill_id": f"f{order_id[-10:]}",
            "symbol": SYMBOL,
            "side": terms.side,
            "price_ticks": at,
            "lots": terms.lots,
            "liquidity": "maker",
            "fee_asset": "USDT",
            "fee_units": worth // 10_000,
            "fee_value": worth // 10_000,
        }

    def close(self) -> None:
        """End in order; what the writer sealed is learned."""
        self.gate.close()
        assert self.tape.close()
        self._learn_segments()
        self.learn(RunReport(phase="stopped", mode="live", program="test", detail=""))

    def crash(self) -> None:
        """End as a kill does: the thread's files stay as they are."""
        self.writer._actor._actor_weakref()._store.seal = lambda: None  # type: ignore[union-attr]
        self.writer._queue.clear()
        self.writer._actor.stop(block=True)

    def _learn_segments(self) -> None:
        for report in self.reports:
            self.learn(report)
        self.reports.clear()

    async def settle(self) -> None:
        """Let the loop do everything that is ready."""
        for _ in range(20):
            await asyncio.sleep(0)
        self._learn_segments()


@attrs.frozen
class Recorded:
    """A folder with a ledger and a tape, and how many frames were heard."""

    path: Path
    rows: list[LedgerRow]
    heard: int


ALWAYS_NS = 10**18
QUICK = TapeSettings(flush_s=0.01, segment_ns=ALWAYS_NS)


def walk(seed: int, size: int, start: int = 610_000) -> Iterator[int]:
    """Prices that cross levels."""
    chance = random.Random(seed)
    price = start
    for _ in range(size):
        price += chance.randrange(-900, 901)
        price = min(max(price, 601_000), 619_000)
        yield price


async def hear_market(live: LiveTape, prices: Iterable[int], seed: int = 1) -> int:
    """Frames in bursts, so that the gate coalesces some of them; a frame nobody can read among them."""
    chance = random.Random(seed)
    heard = 0
    for price in prices:
        live.price(price)
        heard += 1
        if chance.random() < 0.6:
            await live.settle()
        if chance.random() < 0.02:
            live.raw("public", b"\xff\xfe not a frame \n\x00")
    await live.settle()
    return heard


def record(folder: Path, size: int = 300, seed: int = 1, settings: TapeSettings = QUICK) -> Recorded:
    """A run that ended in order."""

    async def go() -> LiveTape:
        live = LiveTape(folder, settings)
        await hear_market(live, walk(seed, size), seed)
        live.close()
        return live

    live = asyncio.run(go())
    write_ledger(folder / "ledger.db", live.journal.rows)
    return Recorded(folder, live.journal.rows, live.writer.frames)
