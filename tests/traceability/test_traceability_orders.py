"""The path of an order through whole runs on the simulated exchange, read from the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import market_files as files
import numpy as np
import pytest
from market_files import FORMATS
from markets import Run, opening, trades
from small_ledgers import ledger_rows, run_into, trades_file
from worlds import COIN, SECOND, bounded, start_grid

from actors.records import LedgerRow
from domain.codec import decode
from domain.orders import OrderStatus
from grinder.data import DataArgument, load
from grinder.ledger.verify import verify
from replay.backtest import Backtest
from replay.exchange.rules import ExchangeRules
from replay.ticks import Ticks


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[LedgerRow]:
    folder = tmp_path_factory.mktemp("orders")
    run_into(folder / "run", trades_file(folder / "trades.csv", 8_000))
    return ledger_rows(folder / "run" / "ledger.db")


def test_no_order_leaves_without_a_record_that_risk_allowed_exactly_it(rows: list[LedgerRow]) -> None:
    by_position = {row.position: row for row in rows}
    orders = [row for row in rows if row.topic == "OrderSubmitted/1"]
    assert len(orders) > 20
    for row in orders:
        allowed = by_position[row.cause]
        assert (allowed.stream, allowed.topic) == ("portfolio", "OrderAllowed/1")
        order: Any = decode(row.topic, row.state)
        permit: Any = decode(allowed.topic, allowed.state)
        assert order.terms == permit.terms
    assert len({row.cause for row in orders}) == len(orders), "one permit, one order"


def test_a_file_of_trades_is_told_tick_by_tick_and_the_chain_over_every_decision_holds(
    tmp_path: Path,
) -> None:
    data = trades_file(tmp_path / "trades.csv", 3_000)
    result = run_into(tmp_path / "run", data)
    assert verify(tmp_path / "run" / "ledger.db", result.head).ok
    told = [
        decode(row.topic, row.state)
        for row in ledger_rows(tmp_path / "run" / "ledger.db")
        if row.topic == "TickReport/1"
    ]
    lines = data.read_text().splitlines()[1:]
    prices = {int(line.split(",")[1].replace(".", "")) for line in lines}
    assert result.ticks == len(lines)
    assert told
    assert {one.price_ticks for one in told} <= prices  # type: ignore[attr-defined]


def test_an_order_is_placed_acknowledged_filled_and_another_cancelled_on_the_exchange() -> None:
    grid = start_grid(COIN.symbol, bounded(90, 110, 2), stop_loss_ticks=96, on_stop="cancel")
    balances = {"USD": 10**6}
    market = {COIN.symbol: trades(COIN.symbol, [105, 105, 100, 105, 96, 96, 96])}
    commands = opening([COIN], balances, [grid])
    run = Run(Backtest, [COIN], market, balances, commands, ExchangeRules(order_latency_ns=SECOND // 10))
    told: dict[str, list[str]] = {}
    for row in run.rows:
        event: Any = decode(row.topic, row.state)
        order_id = getattr(event, "client_order_id", "") or getattr(
            getattr(event, "terms", None), "client_order_id", ""
        )
        if row.stream == "account" and order_id:
            told.setdefault(order_id, []).append(row.topic.partition("/")[0])
    filled, cancelled, closing = told.values()
    assert filled == ["OrderSubmitted", "OrderAccepted", "OrderFilled"]
    assert cancelled == closing == ["OrderSubmitted", "OrderAccepted", "CancelSubmitted", "OrderClosed"]
    statuses = [one.status for one in run.core.state_of("account").orders.values()]
    assert sorted(statuses) == sorted([OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.CANCELLED])
    assert run.exchange.books[COIN.symbol].by_id == {}


def test_a_whole_cycle_runs_on_the_simulated_exchange_without_any_credential() -> None:
    # Buys 3 at 100 and sells them at 110; the fees are a thousandth of each side, rounded up.
    one = attrs.evolve(COIN, maker_fee_ppm=1_000, taker_fee_ppm=1_000)
    balances = {"USD": 10_000}
    grid = start_grid(one.symbol, bounded(100, 110, 1, lots=3))
    market = {one.symbol: trades(one.symbol, [105, 100, 110])}
    run = Run(Backtest, [one], market, balances, opening([one], balances, [grid]))
    fills = [(x.side, x.price_ticks, x.lots, x.fee_units) for x in run.said("OrderFilled")]
    assert fills == [("buy", 100, 3, 1), ("sell", 110, 3, 1)]
    assert run.exchange.wallet.total["USD"] == 10_000 + 30 - 2
    again = Run(Backtest, [one], market, balances, opening([one], balances, [grid]))
    assert [x.chain for x in again.rows] == [x.chain for x in run.rows]


@pytest.mark.parametrize("what", FORMATS)
def test_every_format_becomes_rows_of_one_schema(tmp_path: Path, what: str) -> None:
    path = files.write(tmp_path, FORMATS[what][0]())
    # A file of several symbols is taken with all it holds; of any other the symbol is said.
    several = b"AAAUSDT" in path.read_bytes()
    made = load([DataArgument(path, None if several else "X")], symbols={}, default_symbol=None)
    assert len(made) == 1 + several
    for ticks in made.values():
        assert isinstance(ticks, Ticks)
        optional = (ticks.qty, ticks.side, ticks.bid, ticks.ask, ticks.bid_qty, ticks.ask_qty)
        for column in (ticks.ts, ticks.price, ticks.low, ticks.high, *optional):
            assert column is None or (column.dtype == np.int64 and len(column) == len(ticks.ts) > 0)
        assert (ticks.ts[1:] >= ticks.ts[:-1]).all()
        assert (ticks.price > 0).all()
