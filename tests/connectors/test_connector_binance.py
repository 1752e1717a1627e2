"""Binance's frames, answers and error codes as the connector understands them, without a socket."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    ExchangeError,
    Expired,
    Gap,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Quote,
    RateLimited,
    SnapshotStatus,
    Trade,
    Unavailable,
)
from domain.inputs import FillReport, FundingReport
from domain.instrument import Instrument
from grinder.connectors.binance import parsing
from grinder.connectors.binance.decoder import BinanceDecoder
from grinder.connectors.binance.errors import Answer, is_duplicate, read
from grinder.connectors.converting import Scales, Unreadable

SHARED = Path(__file__).resolve().parents[3] / "shared"
FIXTURES = SHARED / "fixtures" / "binance"
recorded = pytest.mark.skipif(not FIXTURES.is_dir(), reason="no recorded payloads beside the checkout")

NS_PER_MS = 1_000_000
NOW_MS = 1_700_000_000_000


def listed(symbol: str, base: str, quote: str, price_decimals: int = 8, base_decimals: int = 8) -> Instrument:
    """An instrument fine enough for any recorded payload."""
    return Instrument(
        symbol=symbol,
        kind="spot",
        base=base,
        quote=quote,
        tick=str(Decimal(1).scaleb(-price_decimals)),
        lot=str(Decimal(1).scaleb(-base_decimals)),
        tick_size=1,
        price_decimals=price_decimals,
        base_decimals=base_decimals,
        quote_decimals=price_decimals + base_decimals,
        quote_per_tick_base=1,
        base_per_lot=1,
        min_notional=0,
        maker_fee_ppm=100,
        taker_fee_ppm=100,
    )


PAIRS = (("BTC", "USDT"), ("ETH", "USDT"), ("BNB", "USDT"), ("BNB", "BTC"), ("ETH", "BTC"), ("LTC", "BTC"))
SYMBOLS = {base + quote: listed(base + quote, base, quote) for base, quote in (*PAIRS, ("ADA", "USDT"))}


def scales(**fee_prices: int) -> Scales:
    return Scales(SYMBOLS, {"BNB": 600 * 10**16, **fee_prices})


def decode(event: dict[str, Any], stream: str = "market", by: BinanceDecoder | None = None) -> list[Any]:
    return (by or BinanceDecoder(scales())).decode(stream, orjson.dumps(event), 7)


def fixture(name: str) -> Any:
    return json.loads((FIXTURES / "nautilus" / f"{name}.json").read_text())


def book_ticker(update_id: int, bid: str = "60999.0") -> dict[str, Any]:
    return {"u": update_id, "s": "BTCUSDT", "b": bid, "B": "1.5", "a": "61001.0", "A": "2"}


def trade(number: int, **changes: Any) -> dict[str, Any]:
    event = {"e": "trade", "E": 2, "s": "BTCUSDT", "t": number, "p": "61000.0", "q": "0.5", "T": 1, "m": True}
    return {"stream": "btcusdt@trade", "data": event | changes}


def report(**changes: Any) -> dict[str, Any]:
    """An executionReport; `changes` are of its fields."""
    event: dict[str, Any] = {
        "e": "executionReport", "E": 2, "s": "BTCUSDT", "c": "mine", "S": "BUY", "o": "LIMIT", "f": "GTC",
        "q": "0.01000000", "p": "60000.00000000", "g": -1, "C": "", "x": "NEW", "X": "NEW", "r": "NONE",
        "i": 9, "l": "0.00000000", "z": "0.00000000", "L": "0.00000000", "n": "0", "N": None, "T": 1, "t": -1,
        "m": False,
    }  # fmt: skip
    return {"subscriptionId": 0, "event": event | changes}


# --- public frames --------------------------------------------------------------------------------------


def test_a_quote_is_read_in_ticks_and_lots() -> None:
    (quote,) = decode({"stream": "btcusdt@bookTicker", "data": book_ticker(5)})
    assert quote == Quote(
        symbol="BTCUSDT",
        bid_ticks=60_999 * 10**8,
        ask_ticks=61_001 * 10**8,
        bid_lots=150_000_000,
        ask_lots=200_000_000,
        exchange_ns=0,
        received_ns=7,
    )


def test_a_quote_that_is_not_newer_than_the_last_is_dropped() -> None:
    decoder = BinanceDecoder(scales())
    assert len(decode(book_ticker(5), by=decoder)) == 1
    assert decode(book_ticker(5), by=decoder) == []
    assert decode(book_ticker(4), by=decoder) == []
    assert len(decode(book_ticker(6), by=decoder)) == 1


def test_a_missing_trade_number_is_a_gap_and_a_repeated_one_is_dropped() -> None:
    decoder = BinanceDecoder(scales())
    (first,) = decode(trade(10), by=decoder)
    assert isinstance(first, Trade)
    assert not first.buyer_took
    assert decode(trade(10), by=decoder) == []
    gap, later = decode(trade(13), by=decoder)
    assert gap == Gap(stream="market", detail="BTCUSDT: trades 11 to 12 are missing")
    assert later.trade_id == "13"


def test_trades_in_one_are_numbered_with_the_single_ones() -> None:
    decoder = BinanceDecoder(scales())
    decode(trade(10), by=decoder)
    several = {"e": "aggTrade", "a": 3, "f": 11, "l": 14}
    (told,) = decode(trade(0, **several), by=decoder)
    assert (type(told), told.trade_id) == (Trade, "14")
    assert decode(trade(14), by=decoder) == []
    assert [type(signal) for signal in decode(trade(0, **several | {"f": 16, "l": 17}), by=decoder)] == [
        Gap,
        Trade,
    ]


def test_a_new_subscription_begins_the_numbering_anew() -> None:
    decoder = BinanceDecoder(scales())
    decode(trade(10), by=decoder)
    decode(book_ticker(100), by=decoder)
    assert decode({"result": None, "id": 1}, by=decoder) == []
    assert [type(signal) for signal in decode(trade(90), by=decoder)] == [Trade]
    assert len(decode(book_ticker(7), by=decoder)) == 1


def test_a_trade_that_made_no_price_keeps_its_number_and_is_not_told() -> None:
    decoder = BinanceDecoder(scales())
    decode(trade(10), by=decoder)
    assert decode(trade(11, X="INSURANCE_FUND"), by=decoder) == []
    assert [type(signal) for signal in decode(trade(12, X="MARKET"), by=decoder)] == [Trade]


@pytest.mark.parametrize(
    "frame",
    [
        b"<html>502</html>",
        b'{"u": 5, "s": "BTCUSDT", "b"',
        b"[" * 100_000,
        b"null",
        b"[1]",
        orjson.dumps(book_ticker(5) | {"b": None}),
        orjson.dumps(book_ticker(5) | {"b": "NaN"}),
        orjson.dumps(book_ticker(5) | {"b": "-1"}),
        orjson.dumps(book_ticker(5) | {"u": "x"}),
        orjson.dumps(report(x="TRADE", l="-0.01", L="60000", t=4)),
        orjson.dumps(report(s=7)),
        b"\xff\xfe",
        b"",
    ],
)
def test_a_frame_nobody_can_read_is_a_gap_and_never_an_exception(frame: bytes) -> None:
    signals = BinanceDecoder(scales()).decode("market", frame, 1)
    assert [type(signal) for signal in signals] == [Gap]


def test_a_frame_about_another_symbol_says_nothing() -> None:
    assert decode(book_ticker(5) | {"s": "DOGEUSDT"}) == []
    assert decode(report(s="DOGEUSDT"), "private") == []


def test_a_refused_subscription_is_a_gap() -> None:
    (gap,) = decode({"id": 1, "status": 400, "error": {"code": -1022, "msg": "Signature"}}, "private")
    assert isinstance(gap, Gap)


@pytest.mark.parametrize("kind", ["serverShutdown", "eventStreamTerminated", "listenKeyExpired"])
def test_the_announced_end_of_a_stream_is_told(kind: str) -> None:
    assert decode({"event": {"e": kind, "E": 1}}, "private") == [Expired(stream="private", detail=kind)]
    assert decode({"e": kind, "E": 1}, "private") == [Expired(stream="private", detail=kind)]


# --- private frames -------------------------------------------------------------------------------------


def test_an_execution_is_told_before_the_state_it_led_to() -> None:
    event = report(x="TRADE", X="FILLED", l="0.01", z="0.01", L="59999", n="0.00001", N="BNB", t=77, m=True)
    fill, order = decode(event, "private")
    assert isinstance(fill, FillReport)
    assert (fill.fill_id, fill.liquidity, fill.fee_asset) == ("BTCUSDT-77", "maker", "BNB")
    assert fill.fee_value == 600 * 10**16 // 100_000
    assert (order.status, order.filled_lots, order.reason) == (SnapshotStatus.FILLED, 10**6, "")


def test_a_cancel_is_told_under_the_orders_own_id() -> None:
    (order,) = decode(report(x="CANCELED", X="CANCELED", c="the cancel's", C="mine"), "private")
    assert (order.client_order_id, order.status, order.reason) == (
        "mine",
        SnapshotStatus.CANCELLED,
        "CANCELED",
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("NEW", "working"),
        ("PARTIALLY_FILLED", "working"),
        ("PENDING_NEW", "pending"),
        ("PENDING_CANCEL", "working"),
        ("CANCELED", "cancelled"),
        ("REJECTED", "rejected"),
        ("EXPIRED", "expired"),
        ("EXPIRED_IN_MATCH", "expired"),
        ("BEWILDERED", "unreadable"),
        (None, "unreadable"),
    ],
)
def test_every_status_has_a_meaning_and_an_unknown_one_is_unreadable(status: object, expected: str) -> None:
    (order,) = decode(report(X=status), "private")
    assert order.status == expected


@pytest.mark.parametrize(
    "changes", [{"z": "0.02"}, {"p": None}, {"q": "x"}, {"X": "FILLED"}, {"z": "-1"}], ids=str
)
def test_an_order_whose_numbers_cannot_be_is_named_and_unreadable(changes: dict[str, Any]) -> None:
    (order,) = decode(report(**changes), "private")
    assert (order.client_order_id, order.exchange_order_id) == ("mine", "9")
    assert order.status is SnapshotStatus.UNREADABLE
    assert order.filled_lots == 0


def test_an_execution_without_a_number_has_the_same_made_up_id_each_time() -> None:
    event = report(x="TRADE", X="PARTIALLY_FILLED", l="0.005", z="0.005", L="60000", n="0", N="USDT", t=-1)
    first, again = decode(event, "private")[0], decode(event, "private")[0]
    assert first.fill_id == again.fill_id
    assert first.fill_id.startswith("synthetic-")


def test_funding_of_an_isolated_position_is_told_and_that_of_a_cross_one_left_to_the_history() -> None:
    update = {"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "1", "bc": "-0.12345678"}], "P": []}
    event = {"e": "ACCOUNT_UPDATE", "E": 1, "T": 1_700_006_400_123, "a": update}
    assert decode(event, "private") == []
    (told,) = decode(event | {"a": update | {"P": [{"s": "BTCUSDT"}]}}, "private")
    assert isinstance(told, FundingReport)
    assert told.units == -1234567800000000
    history = parsing.funding("BTCUSDT", 1_700_006_400_000, "-0.12345678", scales())
    assert told == history


# --- answers --------------------------------------------------------------------------------------------


def answer(code: int, text: str = "", status: int = 400, **headers: str) -> Answer:
    return Answer(status, headers, json.dumps({"code": code, "msg": text}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(-1007, "Timeout", 504), OutcomeUnknown),
        (answer(-1007, "Timeout", 400), OutcomeUnknown),
        (answer(-1006), OutcomeUnknown),
        (answer(-1000), OutcomeUnknown),
        (answer(-1013, "Filter failure: LOT_SIZE"), OrderRefused),
        (answer(-2010, "Duplicate order sent."), OrderRefused),
        (answer(-2011, "Unknown order sent."), OrderRefused),
        (answer(-2019), OrderRefused),
        (answer(-2022), OrderRefused),
        (answer(-4116), OrderRefused),
        (answer(-4164), OrderRefused),
        (answer(-5022), OrderRefused),
        (answer(-9999, "new", 400), OrderRefused),
        (answer(-9999, "new", 500), OutcomeUnknown),
        (answer(-1021), ClockSkewed),
        (answer(-5028), ClockSkewed),
        (answer(-1022), AuthenticationFailed),
        (answer(-2014, "", 401), AuthenticationFailed),
        (answer(-2015, "", 401), AuthenticationFailed),
        (answer(-1015, "", 429), RateLimited),
        (answer(-1003, "", 429), RateLimited),
        (answer(-1003, "", 418), RateLimited),
        (answer(-1008, "", 503), RateLimited),
        (answer(-1016, "", 503), Unavailable),
        (Answer(503, {}, "Service Unavailable"), OutcomeUnknown),
        (Answer(504, {}, "<html/>"), OutcomeUnknown),
        (Answer(200, {}, "<html/>"), OutcomeUnknown),
        (Answer(200, {}, '{"orderId": 1'), OutcomeUnknown),
        (Answer(200, {}, ""), OutcomeUnknown),
        (Answer(200, {}, "null"), OutcomeUnknown),
        (Answer(200, {}, "[" * 100_000), OutcomeUnknown),
        (Answer(404, {}, "not found"), OutcomeUnknown),
        (Answer(401, {}, "no"), AuthenticationFailed),
        (Answer(403, {}, "<html>firewall</html>"), RateLimited),
    ],
)  # fmt: skip
def test_every_answer_to_a_writing_request_that_is_no_success_has_its_class(
    given: Answer, expected: type[ExchangeError]
) -> None:
    with pytest.raises(ExchangeError) as raised:
        read(given, writes=True, now_ms=NOW_MS)
    assert type(raised.value) is expected


@pytest.mark.parametrize("given", [answer(-1007, "", 504), answer(-2013), Answer(200, {}, "<html/>")])
def test_a_reading_request_that_fails_is_unavailable_with_the_code_kept(given: Answer) -> None:
    with pytest.raises(Unavailable):
        read(given, writes=False, now_ms=NOW_MS)


def test_how_long_to_wait_is_read_from_the_header_or_from_the_words() -> None:
    def waits(given: Answer) -> tuple[float, bool]:
        with pytest.raises(RateLimited) as raised:
            read(given, writes=True, now_ms=NOW_MS)
        return raised.value.retry_after_s, raised.value.banned

    assert waits(answer(-1003, "", 429, **{"Retry-After": "17"})) == (17.0, False)
    assert waits(answer(-1003, "", 418, **{"retry-after": "180"})) == (180.0, True)
    until = f"Way too many requests; IP banned until {NOW_MS + 5_000}."
    assert waits(answer(-1003, until, 418)) == (5.0, True)
    assert waits(Answer(418, {}, "teapot"))[1]
    assert waits(Answer(403, {}, "firewall"))[1]


def test_a_duplicate_is_told_from_other_refusals() -> None:
    assert is_duplicate(OrderRefused("-2010", "Duplicate order sent."))
    assert is_duplicate(OrderRefused("-4116", "ClientOrderId is duplicated."))
    assert not is_duplicate(OrderRefused("-2010", "Account has insufficient balance for requested action."))


def test_a_success_may_carry_a_code() -> None:
    assert read(Answer(200, {}, '{"code": 200, "msg": "done"}'), writes=True, now_ms=NOW_MS)["msg"] == "done"


def test_numbers_with_a_point_stay_text() -> None:
    assert read(Answer(200, {}, '{"price": 0.10}'), writes=False, now_ms=0) == {"price": "0.10"}


# --- what others recorded -------------------------------------------------------------------------------


@recorded
@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("spot__user_data_json__execution_report_new", [OrderSnapshot]),
        ("spot__user_data_json__execution_report_canceled", [OrderSnapshot]),
        ("spot__user_data_json__execution_report_trade", [FillReport, OrderSnapshot]),
        ("resources__ws_messages__ws_spot_execution_report_trade", [FillReport, OrderSnapshot]),
        ("resources__ws_messages__ws_spot_execution_report_rejected", [OrderSnapshot]),
        ("resources__ws_messages__ws_spot_execution_report_canceled", [OrderSnapshot]),
        ("futures__user_data_json__order_update_new", [OrderSnapshot]),
        ("futures__user_data_json__order_update_trade", [FillReport, OrderSnapshot]),
        ("futures__user_data_json__trade_lite", []),
        ("spot__user_data_json__account_position", []),
        ("spot__user_data_json__account_position_wrapped", []),
        ("futures__market_data_json__book_ticker_stream", [Quote]),
        ("futures__market_data_json__trade_stream", [Trade]),
        ("resources__ws_messages__ws_spot_trade", [Trade]),
        ("futures__market_data_json__agg_trade_stream", [Trade]),
        ("futures__market_data_json__kline_stream_open", []),
    ],
)
def test_a_recorded_frame_means_what_its_name_says(name: str, kinds: list[type[Any]]) -> None:
    assert [type(signal) for signal in decode(fixture(name))] == kinds


@recorded
def test_every_recorded_stream_frame_is_decoded_without_a_gap() -> None:
    decoder = BinanceDecoder(scales())
    for name in ("map_binance_messages", "map_binance_futures_messages"):
        for event in json.loads((FIXTURES / "tardis" / f"{name}.json").read_text()):
            fresh = BinanceDecoder(scales())
            assert not [s for s in decode(event, by=fresh) if isinstance(s, Gap)], event
    for line in (FIXTURES / "ccxt" / "ws_payloads.jsonl").read_text().splitlines():
        decode(json.loads(line)["payload"], by=decoder)


@recorded
def test_recorded_orders_and_executions_are_read_from_rest_answers() -> None:
    orders = [fixture(f"{name}__http_json__order_response") for name in ("spot", "futures")]
    orders.append(fixture("spot__http_json__cancel_order_response"))
    found = [parsing.order(payload, scales()) for payload in orders]
    assert [order.client_order_id for order in found] == ["myOrder1", "testOrder123", "myOrder1"]
    assert [order.status for order in found] == ["working", "working", "cancelled"]
    rows = [json.loads(line) for line in (FIXTURES / "ccxt" / "rest_payloads.jsonl").read_text().splitlines()]
    trades = [row["payload"][0] for row in rows if row["function"] == "fetch_my_trades" and row["label"] in
              ("spot trade", "futures trade", "spot margin portfolio margin")]  # fmt: skip
    fills = [parsing.fill(payload, scales(), "mine") for payload in trades]
    assert [fill.side for fill in fills] == ["buy", "sell", "sell"]
    assert fills[1].fee_units < 0, "a rebate"


@recorded
def test_the_recorded_rules_of_both_markets_are_read() -> None:
    for name, linear in (("spot", False), ("futures", True)):
        payload = fixture(f"resources__http_responses__http_{name}_market_exchange_info")
        for row in payload["symbols"]:
            rules = parsing.rules(row, None, linear=linear)
            assert rules.tick > 0
            assert rules.lot > 0
            assert rules.min_notional == 10
            assert rules.max_orders == 200
    with pytest.raises(Unreadable):
        parsing.rules(fixture("spot__http_json__exchange_info_response")["symbols"][0], None, linear=False)


@recorded
def test_recorded_positions_and_balances_are_read() -> None:
    rows = parsing.rows(fixture("futures__http_json__position_risk"))
    held = {one.symbol: one.base_units for one in parsing.position(rows, scales())}
    assert held["BTCUSDT"] == 100_000
    assert held["ETHUSDT"] == 0
