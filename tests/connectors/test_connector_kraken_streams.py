"""What the frames of Kraken mean: books held to their checksums, executions in sequence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from kraken_listed import OURS, PENDING, SCALES, SHARED, book_frame, decoded, executions, level

from actors.ports import Expired, Gap, OrderSnapshot, Quote, SnapshotStatus, Trade
from domain.inputs import FillReport
from grinder.connectors.kraken.decoder import KrakenDecoder
from grinder.connectors.kraken.price_book import PriceBook
from grinder.connectors.kraken.reading import exchange_ns

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
