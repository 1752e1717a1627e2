"""What OKX says, read: recorded payloads, error codes, frames, books."""

from __future__ import annotations

import copy
import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from contract import listed

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
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
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.okx import errors, parsing
from grinder.connectors.okx.decoder import OkxDecoder

SHARED = Path(__file__).resolve().parents[3] / "shared"


@pytest.fixture
def recorded() -> Path:
    """The folder of OKX's recorded payloads; skips where there is none."""
    folder = SHARED / "fixtures" / "okx"
    if not folder.is_dir():
        pytest.skip("no recorded payloads beside the checkout")
    return folder


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / "nautilus" / name).read_text(encoding="utf-8"))


def fine(base: str, quote: str, symbol: str, price_decimals: int = 2) -> Instrument:
    """A symbol on a scale fine enough for any recorded amount."""
    return Instrument(
        symbol=symbol,
        kind="spot",
        base=base,
        quote=quote,
        tick="0.01",
        lot="0.00000001",
        tick_size=1,
        price_decimals=price_decimals,
        base_decimals=8,
        quote_decimals=8 + price_decimals,
        quote_per_tick_base=1,
        base_per_lot=1,
        min_notional=0,
        maker_fee_ppm=0,
        taker_fee_ppm=0,
    )


def decoder(*instruments: Instrument) -> OkxDecoder:
    return OkxDecoder(Scales({one.symbol: one for one in instruments or (listed(),)}, {}))


def decoded(reader: OkxDecoder, message: Any, stream: str = "public") -> list[Any]:
    return list(reader.decode(stream, json.dumps(message).encode(), 7))


# --- recorded payloads ---------------------------------------------------------------------------------


def test_recorded_instruments_give_their_steps(recorded: Path) -> None:
    rows = read(recorded, "http_get_instruments_spot.json")["data"]
    found = {row["instId"]: parsing.rules(row, row["instId"], None) for row in rows}
    assert found["BTC-USD"].tick == Decimal("0.1")
    assert found["BTC-USD"].lot == Decimal("0.00000001")
    assert found["BTC-USD"].min_quantity == Decimal("0.00001")
    assert all(one.trading and one.kind == "spot" for one in found.values())


def test_a_recorded_balance_counts_what_is_locked(recorded: Path) -> None:
    row = read(recorded, "http_get_account_balance.json")["data"][0]
    assert parsing.balances(row) == {"USDT": Decimal("94.42612990333333")}


def test_a_recorded_place_answer_names_its_order(recorded: Path) -> None:
    row = read(recorded, "http_place_order_response.json")
    answer = {"code": "0", "data": [row], "msg": ""}
    assert parsing.items(answer, [row["clOrdId"], "another"], ["", ""]) == [row, None]


def spot_order(recorded: Path, name: str) -> dict[str, Any]:
    """A recorded order, told of BTC-USDT."""
    message = read(recorded, name)
    message["data"][0]["instId"] = "BTC-USDT"
    return message


def test_a_recorded_order_push_is_an_execution_and_its_order(recorded: Path) -> None:
    message = spot_order(recorded, "ws_orders.json")
    fill, order = decoded(decoder(), message, "private")
    assert isinstance(fill, FillReport)
    assert (fill.price_ticks, fill.lots, fill.liquidity, fill.side) == (1_036_989, 30, "maker", "buy")
    assert fill.fee_asset == "USDT"
    assert fill.fee_units == 21_776_769
    assert fill.fill_id == "2497956918703120384-1518905529"
    assert isinstance(order, OrderSnapshot)
    assert (order.status, order.filled_lots, order.lots) == (SnapshotStatus.FILLED, 30, 30)
    assert order.client_order_id == "001BTCUSDT20250106001"


def test_a_recorded_pending_order_works(recorded: Path) -> None:
    row = spot_order(recorded, "http_get_orders_pending.json")["data"][0]
    order = parsing.order(Scales({"BTCUSDT": listed()}, {}), "BTCUSDT", row)
    assert (order.status, order.price_ticks, order.lots) == (SnapshotStatus.WORKING, 1_035_000, 100)


def test_recorded_executions_of_the_backfill_are_read(recorded: Path) -> None:
    lines = (recorded / "ccxt" / "rest_payloads.jsonl").read_text().splitlines()
    [row] = [json.loads(x)["payload"]["data"][0] for x in lines if '"fetch_my_trades"' in x]
    [fill] = parsing.fills(Scales({"ETHUSDT": fine("ETH", "USDT", "ETHUSDT")}, {}), "ETHUSDT", [row])
    assert (fill.price_ticks, fill.lots, fill.liquidity) == (265_498, 753_300, "taker")
    assert (fill.fee_asset, fill.fee_units) == ("ETH", 754)  # 0.000007533 at 8 decimals, against us


def test_recorded_quotes_and_trades_are_read(recorded: Path) -> None:
    [quote] = decoded(decoder(fine("BTC", "USDT", "BTCUSDT")), read(recorded, "ws_bbo_tbt.json"))
    assert isinstance(quote, Quote)
    assert (quote.bid_ticks, quote.ask_ticks) == (847_697, 847_698)
    assert (quote.exchange_ns, quote.received_ns) == (1_597_026_383_085_000_000, 7)
    [trade] = decoded(decoder(fine("BTC", "USD", "BTCUSD")), read(recorded, "ws_trades.json"))
    assert isinstance(trade, Trade)
    assert (trade.price_ticks, trade.lots, trade.buyer_took) == (4_221_990, 12_060_306, True)


def test_a_recorded_tape_of_books_is_a_chain_without_a_gap() -> None:
    tape = SHARED / "data" / "cryptofeed_tape" / "OKX.ws.1.0.gz"
    if not tape.is_file():
        pytest.skip("no recorded market data beside the checkout")
    reader = decoder(fine("BTC", "USDT", "BTCUSDT", 1))
    signals: list[Any] = []
    with gzip.open(tape, "rt") as lines:
        for line in lines:
            frame = line.partition(": ")[2].strip()
            if frame.startswith("{"):
                signals += reader.decode("public", frame.encode(), 1)
    quotes = [one for one in signals if isinstance(one, Quote)]
    assert not [one for one in signals if isinstance(one, Gap)]
    assert len(quotes) > 50
    assert len([one for one in signals if isinstance(one, Trade)]) > 30
    assert all(one.bid_ticks < one.ask_ticks for one in quotes)


def test_every_recorded_frame_is_read_or_left_alone(recorded: Path) -> None:
    """Frames of channels that were not asked for, and of other versions, mean nothing and break nothing."""
    reader = decoder(fine("BTC", "USDT", "BTCUSDT"), fine("BTC", "USD", "BTCUSD"))
    for path in sorted(recorded.glob("*/*.json")):
        messages = json.loads(path.read_text(encoding="utf-8"))
        for message in messages if isinstance(messages, list) else [messages]:
            found = decoded(reader, message)
            allowed = path.name in ("ws_books_snapshot.json", "ws_books_update.json")  # of another checksum
            assert allowed or not [one for one in found if isinstance(one, Gap)], path


# --- what cannot be read -------------------------------------------------------------------------------


def order_push(**changes: Any) -> dict[str, Any]:
    row = {
        "instType": "SPOT",
        "instId": "BTC-USDT",
        "ordId": "77",
        "clOrdId": "ab" * 16,
        "side": "buy",
        "ordType": "post_only",
        "px": "60000.1",
        "sz": "0.010",
        "accFillSz": "0.008",
        "state": "partially_filled",
        "fillPx": "60000.1",
        "fillSz": "0.004",
        "fillFee": "-0.1",
        "fillFeeCcy": "USDT",
        "fee": "-0.3",
        "feeCcy": "USDT",
        "execType": "M",
        "tradeId": "5",
        "fillTime": "1700000000000",
        "tgtCcy": "",
        "cancelSource": "",
    }
    return {"arg": {"channel": "orders", "instType": "SPOT"}, "data": [row | changes]}


def test_an_execution_is_charged_its_own_fee_and_not_that_of_the_order() -> None:
    fill, _ = decoded(decoder(), order_push())
    assert fill.fee_units == 100_000_000
    without = order_push()
    del without["data"][0]["fillFee"]
    [gap] = decoded(decoder(), without)  # `fee` is of all executions: the backfill has to tell
    assert isinstance(gap, Gap)


def test_a_rebate_is_a_negative_fee() -> None:
    fill, _ = decoded(decoder(), order_push(fillFee="0.1"))
    assert fill.fee_units == -100_000_000


def test_an_execution_without_an_id_gets_one_that_the_backfill_gets_too() -> None:
    scales = Scales({"BTCUSDT": listed()}, {})
    told, _ = decoded(decoder(), order_push(tradeId=""))
    row = order_push(tradeId="0")["data"][0] | {"fee": "-0.1", "billId": "0", "ts": "1700000000009"}
    [found] = parsing.fills(scales, "BTCUSDT", [row])
    assert told.fill_id.startswith("synthetic-")
    assert found == told


def test_both_orders_of_a_trade_with_oneself_have_their_own_execution() -> None:
    one, _ = decoded(decoder(), order_push())
    other, _ = decoded(decoder(), order_push(ordId="78", side="sell"))
    assert one.fill_id != other.fill_id


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "bewildered"},
        {"px": None, "fillSz": "0"},
        {"px": "-1", "fillSz": "0"},
        {"px": "60000.123", "fillSz": "0"},
        {"sz": "0.001", "fillSz": "0"},
        {"side": "hold", "fillSz": "0"},
    ],
)
def test_an_order_nobody_can_read_has_no_status(changes: dict[str, Any]) -> None:
    order = decoded(decoder(), order_push(**changes))[-1]
    assert isinstance(order, OrderSnapshot)
    assert order.status is SnapshotStatus.UNREADABLE


@pytest.mark.parametrize(
    "changes",
    [{"fillSz": "-0.004"}, {"fillPx": None}, {"execType": ""}, {"fillFee": "NaN"}, {"ordId": None}],
)
def test_an_execution_nobody_can_read_is_a_gap(changes: dict[str, Any]) -> None:
    found = decoded(decoder(), order_push(**changes), "private")
    assert [type(one) for one in found] == [Gap]
    assert found[0].stream == "private"


def test_events_and_notices_are_told_apart() -> None:
    reader = decoder()
    assert not decoded(reader, {"event": "subscribe", "arg": {"channel": "trades"}})
    assert list(reader.decode("public", b"pong", 1)) == []
    [notice] = decoded(
        reader, {"event": "notice", "code": "64008", "msg": "the connection will soon be closed"}
    )
    assert isinstance(notice, Expired)
    [broken] = decoded(reader, {"event": "error", "code": "60018", "msg": "no such channel"})
    assert isinstance(broken, Gap)


def test_a_sequence_number_that_goes_back_is_a_gap_and_then_forgotten() -> None:
    reader = decoder()

    def best(number: int) -> list[Any]:
        row = {
            "bids": [["60000", "1", "0", "1"]],
            "asks": [["60001", "1", "0", "1"]],
            "ts": "1",
            "seqId": number,
        }
        return decoded(reader, {"arg": {"channel": "bbo-tbt", "instId": "BTC-USDT"}, "data": [row]})

    assert [type(best(number)[0]) for number in (5, 5, 9, 3, 4)] == [Quote, Quote, Quote, Gap, Quote]


def test_crossed_and_one_sided_quotes_are_not_told() -> None:
    def best(bids: list[Any], asks: list[Any]) -> list[Any]:
        row = {"bids": bids, "asks": asks, "ts": "1", "seqId": 1}
        return decoded(decoder(), {"arg": {"channel": "bbo-tbt", "instId": "BTC-USDT"}, "data": [row]})

    assert best([["60000", "1"]], []) == []
    assert isinstance(best([["60002", "1"]], [["60001", "1"]])[0], Gap)
    assert isinstance(best([[None, "1"]], [["60001", "1"]])[0], Gap)


def book(action: str, number: int, before: int, bids: list[Any], asks: list[Any], checksum: int = 0) -> Any:
    row = {"bids": bids, "asks": asks, "ts": "1", "seqId": number, "prevSeqId": before, "checksum": checksum}
    return {"arg": {"channel": "books", "instId": "BTC-USDT"}, "action": action, "data": [row]}


def test_a_book_with_a_gap_says_nothing_until_a_snapshot() -> None:
    reader = decoder()
    start = book("snapshot", 10, -1, [["60000", "1", "0", "1"]], [["60001", "1", "0", "1"]])
    assert isinstance(decoded(reader, start)[0], Quote)
    change = book("update", 12, 10, [["60000.5", "2", "0", "1"]], [])
    assert decoded(reader, change)[0].bid_ticks == 600_005
    heartbeat = book("update", 12, 12, [], [])
    assert decoded(reader, heartbeat) == []
    late = book("update", 15, 13, [["60000.7", "2", "0", "1"]], [])
    assert isinstance(decoded(reader, late)[0], Gap)
    assert decoded(reader, book("update", 16, 15, [["60000.8", "1", "0", "1"]], [])) == []
    assert isinstance(decoded(reader, start)[0], Quote)


def test_a_book_with_another_checksum_is_a_gap() -> None:
    reader = decoder()
    [gap] = decoded(
        reader, book("snapshot", 1, -1, [["60000", "1", "0", "1"]], [["60001", "1", "0", "1"]], 7)
    )
    assert isinstance(gap, Gap)
    assert "checksum" in gap.detail


# --- error codes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "write", "kind"),
    [
        ("50011", True, RateLimited),
        ("50061", True, RateLimited),
        ("50011", False, RateLimited),
        ("50102", True, ClockSkewed),
        ("51149", True, OutcomeUnknown),
        ("50004", True, OutcomeUnknown),
        ("50013", True, OutcomeUnknown),
        ("50026", True, OutcomeUnknown),
        ("50026", False, Unavailable),
        ("51016", True, OutcomeUnknown),
        ("50001", True, Unavailable),
        ("50111", True, AuthenticationFailed),
        ("50113", False, AuthenticationFailed),
        ("50105", True, AuthenticationFailed),
        ("60009", False, AuthenticationFailed),
        ("51121", True, OrderRefused),
        ("51020", True, OrderRefused),
        ("51008", True, OrderRefused),
        ("51400", True, OrderRefused),
        ("51603", False, Unavailable),
        ("99999", True, OrderRefused),
    ],
)
def test_a_code_means_what_okx_says_it_means(code: str, write: bool, kind: type) -> None:
    assert type(errors.from_code(code, "", write=write)) is kind


def test_codes_nobody_named_are_taken_as_the_client_library_takes_them() -> None:
    import ccxt

    kinds = {"70000": ccxt.RateLimitExceeded, "70001": ccxt.RequestTimeout, "70002": ccxt.PermissionDenied}
    found = [type(errors.from_code(code, "", write=True, kinds=kinds)) for code in sorted(kinds)]
    assert found == [RateLimited, OutcomeUnknown, AuthenticationFailed]


def test_no_code_of_the_client_library_is_a_success(recorded: Path) -> None:
    known = json.loads((recorded / "ccxt" / "okx_has_features_errors.json").read_text())["exceptions"][
        "exact"
    ]
    for code in known:
        for write in (True, False):
            found = errors.from_code(code, "", write=write)
            assert not (write and isinstance(found, Unavailable) and code not in errors.MAINTENANCE_CODES)


def test_a_short_answer_leaves_an_order_out_instead_of_guessing() -> None:
    row = {"clOrdId": "b", "ordId": "2", "sCode": "0"}
    assert parsing.items({"data": [row]}, ["a", "b", "c"], ["", "", ""]) == [None, row, None]
    assert parsing.items({"data": None}, ["a"], [""]) == [None]
    assert parsing.items([], ["a"], [""]) == [None]
    unnamed = {"sCode": "51000", "clOrdId": "", "ordId": ""}
    assert parsing.items({"data": [unnamed]}, ["a"], [""]) == [unnamed]
    assert parsing.items({"data": [unnamed]}, ["a", "b"], ["", ""]) == [None, None]


@pytest.mark.parametrize("perm", ["read_only", "read_only,trade", "read_only,withdraw,trade"])
def test_permissions_are_read_as_a_list(perm: str) -> None:
    found = parsing.permissions({"perm": perm})
    assert found.trade is ("trade" in perm)
    assert found.withdraw is ("withdraw" in perm)
    with pytest.raises(Unreadable):
        parsing.permissions({"perm": None})


def test_a_frame_is_not_changed_by_being_read() -> None:
    message = order_push()
    before = copy.deepcopy(message)
    decoded(decoder(), message)
    assert message == before
