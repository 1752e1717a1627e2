"""One row for each way a configuration is refused: what is changed, the code, the line, the fix.

The rows are edits of one sound file, so each shows exactly what makes it unsound.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from grinder.config import check_config, load_config
from grinder.config.refusals import REFUSALS
from grinder.errors import ConfigError, ExitStatus

Write = Callable[..., Path]


@attrs.frozen
class Row:
    """``old`` becomes ``new``; then ``code`` is refused on ``line`` with these words in the message."""

    name: str
    old: str
    new: str
    code: str
    line: int
    words: tuple[str, ...]


FEES = '{maker_bps: "1", taker_bps: "5"}'
ROWS = [
    Row("unknown key", "  quote: USDT", "  quot: USDT",
        "unknown_key", 3, ("`account.quot`", "did you mean `quote`?")),
    Row("unknown section", "run:", "runn:", "unknown_key", 11, ("`runn`", "did you mean `run`?")),
    Row("unknown grid key", "grid_number: 20", "grids_number: 20",
        "unknown_key", 18, ("did you mean `grid_number`?",)),
    Row("two sections", "run:", "risk:", "duplicate_key", 11, ("line 10 and line 11", "keep one")),
    Row("two keys", "    mode: long", "    mode: long\n    mode: long",
        "duplicate_key", 15, ("line 14 and line 15",)),
    Row("two symbols", "  ETHUSDT: {", "  BTCUSDT: {", "duplicate_key", 9, ("line 8 and line 9",)),
    Row("unquoted fraction", 'tick: "0.1"', "tick: 0.1",
        "unquoted_number", 8, ('write it as a string: "0.1"',)),
    Row("not a number", 'tick: "0.1"', "tick: .nan",
        "not_finite", 8, ("got .nan", "give a finite number above 0")),
    Row("quoted not a number", 'tick: "0.1"', 'tick: "NaN"',
        "not_finite", 8, ("got NaN", "give a finite number")),
    Row("signalling", 'tick: "0.1"', 'tick: "sNaN1"', "not_finite", 8, ("give a finite number",)),
    Row("infinite", '"5000"', '"-Infinity"', "not_finite", 19, ("give a finite number",)),
    Row("infinite count", "grid_number: 20", "grid_number: .inf", "not_finite", 18, ("give a whole number",)),
    Row("exponent", '"5000"', '"5e3"', "wrong_type", 19, ("plain decimal number in quotes",)),
    Row("decimal comma", '"5000"', '"5000,5"', "wrong_type", 19, ("plain decimal number",)),
    Row("text for a count", "grid_number: 20", 'grid_number: "20"',
        "wrong_type", 18, ("write a whole number",)),
    Row("leading zero", "grid_number: 20", "grid_number: 020", "wrong_type", 18, ("write a whole number",)),
    Row("map for a number", 'balance: "10000"', "balance: {a: 1}", "wrong_type", 4, ("got a map",)),
    Row("null for a number", 'maker_bps: "1"', "maker_bps: null",
        "wrong_type", 5, ("got null", "leave the key out")),
    Row("null for a choice", "{model: touch}", "{model: }",
        "wrong_type", 6, ("one of `touch`, `through`, `queue`",)),
    Row("null for a required key", 'balance: "10000"', "balance: ",
        "missing_key", 4, ("is empty", 'write `balance: "10000"`')),
    Row("too many digits", '"10000"', "1" + "0" * 18, "wrong_type", 4, ("at most 18 digits before",)),
    Row("yes for a flag", "    mode: long", "    mode: long\n    post_only: yes",
        "wrong_type", 15, ("true or false",)),
    Row("list for a section", FEES, "[1, 2]", "wrong_type", 5, ("`account.fees`", "a map of settings")),
    Row("number for a name", "quote: USDT", "quote: 7", "wrong_type", 3, ("must be text",)),
    Row("misspelt choice", "spacing: arithmetic", "spacing: aritmetic",
        "unknown_choice", 15, ("`arithmetic`?",)),
    Row("short mode is not offered", "mode: long", "mode: short",
        "unknown_choice", 14, ("`long`, `neutral`",)),
    Row("unknown exchange", "  quote: USDT", "  exchange: binanse",
        "unknown_choice", 3, ("`binance`",)),
    Row("an address for the simulated exchange", "  quote: USDT",
        '  endpoint: {rest: "http://127.0.0.1:1", ws: "ws://127.0.0.1:1"}', "endpoint", 3, ("no address",)),
    Row("an address elsewhere", "  quote: USDT",
        '  endpoint: {rest: "http://198.51.100.7:1", ws: "ws://127.0.0.1:1"}', "bad_name", 3, ("rest",)),
    Row("a connector for a built-in exchange", "  quote: USDT", "  connector: mine",
        "connector", 3, ("exchange: other",)),
    Row("no connector for another exchange", "  quote: USDT", "  exchange: other",
        "missing_key", 3, ("connector: NAME",)),
    Row("one level", "grid_number: 20", "grid_number: 1", "out_of_range", 18, ("at least 2, at most 200",)),
    Row("too many levels", "grid_number: 20", "grid_number: 201",
        "out_of_range", 18, ("at least 2, at most 200",)),
    Row("huge count", "grid_number: 20", "grid_number: 1" + "0" * 5000, "out_of_range", 18, ("at most 200",)),
    Row("no side", "levels_per_side: 10", "levels_per_side: 0", "out_of_range", 25, ("at least 1",)),
    Row("negative price", '"60000"', '"-60000"', "out_of_range", 16, ("above 0",)),
    Row("nothing invested", '"5000"', '"0.0"', "out_of_range", 19, ("got 0.0", "above 0")),
    Row("rebate of 100 bps", 'maker_bps: "1"', 'maker_bps: "-100"',
        "out_of_range", 5, ("above -100, below 1000",)),
    Row("lower-case symbol", "symbol: BTCUSDT", "symbol: btcusdt", "bad_name", 13, ("in upper case",)),
    Row("lower-case instrument", "  ETHUSDT: {", "  ethusdt: {", "bad_name", 9, ("in upper case",)),
    Row("lower >= upper", '"60000"', '"63000"',
        "bounds_order", 16, ("63000 is not below `upper_price` 63000",)),
    Row("missing key", "    mode: long\n", "",
        "missing_key", 13, ("`mode` is missing in `grids[0]`", "add `mode: long`")),
    Row("missing balance", '  balance: "10000"\n', "", "missing_key", 3, ('add `balance: "10000"`',)),
    Row("emptied risk", "{orders_per_minute: 60}", "", "missing_key", 10, ("`risk: {}`", "`risk: null`")),
    Row("unknown symbol", "symbol: BTCUSDT", "symbol: BTCUSD",
        "unknown_symbol", 13, ("did you mean `BTCUSDT` or", "Or add `BTCUSD` to")),
    Row("one symbol twice", "symbol: ETHUSDT", "symbol: BTCUSDT",
        "duplicate_symbol", 20, (":13", "keep one grid")),
    Row(
        "mixed forms",
        "grid_number: 20",
        'spacing_bps: "20"',
        "grid_form",
        18,
        ("`lower_price`, `upper_price` with `spacing_bps`", "keep `lower_price`, `upper_price`, `grid"),
    ),
    Row("half a form", "    grid_number: 20\n", "",
        "grid_form", 16, ("without `grid_number`", "add `grid_number`")),
    Row("uniform is centered", "spacing: arithmetic", "spacing: uniform",
        "grid_form", 16, ("give `center_price`",)),
    Row("arithmetic is bounded", "geometric", "arithmetic", "grid_form", 23, ("give `lower_price`",)),
    Row("no size", '    quantity: "0.01"\n', "", "grid_size", 20, ("no size", "give one of `quantity`")),
    Row("two sizes", '    quantity: "0.01"', '    quantity: "1"\n    quote_investment: 5',
        "grid_size", 27, ("both",)),
    Row("stop loss inside", "    mode: long", "    mode: long\n    stop_loss_price: 60000",
        "stop_price", 15, ("set it below 60000",)),
    Row("take profit inside", "    mode: long",
        '    mode: long\n    take_profit_price: "62000.5"', "stop_price",
        15, ("62000.5", "above 63000")),
    Row("stop above center", '"0.01"', '"0.01"\n    stop_loss_price: 3001',
        "stop_price", 27, ("set it below 3000",)),
    Row("levels at zero", 'geometric\n    center_price: "3000"\n    spacing_bps: "20"',
        "uniform\n    center_price: 3000\n    spacing_bps: 1000", "out_of_range",
        24, ("below 10000",)),
    Row("inventory of neutral", "mode: neutral",
        "mode: neutral\n    initial_inventory: buy", "initial_inventory",
        22, ("leave `initial_inventory` out",)),
    Row("nothing held", "mode: long", "mode: long\n    initial_inventory: existing",
        "initial_inventory", 15, ("add `BTC` to `account.assets`",)),
    Row("neutral spot", "ETHUSDT: {kind: linear}", "ETHUSDT: {kind: spot}",
        "needs_linear", 21, ("`instruments.ETHUSDT.kind: linear`",)),
    Row("leveraged spot", "kind: spot, ", 'kind: spot, leverage: "2", ',
        "needs_linear", 8, ("leave `leverage` out",)),
    Row("other quote", "kind: spot, ", "kind: spot, quote: USDC, base: BTC, ",
        "quote_mismatch", 8, ("`quote: USDT`",)),
    Row("base not told", "quote: USDT", "quote: EUR", "base_unknown", 8, ("add `base:`",)),
    Row("fee asset without price", FEES, "{asset: BNB}", "fee_asset", 5, ("add `asset_price`",)),
    Row("price without fee asset", FEES, "{asset_price: 600}", "fee_asset", 5, ("leave `asset_price` out",)),
    Row("fee asset is the quote", FEES, "{asset: USDT}", "fee_asset", 5, ("write `asset: quote`",)),
    Row("quote among assets", "  quote: USDT", "  assets: {USDT: 5}",
        "balance_twice", 3, ("put the amount into `balance`",)),
    Row("secret", "  quote: USDT", "  api_key: hunter2", "secret", 3, ("got ***", "keyring or a 0600 file")),
    Row("deep secret", "{orders_per_minute: 60}", "{a: {b: [{Private-Key: hunter2}]}}",
        "secret", 10, ("`Private-Key`",)),
    Row("newer version", "version: 1", "version: 2",
        "newer_version", 1, ("of version 2", "up to version 1", "newer grinder")),
    Row("tab", "  quote: USDT", "\tquote: USDT", "syntax", 3, ("spaces, not tabs",)),
    Row("open bracket", "{model: touch}", "{model: touch", "syntax", 7, ("correct the YAML",)),
    Row("two documents", "fills:", "---\nfills:", "syntax", 6, ("more than one document",)),
    Row("alias without anchor", "{model: touch}", "*hunter2", "syntax", 6, ("no anchor",)),
    Row("alias of itself", "{model: touch}", "&a {model: *a}", "unsupported_yaml", 6, ("contains itself",)),
    Row("merge key", "{model: touch}", "{<<: {model: touch}}", "unsupported_yaml", 6, ("merge keys",)),
    Row("object tag", "{model: touch}", "!!python/object:os.system {}",
        "unsupported_yaml", 6, ("custom tag",)),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_broken_file_is_refused_with_code_line_and_fix(row: Row, sound: str, written: Write) -> None:
    assert sound.count(row.old) >= 1, "the row edits nothing"
    path = written(sound.replace(row.old, row.new, 1))
    problems = check_config([path], {})
    place = f"{path}:{row.line}"
    found = [
        problem for problem in problems if (problem.code, problem.place) == (f"config.{row.code}", place)
    ]
    assert found, [str(problem) for problem in problems]
    message = str(found[0])
    assert all(word in message for word in row.words), message
    assert found[0].fix
    assert "hunter2" not in "".join(map(str, problems)), "a secret leaked"
    with pytest.raises(ConfigError) as raised:
        load_config([path], {})
    assert str(raised.value) == str(problems[0])
    assert raised.value.status is ExitStatus.USAGE


ELSEWHERE = {"config.file_missing", "config.file_unreadable", "config.too_large", "config.override"}


def test_every_refusal_has_a_row() -> None:
    assert {f"config.{row.code}" for row in ROWS} | ELSEWHERE == set(REFUSALS)


def test_a_sound_file_has_no_problem(sound: str, written: Write) -> None:
    assert check_config([written(sound)], {}) == []


def test_all_problems_are_reported_in_one_run(sound: str, written: Write) -> None:
    broken = sound.replace("balance", "balanc").replace("arithmetic", "uniform").replace('"0.1"', "0.1")
    codes = [problem.code for problem in check_config([written(broken)], {})]
    assert codes == [
        "config.unknown_key",
        "config.missing_key",
        "config.unquoted_number",
        "config.grid_form",
    ]


def test_a_newer_version_is_the_only_problem_said(sound: str, written: Write) -> None:
    newer = sound.replace("version: 1", "version: 3").replace("mode: long", "mode: sideways")
    assert [problem.code for problem in check_config([written(newer)], {})] == ["config.newer_version"]


@pytest.mark.parametrize("text", ["", "null", "# nothing\n", "{}"])
def test_an_empty_file_lacks_its_required_sections(text: str, written: Write) -> None:
    path = written(text)
    problems = check_config([path], {})
    assert [(problem.code, problem.what.split()[0]) for problem in problems] == [
        ("config.missing_key", f"`{key}`") for key in ("account", "instruments", "grids")
    ]


def test_a_file_that_is_not_a_map_is_refused(written: Write) -> None:
    (problem,) = check_config([written("- 1\n")], {})
    assert (problem.code, problem.place[-2:]) == ("config.wrong_type", ":1")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    (problem,) = check_config([tmp_path / "none.yaml"], {})
    assert problem.code == "config.file_missing"
    assert problem.place.endswith("none.yaml")
    assert "grinder init" in problem.fix


def test_a_folder_is_not_a_configuration(tmp_path: Path) -> None:
    (problem,) = check_config([tmp_path], {})
    assert problem.code == "config.file_unreadable"


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("version: 1\n# Größe\n".encode("latin-1"))
    (problem,) = check_config([path], {})
    assert (problem.code, problem.place) == ("config.file_unreadable", f"{path}:2")


BOMB = "a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"a{n + 1}: &a{n + 1} [{','.join([f'*a{n}'] * 10)}]\n" for n in range(9)
)
CHAIN = "a0: &a0 [1]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}]\n" for n in range(2000))


@pytest.mark.parametrize(
    "text", ["[" * 300_000, "- " * 300_000, BOMB, CHAIN, "# " + "x" * 2_000_000], ids=str.__len__
)
def test_a_hostile_file_is_refused_and_not_expanded(text: str, written: Write) -> None:
    (problem,) = check_config([written(text)], {})
    assert problem.code == "config.too_large"
