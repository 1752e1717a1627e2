"""Bad input never trades: a row per refusal, its exit status, its place, value and fix, and nothing written.

Not here, because there is nothing yet that could be refused: keys of an exchange (their file's mode, their
rights, test keys) and encrypted ledgers.
"""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest
from refusals import SOUND, backtested, called, check_refused

# --- configuration -------------------------------------------------------------------------------------


@attrs.frozen
class Row:
    """``old`` becomes ``new`` in the sound file; then ``code`` is refused with these parts."""

    name: str
    old: str
    new: str
    code: str
    place: str
    value: str
    fix: str
    what: str = ""


LADDER = """lower_price: "60000"
    upper_price: "62000"
    grid_number: 20"""
CENTERED = """mode: long
    spacing: arithmetic
    lower_price: "60000"
    upper_price: "62000"
    grid_number: 20"""


def centered(bps: str) -> str:
    return f"""mode: long
    spacing: geometric
    center_price: "61000"
    spacing_bps: "{bps}"
    levels_per_side: 10"""


CONFIG = [
    Row("unknown key", "balance:", "balanc:", "config.unknown_key", ":3", "", "did you mean `balance`?"),
    Row("duplicate key", "    mode: long", "    mode: long\n    mode: long",
        "config.duplicate_key", ":12", "", "keep one", "line 11 and line 12"),
    Row("NaN", '"8000"', ".nan", "config.not_finite", ":16", ".nan", "finite number"),
    Row("infinity", '"8000"', '"Infinity"', "config.not_finite", ":16", "Infinity", "finite number"),
    Row("lower at upper", '"60000"', '"62000"', "config.bounds_order", ":13", "", "",
        "62000 is not below `upper_price` 62000"),
    Row("lower above upper", '"60000"', '"63000"', "config.bounds_order", ":13", "", "",
        "63000 is not below `upper_price` 62000"),
    Row("fewer than 2 levels", "grid_number: 20", "grid_number: 1",
        "config.out_of_range", ":15", "1", "at least 2"),
    Row("more levels than the cap", "grid_number: 20", "grid_number: 201",
        "config.out_of_range", ":15", "201", "at most 200"),
    Row("centered step below the tick", CENTERED, centered("0.01"),
        "config.step_below_tick", "grids.BTCUSDT", "level", "spacing_bps of at least"),
    Row("step below the fees", f'{LADDER}\n    quote_investment: "8000"',
        'lower_price: "60000"\n    upper_price: "62000"\n    grid_number: 200\n    quantity: "0.001"',
        "config.step_below_fees", "grids.BTCUSDT", "% after fees of 0.02 %", "use at most 16"),
    Row("centered step below the fees", CENTERED, centered("1.9"),
        "config.step_below_fees", "grids.BTCUSDT", "% after fees of 0.02 %", "spacing_bps of at least 2.0"),
    Row("notional below the minimum", '"8000"', '"90"',
        "config.notional_below_minimum", "grids.BTCUSDT", "is worth", "invest at least",
        "minimum of 5 USDT"),
    Row("capital above the balance", '"8000"', '"30000"',
        "config.capital_above_balance", "grids", "of 10000 USDT", "raise account.balance"),
    Row("price between two ticks", '"60000"', '"60000.05"',
        "config.price_off_tick", "grids.BTCUSDT", "60000.05", "use 60000 or 60000.1",
        "grids.BTCUSDT.lower_price"),
    Row("quantity between two lots", 'quote_investment: "8000"', 'quantity: "0.0015"',
        "config.quantity_off_lot", "grids.BTCUSDT", "0.0015", "a multiple of 0.001",
        "grids.BTCUSDT.quantity"),
    Row("unknown symbol", "symbol: BTCUSDT", "symbol: BTCUSD", "config.unknown_symbol", ":10", "BTCUSD",
        "did you mean `BTCUSDT`"),
    Row("one symbol twice", "grids:\n", 'grids:\n  - {symbol: BTCUSDT, mode: long, spacing: arithmetic, '
        'lower_price: "1", upper_price: "2", grid_number: 2, quantity: "1"}\n',
        "config.duplicate_symbol", ":11", "BTCUSDT", "keep one grid", ":10"),
    Row("secret in the file", 'balance: "10000"', 'balance: "10000"\n  api_secret: hunter2',
        "config.secret", ":4", "***", "keyring"),
    Row("newer configuration", "version: 1", "version: 2", "config.newer_version", ":1", "2", "newer grinder",
        "of version 2, this program reads up to version 1"),
    Row("unquoted fraction", '"60000"', "60000.5", "config.unquoted_number", ":13", "60000.5", '"60000.5"'),
    Row("not YAML", "grids:", "grids: [", "config.syntax", "grinder.yaml:", "", "YAML"),
]  # fmt: skip


@pytest.mark.parametrize("row", CONFIG, ids=lambda row: row.name)
def test_a_bad_configuration_is_refused_by_backtest_plan_and_validate(
    row: Row, home: Any, tmp_path: Path
) -> None:
    assert SOUND.count(row.old) >= 1, "the row edits nothing"
    yaml = tmp_path / "grinder.yaml"
    yaml.write_text(SOUND.replace(row.old, row.new, 1))
    out = tmp_path / "run"
    ended = backtested(yaml, Path(home.data), out)
    error = check_refused(ended, 2, row.code, row.place, row.value, row.fix)
    assert row.what in error["what"]
    assert "hunter2" not in ended.output
    assert not out.exists(), "a refused run wrote something"
    planned = called("plan", "-c", str(yaml), "--json")
    assert planned.exit_code == 2
    assert orjson.loads(planned.stdout)["error"] == error
    validated = called("config", "validate", "-c", str(yaml), "--json")
    assert validated.exit_code == 2
    assert error in orjson.loads(validated.stdout)["problems"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grinder.yaml"]


def test_the_sound_file_is_accepted(home: Any, tmp_path: Path) -> None:
    yaml = tmp_path / "grinder.yaml"
    yaml.write_text(SOUND)
    assert backtested(yaml, Path(home.data), tmp_path / "run").exit_code == 0


def planned(tmp_path: Path, text: str) -> dict[str, Any]:
    yaml = tmp_path / "grinder.yaml"
    yaml.write_text(text)
    found: dict[str, Any] = orjson.loads(called("plan", "-c", str(yaml), "--json").stdout)
    return found


def number_in(fix: str) -> str:
    found = re.search(r"at (?:least|most) ([\d.]+)", fix)
    assert found, fix
    return found[1]


BETWEEN = 'lower_price: "{low}"\n    upper_price: "{high}"\n    grid_number: {count}'


@pytest.mark.parametrize("maker", ["0.5", "1", "2", "7.5", "10", "25"])
def test_the_closest_centered_spacing_that_is_named_works(tmp_path: Path, maker: str) -> None:
    text = SOUND.replace('maker_bps: "1"', f'maker_bps: "{maker}"')
    refused = planned(tmp_path, text.replace(CENTERED, centered("0.2")))
    assert refused["error"]["code"] == "config.step_below_fees"
    least = number_in(refused["error"]["fix"])
    works = planned(tmp_path, text.replace(CENTERED, centered(least)))
    assert "grids" in works, works
    assert not works["grids"][0]["profit_per_grid_min_pct"].startswith("-")
    # Rounding to ticks makes single hundredths work or not by chance; two parts in a hundred are no chance.
    closer = f"{Decimal(least) * 98 / 100:.2f}"
    assert "error" in planned(tmp_path, text.replace(CENTERED, centered(closer))), "a closer one works too"


@pytest.mark.parametrize(
    ("maker", "low", "high"),
    [
        ("1", "60000", "62000"),
        ("2", "60000", "62000"),
        ("7.5", "60000", "62000"),
        ("10", "60000", "62000"),
        ("0.5", "60000", "60600"),
        ("1", "60000", "60600"),
        ("2", "60000", "60600"),
        ("50", "20000", "60000"),
    ],
)
def test_the_most_levels_that_are_named_work_and_are_the_most(
    tmp_path: Path, maker: str, low: str, high: str
) -> None:
    text = SOUND.replace('maker_bps: "1"', f'maker_bps: "{maker}"')
    text = text.replace('"8000"', '"90000"').replace('"10000"', '"100000"')
    refused = planned(tmp_path, text.replace(LADDER, BETWEEN.format(low=low, high=high, count=200)))
    assert refused["error"]["code"] == "config.step_below_fees"
    most = int(number_in(refused["error"]["fix"]))
    works = planned(tmp_path, text.replace(LADDER, BETWEEN.format(low=low, high=high, count=most)))
    assert "grids" in works, (most, works)
    fails = planned(tmp_path, text.replace(LADDER, BETWEEN.format(low=low, high=high, count=most + 1)))
    assert "error" in fails, "one more works too: it is not the most"


def test_the_most_levels_above_the_tick_that_are_named_work(tmp_path: Path) -> None:
    text = SOUND.replace('{maker_bps: "1", taker_bps: "5"}', '{maker_bps: "0", taker_bps: "0"}')
    refused = planned(tmp_path, text.replace(LADDER, BETWEEN.format(low=60000, high=60001, count=20)))
    most = number_in(refused["error"]["fix"])
    works = planned(tmp_path, text.replace(LADDER, BETWEEN.format(low=60000, high=60001, count=most)))
    assert works["grids"][0]["orders"] == int(most) == 10


def test_the_closest_centered_spacing_above_the_tick_that_is_named_works(tmp_path: Path) -> None:
    text = SOUND.replace('{maker_bps: "1", taker_bps: "5"}', '{maker_bps: "0", taker_bps: "0"}')
    refused = planned(tmp_path, text.replace(CENTERED, centered("0.01")))
    least = number_in(refused["error"]["fix"])
    assert "grids" in planned(tmp_path, text.replace(CENTERED, centered(least)))


@pytest.mark.parametrize("lowest", ["5", "50", "100", "61"])
def test_the_smallest_investment_that_is_named_works(tmp_path: Path, lowest: str) -> None:
    text = SOUND.replace('min_notional: "5"', f'min_notional: "{lowest}"')
    refused = planned(tmp_path, text.replace('"8000"', '"90"'))
    assert refused["error"]["code"] == "config.notional_below_minimum"
    least = number_in(refused["error"]["fix"])
    (works,) = planned(tmp_path, text.replace('"8000"', f'"{least}"'))["grids"]
    assert works["levels"]


def test_the_balance_that_is_named_works(tmp_path: Path) -> None:
    refused = planned(tmp_path, SOUND.replace('"8000"', '"30000"'))
    needed = refused["error"]["value"].split(" of ")[0]
    assert "grids" in planned(tmp_path, SOUND.replace('"8000"', '"30000"').replace('"10000"', f'"{needed}"'))


# --- data ----------------------------------------------------------------------------------------------

MINUTE = 60_000
T0 = 1_700_006_400_000


def trades(*rows: str) -> str:
    return "id,price,qty,quote_qty,time,is_buyer_maker\n" + "\n".join(rows) + "\n"


def bars(*rows: tuple[int, str]) -> str:
    lines = [f"{T0 + minute * MINUTE},{rest}" for minute, rest in rows]
    return "timestamp,open,high,low,close,volume\n" + "\n".join(lines) + "\n"


BAR = "61000,61100,60900,61050,5"
GOOD = [f"{n},61000.{n},0.5,1,{T0 + n},true" for n in range(1, 6)]
DATA = [
    ("unsorted row", trades(*GOOD[:3], GOOD[0].replace("1,6", "9,6", 1)), "data.unsorted", "row 5",
     "2023-11-1"),
    ("high below low", bars((0, BAR), (1, "61000,60900,61100,61000,5"), (2, BAR)),
     "data.high_below_low", "row 3", "high 60900 low 61100"),
    ("seconds among milliseconds", trades(*GOOD[:2], f"3,61000,1,1,{T0 // 1000},true"),
     "data.mixed_time_units", "row 4", str(T0 // 1000)),
    ("microseconds among milliseconds", trades(*GOOD[:2], f"3,61000,1,1,{T0 * 1000},true"),
     "data.mixed_time_units", "row 4", str(T0 * 1000)),
    ("nanoseconds among milliseconds", trades(*GOOD[:2], f"3,61000,1,1,{T0 * 10**6},true"),
     "data.mixed_time_units", "row 4", str(T0 * 10**6)),
    ("a price of noise", trades(*GOOD[:2], f"3,x,1,1,{T0 + 9},true"), "data.not_a_number", "row 4", "x"),
    ("NaN", trades(*GOOD[:2], f"3,NaN,1,1,{T0 + 9},true"), "data.not_finite", "row 4", "NaN"),
    ("a price of zero", trades(*GOOD[:2], f"3,0,1,1,{T0 + 9},true"), "data.price_not_positive", "row 4", "0"),
    ("a negative quantity", trades(*GOOD[:2], f"3,61000,-1,1,{T0 + 9},true"),
     "data.quantity_negative", "row 4", "-1"),
    ("a last line cut short", trades(*GOOD[:2], "3,610")[:-1], "data.truncated", "row 4", "3,610"),
    ("an empty file", "", "data.empty", "data.csv", ""),
    ("some other text", "Dear sir,\nplease find\n", "data.unknown_format", "data.csv", "Dear sir"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "code", "place", "value"), DATA, ids=[row[0] for row in DATA])
def test_bad_data_is_refused_with_its_row_and_nothing_is_written(
    home: Any, tmp_path: Path, name: str, content: str, code: str, place: str, value: str
) -> None:
    data = tmp_path / "data.csv"
    data.write_text(content)
    out = tmp_path / "run"
    error = check_refused(backtested(Path(home.yaml), data, out), 2, code, place, value, "")
    assert error["place"].startswith(str(data))
    if code == "data.mixed_time_units":
        assert re.search(r"time in (s|us|ns) where the rows before are in ms", error["what"])
    assert not out.exists()
    verified = called("data", "verify", str(data), "--json")
    assert verified.exit_code == 2
    assert code in {fault["code"] for fault in orjson.loads(verified.stdout)["faults"]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.csv"]


HARMLESS = [
    ("gap", trades(*GOOD[:2], *GOOD[3:]), "data.gap", 4, "1 missing"),
    ("gap between bars", bars((0, BAR), (1, BAR), (5, BAR), (6, BAR)), "data.gap", 4, "3 missing"),
    ("duplicate", trades(*GOOD[:2], GOOD[1], *GOOD[2:]), "data.duplicate", 4, "2"),
]


@pytest.mark.parametrize(("name", "content", "code", "row", "value"), HARMLESS, ids=[r[0] for r in HARMLESS])
def test_a_gap_and_a_duplicate_are_reported_with_their_row_and_do_not_forbid_a_run(
    home: Any, tmp_path: Path, name: str, content: str, code: str, row: int, value: str
) -> None:
    data = tmp_path / "data.csv"
    data.write_text(content)
    ended = called("data", "verify", str(data), "--json")
    found = orjson.loads(ended.stdout)
    assert (ended.exit_code, found["ok"], found["usable"]) == (0, False, True)
    (fault,) = found["faults"]
    assert (fault["code"], fault["row"]) == (code, row)
    assert value in fault["value"]
    shown = called("data", "verify", str(data))
    assert f"row {row}: " in shown.stdout
    assert backtested(Path(home.yaml), data, tmp_path / "run").exit_code == 0


ARGUMENTS: list[tuple[str, str, str, str]] = [
    ("a missing file", "{tmp}/nowhere.csv", "", "nowhere.csv"),
    ("an empty folder", "{tmp}/empty", "data.empty_folder", "empty"),
    ("a symbol that is not configured", "DOGEUSDT={data}", "", ""),
    ("another symbol's file", "ETHUSDT={data}", "", ""),
]


@pytest.mark.parametrize(("name", "argument", "code", "place"), ARGUMENTS, ids=[row[0] for row in ARGUMENTS])
def test_a_data_argument_that_cannot_be_used_is_refused(
    home: Any, tmp_path: Path, name: str, argument: str, code: str, place: str
) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "run"
    ended = called(
        "backtest", "-c", home.yaml, "--out", str(out), "--json",
        "--data", argument.format(tmp=tmp_path, data=home.data),
    )  # fmt: skip
    assert ended.exit_code == 2, ended.output
    error = orjson.loads(ended.stdout)["error"]
    assert error["code"].startswith(code or "data.")
    assert place in error["place"]
    assert error["fix"]
    assert not out.exists()
