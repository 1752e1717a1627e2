"""The commands as a script calls them: one JSON object, stable keys, exit statuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from small_ledgers import write_ledger, yaml_of
from travel_runs import SPOT, manifest_of

from grinder.cli import main

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "histories"))


def asked(*arguments: object, status: int = 0, stdin: str = "") -> Any:
    ended = CliRunner().invoke(main, [*map(str, arguments), "--json"], input=stdin)
    assert ended.exit_code == status, ended.output
    return orjson.loads(ended.stdout)


def told(*arguments: object, status: int = 0, stdin: str = "") -> str:
    ended = CliRunner().invoke(main, [*map(str, arguments)], input=stdin)
    assert ended.exit_code == status, ended.output
    return ended.output


def test_fork_diff_and_the_commands_that_read_a_fork(spot: Path, tmp_path: Path) -> None:
    fork, setting = tmp_path / "fork", "grids.0.grid_number=20"
    made = asked("fork", spot, "--at", 300, "--set", setting, "--out", fork)
    assert made["settings"] == {"grids.0.grid_number": "20"} and made["changes"]["grids"] == ["BTCUSDT"]
    assert not made["identical"] and made["goes_on_with"] == "execution"
    noted = manifest_of(fork)["fork"]
    assert (noted["parent"], noted["at"], noted["settings"]) == (
        str(spot.resolve()),
        made["position"],
        setting,
    )
    assert asked("replay", fork)["head"] == asked("verify", fork)["head"] == made["head"]
    assert asked("report", fork, "--html", tmp_path / "fork.html")["bytes"] > 10_000
    found = asked("diff", spot, fork)
    assert found["first_divergence"]["position"] == made["position"] + 1
    assert set(found) >= {"orders_only_a", "orders_only_b", "pnl", "first_divergence"}
    text = told("diff", spot, fork)
    assert ("first difference at record" in text and "because of" in text) or "fees" in text
    assert "the ledgers are identical" in told("diff", spot, spot)
    assert "forked" in told("fork", spot, "--at", 300, "--out", tmp_path / "same")


def test_a_live_run_against_its_backtest(paper: Path) -> None:
    assert asked("diff", paper, "--backtest")["drift"]["filled_in_both"] > 10
    assert "only live" in told("diff", paper, "--backtest")


def test_export_and_what_reads_a_slice(spot: Path, tmp_path: Path) -> None:
    made = asked("export", spot, "--slice", "300..350", "--redact", "--out", tmp_path / "s")
    assert made["redacted"] and made["first"] <= 300 and made["last"] >= 350
    assert asked("replay", tmp_path / "s")["identical"]
    assert asked("replay", tmp_path / "s", "--code")["identical"]
    assert asked("verify", tmp_path / "s")["ok"]
    refused = asked("rebuild", tmp_path / "s", status=4)
    assert refused["error"]["code"] == "views.slice"
    assert "carry the state" in told("export", spot, "--slice", "300..350", "--out", tmp_path / "t")


def test_replay_code_ends_with_the_status_of_a_divergence(spot: Path, tmp_path: Path) -> None:
    from make import read

    assert "decides the same" in told("replay", spot, "--code")
    write_ledger(tmp_path / "ledger.db", read("tampered"))
    found = asked("replay", tmp_path, "--code", status=3)
    assert set(found["first"]) >= {"position", "recorded", "decided", "before", "changed", "path"}
    text = told("replay", tmp_path, "--code", status=3)
    assert "first decides otherwise" in text and "OrderFilled/1: 1" in text
    assert asked("replay", tmp_path, "--code", "--from-tape", status=2)["error"]["code"] == "usage.replay"


def test_simulate_reads_its_commands_from_standard_input(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(yaml_of(SPOT))
    common = ("simulate", "-c", tmp_path / "c.yaml", "--rows", 500)
    made = asked(*common, "--out", tmp_path / "run", stdin="step 10\nrun 60s\nquit\nrun 60s\n")
    assert [one["command"] for one in made["commands"]] == ["step 10", "run 60s"]
    assert asked("replay", tmp_path / "run")["head"] == made["head"]
    assert "chain head" in told(*common, stdin="status")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("fork", "RUN", "--at", 0, "--out", "x"), "usage.position"),
        (("fork", "RUN", "--at", 9, "--set", "grids", "--out", "x"), "usage.setting"),
        (("diff", "RUN"), "usage.diff"),
        (("export", "RUN", "--slice", "7", "--out", "x"), "usage.slice"),
    ],
)
def test_wrong_usage_is_named(spot: Path, arguments: tuple[object, ...], code: str) -> None:
    given = [str(spot) if one == "RUN" else one for one in arguments]
    assert asked(*given, status=2)["error"]["code"] == code


@pytest.mark.parametrize("command", [("fork", "--at", "1"), ("diff", "y"), ("export", "--slice", "1..2")])
def test_a_run_that_is_not_there_is_damage(tmp_path: Path, command: tuple[str, ...]) -> None:
    name, *rest = command
    out = () if name == "diff" else ("--out", tmp_path / "out")
    found = asked(name, tmp_path / "none", *rest, *out, status=4)
    assert found["error"]["code"] == "ledger.missing"
