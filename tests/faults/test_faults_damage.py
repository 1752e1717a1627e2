"""A damaged, torn, cut or rewritten ledger: named where it is bad, and never gone on with."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
from fault_runs import Killed, keep, killed_run, records_of
from small_ledgers import rechained, replace_records

from actors.records import LedgerRow
from grinder.commands.inspect import verify_run
from grinder.errors import ExitStatus, LedgerError, UserError
from grinder.ledger.head import HeadKeeper, read_head
from grinder.live import process
from grinder.live.rebuild import rebuild
from grinder.run_folder import RunFolder

FRAME, LOG_HEADER, PAGE = 24, 32, 4096


def verified(run: Path) -> tuple[str, int | None, str]:
    """(outcome, first bad record, reason) of `grinder verify`."""
    try:
        found = verify_run(run, None, lambda *_: None)
    except LedgerError as refused:
        assert refused.place
        assert refused.fix
        return "refused", None, refused.what
    if found["ok"]:
        return "whole", None, ""
    return "damaged", found["first_bad"], found["reason"]


def start(run: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    """(status, what it said) of a run that is started on a damaged folder."""
    status = process.main([str(run)])
    return status, capsys.readouterr().err


def goes_on(run: Path) -> bool:
    """Whether a start would go on with this ledger: what it asks before anything else."""
    from grinder.ledger.head import require_kept_head
    from grinder.ledger.reading import is_begun

    ledger = RunFolder(run).ledger
    try:
        if ledger.exists() and is_begun(ledger):
            rebuild(ledger)
        else:
            require_kept_head(ledger)
    except UserError as refused:
        assert refused.status in (ExitStatus.DAMAGED, ExitStatus.DIVERGED)
        assert refused.fix
        return False
    return True


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, recorded: list[LedgerRow]) -> Killed:
    """A run that was killed: half of its records are in the file, half in the write-ahead log."""
    folder = tmp_path_factory.mktemp("killed") / "run"
    begins = [row.position - 1 for row in recorded if row.cause == row.position]
    in_file, whole = (next(n for n in begins if n >= least) for least in (150, 300))
    return killed_run(folder, recorded[:whole], in_file)


@pytest.fixture
def copied(killed: Killed, tmp_path: Path) -> Killed:
    """A copy to damage."""
    return Killed(Path(shutil.copytree(killed.folder, tmp_path / "run")), killed.records)


def test_a_killed_run_that_nothing_happened_to_is_whole_and_goes_on(copied: Killed) -> None:
    assert copied.log.stat().st_size > LOG_HEADER + FRAME + PAGE
    assert verified(copied.folder) == ("whole", None, "")
    assert rebuild(copied.ledger).records == len(copied.records) >= 300
    head = read_head(copied.ledger)
    assert head is not None
    assert head.position == len(copied.records)


# --- a flipped bit -------------------------------------------------------------------------------------


def places(content: bytes, log: bool, chance: random.Random) -> list[tuple[str, int]]:
    """A byte of each kind, on each page: heads of the file, of pages and frames, and somewhere within."""
    if not log:
        heads = [("file header", at) for at in (0, 16, 18, 24, 28, 44, 60, 68, 96)]
        for page in range(0, len(content), PAGE):
            heads += [
                ("page header", page + chance.randrange(8)),
                ("cell pointer", page + 8 + chance.randrange(8)),
            ]
            heads += [("page content", page + chance.randrange(100, PAGE)) for _ in range(3)]
        return heads
    found = [("log header", at) for at in range(0, LOG_HEADER, 3)]
    for frame in range(LOG_HEADER, len(content), FRAME + PAGE):
        found += [("frame header", frame + chance.randrange(FRAME))]
        found += [("frame content", frame + FRAME + chance.randrange(PAGE)) for _ in range(2)]
    return found


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal"])
def test_a_flipped_bit_anywhere_is_found_and_the_run_does_not_go_on(copied: Killed, name: str) -> None:
    """Every page of the file and every frame of the log; a flip that changes no record may be left alone."""
    chance = random.Random(11)
    path = copied.folder / name
    whole = path.read_bytes()
    pristine = {one.name: one.read_bytes() for one in copied.folder.iterdir()}
    told: Counter[str] = Counter()
    for kind, at in places(whole, name.endswith("-wal"), chance):
        for other, content in pristine.items():
            (copied.folder / other).write_bytes(content)
        copied.folder.joinpath("ledger.db-shm").unlink(missing_ok=True)
        broken = bytearray(whole)
        broken[at] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        outcome, first_bad, reason = verified(copied.folder)
        told[f"{kind}: {outcome}"] += 1
        where = f"byte {at} of {name} ({kind})"
        if outcome == "whole":
            assert records_of(copied.ledger) == copied.records, f"{where} changed records unseen"
            continue
        assert reason, where
        if outcome == "damaged" and first_bad is not None:
            good = verify_run(copied.folder, None, lambda *_: None)["records"]
            assert first_bad == good + 1
        assert not goes_on(copied.folder), f"{where}: a run went on with it"
    found = sum(count for what, count in told.items() if not what.endswith("whole"))
    assert found > 15, told


def test_the_record_that_was_changed_is_named_and_the_start_says_how_to_restore(
    copied: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(copied.ledger.read_bytes())
    row = copied.records[99]
    at = content.find(row.chain)
    assert at > 0
    content[at] ^= 1
    copied.ledger.write_bytes(content)
    outcome, first_bad, reason = verified(copied.folder)
    assert (outcome, first_bad) == ("damaged", 100)
    assert "the hash does not match" in reason
    before = copied.ledger.read_bytes()
    status, said = start(copied.folder, capsys)
    assert status == ExitStatus.DAMAGED == 4
    assert "record 100" in said
    assert "ledger.damaged" in said
    assert "grinder backup" in said
    assert copied.ledger.read_bytes() == before, "nothing was written to it"


# --- a torn file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ledger.db", "ledger.db-wal"])
def test_a_file_torn_at_any_length_is_found_and_the_run_does_not_go_on(copied: Killed, name: str) -> None:
    chance = random.Random(5)
    path = copied.folder / name
    pristine = {one.name: one.read_bytes() for one in copied.folder.iterdir()}
    size = len(pristine[name])
    lengths = {0, 1, 99, PAGE - 1, PAGE, *(chance.randrange(size) for _ in range(40))}
    for length in sorted(one for one in lengths if one < size):
        for other, content in pristine.items():
            (copied.folder / other).write_bytes(content)
        copied.folder.joinpath("ledger.db-shm").unlink(missing_ok=True)
        path.write_bytes(pristine[name][:length])
        outcome, _, _ = verified(copied.folder)
        if outcome == "whole":
            assert records_of(copied.ledger) == copied.records, f"{name} torn at {length}"
            continue
        assert not goes_on(copied.folder), f"a run went on with {name} torn at {length}"


def test_an_empty_file_in_place_of_the_ledger_is_no_new_ledger(
    copied: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    copied.lose_log()
    copied.ledger.write_bytes(b"")
    status, said = start(copied.folder, capsys)
    assert status == 4
    assert "ledger.tail_lost" in said
    copied.ledger.unlink()
    status, said = start(copied.folder, capsys)
    assert status == 4
    assert f"{len(copied.records)} records are gone" in said


# --- the write-ahead log is lost, an older copy takes its place ------------------------------------------


def test_a_ledger_whose_write_ahead_log_was_deleted_is_refused(
    copied: Killed, capsys: pytest.CaptureFixture[str]
) -> None:
    copied.lose_log()
    outcome, first_bad, reason = verified(copied.folder)
    assert (outcome, first_bad) == ("damaged", None)
    assert f"and record {len(copied.records)} was known to be on disk" in reason
    status, said = start(copied.folder, capsys)
    assert status == 4
    assert "ledger.tail_lost" in said
    assert "head.json" in said, "and how to go on all the same"


def test_the_file_copied_without_its_log_is_refused_in_its_place(copied: Killed, tmp_path: Path) -> None:
    """What a copy of a live file brings back."""
    shutil.copyfile(copied.ledger, tmp_path / "copy.db")
    copied.lose_log()
    shutil.copyfile(tmp_path / "copy.db", copied.ledger)
    assert not goes_on(copied.folder)
    (copied.folder / "head.json").unlink()
    assert goes_on(copied.folder), "the chain alone cannot tell"


def test_without_a_kept_head_a_ledger_is_gone_on_with(copied: Killed) -> None:
    """Ledgers of an earlier version have none."""
    (copied.folder / "head.json").unlink()
    assert goes_on(copied.folder)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"position": 3, "chain": "zz"}', b'{"position": "x"}', b"[1]"]
)
def test_a_head_that_cannot_be_read_is_refused_and_named(copied: Killed, content: bytes) -> None:
    (copied.folder / "head.json").write_bytes(content)
    with pytest.raises(LedgerError) as refused:
        rebuild(copied.ledger)
    assert refused.value.code == "ledger.head_file"
    assert "head.json" in refused.value.place


def test_the_kept_head_is_never_ahead_and_at_most_a_second_behind(tmp_path: Path) -> None:
    now = 100.0
    keeper = HeadKeeper(tmp_path / "ledger.db", clock=lambda: now)
    seen = []
    for position in range(1, 31):
        now += 0.1
        keeper.stored(position, bytes([position]) * 32)
        head = read_head(tmp_path / "ledger.db")
        assert head is not None
        assert 0 <= position - head.position <= 10
        seen.append(head.position)
    assert len(set(seen)) in (3, 4), "not at every commit"
    keeper.keep()
    head = read_head(tmp_path / "ledger.db")
    assert head is not None
    assert (head.position, head.chain) == (30, (bytes([30]) * 32).hex())


# --- the tail is cut, or everything rewritten ------------------------------------------------------------


def test_a_head_kept_of_an_earlier_record_is_found_in_a_ledger_that_has_grown(copied: Killed) -> None:
    row = copied.records[120]
    kept = f"{row.position}:{row.chain.hex()}"
    assert verify_run(copied.folder, kept, lambda *_: None)["ok"]
    assert verify_run(copied.folder, kept.upper(), lambda *_: None)["ok"]
    other = f"{row.position + 1}:{row.chain.hex()}"
    assert not verify_run(copied.folder, other, lambda *_: None)["ok"]


def test_a_cut_tail_fails_a_head_kept_elsewhere(copied: Killed) -> None:
    """The forger is thorough: the head beside the ledger is cut as well."""
    last = copied.records[-1]
    replace_records(copied.ledger, copied.records[:200])
    keep(copied.ledger, copied.records[199])
    assert verify_run(copied.folder, None, lambda *_: None)["ok"]
    for head in (last.chain.hex(), f"{last.position}:{last.chain.hex()}"):
        assert not verify_run(copied.folder, head, lambda *_: None)["ok"]


def test_a_history_rewritten_as_a_whole_fails_a_head_kept_elsewhere(copied: Killed) -> None:
    kept = copied.records[120]
    forged = rechained(row._replace(ts_ns=row.ts_ns + 1) for row in copied.records)
    replace_records(copied.ledger, forged)
    assert verified(copied.folder)[0] == "damaged", "the head beside the ledger tells"
    keep(copied.ledger, forged[-1])
    assert verified(copied.folder)[0] == "whole", "until it is forged as well"
    for head in (copied.records[-1].chain.hex(), f"{kept.position}:{kept.chain.hex()}"):
        found = verify_run(copied.folder, head, lambda *_: None)
        assert not found["ok"]
        assert found["reason"]
