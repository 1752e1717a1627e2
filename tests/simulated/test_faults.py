"""The fault plan: what fires when, that it is seeded and counted, and which files are refused."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from toys import BTC, SECOND, T0, desk_at, instrument, plan, terms

from grinder.simulated.corrupting import corrupted
from grinder.simulated.limiter import RequestLimiter
from replay.exchange.desk_faults import befall
from replay.faults import KINDS, OPERATIONS, FaultFileError, FaultPlan, FaultRule

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "sim-exchange.md"


def fired_at(faults: FaultPlan, operation: str, count: int, step_ns: int = SECOND) -> list[int]:
    """The numbers of the questions, from 1, at which something fired."""
    drawn = [faults.draw(operation, T0 + number * step_ns) for number in range(count)]
    return [number for number, fault in enumerate(drawn, 1) if fault is not None and fault.began]


# --- when ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"times": (2, 5)}, [2, 5]),
        ({"every": 3}, [3, 6]),
        ({"limit": 2}, [1, 2]),
        ({"at_s": 2.5}, [4]),
        ({"after_s": 2, "until_s": 4}, [3, 4]),
        ({"probability": 0.0}, []),
        ({"probability": 1.0, "limit": 1}, [1]),
        ({"every": 2, "after_s": 3}, [4, 6]),
    ],
)
def test_a_rule_fires_when_all_it_says_holds(when: dict[str, Any], expected: list[int]) -> None:
    faults = plan({"kind": "drop_reply", **when})
    assert fired_at(faults, "place", 6) == expected
    assert faults.fired() == ({"drop_reply": len(expected)} if expected else {})


def test_a_rule_is_asked_only_at_its_operations_and_its_symbol() -> None:
    faults = plan({"kind": "delay_reply", "operations": ("cancel",), "symbol": BTC})
    assert faults.draw("place", T0, BTC) is None
    assert faults.draw("cancel", T0, "ETHUSDT") is None
    assert faults.draw("cancel", T0, BTC) is not None
    assert faults.fired_at() == {("delay_reply", "cancel"): 1}


def test_a_probability_is_met_in_the_long_run() -> None:
    faults = plan({"kind": "drop_reply", "probability": 0.1})
    assert 900 <= len(fired_at(faults, "place", 10_000, 1)) <= 1_100


def test_equal_seeds_give_equal_faults_and_other_seeds_others() -> None:
    rule = {"kind": "drop_reply", "probability": 0.3}
    stories = [fired_at(plan(rule, seed=seed), "place", 200) for seed in (1, 1, 2)]
    assert stories[0] == stories[1] != stories[2]


def test_another_rule_does_not_shift_the_chances_of_a_named_one() -> None:
    named = {"kind": "drop_reply", "probability": 0.2, "name": "mine"}
    alone, second = plan(named), plan({"kind": "delay_reply", "times": (99_999,)}, named)
    assert fired_at(alone, "place", 300) == fired_at(second, "place", 300)


def test_the_first_rule_that_fires_wins_and_the_others_still_draw() -> None:
    both = plan({"kind": "drop_reply", "times": (1,)}, {"kind": "drop_request", "every": 2})
    kinds = [fault.kind if (fault := both.draw("place", T0)) else None for _ in range(4)]
    assert kinds == ["drop_reply", "drop_request", None, "drop_request"]


# --- what lasts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "key"), [("rate_limit", "retry_after"), ("ban", "retry_after")])
def test_who_is_refused_is_refused_everywhere_until_the_end_and_counted_once(kind: str, key: str) -> None:
    faults = plan({"kind": kind, "operations": ("place",), key: 10, "limit": 1})
    first = faults.draw("place", T0)
    assert first is not None
    assert first.began
    again = faults.draw("balances", T0 + 9 * SECOND)
    assert again is not None
    assert (again.kind, again.began) == (kind, False)
    assert faults.draw("market", T0 + 9 * SECOND) is None, "streams go on"
    assert faults.until_ns(kind) == T0 + 10 * SECOND
    assert faults.draw("place", T0 + 10 * SECOND) is None
    assert faults.fired() == {kind: 1}


def test_maintenance_shuts_everything() -> None:
    faults = plan({"kind": "maintenance", "operations": ("time",), "seconds": 60, "limit": 1})
    faults.draw("time", T0)
    for operation in OPERATIONS:
        fault = faults.draw(operation, T0 + SECOND)
        assert fault is not None
        assert fault.kind == "maintenance"
    assert faults.draw("place", T0 + 60 * SECOND) is None


def test_a_cut_lasts_for_its_own_stream_and_can_be_ended() -> None:
    faults = plan({"kind": "mute_stream", "operations": ("private",), "seconds": 60, "limit": 1})
    faults.draw("private", T0)
    assert faults.draw("market", T0 + SECOND) is None
    assert faults.draw("private", T0 + SECOND) is not None
    faults.end("mute_stream/private")
    assert faults.draw("private", T0 + SECOND) is None


def test_drift_and_lag_last_for_their_span() -> None:
    faults = plan(
        {"kind": "clock_drift", "operations": ("time",), "seconds": -10, "for_s": 5, "limit": 1},
        {"kind": "lag_rest", "operations": ("order",), "seconds": 60, "for_s": 5, "limit": 1},
    )
    faults.draw("time", T0)
    faults.draw("order", T0)
    assert faults.drift_ns(T0 + SECOND) == -10 * SECOND
    assert faults.lag_ns(T0 + SECOND) == 60 * SECOND
    assert faults.drift_ns(T0 + 5 * SECOND) == faults.lag_ns(T0 + 5 * SECOND) == 0


def test_a_drift_without_an_end_stays() -> None:
    faults = plan({"kind": "clock_drift", "operations": ("time",), "seconds": 3, "limit": 1})
    faults.draw("time", T0)
    assert faults.drift_ns(T0 + 365 * 86_400 * SECOND) == 3 * SECOND


def test_a_stopped_plan_lets_everything_be_well() -> None:
    faults = plan({"kind": "ban", "retry_after": 1_000})
    assert faults.draw("place", T0) is not None
    faults.stop()
    assert faults.draw("place", T0 + SECOND) is None
    assert faults.fired() == {"ban": 1}


def test_what_had_no_effect_is_not_counted_and_does_not_use_up_a_limit() -> None:
    faults = plan({"kind": "external_cancel", "limit": 1}, {"kind": "withdraw", "asset": "X", "amount": 1})
    fault = faults.draw("market", T0, BTC)
    assert fault is not None
    assert befall(desk_at(), fault, T0) is False
    faults.had_no_effect(fault)
    assert faults.fired() == {}
    assert faults.never_fired() == ("external_cancel", "withdraw")
    again = faults.draw("market", T0, BTC)
    assert again is not None
    assert again.kind == "external_cancel"


# --- what befalls the exchange itself ------------------------------------------------------------------


def test_the_exchange_itself_cancels_changes_its_filters_and_loses_what_is_free() -> None:
    desk = desk_at()
    desk.place(terms("a", "buy", 600_000, 10), T0)
    faults = plan(
        {"kind": "external_cancel", "times": (1,), "reason": "delisted"},
        {"kind": "filters_change", "times": (2,), "amount": 3},
        {"kind": "withdraw", "times": (3,), "asset": "BTC", "amount": "0.4004"},
    )
    for _ in range(3):
        fault = faults.draw("market", T0, BTC)
        assert fault is not None
        assert befall(desk, fault, T0) is True
    assert [(one.status.value, one.reason) for one in desk.orders.values()] == [("cancelled", "delisted")]
    assert desk.filters[BTC].tick == "0.3"
    assert desk.filters[BTC].min_notional == 3 * instrument().min_notional
    assert desk.totals()["BTC"] == (600, 0)


@pytest.mark.parametrize(
    ("payload", "kind", "expected"),
    [
        ({"b": "1", "a": "2"}, "null_price", {"b": None, "a": "2"}),
        ({"data": [{"bids": [["1", "2"]]}]}, "null_price", {"data": [{"bids": [[None, "2"]]}]}),
        ({"o": {"l": "3", "q": "4"}}, "negative_fill", {"o": {"l": "-3", "q": "4"}}),
        ({"qty": 3}, "negative_fill", {"qty": -3}),
        ([{"status": "NEW"}], "unknown_status", [{"status": "BEWILDERED"}]),
        ({"data": [1, 2]}, "short_batch", {"data": [1]}),
    ],
)
def test_payloads_are_made_unreadable_in_one_place(payload: Any, kind: str, expected: Any) -> None:
    assert corrupted(payload, kind) == (expected, True)


@pytest.mark.parametrize("kind", ["null_price", "negative_fill", "unknown_status", "short_batch"])
def test_a_payload_without_a_place_for_a_fault_stays_as_it_is(kind: str) -> None:
    for payload in ({"x": {"y": "z"}}, {"l": "0"}, 5, "text"):
        assert corrupted(payload, kind) == (payload, False)


# --- files ---------------------------------------------------------------------------------------------

PLAN = """
seed: 11
faults:
  - kind: drop_reply
    operation: cancel
    probability: 0.5
  - kind: withdraw
    asset: USDT
    amount: "12.5"
    at_s: 30
  - {kind: rate_limit, operations: [place, cancel], times: [1, 2], retry_after: 5}
  - {kind: late_order, times: 3, seconds: 60}
"""


def test_a_plan_is_read_from_yaml_and_json(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(PLAN)
    faults = FaultPlan.from_file(path)
    assert faults.seed == 11
    assert faults.rules == (
        FaultRule(kind="drop_reply", operations=("cancel",), probability=0.5),
        FaultRule(kind="withdraw", asset="USDT", amount=Decimal("12.5"), at_s=30),
        FaultRule(kind="rate_limit", operations=("place", "cancel"), times=(1, 2), retry_after=5),
        FaultRule(kind="late_order", times=(3,), seconds=60),
    )
    assert FaultPlan.from_file(path, seed=3).seed == 3
    path.write_text('{"faults": [{"kind": "ban"}]}')
    assert FaultPlan.from_file(path).rules == (FaultRule(kind="ban"),)
    path.write_text("faults: []")
    assert FaultPlan.from_file(path).rules == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[]", "mapping"),
        ("fault: []", "unknown key 'fault'"),
        ("faults: word", "list of rules"),
        ("faults: [word]", "rule 1"),
        ("faults: [{}]", "'kind'"),
        ("faults: [{kind: nothing}]", "unknown kind 'nothing'"),
        ("faults: [{kind: ban, oops: 1}]", "unknown key 'oops'"),
        ("faults: [{kind: late_order, operation: cancel}]", "does not befall cancel"),
        ("faults: [{kind: ban, probability: 1.5}]", "between 0 and 1"),
        ("faults: [{kind: ban, seconds: soon}]", "'seconds' is a number"),
        ("faults: [{kind: ban, limit: 1.5}]", "'limit' is a whole number"),
        ("faults: [{kind: ban, times: [one]}]", "'times' is a whole number"),
        ("faults: [{kind: ban}, {kind: withdraw}]", "rule 2: withdraw needs an asset"),
        ("faults: [{kind: withdraw, asset: A, amount: much}]", "'amount' is a decimal"),
        ("seed: x", "'seed' is a whole number"),
        ("faults: [", "while parsing"),
        ("faults: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
    ],
)
def test_a_wrong_plan_is_refused_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text)
    with pytest.raises(FaultFileError, match=re.escape(says)) as caught:
        FaultPlan.from_file(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FaultFileError, match="nowhere"):
        FaultPlan.from_file(tmp_path / "nowhere.yaml")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FaultFileError):
        FaultPlan.from_file(tmp_path / "binary")


def test_every_kind_is_described_in_the_document() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []
    table = text.partition("### What a rule does")[2].partition("###")[0]
    listed = re.findall(r"^\| `([a-z_]+)` \|", table, re.MULTILINE)
    assert sorted(listed) == sorted(KINDS)


def test_every_plan_shown_in_the_document_can_be_read(tmp_path: Path) -> None:
    shown = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert shown
    for number, text in enumerate(shown):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert FaultPlan.from_file(path).rules


# --- request limits ------------------------------------------------------------------------------------


def test_a_limiter_refuses_beyond_its_window_and_says_how_long() -> None:
    limiter = RequestLimiter(10, 60)
    assert limiter.take(6, T0) == 0
    assert limiter.take(4, T0 + 10 * SECOND) == 0
    assert limiter.take(1, T0 + 20 * SECOND) == 40
    assert limiter.used(T0 + 20 * SECOND) == 10
    assert limiter.take(6, T0 + 60 * SECOND) == 0
    assert limiter.used(T0 + 60 * SECOND) == 10
    assert RequestLimiter(0, 60).take(10**9, T0) == 0


def test_who_goes_on_although_refused_is_banned_for_a_time() -> None:
    limiter = RequestLimiter(1, 60, ban_s=120, patience=3)
    limiter.take(1, T0)
    waits = [limiter.take(1, T0 + number * SECOND) for number in range(3)]
    assert waits == [60, 59, 120]
    assert limiter.banned(T0 + 100 * SECOND)
    assert limiter.take(1, T0 + 100 * SECOND) == 22
    assert not limiter.banned(T0 + 122 * SECOND)
    assert limiter.take(1, T0 + 122 * SECOND) == 0
