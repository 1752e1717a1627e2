"""Two runs held against each other: the difference in money is explained to the last unit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from travel_runs import forked, manifest_of, quiet, rows_of

from domain.codec import encode
from domain.inputs import TickReport
from domain.notes import RunReport, StreamReport
from domain.record import Record
from grinder.commands.diff import diff
from grinder.errors import UserError
from grinder.views.summary import summary
from replay.drift import History, HistoryReader, Money, OrderHistory, SymbolHistory, attribute, decimal_text


def compared(a: Path, b: Path | None, **options: Any) -> dict[str, Any]:
    return diff(a, b, backtest=b is None, out=options.get("out"), progress=quiet)


def adds_up(found: dict[str, Any]) -> None:
    assert sum(map(Decimal, found["parts"].values())) == Decimal(found["difference"])
    assert found["parts"]["rounding"] == "0"


def test_a_run_and_itself_differ_in_nothing(spot: Path) -> None:
    found = compared(spot, spot)
    assert found["identical"] and found["first_divergence"] is None
    assert found["orders_only_a"] == found["orders_only_b"] == []
    assert set(found["pnl"]["parts"].values()) == {"0"}


@pytest.mark.parametrize("kind", ["spot", "slow", "perpetual", "paper"])
def test_the_parts_of_a_difference_add_up_per_symbol_and_in_total(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    run: Path = request.getfixturevalue(kind)
    key = "grids__0__levels_per_side" if kind == "perpetual" else "grids__0__grid_number"
    fork = forked(run, len(rows_of(run)) // 2, tmp_path / "fork", **{key: 6, "account__fees__maker_bps": "3"})
    found = compared(run, tmp_path / "fork")
    pnl = found["pnl"]
    adds_up(pnl)
    for one in pnl["symbols"].values():
        adds_up(one)
    total = sum(Decimal(one["difference"]) for one in pnl["symbols"].values())
    assert total == Decimal(pnl["difference"])
    a, b = summary(run), summary(tmp_path / "fork")
    change_a = Decimal(a.equity_end) - Decimal(a.equity_start)
    change_b = Decimal(b.equity_end) - Decimal(b.equity_start)
    assert Decimal(pnl["difference"]) == change_b - change_a
    assert Decimal(pnl["parts"]["fees"]) == Decimal(b.fees) - Decimal(a.fees)
    assert found["first_divergence"]["position"] == fork["position"] + 1
    assert found["orders_only_a"] and found["orders_only_b"]


def test_the_first_difference_shows_both_records_and_why_they_came(spot: Path, tmp_path: Path) -> None:
    forked(spot, 300, tmp_path / "a", risk__orders_per_minute=500)
    forked(spot, 300, tmp_path / "b", risk__orders_per_minute=501)
    found = compared(tmp_path / "a", tmp_path / "b")["first_divergence"]
    assert found["field"] == "state"
    assert found["a"]["topic"] == found["b"]["topic"] == "RunReport/1"
    cut = forked(spot, 300, tmp_path / "cut", until="320")
    ended = compared(spot, tmp_path / "cut")["first_divergence"]
    assert ended["b"] is None and ended["position"] == cut["records"] + 1
    assert ended["path_a"] == [] or ended["path_a"][0]["position"] < ended["position"]


def test_runs_of_other_ledger_ids_are_matched_by_what_orders_are_for(paper: Path, tmp_path: Path) -> None:
    from travel_runs import SPOT, config

    from grinder.commands.simulate import SimulationAsked, simulate

    other = {**SPOT, "risk": {**SPOT["risk"], "session_drawdown_pct": "21", "daily_drawdown_pct": "21"}}
    simulate(
        SimulationAsked(config=config(other), seed=7, rows=16_000), tmp_path / "x", iter(["run 3h"]), print
    )
    assert rows_of(tmp_path / "x")[1].state != rows_of(paper)[1].state
    found = compared(paper, tmp_path / "x")
    assert found["orders"]["only_a"] == found["orders"]["only_b"] == 0 < found["orders"]["matched"]
    assert found["pnl"]["difference"] == "0"
    assert found["first_divergence"]["position"] > 2, "the ledger's own id is no difference"


def test_a_live_run_is_held_against_a_backtest_over_its_own_market(paper: Path, tmp_path: Path) -> None:
    found = compared(paper, None, out=tmp_path / "backtest")
    adds_up(found["pnl"])
    drift = found["drift"]
    both, fills = drift["filled_in_both"], len(drift["only_live"]) + len(drift["only_backtest"])
    assert both > 9 * fills, "the model is nearly what the live session met"
    assert abs(drift["time_difference_ms_median"]) < 1_000
    assert {"symbol", "level", "cycle", "side", "live_ns", "backtest_ns", "price_difference"} <= set(
        drift["orders"][0]
    )
    assert (tmp_path / "backtest" / "ledger.db").is_file()


def test_a_simulation_is_held_against_a_backtest_over_its_market(tmp_path: Path) -> None:
    from travel_runs import SPOT, config

    from grinder.commands.simulate import SimulationAsked, simulate

    asked = SimulationAsked(config=config(SPOT), seed=7, rows=16_000)
    simulate(asked, tmp_path / "run", iter(["run 2h"]), lambda said: None)
    found = compared(tmp_path / "run", None)
    adds_up(found["pnl"])
    assert found["drift"]["filled_in_both"] > 20
    assert found["drift"]["filled_in_both"] > 9 * found["drift"]["filled_only_live"]


def test_a_difference_says_at_what_and_when_each_run_was_last_valued(spot: Path, tmp_path: Path) -> None:
    forked(spot, 300, tmp_path / "cut", until="500")
    found = compared(spot, tmp_path / "cut")["pnl"]["symbols"]["BTCUSDT"]
    a, b = found["last_price_a"], found["last_price_b"]
    rows = rows_of(tmp_path / "cut")
    last = [row for row in rows if row.topic.startswith(("InventoryChanged/", "EquityMarked/"))][-1]
    assert b["ts_ns"] == last.ts_ns and a["ts_ns"] > b["ts_ns"]
    assert Decimal(a["price"]) != Decimal(b["price"]) and found["parts"]["price_path"] != "0"


def test_a_backtest_beside_a_live_run_ends_when_the_run_was_told_to(paper: Path, tmp_path: Path) -> None:
    from small_ledgers import copy_run, rechained, replace_records

    run, rows = copy_run(paper, tmp_path / "run"), rows_of(paper)
    cut = max(row.position for row in rows[: len(rows) // 2] if row.cause == row.position) - 1
    told = encode(RunReport(phase="stopping", mode="paper", program="", detail=""))
    number = 1 + sum(row.stream == "input/run" for row in rows[:cut])
    last = rows[cut - 1]
    stopping = last._replace(
        position=cut + 1, stream="input/run", version=number, topic=RunReport.TOPIC, state=told, cause=cut + 1
    )
    later = [
        row._replace(
            position=row.position + 1,
            cause=row.cause + 1,
            version=row.version + (row.stream == "input/run"),
        )
        for row in rows[cut:]
    ]
    replace_records(run / "ledger.db", rechained([*rows[:cut], stopping, *later]))
    manifest = {**manifest_of(run), "finished": False}
    (run / "manifest.json").write_bytes(orjson.dumps(manifest))
    (run / "views.db").unlink(missing_ok=True)
    compared(run, None, out=tmp_path / "backtest")
    ended = rows_of(tmp_path / "backtest")[-1].ts_ns
    assert ended <= last.ts_ns < rows[-1].ts_ns, "what the run did after it was told to end is its own"


def test_a_backtest_has_no_live_side(spot: Path) -> None:
    with pytest.raises(UserError, match="paper and live"):
        compared(spot, None)
    with pytest.raises(UserError, match="two runs, or one run"):
        diff(spot, spot, backtest=True, out=None, progress=quiet)


# --- the arithmetic ------------------------------------------------------------------------------------

AMOUNTS = st.integers(-(10**6), 10**6).map(lambda units: Fraction(units, 100))
KEYS = st.tuples(
    st.just("X"),
    st.integers(0, 2),
    st.integers(0, 1),
    st.sampled_from(["buy", "sell"]),
    st.just("5"),
    st.just(0),
)


@st.composite
def histories(draw: Any) -> History:
    found = History()
    for key in draw(st.lists(KEYS, unique=True, max_size=6)):
        quantity, cost, at = draw(AMOUNTS), draw(AMOUNTS), draw(st.integers(1, 100))
        found.orders[key] = OrderHistory(
            key, "", at, 1, draw(AMOUNTS), quantity, cost, abs(quantity), abs(cost), at, at
        )
    held = draw(st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=2))
    found.symbols["X"] = SymbolHistory(
        fees=draw(AMOUNTS), funding=draw(AMOUNTS), held=held, mark=draw(AMOUNTS)
    )
    found.blind = sorted(draw(st.lists(st.tuples(st.integers(0, 50), st.integers(50, 100)), max_size=1)))
    return found


def money(history: History, transfers: Fraction) -> Money:
    """The change of equity from its definition, order by order."""
    one = history.symbols["X"]
    assert one.mark is not None
    trading = sum((x.quantity * one.mark - x.cost for x in history.orders.values()), Fraction(0))
    held = sum((q * one.mark - cost for q, cost in one.held), Fraction(0))
    return Money(change=trading + held + one.fees + one.funding + transfers, transfers=transfers)


@settings(max_examples=150, deadline=None)
@given(histories(), histories(), AMOUNTS, AMOUNTS)
def test_whatever_two_runs_did_nothing_is_left_over(
    a: History, b: History, moved_a: Fraction, moved_b: Fraction
) -> None:
    found = attribute(a, b, "X", money(a, moved_a), money(b, moved_b))
    assert found.parts["rounding"] == 0
    assert sum(found.parts.values()) == found.difference


def read(*told: tuple[int, Record]) -> History:
    return HistoryReader().read((at, "input", ns, event) for at, (ns, event) in enumerate(told, 1))


def stream(state: str) -> StreamReport:
    return StreamReport(stream="market", state=state, detail="")


def phase(name: str) -> RunReport:
    return RunReport(phase=name, mode="paper", program="", detail="")


def test_a_run_is_blind_while_its_stream_is_down_and_while_it_does_not_run() -> None:
    tick = TickReport(symbol="X", price_ticks=1)
    found = read(
        (10, phase("started")), (20, phase("ready")), (30, tick), (40, stream("down")), (50, stream("up")),
        (60, stream("gap")), (70, tick), (80, phase("stopping")),
        (95, phase("started")), (99, phase("ready")),
    )  # fmt: skip
    assert [ns for ns in range(31, 110) if not found.saw(ns)] == [
        *range(31, 51), *range(50 + 1, 71), *range(80, 100),
    ]  # fmt: skip


def test_fills_while_the_other_run_saw_nothing_are_missed_data() -> None:
    key = ("X", 1, 0, "buy", "5", 0)
    a, b = History(), History()
    for one in (a, b):
        one.symbols["X"] = SymbolHistory(mark=Fraction(7))
    b.orders[key] = OrderHistory(
        key, "", 1, 1, Fraction(5), Fraction(2), Fraction(10), Fraction(2), first_ns=45
    )
    a.blind = [(40, 50)]
    found = attribute(a, b, "X", money(a, Fraction(0)), money(b, Fraction(0)))
    assert found.parts["missed_data"] == 4 and found.parts["fills_extra"] == 0


@pytest.mark.parametrize(
    ("value", "text"), [(Fraction(-1, 8), "-0.125"), (Fraction(3), "3"), (Fraction(5, 100), "0.05")]
)
def test_fractions_are_written_as_decimals(value: Fraction, text: str) -> None:
    assert decimal_text(value) == text
    with pytest.raises(ValueError, match="no end"):
        decimal_text(value / 7)
