"""A decision handed to a run: read strictly, under the halts of the moment, and recorded whole."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from domain.notes import DecisionReport
from grinder.errors import UserError
from grinder.inspection.amounts import Scales
from grinder.inspection.words import say
from grinder.live.decisions import HALTS_CHANGED, decision_report
from grinder.live.halts import halts_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "projections"))

from small_runs import decision


def fields(**changes: Any) -> dict[str, Any]:
    told = attrs.asdict(decision())
    del told["operator"]
    lists = {name: [list(x) if isinstance(x, tuple) else x for x in told[name]] for name in LISTS}
    return {**told, **lists, **changes}


LISTS = ("votes", "reasons", "gates")


def test_a_decision_becomes_its_record_with_who_asked() -> None:
    assert decision_report(fields(), "anna", ()) == decision()


def test_a_decision_made_under_other_halts_is_to_be_made_anew() -> None:
    for made_under, now in (([], ("pause (operator)",)), (["pause (operator)"], ())):
        with pytest.raises(UserError) as refused:
            decision_report(fields(gates=made_under), "anna", now)
        assert refused.value.code == HALTS_CHANGED


@pytest.mark.parametrize(
    "change",
    [
        {"action": "BUY"},
        {"direction": "up"},
        {"size_ppm": 1_000_001},
        {"size_ppm": -1},
        {"confidence_ppm": 0.5},
        {"price": "1e5"},
        {"price": 61250},
        {"policy": ""},
        {"votes": [["strategic", "long", "sideways", 1]]},
        {"votes": [["strategic", "long", "long"]]},
        {"votes": [["strategic", "x" * 401, "long", 1]]},
        {"votes": [["strategic", "long", "long", 1]] * 9},
        {"reasons": []},
        {"reasons": [["a", "b" * 401]]},
        {"reasons": [["a", "line\nbreak"]]},
        {"schema_hash": "A" * 64},
        {"observation_hash": "ab"},
        {"more": 1},
    ],
    ids=str,
)
def test_a_decision_that_does_not_fit_its_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(UserError) as refused:
        decision_report(fields(**change), "anna", ())
    assert refused.value.code == "control.decision"


def test_every_field_of_the_record_is_needed() -> None:
    for one in attrs.fields(DecisionReport):
        if one.name == "operator":
            continue
        with pytest.raises(UserError):
            decision_report({name: value for name, value in fields().items() if name != one.name}, "anna", ())


CALM: dict[str, Any] = {"phase": "trading", "halted": "", "pauses": [], "symbols": {"BTCUSDT": {}}}


@pytest.mark.parametrize(
    ("told", "halts"),
    [
        ({}, ()),
        ({"halted": "MANUAL: too\n hot"}, ("kill switch (MANUAL: too hot)",)),
        ({"pauses": ["operator", "disk_full"]}, ("pause (disk_full)", "pause (operator)")),
        ({"symbols": {"BTCUSDT": {"pauses": ["difference"]}}}, ("pause of BTCUSDT (difference)",)),
        ({"symbols": {"BTCUSDT": {"halted": True}}}, ("halt of BTCUSDT",)),
        ({"symbols": {"ETHUSDT": {"halted": True, "pauses": ["operator"]}}}, ()),
        ({"phase": "stopping"}, ("phase of the run (stopping)",)),
    ],
)
def test_halts_are_those_of_the_run_and_of_the_symbol_alone(
    told: dict[str, Any], halts: tuple[str, ...]
) -> None:
    assert halts_of({**CALM, **told}, "BTCUSDT") == halts


def test_a_decision_is_said_in_one_sentence() -> None:
    assert say(Scales(), decision()) == (
        "the rules decide LONG 25.0 % of the limit of BTCUSDT for anna (votes: strategic long 80.0 %, "
        "tactical long 60.0 %, risk neutral 50.0 %): long has 0.71, and 0.65 suffice."
    )
