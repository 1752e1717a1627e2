"""Which symbol a file's rows go to, and how several files become one."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import market_files as files
import pytest
from market_files import FORMATS, MINUTE_MS, T0_MS, T0_NS

from grinder.data import DataArgument, InstrumentScale, describe, load, merge, parse_data_argument, read_file
from grinder.errors import DataError, EnvironmentFault
from replay.ticks import TickOrigin

FINE = InstrumentScale(Decimal("0.1"), Decimal("0.001"))
UNNAMED = FORMATS["futures trades"][0]()
NAMED = FORMATS["nautilus quotes"][0]()  # says BTC/USDT


def trades(*rows: tuple[int, str, int]) -> str:
    """(id, price, ms after T0)"""
    return files.csv("", [(n, price, "1", "1", T0_MS + ms, "true") for n, price, ms in rows])


@pytest.mark.parametrize(
    ("text", "symbol", "path"),
    [
        ("BTCUSDT=data/a.csv", "BTCUSDT", "data/a.csv"),
        ("BTC/USDT:USDT=a=b.csv", "BTC/USDT:USDT", "a=b.csv"),
        ("data/a.csv", None, "data/a.csv"),
        ("/data/x=1/a.csv", None, "/data/x=1/a.csv"),
        ("./x=1", None, "x=1"),
    ],
)
def test_a_data_argument_may_name_its_symbol(text: str, symbol: str | None, path: str) -> None:
    assert parse_data_argument(text) == DataArgument(Path(path), symbol)


def test_a_path_that_exists_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a=b").touch()
    assert parse_data_argument("a=b") == DataArgument(Path("a=b"), None)


@pytest.mark.parametrize("text", ["", "  ", "=x"])
def test_an_empty_data_argument_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="needs a path"):
        parse_data_argument(text)


@pytest.mark.parametrize(
    ("content", "explicit", "configured", "default", "symbol"),
    [
        (UNNAMED, "ETHUSDT", ["BTCUSDT", "ETHUSDT"], None, "ETHUSDT"),
        (UNNAMED, None, ["BTCUSDT"], "BTCUSDT", "BTCUSDT"),
        (UNNAMED, None, [], "BTCUSDT", "BTCUSDT"),
        (NAMED, None, ["BTCUSDT", "ETHUSDT"], None, "BTCUSDT"),
        (NAMED, None, ["btc-usdt"], "btc-usdt", "btc-usdt"),
        (NAMED, "ETHUSDT", ["BTCUSDT", "ETHUSDT"], "BTCUSDT", "ETHUSDT"),
        (NAMED, "eth/usdt", ["BTCUSDT", "ETHUSDT"], None, "ETHUSDT"),
        (NAMED, None, ["BTC/USDT", "BTCUSDT"], None, "BTC/USDT"),
        (NAMED, None, [], None, "BTC/USDT"),
    ],
)
def test_the_symbol_is_the_argument_then_the_file_then_the_default(
    tmp_path: Path,
    content: str | bytes,
    explicit: str | None,
    configured: list[str],
    default: str | None,
    symbol: str,
) -> None:
    argument = DataArgument(files.write(tmp_path, content), explicit)
    loaded = load([argument], symbols=dict.fromkeys(configured, FINE), default_symbol=default)
    assert list(loaded) == [symbol] and loaded[symbol].symbol == symbol


def test_a_file_without_symbol_asks_for_one(tmp_path: Path) -> None:
    path = files.write(tmp_path, UNNAMED)
    with pytest.raises(DataError, match=f"use --data SYMBOL={path}"):
        load([DataArgument(path)], symbols={"A": FINE, "B": FINE}, default_symbol=None)


@pytest.mark.parametrize(
    ("symbols", "hint"),
    [(["ETHBTC", "BTCUSDC"], "nearest: BTCUSDC"), (["AAA", "ZZZ"], "configured: AAA, ZZZ")],
)
def test_an_unknown_symbol_is_refused_with_what_is_near(
    tmp_path: Path, symbols: list[str], hint: str
) -> None:
    path = files.write(tmp_path, NAMED)
    with pytest.raises(DataError, match=hint) as refusal:
        load([DataArgument(path)], symbols=dict.fromkeys(symbols, FINE), default_symbol=None)
    assert (refusal.value.code, refusal.value.value) == ("data.unknown_symbol", "BTC/USDT")


def test_of_a_tape_of_several_symbols_the_wanted_ones_are_taken(tmp_path: Path) -> None:
    path = files.write(tmp_path, files.cryptofeed())
    assert describe(path).symbols == ("AAAUSDT", "BBBUSDT")
    for argument, symbols, taken in (
        (DataArgument(path), {}, ["AAAUSDT", "BBBUSDT"]),
        (DataArgument(path), {"BBBUSDT": FINE}, ["BBBUSDT"]),
        (DataArgument(path, "AAA/USDT"), {"BBBUSDT": FINE, "AAAUSDT": FINE}, ["AAAUSDT"]),
    ):
        assert list(load([argument], symbols=symbols, default_symbol=None)) == taken
    with pytest.raises(DataError, match="not configured"):
        load([DataArgument(path)], symbols={"CCCUSD": FINE}, default_symbol=None)


def test_steps_are_guessed_when_none_are_configured(tmp_path: Path) -> None:
    path = files.write(tmp_path, trades((1, "100.50", 0), (2, "101.25", 1)))
    found = describe(path)
    assert (found.tick, found.lot, found.price_low, found.price_high) == ("0.75", "1", "100.5", "101.25")
    assert load([DataArgument(path, "X")], symbols={}, default_symbol=None)["X"].price.tolist() == [134, 135]


def test_files_of_one_symbol_merge_by_time_and_keep_argument_order_in_ties(tmp_path: Path) -> None:
    first = files.write(tmp_path, trades((1, "1.5", 0), (4, "4", 30)), "1")
    second = files.write(tmp_path, files.csv("", [(9, "2.0", "1", "3", "1", T0_MS, T0_MS)]), "2")
    third = files.write(tmp_path, trades((2, "2.5", 0), (3, "3", 20)), "3")
    ticks = load(
        [DataArgument(p, "X") for p in (first, second, third)], symbols={"X": FINE}, default_symbol=None
    )["X"]
    assert ticks.origin is TickOrigin.TRADES_AND_QUOTES
    assert (ticks.ts - T0_NS).tolist() == [0, 0, 0, 20_000_000, 30_000_000]
    assert ticks.price.tolist() == [15, 15, 25, 30, 40]
    assert ticks.low.tolist() == [15, 30, 25, 30, 40]
    assert ticks.high.tolist() == [15, 20, 25, 30, 40]
    assert ticks.bid is not None and ticks.bid.tolist() == [15, 20, 20, 20, 20]


def test_rows_two_files_share_are_taken_once(tmp_path: Path) -> None:
    first = files.write(tmp_path, trades((1, "1", 0), (2, "2", 1)), "1")
    second = files.write(tmp_path, trades((2, "2", 1), (3, "3", 2)), "2")
    ticks = load([DataArgument(p, "X") for p in (first, second)], symbols={"X": FINE}, default_symbol=None)[
        "X"
    ]
    assert ticks.price.tolist() == [10, 20, 30]


def test_bars_that_follow_each_other_in_two_files_are_one_series(tmp_path: Path) -> None:
    header = "date,open,high,low,close,volume"
    later = [(t + 2 * MINUTE_MS, *rest) for t, *rest in files.CANDLES]
    tables = [
        read_file(files.write(tmp_path, files.csv(header, rows), str(n))).tables[0]
        for n, rows in enumerate((later, files.CANDLES))
    ]
    whole = merge(tables)
    assert ((whole.ts - T0_NS) // (MINUTE_MS * 10**6)).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(("other", "what"), [("futures trades", "cannot be mixed"), (None, "intervals")])
def test_bars_do_not_mix_with_what_says_the_same_otherwise(
    tmp_path: Path, other: str | None, what: str
) -> None:
    fives = [(T0_MS + 5 * n * MINUTE_MS, 1, 1, 1, 1, 1) for n in range(3)]
    content = FORMATS[other][0]() if other else files.csv("date,open,high,low,close,volume", fives)
    paths = [files.write(tmp_path, FORMATS["candle CSV"][0](), "1"), files.write(tmp_path, content, "2")]
    with pytest.raises(DataError, match=what):
        load([DataArgument(p, "X") for p in paths], symbols={"X": FINE}, default_symbol=None)


def test_a_folder_means_the_files_of_a_known_format_in_it(tmp_path: Path) -> None:
    files.write(tmp_path, trades((2, "2", 1)), "b")
    files.write(tmp_path, trades((1, "1", 0)), "a")
    files.write(tmp_path, "notes", "README")
    files.write(tmp_path, "x", ".hidden")
    (tmp_path / "folder").mkdir()
    ticks = load([DataArgument(tmp_path, "X")], symbols={"X": FINE}, default_symbol=None)["X"]
    assert ticks.price.tolist() == [10, 20]
    with pytest.raises(DataError, match="no file of a known format"):
        load([DataArgument(tmp_path / "folder", "X")], symbols={}, default_symbol=None)


def test_no_data_at_all_is_refused() -> None:
    with pytest.raises(DataError, match="no market data"):
        load([], symbols={"X": FINE}, default_symbol="X")


def test_a_folder_is_no_file_to_describe(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault):
        describe(tmp_path)
