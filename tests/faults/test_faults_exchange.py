"""Runs of real processes on an exchange: what works there when a ledger fails, a machine dies, or orders are
to be kept."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from exchange_runs import FOREIGN, LONGEST_S, OnExchange, exchange
from live_runs import process_of
from test_faults_processes import write_lock

from grinder.errors import ExitStatus
from grinder.live.asking import ask

ORDERS = 10

LEDGER_FILES = ("ledger.db", "ledger.db-wal", "ledger.db-shm")


@pytest.fixture
def there(tmp_path: Path, request: pytest.FixtureRequest) -> OnExchange:
    """An exchange of the protocol that the test names."""
    context = exchange(getattr(request, "param", "binance"), tmp_path)
    found = context.__enter__()
    request.addfinalizer(lambda: context.__exit__(None, None, None))
    return found


def test_a_ledger_that_cannot_be_written_is_an_emergency_stop_over_the_wire(there: OnExchange) -> None:
    with there.started() as running:
        there.trading(ORDERS)
        there.open_orders(place_foreign=True)
        assert len(there.ids()) > ORDERS
        with write_lock(there.run / "ledger.db"):  # held to the end: nobody reads or writes it after all
            code, _, said = running.ended(LONGEST_S)
            assert there.ids() == [FOREIGN], "all of ours are gone, and no other"
    assert code == ExitStatus.NOT_STORED, said.decode()[-2000:]
    told = said.decode()
    assert "not_stored" in told and "stays down" in told
    assert "orders were cancelled in an emergency" in told
    assert "it starts again" not in told


def test_the_emergency_needs_no_ledger_and_spares_a_run_that_lives(there: OnExchange) -> None:
    with there.started() as running:
        there.trading(ORDERS)
        before = there.open_orders(place_foreign=True)
        assert there.emergency() == ExitStatus.ENVIRONMENT, "a living run's orders are its own"
        assert len(there.open_orders()) == len(before)
        there.kill(running)
    for name in (*LEDGER_FILES, "head.json"):
        (there.run / name).unlink(missing_ok=True)
    (there.run / "ledger.db").write_bytes(b"what was a ledger\n" * 1_000)
    assert there.emergency() == ExitStatus.DONE
    assert there.ids() == [FOREIGN]


def test_a_ledger_damaged_under_a_crashed_run_has_its_orders_cancelled(there: OnExchange) -> None:
    """The restart after a crash finds the damage: the supervisor cancels without that ledger."""
    with there.started() as running:
        there.trading(ORDERS)
        there.open_orders(place_foreign=True)
        os.kill(process_of(there.run), signal.SIGKILL)
        for name in LEDGER_FILES:  # what is in the log alone would mend the file
            (there.run / name).unlink(missing_ok=True)
        (there.run / "ledger.db").write_bytes(b"what was a ledger\n" * 1_000)
        code, _, said = running.ended(LONGEST_S)
    assert code == ExitStatus.DAMAGED, said.decode()[-2000:]
    assert there.ids() == [FOREIGN]


SHORTEST_S = {"binance-usdm": 3, "bybit": 3, "kraken": 3, "okx": 10}
"""The dead-man time of each protocol's test, seconds: what the exchange takes, and not much longer."""


@pytest.mark.slow
@pytest.mark.parametrize("there", sorted(SHORTEST_S), indirect=True)
def test_kept_orders_stay_beyond_the_armed_time_and_those_of_a_dead_machine_do_not(there: OnExchange) -> None:
    armed_s = SHORTEST_S[there.protocol]
    with there.started(dead_man_seconds=armed_s) as running:
        there.trading(ORDERS)
        ask(there.run, "/stop", {"orders": "keep-orders"})
        code, _, said = running.ended(LONGEST_S)
    assert code == ExitStatus.DONE, said.decode()[-2000:]
    kept = there.ids()
    assert len(kept) >= ORDERS
    time.sleep(armed_s + 3)
    assert there.ids() == kept, "the switch was taken off"

    with there.started(dead_man_seconds=armed_s) as running:
        there.trading(ORDERS)
        time.sleep(1.0)
        assert set(kept) <= set(there.ids()), "the next run goes on with them"
        there.kill(running)
    killed = time.monotonic()
    assert there.ids(), "nobody has cancelled them yet"
    time.sleep(armed_s + 1)
    while there.ids() and time.monotonic() - killed < armed_s + 10:
        time.sleep(1.0)
    assert there.ids() == [], "the exchange's switch"
