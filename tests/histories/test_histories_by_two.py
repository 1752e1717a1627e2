"""Two processes prove what one proves, and find what one finds, wherever the ledger is cut between them."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest
from make import read
from small_ledgers import rechained, write_ledger

from actors.journal import MemoryJournal
from actors.records import LedgerRow
from domain.codec import decode
from grinder import replaying
from grinder.replaying import prove_first_part, replay_ledger
from replay.folding import Folded
from replay.replayer import ReplayResult, replay

GOOD = ("long_spot", "neutral_perpetual", "stop_loss")


@pytest.fixture(autouse=True)
def _for_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replaying, "FEWEST", 10)
    monkeypatch.setattr(replaying, "STARTING", 0)


def by_two(ledger: Path) -> tuple[ReplayResult, list[str]]:
    """What was found, and why one process had to look at it alone, if it had to."""
    looks: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(replaying, "_tell_of_another_look", lambda path, why: looks.append(why))
        return replay_ledger(ledger, processes=2), looks


def folded_to(records: Sequence[LedgerRow], position: int) -> Folded:
    folded = Folded()
    folded.take((r.position, r.stream, r.version, r.topic, r.state) for r in records[:position])
    if position:
        folded.ts_ns, folded.chain = records[position - 1].ts_ns, records[position - 1].chain
    return folded


def ends_of_answers(records: Sequence[LedgerRow]) -> Iterator[int]:
    """Positions at which the core was at rest."""
    for row in records:
        if row.cause == row.position:
            yield row.position - 1


@pytest.mark.parametrize("name", GOOD)
def test_folding_and_replaying_lead_to_the_same_states_at_every_position_at_rest(name: str) -> None:
    records = read(name)
    for position in ends_of_answers(records):
        assert folded_to(records, position).digests() == replay(records[:position]).digests()


@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
@pytest.mark.parametrize("name", GOOD)
def test_two_processes_prove_a_golden_history(
    name: str, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read(name)
    monkeypatch.setattr(replaying, "FOLDING", 2 - 1 / share)
    found, alone = by_two(write_ledger(tmp_path / "ledger.db", records))
    assert not alone
    alone_found = replay(records)
    assert found == alone_found
    assert found.states() == alone_found.states()
    assert found.identical


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_two_processes_find_the_difference_that_one_finds_before_and_after_the_cut(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read("tampered")
    monkeypatch.setattr(replaying, "FOLDING", 2 - 1 / share)
    found, alone = by_two(write_ledger(tmp_path / "ledger.db", records))
    assert len(alone) == 1
    assert found == replay(records)
    assert found.divergence is not None


def test_a_rest_that_follows_from_a_forged_first_part_is_not_taken_for_proved(tmp_path: Path) -> None:
    """Nothing in the second part differs: only joining the two parts shows that it rests on nothing."""
    records = read("long_spot")
    middle = len(records) // 2
    filled = next(r for r in records if r.topic == "OrderFilled/1")
    state = orjson.loads(filled.state)
    state["fee_units"] += 1
    forged = filled._replace(state=orjson.dumps(state, option=orjson.OPT_SORT_KEYS))
    first = rechained([forged if r is filled else r for r in records[: middle + 40]])
    cut = max(at for at in ends_of_answers(first) if at <= middle)
    assert cut > filled.position
    journal = MemoryJournal()
    core = folded_to(first, cut).core(journal)
    for row in records[cut:]:
        if row.cause == row.position:
            core.learn(decode(row.topic, row.state), row.ts_ns)
    ledger = write_ledger(tmp_path / "ledger.db", [*first[:cut], *journal.rows])
    found, alone = by_two(ledger)
    assert alone == ["the first part was not proved"] or alone == ["the first part differs"]
    assert found.divergence is not None
    assert found.divergence.position == filled.position


def test_the_other_process_answers_with_what_the_first_part_led_to_or_with_nothing(tmp_path: Path) -> None:
    records = read("tampered")
    ledger = write_ledger(tmp_path / "ledger.db", records)
    cut = next(at for at in ends_of_answers(records) if at > 20)
    assert prove_first_part(ledger, cut) == {"records": cut, "states": replay(records[:cut]).digests()}
    assert prove_first_part(ledger, len(records)) is None


def test_when_the_other_process_dies_one_proves_the_ledger_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = read("long_spot")
    begin = replaying.subprocess.Popen

    def doomed(*args: object, **settings: object) -> object:
        process = begin(*args, **settings)  # type: ignore[call-overload]
        process.send_signal(signal.SIGKILL)
        return process

    monkeypatch.setattr(replaying.subprocess, "Popen", doomed)
    found, alone = by_two(write_ledger(tmp_path / "ledger.db", records))
    assert alone
    assert found == replay(records)
    assert found.identical


def test_progress_grows_and_ends_with_no_more_than_there_is(tmp_path: Path) -> None:
    records = read("long_spot")
    told: list[int] = []
    replay_ledger(write_ledger(tmp_path / "ledger.db", records), told.append, processes=2)
    assert told == sorted(told)
    assert 0 < told[-1] <= len(records)
