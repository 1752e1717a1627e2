"""A slice is read like any run: with units, states, reasons; and redacted, it carries only what it needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from travel_runs import manifest_of, quiet, rows_of

from actors.core import Core
from actors.journal import MemoryJournal
from domain import portfolio
from domain.codec import decode, state_hash
from domain.order_events import OrderRequested
from grinder.cli import main
from grinder.commands.export import SliceDiverged, export
from grinder.commands.inspect import replay_run
from grinder.inspection.records import Records
from grinder.inspection.travel import Travel
from replay.slice import Redactor, orders_named


@pytest.fixture(scope="module")
def part(spot: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records from the middle of a run, redacted."""
    out = tmp_path_factory.mktemp("part") / "slice"
    middle = len(rows_of(spot)) // 2
    export(spot, f"{middle}..{middle + 200}", out, quiet, redact=True)
    return out


def said(*arguments: str) -> dict[str, Any]:
    ended = CliRunner().invoke(main, [*arguments, "--json"])
    assert ended.exit_code == 0, (ended.output, ended.exception)
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def test_amounts_of_a_slice_have_their_units(part: Path) -> None:
    shown = CliRunner().invoke(
        main, ["audit", str(part), "--type", "OrderFilled", "--decoded", "--limit", "1"]
    )
    assert " BTC" in shown.output and " USDT" in shown.output
    assert "ticks" not in shown.output and " units" not in shown.output and "lots" not in shown.output
    row = next(row for row in rows_of(part) if row.topic.startswith("FillReport/"))
    explained = CliRunner().invoke(main, ["explain", str(part), str(row.position)]).output
    assert "USDT" in explained and "ticks" not in explained


def test_states_of_a_slice_are_those_of_the_core(part: Path) -> None:
    core = Core(MemoryJournal())
    with Records(part) as records:
        travel = Travel(records)
        for row in records.since(1):
            if row.cause == row.position:
                core.learn(decode(row.topic, row.state), row.ts_ns)
        found = travel.at(core.position)
        assert {name: state_hash(state) for name, state in found.items()} == {
            name: state_hash(core.state_of(name)) for name in core.names()
        }


def test_why_no_order_is_answered_from_a_slice(part: Path) -> None:
    levels = [said("explain", str(part), f"why no order at {level}") for level in range(50)]
    answers = [one["answer"] for one in levels]
    assert any("asked for before the slice begins" in one for one in answers)
    assert any(one["since_position"] for one in levels), "and of some the request is in the slice"
    assert not any("no grid was ever laid out" in one for one in answers)
    between = said("explain", str(part), "why no order at 60000.1")
    assert "no level of the grid has the price" in between["answer"]


def test_a_carried_state_is_told_in_a_sentence(part: Path) -> None:
    shown = CliRunner().invoke(main, ["debug", str(part)], input="show\n").output
    assert "begins with the state of account" in shown
    assert max(map(len, shown.splitlines())) < 2_000


def test_orders_that_ended_before_a_redacted_slice_and_are_not_spoken_of_are_left_out(
    spot: Path, part: Path
) -> None:
    rows, made = rows_of(spot), manifest_of(part)["slice"]
    named = orders_named(rows[made["first"] - 1 : made["last"]])
    core = Core(MemoryJournal())
    for row in rows[: made["first"] - 1]:
        if row.cause == row.position:
            core.learn(decode(row.topic, row.state), row.ts_ns)
    books = core.state_of("account")
    carried = next(
        orjson.loads(decode(r.topic, r.state).state)
        for r in rows_of(part)
        if r.topic.startswith("CarryState/") and decode(r.topic, r.state).stream == "account"
    )
    whole = orjson.loads(Redactor("c0ffee00").state(_text(books)))
    assert len(carried["orders"]) < len(whole["orders"]) and len(carried["ended"]) < len(whole["ended"])
    working = {one for one in books.orders if one not in set(books.ended.values())}
    assert len(carried["orders"]) == len(working | (named & set(books.orders)))
    assert replay_run(part, quiet)["identical"]


def _text(state: Any) -> str:
    from domain.codec import state_text

    return state_text(state)


@pytest.mark.parametrize("redact", [False, True])
def test_a_run_over_which_the_rules_raise_is_not_sliced_and_says_at_which_record(
    spot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redact: bool
) -> None:
    def breaks(*_: object) -> Any:
        raise ZeroDivisionError("a rule divides by nothing")

    monkeypatch.setitem(portfolio._DECIDE, OrderRequested, breaks)
    with pytest.raises(SliceDiverged) as found:
        export(spot, "300..400", tmp_path / "s", quiet, redact=redact)
    first = next(row for row in rows_of(spot) if row.topic.startswith("OrderRequested/"))
    asked = next(row for row in rows_of(spot)[: first.position][::-1] if row.cause == row.position)
    assert f"record {asked.position} of portfolio" in found.value.what
    assert "ZeroDivisionError" in found.value.value
