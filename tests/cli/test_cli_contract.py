"""What scripts may rely on: commands, keys, types, exit statuses, and what goes to which output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner, Result
from small_ledgers import REPO, altered, copy_run, ledger_rows, rechained, replace_records

from grinder.cli import main
from grinder.errors import ExitStatus

COMMANDS = {
    "backtest", "plan", "replay", "verify", "rebuild", "report", "data", "config", "init", "demo", "doctor",
}  # fmt: skip
DECIMAL = re.compile(r"-?\d+(\.\d+)?")
HEX = re.compile(r"[0-9a-f]{64}")


def process(*arguments: str, cwd: Path = REPO) -> subprocess.CompletedProcess[bytes]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "grinder", *arguments],
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        timeout=60,
        check=False,
    )


def called(*arguments: str) -> Result:
    """The command line in this process."""
    return CliRunner().invoke(main, [*arguments])


def said(*arguments: str, status: int = 0) -> dict[str, Any]:
    """The one JSON object of a command that ends with this status."""
    ended = called(*arguments, "--json")
    assert ended.exit_code == status, (ended.output, ended.exception)
    found = orjson.loads(ended.stdout)
    assert isinstance(found, dict)
    return found


def is_decimal(value: object) -> bool:
    return isinstance(value, str) and DECIMAL.fullmatch(value) is not None


# --- the command line as a whole -----------------------------------------------------------------------


def test_help_lists_every_command() -> None:
    ended = process("--help")
    assert ended.returncode == 0
    listed = re.findall(r"^  ([a-z-]+) ", ended.stdout.decode().partition("Commands:")[2], re.MULTILINE)
    assert set(listed) >= COMMANDS
    assert set(listed) == set(main.commands)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself(command: str) -> None:
    ended = called(command, "-h")
    assert ended.exit_code == 0
    assert main.commands[command].get_short_help_str()[:20] in ended.stdout


def test_the_version_is_said() -> None:
    ended = process("--version")
    assert ended.returncode == 0
    assert re.fullmatch(rb"grinder, version \d+\.\d+\.\d+\n", ended.stdout)


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    code = "import sys, grinder.cli; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, check=True, timeout=60
    )
    loaded = set(ended.stdout.split())
    assert "click" in loaded
    heavy = {
        "numpy",
        "rich",
        "yaml",
        "pykka",
        "eventsourcing",
        "sqlite_utils",
        "msgspec",
        "plotly",
        "pyarrow",
    }
    assert not heavy & loaded


def test_exit_statuses_are_what_was_published() -> None:
    assert {status.name: int(status) for status in ExitStatus} == {
        "DONE": 0,
        "UNEXPECTED": 1,
        "USAGE": 2,
        "DIVERGED": 3,
        "DAMAGED": 4,
        "ENVIRONMENT": 5,
        "ORDERS_LEFT": 6,
        "NOT_STORED": 7,
        "GAVE_UP": 8,
        "EXCHANGE": 9,
        "STOOD_DOWN": 10,
    }


MISUSES = {
    "an unknown command": ("trade",),
    "an unknown option": ("verify", ".", "--hard"),
    "no configuration": ("backtest", "--data", "x", "--out", "y"),
    "no data": ("backtest", "-c", "x", "--out", "y"),
    "no folder": ("backtest", "-c", "x", "--data", "y"),
    "a seed that is no number": ("backtest", "-c", "x", "--data", "y", "--out", "z", "--seed", "many"),
    "a report without a file": ("report", "."),
    "replay of nothing": ("replay",),
}


@pytest.mark.parametrize("name", MISUSES)
def test_a_wrong_command_line_ends_with_status_2_and_a_hint(name: str, tmp_path: Path) -> None:
    ended = called(*MISUSES[name])
    assert ended.exit_code == 2
    assert "Usage:" in ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("setting", ["fills.model", "=touch", ""])
def test_a_setting_that_is_none_is_refused(home: Any, setting: str) -> None:
    ended = called("plan", "-c", home.yaml, "--set", setting)
    assert ended.exit_code == 2
    assert "[usage.setting]" in ended.stderr
    assert "fix: write --set fills.model=queue" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("backtest", "-c", "{yaml}", "--data", "{data}", "--out", "{run}", "--json"),
        ("replay", "{run}", "--json"),
        ("verify", "{run}", "--json"),
        ("plan", "-c", "{yaml}", "--json"),
        ("data", "describe", "{data}", "--json"),
        ("demo", "--json", "--seed", "3"),
        ("doctor", "--json"),
        ("backtest", "-c", "nowhere.yaml", "--data", "{data}", "--out", "{run}", "--json"),
        ("replay", "{path}/nowhere", "--json"),
    ],
    ids=lambda a: " ".join(a[:1]),
)
def test_standard_output_is_one_json_object_and_logs_go_to_standard_error(
    home: Any, arguments: tuple[str, ...]
) -> None:
    names = {"yaml": home.yaml, "data": home.data, "run": home.run, "path": home.path}
    ended = process(*(one.format(**names) for one in arguments))
    assert isinstance(orjson.loads(ended.stdout), dict)
    assert b"\x1b" not in ended.stdout + ended.stderr, "colours on a pipe"
    assert b"Traceback" not in ended.stderr
    if ended.returncode:
        assert b"error: " in ended.stderr


def test_warnings_go_to_standard_error(home: Any) -> None:
    ended = called("plan", "-c", home.yaml, "--json", "--set", "risk.session_drawdown_pct=50")
    assert "warning: risk.session_drawdown_pct is above 20 % (got 50)" in ended.stderr
    assert "warning" not in ended.stdout
    ended = called("plan", "-c", home.yaml, "--json", "--set", "risk=null")
    assert "no limit is set" in ended.stderr


# --- one command after the other -----------------------------------------------------------------------

COUNTS = ("ticks", "records", "inputs", "events", "orders", "fills", "cycles", "ticks_per_s")
AMOUNTS = ("equity_start", "equity_end", "identity_residual")
SYMBOL_AMOUNTS = {
    "position", "realised_pnl", "unrealised_pnl", "grid_profit", "unpaired_pnl", "fees", "funding",
}  # fmt: skip


def test_backtest_says_what_was_published(home: Any, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "run"
    found = said("backtest", "-c", home.yaml, "--data", home.data, "--out", str(out))
    assert found["run"] == str(out)
    assert all(type(found[name]) is int and found[name] > 0 for name in COUNTS), found
    assert found["records"] == found["inputs"] + found["events"]
    assert all(is_decimal(found[name]) for name in AMOUNTS), found
    assert HEX.fullmatch(found["head"])
    assert found["symbols"].keys() == {"BTCUSDT"}
    assert found["symbols"]["BTCUSDT"].keys() >= SYMBOL_AMOUNTS
    assert all(is_decimal(value) for value in found["symbols"]["BTCUSDT"].values())
    assert found["seconds"].keys() == {"load", "run", "projections"}
    assert all(type(value) is float and value >= 0 for value in found["seconds"].values())
    assert type(found["peak_rss_mb"]) is float


def test_backtest_counts_what_the_ledger_holds(home: Any, tmp_path: Path) -> None:
    found = said(
        "backtest", "-c", home.yaml, "--data", f"BTCUSDT={home.data}", "--out", str(tmp_path / "run")
    )
    records = ledger_rows(tmp_path / "run" / "ledger.db")
    assert found["records"] == len(records)
    assert found["inputs"] == sum(row.cause == row.position for row in records)
    assert found["orders"] == sum(row.topic.startswith("OrderSubmitted/") for row in records)
    assert found["fills"] == sum(row.topic.startswith("OrderFilled/") for row in records)
    assert found["head"] == records[-1].chain.hex()


def test_equity_changes_by_what_the_parts_say(home: Any, tmp_path: Path) -> None:
    found = said("backtest", "-c", home.yaml, "--data", home.data, "--out", str(tmp_path / "run"))
    parts = found["symbols"]["BTCUSDT"]
    change = Decimal(found["equity_end"]) - Decimal(found["equity_start"])
    names = ("grid_profit", "unpaired_pnl", "fees", "funding")
    assert change == sum(Decimal(parts[name]) for name in names) + Decimal(found["identity_residual"])
    assert Decimal(found["identity_residual"]) == 0
    assert Decimal(parts["fees"]) < 0 < Decimal(parts["grid_profit"])


def test_the_same_backtest_has_the_same_head_anywhere_and_another_seed_another(
    home: Any, tmp_path: Path
) -> None:
    arguments = ("backtest", "-c", home.yaml, "--data", home.data)
    here = said(*arguments, "--out", str(tmp_path / "a"))
    there = said(*arguments, "--out", str(tmp_path / "b"))
    other = said(*arguments, "--out", str(tmp_path / "c"), "--seed", "1")
    assert here["head"] == there["head"] != other["head"]
    assert (tmp_path / "a" / "ledger.db").read_bytes() == (tmp_path / "b" / "ledger.db").read_bytes()


def test_backtest_shows_a_person_the_same_figures(home: Any, tmp_path: Path) -> None:
    found = said("backtest", "-c", home.yaml, "--data", home.data, "--out", str(tmp_path / "a"))
    ended = process("backtest", "-c", home.yaml, "--data", home.data, "--out", str(tmp_path / "a"))
    text = re.sub(r"\s", "", ended.stdout.decode())  # a narrow terminal breaks long figures
    assert ended.returncode == 0
    for figure in (found["equity_end"], found["head"], found["identity_residual"]):
        assert figure in text, text


def test_replay_of_a_good_run_is_identical(home: Any) -> None:
    found = said("replay", home.run)
    records = ledger_rows(Path(home.run) / "ledger.db")
    assert {name: found[name] for name in ("identical", "records", "head", "divergence")} == {
        "identical": True,
        "records": len(records),
        "head": records[-1].chain.hex(),
        "divergence": None,
    }
    assert all(HEX.fullmatch(value) for value in found["states"].values())


def test_replay_of_a_forged_run_ends_with_3_and_names_the_first_difference(home: Any, tmp_path: Path) -> None:
    run = copy_run(Path(home.run), tmp_path / "run")
    records = ledger_rows(run / "ledger.db")
    at = next(row for row in records if row.topic == "OrderFilled/1" and row.position > 150)
    forged = at._replace(state=at.state.replace(b'"liquidity":"maker"', b'"liquidity":"other"'))
    assert forged != at
    replace_records(run / "ledger.db", rechained(forged if row is at else row for row in records))
    divergence = said("replay", str(run), status=3)["divergence"]
    assert divergence.keys() >= {"position", "stream", "field", "expected", "actual", "cause"}
    assert (divergence["position"], divergence["stream"]) == (at.position, at.stream)
    assert (divergence["field"], divergence["cause"]) == ("state", at.cause)
    assert (divergence["expected"], divergence["actual"]) == (forged.state.decode(), at.state.decode())
    assert divergence["path"][0]["position"] == at.cause
    ended = called("replay", str(run))
    assert ended.exit_code == 3
    assert f"diverged at record {at.position} of {at.stream}: state" in ended.stdout


def test_verify_says_what_was_published(home: Any, tmp_path: Path) -> None:
    records = ledger_rows(Path(home.run) / "ledger.db")
    found = said("verify", home.run)
    assert found.keys() >= {"ok", "records", "head", "first_bad"}
    assert (found["ok"], found["records"], found["first_bad"]) == (True, len(records), None)
    assert said("verify", home.run, "--head", found["head"])["ok"]
    assert said("verify", home.run, "--head", "00" * 32, status=4)["ok"] is False
    run = copy_run(Path(home.run), tmp_path / "run")
    with altered(run / "ledger.db") as connection:
        connection.execute("UPDATE stored_events SET ts_ns = ts_ns + 1 WHERE rowid = 77")
    found = said("verify", str(run), status=4)
    assert (found["ok"], found["records"], found["first_bad"]) == (False, 76, 77)
    ended = called("verify", str(run))
    assert "ledger damaged at record 77: " in ended.stderr


def test_rebuild_makes_the_same_views_again(home: Any, tmp_path: Path) -> None:
    run = copy_run(Path(home.run), tmp_path / "run")
    first = said("rebuild", str(run))
    assert first.keys() >= {"tables", "rows", "digest"}
    assert first["tables"] > 5 < first["rows"]
    (run / "views.db").unlink()
    assert said("rebuild", str(run)) == first


def test_report_writes_one_file(home: Any, tmp_path: Path) -> None:
    if find_spec("plotly") is None:
        pytest.skip("needs the extra of the report")
    html = tmp_path / "report.html"
    found = said("report", home.run, "--html", str(html))
    assert found["path"] == str(html)
    assert found["bytes"] == html.stat().st_size > 1000
    assert b"<html" in html.read_bytes()[:500]
    ended = called("report", home.run, "--html", str(tmp_path / "no" / "folder.html"))
    assert ended.exit_code == 5
    assert str(tmp_path / "no" / "folder.html") in ended.stderr


def test_plan_shows_the_ladder_that_is_traded(home: Any) -> None:
    (grid,) = said("plan", "-c", home.yaml)["grids"]
    assert grid["orders"] == len(grid["levels"]) == 20
    for level in grid["levels"]:
        assert all(is_decimal(level[name]) for name in ("buy_price", "sell_price", "quantity", "value"))
        assert Decimal(level["buy_price"]) < Decimal(level["sell_price"])
        assert Decimal(level["value"]) == Decimal(level["buy_price"]) * Decimal(level["quantity"])
    assert is_decimal(grid["profit_per_grid_min_pct"])
    submitted = [
        orjson.loads(row.state)["terms"]
        for row in ledger_rows(Path(home.run) / "ledger.db")
        if row.topic.startswith("OrderSubmitted/")
    ]
    prices = {Decimal(terms["price_ticks"]) / 10 for terms in submitted if terms["order_type"] == "limit"}
    planned = {Decimal(level[name]) for level in grid["levels"] for name in ("buy_price", "sell_price")}
    assert len(prices) > 10
    assert prices <= planned


def test_data_is_described(home: Any) -> None:
    found = said("data", "describe", home.data)
    assert (found["rows"], found["faults"]) == (20_000, {})
    ended = called("data", "describe", home.data)
    assert ended.exit_code == 0
    assert "20000" in ended.stdout.replace(",", "")


def test_data_is_verified(home: Any, tmp_path: Path) -> None:
    assert said("data", "verify", home.data) == {"ok": True, "usable": True, "faults": []}
    lines = Path(home.data).read_text().splitlines()
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([*lines[:3], lines[3].replace(lines[3].split(",")[1], "-5"), *lines[4:9]]))
    found = said("data", "verify", str(broken), status=2)
    assert (found["ok"], found["usable"]) == (False, False)
    assert found["faults"][0]["row"] == 4


def test_a_configuration_is_validated(home: Any, tmp_path: Path) -> None:
    assert said("config", "validate", "-c", home.yaml) == {"ok": True, "problems": []}
    broken = tmp_path / "broken.yaml"
    broken.write_text(Path(home.yaml).read_text().replace('"balance"', '"balanc"'))
    found = said("config", "validate", "-c", str(broken), status=2)
    assert found["ok"] is False
    assert {"code", "what", "place", "value", "fix"} == set(found["problems"][0])
    assert len(found["problems"]) >= 2, "all problems are named, not the first alone"


def test_the_schema_is_json(home: Any) -> None:
    ended = process("config", "schema")
    assert ended.returncode == 0
    assert {"account", "grids", "instruments"} <= set(orjson.loads(ended.stdout)["properties"])


def test_init_writes_a_configuration_that_validates_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert said("init", str(path)) == {"path": str(path)}
    assert called("config", "validate", "-c", str(path)).exit_code == 0
    assert called("plan", "-c", str(path)).exit_code == 0
    before = path.read_bytes()
    ended = called("init", str(path))
    assert ended.exit_code == 2
    assert f"{path}: the file exists already [init.exists]" in ended.stderr
    assert path.read_bytes() == before
    assert called("init", str(tmp_path / "no" / "such.yaml")).exit_code == 5


def test_the_demonstration_replays_its_own_ledger(tmp_path: Path) -> None:
    found = said("demo", "--out", str(tmp_path / "demo"), "--seed", "3")
    assert found["fills"] > 10
    assert found["replay"]["identical"] is True
    assert found["replay"]["head"] == found["head"]
    assert Decimal(found["identity_residual"]) == 0
    assert said("verify", str(tmp_path / "demo"))["head"] == found["head"]


def test_the_doctor_gives_a_fix_for_what_is_wrong() -> None:
    ended = called("doctor", "--json")
    found = orjson.loads(ended.stdout)
    assert ended.exit_code == (0 if found["ok"] else 5)
    assert {"python", "sqlite", "fsync", "disk"} <= {check["name"] for check in found["checks"]}
    assert all(check["fix"] for check in found["checks"] if not check["ok"])


def test_a_reader_that_goes_away_is_no_error(home: Any) -> None:
    command = f"{sys.executable} -m grinder config schema | head -c 5; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", command], capture_output=True, cwd=REPO, timeout=60, check=False)
    assert len(ended.stdout) == 5
    assert b"Traceback" not in ended.stderr
    assert ended.returncode == 0
