"""Nothing in a ledger can be changed, removed or cut without being found and located."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from small_ledgers import (
    SETTINGS,
    altered,
    contents,
    copy_run,
    ledger_rows,
    rechained,
    replace_records,
    run_into,
    trades_file,
    write_ledger,
)

from actors.records import LedgerRow
from grinder.cli import main
from grinder.commands.inspect import verify_run
from grinder.errors import LedgerError
from grinder.ledger.reading import connect
from grinder.ledger.schema import APPLICATION_ID, FORMAT
from grinder.ledger.verify import verify

TINY: dict[str, Any] = {**SETTINGS, "grids": [{**SETTINGS["grids"][0], "grid_number": 2}]}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[LedgerRow]:
    """Records of a run so small that every byte of it can be tried."""
    folder = tmp_path_factory.mktemp("tiny")
    run_into(folder / "run", trades_file(folder / "trades.csv", 100), TINY)
    return ledger_rows(folder / "run" / "ledger.db")


@pytest.fixture
def tiny(records: list[LedgerRow], tmp_path: Path) -> Path:
    return write_ledger(tmp_path / "ledger.db", records)


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    return copy_run(finished_run, tmp_path / "run")


def silent(stage: str, done: int, total: int) -> None: ...


def test_a_good_ledger_is_whole(tiny: Path, records: list[LedgerRow]) -> None:
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad, verdict.reason) == (True, None, "")
    assert (verdict.records, verdict.head) == (len(records), records[-1].chain.hex())
    assert verify(tiny, records[-1].chain.hex().upper()).ok, "a head may be given in upper case"


def test_a_ledger_without_records_is_whole(tmp_path: Path) -> None:
    verdict = verify(write_ledger(tmp_path / "ledger.db", []))
    assert (verdict.ok, verdict.records, verdict.head) == (True, 0, "00" * 32)


def test_progress_is_told_while_a_large_ledger_is_read(tmp_path: Path) -> None:
    row = LedgerRow(1, "input/clock", 1, "TakeCheckpoint/1", b'{"reason":""}', 0, 1, b"")
    many = [row._replace(position=n, version=n, cause=n) for n in range(1, 9001)]
    path = write_ledger(tmp_path / "ledger.db", rechained(many))
    told: list[int] = []
    assert verify(path, progress=told.append).ok
    assert told == [4096, 8192]


# --- every byte of every record ------------------------------------------------------------------------


LOW, HIGH = 0x01, 0x80


def flipped_bytes(value: bytes, mask: int) -> Iterator[bytes]:
    for at in range(len(value)):
        yield value[:at] + bytes([value[at] ^ mask]) + value[at + 1 :]


def flipped_integer(value: int, mask: int) -> Iterator[int]:
    for byte in range(8):
        changed = value ^ (mask << (8 * byte))
        yield (changed + 2**63) % 2**64 - 2**63


FIELDS: dict[str, tuple[str, Any]] = {
    "originator_id": ("CAST(? AS TEXT)", lambda row, mask: flipped_bytes(row.stream.encode(), mask)),
    "originator_version": ("?", lambda row, mask: flipped_integer(row.version, mask)),
    "topic": ("CAST(? AS TEXT)", lambda row, mask: flipped_bytes(row.topic.encode(), mask)),
    "state": ("CAST(? AS TEXT)", lambda row, mask: flipped_bytes(row.state, mask)),
    "ts_ns": ("?", lambda row, mask: flipped_integer(row.ts_ns, mask)),
    "cause": ("?", lambda row, mask: flipped_integer(row.cause, mask)),
    "chain": ("?", lambda row, mask: flipped_bytes(row.chain, mask)),
}


@pytest.mark.parametrize("mask", [LOW, HIGH])
@pytest.mark.parametrize("field", FIELDS)
def test_a_flipped_byte_of_a_record_is_found_at_that_record(
    tiny: Path, records: list[LedgerRow], field: str, mask: int
) -> None:
    bound, flips = FIELDS[field]
    tried = 0
    # One record of every kind, and every byte of it; the whole ledger is checked each time.
    chosen = [*{row.topic: row for row in records}.values(), records[0]]
    with altered(tiny) as connection:
        for row in chosen:
            for value in flips(row, mask):
                connection.execute("BEGIN")
                try:
                    connection.execute(
                        f"UPDATE stored_events SET {field} = {bound} WHERE rowid = ?", (value, row.position)
                    )
                except sqlite3.IntegrityError:
                    connection.execute("ROLLBACK")  # the number is taken: the file itself refuses it
                    continue
                connection.execute("COMMIT")
                verdict = verify(tiny)
                assert not verdict.ok, (row.position, value)
                assert (verdict.first_bad, verdict.records) == (row.position, row.position - 1), value
                assert verdict.reason
                tried += 1
            original = (getattr(row, LedgerRow._fields[1 + list(FIELDS).index(field)]), row.position)
            connection.execute(f"UPDATE stored_events SET {field} = {bound} WHERE rowid = ?", original)
    assert tried > len(chosen)
    assert verify(tiny).ok


def test_a_moved_record_is_found_where_it_is_missing(tiny: Path, records: list[LedgerRow]) -> None:
    with altered(tiny) as connection:
        connection.execute("UPDATE stored_events SET rowid = 9999 WHERE rowid = 11")
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, 11)
    assert "missing" in verdict.reason


KINDS = {
    "text as bytes": "originator_id = CAST(originator_id AS BLOB)",
    "a topic as bytes": "topic = CAST(topic AS BLOB)",
    "a time as text": "ts_ns = 'noon'",
    "a time as a fraction": "ts_ns = 0.5",
    "a cause as text": "cause = 'x'",
    "a version as text": "originator_version = 'x'",
    "a chain as text": "chain = 'x'",
    "a chain as a number": "chain = 7",
    "a state as a number": "state = 7",
    "invalid UTF-8": "originator_id = CAST(x'ff' AS TEXT)",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_another_type_is_found_and_does_not_crash(tiny: Path, kind: str) -> None:
    with altered(tiny) as connection:
        connection.execute(f"UPDATE stored_events SET {KINDS[kind]} WHERE rowid = 6")
    verdict = verify(tiny)
    assert (verdict.ok, verdict.records) == (False, 5)
    assert verdict.first_bad == 6


# --- whole records -------------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [1, 2, 17])
def test_a_missing_record_is_found_at_its_place(tiny: Path, missing: int) -> None:
    with altered(tiny) as connection:
        connection.execute("DELETE FROM stored_events WHERE rowid = ?", (missing,))
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad, verdict.records) == (False, missing, missing - 1)
    assert f"position {missing + 1} where {missing} belongs" in verdict.reason


def test_a_missing_record_is_found_even_when_the_others_move_up(tiny: Path, records: list[LedgerRow]) -> None:
    rest = [row for row in records if row.position != 9]
    replace_records(tiny, [row._replace(position=n) for n, row in enumerate(rest, 1)])
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, 9)


def test_two_exchanged_records_are_found_at_the_first(tiny: Path, records: list[LedgerRow]) -> None:
    one, other = records[13], records[17]
    swapped = [
        *records[:13],
        other._replace(position=one.position),
        *records[14:17],
        one._replace(position=other.position),
        *records[18:],
    ]
    replace_records(tiny, swapped)
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, one.position)


def test_an_added_record_is_found(tiny: Path, records: list[LedgerRow]) -> None:
    last = records[-1]
    replace_records(tiny, [*records, last._replace(position=last.position + 1, version=last.version + 1)])
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, last.position + 1)


def test_an_unknown_record_is_named_though_its_chain_holds(tiny: Path, records: list[LedgerRow]) -> None:
    newer = [row._replace(topic="OrderFilled/9") if row.position == 12 else row for row in records]
    replace_records(tiny, rechained(newer))
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, 12)
    assert "OrderFilled/9 is unknown to this version" in verdict.reason


@pytest.mark.parametrize("cause", [0, -1, 13])
def test_a_cause_that_is_no_earlier_record_is_found(tiny: Path, records: list[LedgerRow], cause: int) -> None:
    replace_records(
        tiny, rechained(row._replace(cause=cause) if row.position == 12 else row for row in records)
    )
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, 12)
    assert f"cause {cause}" in verdict.reason


def test_a_stream_that_skips_a_version_is_found(tiny: Path, records: list[LedgerRow]) -> None:
    stream = records[11].stream
    replace_records(
        tiny,
        rechained(
            row._replace(version=row.version + 1) if row.position >= 12 and row.stream == stream else row
            for row in records
        ),
    )
    verdict = verify(tiny)
    assert (verdict.ok, verdict.first_bad) == (False, 12)
    assert f"{stream} continues with version" in verdict.reason


# --- cut and rewritten ---------------------------------------------------------------------------------


def test_a_cut_tail_is_found_by_the_manifest(run: Path) -> None:
    replace_records(run / "ledger.db", ledger_rows(run / "ledger.db")[:-40])
    assert verify(run / "ledger.db").ok, "the chain alone cannot tell"
    found = verify_run(run, None, silent)
    assert found["ok"] is False
    assert "its head is not" in found["reason"]


def test_a_cut_tail_is_found_by_a_head_kept_elsewhere(run: Path) -> None:
    records = ledger_rows(run / "ledger.db")
    replace_records(run / "ledger.db", records[:-1])
    (run / "manifest.json").unlink()
    found = verify_run(run, records[-1].chain.hex(), silent)
    assert (found["ok"], found["records"]) == (False, len(records) - 1)
    assert verify_run(run, records[-2].chain.hex(), silent)["ok"]


def test_a_rewritten_history_is_found_by_a_head_kept_elsewhere(run: Path) -> None:
    records = ledger_rows(run / "ledger.db")
    kept = records[-1].chain.hex()
    forged = rechained(row._replace(ts_ns=row.ts_ns + 1) for row in records)
    replace_records(run / "ledger.db", forged)
    manifest = run / "manifest.json"
    manifest.write_text(manifest.read_text().replace(kept, forged[-1].chain.hex()))
    assert verify_run(run, None, silent)["ok"], "a forger who rewrites everything deceives the folder itself"
    assert not verify_run(run, kept, silent)["ok"]


def test_a_ledger_that_lost_its_write_ahead_log_is_found_by_the_head(
    tmp_path: Path, records: list[LedgerRow]
) -> None:
    """A copy of the file alone, taken while it was written, is a cut tail."""
    from grinder.ledger.recorder import open_application

    path = write_ledger(tmp_path / "ledger.db", records[:20])
    application = open_application(path)
    recorder = application.ledger_recorder
    recorder.append_rows(records[20:], recorder.take_epoch())
    shutil.copyfile(path, tmp_path / "copy.db")
    application.close()
    assert verify(path, records[-1].chain.hex()).ok
    assert not verify(tmp_path / "copy.db", records[-1].chain.hex()).ok


# --- bytes of the file ---------------------------------------------------------------------------------


def check_damaged_file(path: Path, records: list[LedgerRow], what: object) -> str:
    """What verify says of a damaged file; fails when it accepts changed records or crashes.

    The head is given, as the command does from the manifest: a flipped count of cells is a cut tail.
    """
    try:
        verdict = verify(path, records[-1].chain.hex())
    except LedgerError as refused:
        assert refused.place
        assert refused.fix
        return "refused"
    if verdict.ok:
        assert ledger_rows(path) == records, f"changed records were accepted: {what}"
        return "harmless"
    if verdict.first_bad is None:
        return "cut"
    assert verdict.first_bad == verdict.records + 1
    return "found"


def offsets(size: int) -> Iterator[int]:
    """One byte in each block of 512, and every byte of the file's header and of the heads of its pages."""
    chance = random.Random(7)  # a failing offset is named, and the same each time
    yield from range(100)
    for block in range(0, size, 512):
        yield block + chance.randrange(512)
    for page in range(0, size, 4096):
        yield from range(page, page + 24)


MASKS = {"lowest bit": 0x01, "highest bit": 0x80, "all bits": 0xFF}


@pytest.mark.parametrize("mask", MASKS)
def test_a_flipped_byte_of_the_file_never_crashes_and_never_changes_a_record_unseen(
    tiny: Path, records: list[LedgerRow], tmp_path: Path, mask: str
) -> None:
    with altered(tiny):
        pass  # out of the write-ahead mode, so that the file alone is the ledger
    whole = tiny.read_bytes()
    said: dict[str, int] = {}
    for at in offsets(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= MASKS[mask]
        path = tmp_path / "broken.db"
        path.write_bytes(broken)
        what = check_damaged_file(path, records, f"byte {at} of {len(whole)}, {mask}")
        said[what] = said.get(what, 0) + 1
    assert said["found"] > 20
    assert said["refused"] > 5
    assert said["harmless"] > 20


@pytest.mark.parametrize("share", [1, 2, 3, 5, 9])
def test_a_truncated_file_is_found(tiny: Path, records: list[LedgerRow], share: int) -> None:
    whole = tiny.read_bytes()
    tiny.write_bytes(whole[: len(whole) * share // 10])
    assert check_damaged_file(tiny, records, share) != "harmless"


def test_a_page_of_zeros_is_found(tiny: Path, records: list[LedgerRow]) -> None:
    whole = tiny.read_bytes()
    said = []
    for page in range(0, len(whole), 4096):
        tiny.write_bytes(whole[:page] + bytes(4096) + whole[page + 4096 :])
        said.append(check_damaged_file(tiny, records, page))
    assert said[0] == "refused"
    assert said.count("found") > 2


# --- not a ledger --------------------------------------------------------------------------------------


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine');")


def newer_ledger(path: Path) -> None:
    write_ledger(path, [])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {FORMAT + 1}")


def marked_but_empty(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


FILES: dict[str, tuple[Any, str, str]] = {
    "an empty file": (Path.touch, "ledger.not_a_ledger", "but not a ledger"),
    "a text": (
        lambda p: p.write_text("Dear sir,\n" * 99),
        "ledger.not_a_ledger",
        "cannot be read as a ledger",
    ),
    "noise": (lambda p: p.write_bytes(bytes(range(256)) * 40), "ledger.not_a_ledger", "cannot be read"),
    "another database": (other_database, "ledger.not_a_ledger", "but not a ledger"),
    "a newer ledger": (newer_ledger, "ledger.too_new", f"has format {FORMAT + 1}, this program reads up to"),
    "nothing": (lambda p: None, "ledger.missing", "there is no ledger here"),
    "a folder": (Path.mkdir, "ledger.missing", "there is no ledger here"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_ledger_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    make, code, words = FILES[name]
    path = tmp_path / "ledger.db"
    make(path)
    for ask in (verify, connect):
        with pytest.raises(LedgerError) as refused:
            ask(path)
        assert (refused.value.code, refused.value.place) == (code, str(path))
        assert words in refused.value.what
        assert refused.value.fix


def test_a_file_marked_as_a_ledger_without_its_table_is_damaged(tmp_path: Path) -> None:
    marked_but_empty(tmp_path / "ledger.db")
    verdict = verify(tmp_path / "ledger.db")
    assert (verdict.ok, verdict.first_bad) == (False, 1)
    assert "no such table" in verdict.reason


COMMANDS = (("verify",), ("replay",), ("rebuild",))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c[0])
@pytest.mark.parametrize("name", FILES)
def test_every_command_refuses_what_is_no_ledger_with_status_4_and_writes_nothing(
    tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    FILES[name][0](tmp_path / "ledger.db")
    before = contents(tmp_path)
    ended = CliRunner().invoke(main, [*command, str(tmp_path)])
    assert ended.exit_code == 4, ended.output
    assert f"{tmp_path}" in ended.stderr
    assert "fix:" in ended.stderr
    assert "Traceback" not in ended.stderr
    after = contents(tmp_path)
    for log in ("ledger.db-wal", "ledger.db-shm"):  # SQLite's own, of a database in write-ahead mode
        before.pop(log, None)
        after.pop(log, None)
    assert after == before


DAMAGES: dict[str, str] = {
    "a changed state": "UPDATE stored_events SET state = '{}' WHERE rowid = 40",
    "a state that is no JSON": "UPDATE stored_events SET state = 'x' WHERE rowid = 18",
    "a changed time": "UPDATE stored_events SET ts_ns = 7 WHERE rowid = 40",
    "an input made an event": "UPDATE stored_events SET cause = 17 WHERE rowid = 18",
    "an event made an input": "UPDATE stored_events SET cause = 19 WHERE rowid = 19",
    "a missing record": "DELETE FROM stored_events WHERE rowid = 40",
    "a missing input": "DELETE FROM stored_events WHERE rowid = 18",
    "a time of another type": "UPDATE stored_events SET ts_ns = 'noon' WHERE rowid = 18",
    "a lost table": "DROP TABLE stored_events",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_verify_and_rebuild_refuse_a_damaged_ledger_with_status_4(run: Path, name: str) -> None:
    with altered(run / "ledger.db") as connection:
        connection.execute(DAMAGES[name])
    for command in (["verify", str(run)], ["rebuild", str(run)]):
        ended = CliRunner().invoke(main, command)
        assert ended.exit_code == 4, (command, ended.output, ended.exception)


@pytest.mark.parametrize("name", DAMAGES)
def test_replay_of_a_damaged_ledger_says_diverged_or_damaged_and_never_crashes(run: Path, name: str) -> None:
    with altered(run / "ledger.db") as connection:
        connection.execute(DAMAGES[name])
    ended = CliRunner().invoke(main, ["replay", str(run)])
    assert ended.exit_code in (3, 4), (ended.output, ended.exception)


# --- going on with what is damaged or another's --------------------------------------------------------


def test_a_damaged_ledger_is_not_written_to(tmp_path: Path, run: Path, finished_run: Path) -> None:
    data = finished_run.parent / "trades.csv"
    with altered(run / "ledger.db") as connection:
        connection.execute("UPDATE stored_events SET state = '{}' WHERE rowid = 40")
    before = contents(run)
    with pytest.raises(LedgerError) as refused:
        run_into(run, data)
    assert refused.value.code == "ledger.damaged"
    assert refused.value.place.endswith("record 40")
    assert contents(run) == before


OTHERS: dict[str, dict[str, Any]] = {
    "another configuration": {"settings": TINY},
    "another seed": {"seed": 5},
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_runs_folder_is_refused_and_not_written_to(run: Path, finished_run: Path, name: str) -> None:
    before = contents(run)
    with pytest.raises(LedgerError) as refused:
        run_into(run, finished_run.parent / "trades.csv", **OTHERS[name])
    assert (refused.value.code, refused.value.place, int(refused.value.status)) == (
        "ledger.other_run",
        str(run),
        4,
    )
    assert contents(run) == before


def test_a_folder_of_other_data_is_refused_and_not_written_to(run: Path, tmp_path: Path) -> None:
    before = contents(run)
    with pytest.raises(LedgerError, match="another run"):
        run_into(run, trades_file(tmp_path / "other.csv", 300))
    assert contents(run) == before


@pytest.mark.parametrize("name", sorted(FILES.keys() - {"nothing", "a folder", "an empty file"}))
def test_a_file_of_another_kind_in_the_ledgers_place_is_not_overwritten(
    run: Path, finished_run: Path, name: str
) -> None:
    for path in run.glob("ledger.db*"):
        path.unlink()
    FILES[name][0](run / "ledger.db")
    before = contents(run)
    with pytest.raises(LedgerError) as refused:
        run_into(run, finished_run.parent / "trades.csv")
    assert refused.value.code == FILES[name][1]
    assert {n: d for n, d in contents(run).items() if not n.startswith("ledger.db-")} == {
        n: d for n, d in before.items() if not n.startswith("ledger.db-")
    }
