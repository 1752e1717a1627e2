"""Fork, diff, explain, debug, audit and export on runs that were recorded over a wire protocol."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from live_runs import wait_for
from travel_runs import forked, quiet, replays, rows_of, topics
from wire_runs import PERPETUALS, PROTOCOLS, fills_in, recorded, trading_run

from actors.records import LedgerRow
from domain.codec import decode
from grinder.cli import main
from grinder.commands.diff import diff
from grinder.commands.fork import MODEL, RECORDED

POSITIONS = random.Random(20_261_121)


def said(*arguments: str, status: int = 0) -> dict[str, Any]:
    """What a command prints with --json."""
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == status, (ended.output, ended.exception)
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def adds_up(found: dict[str, Any]) -> None:
    """The parts of a difference in money are the difference, in total and of each symbol."""
    for one in (found, *found["symbols"].values()):
        assert sum(map(Decimal, one["parts"].values())) == Decimal(one["difference"])
        assert one["parts"]["rounding"] == "0"
    total = sum(Decimal(one["difference"]) for one in found["symbols"].values())
    assert total == Decimal(found["difference"])
    change = Decimal(found["equity_change_b"]) - Decimal(found["equity_change_a"])
    assert change == Decimal(found["difference"])


def key_of(protocol: str) -> dict[str, object]:
    """A setting of the grid that makes another ladder."""
    return {"grids__0__levels_per_side": 6} if protocol in PERPETUALS else {"grids__0__grid_number": 20}


def unchanged(run: Path, parent: list[LedgerRow], out: Path, how_often: int) -> None:
    for at in POSITIONS.sample(range(1, len(parent) + 1), how_often):
        result = forked(run, at, out / f"same-{at}")
        assert rows_of(out / f"same-{at}") == parent, f"forked at {at}"
        assert result["identical"] and result["goes_on_with"] == RECORDED


def changed(run: Path, parent: list[LedgerRow], out: Path, at: int, **settings: object) -> dict[str, Any]:
    """A fork over the tape is an ordinary run whose beginning is the parent's."""
    result = forked(run, at, out, **settings)
    rows = rows_of(out)
    assert rows[: result["position"]] == parent[: result["position"]]
    assert result["goes_on_with"] == MODEL and result["market"] == "tape"
    assert replays(rows) and result["identity_residual"] == "0"
    found = diff(run, out, backtest=False, out=None, progress=quiet)
    assert found["first_divergence"]["position"] == result["position"] + 1
    adds_up(found["pnl"])
    return found


def inspected(run: Path, rows: list[LedgerRow], out: Path) -> None:
    """Explain, debug, audit and export, as a user calls them."""
    fill = decode(rows[-1].topic, rows[-1].state)
    explained = said("explain", str(run), f"fill:{fill.fill_id}")
    text = orjson.dumps(explained).decode()
    assert "FillReport" in text and "OrderRequested" in text and fill.client_order_id in text
    shown = CliRunner().invoke(main, ["explain", str(run), fill.client_order_id])
    assert shown.exit_code == 0 and "frame" in shown.output, "the tape's frame is shown"
    audited = said("audit", str(run), "--caused-by", str(rows[-1].position))
    assert {one["type"] for one in audited["records"]} >= {"FillReport/1", "OrderFilled/1"}
    stepped = CliRunner().invoke(main, ["debug", str(run)], input=f"goto {rows[-1].position}; effect; why")
    assert stepped.exit_code == 0 and "OrderFilled" in stepped.output
    first = POSITIONS.randrange(1, rows[-1].position)
    part = said("export", str(run), "--slice", f"{first}..{rows[-1].position}", "--redact", "--out", str(out))
    assert said("replay", str(out))["records"] == part["records"]


@pytest.mark.slow
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_run_over_the_wire_is_forked_compared_and_inspected(protocol: str, tmp_path: Path) -> None:
    run = recorded(protocol, tmp_path)
    parent = rows_of(run)
    assert said("replay", str(run), "--from-tape")["identical"]
    assert said("replay", str(run), "--code")["identical"]
    unchanged(run, parent, tmp_path, 3)
    filled = [row.position for row in parent if row.topic.startswith("OrderFilled/")]
    at = POSITIONS.randrange(filled[0], filled[len(filled) // 2])
    changed(run, parent, tmp_path / "grid", at, **key_of(protocol))
    told = topics(rows_of(tmp_path / "grid"))
    assert told.count("StartGrid") == told.count("GridStarted") == 2, "another ladder follows the old one"
    assert "OrderRequested" in told[told.index("GridStopped") :]
    same = changed(run, parent, tmp_path / "fee", at, account__fees__maker_bps="3")
    parts = same["pnl"]["symbols"]["BTCUSDT"]["parts"]
    assert Decimal(parts["fees"]) < 0, "dearer fills"
    drift = diff(run, None, backtest=True, out=tmp_path / "backtest", progress=quiet)
    adds_up(drift["pnl"])
    found = drift["drift"]
    alone = found["filled_only_live"] + found["filled_only_backtest"]
    assert found["filled_in_both"] > 3 * alone, "the model over the tape fills what the exchange filled"
    assert abs(found["time_difference_ms_median"]) < 1_000
    inspected(run, [row for row in parent if row.topic.startswith("FillReport/")], tmp_path / "slice")


@pytest.mark.slow
def test_a_run_that_was_killed_and_went_on_is_forked_over_both_its_tapes(tmp_path: Path) -> None:
    run = recorded("okx", tmp_path, 5, killed=True)
    parent = rows_of(run)
    assert topics(parent).count("TapeSegmentReport") == 2
    unchanged(run, parent, tmp_path, 3)
    starts = [row.position for row in parent if b'"phase":"started"' in row.state]
    for at in (starts[1] - 1, starts[1] + 2):
        changed(run, parent, tmp_path / f"at-{at}", at, grids__0__grid_number=20)
    adds_up(diff(run, None, backtest=True, out=None, progress=quiet)["pnl"])


@pytest.mark.slow
def test_a_run_that_goes_on_is_forked_and_compared_as_far_as_it_has_come(tmp_path: Path) -> None:
    with trading_run("binance", tmp_path) as (run, _):
        wait_for(lambda: fills_in(run) >= 6, timeout_s=40, why="executions")
        result = forked(run, 120, tmp_path / "same")
        assert result["identical"] and result["records"] >= 120
        other = forked(run, 120, tmp_path / "other", account__fees__maker_bps="3")
        assert replays(rows_of(tmp_path / "other")) and other["market"] == "tape"
        adds_up(diff(run, None, backtest=True, out=None, progress=quiet)["pnl"])
    parent = rows_of(run)
    assert rows_of(tmp_path / "same") == parent[: result["records"]]
