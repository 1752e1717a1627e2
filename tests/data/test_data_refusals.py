"""A row per thing that can be wrong with a data file: its code, its row and its value."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import market_files as files
import pytest
from market_files import FORMATS, MINUTE_MS, T0_MS, T0_NS

from grinder.data import DataArgument, InstrumentScale, describe, load, verify
from grinder.data.faults import HARMLESS, FaultCode
from grinder.errors import DataError, UserError

ONE = InstrumentScale(Decimal(1), Decimal(1))
HEADER = "timestamp,open,high,low,close,volume"
BAR = (100, 102, 99, 101, 5)


def bars(*rows: tuple[object, ...]) -> str:
    """Minute bars; a row of five is put at the next minute, a row of six brings its own time."""
    return files.csv(HEADER, [r if len(r) == 6 else (T0_MS + i * MINUTE_MS, *r) for i, r in enumerate(rows)])


def at(minutes: float, *row: object) -> tuple[object, ...]:
    return (T0_MS + int(minutes * MINUTE_MS), *(row or BAR))


def trades(*rows: tuple[object, ...]) -> str:
    return files.csv("id,price,qty,quote_qty,time,is_buyer_maker", rows)


def trade(number: int, price: object = "1.5", qty: object = "1", time: object = T0_MS) -> tuple[object, ...]:
    return (number, price, qty, "1", time, "true")


def quotes(bid: object, ask_qty: object) -> str:
    return files.csv("", [(1, bid, "1", "2.0", ask_qty, T0_MS, T0_MS)])


HOLE_IN_DEPTH = files.spot_tape().replace('"U":13,"u":13', '"U":15,"u":15')
BROKEN_TAPE = files.spot_tape().splitlines()
FAR_APART = quotes("900000000000", "1").replace("2.0", "0.00000000001")
TWO_SYMBOLS = files.csv(files.BYBIT_HEADER, [(1.7e9, symbol, *[1] * 8) for symbol in "AB"])
IN_SECONDS = files.spot_tape().replace(str(T0_MS + 10), str(T0_MS // 1000))
NO_PRICE = files.spot_tape().replace("100.20000000", "x")
CUT = BROKEN_TAPE[4][:90]
GZIPPED = files.gzipped("\n".join(f"{i},1.0,{i * 7919 % 1000}" for i in range(T0_MS, T0_MS + 5000)))

REFUSALS: list[tuple[str, str | bytes, str, int, str]] = [
    # what, content, code, row, part of the value
    ("a hole between bars", bars(BAR, BAR, at(5), at(6)), "data.gap", 4, "3 missing"),
    ("a hole in trade ids", trades(trade(1), trade(4)), "data.gap", 3, "2 missing before 4"),
    ("a bar twice", bars(BAR, BAR, at(1), at(2)), "data.duplicate", 4, str(T0_MS + MINUTE_MS)),
    ("a trade id twice", trades(trade(1), trade(2), trade(2)), "data.duplicate", 4, "2"),
    ("a bar out of order", bars(BAR, at(2), at(1), at(3), at(4)), "data.unsorted", 4, "2023-11-14T22:14:20Z"),
    ("a trade out of order", trades(trade(1, time=T0_MS + 9), trade(2)), "data.unsorted", 3, "22:13:20Z"),
    ("a bar inside a bar", bars(BAR, BAR, at(1.5), at(2), at(3), at(4)), "data.interval", 4, ""),
    ("a single bar", bars(BAR), "data.interval", 2, ""),
    ("high below low", bars(BAR, (100, 99, 102, 101, 5)), "data.high_below_low", 3, "high 99 low 102"),
    ("open above high", bars(BAR, (103, 102, 99, 101, 5)), "data.outside_range", 3, "103"),
    ("close below low", bars(BAR, (100, 102, 99, 98.5, 5)), "data.outside_range", 3, "98.5"),
    ("a price of zero", trades(trade(1), trade(2, "0.000")), "data.price_not_positive", 3, "0"),
    ("a negative bar", bars(BAR, (1, 2, -0.5, 1, 5)), "data.price_not_positive", 3, "-0.5"),
    ("a bid of zero", quotes("0", "1"), "data.price_not_positive", 1, "0"),
    ("a negative quantity", trades(trade(1, qty="-2.50")), "data.quantity_negative", 2, "-2.5"),
    ("a negative size", quotes("1.0", "-1"), "data.quantity_negative", 1, "-1"),
    ("NaN", trades(trade(1), trade(2, "NaN")), "data.not_finite", 3, "NaN"),
    ("infinity", trades(trade(1, qty="-inf")), "data.not_finite", 2, "-inf"),
    ("an empty cell", trades(trade(1), trade(2, "")), "data.not_finite", 3, ""),
    ("a word for a number", trades(trade(1, "1.5x")), "data.not_a_number", 2, "1.5x"),
    ("a null in JSON", f"[[{T0_MS},1,1,1,null,1],[{T0_MS + 60000},1,1,1,1,1]]", "data.not_finite", 1, "nan"),
    ("s among ms", trades(trade(1), trade(2, time=T0_MS // 1000)), "data.mixed_time_units", 3, "1700000000"),
    ("us among ms", trades(trade(1), trade(2, time=T0_MS * 1000)), "data.mixed_time_units", 3, "000000"),
    ("ns among s", f"1700000000,1,1\n{T0_NS},1,1\n", "data.mixed_time_units", 2, str(T0_NS)),
    ("a time of 1970", trades(trade(1, time=12345)), "data.not_a_time", 2, "12345"),
    ("a date that is none", bars(("2023-13-45", *BAR), at(1)), "data.not_a_time", 2, "2023-13"),
    ("a number among dates", bars(("2023-11-14", *BAR), at(1)), "data.not_a_time", 3, str(T0_MS + MINUTE_MS)),
    ("a number of 30 digits", trades(trade(1, "1" * 30)), "data.not_a_number", 2, "11"),
    ("numbers too far apart", FAR_APART, "data.number_too_long", 0, ""),
    ("a row too short", trades(trade(1), (2, "1.5"), trade(3)), "data.row_shape", 3, "2,1.5"),
    ("a last line cut short", trades(trade(1), (2, "1.")), "data.truncated", 3, "2,1."),
    ("another symbol", TWO_SYMBOLS, "data.row_shape", 3, "B"),
    ("JSON that ends early", f"[[{T0_MS},1,1,1,1,1],[1", "data.truncated", 1, "byte"),
    ("a JSON row of words", f'[[{T0_MS},1,1,1,1,1],["a",1,1,1,1,1]]', "data.row_shape", 2, "a"),
    ("a tape line cut short", "\n".join([*BROKEN_TAPE[:3], CUT]), "data.truncated", 4, "1699"),
    ("a tape line of noise", "\n".join([*BROKEN_TAPE[:2], "garbage"]), "data.truncated", 3, "garbage"),
    ("a frame without fields", '1700000000000000000 {"e":"trade","s":"X","t":1}', "data.row_shape", 1, ""),
    ("a frame in seconds", IN_SECONDS, "data.not_a_time", 2, "17"),
    ("a frame's price of noise", NO_PRICE, "data.not_a_number", 1, "x"),
    ("a recorder going back", "\n".join(BROKEN_TAPE[::-1]), "data.unsorted", 2, "169999999"),
    ("a hole in depth", HOLE_IN_DEPTH, "data.sequence", 6, "15"),
    ("a gzip cut short", GZIPPED[: len(GZIPPED) // 2], "data.truncated", 0, "bytes"),
    ("a gzip with a flipped byte", GZIPPED[:-6] + b"\0\0" + GZIPPED[-4:], "data.truncated", 0, "check"),
    ("a zip cut short", files.zipped(trades(trade(1)))[:60], "data.truncated", 0, "zip"),
    ("a zip of two files", files.zipped("1", "2"), "data.unreadable", 0, "2 files"),
    ("a feather cut short", FORMATS["candle feather"][0]()[:400], "data.truncated", 0, ""),
    ("a parquet cut short", FORMATS["nautilus quotes"][0]()[:400], "data.truncated", 0, ""),
    ("an npz cut short", files.npz()[:-40], "data.truncated", 0, "zip"),
    ("an empty file", "", "data.empty", 0, ""),
    ("an empty gzip", files.gzipped(""), "data.empty", 0, ""),
    ("a header alone", HEADER + "\n", "data.empty", 0, ""),
    ("a tape of nothing", '1700000000000000000 {"lastUpdateId":1,"bids":[],"asks":[]}', "data.empty", 0, ""),
    ("some other text", "Dear sir,\nplease find\n", "data.unknown_format", 0, "Dear sir"),
    ("some other table", "a,b,c\n1,2,3\n", "data.unknown_format", 0, "a,b,c"),
    ("some other bytes", bytes(range(256)), "data.unknown_format", 0, ""),
]  # fmt: skip


@pytest.mark.parametrize(("what", "content", "code", "row", "value"), REFUSALS, ids=[r[0] for r in REFUSALS])
def test_what_is_wrong_is_named_with_its_row(
    tmp_path: Path, what: str, content: str | bytes, code: str, row: int, value: str
) -> None:
    path = files.write(tmp_path, content)
    faults = [fault for fault in verify(path) if fault.code == code]
    assert faults, [fault.as_dict() for fault in verify(path)]
    assert value in faults[0].value and (row == 0 or faults[0].row == row)
    assert describe(path).faults[code] == len(faults)
    argument = DataArgument(path, "X")
    if faults[0].fatal:
        with pytest.raises(DataError) as refusal:
            load([argument], symbols={}, default_symbol=None)
        assert refusal.value.code == code
        assert refusal.value.place.startswith(str(path)) and refusal.value.fix
    else:
        assert len(load([argument], symbols={}, default_symbol=None)["X"])


def test_every_fault_has_a_row_in_the_table() -> None:
    assert {row[2] for row in REFUSALS} == set(FaultCode)
    assert {FaultCode.GAP, FaultCode.DUPLICATE, FaultCode.SEQUENCE} == HARMLESS


def test_mixed_units_name_both_units(tmp_path: Path) -> None:
    (fault,) = verify(files.write(tmp_path, trades(trade(1), trade(2, time=T0_MS // 1000))))
    assert fault.what == "time in s where the rows before are in ms"


def test_a_gzip_cut_short_names_the_last_line_it_held(tmp_path: Path) -> None:
    (fault,) = verify(files.write(tmp_path, GZIPPED[: len(GZIPPED) // 2]))
    assert 100 < fault.row < 5000


def test_the_first_fatal_row_is_raised(tmp_path: Path) -> None:
    content = trades(trade(1), trade(9), trade(10, qty="-1"), trade(11, "0"))
    with pytest.raises(DataError, match="row 4: qty is negative"):
        load([DataArgument(files.write(tmp_path, content), "X")], symbols={}, default_symbol=None)


def test_a_file_wrong_everywhere_lists_a_hundred_rows_and_counts_the_rest(tmp_path: Path) -> None:
    faults = verify(files.write(tmp_path, trades(*(trade(n, "0") for n in range(1, 251)))))
    assert len(faults) == 100
    assert faults[-1].what == "price is not positive (and 150 rows more)"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for ask in (describe, verify):
        with pytest.raises(DataError, match=r"nowhere.*no such file"):
            ask(tmp_path / "nowhere")


@pytest.mark.parametrize("what", FORMATS)
def test_damage_is_reported_and_never_crashes(tmp_path: Path, what: str) -> None:
    built = FORMATS[what][0]()
    whole = built.encode() if isinstance(built, str) else built
    chance = random.Random(what)  # a failing case repeats: the seed is the format's name
    for _ in range(60):
        broken = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        broken = broken[: chance.choice((len(broken), chance.randrange(len(broken))))]
        path = files.write(tmp_path, bytes(broken))
        for fault in verify(path):
            assert fault.what
        describe(path).as_dict()
        try:
            load([DataArgument(path, "X")], symbols={"X": ONE}, default_symbol=None)
        except UserError as refusal:
            assert refusal.code.startswith("data.")
