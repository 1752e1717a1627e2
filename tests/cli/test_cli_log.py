"""What is logged, and where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import orjson

REPO = Path(__file__).parents[2]


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grinder", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={"PYTHONPATH": str(REPO), "PATH": "/usr/bin:/bin"},
        check=False,
    )


def arguments_of(folder: Path) -> list[str]:
    (folder / "grid.yaml").write_text(
        "account: {balance: '1000'}\n"
        "instruments: {BTCUSDT: {kind: spot, tick: '1', lot: '0.001'}}\n"
        "risk: {}\n"
        "grids: [{symbol: BTCUSDT, mode: long, spacing: arithmetic, lower_price: '90',"
        " upper_price: '110', grid_number: 4, quote_investment: '100', initial_inventory: none}]\n"
    )
    rows = "".join(f"{1_672_531_200 + 60 * i},{100 + i % 7},1.0\n" for i in range(50))
    (folder / "trades.csv").write_text(rows)
    return ["backtest", "-c", "grid.yaml", "--data", "trades.csv", "--out", "run", "--json"]


def test_a_quiet_run_logs_nothing_and_prints_one_object(tmp_path: Path) -> None:
    ended = run(*arguments_of(tmp_path), cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert orjson.loads(ended.stdout)["identity_residual"] == "0"


def test_a_verbose_run_logs_json_lines_on_standard_error(tmp_path: Path) -> None:
    ended = run("--verbose", *arguments_of(tmp_path), cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    lines = [orjson.loads(line) for line in ended.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["data loaded", "run durable"]
    assert lines[1]["head"] == orjson.loads(ended.stdout)["head"]


def test_the_command_as_a_function_prints_nothing(tmp_path: Path) -> None:
    arguments_of(tmp_path)
    program = (
        "from pathlib import Path\n"
        "from grinder.config import load_config\n"
        "from grinder.commands.backtest import backtest\n"
        "from grinder.data import parse_data_argument\n"
        "backtest(load_config([Path('grid.yaml')], {}), [parse_data_argument('trades.csv')], Path('run'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPO)},
        check=True,
    )
    assert (ended.stdout, ended.stderr) == ("", "")
