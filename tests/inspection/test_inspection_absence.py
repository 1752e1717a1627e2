"""Why there is no order: the rule, its figures, since when, and what would change it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from small_ledgers import write_ledger
from stories import SECOND, START, Story, accepted, answered, called, told

from domain.inputs import OrderCancelledReport, RateLimitReport, StopGrid, TickReport
from domain.orders import level_of
from grinder.inspection.absence import question_in


def asked(run: Path, where: object, *more: str) -> dict[str, Any]:
    found = answered("explain", run, f"why no order at {where}", *more)
    assert isinstance(found, dict)
    return found


def kept(story: Story, run: Path) -> Path:
    run.mkdir()
    write_ledger(run / "ledger.db", story.core.journal.rows)  # type: ignore[attr-defined]
    return run


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("why no order at 3", ("3", "")),
        ("Why is there no order at level 3 of BTCUSDT?", ("3", "BTCUSDT")),
        ("why no buy at 60,100.5 for btcusdt", ("60,100.5", "btcusdt")),
        ("0123abcd", None),
    ],
)
def test_a_question_is_told_from_an_id(text: str, found: tuple[str, str] | None) -> None:
    assert question_in(text) == found


def test_an_inventory_cap_is_named_with_what_it_held_and_what_would_help(capped: Path) -> None:
    from grinder.inspection.records import Records

    with Records(capped) as records:
        row = next(r for r in records.before(records.head()) if r.topic == "OrderBlocked/1")
        level = level_of(records.decoded(row).client_order_id)  # type: ignore[attr-defined]
    found = asked(capped, level)
    assert "PAUSE_INV_CAP" in found["answer"]
    assert any("held + " in one and "ordered > 4400 USDT" in one for one in found["figures"])
    assert any(one.startswith("now: inventory cap 4400 USDT: held") for one in found["figures"])
    assert any("in a row since" in one for one in found["figures"])
    assert found["since_position"]
    assert any("risk.inventory_max_quote" in one or "there is room" in one for one in found["would_change"])
    assert [one["type"] for one in found["evidence"]][:2] == ["LevelReleased/1", "OrderBlocked/1"]


def test_a_pause_is_named_with_who_and_since_when(story: Path) -> None:
    found = asked(story, 8)
    assert found["level"] == 8
    free = asked(story, 6)
    assert "paused: operator" in free["answer"]
    assert any("by ann" in one for one in free["figures"])
    assert "`grinder resume RUN`" in free["would_change"]
    assert free["since_ns"] > START


def test_an_order_that_is_there_is_said_to_be_there(story: Path) -> None:
    found = asked(story, 3)
    assert found["present"]
    assert "open" in found["answer"]
    assert "to see more" in called("explain", story, "why no order at 3").stdout


def test_a_level_whose_other_side_works_says_whose_turn_it_is(story: Path) -> None:
    found = asked(story, 60979)
    assert not found["present"]
    assert "other side" in found["answer"]
    assert "0.008 BTC" in found["figures"][0]


def test_a_rejection_of_the_exchange_is_quoted(tmp_path: Path) -> None:
    run = told(tmp_path / "run", paused=False)
    found = asked(run, 6)
    assert "-2010" in found["answer"]
    assert "would take at once" in found["figures"]
    assert any("it asks again at" in one for one in found["figures"])


def test_an_order_without_an_answer_is_unknown(tmp_path: Path) -> None:
    run = told(tmp_path / "run", paused=False)
    assert "unknown" in asked(run, 5)["answer"]


def test_a_missing_wake_names_the_price_that_would_wake_it(tmp_path: Path) -> None:
    run = told(tmp_path / "run", paused=False)
    found = asked(run, 12)
    assert "waits for the price" in found["answer"]
    assert any("wakes when BTCUSDT trades at" in one for one in found["figures"])
    assert found["would_change"][0].startswith("a price of ")


def test_a_price_without_a_level_names_the_nearest(story: Path) -> None:
    found = asked(story, "60980.5")
    assert found["level"] is None
    assert "60979" in found["answer"]


def test_a_price_between_two_levels_names_the_one_below_and_the_one_above(story: Path) -> None:
    ladder = [asked(story, level) for level in range(16)]
    buys = sorted({Decimal(one["price"].split()[0]) for one in ladder if one["side"] == "buy"})
    between = (buys[1] + buys[2]) / 2
    answer = asked(story, between.quantize(Decimal("0.1")))["answer"]
    below, above = answer.partition("; ")[2].split(", ")
    assert below.startswith("below it level ") and above.startswith("above it level ")
    assert Decimal(below.rsplit(" ", 1)[1]) < between < Decimal(above.rsplit(" ", 1)[1])
    lowest = asked(story, buys[0] - 100)["answer"]
    assert "below it" not in lowest and "above it level 0 buys" in lowest


def test_a_grid_that_stopped_says_why(tmp_path: Path) -> None:
    story = Story()
    story.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000))
    orders = list(story.waiting)
    story.learn(*[accepted(one) for one in orders])
    story.learn(StopGrid(symbol="BTCUSDT", on_stop="cancel", reason="operator"))
    story.learn(
        *[OrderCancelledReport(client_order_id=one.client_order_id, reason="requested") for one in orders]
    )
    found = asked(kept(story, tmp_path / "run"), 3)
    assert "the grid is stopped" in found["answer"]
    assert found["since_ns"]


def test_a_grid_without_a_price_waits_for_one(tmp_path: Path) -> None:
    assert "waits for its first price" in asked(kept(Story(), tmp_path / "run"), 3)["answer"]


def test_a_suspension_by_the_exchange_says_until_when(tmp_path: Path) -> None:
    story = Story()
    story.learn(RateLimitReport(until_ns=START + 60 * SECOND, code="429", banned=False))
    story.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000))
    found = asked(kept(story, tmp_path / "run"), 3)
    assert "SUSPENDED" in found["answer"]
    assert "time alone: it asks again" in found["would_change"]


def test_a_process_that_ended_is_part_of_the_answer(tmp_path: Path) -> None:
    run = told(tmp_path / "run", ended=True)
    found = asked(run, 6)
    assert any("the process is stopped" in one for one in found["figures"])
    assert "start the run again" in found["would_change"]


@pytest.mark.parametrize(
    ("where", "code"),
    [("3 of ETHUSDT", "explain.symbol"), ("here", "explain.level"), ("-5", "explain.level")],
)
def test_a_question_that_cannot_be_meant_is_refused(story: Path, where: str, code: str) -> None:
    assert answered("explain", story, f"why no order at {where}", status=2)["error"]["code"] == code


def test_words_need_no_quotes(story: Path) -> None:
    one = called("explain", story, "why", "no", "order", "at", "6").stdout
    assert one == called("explain", story, "why no order at 6").stdout
