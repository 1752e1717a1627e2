"""A fork is its parent's history, then another one; and when nothing is changed, the parent's to the end."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path

import orjson
import pytest
from small_ledgers import copy_run, rechained, replace_records, trades_file
from travel_runs import (
    ROWS,
    SPOT,
    backtest_into,
    config,
    forked,
    manifest_of,
    paper_into,
    quiet,
    replays,
    rows_of,
    topics,
)

from domain.codec import decode
from grinder.commands.fork import EXECUTION, MODEL, RECORDED, ForkDiverged, RulesRaised, fork
from grinder.commands.inspect import replay_run, verify_run
from grinder.commands.simulate import SimulationAsked, simulate
from grinder.errors import ConfigError, DataError, LedgerError, UserError
from grinder.views.summary import summary

POSITIONS = random.Random(20_231_115)


@pytest.mark.parametrize("kind", ["spot", "slow", "perpetual"])
def test_a_fork_of_a_backtest_that_changes_nothing_is_its_parent(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Path = request.getfixturevalue(kind)
    parent = rows_of(run)
    for at in POSITIONS.sample(range(1, len(parent) + 1), 5):
        out = tmp_path / str(at)
        result = forked(run, at, out)
        assert rows_of(out) == parent, f"forked at {at}"
        assert result["identical"] and result["goes_on_with"] == EXECUTION
        assert result["head"] == manifest_of(run)["head"]


def test_a_fork_of_a_paper_run_that_changes_nothing_is_its_parent(paper: Path, tmp_path: Path) -> None:
    parent = rows_of(paper)
    for at in POSITIONS.sample(range(1, len(parent) + 1), 4):
        result = forked(paper, at, tmp_path / str(at))
        assert rows_of(tmp_path / str(at)) == parent, f"forked at {at}"
        assert result["goes_on_with"] == RECORDED


def test_a_position_inside_an_answer_moves_to_its_end_and_says_so(spot: Path, tmp_path: Path) -> None:
    rows = rows_of(spot)
    inside = next(row.position for row in rows[200:] if row.cause != row.position)
    end = next(row.position for row in rows[inside:] if row.cause == row.position) - 1
    result = forked(spot, inside, tmp_path / "fork")
    assert (result["asked"], result["position"]) == (inside, end)
    assert any("part of an answer" in note for note in result["notes"])


@pytest.mark.parametrize("kind", ["spot", "slow", "perpetual", "paper"])
def test_changed_settings_enter_as_inputs_and_the_fork_is_an_ordinary_run(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Path = request.getfixturevalue(kind)
    parent = rows_of(run)
    key = "grids__0__levels_per_side" if kind == "perpetual" else "grids__0__grid_number"
    for at in POSITIONS.sample(range(len(parent) // 4, len(parent) * 3 // 4), 2):
        out = tmp_path / str(at)
        changes = {
            key: 6 if kind == "perpetual" else 40,
            "risk__session_drawdown_pct": 50,
            "account__fees__maker_bps": "2",
        }
        result = forked(run, at, out, **changes)
        rows = rows_of(out)
        assert rows[: result["position"]] == parent[: result["position"]]
        assert rows[result["position"]].topic == "RunReport/1"
        assert b"grids.0." in rows[result["position"]].state
        said = topics(rows[result["position"] :])
        assert "LimitsChanged" in said and "InstrumentListed" in said
        assert said.count("StopGrid") == said.count("StartGrid") == 1
        # Under latencies that are drawn an acknowledgement may come after the cancel's: that is refused.
        refused = [r for r in rows[result["position"] :] if r.topic.startswith("MessageRefused/")]
        assert not refused or kind == "slow"
        fills = [
            decode(r.topic, r.state)
            for r in rows[result["position"] + 20 :]
            if r.topic.startswith("FillReport/")
        ]
        assert fills or kind in ("slow", "perpetual")
        assert all(fill.fee_value > 0 for fill in fills[-5:])
        assert replay_run(out, quiet)["identical"] and verify_run(out, None, quiet)["ok"]
        assert summary(out).identity_residual == "0"
        assert result["goes_on_with"] == (MODEL if kind == "paper" else EXECUTION)
        assert manifest_of(out)["fork"]["goes_on_with"] == result["goes_on_with"]


def test_the_new_grid_starts_after_the_last_cancel_and_takes_over_what_the_old_one_held(
    spot: Path, tmp_path: Path
) -> None:
    result = forked(spot, 400, tmp_path / "fork", grids__0__grid_number=10)
    rows = rows_of(tmp_path / "fork")[result["position"] :]
    said = topics(rows)
    started = said.index("StartGrid")
    assert "CancelSubmitted" in said[:started] and "CancelSubmitted" not in said[started : started + 20]
    start = decode(rows[started].topic, rows[started].state)
    assert start.initial_inventory == "existing" and start.existing_units > 0
    assert "InventoryAdopted" in said[started:]


def test_latency_changes_at_the_fork_and_not_before(spot: Path, tmp_path: Path) -> None:
    result = forked(spot, 400, tmp_path / "fork", fills__order_latency_ms=200, fills__feed_latency_ms=100)
    rows = rows_of(tmp_path / "fork")
    asked = {
        decode(r.topic, r.state).terms.client_order_id: r
        for r in rows
        if r.topic.startswith("OrderSubmitted/")
    }
    waits = {True: set(), False: set()}
    for row in rows:
        if row.topic.startswith("OrderAcceptedReport/"):
            sent = asked[decode(row.topic, row.state).client_order_id]
            waits[sent.position > result["position"]].add(row.ts_ns - sent.ts_ns)
    # What was on its way at the fork goes at the old pace and is answered at the new one.
    assert waits[False] <= {0, 200_000_000} and waits[True] == {400_000_000}


def test_a_fork_of_a_fork_takes_the_earlier_changes_along(spot: Path, tmp_path: Path) -> None:
    first = forked(spot, 300, tmp_path / "a", grids__0__grid_number=14)
    again = forked(tmp_path / "a", first["position"] + 150, tmp_path / "b")
    assert again["identical"] and rows_of(tmp_path / "b") == rows_of(tmp_path / "a")
    other = forked(tmp_path / "a", first["position"] + 150, tmp_path / "c", risk__orders_per_minute=1)
    rows = rows_of(tmp_path / "c")
    assert rows[: other["position"]] == rows_of(tmp_path / "a")[: other["position"]]
    assert replays(rows) and topics(rows).count("ChangeLimits") == 1
    assert len(manifest_of(tmp_path / "c")["fork"]["points"]) == 2


def test_a_fork_ends_where_it_is_told_to(spot: Path, tmp_path: Path) -> None:
    parent = rows_of(spot)
    by_position = forked(spot, 300, tmp_path / "p", until="500")
    assert 500 <= by_position["records"] < 520
    assert rows_of(tmp_path / "p") == parent[: by_position["records"]]
    by_time = forked(spot, 300, tmp_path / "t", until="2023-11-15T00:30")
    rows = rows_of(tmp_path / "t")
    assert rows == parent[: by_time["records"]] and replays(rows)
    limit = 1_700_008_200 * 10**9
    assert rows[-1].ts_ns <= limit < parent[len(rows)].ts_ns


def test_the_same_command_goes_on_with_an_interrupted_fork(spot: Path, tmp_path: Path) -> None:
    whole = forked(spot, 300, tmp_path / "whole", grids__0__grid_number=14)
    rows = rows_of(tmp_path / "whole")
    cut = copy_run(tmp_path / "whole", tmp_path / "cut")
    keep = max(row.position for row in rows[:400] if row.cause == row.position) - 1
    replace_records(cut / "ledger.db", rows[:keep])
    (cut / "views.db").unlink()
    resumed = forked(spot, 300, cut, grids__0__grid_number=14)
    assert resumed["resumed_records"] == keep and resumed["head"] == whole["head"]


def test_other_data_is_refused_with_both_digests(spot: Path, tmp_path: Path) -> None:
    other = trades_file(tmp_path / "other.csv", ROWS, seed=8)
    with pytest.raises(DataError) as refused:
        fork(spot, 300, {}, "", tmp_path / "fork", [str(other)], quiet)
    assert refused.value.code == "fork.other_data"
    assert manifest_of(spot)["data"]["sha256"] in refused.value.value
    assert refused.value.value.count("sha256") == 1 and len(refused.value.value) > 128
    assert not (tmp_path / "fork" / "ledger.db").exists()


def test_data_that_moved_can_be_named(spot: Path, tmp_path: Path) -> None:
    run = copy_run(spot, tmp_path / "run")
    manifest = manifest_of(run)
    manifest["data"]["arguments"] = ["gone.csv"]
    (run / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(DataError, match="not where its manifest says"):
        fork(run, 300, {}, "", tmp_path / "fork", [], quiet)
    moved = spot.parent / "trades.csv"
    assert fork(run, 300, {}, "", tmp_path / "fork", [str(moved)], quiet)["identical"]


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"account.balance": "1"}, "fork.not_changeable"),
        ({"run.mark_interval_seconds": "60"}, "fork.not_changeable"),
        ({"instruments.BTCUSDT.lot": "0.01"}, "fork.not_changeable"),
        ({"grids.0.colour": "red"}, "config.unknown_key"),
        ({"grids.7.grid_number": "3"}, "config.override"),
    ],
)
def test_what_cannot_change_is_refused_by_name_and_nothing_is_written(
    spot: Path, tmp_path: Path, settings: dict[str, str], code: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        fork(spot, 300, settings, "", tmp_path / "fork", [], quiet)
    assert refused.value.code == code
    assert not (tmp_path / "fork").exists()


@pytest.mark.parametrize(("at", "until"), [(0, ""), (10**6, ""), (300, "200"), (300, "noon")])
def test_positions_and_times_that_are_none_are_refused(
    spot: Path, tmp_path: Path, at: int, until: str
) -> None:
    with pytest.raises(UserError):
        forked(spot, at, tmp_path / "fork", until=until)


def test_a_fork_needs_a_folder_of_its_own(spot: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="folder of its own"):
        forked(spot, 300, spot)
    forked(spot, 300, tmp_path / "fork")
    with pytest.raises(LedgerError, match="another run"):
        forked(spot, 301, tmp_path / "fork", grids__0__grid_number=14)


def test_a_history_this_program_does_not_come_to_is_not_forked(spot: Path, tmp_path: Path) -> None:
    run = copy_run(spot, tmp_path / "run")
    rows = rows_of(run)
    at = next(i for i, row in enumerate(rows) if row.topic.startswith("OrderFilled/"))
    forged = orjson.loads(rows[at].state)
    forged["cash_units"] += 1
    state = orjson.dumps(forged, option=orjson.OPT_SORT_KEYS)
    rows = rechained([*rows[:at], rows[at]._replace(state=state), *rows[at + 1 :]])
    replace_records(run / "ledger.db", rows)
    manifest = manifest_of(run)
    (run / "manifest.json").write_bytes(orjson.dumps({**manifest, "head": rows[-1].chain.hex()}))
    with pytest.raises(ForkDiverged) as found:
        forked(run, 400, tmp_path / "fork")
    assert f"record {at + 1} " in found.value.what


def test_a_model_takes_over_balances_orders_and_what_was_under_way(tmp_path: Path) -> None:
    paper = paper_into(tmp_path / "paper", seed=11)
    rows = rows_of(paper)
    pending = next(row.position for row in rows if row.topic.startswith("OrderSubmitted/"))
    result = forked(paper, pending, tmp_path / "early", risk__orders_per_minute=600)
    early = rows_of(tmp_path / "early")
    sent = {
        decode(r.topic, r.state).terms.client_order_id
        for r in early[: result["position"]]
        if r.topic.startswith("OrderSubmitted/")
    }
    answered = {
        decode(r.topic, r.state).client_order_id
        for r in early
        if r.topic.startswith(("OrderAcceptedReport/", "OrderRejectedReport/"))
    }
    assert sent and sent <= answered
    late = forked(paper, len(rows) * 2 // 3, tmp_path / "late", risk__orders_per_minute=600)
    assert Decimal(late["identity_residual"]) == 0 and replays(rows_of(tmp_path / "late"))
    refused = [r for r in rows_of(tmp_path / "late") if r.topic.startswith("MessageRefused/")]
    assert not refused, "fill ids or orders came twice"


def test_a_fork_can_be_asked_for_at_a_time(spot: Path, tmp_path: Path) -> None:
    rows = rows_of(spot)
    result = fork(spot, "2023-11-15T00:30", {}, "", tmp_path / "fork", [], quiet)
    limit = 1_700_008_200 * 10**9
    assert rows[result["position"] - 1].ts_ns <= limit < rows[result["position"]].ts_ns
    assert result["identical"]
    by_number = fork(spot, "#300", {}, "", tmp_path / "number", [], quiet)
    assert by_number["asked"] == 300
    for wrong in ("noon", "1999-01-01"):
        with pytest.raises(UserError):
            fork(spot, wrong, {}, "", tmp_path / "none", [], quiet)


def test_limits_that_come_with_a_new_risk_section_are_named(tmp_path: Path) -> None:
    free = {name: section for name, section in SPOT.items() if name != "risk"}
    run = backtest_into(tmp_path, free)
    result = forked(run, 300, tmp_path / "fork", risk__session_drawdown_pct=50)
    (note,) = [one for one in result["notes"] if "risk section" in one]
    assert "session_drawdown_pct 50" in note and "inventory_max_quote 5000" in note
    with_limits = forked(tmp_path / "fork", result["records"], tmp_path / "again", risk__orders_per_minute=9)
    assert not any("risk section" in one for one in with_limits["notes"]), "it was there already"


def test_rules_that_raise_over_the_parents_history_are_a_difference(
    spot: Path, paper: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from domain import portfolio
    from domain.order_events import OrderRequested

    def breaks(*_: object) -> None:
        raise ZeroDivisionError("a rule divides by nothing")

    monkeypatch.setitem(portfolio._DECIDE, OrderRequested, breaks)
    for run in (spot, paper):
        with pytest.raises(RulesRaised) as found:
            forked(run, 400, tmp_path / run.parent.name)
        first = next(row for row in rows_of(run) if row.topic.startswith("OrderAllowed/"))
        assert f"instead of deciding record {first.position} of the parent" in found.value.what
        assert "ZeroDivisionError" in found.value.what and found.value.status == 3


def test_a_simulation_goes_on_under_other_settings_over_its_own_market(tmp_path: Path) -> None:
    asked = SimulationAsked(config=config(SPOT), seed=7, rows=ROWS)
    simulate(asked, tmp_path / "run", iter(["run 2h"]), lambda said: None)
    parent = rows_of(tmp_path / "run")
    result = forked(tmp_path / "run", len(parent) // 2, tmp_path / "fork", grids__0__grid_number=30)
    rows = rows_of(tmp_path / "fork")
    assert result["goes_on_with"] == MODEL and result["market"] == "feed"
    assert rows[: result["position"]] == parent[: result["position"]] and replays(rows)
    again = forked(tmp_path / "fork", result["position"] + 50, tmp_path / "same")
    assert again["identical"] and rows_of(tmp_path / "same") == rows
    manifest = manifest_of(tmp_path / "run")
    manifest["data"]["sha256"] = "0" * 64
    (tmp_path / "run" / "manifest.json").write_bytes(orjson.dumps(manifest))
    with pytest.raises(DataError, match="does not come out again"):
        forked(tmp_path / "run", len(parent) // 2, tmp_path / "other", grids__0__grid_number=30)
