"""Average cost: increasing, reducing, and flipping through zero."""

from __future__ import annotations

from decimal import Decimal

import pytest
from small_runs import instrument

from domain.instrument import LINEAR, InstrumentListed
from domain.order_events import OrderFilled
from domain.risk_events import InventoryChanged, PortfolioOpened
from projections.inventory import POSITIONS
from projections.record import LedgerRecord
from projections.registry import apply_all, fresh
from projections.view import Row, View

LOT = 100


def filled(number: int, price: int, lots: int) -> OrderFilled:
    """A fill of signed lots at a price in ticks."""
    side = "buy" if lots > 0 else "sell"
    return OrderFilled(
        client_order_id=f"0a1b2c3d00000000{1 if lots > 0 else 2}{number:015x}",
        fill_id=f"f{number}",
        symbol="BTCUSDT",
        side=side,
        order_price_ticks=price,
        price_ticks=price,
        lots=abs(lots),
        filled_lots=abs(lots),
        unfilled_lots=0,
        status="filled",
        late=False,
        liquidity="maker",
        fee_asset="USDT",
        fee_units=0,
        fee_value=0,
        base_units=lots * LOT,
        cash_units=-price * lots * LOT * 10,
        realised=0,
        postings=(),
    )


def after(fills: list[tuple[int, int]], held: int = 0, mark: int | None = None) -> Row:
    """The position after (price, signed lots) fills and a last mark."""
    view: View = fresh()
    events: list[tuple[str, object]] = [
        (
            "portfolio",
            PortfolioOpened(
                session_drawdown_ppm=0,
                daily_drawdown_ppm=0,
                inventory_max=0,
                orders_per_minute=0,
                cash=0,
                holdings=(("BTCUSDT", held),),
            ),
        ),
        ("portfolio", InstrumentListed(instrument=instrument(kind=LINEAR))),
    ]
    inventory = held
    for number, (price, lots) in enumerate(fills):
        events.append(("account", filled(number, price, lots)))
        inventory += lots * LOT
        last = mark if mark is not None and number == len(fills) - 1 else price
        changed = InventoryChanged(
            symbol="BTCUSDT",
            side="buy",
            inventory=inventory,
            cash=0,
            price_ticks=last,
            resting_released=0,
            resting_lots_released=0,
        )
        events.append(("portfolio", changed))
    records = [
        LedgerRecord(at, stream, at, "", at, at, event) for at, (stream, event) in enumerate(events, start=1)
    ]
    apply_all(view, records)
    row = view.of(POSITIONS).get("BTCUSDT")
    assert row is not None
    return dict(row)


@pytest.mark.parametrize(
    ("fills", "mark", "quantity", "average", "realised", "unrealised"),
    [
        pytest.param([(1000, 100), (1200, 100)], 1300, "2", "110", "0", "40", id="two buys average"),
        pytest.param(
            [(1000, 100), (1200, -40)], 1100, "0.6", "100", "8", "6", id="a sale realises its share"
        ),
        pytest.param([(1000, 100), (1200, -100)], 1500, "0", "0", "20", "0", id="closing leaves nothing"),
        pytest.param(
            [(1000, 100), (1200, -250)], 1100, "-1.5", "120", "20", "15", id="a flip opens at its price"
        ),
        pytest.param(
            [(1000, -100), (900, 300), (950, -50)], 960, "1.5", "90", "12.5", "9", id="short, flip, reduce"
        ),
        pytest.param(
            [(1000, 1), (1001, 1), (1003, 1)], 1000, "0.03", "100.133", "0", "-0.004", id="rounded average"
        ),
    ],
)
def test_average_cost(
    fills: list[tuple[int, int]], mark: int, quantity: str, average: str, realised: str, unrealised: str
) -> None:
    row = after(fills, mark=mark)
    assert row["quantity"] == Decimal(quantity)
    assert row["avg_entry_price"] == Decimal(average)
    assert row["realized_pnl"] == Decimal(realised)
    assert row["unrealized_pnl"] == Decimal(unrealised)
    assert row["mark_price"] == Decimal(mark) / 10


def test_an_opening_holding_costs_its_first_price() -> None:
    row = after([(1000, 100)], held=200 * LOT)
    assert row["total_invested"] == 300
    assert row["avg_entry_price"] == 100
    assert row["unrealized_pnl"] == 0


def test_no_money_is_lost_to_rounding_however_a_position_is_closed() -> None:
    fills = [(1000, 3), (1001, 4), (1007, -1), (1009, -1), (1013, -2), (1020, -3)]
    row = after(fills)
    assert row["quantity"] == 0
    assert row["total_invested"] == 0
    assert row["realized_pnl"] == sum(Decimal(-price * lots) / 1000 for price, lots in fills)
