"""Explanations: every order, fill and record leads to the market and to the money."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from small_ledgers import copy_run
from stories import answered, branches, called, of_type, process, with_tape

from actors.core import Core
from actors.journal import MemoryJournal
from domain.codec import decode
from grinder.errors import UserError
from grinder.inspection.checks import Past
from grinder.inspection.explaining import Explainer
from grinder.inspection.lookup import FILE, Lookup
from grinder.inspection.records import Records, span, when


def column(run: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(run / "ledger.db")) as connection:
        return [row[0] for row in connection.execute(sql)]


def order_of(run: Path, fill_id: str) -> str:
    sql = f"SELECT state ->> '$.client_order_id' FROM stored_events WHERE state ->> '$.fill_id' = '{fill_id}'"
    return str(column(run, sql)[0])


def test_an_order_is_explained_from_the_price_to_the_money(story: Path) -> None:
    order = order_of(story, "FILL-A")
    found = answered("explain", story, order)
    tree = found["tree"]
    assert tree["type"] == "TickReport/1"
    chain = ["OrderRequested", "OrderAllowed", "OrderSubmitted", "OrderAcceptedReport", "FillReport"]
    assert all(of_type(tree, name) for name in chain)
    assert [one["position"] for one in branches(tree) if one.get("subject")] == [
        of_type(tree, "OrderRequested")[0]["position"]
    ]
    assert "filled after 3.000 s" in found["summary"]
    assert found["money"]["fees"] == "1 USDT"
    assert found["money"]["executions"] == "1"
    filled = of_type(tree, "FillReport")[0]
    assert filled["after_ns"] == 3 * 10**9
    assert of_type(filled, "LevelFilled")
    assert of_type(filled, "OrderRequested")[0]["next_order"]


def test_a_branch_hangs_on_its_cause_or_on_what_the_exchange_answers(story: Path) -> None:
    tree = answered("explain", story, order_of(story, "FILL-A"))["tree"]
    with Records(story) as records:
        causes = {row.position: row.cause for row in records.since(1)}
    submitted = of_type(tree, "OrderSubmitted")[0]
    for one in branches(tree):
        for child in one["branches"]:
            own = causes[child["position"]] == child["position"]
            assert causes[child["position"]] == one["position"] or (own and one is submitted)


def test_a_fill_is_explained_alone_and_marked(story: Path) -> None:
    found = answered("explain", story, "FILL-B1")
    marked = [one for one in branches(found["tree"]) if one.get("subject")]
    assert [one["type"] for one in marked] == ["FillReport/1"]
    assert found["subject"]["kind"] == "fill"
    assert found["money"]["quantity"] == "0.001 BTC"


def test_beginnings_of_ids_serve_while_they_are_unique(story: Path) -> None:
    order = order_of(story, "FILL-A")
    assert answered("explain", story, "FILL-A")["subject"]["client_order_id"] == order
    assert answered("explain", story, order[:20])["subject"]["client_order_id"] == order
    refused = answered("explain", story, order[:12], status=2)["error"]
    assert refused["code"] == "explain.ambiguous"
    assert order[:12] in refused["fix"]


def test_an_exchange_order_id_leads_to_the_order(story: Path) -> None:
    order = order_of(story, "FILL-A")
    found = answered("explain", story, f"order:EX{order[14:20]}")
    assert found["subject"]["client_order_id"] == order


def test_a_position_is_explained_with_what_it_led_to(story: Path) -> None:
    (position,) = column(story, "SELECT rowid FROM stored_events WHERE topic = 'OrderRejectedReport/1'")
    found = answered("explain", story, f"#{position}")
    assert {one["type"] for one in branches(found["tree"])} >= {"OrderClosed/1", "LevelReleased/1"}
    assert "-2010 would take at once" in called("explain", story, position).stdout


@pytest.mark.parametrize("what", ["999999", "#0", "nothing-like-this", "order:", "record:x"])
def test_what_is_not_there_is_refused_with_a_way_out(story: Path, what: str) -> None:
    refused = answered("explain", story, what, status=2)["error"]
    assert refused["code"] == "explain.unknown"
    assert "audit" in refused["fix"]


def test_the_frame_on_the_tape_is_named_with_its_latency(story: Path) -> None:
    with_tape(story, "FILL-A")
    found = answered("explain", story, "FILL-A")
    frame = next(one for one in branches(found["tree"]) if one.get("subject"))["frame"]
    assert (frame["stream"], frame["to_input_ns"], frame["names_it"]) == ("private", 40_000, True)
    assert found["tree"]["frame"]["to_input_ns"] == 2_500_000
    assert "40.000 us before" in called("explain", story, "FILL-A").stdout
    assert "frame" not in answered("explain", story, "FILL-A", "--no-tape")["tree"]


def test_an_unknown_outcome_is_explained_as_such(story: Path) -> None:
    (order,) = column(
        story, "SELECT state ->> '$.client_order_id' FROM stored_events WHERE topic = 'NoAnswerReport/1'"
    )
    assert "unknown: the exchange did not answer" in called("explain", story, order).stdout


def test_after_a_backtest_the_first_question_need_not_look_through_the_ledger(
    capped: Path, tmp_path: Path
) -> None:
    run = copy_run(capped, tmp_path / "run")
    with Records(run) as records:
        lookup = Lookup(records)
        assert lookup.made_now == 0
        assert lookup.mentions(column(run, "SELECT state ->> '$.client_order_id' FROM stored_events"
                                           " WHERE topic = 'FillReport/1'")[0])  # fmt: skip
        lookup.close()
    (run / FILE).unlink()
    with Records(run) as records:
        assert Lookup(records).made_now == records.head(), "it is a cache"


def test_a_blocked_order_shows_the_limits_and_the_one_that_failed(capped: Path) -> None:
    (position, *_) = column(capped, "SELECT rowid FROM stored_events WHERE topic = 'OrderBlocked/1'")
    found = answered("explain", capped, position)
    checks = of_type(found["tree"], "OrderBlocked")[0]["checks"]
    assert [one["limit"] for one in checks][-1] == "inventory"
    assert [one["passed"] for one in checks] == [True] * (len(checks) - 1) + [False]
    assert "4400 USDT" in checks[-1]["figures"]


def test_resting_orders_and_holdings_at_any_time_are_what_risk_had(capped: Path) -> None:
    core = Core(MemoryJournal())
    with Records(capped) as records:
        lookup = Lookup(records)
        explainer = Explainer(records, lookup)
        past = Past(records, lookup, explainer.scales)
        inputs = [row for row in records.since(1) if row.cause == row.position]
        held = 0
        for number, row in enumerate(inputs):
            core.learn(decode(row.topic, row.state), row.ts_ns)
            core.take_intents()
            if number % 3:
                continue
            risk = core.state_of("portfolio").symbols.get("BTCUSDT")
            if risk is None:
                continue
            for side, lots in (("buy", risk.resting_buy_lots), ("sell", risk.resting_sell_lots)):
                assert sum(one for _, one in past.resting("BTCUSDT", side, core.position)) == lots
            assert past.inventory("BTCUSDT", core.position) == risk.inventory
            held = max(held, risk.inventory)
        assert held
        lookup.close()


def test_the_lookup_is_a_cache_that_may_be_deleted_spoiled_or_out_of_reach(story: Path) -> None:
    expected = called("explain", story, "FILL-A").stdout
    (story / FILE).unlink()
    assert called("explain", story, "FILL-A").stdout == expected
    (story / FILE).write_bytes(b"not a database at all" * 100)
    assert called("explain", story, "FILL-A").stdout == expected
    (story / FILE).unlink()
    (story / FILE).mkdir()
    assert called("explain", story, "FILL-A").stdout == expected


def test_the_lookup_of_another_ledger_is_made_anew(story: Path, tmp_path: Path) -> None:
    from stories import told

    called("explain", story, "FILL-A")
    other = told(tmp_path / "other", paused=False)
    (story / FILE).replace(other / FILE)
    with closing(sqlite3.connect(other / FILE)) as db:
        db.execute("UPDATE made SET chain = x'00'")
        db.execute("DELETE FROM mentions")
        db.commit()
    assert "FILL-A" in called("explain", other, "FILL-A").stdout


def test_a_ledger_that_grows_is_explained_to_its_newest_record(tmp_path: Path) -> None:
    from stories import told

    from grinder.ledger.recorder import open_application

    longer = told(tmp_path / "longer", paused=True)
    run = told(tmp_path / "run", paused=False)
    answered("explain", run, "1")
    with Records(run) as one, Records(longer) as other:
        more = list(other.since(one.head() + 1))
    application = open_application(run / "ledger.db")
    recorder = application.ledger_recorder
    recorder.append_rows(more, recorder.take_epoch())
    application.close()
    found = answered("audit", run, "--type", "TradingPaused")
    assert len(found["records"]) == 1


def test_nothing_of_the_run_is_changed_but_the_lookup(story: Path) -> None:
    before = (story / "ledger.db").read_bytes()
    called("explain", story, "FILL-A")
    called("explain", story, "why no order at 61000")
    assert (story / "ledger.db").read_bytes() == before
    assert {path.name for path in story.iterdir()} <= {"ledger.db", FILE, "ledger.db-shm", "ledger.db-wal"}


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    for command in (["explain", tmp_path, "1"], ["audit", tmp_path], ["head", tmp_path]):
        assert answered(*command, status=4)["error"]["code"] == "ledger.missing"


def test_a_reader_that_goes_away_is_no_error(capped: Path) -> None:
    import subprocess
    import sys

    from stories import REPO

    piped = subprocess.run(
        f"{sys.executable} -m grinder audit {capped} --limit 0 | head -1",
        shell=True, cwd=REPO, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert piped.stdout.count("\n") == 1
    assert piped.stderr == ""
    assert process("explain", capped, "1", "--brief").returncode == 0


@pytest.mark.parametrize(
    ("ns", "text"),
    [(0, "0"), (999, "0.999 us"), (1_500, "1.500 us"), (2_345_678, "2.345 ms"), (3 * 10**9, "3.000 s"),
     (-5_000, "-5.000 us"), (3_600 * 10**9, "1h00m00s"), (90_000 * 10**9, "1d01h")],
)  # fmt: skip
def test_differences_of_times_are_shown_in_the_unit_people_read(ns: int, text: str) -> None:
    assert span(ns) == text


@pytest.mark.parametrize(
    ("text", "ns"),
    [("1970-01-01", 0), ("1970-01-01T00:00:01.000000001Z", 10**9 + 1), ("1970-01-01T01:00:00+01:00", 0),
     ("1970-01-01T00:00:00.5", 5 * 10**8), ("1700000000000000000", 1_700_000_000 * 10**9)],
)  # fmt: skip
def test_times_are_read_to_the_nanosecond(text: str, ns: int) -> None:
    assert when(text, "--at") == ns


def test_a_text_that_is_no_time_is_refused() -> None:
    with pytest.raises(UserError, match="position or a time"):
        when("yesterday", "--at")
