"""Bybit's recorded payloads, and broken ones, through the parsing, the decoder and the table of codes."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import ccxt
import pytest
from bybit_world import instrument
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    Gap,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Quote,
    RateLimited,
    Signal,
    SnapshotStatus,
    Trade,
    Unavailable,
)
from domain.inputs import FillReport, FundingReport
from grinder.connectors.bybit import errors, parsing
from grinder.connectors.bybit.decoder import BybitDecoder
from grinder.connectors.bybit.wire import _Signing
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.endpoint import Endpoint
from grinder.secrets import Credentials

FIXTURES = Path(__file__).resolve().parents[3] / "shared" / "fixtures" / "bybit"
recorded = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="the recorded payloads are not beside the checkout"
)

BTC = attrs.evolve(instrument("linear"), tick="0.01", price_decimals=2, quote_per_tick_base=10)
ETH = attrs.evolve(BTC, symbol="ETHUSDT", base="ETH")
SCALES = Scales({"BTCUSDT": BTC, "ETHUSDT": ETH}, {})
CODES = ccxt.bybit().exceptions["exact"]


def payload(name: str) -> Any:
    return json.loads((FIXTURES / "nautilus" / name).read_text(), parse_float=str)


def decode(frame: Any, decoder: BybitDecoder | None = None) -> list[Signal]:
    raw = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
    return list((decoder or BybitDecoder(SCALES, "linear")).decode("s", raw, 5))


def _lines(name: str) -> list[str]:
    return (FIXTURES / "ccxt" / name).read_text().splitlines()


def described(function: str, label: str = "") -> Any:
    """A payload of the client library's documents."""
    lines = [line for one in ("rest", "ws") for line in _lines(f"{one}_payloads.jsonl")]
    for row in map(json.loads, lines):
        if row["function"] == function and label in row["label"]:
            return row["payload"]
    raise LookupError(function)


# --- recorded payloads ---------------------------------------------------------------------------------


@recorded
def test_recorded_orders_parse() -> None:
    first, second, *_ = parsing.rows_of(payload("http_get_orders_realtime.json")["result"])
    snapshot = parsing.order(first, SCALES)
    assert snapshot == OrderSnapshot(
        client_order_id="client-open-1",
        exchange_order_id="open-order-1",
        symbol="ETHUSDT",
        side="buy",
        status=SnapshotStatus.WORKING,
        price_ticks=393_041,
        lots=10,
        filled_lots=0,
    )
    assert parsing.order(second, SCALES).side == "sell"
    (ended,) = parsing.rows_of(payload("http_get_orders_history.json")["result"])
    assert parsing.order(ended, SCALES).status is SnapshotStatus.CANCELLED
    assert parsing.order(ended, SCALES).reason == "CancelByUser"


@recorded
def test_recorded_executions_parse() -> None:
    rows = parsing.rows_of(payload("http_get_executions.json")["result"])
    first, second = (parsing.execution(row, SCALES, "linear") for row in rows)
    assert isinstance(first, FillReport)
    assert isinstance(second, FillReport)
    assert (first.liquidity, first.lots, first.price_ticks) == ("maker", 100, 5_000_000)
    assert first.fee_units == first.fee_value == 15 * 10**8 // 10 * 10
    assert second.liquidity == "taker"


@recorded
@pytest.mark.parametrize(
    ("name", "category", "tick", "lot", "lowest"),
    [
        ("http_get_instruments_spot.json", "spot", "0.1", "0.0001", "10"),
        ("http_get_instruments_linear.json", "linear", "0.5", "0.001", "5"),
    ],
)
def test_recorded_rules_parse(name: str, category: str, tick: str, lot: str, lowest: str) -> None:
    rules = parsing.rules(parsing.rows_of(payload(name)["result"])[0], category, None)
    assert (rules.symbol, rules.base, rules.quote, rules.kind) == ("BTCUSDT", "BTC", "USDT", category)
    assert (rules.tick, rules.lot) == (Decimal(tick), Decimal(lot))
    assert rules.min_notional == Decimal(lowest)
    assert rules.trading


@recorded
def test_recorded_balances_are_net_of_debts() -> None:
    held = parsing.balances(payload("http_get_wallet_balance_spot_short.json")["result"])
    assert held == {"ETH": Decimal("-0.06142"), "USDT": Decimal(2500)}


@recorded
def test_recorded_permissions_parse() -> None:
    result = payload("http_get_user_query_api.json")["result"]
    assert not parsing.permissions(result, "spot").trade  # this key only reads
    result["readOnly"] = 0
    for category in ("spot", "linear"):
        allowed = parsing.permissions(result, category)
        assert allowed.trade
        assert not allowed.withdraw
    result["permissions"]["Wallet"].append("Withdraw")
    assert parsing.permissions(result, "spot").withdraw
    assert not parsing.permissions(result | {"readOnly": 1}, "spot").trade
    del result["permissions"]["Wallet"]
    assert parsing.permissions(result, "spot").withdraw  # not said is not safe


@recorded
def test_recorded_positions_are_signed() -> None:
    (short,) = payload("ws_account_position_short.json")["data"]
    assert parsing.position(short, SCALES).base_units == -1_000_000
    long = payload("ws_account_position_with_open_time.json")
    assert parsing.position(long, SCALES).base_units == 10_000_000


@recorded
def test_recorded_pushes_decode() -> None:
    (snapshot,) = decode(payload("ws_account_order_filled.json"))
    assert isinstance(snapshot, OrderSnapshot)
    assert (snapshot.status, snapshot.filled_lots) == (SnapshotStatus.FILLED, 100)
    (conditional,) = decode(payload("ws_account_order_stop_loss.json"))
    assert isinstance(conditional, OrderSnapshot)
    assert (conditional.status, conditional.price_ticks) == (SnapshotStatus.WORKING, 0)
    (fill,) = decode(payload("ws_account_execution.json"))
    assert isinstance(fill, FillReport)
    assert (fill.side, fill.lots, fill.fee_asset) == ("sell", 500, "USDT")
    assert fill.fee_units == 2_637_252_750_000
    (trade,) = decode(described("handle_trades"))
    assert isinstance(trade, Trade)
    assert (trade.price_ticks, trade.lots, trade.buyer_took) == (1_657_850, 1, True)
    for quiet in ("ws_account_wallet.json", "ws_auth_success.json", "ws_subscription_ack.json"):
        assert decode(payload(quiet)) == []


@recorded
def test_a_recorded_ticker_is_a_quote() -> None:
    (quote,) = decode(payload("ws_ticker_linear.json"))
    assert isinstance(quote, Quote)
    assert (quote.bid_ticks, quote.ask_ticks, quote.bid_lots) == (1_721_550, 1_721_600, 84_489)
    partial = {"topic": "tickers.BTCUSDT", "ts": 1, "data": {"symbol": "BTCUSDT", "bid1Price": "1.00"}}
    assert decode(partial) == []


@recorded
def test_every_recorded_push_decodes_without_a_gap() -> None:
    for path in sorted((FIXTURES / "nautilus").glob("ws_*.json")):
        if "delta" not in path.name and "open_time" not in path.name:
            assert not [one for one in decode(path.read_bytes()) if isinstance(one, Gap)], path.name


@recorded
def test_a_recorded_snapshot_and_its_delta_make_a_book() -> None:
    decoder = BybitDecoder(SCALES, "linear")
    (quote,) = decode(payload("ws_orderbook_snapshot.json"), decoder)
    assert isinstance(quote, Quote)
    assert (quote.bid_ticks, quote.ask_ticks) == (2_745_000, 2_745_100)
    delta = payload("ws_orderbook_delta.json")
    assert delta["data"]["u"] == payload("ws_orderbook_snapshot.json")["data"]["u"] + 1
    (after,) = decode(delta, decoder)
    assert isinstance(after, Quote)
    assert (after.bid_lots, after.ask_ticks) == (400, 2_745_150)


@recorded
def test_the_documented_answers_of_a_batch_and_an_order_are_understood() -> None:
    batch = described("create_orders")
    assert batch["retExtInfo"]["list"][0]["code"] == 10001
    row = parsing.rows_of(described("fetch_order")["result"])[0]
    snapshot = parsing.order(row | {"orderLinkId": "x"}, SCALES)
    assert snapshot.status is SnapshotStatus.CANCELLED


# --- books ---------------------------------------------------------------------------------------------


def book(kind: str, update: int, bids: Any, asks: Any) -> dict[str, Any]:
    return {
        "topic": "orderbook.50.BTCUSDT",
        "type": kind,
        "ts": 1,
        "data": {"s": "BTCUSDT", "b": bids, "a": asks, "u": update, "seq": 1},
    }


def test_a_break_in_the_updates_is_told_once_and_mended_by_a_snapshot() -> None:
    decoder = BybitDecoder(SCALES, "linear")
    decode(book("snapshot", 5, [["1.00", "1"]], [["2.00", "1"]]), decoder)
    assert decode(book("delta", 6, [["1.10", "1"]], []), decoder)
    (gap,) = decode(book("delta", 8, [["1.20", "1"]], []), decoder)
    assert isinstance(gap, Gap)
    assert "8 after 6" in gap.detail
    assert decode(book("delta", 9, [["1.30", "1"]], []), decoder) == []
    (quote,) = decode(book("snapshot", 20, [["1.00", "1"]], [["2.00", "1"]]), decoder)
    assert isinstance(quote, Quote)
    assert quote.bid_ticks == 100


def test_update_one_is_a_restart_and_a_whole_book() -> None:
    decoder = BybitDecoder(SCALES, "linear")
    decode(book("snapshot", 5, [["1.50", "1"]], [["2.00", "1"]]), decoder)
    (quote,) = decode(book("delta", 1, [["1.00", "1"]], [["3.00", "1"]]), decoder)
    assert isinstance(quote, Quote)
    assert (quote.bid_ticks, quote.ask_ticks) == (100, 300)


def test_a_crossed_book_is_a_gap() -> None:
    decoder = BybitDecoder(SCALES, "linear")
    (gap,) = decode(book("snapshot", 5, [["2.00", "1"]], [["2.00", "1"]]), decoder)
    assert isinstance(gap, Gap)


# --- what cannot be ------------------------------------------------------------------------------------


ORDER = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "orderId": "1",
    "orderLinkId": "a",
    "side": "Buy",
    "orderType": "Limit",
    "price": "100.00",
    "qty": "0.002",
    "cumExecQty": "0.001",
    "orderStatus": "PartiallyFilled",
    "rejectReason": "EC_NoError",
}


@pytest.mark.parametrize(
    "change",
    [
        {"cumExecQty": "0.003"},
        {"cumExecQty": "-0.001"},
        {"price": None},
        {"price": "100.001"},
        {"qty": None},
        {"side": "None"},
        {"orderId": ""},
        {"orderId": None},
        {"symbol": "NOPE"},
        {"orderStatus": None},
    ],
)
def test_an_order_that_cannot_be_is_unreadable(change: dict[str, Any]) -> None:
    assert parsing.order(ORDER, SCALES).filled_lots == 1
    with pytest.raises(Unreadable):
        parsing.order(ORDER | change, SCALES)


def test_a_broken_row_does_not_swallow_the_one_before_it() -> None:
    frame = {"topic": "order", "data": [ORDER, ORDER | {"price": None}]}
    first, second = decode(frame)
    assert isinstance(first, OrderSnapshot)
    assert isinstance(second, Gap)


def test_rows_of_another_category_or_symbol_are_not_ours() -> None:
    other = [ORDER | {"category": "spot"}, ORDER | {"symbol": "XRPUSDT"}]
    assert decode({"topic": "order", "data": other}) == []


@pytest.mark.parametrize(
    "frame",
    [
        b"<html></html>",
        b"[" * 10_000,
        b"[]",
        b'{"topic": 5}',
        b'{"topic": "order", "data": null}',
        b'{"topic": "orderbook.1.BTCUSDT", "data": []}',
        b'{"op": "subscribe", "success": false, "ret_msg": "error"}',
    ],
)
def test_a_frame_nobody_can_read_is_a_gap(frame: bytes) -> None:
    (gap,) = decode(frame)
    assert isinstance(gap, Gap)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=10,
)


@given(
    st.sampled_from(["order", "execution", "orderbook.50.BTCUSDT", "publicTrade.BTCUSDT", "wallet"]),
    st.sampled_from(sorted(ORDER)),
    JSON,
)
@settings(max_examples=600, deadline=None)
def test_no_frame_raises(topic: str, key: str, value: Any) -> None:
    rows: list[Any] = [ORDER | {key: value, "s": "BTCUSDT", "execFee": value}, value]
    for data in (value, rows[:1], rows, {"s": "BTCUSDT", "u": value, "b": value, "a": value}):
        decode({"topic": topic, "type": "snapshot", "data": data})


# --- fees and funding ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "fee", "asset"),
    [
        ("Buy", "0.001", "BTC"),
        ("Sell", "0.001", "USDT"),
        ("Buy", "-0.001", "USDT"),
        ("Sell", "-0.001", "BTC"),
    ],
)
def test_a_spot_fee_without_a_currency_is_in_what_was_received(side: str, fee: str, asset: str) -> None:
    row = ORDER | {
        "side": side,
        "execPrice": "100.00",
        "execQty": "0.002",
        "execFee": fee,
        "execId": "x",
        "isMaker": True,
    }
    fill = parsing.execution(row, Scales({"BTCUSDT": attrs.evolve(BTC, kind="spot")}, {}), "spot")
    assert isinstance(fill, FillReport)
    assert fill.fee_asset == asset


def test_a_funding_payment_is_no_fill() -> None:
    row = {
        "symbol": "BTCUSDT",
        "execType": "Funding",
        "execFee": "0.123",
        "feeRate": "0.0001",
        "execId": "f",
        "execPrice": "100.005",
    }
    report = parsing.execution(row, SCALES, "linear")
    assert report == FundingReport(
        funding_id="f", symbol="BTCUSDT", rate_ppm=100, price_ticks=10_000, units=-12_300_000_000
    )
    assert parsing.execution(row | {"execType": "SessionSettlePnL"}, SCALES, "linear") is None


# --- codes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("10002", ClockSkewed),
        ("10006", RateLimited),
        ("10018", RateLimited),
        ("10003", AuthenticationFailed),
        ("10004", AuthenticationFailed),
        ("10005", AuthenticationFailed),
        ("33004", AuthenticationFailed),
        ("110007", OrderRefused),
        ("110017", OrderRefused),
        ("110094", OrderRefused),
        ("170140", OrderRefused),
        ("170131", OrderRefused),
        ("110001", OrderRefused),
        ("170213", OrderRefused),
        ("110072", OutcomeUnknown),
        ("170141", OutcomeUnknown),
        ("10000", OutcomeUnknown),
        ("10016", OutcomeUnknown),
        ("170007", OutcomeUnknown),
        ("999999", OutcomeUnknown),
    ],
)
def test_a_code_of_a_write(code: str, kind: type) -> None:
    assert type(errors.from_code(code, "", write=True, kinds=CODES)) is kind


@given(st.sampled_from(sorted(CODES)))
@settings(deadline=None)
def test_every_listed_code_has_a_meaning_and_no_read_is_left_open(code: str) -> None:
    read = errors.from_code(code, "", write=False, kinds=CODES)
    assert isinstance(read, (Unavailable, RateLimited, ClockSkewed, AuthenticationFailed))


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (403, RateLimited),
        (429, RateLimited),
        (401, AuthenticationFailed),
        (500, OutcomeUnknown),
        (502, OutcomeUnknown),
    ],
)
def test_a_status_that_speaks_for_itself(status: int, kind: type) -> None:
    assert type(errors.from_status(status, "", write=True)) is kind
    assert errors.from_status(200, "", write=True) is None


# --- signatures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "params", "stamp", "signature"),
    [
        (
            "GET",
            "v5/order/realtime",
            {"category": "option", "symbol": "BTC-29JUL22-25000-C"},
            1658384314791,
            "134b54c3a45bb9c89ab1cf405f068757bcc49177e502a426db5ef168e8938c92",
        ),
        (
            "POST",
            "v5/order/create",
            {"category": "option"},
            1658385579423,
            "e537e0ca0c819aed1977d75c80cd5f3f64635498e3dde68e35b040a9379156f2",
        ),
    ],
)
def test_a_known_request_has_the_known_signature(
    method: str, path: str, params: dict[str, str], stamp: int, signature: str
) -> None:
    # The signatures were made with `openssl dgst -sha256 -hmac secret-1` over stamp, key, window and payload.
    endpoint = Endpoint("https://api.bybit.com", "")
    signing = _Signing(endpoint, Credentials("XXXXXXXXXX", "secret-1"), lambda: stamp)
    signed = signing.sign(path, ["private"], method, params)
    assert signed["headers"]["X-BAPI-SIGN"] == signature
    assert signed["headers"]["X-BAPI-RECV-WINDOW"] == "5000"
    assert signed["url"].startswith(f"https://api.bybit.com/{path}")
