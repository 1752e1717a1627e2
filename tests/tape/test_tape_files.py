"""Segments: what is written is read again, and what was torn or changed is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.notes import TapeSegmentReport
from grinder.errors import EnvironmentFault
from grinder.observation.alerts import Alert
from grinder.tape import store
from grinder.tape.layout import (
    HEAD_BYTES,
    End,
    Entry,
    Flush,
    Frame,
    Header,
    Loss,
    TapeError,
    block_of,
    entry_of,
    head_of,
    line_of,
    segments,
)
from grinder.tape.reader import Segment, file_hash
from grinder.tape.writer import TapeSettings, TapeWriter

NUMBERS = st.integers(0, 2**62)
ENTRIES = st.one_of(
    st.builds(Frame, NUMBERS, NUMBERS, NUMBERS, st.text(max_size=20), st.binary(max_size=300)),
    st.builds(Flush, NUMBERS, NUMBERS, NUMBERS),
    st.builds(Loss, NUMBERS, NUMBERS, NUMBERS),
    st.builds(End, NUMBERS),
    st.builds(Header, st.sampled_from(["binance", "okx"]), NUMBERS, NUMBERS, NUMBERS),
)  # fmt: skip


def until(true: Callable[[], bool], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.002)


def opened(folder: Path, **named: Any) -> tuple[TapeWriter, list[TapeSegmentReport]]:
    reports: list[TapeSegmentReport] = []
    given = {"settings": TapeSettings(flush_s=0.005), **named}
    return TapeWriter(folder, "tiny", 1, 0, sealed=reports.append, **given), reports


def read(path: Path) -> list[Entry]:
    segment = Segment(path)
    found = list(segment.entries())
    assert segment.damage is None
    return found


# --- layout --------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(ENTRIES)
def test_every_entry_comes_back_from_its_line(entry: Entry) -> None:
    line = line_of(entry)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert entry_of(line) == entry
    assert type(entry_of(line)) is type(entry)


@pytest.mark.parametrize(
    "line",
    [b"", b"{", b"[]", b"[1,2]", b"[1,2,3,4,5]", b"[1.5,2,3]", b'{"x":1}', b'[1,2,3,"s","!!",1]', b"null",
     b'"x"', b"5"],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(line: bytes) -> None:
    with pytest.raises(TapeError) as found:
        entry_of(line)
    assert found.value.code == "tape.line"


def test_a_tape_of_a_newer_program_is_refused() -> None:
    with pytest.raises(TapeError, match="format 9"):
        entry_of(b'{"tape":9,"other":1}')


def test_any_zstd_program_shows_a_segment_as_json_lines(tmp_path: Path) -> None:
    writer, _ = opened(tmp_path)
    writer.frame("public", b'{"a":1}', 5, 1, 2)
    writer.flushed(6, 1, 2)
    until(lambda: writer.waiting_bytes == 0)
    writer.frame("public", b'{"a":2}', 7, 1, 2)
    writer.close()
    (path,) = segments(tmp_path)
    stream = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True)
    shown = stream.read()
    assert shown.splitlines() == [
        b'{"tape":1,"exchange":"tiny","session":1,"segment":1,"position":0}',
        b'[5,1,2,"public","{\\"a\\":1}"]',
        b"[6,1,2]",
        b'[7,1,2,"public","{\\"a\\":2}"]',
        b'{"end":2}',
    ]


# --- writing -------------------------------------------------------------------------------------------


def test_what_is_kept_is_on_disk_within_moments_and_sealed_at_the_end(tmp_path: Path) -> None:
    writer, reports = opened(tmp_path)
    frames = [Frame(10 + n, n, 3 * n, "s", b'{"n":%d}' % n) for n in range(500)] + [
        Frame(600, 500, 1500, "s", b"\xff\x00\n")
    ]
    for frame in frames:
        writer.frame(frame.stream, frame.frame, frame.received_ns, frame.turn, frame.position)
    until(lambda: writer.waiting_bytes == 0)
    (part,) = segments(tmp_path)
    assert part.name == "000001.tape.zst.part"
    assert [one for one in read(part) if isinstance(one, Frame)] == frames
    assert reports == []
    assert writer.close(1501)
    (sealed,) = segments(tmp_path)
    found = read(sealed)
    assert found[0] == Header("tiny", 1, 1, 0)
    assert found[1:-1] == frames
    assert found[-1] == End(1501)
    assert reports == [
        TapeSegmentReport(
            name="000001.tape.zst",
            sha256=sha256(sealed.read_bytes()).hexdigest(),
            frames=501,
            bytes=sealed.stat().st_size,
            first_ns=10,
            last_ns=600,
        )
    ]
    assert (writer.frames, writer.dropped) == (501, 0)


def test_segments_are_full_by_size_and_by_time_and_nothing_is_lost_between_them(tmp_path: Path) -> None:
    for name, limits in (("size", {"segment_bytes": 2_000}), ("time", {"segment_ns": 90})):
        writer, reports = opened(tmp_path / name, settings=TapeSettings(flush_s=0.001, **limits))
        for number in range(300):
            writer.frame("s", b"x" * 20, number, number, number)
            if number % 30 == 0:
                until(lambda writer=writer: writer.waiting_bytes == 0)  # type: ignore[misc]
        writer.close()
        paths = segments(tmp_path / name)
        assert len(paths) == len(reports) > 2
        assert [report.name for report in reports] == [path.name for path in paths]
        assert all(file_hash(path) == report.sha256 for path, report in zip(paths, reports, strict=True))
        frames = [entry for path in paths for entry in read(path) if isinstance(entry, Frame)]
        assert [frame.turn for frame in frames] == list(range(300))
        assert sum(report.frames for report in reports) == 300


def test_keeping_a_frame_never_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(store, "write_all", lambda file, data: stuck.wait())
    told: list[Alert] = []
    limit = 100_000
    writer, _ = opened(tmp_path, notify=told.append, settings=TapeSettings(flush_s=0.001, queue_bytes=limit))
    for number in range(20_000):  # one that waited would not come to an end
        writer.frame("s", b"x" * 36, number, number, 0)
    assert writer.waiting_bytes <= limit
    assert writer.frames == limit // 100
    assert writer.frames + writer.dropped == 20_000
    assert [alert.kind for alert in told] == ["tape_gap"]
    stuck.set()
    writer.close()


def test_what_a_slow_disk_loses_is_on_the_tape_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, go = store.write_all, threading.Event()

    def slow(file: Any, data: bytes) -> None:
        go.wait(5)
        real(file, data)

    monkeypatch.setattr(store, "write_all", slow)
    writer, _ = opened(tmp_path, settings=TapeSettings(flush_s=0.001, queue_bytes=1_000))
    for number in range(50):
        writer.frame("s", b"x" * 36, number, number, 0)
    kept = writer.frames
    go.set()
    until(lambda: writer.waiting_bytes == 0)
    writer.frame("s", b"y", 100, 100, 0)
    writer.close()
    (path,) = segments(tmp_path)
    found = read(path)[1:-1]
    assert [type(entry) for entry in found] == [Frame] * kept + [Loss, Frame]
    assert found[kept] == Loss(50 - kept, kept, 49)


def test_a_disk_that_fills_up_loses_frames_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, state = store.write_all, {"full": False}

    def sometimes(file: Any, data: bytes) -> None:
        if state["full"]:
            real(file, data[: len(data) // 2])
            raise OSError(28, "No space left on device")
        real(file, data)

    monkeypatch.setattr(store, "write_all", sometimes)
    told: list[Alert] = []
    writer, reports = opened(tmp_path, notify=told.append)
    writer.frame("s", b"one", 1, 1, 0)
    until(lambda: writer.waiting_bytes == 0)
    state["full"] = True
    for number in (2, 3):
        writer.frame("s", b"lost", number, number, 0)
        until(lambda: writer.waiting_bytes == 0)
    state["full"] = False
    writer.frame("s", b"four", 4, 4, 0)
    writer.close()
    (path,) = segments(tmp_path)
    assert read(path)[1:-1] == [Frame(1, 1, 0, "s", b"one"), Loss(2, 2, 3), Frame(4, 4, 0, "s", b"four")]
    assert {alert.kind for alert in told} == {"tape_failed"}
    assert reports[0].sha256 == file_hash(path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tape").write_text("a file is in the way")
    with pytest.raises(EnvironmentFault) as found:
        opened(tmp_path / "tape")
    assert found.value.code == "tape.folder"


# --- torn and changed ----------------------------------------------------------------------------------


def written(folder: Path, blocks: int = 4) -> Path:
    """A segment of some blocks that was not sealed."""
    folder.mkdir(exist_ok=True)
    path = folder / "000001.tape.zst.part"
    data = block_of([line_of(Header("tiny", 1, 1, 0))])
    for number in range(blocks):
        data += block_of(
            [line_of(Frame(n, n, 0, "s", b"frame %d" % n)) for n in range(number * 5, number * 5 + 5)]
        )
    path.write_bytes(data)
    return path


def starts(data: bytes) -> list[int]:
    """Where the blocks begin, and the end."""
    at, found = 0, [0]
    while at < len(data):
        head = head_of(data[at : at + HEAD_BYTES])
        assert head is not None
        at += HEAD_BYTES + head.length
        found.append(at)
    return found


def test_a_torn_tail_costs_the_last_block_only_wherever_it_is_torn(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    edges = starts(whole)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        segment = Segment(path)
        frames = sum(isinstance(entry, Frame) for entry in segment.entries())
        complete = max(edge for edge in edges if edge <= size)
        assert segment.whole_bytes == complete
        assert frames == max(edges.index(complete) - 1, 0) * 5
        if size == complete:
            assert segment.damage is None
        else:
            assert segment.damage is not None and segment.damage.torn
            assert segment.damage.offset == complete
            assert path.name in segment.damage.render()


def test_a_changed_byte_is_found_in_its_block_wherever_it_is(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    edges = starts(whole)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        segment = Segment(path)
        list(segment.entries())
        block = max(edge for edge in edges if edge <= at)
        assert segment.damage is not None, f"byte {at}"
        assert segment.damage.offset == block, f"byte {at}"


def test_the_next_process_seals_what_a_killed_one_left_less_its_torn_tail(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    writer, reports = opened(tmp_path)
    writer.frame("s", b"next", 99, 1, 0)
    writer.close()
    assert [report.name for report in reports] == ["000001.tape.zst", "000002.tape.zst"]
    assert [report.frames for report in reports] == [15, 1]
    assert (reports[0].first_ns, reports[0].last_ns) == (0, 14)
    first, second = segments(tmp_path)
    assert first.read_bytes() == whole[: starts(whole)[-2]]
    assert file_hash(first) == reports[0].sha256
    assert read(second)[0] == Header("tiny", 1, 2, 0)


def test_a_killed_one_that_left_nothing_whole_leaves_no_hole(tmp_path: Path) -> None:
    (tmp_path / "000001.tape.zst.part").write_bytes(b"\x5a\x2a")
    writer, reports = opened(tmp_path)
    writer.close()
    assert [path.name for path in segments(tmp_path)] == ["000001.tape.zst"]
    assert len(reports) == 1


def test_what_was_changed_and_not_torn_is_left_for_somebody_to_look_at(tmp_path: Path) -> None:
    path = written(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[starts(bytes(whole))[2] + HEAD_BYTES + 3] ^= 1
    path.write_bytes(bytes(whole))
    writer, reports = opened(tmp_path)
    writer.close()
    assert path.read_bytes() == bytes(whole)
    assert [report.name for report in reports] == ["000002.tape.zst"]
