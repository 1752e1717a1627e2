"""A run that risk stopped says so, with the reason, the time and the record."""

from __future__ import annotations

from pathlib import Path

import orjson
from click.testing import CliRunner

from grinder.cli import main

CONFIG = """
account: {balance: "1000"}
instruments: {BTCUSDT: {kind: spot, tick: "1", lot: "0.001"}}
risk: {session_drawdown_pct: "2", daily_drawdown_pct: "5"}
grids:
  - {symbol: BTCUSDT, mode: long, spacing: arithmetic, lower_price: "50", upper_price: "110", grid_number: 6,
     quote_investment: "900", initial_inventory: buy}
"""


def run(folder: Path, prices: list[int], *flags: str) -> str:
    (folder / "grid.yaml").write_text(CONFIG)
    rows = "".join(f"{1_672_531_200 + 60 * i},{price},1.0\n" for i, price in enumerate(prices))
    (folder / "trades.csv").write_text(rows)
    arguments = ["-c", str(folder / "grid.yaml"), "--data", str(folder / "trades.csv")]
    ended = CliRunner().invoke(main, ["backtest", *arguments, "--out", str(folder / "run"), *flags])
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_a_run_stopped_by_a_drawdown_names_reason_time_and_record(tmp_path: Path) -> None:
    (halt,) = orjson.loads(run(tmp_path, [80, 80, 55, 55], "--json"))["halts"]
    assert halt["reason"] == "EMERGENCY_DD_SESSION"
    assert halt["ts_ns"] == (1_672_531_200 + 120) * 10**9
    shown = " ".join(run(tmp_path, [80, 80, 55, 55]).split())
    assert "Stopped by risk" in shown
    assert "2023-01-01 00:02:00 UTC everything: EMERGENCY_DD_SESSION" in shown
    assert f"(record {halt['position']:,})" in shown


def test_a_run_that_nothing_stopped_has_no_halts(tmp_path: Path) -> None:
    assert orjson.loads(run(tmp_path, [80, 80, 81, 80], "--json"))["halts"] == []
