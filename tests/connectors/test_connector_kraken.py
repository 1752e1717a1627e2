"""Kraken's wire without a socket: recorded payloads, codes, names, numbers, and what nobody can read."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

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
from domain.inputs import FillReport
from domain.instrument import Instrument
from domain.order_events import OrderTerms
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.kraken import errors, naming, ordering, rest_parsing
from grinder.connectors.kraken.decoder import KrakenDecoder
from grinder.connectors.kraken.permissions import permissions_of
from grinder.connectors.kraken.price_book import PriceBook
from grinder.connectors.kraken.reading import exchange_ns
from grinder.connectors.kraken.transport import KrakenTransport, Nonces
from grinder.secrets import Credentials

SHARED = Path(__file__).resolve().parents[3] / "shared"


def instrument(base: str, quote: str, tick: str, lot: str = "0.00000001") -> Instrument:
    decimals = max(0, -Decimal(tick).as_tuple().exponent)  # type: ignore[operator]
    return Instrument(
        symbol=base + quote,
        kind="spot",
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        tick_size=int(Decimal(tick).scaleb(decimals)),
        price_decimals=decimals,
        base_decimals=8,
        quote_decimals=8 + decimals,
        quote_per_tick_base=1,
        base_per_lot=int(Decimal(lot).scaleb(8)),
        min_notional=0,
        maker_fee_ppm=1600,
        taker_fee_ppm=2600,
    )


LISTED = {
    one.symbol: one
    for one in (
        instrument("BTC", "USD", "0.1"),
        instrument("BTC", "USDT", "0.1"),
        instrument("MATIC", "USD", "0.0001"),
        instrument("USDC", "USD", "0.0001"),
        instrument("USDC", "USDT", "0.0001"),
    )
}
SCALES = Scales(LISTED, {})
SYMBOLS = naming.symbols_by_name((name, one.base, one.quote) for name, one in LISTED.items())


@pytest.fixture
def recorded() -> Path:
    """The folder of recorded payloads beside the checkout; skips where there is none."""
    found = SHARED / "fixtures" / "kraken"
    if not found.is_dir():
        pytest.skip("no recorded payloads beside the checkout")
    return found


def decoded(*messages: Any) -> list[Any]:
    decoder = KrakenDecoder(SCALES)
    frames = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
    return [signal for frame in frames for signal in decoder.decode("private", frame, 7)]


def book_frame(kind: str, bids: str, asks: str, checksum: int) -> bytes:
    data = f'"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],"checksum":{checksum}'
    stamped = f'{data},"timestamp":"2023-10-06T17:35:55.440295Z"'
    return f'{{"channel":"book","type":"{kind}","data":[{{{stamped}}}]}}'.encode()


def level(price: str, quantity: str) -> str:
    return f'{{"price":{price},"qty":{quantity}}}'


# --- names ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("native", "common"),
    [
        ("XXBT", "BTC"),
        ("XBT", "BTC"),
        ("XXDG", "DOGE"),
        ("ZUSD", "USD"),
        ("USDT", "USDT"),
        ("XETH", "ETH"),
        ("XTZ", "XTZ"),
        ("ZRX", "ZRX"),
        ("XBT.F", "BTC.F"),
    ],
)
def test_assets_have_their_common_names(native: str, common: str) -> None:
    assert naming.asset_name(native) == common


def test_a_pair_is_known_under_each_of_krakens_names() -> None:
    for name in ("XBTUSD", "XXBTZUSD", "XBT/USD", "BTC/USD", "BTCUSD"):
        assert SYMBOLS[name] == "BTCUSD"
    assert naming.order_pair("DOGE", "USD") == "XDGUSD"
    assert naming.stream_pair("BTC", "USD") == "BTC/USD"


def test_a_client_id_is_the_same_with_hyphens_and_without() -> None:
    ours = "6d1b345e2821457a9e2c0f9d8c7b6a50"
    assert naming.client_id("6D1B345E-2821-457A-9E2C-0F9D8C7B6A50") == ours
    assert naming.client_id(ours) == ours
    assert naming.client_id("my-own-name") == "my-own-name"
    assert naming.client_id(None) == ""


# --- requests ------------------------------------------------------------------------------------------


def order(**changes: Any) -> OrderTerms:
    given: dict[str, Any] = {
        "client_order_id": "0" * 31 + "1",
        "symbol": "BTCUSD",
        "side": "buy",
        "order_type": "limit",
        "time_in_force": "post_only",
        "reduce_only": False,
        "price_ticks": 600_005,
        "lots": 123_456,
    }
    return OrderTerms(**{**given, **changes})


def test_an_order_asks_for_its_fee_in_the_quote_currency_and_carries_our_id() -> None:
    assert ordering.parameters(SCALES, order()) == {
        "ordertype": "limit",
        "type": "buy",
        "volume": "0.00123456",
        "price": "60000.5",
        "cl_ord_id": "0" * 31 + "1",
        "oflags": "post,fciq",
    }
    taking = ordering.parameters(SCALES, order(time_in_force="ioc"))
    assert (taking["oflags"], taking["timeinforce"]) == ("fciq", "IOC")
    market = ordering.parameters(SCALES, order(order_type="market", time_in_force="ioc"))
    assert "price" not in market
    assert "timeinforce" not in market


def test_orders_of_one_symbol_share_a_request() -> None:
    orders = [order(), order(symbol="MATICUSD"), order(), *[order()] * 15]
    shared = ordering.batches(orders, 15)
    assert [len(one) for one in shared] == [15, 2, 1]
    assert sorted(at for one in shared for at in one) == list(range(18))


def test_nonces_rise_although_the_clock_stands_or_goes_back() -> None:
    now = [5_000]
    nonces = Nonces(lambda: now[0])
    taken = [nonces.take(), nonces.take()]
    now[0] = 4_000
    taken.append(nonces.take())
    now[0] = 9_000
    taken.append(nonces.take())
    assert taken == sorted(set(taken))
    assert taken[-1] == 9_000
    again = Nonces(lambda: 9_001)  # the next process
    assert again.take() > taken[-1]


SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="


def test_a_request_is_signed_as_in_krakens_own_example() -> None:
    endpoint, keys = Endpoint("https://api.kraken.com", ""), Credentials("KEY", SECRET)
    transport = KrakenTransport(endpoint, keys, lambda: 1_616_492_376_594)
    asked = {"ordertype": "limit", "pair": "XBTUSD", "price": "37500", "type": "buy", "volume": "1.25"}
    request = transport._signed("AddOrder", "private", asked)
    assert request["url"] == "https://api.kraken.com/0/private/AddOrder"
    assert request["body"].startswith("nonce=1616492376594&ordertype=limit&pair=XBTUSD")
    assert request["headers"]["API-Sign"] == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )


# --- errors --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "when_writing", "when_reading"),
    [
        ("EOrder:Post only order", OrderRefused, Unavailable),
        ("EOrder:Insufficient funds", OrderRefused, Unavailable),
        ("EOrder:Orders limit exceeded", OrderRefused, Unavailable),
        ("EOrder:Unknown order", OrderRefused, Unavailable),
        ("EGeneral:Invalid arguments:price", OrderRefused, Unavailable),
        ("EQuery:Unknown asset pair", OrderRefused, Unavailable),
        ("EService:Market in cancel_only mode", OrderRefused, Unavailable),
        ("EOrder:Rate limit exceeded", RateLimited, RateLimited),
        ("EAPI:Rate limit exceeded", RateLimited, RateLimited),
        ("EGeneral:Temporary lockout", RateLimited, RateLimited),
        ("EAPI:Invalid nonce", ClockSkewed, ClockSkewed),
        ("EAPI:Invalid key", AuthenticationFailed, AuthenticationFailed),
        ("EAPI:Invalid signature", AuthenticationFailed, AuthenticationFailed),
        ("EGeneral:Permission denied", AuthenticationFailed, AuthenticationFailed),
        ("EService:Unavailable", OutcomeUnknown, Unavailable),
        ("EService:Busy", OutcomeUnknown, Unavailable),
        ("EService:Timeout", OutcomeUnknown, Unavailable),
        ("EGeneral:Internal error", OutcomeUnknown, Unavailable),
        ("EDatabase:Internal error", OutcomeUnknown, Unavailable),
        ("EOrder:cl_ord_id already in use", OutcomeUnknown, Unavailable),
        ("EBrandNew:Never seen", OutcomeUnknown, Unavailable),
    ],
)
def test_a_code_means_what_may_be_concluded_from_it(
    code: str, when_writing: type[ExchangeError], when_reading: type[ExchangeError]
) -> None:
    assert type(errors.from_codes([code], writes=True)) is when_writing
    assert type(errors.from_codes([code], writes=False)) is when_reading


def test_a_refusal_for_a_step_names_the_step() -> None:
    assert "lot size" in errors.from_codes(["EGeneral:Invalid arguments:volume"], writes=True).text
    assert "tick" in errors.from_codes(["EOrder:Invalid price:XBTUSD price"], writes=True).text


def test_a_foreign_order_priced_in_percent_has_no_price() -> None:
    percent = {**PENDING, "limit_price": 5.123, "limit_price_type": "pct", "cl_ord_id": ""}
    [told] = decoded(executions(1, percent))
    assert (told.price_ticks, told.client_order_id) == (0, "")


def test_of_several_codes_the_one_that_promises_least_decides() -> None:
    both = ["EOrder:Insufficient funds", "EService:Unavailable"]
    assert type(errors.from_codes(both, writes=True)) is OutcomeUnknown


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimited), (403, RateLimited), (401, AuthenticationFailed), (502, OutcomeUnknown)],
)
def test_a_status_without_codes_says_what_it_can(status: int, kind: type[ExchangeError]) -> None:
    assert type(errors.from_http(status, "7", writes=True)) is kind
    assert isinstance(errors.from_http(520, "", writes=False), Unavailable)


# --- the book ------------------------------------------------------------------------------------------


def test_every_checksum_of_the_real_tape_is_ours(recorded: Path) -> None:
    tape = SHARED / "data" / "cryptofeed_tape" / "KRAKEN.ws.50.0.gz"
    if not tape.is_file():
        pytest.skip("no recorded tape beside the checkout")
    books: dict[str, PriceBook] = {}
    checked = 0
    for line in gzip.decompress(tape.read_bytes()).decode().splitlines():
        message = json.loads(line.partition(": ")[2]) if line[:1].isdigit() else None
        if not isinstance(message, list):
            continue
        bids, asks, checksum, snapshot = legacy_levels(message)
        book = books.setdefault(message[-1], PriceBook(1000))
        (book.replace if snapshot else book.apply)(bids, asks)
        if checksum is not None:
            checked += 1
            assert book.checksum() == checksum, line[:120]
    assert checked == 4269
    assert len(books) == 10


def legacy_levels(message: list[Any]) -> tuple[list[Any], list[Any], int | None, bool]:
    """(bids, asks, checksum, whether it is a snapshot) of a book message of the first WebSocket version."""
    bids: list[Any] = []
    asks: list[Any] = []
    checksum, snapshot = None, False
    for part in message[1:-2]:
        snapshot = snapshot or "as" in part or "bs" in part
        bids += [(one[0], one[1]) for one in part.get("bs", part.get("b", []))]
        asks += [(one[0], one[1]) for one in part.get("as", part.get("a", []))]
        checksum = int(part["c"]) if "c" in part else checksum
    return bids, asks, checksum, snapshot


BIDS = (("45283.5", "0.10000000"), ("45283.4", "1.54582015"), ("45282.1", "0.10000000"))
ASKS = (("45285.2", "0.00100000"), ("45286.4", "1.54571953"))


def documented_checksum(bids: tuple[tuple[str, str], ...], asks: tuple[tuple[str, str], ...]) -> int:
    book = PriceBook(10)
    book.replace(bids, asks)
    return book.checksum()


def frame_of(kind: str, bids: Any, asks: Any, checksum: int) -> bytes:
    shown = [",".join(level(*one) for one in side) for side in (bids, asks)]
    return book_frame(kind, shown[0], shown[1], checksum)


def test_a_book_tells_its_best_quotes_while_its_checksum_agrees() -> None:
    first = frame_of("snapshot", BIDS, ASKS, documented_checksum(BIDS, ASKS))
    changed = (*BIDS[:2], ("45284.0", "0.20000000"), BIDS[2])
    second = frame_of("update", changed[2:3], (), documented_checksum(changed, ASKS))
    quotes = decoded(first, second, second)
    assert [type(one) for one in quotes] == [Quote, Quote]
    assert (quotes[0].symbol, quotes[0].bid_ticks, quotes[0].ask_ticks) == ("BTCUSD", 452_835, 452_852)
    assert (quotes[0].bid_lots, quotes[0].ask_lots) == (10_000_000, 100_000)
    assert (quotes[1].bid_ticks, quotes[1].bid_lots) == (452_840, 20_000_000)
    assert quotes[0].exchange_ns == 1_696_613_755_440_295_000


def test_zeros_that_json_left_out_are_put_back_before_the_check() -> None:
    short = [(p, q.rstrip("0").rstrip(".")) for p, q in BIDS], [(p, q.rstrip("0")) for p, q in ASKS]
    [one] = decoded(frame_of("snapshot", *short, documented_checksum(BIDS, ASKS)))
    assert isinstance(one, Quote)


def test_nothing_is_said_of_a_book_after_a_wrong_checksum_until_a_snapshot() -> None:
    good = documented_checksum(BIDS, ASKS)
    first = frame_of("snapshot", BIDS, ASKS, good)
    wrong = frame_of("update", (("45284.9", "0.50000000"),), (), 1)
    later = frame_of("update", (("45285.0", "0.50000000"),), (), 2)
    told = decoded(first, wrong, later, first)
    assert [type(one) for one in told] == [Quote, Gap, Quote]
    assert "checksum" in told[1].detail
    assert "BTCUSD" in told[1].detail


def test_levels_beyond_the_depth_fall_out_of_the_copy() -> None:
    book = PriceBook(2)
    book.replace([("1.0", "1"), ("2.0", "1"), ("3.0", "1")], [("4.0", "1"), ("5.0", "1"), ("6.0", "1")])
    assert (book.best_bid(), book.best_ask()) == (("3.0", "1"), ("4.0", "1"))
    book.apply([("3.0", "0"), ("2.0", "0.0")], [("4.0", "0"), ("5.0", "0")])
    assert (book.best_bid(), book.best_ask()) == (None, None)


def test_recorded_market_messages_are_read(recorded: Path) -> None:
    trades = decoded((recorded / "nautilus" / "ws_trade_update.json").read_bytes())
    assert [(one.price_ticks, one.buyer_took, one.trade_id) for one in trades] == [
        (1_059_442, True, "10218208"),
        (1_059_105, False, "10218209"),
    ]
    assert all(isinstance(one, Trade) for one in trades)
    [quote] = decoded((recorded / "nautilus" / "ws_ticker_snapshot.json").read_bytes())
    assert (quote.bid_ticks, quote.ask_ticks, quote.bid_lots) == (1_059_442, 1_059_443, 250_000_000)
    for quiet in ("ws_subscribe_response.json", "ws_pong.json", "ws_ohlc_update.json"):
        assert decoded((recorded / "nautilus" / quiet).read_bytes()) == []
    for one in json.loads((recorded / "tardis" / "map_kraken_v2_messages.json").read_text()):
        assert all(isinstance(signal, Quote | Trade) for signal in decoded(one))
    snapshot = json.loads((recorded / "kraken-data-recorder" / "instrument_snapshot.json").read_text())
    assert decoded(snapshot if isinstance(snapshot, dict) else snapshot[0]) == []


# --- executions ----------------------------------------------------------------------------------------

PENDING = {
    "order_id": "OK4GJX-KSTLS-7DZZO5",
    "symbol": "BTC/USD",
    "order_qty": 0.005,
    "cum_cost": 0.0,
    "time_in_force": "GTC",
    "exec_type": "pending_new",
    "side": "sell",
    "order_type": "limit",
    "limit_price": 26500.0,
    "order_status": "pending_new",
    "cl_ord_id": "6d1b345e-2821-457a-9e2c-0f9d8c7b6a50",
    "timestamp": "2023-09-22T10:33:05.709950Z",
}
OURS = "6d1b345e2821457a9e2c0f9d8c7b6a50"


def executions(number: int, *entries: dict[str, Any], kind: str = "update") -> dict[str, Any]:
    return {"channel": "executions", "type": kind, "data": list(entries), "sequence": number}


def sparse(exec_type: str, **more: Any) -> dict[str, Any]:
    return {"order_id": PENDING["order_id"], "exec_type": exec_type, "order_status": exec_type, **more}


def test_what_an_event_leaves_out_is_remembered_from_the_orders_first() -> None:
    told = decoded(
        executions(1, PENDING),
        executions(2, sparse("new")),
        executions(3, sparse("canceled", cum_qty=0.002, reason="User requested")),
    )
    assert [one.status for one in told] == [
        SnapshotStatus.PENDING,
        SnapshotStatus.WORKING,
        SnapshotStatus.CANCELLED,
    ]
    assert told[-1] == OrderSnapshot(
        client_order_id=OURS,
        exchange_order_id="OK4GJX-KSTLS-7DZZO5",
        symbol="BTCUSD",
        side="sell",
        status=SnapshotStatus.CANCELLED,
        price_ticks=265_000,
        lots=500_000,
        filled_lots=200_000,
        reason="User requested",
    )


def test_a_fill_comes_before_the_state_it_leads_to() -> None:
    trade = sparse(
        "trade",
        order_status="partially_filled",
        symbol="BTC/USD",
        side="sell",
        exec_id="T5DIUI-5N4KO-Z5BPXK",
        last_qty=0.005,
        last_price=26500.1,
        liquidity_ind="m",
        fees=[{"asset": "USD", "qty": 0.212}],
        cum_qty=0.005,
    )
    fill, state, end = decoded(
        executions(1, PENDING), executions(2, trade), executions(3, sparse("filled", cum_qty=0.005))
    )[1:]
    assert isinstance(fill, FillReport)
    assert (fill.fill_id, fill.client_order_id, fill.liquidity) == ("T5DIUI-5N4KO-Z5BPXK", OURS, "maker")
    assert (fill.price_ticks, fill.lots, fill.fee_asset) == (265_001, 500_000, "USD")
    assert fill.fee_units == fill.fee_value == 212 * 10**6
    assert (state.status, state.filled_lots) == (SnapshotStatus.WORKING, 500_000)
    assert (end.status, end.filled_lots) == (SnapshotStatus.FILLED, 500_000)


def test_recorded_executions_are_read(recorded: Path) -> None:
    lines = (recorded / "ccxt" / "ws_payloads.jsonl").read_text().splitlines()
    by_function = {one["function"]: one["payload"] for one in map(json.loads, lines)}
    [fill] = decoded(by_function["handle_my_trades"])
    assert (fill.symbol, fill.side, fill.price_ticks, fill.fill_id) == (
        "USDCUSD",
        "sell",
        10_002,
        "T5DIUI-5N4KO-Z5BPXK",
    )
    [pending] = decoded(by_function["handle_orders"])
    assert (pending.status, pending.client_order_id) == (SnapshotStatus.PENDING, "")
    assert decoded(by_function["handle_create_edit_order"]) == []


def test_a_number_that_does_not_follow_is_a_gap_and_what_came_is_told() -> None:
    told = decoded(executions(1, kind="snapshot"), executions(3, PENDING))
    assert [type(one) for one in told] == [Gap, OrderSnapshot]
    again = decoded(executions(8, kind="snapshot"), executions(1, PENDING, kind="snapshot"))
    assert [type(one) for one in again] == [OrderSnapshot]


def test_an_event_of_an_order_never_heard_of_is_a_gap() -> None:
    [told] = decoded(executions(1, sparse("new")))
    assert isinstance(told, Gap)
    assert "OK4GJX" in told.detail


def test_an_order_on_a_pair_that_is_not_listed_is_nobodys_business() -> None:
    foreign = {**PENDING, "symbol": "DOGE/EUR"}
    assert decoded(executions(1, foreign), executions(2, sparse("new"))) == []


@pytest.mark.parametrize(
    "change",
    [
        {"cum_qty": 0.006},
        {"cum_qty": -0.001},
        {"limit_price": None},
        {"order_qty": "NaN"},
        {"side": "up"},
    ],
)
def test_an_impossible_amount_is_a_gap_and_no_state(change: dict[str, Any]) -> None:
    told = decoded(executions(1, {**PENDING, **change}))
    assert [type(one) for one in told] == [Gap]


def test_a_status_nobody_knows_is_unreadable() -> None:
    [told] = decoded(executions(1, {**PENDING, "order_status": "bewildered"}))
    assert told.status is SnapshotStatus.UNREADABLE


@pytest.mark.parametrize(
    "frame",
    [
        b"<html>502</html>",
        b'{"channel":"book","type":"snapshot","data":[{"symbol"',
        b"[1,2,3]",
        b"null",
        b'{"channel":"book","type":"snapshot","data":null}',
        b'{"channel":"executions","data":[7]}',
        b'{"channel":"nobody"}',
        b"{}",
        b'{"a":' * 100_000,
        b'{"channel":"ticker","data":[{"symbol":"BTC/USD","bid":null,"ask":1,"bid_qty":1,"ask_qty":1}]}',
        b'{"channel":"trade","data":[{"symbol":"BTC/USD","price":-1,"qty":1,"side":"buy"}]}',
        b'{"channel":"trade","data":[{"symbol":"BTC/USD","price":NaN,"qty":1,"side":"buy"}]}',
    ],
)
def test_a_frame_nobody_can_read_is_a_gap(frame: bytes) -> None:
    told = list(KrakenDecoder(SCALES).decode("public", frame, 7))
    assert [type(one) for one in told] == [Gap]


def test_maintenance_is_a_gap_and_a_session_that_is_over_has_expired() -> None:
    [told] = decoded({"channel": "status", "type": "update", "data": [{"system": "maintenance"}]})
    assert isinstance(told, Gap)
    assert decoded({"channel": "status", "type": "update", "data": [{"system": "online"}]}) == []
    refused = {"method": "subscribe", "success": False, "error": "ESession:Invalid session"}
    assert [type(one) for one in decoded(refused)] == [Expired]
    assert [type(one) for one in decoded({**refused, "error": "Currency pair not supported X/Y"})] == [Gap]


def test_times_are_read_to_the_nanosecond_or_not_at_all() -> None:
    assert exchange_ns("2022-12-25T09:30:59.123456Z") == 1_671_960_659_123_456_000
    assert exchange_ns("2022-12-25T09:30:59Z") == 1_671_960_659_000_000_000
    assert exchange_ns("yesterday") == exchange_ns(None) == 0


# --- REST ----------------------------------------------------------------------------------------------


def recorded_result(folder: Path, name: str) -> Any:
    return json.loads((folder / "nautilus" / name).read_text(), parse_float=str)["result"]


def test_recorded_orders_are_read(recorded: Path) -> None:
    opened = recorded_result(recorded, "http_open_orders.json")["open"]["O26VBY-ISGAE-JP5TLU"]
    one = rest_parsing.order_snapshot(SCALES, SYMBOLS, "O26VBY-ISGAE-JP5TLU", opened)
    assert one is not None
    assert (one.symbol, one.side, one.status) == ("BTCUSDT", "buy", SnapshotStatus.WORKING)
    assert (one.price_ticks, one.lots, one.filled_lots, one.client_order_id) == (295_000, 50_000_000, 0, "")
    closed = recorded_result(recorded, "http_closed_orders.json")["closed"]["O5KZFT-GH3AD-LP6TLU"]
    ended = rest_parsing.order_snapshot(SCALES, SYMBOLS, "O5KZFT-GH3AD-LP6TLU", closed)
    assert ended is not None
    assert (ended.status, ended.filled_lots) == (SnapshotStatus.FILLED, 50_000_000)
    short = rest_parsing.order_snapshot(SCALES, SYMBOLS, "O5", {**closed, "vol_exec": "0.1"})
    assert short is not None
    assert short.status is SnapshotStatus.CANCELLED
    other = recorded_result(recorded, "http_open_orders.json")["open"]["OYEQF4-FDE4C-NMUYUI"]
    assert rest_parsing.order_snapshot(SCALES, SYMBOLS, "OYEQF4-FDE4C-NMUYUI", other) is None


@pytest.mark.parametrize(
    "change",
    [{"vol": None}, {"vol_exec": "-0.1"}, {"vol_exec": "0.6"}, {"vol": "1e99"}, {"descr": None}],
)
def test_an_order_with_an_impossible_amount_is_unreadable(change: dict[str, Any]) -> None:
    description = {"pair": "XBTUSDT", "type": "buy", "ordertype": "limit", "price": "29500.0"}
    given = {"status": "open", "vol": "0.5", "vol_exec": "0", "descr": description}
    with pytest.raises(Unreadable):
        rest_parsing.order_snapshot(SCALES, SYMBOLS, "O1", {**given, **change})


def test_recorded_trades_are_read(recorded: Path) -> None:
    trades = recorded_result(recorded, "http_trades_history.json")["trades"]
    one = rest_parsing.fill_report(
        SCALES, "BTCUSDT", "TCCCTY-WJ6EO-4FP4VZ", trades["TCCCTY-WJ6EO-4FP4VZ"], OURS
    )
    assert (one.exchange_order_id, one.client_order_id) == ("O26VBY-ISGAE-JP5TLU", OURS)
    assert (one.price_ticks, one.lots, one.side, one.liquidity) == (295_005, 50_000_000, "buy", "maker")
    assert (one.fee_asset, one.fee_units) == ("USDT", 23_600_000_000)


def test_recorded_pairs_are_read(recorded: Path) -> None:
    pairs = recorded_result(recorded, "http_asset_pairs.json")
    for name in ("BTCUSDT", "XBTUSDT"):
        one = rest_parsing.rules_by_symbol(pairs, [name, "ETHEUR"])[name]
        assert (one.symbol, one.native, one.base, one.quote) == (name, "XBTUSDT", "BTC", "USDT")
        assert (one.tick, one.lot) == (Decimal("0.1"), Decimal("1e-8"))
        assert (one.min_notional, one.min_quantity) == (Decimal("0.5"), Decimal("0.00005"))
        assert (one.maker_bps, one.taker_bps, one.trading) == (25, 40, True)
    lines = (recorded / "ccxt" / "rest_payloads.jsonl").read_text().splitlines()
    volume = next(one["payload"] for one in map(parsed, lines) if one["function"] == "fetch_trading_fee")
    assert rest_parsing.account_fees(volume["result"], "XXBTZUSD") == (16, 26)
    assert rest_parsing.account_fees(volume["result"], "XETHZUSD") == (None, None)


def parsed(line: str) -> Any:
    return json.loads(line, parse_float=str)


def test_the_pairs_of_the_real_tape_are_read(recorded: Path) -> None:
    tape = SHARED / "data" / "cryptofeed_tape" / "KRAKEN.0.gz"
    if not tape.is_file():
        pytest.skip("no recorded tape beside the checkout")
    line = next(
        line for line in gzip.decompress(tape.read_bytes()).decode().splitlines() if "/AssetPairs -> " in line
    )
    pairs = parsed(line.partition(" -> ")[2].partition(": ")[2])["result"]
    rules = rest_parsing.rules_by_symbol(pairs, ["BTCUSD", "ETHBTC", "DOGEEUR", "ADABTC", "LTCJPY"])
    assert sorted(rules) == ["ADABTC", "BTCUSD", "DOGEEUR", "ETHBTC", "LTCJPY"]
    assert rules["BTCUSD"].native == "XXBTZUSD"
    for native, one in pairs.items():
        base, quote = naming.asset_name(one["base"]), naming.asset_name(one["quote"])
        names = naming.pair_names(base, quote)
        if ".d" not in native:
            assert {native, one["altname"]} <= names, native


def test_recorded_balances_are_read(recorded: Path) -> None:
    lines = (recorded / "ccxt" / "rest_payloads.jsonl").read_text().splitlines()
    told = next(one["payload"] for one in map(parsed, lines) if one["function"] == "fetch_balance")
    assert rest_parsing.balances(told["result"]) == {"USD": Decimal("25435.21"), "BTC": Decimal("1.2435")}


class Answering:
    """A transport that answers from a table; what is not in it is refused as forbidden."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    async def private(self, path: str, **parameters: Any) -> Any:
        answer = self.answers.get(path, AuthenticationFailed("EGeneral:Permission denied"))
        if isinstance(answer, ExchangeError):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "trade", "withdraw"),
    [
        ({"GetApiKeyInfo": {"permissions": ["query-funds", "modify-trades"]}}, True, False),
        ({"GetApiKeyInfo": {"permissions": ["query-funds", "withdraw-funds"]}}, False, True),
        (
            {"GetApiKeyInfo": {"permissions": {"orders": {"modify-orders": True}, "withdraw": False}}},
            True,
            False,
        ),
        ({"GetApiKeyInfo": {}, "AddOrder": OrderRefused("EOrder:Insufficient funds")}, True, False),
        ({"GetApiKeyInfo": Unavailable("EGeneral:Unknown method"), "WithdrawMethods": {}}, False, True),
        ({"AddOrder": {}, "WithdrawMethods": Unavailable("EService:Busy")}, True, True),
    ],
)
def test_what_a_key_may_do_is_told_or_tried(answers: dict[str, Any], trade: bool, withdraw: bool) -> None:
    asked = permissions_of(Answering(**answers))  # type: ignore[arg-type]
    try:
        asked.send(None)
    except StopIteration as found:
        assert (found.value.trade, found.value.withdraw) == (trade, withdraw)
    else:
        raise AssertionError("it waited for something")
