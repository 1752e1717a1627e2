"""From frames to inputs to events: the proof agrees with what was recorded, and with nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from recorded_runs import QUICK, LiveTape, Recorded, TinySource, hear_market, record, walk
from small_ledgers import rechained, write_ledger

from actors.records import LedgerRow
from domain.inputs import TickReport
from grinder.cli import main
from grinder.tape.layout import (
    FOLDER,
    End,
    Flush,
    Frame,
    Header,
    Loss,
    TapeError,
    block_of,
    line_of,
    segments,
)
from grinder.tape.proof import check_tape, prove_run
from grinder.tape.prover import Prover
from grinder.tape.reader import Segment
from grinder.tape.writer import TapeSettings


def quiet(stage: str, done: int, total: int) -> None:
    """No progress."""


def proven(path: Path) -> dict:
    return prove_run(path, quiet, TinySource)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return record(tmp_path_factory.mktemp("recorded") / "run")


def test_a_recorded_run_is_proven_frame_by_frame(recorded: Recorded) -> None:
    result = proven(recorded.path)
    assert result["first_difference"] is None
    assert result["identical"] is True
    assert result["frames"] == recorded.heard
    assert result["records"] == len(recorded.rows)
    market = [row for row in recorded.rows if row.topic in ("TickReport/1", "ClockReport/1", "FillReport/1")]
    assert result["inputs_from_frames"] == len(market) > 40
    assert {row.topic for row in market} == {"TickReport/1", "ClockReport/1", "FillReport/1"}
    assert (result["segments"], result["uncovered"], result["unrecorded"]) == (1, 0, [])


def test_a_run_of_many_segments_is_proven(tmp_path: Path) -> None:
    run = record(tmp_path / "run", settings=TapeSettings(segment_bytes=3_000, flush_s=0.001))
    result = proven(run.path)
    assert result["first_difference"] is None
    assert result["frames"] == run.heard
    assert result["segments"] > 1


def test_two_processes_on_one_ledger_are_proven_with_fresh_decoders(tmp_path: Path) -> None:
    first = record(tmp_path / "run", 150)
    rows, heard = _continued(first, tmp_path / "run", crash_first=False)
    write_again(tmp_path / "run", rows)
    result = proven(tmp_path / "run")
    assert result["first_difference"] is None
    assert (result["frames"], result["segments"], result["uncovered"]) == (first.heard + heard, 2, 0)


def _continued(before: Recorded, folder: Path, *, crash_first: bool) -> tuple[list[LedgerRow], int]:
    async def go() -> LiveTape:
        live = LiveTape(folder, QUICK, before.rows)
        await hear_market(live, walk(9, 100), 9)
        live.close()
        return live

    live = asyncio.run(go())
    return live.journal.rows, live.writer.frames


def write_again(folder: Path, rows: list[LedgerRow]) -> None:
    for old in folder.glob("ledger.db*"):
        old.unlink()
    write_ledger(folder / "ledger.db", rows)


@pytest.mark.parametrize("lost_records", [0, 1, 7, 40])
@pytest.mark.parametrize("lost_bytes", [0, 1, 200])
def test_a_killed_process_is_proven_as_far_as_tape_and_ledger_go_together(
    tmp_path: Path, lost_records: int, lost_bytes: int
) -> None:
    folder = tmp_path / "run"

    async def killed() -> LiveTape:
        live = LiveTape(folder, QUICK)
        await hear_market(live, walk(3, 150), 3)
        await asyncio.sleep(0.05)  # the writer's thread writes out what it has
        await hear_market(live, walk(4, 20), 4)
        live.crash()
        return live

    live = asyncio.run(killed())
    part = segments(folder / FOLDER)[-1]
    assert part.name.endswith(".part")
    part.write_bytes(part.read_bytes()[: part.stat().st_size - lost_bytes])
    rows = live.journal.rows[: len(live.journal.rows) - lost_records]
    while rows and _is_cut(rows, live.journal.rows):
        rows.pop()  # groups hold whole inputs
    write_ledger(folder / "ledger.db", rows)

    alone = proven(folder)
    assert alone["first_difference"] is None
    assert alone["unrecorded"] == [part.name]

    goes_on = Recorded(folder, rows, 0)
    more, _ = _continued(goes_on, folder, crash_first=True)
    write_again(folder, more)
    both = proven(folder)
    assert both["first_difference"] is None
    assert both["frames"] >= alone["frames"]
    assert both["segments"] == 2
    assert both["records"] == len(more)
    assert both["inputs_from_frames"] + both["uncovered"] > alone["inputs_from_frames"]


def _is_cut(rows: list[LedgerRow], whole: list[LedgerRow]) -> bool:
    """Whether the next record belongs to the last input kept."""
    after = len(rows)
    return after < len(whole) and whole[after].cause != whole[after].position


# --- what must not be proven ---------------------------------------------------------------------------


def forged(recorded: Recorded, folder: Path, rows: list[LedgerRow]) -> dict:
    """The same tape with another ledger, whose chain holds."""
    tape = folder / FOLDER
    tape.mkdir(parents=True)
    for path in segments(recorded.path / FOLDER):
        (tape / path.name).write_bytes(path.read_bytes())
    write_ledger(folder / "ledger.db", rechained(rows))
    return proven(folder)


def first_of(rows: list[LedgerRow], topic: str, after: int = 0) -> int:
    return next(at for at, row in enumerate(rows) if row.topic == topic and at >= after)


def test_a_price_the_frames_do_not_say_is_found(recorded: Recorded, tmp_path: Path) -> None:
    rows = list(recorded.rows)
    at = first_of(rows, TickReport.TOPIC, 60)
    price = rows[at].state
    rows[at] = rows[at]._replace(state=price.replace(b'"price_ticks":6', b'"price_ticks":5'))
    result = forged(recorded, tmp_path / "run", rows)
    found = result["first_difference"]
    assert result["identical"] is False
    assert found["position"] == rows[at].position
    assert "another input" in found["what"]
    assert found["expected"].endswith(rows[at].state.decode())
    assert found["actual"].endswith(price.decode())


def test_an_input_of_the_market_that_no_frame_brought_is_found(recorded: Recorded, tmp_path: Path) -> None:
    from actors.core import Core
    from actors.journal import MemoryJournal
    from domain.codec import decode

    journal = MemoryJournal()
    core = Core(journal)
    invented = 0
    for row in recorded.rows:
        if row.cause == row.position:
            if row.topic == "RunReport/1" and b"stopped" in row.state:
                invented = core.learn(TickReport(symbol="BTCUSDT", price_ticks=600_000), row.ts_ns)
            core.learn(decode(row.topic, row.state), row.ts_ns)
    result = forged(recorded, tmp_path / "run", journal.rows)
    assert result["first_difference"]["position"] == invented
    assert "no frame" in result["first_difference"]["what"]


def test_an_input_that_was_left_out_is_found(recorded: Recorded, tmp_path: Path) -> None:
    from actors.core import Core
    from actors.journal import MemoryJournal
    from domain.codec import decode

    journal = MemoryJournal()
    core = Core(journal)
    left_out = recorded.rows[first_of(recorded.rows, TickReport.TOPIC, 100)].position
    for row in recorded.rows:
        if row.cause == row.position and row.position != left_out:
            core.learn(decode(row.topic, row.state), row.ts_ns)
    result = forged(recorded, tmp_path / "run", journal.rows)
    assert result["identical"] is False
    assert result["first_difference"]["position"] <= left_out


def test_an_execution_that_is_not_as_its_frame_says_is_found(recorded: Recorded, tmp_path: Path) -> None:
    from actors.core import Core
    from actors.journal import MemoryJournal
    from domain.codec import decode

    journal = MemoryJournal()
    core = Core(journal)
    changed = first_of(recorded.rows, "FillReport/1")
    for at, row in enumerate(recorded.rows):
        if row.cause == row.position:
            report = decode(row.topic, row.state)
            if at == changed:
                report = type(report)(**{**_fields(report), "fee_units": 0, "fee_value": 0})
            core.learn(report, row.ts_ns)
    result = forged(recorded, tmp_path / "run", journal.rows)
    assert "execution" in result["first_difference"]["what"]


def _fields(report: object) -> dict:
    import attrs

    return attrs.asdict(report, recurse=False)


def test_a_record_the_core_decides_otherwise_is_found(recorded: Recorded, tmp_path: Path) -> None:
    rows = list(recorded.rows)
    at = first_of(rows, "LevelFilled/1")
    rows[at] = rows[at]._replace(state=rows[at].state.replace(b'"cycle":0', b'"cycle":1'))
    result = forged(recorded, tmp_path / "run", rows)
    assert result["first_difference"]["position"] == rows[at].position
    assert result["first_difference"]["what"].startswith("state of a record")


# --- what cannot be proven -----------------------------------------------------------------------------


def copied(recorded: Recorded, folder: Path) -> Path:
    result = forged(recorded, folder, recorded.rows)
    assert result["identical"]
    return segments(folder / FOLDER)[0]


def test_a_changed_byte_anywhere_in_a_sealed_segment_is_found(recorded: Recorded, tmp_path: Path) -> None:
    segment = copied(recorded, tmp_path / "run")
    whole = segment.read_bytes()
    for at in range(0, len(whole), max(len(whole) // 40, 1)):
        segment.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(TapeError) as found:
            proven(tmp_path / "run")
        assert found.value.code == "tape.damaged"
        assert found.value.status == 4
        assert segment.name in found.value.what


def test_a_segment_that_is_missing_is_found(recorded: Recorded, tmp_path: Path) -> None:
    copied(recorded, tmp_path / "run").unlink()
    with pytest.raises(TapeError, match="missing") as found:
        proven(tmp_path / "run")
    assert found.value.code == "tape.missing_segment"


def test_a_run_without_a_tape_says_so(recorded: Recorded, tmp_path: Path) -> None:
    rows = [row for row in recorded.rows if row.topic != "TapeSegmentReport/1"]
    write_ledger(tmp_path / "ledger.db", rechained(rows[:3]))
    with pytest.raises(TapeError) as found:
        proven(tmp_path)
    assert found.value.code == "tape.missing"


def test_a_gap_on_the_tape_is_not_proven_over(recorded: Recorded) -> None:
    entries = list(Segment(segments(recorded.path / FOLDER)[0]).entries())
    middle = len(entries) // 2
    entries.insert(middle, Loss(3, 5, 9))
    header = entries[0]
    assert isinstance(header, Header)
    prover = Prover(recorded.rows, entries, TinySource, {header.session})
    with pytest.raises(TapeError, match="3 frames") as found:
        prover.prove()
    assert found.value.code == "tape.gap"


@pytest.mark.parametrize("kind", [Frame, Flush])
def test_every_frame_and_every_turn_matters_to_the_proof(recorded: Recorded, kind: type) -> None:
    entries = list(Segment(segments(recorded.path / FOLDER)[0]).entries())
    header = entries[0]
    assert isinstance(header, Header)
    assert isinstance(entries[-1], End)
    decisive = 0
    places = [at for at, entry in enumerate(entries) if isinstance(entry, kind)]
    for at in places[:: max(len(places) // 25, 1)]:
        without = entries[:at] + entries[at + 1 :]
        proof = Prover(recorded.rows, without, TinySource, {header.session}).prove()
        decisive += proof.first_difference is not None
    assert decisive, "a frame is missing, a number is missing, or an input comes at another turn"


def test_unrecorded_segments_in_order_are_accepted_and_a_hole_is_not(tmp_path: Path) -> None:
    for number in (1, 3):
        name = f"{number:06d}.tape.zst"
        (tmp_path / name).write_bytes(block_of([line_of(Header("tiny", 1, number, 0))]))
    with pytest.raises(TapeError, match="segment 2"):
        check_tape(tmp_path, [])
    (tmp_path / "000002.tape.zst").write_bytes(block_of([line_of(Header("tiny", 1, 2, 0)), line_of(End(4))]))
    tape = check_tape(tmp_path, [])
    assert tape.ended == {1}
    assert [path.name[:6] for path in tape.paths] == ["000001", "000002", "000003"]


def of_processes(rows: list[LedgerRow]) -> list[LedgerRow]:
    """Where processes began."""
    return [row for row in rows if row.topic == "RunReport/1" and b"started" in row.state]


def test_a_process_killed_before_it_left_anything_on_the_tape_is_told_apart_from_a_missing_frame(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    first = record(folder, 60)
    killed = unheard(first.rows, ends=False)
    live, heard = _continued(Recorded(folder, killed, 0), folder, crash_first=True)
    write_again(folder, live)
    result = proven(folder)
    assert result["first_difference"] is None
    second = of_processes(live)[1]
    assert result["untaped"] == [second.position]
    assert result["uncovered"] == 3
    assert result["frames"] == first.heard + heard
    assert result["records"] == len(live)


def test_a_process_that_ended_in_order_and_left_no_tape_has_no_excuse(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = record(folder, 60)
    write_again(folder, unheard(first.rows, ends=True))
    found = proven(folder)["first_difference"]
    assert "no frame" in found["what"]


def unheard(before: list[LedgerRow], *, ends: bool) -> list[LedgerRow]:
    """A ledger gone on with by a process whose frames nobody kept."""
    from actors.core import Core
    from actors.journal import MemoryJournal
    from domain.codec import decode
    from domain.notes import RunReport

    journal = MemoryJournal()
    core = Core(journal)
    for row in before:
        if row.cause == row.position:
            core.learn(decode(row.topic, row.state), row.ts_ns)
    now_ns = before[-1].ts_ns
    core.learn(RunReport(phase="started", mode="live", program="test", detail=""), now_ns + 1)
    for price in (605_000, 606_000, 607_000):
        core.learn(TickReport(symbol="BTCUSDT", price_ticks=price), now_ns + 2)
    if ends:
        core.learn(RunReport(phase="stopped", mode="live", program="test", detail=""), now_ns + 3)
    return journal.rows


# --- the command ---------------------------------------------------------------------------------------


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The made-up exchange, found by its name as every other."""
    from grinder.connectors import registry

    monkeypatch.setitem(registry.BUILT_IN, "tiny", "recorded_runs:TinyConnector")  # type: ignore[arg-type]


def replayed(path: Path, *arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(main, ["replay", str(path), "--from-tape", *arguments])
    return ended.exit_code, ended.stdout


@pytest.mark.usefixtures("tiny")
def test_the_command_ends_with_0_when_proven_3_when_different_and_4_when_damaged(
    recorded: Recorded, tmp_path: Path
) -> None:
    status, shown = replayed(recorded.path, "--json")
    assert status == 0
    result = json.loads(shown)
    assert set(result) >= {
        "identical", "frames", "segments", "inputs_from_frames", "records", "first_difference",
    }  # fmt: skip
    assert result["identical"] is True
    status, shown = replayed(recorded.path)
    assert status == 0
    assert shown.startswith(f"tape proven: {recorded.heard} frames")

    rows = list(recorded.rows)
    at = first_of(rows, TickReport.TOPIC, 60)
    rows[at] = rows[at]._replace(state=rows[at].state.replace(b'"price_ticks":6', b'"price_ticks":5'))
    forged(recorded, tmp_path / "other", rows)
    status, shown = replayed(tmp_path / "other", "--json")
    assert (status, json.loads(shown)["first_difference"]["position"]) == (3, rows[at].position)
    status, shown = replayed(tmp_path / "other")
    assert (status, f"differ at record {rows[at].position}" in shown) == (3, True)

    segments(tmp_path / "other" / FOLDER)[0].unlink()
    status, shown = replayed(tmp_path / "other", "--json")
    assert (status, json.loads(shown)["error"]["code"]) == (4, "tape.missing_segment")


def test_an_exchange_nobody_knows_is_named(recorded: Recorded) -> None:
    status, shown = replayed(recorded.path, "--json")
    assert (status, json.loads(shown)["error"]["code"]) == (2, "exchange.unknown")
