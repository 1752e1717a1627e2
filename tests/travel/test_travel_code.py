"""What today's code would have decided otherwise, and where first."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from small_ledgers import write_ledger
from travel_runs import quiet, rows_of

from domain import portfolio
from domain.grid_events import GridConfigured
from domain.order_events import OrderRequested
from domain.risk_events import StopPricesSet
from grinder.commands.code import compare_code
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
