"""Ctrl-C while a run is under way: the first is obeyed between inputs, the second ends the process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from grinder.interruption import Interruption

REPO = Path(__file__).parents[2]


def test_the_first_interruption_waits_until_it_is_asked_for() -> None:
    with Interruption() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        with pytest.raises(KeyboardInterrupt):
            interruption.obey()


def test_without_an_interruption_there_is_nothing_to_obey() -> None:
    with Interruption() as interruption:
        interruption.obey()
    assert not interruption.requested


def test_the_second_interruption_ends_the_process_where_it_is() -> None:
    program = (
        "import signal\n"
        "from grinder.interruption import Interruption\n"
        "with Interruption():\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('noted', flush=True)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "    print('still here', flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(REPO)},
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-signal.SIGINT, "noted\n")


def test_afterwards_an_interruption_is_an_ordinary_one_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
