"""The desk: an exchange with a memory, against figures computed by hand and against random operations."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import BTC, SECOND, T0, USDT, desk_at, instrument, quoted, terms, traded
from worlds import QUICK

from actors.ports import SnapshotStatus
from domain.instrument import notional
from replay.exchange.desk import Desk, DeskOrder, DeskUpdate
from replay.exchange.desk_view import DeskView
from replay.exchange.rolling import MarketRow, quote_row, trade_row
from replay.exchange.rules import ExchangeRules, FillModel, Reject

TAKE: dict[str, Any] = {"order_type": "market", "time_in_force": "ioc"}


def told(desk: Desk) -> list[DeskUpdate]:
    heard: list[DeskUpdate] = []
    desk.listeners.append(heard.append)
    return heard


def placed(desk: Desk, *asked: Any, now_ns: int = T0, **changes: Any) -> DeskOrder:
    order = desk.place(terms(*asked, **changes), now_ns)
    assert order.reject is None, order.reject
    return order


# --- the life of an order ------------------------------------------------------------------------------


def test_an_order_rests_is_executed_at_its_price_and_charged_the_maker_fee() -> None:
    desk = desk_at()
    heard = told(desk)
    order = placed(desk, "a", "buy", 609_000, 10)
    assert order.status is SnapshotStatus.WORKING
    worth = 60_900 * USDT * 10 // 1000
    assert desk.totals()["USDT"] == (10_000 * USDT - worth - worth // 10_000, worth + worth // 10_000)
    traded(desk, 609_000, 50, T0 + SECOND)
    assert [one.kind for one in heard] == ["new", "fill"]
    assert [one.status for one in heard] == [SnapshotStatus.WORKING, SnapshotStatus.FILLED]
    execution = desk.executions[0]
    assert (execution.number, execution.price_ticks, execution.lots) == (1, 609_000, 10)
    assert (execution.liquidity, execution.fee_asset, execution.fee_units) == (
        "maker",
        "USDT",
        worth // 10_000,
    )
    assert desk.totals() == {"BTC": (1_010, 0), "USDT": (10_000 * USDT - worth - worth // 10_000, 0)}


def test_a_market_order_takes_at_the_other_side_and_pays_the_taker_fee() -> None:
    desk = desk_at()
    order = placed(desk, "a", "sell", 1, 10, **TAKE)
    assert (order.status, order.filled_lots) == (SnapshotStatus.FILLED, 10)
    assert desk.executions[0].price_ticks == 609_990
    assert desk.executions[0].liquidity == "taker"
    assert desk.executions[0].fee_units == desk.executions[0].fee_value == order.filled_value * 5 // 10_000


def test_what_an_ioc_order_does_not_get_expires() -> None:
    desk = desk_at(rules=ExchangeRules(volume_limited=True))
    quoted(desk, 609_990, 610_010, size=4)
    heard = told(desk)
    order = placed(desk, "a", "buy", 610_010, 10, time_in_force="ioc")
    assert [one.kind for one in heard] == ["new", "fill", "expired"]
    assert (order.status, order.filled_lots) == (SnapshotStatus.EXPIRED, 4)


def test_partial_fills_are_limited_by_what_traded() -> None:
    desk = desk_at(rules=ExchangeRules(volume_limited=True))
    order = placed(desk, "a", "buy", 609_000, 10)
    traded(desk, 609_000, 3)
    assert (order.status, order.filled_lots) == (SnapshotStatus.WORKING, 3)
    traded(desk, 608_000, 100)
    assert [one.lots for one in desk.executions] == [3, 7]
    assert [one.filled_lots for one in desk.executions] == [3, 10]


@pytest.mark.parametrize(
    ("model", "at", "filled"),
    [
        (FillModel.TOUCH, 609_000, 10),
        (FillModel.THROUGH, 609_000, 0),
        (FillModel.THROUGH, 608_999, 10),
        (FillModel.QUEUE, 609_000, 0),
        (FillModel.QUEUE, 608_999, 10),
    ],
)
def test_live_rows_fill_by_the_models_of_backtests(model: FillModel, at: int, filled: int) -> None:
    desk = desk_at(bid=609_000, ask=610_000, rules=ExchangeRules(model=model))
    order = placed(desk, "a", "buy", 609_000, 10)
    traded(desk, at, 100)
    assert order.filled_lots == filled


def test_the_queue_before_an_order_is_used_up_by_what_trades_at_its_price() -> None:
    desk = desk_at(bid=609_000, ask=610_000, rules=ExchangeRules(model=FillModel.QUEUE))
    order = placed(desk, "a", "buy", 609_000, 10)
    traded(desk, 609_000, 4_990)
    assert order.filled_lots == 0
    traded(desk, 609_000, 15)
    assert order.filled_lots == 5


@pytest.mark.parametrize(
    ("where", "asset", "rules"),
    [
        ("base", "BTC", {}),
        ("BNB", "BNB", {"fee_asset_price": 600 * USDT}),
    ],
)
def test_fees_are_charged_in_base_or_a_third_asset(where: str, asset: str, rules: dict[str, Any]) -> None:
    one = instrument(base_decimals=8, base_per_lot=10**5, quote_decimals=9, quote_per_tick_base=1)
    balances = {"USDT": 10**13, "BNB": 10**8}
    desk = desk_at(one=one, rules=ExchangeRules(fee_asset=where, **rules), balances=balances)
    placed(desk, "a", "buy", 620_000, 10, time_in_force="gtc")
    execution = desk.executions[0]
    assert execution.fee_asset == asset
    assert execution.fee_units > 0
    assert desk.wallet.total[asset] == balances.get(asset, 0) + (
        10 * 10**5 - execution.fee_units if asset == "BTC" else -execution.fee_units
    )


REFUSALS: list[tuple[str, Reject, dict[str, Any]]] = [
    ("a symbol nobody listed", Reject.UNKNOWN_SYMBOL, {"symbol": "NONE"}),
    ("a price of nothing", Reject.PRICE_FILTER, {"price_ticks": 0}),
    ("no lots", Reject.LOT_SIZE, {"lots": 0}),
    ("a value below the minimum", Reject.NOTIONAL, {"price_ticks": 10, "lots": 1}),
    ("a post-only order that would take", Reject.WOULD_TAKE, {"price_ticks": 610_010}),
    ("more than the money", Reject.BALANCE, {"lots": 200}),
    ("an id that is in use", Reject.DUPLICATE, {"client_order_id": "known"}),
    ("a reduce-only buy of spot", Reject.REDUCE_ONLY, {"reduce_only": True}),
]


@pytest.mark.parametrize(("reject", "changes"), [r[1:] for r in REFUSALS], ids=[r[0] for r in REFUSALS])
def test_a_refused_order_says_why_and_leaves_no_trace(reject: Reject, changes: dict[str, Any]) -> None:
    desk = desk_at()
    placed(desk, "known", "buy", 500_000, 1)
    heard, before = told(desk), desk.totals()
    order = desk.place(attrs.evolve(terms("a", "buy", 600_000, 10), **changes), T0)
    assert order.reject is reject
    assert order.status is SnapshotStatus.REJECTED
    assert order.exchange_id == ""
    assert heard == []
    assert list(desk.orders) == ["1"]
    assert desk.totals() == before


def test_a_taking_buy_needs_the_taker_fee_as_well() -> None:
    worth = 61_001 * USDT // 100
    exact = desk_at(balances={"USDT": worth + worth * 5 // 10_000})
    assert exact.place(terms("a", "buy", 1, 10, **TAKE), T0).reject is None
    assert exact.totals()["USDT"] == (0, 0)
    short = desk_at(balances={"USDT": worth + worth * 5 // 10_000 - 1})
    assert short.place(terms("a", "buy", 1, 10, **TAKE), T0).reject is Reject.BALANCE


def test_refusals_that_a_protocol_shows_are_kept_with_an_id() -> None:
    desk = desk_at()
    desk.store_rejects = frozenset({Reject.WOULD_TAKE})
    heard = told(desk)
    order = desk.place(terms("a", "buy", 620_000, 10), T0)
    assert (order.exchange_id, order.reject) == ("1", Reject.WOULD_TAKE)
    assert [(one.kind, one.status) for one in heard] == [("rejected", SnapshotStatus.REJECTED)]
    assert desk.find(client_order_id="a") is order


def test_an_order_of_somebody_else_has_no_client_id() -> None:
    desk = desk_at()
    first, second = (placed(desk, "", "buy", 600_000, 1) for _ in range(2))
    assert desk.open_orders() == [first, second]
    assert desk.find(client_order_id="") is None
    assert desk.find(exchange_order_id=second.exchange_id) is second


@pytest.mark.parametrize("forever", [True, False])
def test_client_ids_are_unique_for_ever_or_among_open_orders(forever: bool) -> None:
    desk = desk_at(ids_unique_for_ever=forever)
    first = placed(desk, "a", "buy", 600_000, 1)
    assert desk.place(terms("a", "buy", 600_000, 1), T0).reject is Reject.DUPLICATE
    desk.cancel(first, T0)
    again = desk.place(terms("a", "buy", 600_000, 1), T0)
    assert again.reject is (Reject.DUPLICATE if forever else None)
    newest = desk.find(client_order_id="a")
    assert newest is (first if forever else again)


def test_a_cancel_ends_an_open_order_once_and_frees_its_money() -> None:
    desk = desk_at()
    heard = told(desk)
    order = placed(desk, "a", "buy", 600_000, 10)
    assert desk.cancel(order, T0 + 5, "delisted")
    assert (order.status, order.reason, order.updated_ns) == (SnapshotStatus.CANCELLED, "delisted", T0 + 5)
    assert desk.totals()["USDT"] == (10_000 * USDT, 0)
    assert not desk.cancel(order, T0 + 6)
    assert [one.kind for one in heard] == ["new", "cancelled"]


def test_the_number_of_open_orders_can_be_limited_and_a_symbol_closed() -> None:
    desk = desk_at()
    desk.max_open_orders = 2
    for number in range(2):
        placed(desk, str(number), "buy", 600_000, 1)
    assert desk.place(terms("c", "buy", 600_000, 1), T0).reject is Reject.MAX_ORDERS
    assert desk.place(terms("d", "sell", 1, 10, **TAKE), T0).reject is None
    desk.set_trading(BTC, False)
    assert desk.place(terms("e", "buy", 600_000, 1), T0).reject is Reject.MARKET_CLOSED


# --- amending ------------------------------------------------------------------------------------------


def test_a_smaller_quantity_keeps_the_queue_place_and_a_larger_one_loses_it() -> None:
    rules = ExchangeRules(model=FillModel.QUEUE)
    for lots, filled in ((5, 5), (20, 0)):
        desk = desk_at(bid=609_000, ask=610_000, rules=rules)
        order = placed(desk, "a", "buy", 609_000, 10)
        traded(desk, 609_000, 4_000)
        assert desk.amend(order, 609_000, lots, T0) is None
        assert order.lots == lots
        traded(desk, 609_000, 1_010)
        assert order.filled_lots == filled


def test_an_amend_is_refused_when_it_would_take_is_too_small_or_not_covered() -> None:
    desk = desk_at()
    order = placed(desk, "a", "buy", 609_000, 10)
    locked = desk.totals()
    assert desk.amend(order, 610_010, 10, T0) is Reject.WOULD_TAKE
    assert desk.amend(order, 609_000, 0, T0) is Reject.LOT_SIZE
    assert desk.amend(order, 0, 10, T0) is Reject.PRICE_FILTER
    assert desk.amend(order, 10, 10, T0) is Reject.NOTIONAL
    assert desk.amend(order, 609_000, 500, T0) is Reject.BALANCE
    assert (order.price_ticks, order.lots, desk.totals()) == (609_000, 10, locked)
    assert desk.amend(order, 608_000, 160, T0) is None, "what the order locks itself is free for it"
    desk.cancel(order, T0)
    assert desk.amend(order, 608_000, 10, T0) is Reject.UNKNOWN_ORDER


# --- perpetuals ----------------------------------------------------------------------------------------


def perpetual(**options: Any) -> Desk:
    one = instrument(kind="linear", leverage_ppm=5_000_000)
    return desk_at(one=one, balances={"USDT": 1_000 * USDT}, **options)


def test_a_perpetual_needs_margin_and_reduces_only_what_is_held() -> None:
    desk = perpetual()
    assert desk.place(terms("a", "buy", 609_000, 100), T0).reject is Reject.MARGIN
    placed(desk, "b", "buy", 609_000, 20)
    traded(desk, 608_000, 100)
    assert desk.positions() == {BTC: (20, 20 * 60_900 * USDT // 1_000)}
    assert desk.place(terms("c", "sell", 620_000, 21, reduce_only=True), T0).reject is Reject.REDUCE_ONLY
    assert desk.place(terms("d", "sell", 620_000, 20, reduce_only=True), T0).reject is None


def test_a_reduce_only_order_ends_when_nothing_is_left_to_reduce() -> None:
    desk = perpetual()
    placed(desk, "b", "buy", 609_000, 20)
    traded(desk, 608_000, 100)
    resting = placed(desk, "c", "sell", 620_000, 20, reduce_only=True)
    placed(desk, "d", "sell", 1, 20, reduce_only=True, **TAKE)
    traded(desk, 621_000, 100)
    assert (resting.status, resting.reason) == (SnapshotStatus.CANCELLED, "reduce_only")


def test_funding_is_paid_at_its_times() -> None:
    interval = 8 * 3600 * SECOND
    desk = perpetual(rules=ExchangeRules(funding={BTC: (100, interval)}))
    heard: list[Any] = []
    desk.funding_listeners.append(lambda report, now_ns: heard.append((report.units, now_ns)))
    placed(desk, "b", "buy", 1, 10, **TAKE)
    desk.tick(T0)
    due = (T0 // interval + 1) * interval
    desk.tick(due - 1)
    assert heard == []
    desk.tick(due)
    desk.tick(due + 1)
    worth = notional(desk.instruments[BTC], desk.quote(BTC).price, 10)  # type: ignore[union-attr]
    assert heard == [(-(worth * 100 // 1_000_000), due)]
    assert [one.units for one in desk.funding] == [heard[0][0]]


# --- account, filters, time ----------------------------------------------------------------------------


def test_deposits_and_withdrawals_change_what_is_free() -> None:
    desk = desk_at()
    placed(desk, "a", "buy", 600_000, 100)
    free, locked = desk.totals()["USDT"]
    desk.deposit("USDT", 5 * USDT)
    desk.deposit("ETH", 7)
    assert desk.totals()["USDT"] == (free + 5 * USDT, locked)
    desk.deposit("USDT", -free)
    with pytest.raises(ValueError, match="are free"):
        desk.deposit("USDT", -6 * USDT)
    assert desk.decimals("USDT") == 8
    assert desk.decimals("BTC") == 3
    assert desk.totals()["ETH"] == (7, 0)


def test_filters_grow_while_resting_orders_stay() -> None:
    desk = desk_at()
    order = placed(desk, "a", "buy", 600_003, 11)
    desk.replace_instrument(instrument(tick="0.5", lot="0.002", min_notional=50 * USDT, maker_fee_ppm=200))
    assert (desk.filters[BTC].tick, desk.filters[BTC].lot) == ("0.5", "0.002")
    assert desk.instruments[BTC].tick == "0.1", "the scale stays"
    worth = 600_003 * 11 * 10**4
    assert desk.totals()["USDT"][1] == worth + -(-worth * 200 // 1_000_000)
    assert desk.place(terms("b", "buy", 600_003, 10), T0).reject is Reject.PRICE_FILTER
    assert desk.place(terms("c", "buy", 600_005, 11), T0).reject is Reject.LOT_SIZE
    assert desk.place(terms("d", "buy", 5_000, 10), T0).reject is Reject.NOTIONAL
    assert desk.place(terms("e", "buy", 600_005, 10), T0).reject is None
    assert desk.amend(order, 600_004, 10, T0) is Reject.PRICE_FILTER
    desk.cancel(order, T0)


@pytest.mark.parametrize(
    "changes", [{"tick": "0.15"}, {"lot": "0.0005"}, {"quote": "EUR"}, {"quote_decimals": 9}]
)
def test_filters_that_do_not_fit_the_scale_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        desk_at().replace_instrument(instrument(**changes))


def test_a_dead_man_cancels_everything_unless_armed_again_or_disarmed() -> None:
    desk = desk_at()
    order = placed(desk, "a", "buy", 600_000, 1)
    desk.arm(10, T0)
    desk.arm(10, T0 + 9 * SECOND)
    assert desk.tick(T0 + 18 * SECOND) == []
    assert desk.tick(T0 + 19 * SECOND) == [order]
    assert order.reason == "dead_man"
    other = placed(desk, "b", "buy", 600_000, 1)
    desk.arm(10, T0, "OTHER")
    desk.arm(10, T0)
    desk.arm(0, T0)
    assert desk.tick(T0 + 100 * SECOND) == []
    assert other.status is SnapshotStatus.WORKING


def test_orders_and_executions_beyond_a_number_are_forgotten_and_open_ones_never() -> None:
    desk = desk_at(remembered=5)
    kept = placed(desk, "kept", "buy", 500_000, 1)
    for number in range(30):
        placed(desk, str(number), "sell", 1, 1, **TAKE)
        placed(desk, f"b{number}", "buy", 1, 1, **TAKE)
    assert len(desk.orders) == 6
    assert desk.find(client_order_id="kept") is kept
    assert desk.find(client_order_id="0") is None
    assert len(desk.executions) <= 15
    assert desk.executions[-1].number == 60
    assert desk.place(terms("0", "buy", 500_000, 1), T0).reject is None


# --- views of earlier times ----------------------------------------------------------------------------


def test_a_view_of_an_earlier_time_answers_as_it_would_have_then() -> None:
    desk = desk_at()
    placed(desk, "a", "buy", 609_000, 10, now_ns=T0 + 10 * SECOND)
    traded(desk, 608_000, 100, T0 + 20 * SECOND)
    seen = {at: DeskView(desk, T0 + at * SECOND) for at in (5, 15, 25)}
    assert seen[5].find(client_order_id="a") is None
    assert seen[5].open_orders() == []
    middle = seen[15].find(client_order_id="a")
    assert middle is not None
    assert (middle.status, middle.filled_lots, middle.filled_value) == (SnapshotStatus.WORKING, 0, 0)
    assert [one.client_id for one in seen[15].open_orders(BTC)] == ["a"]
    assert seen[15].executions() == []
    last = seen[25].find(exchange_order_id="1")
    assert last is not None
    assert last.status is SnapshotStatus.FILLED
    assert len(seen[25].executions(BTC)) == 1
    assert [one.client_id for one in DeskView(desk).orders()] == ["a"]


# --- another life --------------------------------------------------------------------------------------


def test_restored_orders_rest_with_their_ids_and_are_filled_for_the_rest() -> None:
    desk = desk_at()
    desk.start_numbers(order=40, execution=9)
    desk.restore(terms("a", "buy", 609_000, 10), exchange_order_id="41", filled_lots=4, now_ns=T0)
    traded(desk, 608_000, 100)
    order = desk.orders["41"]
    assert (order.filled_lots, order.status) == (10, SnapshotStatus.FILLED)
    assert [(one.number, one.lots, one.filled_lots) for one in desk.executions] == [(10, 6, 10)]
    assert placed(desk, "b", "buy", 600_000, 1).exchange_id == "42"
    with pytest.raises(ValueError, match="nothing left"):
        desk.restore(terms("c", "buy", 609_000, 10), exchange_order_id="50", filled_lots=10, now_ns=T0)
    with pytest.raises(ValueError, match="in use"):
        desk.restore(terms("c", "buy", 609_000, 10), exchange_order_id="42", filled_lots=1, now_ns=T0)


def test_rows_without_quotes_or_sizes_fill_by_the_price_alone() -> None:
    desk = Desk({BTC: instrument()}, {"USDT": 10_000 * USDT}, ExchangeRules(volume_limited=True))
    assert desk.place(terms("z", "buy", 600_000, 1), T0).reject is Reject.UNKNOWN_SYMBOL, "no market yet"
    desk.on_row(BTC, MarketRow(ts_ns=T0, price=610_000, low=610_000, high=610_000, qty=5))
    order = placed(desk, "a", "buy", 610_000, 10)
    desk.on_row(BTC, trade_row(T0, 609_000, 4, -1))
    assert order.filled_lots == 4


# --- random operations ---------------------------------------------------------------------------------


class RandomTrading:
    """A seeded customer who places, cancels, amends, deposits and lets the market move."""

    def __init__(self, seed: int, linear: bool, rules: ExchangeRules) -> None:
        self.chance = random.Random(seed)
        one = instrument(kind="linear", leverage_ppm=3_000_000) if linear else instrument()
        self.desk = desk_at(one=one, rules=rules)
        self.updates = told(self.desk)
        self.price = 610_000
        self.number = 0

    def step(self, at: int) -> None:
        draw = self.chance.randrange
        desk, now_ns = self.desk, T0 + at * SECOND
        what = draw(12)
        if what < 5:
            self.number += 1
            side = "buy" if draw(2) else "sell"
            changes: dict[str, Any] = {"time_in_force": ("post_only", "gtc", "ioc")[draw(3)]}
            if draw(6) == 0:
                changes = dict(TAKE)
            changes["reduce_only"] = draw(5) == 0
            client = "" if draw(8) == 0 else str(draw(self.number + 1))
            desk.place(terms(client, side, self.price + draw(2_000) - 1_000, 1 + draw(40), **changes), now_ns)
        elif what < 7 and desk.open_orders():
            found = desk.open_orders()
            order = found[draw(len(found))]
            if draw(2):
                desk.cancel(order, now_ns)
            else:
                desk.amend(order, self.price + draw(1_000) - 500, 1 + draw(40), now_ns)
        elif what == 7:
            desk.deposit(("USDT", "BTC")[draw(2)], draw(1_000))
        elif what == 8:
            free = desk.wallet.free("BTC")
            desk.deposit("BTC", -draw(max(1, free)) // 10 if free > 0 else 0)
        else:
            self.price = max(1_000, self.price + draw(1_600) - 800)
            if draw(2):
                quoted(desk, self.price - 10, self.price + 10, now_ns, 1 + draw(50))
            else:
                traded(desk, self.price, 1 + draw(60), now_ns)


MODELS = st.sampled_from(list(FillModel))


@QUICK
@given(seed=st.integers(0, 10**6), linear=st.booleans(), model=MODELS, limited=st.booleans())
def test_wallets_orders_and_executions_agree_whatever_is_done(
    seed: int, linear: bool, model: FillModel, limited: bool
) -> None:
    trading = RandomTrading(seed, linear, ExchangeRules(model=model, volume_limited=limited))
    desk = trading.desk
    for at in range(120):
        trading.step(at)
        locked: Counter[str] = Counter()
        for order in desk.open_orders():
            assert order.status is SnapshotStatus.WORKING
            assert 0 <= order.filled_lots < order.lots
            if not linear:
                left = order.lots - order.filled_lots
                asset, units = desk.wallet.lock_for(
                    desk.instruments[BTC], order.terms.side, order.price_ticks, left
                )
                locked[asset] += units
        for asset, (free, held) in desk.totals().items():
            assert free + held == desk.wallet.total.get(asset, 0)
            assert held == locked[asset] >= 0
            # Fees round up at each part of an order; what is locked for them rounds up once.
            assert linear or free >= -len(desk.executions)
    filled: Counter[str] = Counter()
    worth: Counter[str] = Counter()
    for execution in desk.executions:
        filled[execution.order.exchange_id] += execution.lots
        worth[execution.order.exchange_id] += notional(
            desk.instruments[BTC], execution.price_ticks, execution.lots
        )
    for key, order in desk.orders.items():
        assert order.filled_lots == filled[key] <= order.lots
        assert order.filled_value == worth[key]
        assert (order.status is SnapshotStatus.FILLED) == (order.filled_lots == order.lots)
    assert [one.number for one in desk.executions] == list(range(1, len(desk.executions) + 1))
    ends = Counter(
        one.order.exchange_id for one in trading.updates if one.status is not SnapshotStatus.WORKING
    )
    assert all(count == 1 for count in ends.values()), "an order ends once"


def test_the_same_seed_gives_the_same_account() -> None:
    def story() -> Any:
        trading = RandomTrading(7, False, ExchangeRules())
        for at in range(300):
            trading.step(at)
        updates = [(one.kind, one.order.exchange_id, one.filled_lots) for one in trading.updates]
        return trading.desk.totals(), updates

    assert story() == story()


def test_quotes_move_the_best_prices_and_keep_the_last_trade() -> None:
    desk = desk_at()
    desk.on_row(BTC, trade_row(T0, 610_010, 5, 1, desk.quote(BTC)))
    desk.on_row(BTC, quote_row(T0, 609_900, 609_910, 1, 2, last=610_010))
    row = desk.quote(BTC)
    assert row is not None
    assert (row.bid, row.ask, row.price, row.is_trade) == (609_900, 609_910, 610_010, False)
    assert desk.quote("NONE") is None
