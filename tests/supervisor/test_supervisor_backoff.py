"""When a run that failed may start again, and what of that survives the supervisor."""

from __future__ import annotations

from pathlib import Path

import pytest

from grinder.supervisor.backoff import HELD_S, LONGEST_S, MOST_CRASHES, BackOff


def test_the_wait_doubles_up_to_its_longest_and_starts_anew_after_a_run_that_held(tmp_path: Path) -> None:
    found = BackOff(tmp_path / "supervisor.json")
    waits = []
    for number in range(8):
        assert found.failed(number * 100.0, ran_s=1.0)
        waits.append(found.delay_s)
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    found.failed(10_000.0, ran_s=HELD_S)
    assert found.delay_s == 1


def test_more_crashes_than_allowed_in_a_minute_keep_it_down(tmp_path: Path) -> None:
    found = BackOff(tmp_path / "supervisor.json")
    allowed = [found.failed(float(at), ran_s=1.0) for at in range(MOST_CRASHES + 1)]
    assert allowed == [True] * MOST_CRASHES + [False]
    assert found.failed(200.0, ran_s=1.0), "a minute later they are forgotten"


def test_an_exchange_that_is_away_for_hours_is_not_given_up(tmp_path: Path) -> None:
    found = BackOff(tmp_path / "supervisor.json")
    assert all(found.failed(float(at), ran_s=0.1, counts=False) for at in range(100))


def test_a_supervisor_that_restarts_goes_on_waiting_and_counting(tmp_path: Path) -> None:
    path = tmp_path / "supervisor.json"
    before = BackOff(path)
    for at in (100.0, 101.0, 102.0):
        before.failed(at, ran_s=1.0)
    after = BackOff.load(path)
    assert after.wait_s(102.0) == before.wait_s(102.0) == 4.0
    assert after.restarts == 3
    assert not after.failed(103.0, ran_s=1.0), "the fourth crash within a minute"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"crashes": "many", "delay_s": null, "not_before": {}}'])
def test_a_torn_file_is_a_fresh_start_and_not_a_failure(tmp_path: Path, text: str) -> None:
    path = tmp_path / "supervisor.json"
    path.write_text(text)
    assert BackOff.load(path).wait_s(0.0) == 0


def test_a_clock_set_back_cannot_keep_a_run_down(tmp_path: Path) -> None:
    found = BackOff(tmp_path / "supervisor.json")
    found.failed(1_000_000.0, ran_s=1.0)
    assert found.wait_s(0.0) <= LONGEST_S
