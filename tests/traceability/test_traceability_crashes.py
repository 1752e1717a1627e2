"""A crash at each record and a write-ahead log torn anywhere: every fill counts once."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from small_ledgers import copy_run, ledger_rows, replace_records, run_into, trades_file

from actors.records import LedgerRow
from grinder.ledger.reading import is_begun
from grinder.ledger.recorder import open_application
from grinder.ledger.verify import verify
from replay.replayer import replay


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a market and a short finished run."""
    folder = tmp_path_factory.mktemp("home")
    run_into(folder / "run", trades_file(folder / "trades.csv", 2_000))
    return folder


@pytest.fixture(scope="module")
def whole(home: Path) -> list[LedgerRow]:
    return ledger_rows(home / "run" / "ledger.db")


def test_a_crash_after_any_record_of_a_fill_leads_to_the_same_records(
    home: Path, whole: list[LedgerRow], tmp_path: Path
) -> None:
    fills = [row.position for row in whole if row.topic == "FillReport/1"]
    # From before the second fill is recorded to after the last order that followed from the third.
    steps = range(fills[1] - 1, fills[3])
    passed = {row.topic.partition("/")[0] for row in whole[steps[0] : steps[-1]]}
    assert passed >= {"FillReport", "OrderFilled", "InventoryChanged", "LevelFilled", "OrderRequested"}
    assert passed >= {"OrderAllowed", "OrderSubmitted", "OrderAccepted"}
    for kept in steps:
        run = copy_run(home / "run", tmp_path / f"run-{kept}")
        replace_records(run / "ledger.db", whole[:kept])
        result = run_into(run, home / "trades.csv")
        assert result.resumed_records == kept
        assert result.as_dict()["identity_residual"] == "0"
        assert ledger_rows(run / "ledger.db") == whole, f"crashed after record {kept}"
        shutil.rmtree(run)


def groups(records: Sequence[LedgerRow]) -> Iterator[Sequence[LedgerRow]]:
    """Each input with what followed from it: what one transaction holds at least."""
    starts = [n for n, row in enumerate(records) if row.cause == row.position]
    for start, end in pairwise([*starts, len(records)]):
        yield records[start:end]


def torn(log: bytes, chance: random.Random) -> bytes:
    """What may be left of a write-ahead log: an end that is missing, zero, noise or a flipped byte."""
    at = chance.randrange(len(log))
    return chance.choice(
        [
            log[:at],
            log[:at] + bytes(len(log) - at),
            log[:at] + chance.randbytes(min(4096, len(log) - at)),
            log[:at] + bytes([log[at] ^ 1 << chance.randrange(8)]) + log[at + 1 :],
        ]
    )


def test_a_write_ahead_log_torn_anywhere_leaves_whole_inputs_and_a_run_that_goes_on(
    home: Path, whole: list[LedgerRow], tmp_path: Path
) -> None:
    path = tmp_path / "written.db"
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    epoch = recorder.take_epoch()
    for group in groups(whole):
        recorder.append_rows(group, epoch)
    base = path.read_bytes()
    log = path.with_name("written.db-wal").read_bytes()
    application.close()
    assert len(log) > 50_000

    chance = random.Random(20240611)
    left: set[int] = set()
    ends = {0, *(group[-1].position for group in groups(whole))}
    for number in range(150):
        folder = tmp_path / f"torn-{number}"
        folder.mkdir()
        ledger = folder / "ledger.db"
        ledger.write_bytes(base)
        (folder / "ledger.db-wal").write_bytes(torn(log, chance))
        if is_begun(ledger):
            assert verify(ledger).ok, number
            found = ledger_rows(ledger)
            assert found == whole[: len(found)], number
            assert len(found) in ends, "an input was torn from what followed from it"
            assert replay(found).identical
            left.add(len(found))
        if number % 10 == 0:
            shutil.copyfile(home / "run" / "manifest.json", folder / "manifest.json")
            run_into(folder, home / "trades.csv")
            assert ledger_rows(ledger) == whole, number
        shutil.rmtree(folder)
    assert len(left) > 20, "the tears hit few different moments"
