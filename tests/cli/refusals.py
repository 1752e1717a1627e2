"""What tests of refusals share: a sound configuration, and what every refusal has to say."""

from __future__ import annotations

from pathlib import Path

import orjson
from click.testing import CliRunner, Result

from grinder.cli import main

SOUND = """\
version: 1
account:
  balance: "10000"
  fees: {maker_bps: "1", taker_bps: "5"}
instruments:
  BTCUSDT: {kind: spot, tick: "0.1", lot: "0.001", min_notional: "5"}
  ETHUSDT: {kind: linear, tick: "0.01", lot: "0.001"}
risk: {session_drawdown_pct: "3"}
grids:
  - symbol: BTCUSDT
    mode: long
    spacing: arithmetic
    lower_price: "60000"
    upper_price: "62000"
    grid_number: 20
    quote_investment: "8000"
"""


def called(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def backtested(yaml: Path, data: Path, out: Path) -> Result:
    return called("backtest", "-c", str(yaml), "--data", str(data), "--out", str(out), "--json")


def check_refused(ended: Result, status: int, code: str, place: str, value: str, fix: str) -> dict[str, str]:
    """The refusal of a command called with --json: the same in the object and in the sentence for people."""
    assert ended.exit_code == status, (ended.output, ended.exception)
    error: dict[str, str] = orjson.loads(ended.stdout)["error"]
    assert error["code"] == code, error
    assert place in error["place"], error
    assert value in error["value"], error
    assert fix in error["fix"], error
    assert error["place"], "a refusal says where"
    assert error["fix"], "a refusal says what mends it"
    shown = ended.stderr[ended.stderr.index("error: ") :]
    for part in (error["place"], error["what"], error["value"], f"[{code}]", f"fix: {error['fix']}"):
        assert part in shown, (part, shown)
    assert "Traceback" not in ended.stderr
    return error
