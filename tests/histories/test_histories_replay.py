"""Ledgers that were once written replay in every later version, and one that was tampered with does not.

A failure here means that users' ledgers no longer replay.  See `make.py` for what may be done about it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from make import HERE, LARGEST_BYTES, outcome, read
from small_ledgers import rechained, write_ledger

from actors.records import LedgerRow
from domain.codec import UPCASTERS, decode
from domain.record import TOPICS
from grinder.ledger.verify import verify
from replay.replayer import causal_path, replay

GOOD = ("long_spot", "neutral_perpetual", "stop_loss")
OUTCOMES: dict[str, Any] = orjson.loads((HERE / "outcomes.json").read_bytes())


def test_every_file_is_in_the_table_and_small() -> None:
    files = {path.stem: path.stat().st_size for path in HERE.glob("*.jsonl")}
    assert files.keys() == OUTCOMES.keys() == {*GOOD, "tampered"}
    assert max(files.values()) < LARGEST_BYTES


@pytest.mark.parametrize("name", GOOD)
def test_a_golden_history_replays_identical(name: str) -> None:
    result = replay(read(name))
    assert result.divergence is None, result.divergence
    assert result.identical
    assert (result.records, result.head) == (OUTCOMES[name]["records"], OUTCOMES[name]["head"])


@pytest.mark.parametrize("name", GOOD)
def test_a_golden_history_ends_in_the_states_it_recorded(name: str) -> None:
    records = read(name)
    recorded = {row.stream: row.state for row in records if row.topic == "StateHashed/1"}
    states = replay(records).states()
    assert {stream: orjson.loads(state)["sha256"] for stream, state in recorded.items()} == states


@pytest.mark.parametrize("name", GOOD)
def test_a_golden_history_shows_the_figures_it_always_showed(name: str) -> None:
    assert outcome(read(name)) == OUTCOMES[name]


@pytest.mark.parametrize("name", [*GOOD, "tampered"])
def test_a_golden_history_verifies(name: str, tmp_path: Path) -> None:
    records = read(name)
    assert rechained(records) == records
    assert verify(write_ledger(tmp_path / "ledger.db", records), OUTCOMES[name]["head"]).ok


@pytest.mark.parametrize("name", GOOD)
def test_every_record_of_a_golden_history_can_still_be_read(name: str) -> None:
    for row in read(name):
        assert row.topic in TOPICS or row.topic in UPCASTERS
        assert decode(row.topic, row.state).TOPIC.partition("/")[0]


SHOWN = {
    "long_spot": {"OrderFilled/1": 10, "TickReport/1": 1},
    "neutral_perpetual": {"FundingPaid/1": 3, "OrderFilled/1": 6},
    "stop_loss": {"GridStopping/1": 1, "GridStopped/1": 1, "CancelSubmitted/1": 1},
}


@pytest.mark.parametrize("name", GOOD)
def test_a_golden_history_shows_what_it_is_there_for(name: str) -> None:
    records = read(name)
    for topic, least in SHOWN[name].items():
        assert sum(row.topic == topic for row in records) >= least, topic
    fills = [orjson.loads(row.state) for row in records if row.topic == "OrderFilled/1"]
    assert {fill["side"] for fill in fills} == {"buy", "sell"}
    if name == "long_spot":
        assert any(fill["unfilled_lots"] for fill in fills), "a partial fill"
        assert all(fill["fee_units"] > 0 for fill in fills)
        assert {fill["liquidity"] for fill in fills} == {"maker", "taker"}
    if name == "neutral_perpetual":
        assert fills[0]["fee_units"] < 0, "a rebate"
    if name == "stop_loss":
        assert OUTCOMES[name]["symbols"]["BTCUSDT"]["position"] == "0", "flattened"


# --- the one that must not replay ----------------------------------------------------------------------


def the_difference() -> tuple[LedgerRow, LedgerRow]:
    """(tampered record, what it was)."""
    pairs = zip(read("tampered"), read("long_spot"), strict=True)
    return next((forged, true) for forged, true in pairs if forged.state != true.state)


def test_the_tampered_history_diverges_at_the_record_stream_and_field_that_was_changed() -> None:
    forged, true = the_difference()
    result = replay(read("tampered"))
    found = result.divergence
    assert found is not None
    assert not result.identical
    assert (found.position, found.stream, found.field) == (forged.position, "account", "state")
    assert (found.expected, found.actual) == (forged.state.decode(), true.state.decode())
    assert (found.cause, result.records) == (true.cause, true.position - 1)


def test_the_way_to_the_tampered_record_begins_with_an_input() -> None:
    forged, _ = the_difference()
    records = read("tampered")
    path = causal_path(lambda at: records[at - 1] if 0 < at <= len(records) else None, forged.position)
    assert [row.position for row in path] == sorted((row.position for row in path), reverse=True)
    assert path[0] == forged
    assert path[-1].cause == path[-1].position
    assert path[-1].topic == "FillReport/1"


FORGERIES = {
    "a record that was left out": ("record", lambda rows, at: [*rows[:at], *rows[at + 1 :]]),
    "a record that was added": ("", lambda rows, at: [*rows[:at], rows[at - 1], *rows[at:]]),
    "a time": ("ts_ns", lambda rows, at: [*rows[:at], rows[at]._replace(ts_ns=1), *rows[at + 1 :]]),
    "a cause": ("cause", lambda rows, at: [*rows[:at], rows[at]._replace(cause=1), *rows[at + 1 :]]),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_every_kind_of_forgery_under_a_good_chain_is_located(name: str) -> None:
    records = read("long_spot")
    at = next(row.position - 1 for row in records if row.topic == "OrderFilled/1" and row.position > 60)
    field, forge = FORGERIES[name]
    forged = [row._replace(position=n) for n, row in enumerate(forge(records, at), 1)]
    found = replay(rechained(forged)).divergence
    assert found is not None
    assert found.position == at + 1
    if field and field != "record":
        assert found.field == field


@pytest.mark.parametrize("kept", [1, 40, 126])
def test_a_history_cut_inside_an_input_lacks_a_record(kept: int) -> None:
    records = read("long_spot")
    inside = next(n for n in range(kept, len(records)) if records[n].cause != records[n].position)
    found = replay(records[:inside]).divergence
    assert found is not None
    assert (found.position, found.field, found.expected) == (inside + 1, "record", "")


def test_a_history_cut_between_two_inputs_replays() -> None:
    records = read("long_spot")
    inputs = [row.position for row in records if row.cause == row.position]
    for position in inputs:
        assert replay(records[: position - 1]).identical
