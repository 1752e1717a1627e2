"""What today's code would have decided otherwise, and where first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from small_ledgers import write_ledger
from travel_runs import quiet, rows_of

from domain import portfolio
from domain.grid_events import GridConfigured
from domain.order_events import OrderRequested
from domain.risk_events import StopPricesSet
from grinder.cli import main
from grinder.commands.code import compare_code
from grinder.errors import ExitStatus
from replay.decisions import Decisions

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "histories"))


@pytest.mark.parametrize("kind", ["spot", "slow", "perpetual", "paper"])
def test_the_code_that_wrote_a_run_decides_the_same(kind: str, request: pytest.FixtureRequest) -> None:
    run: Path = request.getfixturevalue(kind)
    found = compare_code(run, quiet)
    assert found["identical"] and found["first"] is None and not found["by_topic"]
    assert found["records"] == len(rows_of(run)) and found["decisions"] > 100


def test_a_changed_rule_is_named_where_it_first_matters_and_counted_after(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = portfolio._decide_order
    seen = 0

    def stricter(state: Any, now_ns: int, message: OrderRequested) -> Any:
        nonlocal seen
        if message.terms.side == "sell":
            seen += 1
            return ()
        return decide(state, now_ns, message)

    monkeypatch.setitem(portfolio._DECIDE, OrderRequested, stricter)
    rows = rows_of(spot)
    found = compare_code(spot, quiet)
    first = found["first"]
    wanted = next(r for r in rows if r.topic.startswith("OrderAllowed/") and b'"side":"sell"' in r.state)
    assert first["position"] == wanted.position and first["stream"] == "portfolio"
    assert first["recorded"]["topic"] == "OrderAllowed/1" and first["decided"]["topic"] == ""
    assert first["after_decided"] == first["before"] != first["after_recorded"]
    assert set(first["changed"]) <= {"symbols", "allowed_at"} and first["changed"]
    assert first["path"][-1]["stream"].startswith("input/")
    assert found["by_topic"] == {"OrderAllowed/1": seen} and found["otherwise"] == seen > 10


def test_a_changed_consequence_shows_in_the_states_it_leads_to(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closer(state: Any, now_ns: int, message: GridConfigured) -> Any:
        return (
            StopPricesSet(symbol=message.symbol, stop_loss_ticks=5, take_profit_ticks=0, on_stop="cancel"),
        )

    monkeypatch.setitem(portfolio._DECIDE, GridConfigured, closer)
    first = compare_code(spot, quiet)["first"]
    left, right = first["changed"]["symbols"]
    assert "stop_loss_ticks" not in left["BTCUSDT"] and right["BTCUSDT"]["stop_loss_ticks"] == 5


def test_a_forged_record_is_found_and_nothing_after_it_is_blamed(tmp_path: Path) -> None:
    from make import read

    rows = read("tampered")
    write_ledger(tmp_path / "ledger.db", rows)
    found = compare_code(tmp_path, quiet)
    assert found["otherwise"] == 1 and list(found["by_topic"]) == ["OrderFilled/1"]
    assert b'"realised"' in rows[found["first"]["position"] - 1].state


def test_a_record_nobody_would_be_asked_for_is_counted(spot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from domain import symbol

    monkeypatch.delitem(symbol._ROUTES, OrderRequested)
    found = Decisions().compare(rows_of(spot))
    assert found.unrouted > 10 and found.by_topic["OrderAllowed/1"] > 10


def breaks(*_: object) -> Any:
    raise ZeroDivisionError("a rule divides by nothing")


def test_a_rule_that_raises_is_a_difference_with_its_record_exception_and_states(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(portfolio._DECIDE, OrderRequested, breaks)
    rows = rows_of(spot)
    found = compare_code(spot, quiet)
    first = found["first"]
    wanted = next(r for r in rows if r.topic.startswith("OrderAllowed/"))
    assert (first["position"], first["stream"]) == (wanted.position, "portfolio")
    assert first["raised"]["during"] == "decide" and first["message"] == "OrderRequested/1"
    assert first["raised"]["exception"] == "ZeroDivisionError: a rule divides by nothing"
    assert "test_travel_code.py" in first["raised"]["place"] and "breaks" in first["raised"]["place"]
    assert first["recorded"]["topic"] == "OrderAllowed/1" and first["decided"]["topic"] == ""
    assert first["after_decided"] == first["before"] != first["after_recorded"]
    requests = sum(r.topic.startswith("OrderRequested/") for r in rows)
    assert found["raised"] == found["otherwise"] == requests, "and it goes on behind the first"
    assert not found["identical"] and not found["lost"]


def test_an_actor_that_cannot_take_over_an_event_is_named_and_the_others_go_on(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evolve = portfolio.evolve

    def picky(state: Any, event: Any) -> Any:
        return breaks() if type(event).__name__ == "OrderAllowed" else evolve(state, event)

    before = compare_code(spot, quiet)["decisions"]
    monkeypatch.setattr(portfolio, "evolve", picky)
    found = compare_code(spot, quiet)
    first = found["first"]
    assert first["raised"]["during"] == "evolve" and first["stream"] == "portfolio"
    assert found["lost"] == {"portfolio": first["position"]} and found["raised"] == 1
    assert first["before"] and first["after_recorded"] is None and first["changed"] == {}
    assert before // 3 < found["decisions"] < before, "only the portfolio is not asked any more"
    assert not found["unrouted"] and not found["identical"]


def test_where_events_go_is_taken_from_the_ledger_when_the_rule_for_it_raises(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from domain import symbol

    monkeypatch.setitem(symbol._ROUTES, OrderRequested, breaks)
    rows = rows_of(spot)
    found = compare_code(spot, quiet)
    assert found["first"]["raised"]["during"] == "route"
    assert found["first"]["recorded"]["topic"] == "OrderRequested/1"
    assert found["raised"] == sum(r.topic.startswith("OrderRequested/") for r in rows)
    assert not found["identical"] and not found["unrouted"] and not found["otherwise"]


def test_the_command_ends_with_status_3_and_no_traceback_when_a_rule_raises(
    spot: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(portfolio._DECIDE, OrderRequested, breaks)
    shown = CliRunner().invoke(main, ["replay", str(spot), "--code"])
    assert shown.exit_code == ExitStatus.DIVERGED and "Traceback" not in shown.output
    assert "first raises at record" in shown.output and "ZeroDivisionError: a rule" in shown.output
    as_json = CliRunner().invoke(main, ["replay", str(spot), "--code", "--json"])
    assert as_json.exit_code == ExitStatus.DIVERGED
    assert orjson.loads(as_json.stdout)["first"]["raised"]["during"] == "decide"
