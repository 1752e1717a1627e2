"""Every format is known by its content, however it is packed, and its rows mean what the exchange meant."""

from __future__ import annotations

import builtins
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import market_files as files
import numpy as np
import pytest
from market_files import FORMATS, T0_MS, T0_NS

from grinder.data import (
    DataArgument,
    InstrumentScale,
    describe,
    format_names,
    load,
    read_file,
    verify,
)
from grinder.errors import DataError, EnvironmentFault
from replay.ticks import TickOrigin, Ticks

FINE = InstrumentScale(Decimal("0.1"), Decimal("0.001"))


def loaded(folder: Path, content: str | bytes, scale: InstrumentScale = FINE, name: str = "file") -> Ticks:
    """The content as the rows of one symbol."""
    path = files.write(folder, content, name)
    return load([DataArgument(path, "X")], symbols={"X": scale}, default_symbol=None)["X"]


@pytest.mark.parametrize("what", FORMATS)
def test_a_format_is_recognised_by_content(tmp_path: Path, what: str) -> None:
    build, name, kind, rows, events = FORMATS[what]
    found = describe(files.write(tmp_path, build()))
    assert (found.format, found.kind, found.rows, found.events) == (name, kind, rows, events)
    assert found.faults == {}
    assert name in format_names()
    json.dumps(found.as_dict())


@pytest.mark.parametrize("what", [what for what in FORMATS if "npz" not in what])
@pytest.mark.parametrize(
    "pack", [files.gzipped, files.zipped, lambda content: files.zipped(files.gzipped(content))]
)
def test_packing_changes_nothing(tmp_path: Path, what: str, pack: Any) -> None:
    content = FORMATS[what][0]()
    plain = describe(files.write(tmp_path, content)).as_dict()
    assert describe(files.write(tmp_path, pack(content))).as_dict() == plain


def test_spot_quotes_without_event_time_get_the_last_offset(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.spot_tape())
    assert (ticks.ts - T0_NS).tolist() == [5_000_000, 10_000_000, 30_000_000]
    assert ticks.origin is TickOrigin.TRADES_AND_QUOTES
    assert ticks.price.tolist() == [1001, 1002, 1002]  # mid before the first trade, then the last trade
    assert ticks.low.tolist() == [1002, 1002, 1002]
    assert ticks.high.tolist() == [1001, 1002, 1000]
    assert ticks.side is not None and ticks.side.tolist() == [0, 1, 0]
    assert ticks.qty is not None and ticks.qty.tolist() == [0, 500, 0]
    assert ticks.bid is not None and ticks.bid.tolist() == [1001, 1001, 1000]
    assert ticks.bid_qty is not None and ticks.bid_qty.tolist() == [2000, 2000, 2000]


def test_a_wobbling_clock_never_turns_spot_quotes_round(tmp_path: Path) -> None:
    quote = {"u": 1, "s": "X", "b": "1", "B": "1", "a": "2", "A": "1"}
    trade = {"e": "trade", "s": "X", "t": 1, "p": "1", "q": "1", "m": True}
    late = {**trade, "t": 2, "E": T0_MS + 2}  # took 8 ms longer than the one before
    content = files.tape(
        [
            (T0_NS, {"data": {**trade, "E": T0_MS + 10}}),
            (T0_NS + 1_000_000, {"data": {**quote, "b": "1.1"}}),
            (T0_NS + 1_500_000, {"data": late}),
            (T0_NS + 2_000_000, {"data": {**quote, "b": "1.2"}}),
        ]
    )
    ticks = loaded(tmp_path, content)
    quotes = ticks.qty == 0
    assert (np.diff(ticks.ts) >= 0).all()
    assert ticks.bid is not None and ticks.bid[quotes].tolist() == [11, 12]


def test_streams_that_overtake_each_other_are_put_in_exchange_order(tmp_path: Path) -> None:
    path = files.write(tmp_path, files.futures_tape())
    (table,) = read_file(path).tables
    assert (table.ts - T0_NS).tolist() == [1_000_000, 2_000_000]
    assert table.rows(np.arange(2)).tolist() == [3, 2]
    assert table.reordered == 1


def test_a_trade_before_the_first_quote_is_its_own_quote_at_no_size(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.futures_tape())
    assert ticks.bid is not None and ticks.bid.tolist() == [999, 999]
    assert ticks.ask is not None and ticks.ask.tolist() == [999, 1000]
    assert ticks.ask_qty is not None and ticks.ask_qty.tolist() == [0, 7000]
    assert ticks.side is not None and ticks.side.tolist() == [-1, 0]


@pytest.mark.parametrize(("field", "first", "then"), [("U", {}, {"U": 14}), ("pu", {"pu": 1}, {"pu": 99})])
def test_a_hole_in_depth_updates_is_a_sequence_fault(
    tmp_path: Path, field: str, first: dict[str, int], then: dict[str, int]
) -> None:
    depth = {"e": "depthUpdate", "s": "X", "b": [["1", "1"]], "a": [["2", "1"]]}
    content = files.tape(
        [
            (T0_NS, {"data": {**depth, "E": T0_MS, "U": 10, "u": 12, **first}}),
            (T0_NS + 1, {"data": {**depth, "E": T0_MS, "U": 13, "u": 15, **then}}),
        ]
    )
    (fault,) = verify(files.write(tmp_path, content))
    assert (fault.code, fault.row, fault.value) == ("data.sequence", 2, str(then[field]))
    assert not fault.fatal


def test_a_tape_of_depth_alone_gives_the_top_of_its_book(tmp_path: Path) -> None:
    depth = {"e": "depthUpdate", "s": "X", "E": T0_MS}
    content = files.tape(
        [
            (T0_NS, {"data": {**depth, "U": 1, "u": 1, "b": [["1.0", "1"]], "a": []}}),
            (T0_NS + 1, {"lastUpdateId": 1, "bids": [["1.1", "4"], ["1.0", "1"]], "asks": [["1.3", "2"]]}),
            (T0_NS + 2, {"data": {**depth, "U": 2, "u": 2, "b": [["1.1", "0"]], "a": [["1.2", "9"]]}}),
        ]
    )
    ticks = loaded(tmp_path, content)
    assert ticks.origin is TickOrigin.QUOTES
    assert (ticks.bid.tolist(), ticks.ask.tolist()) == ([10], [12])  # type: ignore[union-attr]


def test_hyperliquid_trades_from_before_the_recording_stand_first(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.hyperliquid_tape())
    assert (ticks.ts - T0_NS).tolist() == [-50_000_000_000, 0, 500_000_000]
    assert ticks.side is not None and ticks.side.tolist() == [1, 0, 0]
    assert ticks.bid is not None and ticks.bid[1:].tolist() == [1_050_550, 1_050_540]


def test_alternating_price_rows_are_one_quote_per_message(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, FORMATS["Hyperliquid prices"][0]())
    assert ticks.origin is TickOrigin.QUOTES
    assert ticks.bid is not None and ticks.bid.tolist() == [1000, 1000, 1005]
    assert ticks.ask is not None and ticks.ask.tolist() == [1010, 1010, 1010]
    assert ticks.bid_qty is not None and ticks.bid_qty.tolist() == [1500, 1000, 4000]
    assert ticks.low is ticks.ask and ticks.high is ticks.bid
    assert ticks.price.tolist() == [1005, 1005, 1007]


def test_trades_sent_again_after_a_reconnect_are_put_in_order_once(tmp_path: Path) -> None:
    header = "timestamp,price,size,side,trade_id,exchange_timestamp"
    again = (1700000009.0, 100.0, 0.25, "sell", "11", T0_MS)
    path = files.write(tmp_path, files.csv(header, [*files.HYPER_TRADES, again]))
    assert [fault.code for fault in verify(path)] == ["data.duplicate"]
    assert describe(path).reordered == 1
    ticks = load([DataArgument(path, "X")], symbols={"X": FINE}, default_symbol=None)["X"]
    assert ticks.price.tolist() == [1000, 1010]


def test_a_recorder_whose_own_clock_steps_back_is_refused(tmp_path: Path) -> None:
    header = "timestamp,price,size,side,trade_id,exchange_timestamp"
    path = files.write(tmp_path, files.csv(header, files.HYPER_TRADES[::-1]))
    assert "data.unsorted" in [fault.code for fault in verify(path)]


def test_book_updates_keep_the_best_quotes(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.bybit_book(), InstrumentScale(Decimal("0.0001"), Decimal(1)))
    assert ticks.bid is not None and ticks.bid.tolist() == [19531, 19530, 19530]
    assert ticks.ask is not None and ticks.ask.tolist() == [19533, 19532, 19533]
    assert ticks.ask_qty is not None and ticks.ask_qty.tolist() == [5, 7, 5]


def test_depth_rows_of_one_message_are_one_quote(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.depth_csv())
    assert ticks.bid is not None and ticks.bid.tolist() == [1000, 1001, 1001]
    assert ticks.ask_qty is not None and ticks.ask_qty.tolist() == [2000, 2000, 500]


@pytest.mark.parametrize("content", [files.bybit_book(), files.depth_csv()])
def test_a_hole_in_book_updates_is_a_sequence_fault(tmp_path: Path, content: str) -> None:
    without = [line for line in content.splitlines() if '"u":2' not in line and ",6,8," not in line]
    (fault,) = verify(files.write(tmp_path, "\n".join(without) + "\n"))
    assert fault.code == "data.sequence"


@pytest.mark.parametrize("content", [files.bybit_book(), files.depth_csv()])
def test_a_book_that_steps_back_in_time_is_refused(tmp_path: Path, content: str) -> None:
    moved = content.replace(str(T0_MS + 2), str(T0_MS - 2))
    assert "data.unsorted" in [fault.code for fault in verify(files.write(tmp_path, moved)) if fault.fatal]


def test_a_bybit_dump_written_newest_first_is_turned_round(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.csv(files.BYBIT_HEADER, files.BYBIT[::-1]))
    assert ticks.price.tolist() == [1005, 1010]
    assert ticks.side is not None and ticks.side.tolist() == [-1, 1]
    assert (ticks.ts - T0_NS).tolist() == [64_700_000, 1_250_000_000]


def test_binance_microseconds_are_told_from_milliseconds(tmp_path: Path) -> None:
    content = files.csv("", [(*row[:4], row[4] * 1000 + 7, row[5]) for row in files.TRADES])
    path = files.write(tmp_path, content)
    assert describe(path).time_unit == "us"
    assert (read_file(path).tables[0].ts - T0_NS).tolist() == [7_000, 1_007_000]


@pytest.mark.parametrize("what", ["futures aggTrades", "futures trades", "nautilus trades"])
def test_buyer_maker_means_the_seller_was_the_aggressor(tmp_path: Path, what: str) -> None:
    ticks = loaded(tmp_path, FORMATS[what][0]())
    assert ticks.side is not None and ticks.side.tolist() == [-1, 1]


def test_trades_without_aggressor_have_no_side(tmp_path: Path) -> None:
    assert loaded(tmp_path, FORMATS["Kraken trades"][0]()).side is None


def test_npz_columns_are_passed_on_without_a_copy(tmp_path: Path) -> None:
    ticks = loaded(tmp_path, files.npz())
    assert ticks.low is ticks.price and ticks.high is ticks.price
    assert ticks.origin is TickOrigin.TRADES_AND_QUOTES
    assert ticks.side is not None and ticks.side.dtype == np.int64
    assert all(a.flags.c_contiguous and a.flags.aligned for a in (ticks.ts, ticks.price, ticks.side))


def test_npz_members_that_are_no_columns_are_refused(tmp_path: Path) -> None:
    for wrong in (np.array([1, 2]), np.array([1.0, 2.0, 3.0]), np.array(["a", "b", "c"])):
        with pytest.raises(DataError, match="member qty"):
            loaded(tmp_path, files.npz(qty=wrong))


def test_pickled_npz_members_are_never_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="allow_pickle"):
        loaded(tmp_path, files.npz(qty=np.array([1, {}, None], dtype=object)))


def test_without_pyarrow_the_fix_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = files.write(tmp_path, FORMATS["candle feather"][0]())
    real_import = builtins.__import__

    def without_pyarrow(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ModuleNotFoundError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pyarrow)
    with pytest.raises(EnvironmentFault, match=r"pip install 'grinder\[data\]'"):
        describe(path)
