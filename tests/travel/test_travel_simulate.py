"""The clock in the user's hand: the same commands write the same ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from travel_runs import SPOT, config, quiet, rows_of, topics

from domain.codec import decode
from grinder.commands.inspect import replay_run, verify_run
from grinder.commands.simulate import SimulationAsked, simulate
from grinder.errors import LedgerError, UserError
from grinder.storing import RunDiverged
from grinder.travel.times import instant_ns, span_ns, time_text

FAULTS = """
faults:
  - {kind: drop_reply, probability: 0.1}
  - {kind: duplicate_fill, probability: 0.2}
  - {kind: cut_stream, probability: 0.002, seconds: 20}
"""


def played(out: Path | None, commands: Sequence[str], **asked: Any) -> dict[str, Any]:
    wanted = SimulationAsked(config=config(SPOT), **{"rows": 2_000, **asked})
    return simulate(wanted, out, iter(commands), lambda said: None)


def said(result: dict[str, Any]) -> list[str]:
    return [one["said"] for one in result["commands"]]


def test_the_same_commands_write_the_same_ledger_and_it_replays(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text(FAULTS)
    commands = [
        "step 30",
        "step fill",
        "run 5m",
        "pause",
        "run 60s",
        "resume",
        "step order",
        "run 10m",
        "status",
    ]
    first, second = (
        played(tmp_path / name, commands, seed=3, faults=tmp_path / "faults.yaml") for name in ("a", "b")
    )
    assert first["head"] == second["head"] and rows_of(tmp_path / "a") == rows_of(tmp_path / "b")
    assert said(first) == said(second)
    assert first["faults"] and first["fills"] and first["identity_residual"] == "0"
    assert replay_run(tmp_path / "a", quiet)["identical"] and verify_run(tmp_path / "a", None, quiet)["ok"]
    other = played(tmp_path / "c", [*commands[:-1], "run 1s"], seed=3, faults=tmp_path / "faults.yaml")
    assert other["head"] != first["head"]


def test_the_same_commands_into_the_same_folder_are_compared(tmp_path: Path) -> None:
    first = played(tmp_path / "a", ["run 5m"])
    again = played(tmp_path / "a", ["run 5m"])
    assert again["resumed_records"] == first["records"] and again["head"] == first["head"]
    with pytest.raises(RunDiverged):
        played(tmp_path / "a", ["run 4m"])


def test_time_moves_by_commands_only(tmp_path: Path) -> None:
    result = played(
        tmp_path / "a",
        ["step tick", "run 90s", "jump 2023-11-15T00:10", "jump 2023-11-15T00:05", "run 500ms", "price"],
    )
    ticked, ran, jumped, back, last, _ = result["commands"]
    assert ran["now_ns"] - ticked["now_ns"] == 90 * 10**9
    assert abs(jumped["now_ns"] - instant_ns("2023-11-15T00:10")) <= 1
    assert "does not run back" in back["said"] and back["now_ns"] == jumped["now_ns"]
    assert abs(last["now_ns"] - jumped["now_ns"] - 500 * 10**6) <= 1
    assert said(result)[-1].startswith("BTCUSDT 6")


def test_steps_stop_at_what_was_asked_for(tmp_path: Path) -> None:
    result = played(tmp_path / "a", ["step order", "step", "step fill", "step fill", "step cancel"])
    order, one, fill, next_fill, _ = result["commands"]
    rows = rows_of(tmp_path / "a")
    assert "OrderSubmitted" in topics(rows[: order["position"]])
    assert any(row.cause == row.position for row in rows[order["position"] : one["position"]])
    assert fill["fills"] >= 1 and next_fill["fills"] > fill["fills"]
    assert "no cancel came" in said(result)[-1]


def test_the_operator_is_obeyed_and_recorded(tmp_path: Path) -> None:
    result = played(
        tmp_path / "a",
        ["run 60s", "pause BTCUSDT", "status", "resume BTCUSDT", "halt storm", "run 1s", "reset",
         "stop BTCUSDT cancel", "orders", "speed 1000000", "run 1s", "help # and a remark", ""],
    )  # fmt: skip
    rows = rows_of(tmp_path / "a")
    asked = [r for r in rows if r.stream == "input/operator"]
    assert {"PauseTrading", "ResumeTrading", "HaltTrading", "ResetHalt", "StopGrid"} <= set(topics(asked))
    halted = next(decode(r.topic, r.state) for r in rows if r.topic.startswith("TradingHalted/"))
    assert halted.reason == "storm"
    assert "paused: operator" in said(result)[2] and said(result)[8] == "no orders"


@pytest.mark.parametrize(
    "command",
    ["dance", "step sideways", "run", "run fast", "jump never", "speed -1", "pause ETHUSDT", "stop"],
)
def test_what_is_no_command_is_said_and_changes_nothing(tmp_path: Path, command: str) -> None:
    told = played(None, ["run 1s", command])["commands"]
    assert told[1]["said"].startswith("error: ") and told[1]["position"] == told[0]["position"]


def test_the_market_ends_and_so_does_time(tmp_path: Path) -> None:
    told = said(played(None, ["run 1d", "step fill"], rows=200))
    assert "the market has ended" in told[0] and "no fill came" in told[1]


def test_data_can_be_played_and_wrong_faults_are_refused(spot: Path, tmp_path: Path) -> None:
    result = played(None, ["run 2m", "price"], data=[str(spot.parent / "trades.csv")])
    assert result["run"] == "" and result["records"] > 50
    (tmp_path / "wrong.yaml").write_text("faults: [{kind: dragons}]")
    with pytest.raises(UserError) as refused:
        played(tmp_path / "x", ["run 1s"], faults=tmp_path / "wrong.yaml")
    assert refused.value.code == "simulate.faults" and not (tmp_path / "x").exists()
    with pytest.raises(LedgerError, match="another run"):
        played(spot, ["run 1s"])


def test_times_and_spans() -> None:
    assert instant_ns("1970-01-02") == 86_400 * 10**9
    assert instant_ns("2023-11-15T13:00+01:00") == instant_ns("2023-11-15T12:00")
    assert [span_ns(text) for text in ("5", "5s", "250ms", "2m", "1h", "1d")] == [
        5 * 10**9, 5 * 10**9, 250 * 10**6, 120 * 10**9, 3_600 * 10**9, 86_400 * 10**9,
    ]  # fmt: skip
    assert time_text(instant_ns("2023-11-15T12:00:00.5")) == "2023-11-15 12:00:00.500"
