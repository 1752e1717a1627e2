"""Any part of a run stands by itself: it replays, verifies and, redacted, does not say whose it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_ledgers import copy_run, replace_records
from small_runs import decision
from travel_runs import MemoryJournal, manifest_of, quiet, rows_of, topics

from actors.core import Core
from actors.records import LedgerRow
from domain.codec import MalformedRecordError, decode, encode, state_from, state_hash, state_text
from domain.inputs import HaltTrading, PauseTrading
from domain.notes import DecisionReport
from grinder.commands.export import SliceDiverged, export, parse_slice
from grinder.commands.inspect import rebuild_run, replay_run, verify_run
from grinder.errors import LedgerError, UserError
from grinder.inspection.amounts import Scales
from grinder.inspection.words import say
from replay.replayer import replay
from replay.slice import Redactor, cut, orders_named

ROWS: dict[str, list[LedgerRow]] = {}
KINDS = ["spot", "slow", "perpetual", "paper"]


@pytest.fixture(autouse=True, scope="module")
def runs(spot: Path, slow: Path, perpetual: Path, paper: Path) -> None:
    for name, run in zip(KINDS, (spot, slow, perpetual, paper), strict=True):
        ROWS[name] = rows_of(run)


def ends(rows: list[LedgerRow], a: int, b: int) -> tuple[int, int]:
    """The slice moved out to whole inputs."""
    first = max(row.position for row in rows[:a] if row.cause == row.position)
    later = [row.position for row in rows[b:] if row.cause == row.position]
    return first, (later[0] - 1 if later else len(rows))


def sliced(rows: list[LedgerRow], a: int, b: int, redactor: Redactor | None = None) -> Any:
    first, last = ends(rows, a, b)
    journal = MemoryJournal()
    return cut(rows, first, last, journal, redactor), journal.rows


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.floats(0, 1), st.floats(0, 0.3))
def test_a_random_slice_replays_and_holds_the_run_s_own_records(
    kind: str, begin: float, length: float
) -> None:
    rows = ROWS[kind]
    a = 1 + int(begin * (len(rows) - 1))
    b = min(len(rows), a + int(length * len(rows)))
    made, written = sliced(rows, a, b)
    assert replay(written).identical
    own = written[made.carried :]
    wanted = rows[made.first - 1 : made.last]
    assert [(r.stream, r.topic, r.state, r.ts_ns) for r in own] == [
        (r.stream, r.topic, r.state, r.ts_ns) for r in wanted
    ]
    assert [r.position + made.offset for r in own] == [r.position for r in wanted]
    assert [r.cause + made.offset for r in own] == [r.cause for r in wanted]


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(KINDS), st.floats(0, 1), st.floats(0, 0.3), st.booleans())
def test_a_redacted_slice_replays_and_decides_the_same_under_other_names(
    kind: str, begin: float, length: float, whole: bool
) -> None:
    rows = ROWS[kind]
    a = 1 + int(begin * (len(rows) - 1))
    b = min(len(rows), a + int(length * len(rows)))
    opened = next(decode(r.topic, r.state) for r in rows if r.topic.startswith("OpenAccount/"))
    first, last = ends(rows, a, b)
    named = None if whole else orders_named(rows[first - 1 : last])
    made, written = sliced(rows, a, b, Redactor(opened.ledger_id, named))
    assert replay(written).identical
    own = written[made.carried :]
    wanted = rows[made.first - 1 : made.last]
    assert [(r.stream, r.topic, r.ts_ns) for r in own] == [(r.stream, r.topic, r.ts_ns) for r in wanted]
    said = b"".join(r.state for r in written)
    assert opened.ledger_id.encode() not in said
    assert not re.search(rb'"fill_id":"BTCUSDT', said)
    numbers = [re.findall(rb":(-?\d+)", r.state) for r in own if r.topic.startswith("OrderFilled/")]
    assert numbers == [
        re.findall(rb":(-?\d+)", r.state) for r in wanted if r.topic.startswith("OrderFilled/")
    ]


def test_a_redacted_decision_keeps_its_figures_and_codes_and_no_word_of_a_person() -> None:
    told = decision(
        gates=("kill switch (MANUAL: Anna is away)",),
        reasons=(("gate.in_force", "kill switch (MANUAL: Anna is away) is in force."),),
        policy="annas-own-7",
    )
    found = Redactor("0123abcd").record(told)
    assert isinstance(found, DecisionReport)
    assert b"nna" not in encode(found)
    assert (found.gates, found.reasons) == (("halt 1",), (("gate.in_force", ""),))
    assert (found.operator, found.policy) == ("operator 1", "model 1")
    assert (found.action, found.size_ppm, found.votes) == (told.action, told.size_ppm, told.votes)
    assert Redactor("0123abcd").record(decision()).policy == "rules"  # type: ignore[attr-defined]
    assert "gate.in_force" in say(Scales(), found)


def test_the_first_record_needs_nothing_carried(spot: Path) -> None:
    made, written = sliced(ROWS["spot"], 1, 40)
    assert made.carried == made.offset == 0
    assert written == ROWS["spot"][: made.last], "a beginning is the run's own beginning, chain and all"


def test_a_slice_is_small(spot: Path, tmp_path: Path) -> None:
    last = len(ROWS["spot"])
    result = export(spot, f"{last - 30}..{last}", tmp_path / "s", quiet, redact=False)
    assert result["records"] < 120 and result["carried"] == 8


@pytest.mark.parametrize("redact", [False, True])
def test_an_exported_slice_replays_verifies_and_has_no_views(
    paper: Path, tmp_path: Path, redact: bool
) -> None:
    out = tmp_path / "slice"
    result = export(paper, "500..700", out, quiet, redact=redact)
    assert replay_run(out, quiet)["identical"] and verify_run(out, None, quiet)["ok"]
    manifest = manifest_of(out)
    assert manifest["kind"] == "slice" and manifest["slice"]["redacted"] is redact
    assert str(paper) not in (out / "manifest.json").read_text()
    ours = manifest_of(paper)["ledger_id"].encode()
    whole = b"".join(path.read_bytes() for path in out.iterdir())
    assert (ours in whole) is not redact
    assert result["first"] <= 500 and result["last"] >= 700
    with pytest.raises(LedgerError, match="slice"):
        rebuild_run(out, quiet)
    again = export(out, "20..60", tmp_path / "again", quiet, redact=redact)
    assert again["records"] and replay_run(tmp_path / "again", quiet)["identical"]


def test_names_somebody_typed_are_replaced_everywhere_the_same() -> None:
    redactor = Redactor("c0ffee00")
    halted = redactor.record(HaltTrading(reason="Jane"))
    assert isinstance(halted, HaltTrading) and halted.reason == "reason 1"
    paused = redactor.record(PauseTrading(reason="Jane", symbol="BTCUSDT", operator="jane@example.org"))
    assert isinstance(paused, PauseTrading)
    assert (paused.reason, paused.operator, paused.symbol) == ("reason 1", "operator 1", "BTCUSDT")
    state = redactor.state('{"halted":"Jane","orders":{"c0ffee00000000":{"fill_ids":["a","b","a"]}}}')
    assert orjson.loads(state) == {
        "halted": "reason 1",
        "orders": {"00000000000000": {"fill_ids": ["fill 1", "fill 2", "fill 1"]}},
    }


@pytest.mark.parametrize("text", ["5", "9..5", "a..b", "0..3", "1..10000000"])
def test_slices_that_are_none_are_refused(spot: Path, tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError):
        export(spot, text, tmp_path / "s", quiet, redact=False)


def test_a_slice_needs_a_folder_of_its_own(spot: Path, tmp_path: Path) -> None:
    assert parse_slice("3..9") == (3, 9)
    export(spot, "10..20", tmp_path / "s", quiet, redact=False)
    with pytest.raises(LedgerError, match="another run"):
        export(spot, "300..320", tmp_path / "s", quiet, redact=False)
    with pytest.raises(UserError, match="folder of its own"):
        export(spot, "10..20", spot, quiet, redact=False)


def test_what_does_not_replay_is_not_sliced(spot: Path, tmp_path: Path) -> None:
    from small_ledgers import rechained

    run = copy_run(spot, tmp_path / "run")
    rows = rows_of(run)
    at = next(i for i, row in enumerate(rows) if row.topic.startswith("OrderFilled/"))
    forged = orjson.loads(rows[at].state)
    state = orjson.dumps({**forged, "realised": 9}, option=orjson.OPT_SORT_KEYS)
    rows = rechained([*rows[:at], rows[at]._replace(state=state), *rows[at + 1 :]])
    replace_records(run / "ledger.db", rows)
    manifest = manifest_of(run)
    (run / "manifest.json").write_bytes(orjson.dumps({**manifest, "head": rows[-1].chain.hex()}))
    with pytest.raises(SliceDiverged) as found:
        export(run, f"{at}..{at + 5}", tmp_path / "s", quiet, redact=False)
    assert f"record {at + 1} " in found.value.what


@pytest.mark.parametrize("kind", KINDS)
def test_every_state_of_a_run_survives_being_written_and_read(kind: str) -> None:
    core = Core(MemoryJournal())
    for count, row in enumerate(ROWS[kind]):
        if row.cause == row.position:
            core.learn(decode(row.topic, row.state), row.ts_ns)
        if count % 97 == 0:
            for name in core.names():
                state = core.state_of(name)
                read = state_from(type(state), state_text(state))
                assert read == state and state_hash(read) == state_hash(state)
    assert "StateHashed" in topics(ROWS[kind])
    with pytest.raises(MalformedRecordError):
        state_from(type(core.state_of("account")), '{"orders": {"a": 1}}')
