"""Small runs of the real core over synthetic markets, for the tests of projections and views."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from actors.core import Core
from actors.journal import MemoryJournal
from actors.records import LedgerRow
from actors.runtime import Runtime
from domain.codec import decode
from domain.grids.spec import BOUNDED, GridSpec
from domain.inputs import OpenAccount, OpenPortfolio, StartClock, StartGrid
from domain.instrument import LINEAR, PPM, SPOT, Instrument, ListInstrument, value
from domain.notes import DecisionReport
from domain.record import Record
from projections.record import LedgerRecord
from projections.registry import apply_all, fresh, is_read
from projections.view import View
from replay.backtest import Backtest
from replay.exchange.rules import ExchangeRules
from replay.exchange.session import SimulatedExchange
from replay.ticks import TickOrigin, Ticks

SECOND = 10**9
HOUR = 3600 * SECOND
START = 1_700_000_000 * SECOND
QUOTE_UNIT = 10**6


def instrument(symbol: str = "BTCUSDT", kind: str = SPOT, leverage: int = 1) -> Instrument:
    """Price in 0.1, lots of 0.01, base units of 0.0001, quote units of 0.000001."""
    return Instrument(
        symbol=symbol,
        kind=kind,
        base=symbol.removesuffix("USDT"),
        quote="USDT",
        tick="0.1",
        lot="0.01",
        tick_size=1,
        price_decimals=1,
        base_decimals=4,
        quote_decimals=6,
        quote_per_tick_base=10,
        base_per_lot=100,
        min_notional=5 * QUOTE_UNIT,
        maker_fee_ppm=1000,
        taker_fee_ppm=2000,
        leverage_ppm=leverage * PPM,
    )


def ticks(
    prices: Sequence[int],
    symbol: str = "BTCUSDT",
    step_ns: int = 60 * SECOND,
    lots: int | None = None,
    start_ns: int = START,
) -> Ticks:
    """Trades at these prices; `lots` gives every row a quantity."""
    price = np.array(prices, dtype=np.int64)
    ts = start_ns + step_ns * np.arange(len(price), dtype=np.int64)
    qty = None if lots is None else np.full(len(price), lots, dtype=np.int64)
    return Ticks(symbol=symbol, origin=TickOrigin.TRADES, ts=ts, price=price, low=price, high=price, qty=qty)


def walk(seed: int, rows: int, start: int = 1000, step: int = 8) -> list[int]:
    """A bounded random walk in ticks."""
    chance, price, out = random.Random(seed), start, []
    for _ in range(rows):
        price = min(max(price + chance.randint(-step, step), start // 2), start * 2)
        out.append(price)
    return out


def start_grid(
    rules: Instrument,
    index: int = 0,
    *,
    mode: str = "long",
    initial_inventory: str = "none",
    existing_units: int = 0,
    lower: int = 900,
    upper: int = 1100,
    count: int = 10,
    lots: int = 100,
    **changes: object,
) -> StartGrid:
    spec = GridSpec(
        spacing="arithmetic", form=BOUNDED, count=count, lower_ticks=lower, upper_ticks=upper, lots=lots
    )
    fields: dict[str, object] = {
        "stop_loss_ticks": 0,
        "take_profit_ticks": 0,
        "on_stop": "cancel",
        "post_only": True,
        **changes,
    }
    return StartGrid(
        symbol=rules.symbol,
        symbol_index=index,
        ledger_id="0a1b2c3d",
        spec=spec,
        mode=mode,
        initial_inventory=initial_inventory,
        existing_units=existing_units,
        **fields,  # type: ignore[arg-type]
    )


class SmallRun:
    """A run under way: the core with its records, the backtest that drives it."""

    def __init__(
        self,
        markets: dict[str, Ticks],
        rules: Sequence[Instrument],
        grids: Sequence[StartGrid],
        *,
        exchange: ExchangeRules | None = None,
        base: dict[str, int] | None = None,
        quote_units: int = 100_000 * QUOTE_UNIT,
        fee_units: int = 0,
        mark_interval_ns: int = HOUR,
        clock: bool = True,
        **limits: int,
    ) -> None:
        exchange = exchange or ExchangeRules()
        held = base or {}
        listed = {one.symbol: one for one in rules}
        third = exchange.fee_asset not in ("quote", "base")
        balances = [("USDT", quote_units), *((listed[s].base, units) for s, units in held.items())]
        decimals = [("USDT", 6), *((one.base, one.base_decimals) for one in rules)]
        prices: list[tuple[str, int]] = []
        cash = quote_units
        if third:
            balances.append((exchange.fee_asset, fee_units))
            decimals.append((exchange.fee_asset, exchange.fee_asset_decimals))
            prices.append((exchange.fee_asset, exchange.fee_asset_price))
            cash += fee_units * exchange.fee_asset_price // 10**exchange.fee_asset_decimals
        self.journal = MemoryJournal()
        self.core = Core(self.journal)
        self.exchange = SimulatedExchange(listed, markets, dict(balances), exchange)
        self.backtest = Backtest(Runtime(self.core, self.exchange), self.exchange, markets)
        caps = {
            "session_drawdown_ppm": 0,
            "daily_drawdown_ppm": 0,
            "inventory_max": 0,
            "orders_per_minute": 0,
        }
        commands: list[Record] = [
            OpenAccount(
                ledger_id="0a1b2c3d",
                exchange="simulated",
                quote="USDT",
                decimals=tuple(decimals),
                balances=tuple(balances),
                fixed_prices=tuple(prices),
            ),
            OpenPortfolio(**{**caps, **limits}, cash=cash, holdings=tuple(held.items())),
            *(ListInstrument(instrument=one) for one in rules),
            *([StartClock(mark_interval_ns=mark_interval_ns)] if clock else []),
            *grids,
        ]
        self.backtest.open(commands)

    def run(self) -> SmallRun:
        self.backtest.run()
        return self

    @property
    def rows(self) -> list[LedgerRow]:
        return self.journal.rows


def record_of(row: LedgerRow) -> LedgerRecord:
    """A row as projections are given it."""
    event = decode(row.topic, row.state) if is_read(row.topic) else None
    return LedgerRecord(row.position, row.stream, row.version, row.topic, row.ts_ns, row.cause, event)


def project(rows: Sequence[LedgerRow], view: View | None = None) -> View:
    """Rows applied to a view."""
    view = view or fresh()
    apply_all(view, [record_of(row) for row in rows])
    return view


def worth(rules: Instrument, price: int, units: int) -> int:
    return value(rules, price, units)


def long_spot(seed: int = 1, rows: int = 600, fee_asset: str = "quote", **more: object) -> SmallRun:
    """A long grid on spot, fees in a chosen asset, stocked at the market."""
    rules = instrument()
    exchange = ExchangeRules(fee_asset=fee_asset, fee_asset_price=600 * QUOTE_UNIT, volume_limited=True)
    return SmallRun(
        {"BTCUSDT": ticks(walk(seed, rows), lots=37)},
        [rules],
        [start_grid(rules, initial_inventory="buy")],
        exchange=exchange,
        fee_units=10 * 10**8,
        **more,  # type: ignore[arg-type]
    )


def neutral_linear(seed: int = 1, rows: int = 900, **more: object) -> SmallRun:
    """A neutral grid on a perpetual with funding every two hours."""
    rules = instrument(kind=LINEAR, leverage=5)
    exchange = ExchangeRules(funding={"BTCUSDT": (100, 2 * HOUR)}, volume_limited=True)
    return SmallRun(
        {"BTCUSDT": ticks(walk(seed, rows), lots=61)},
        [rules],
        [start_grid(rules, mode="neutral")],
        exchange=exchange,
        **more,  # type: ignore[arg-type]
    )


def decision(**changes: object) -> DecisionReport:
    """A decision to buy a quarter, as somebody was given it."""
    fields: dict[str, object] = {
        "symbol": "BTCUSDT",
        "action": "LONG",
        "direction": "long",
        "size_ppm": 250_000,
        "confidence_ppm": 710_000,
        "stop_share_ppm": 8_000,
        "target_share_ppm": 12_000,
        "price": "100.0",
        "policy": "rules",
        "fallback": "model.none",
        "votes": (
            ("strategic", "long 0.75", "long", 800_000),
            ("tactical", "enter, stop 2 ATR, scale 1", "long", 600_000),
            ("risk", "none, multiplier 1", "neutral", 500_000),
        ),
        "reasons": (("vote.won", "long has 0.71, and 0.65 suffice."), ("model.none", "The rules decide.")),
        "gates": (),
        "schema_hash": "a" * 64,
        "observation_hash": "b" * 64,
        "operator": "anna",
    }
    return DecisionReport(**{**fields, **changes})  # type: ignore[arg-type]


def decided(run: SmallRun) -> SmallRun:
    """A run in whose middle three decisions were asked for."""
    blocked = {"action": "BLOCKED", "size_ppm": 0, "gates": ("kill switch (MANUAL)",), "operator": "otto"}
    for hours, one in ((2, decision()), (4, decision(action="HOLD", size_ppm=0)), (6, decision(**blocked))):
        while run.backtest.step(START + hours * HOUR):
            pass
        run.backtest.runtime.learn(one, run.backtest.now_ns)
    return run
