"""A follower has proven every record it knows, and knows them as soon as they are stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from fault_runs import played, records_of

from actors.records import LedgerRow, chained
from domain.codec import state_digest
from grinder.errors import LedgerError
from grinder.ledger.recorder import FencedError, open_writer
from grinder.live.rebuild import Diverged, rebuild
from grinder.standby.follower import Follower


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[LedgerRow]:
    """Records of a finished run."""
    folder = tmp_path_factory.mktemp("followed") / "run"
    played(folder)
    return records_of(folder / "ledger.db")


def ends_of_inputs(rows: list[LedgerRow]) -> list[int]:
    """How many records there are after each input."""
    return [at for at, row in enumerate(rows) if row.cause == row.position and at] + [len(rows)]


def test_a_follower_has_the_chain_and_the_states_of_the_ledger_after_every_commit(
    rows: list[LedgerRow], tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.db"
    follower = Follower(ledger)
    assert follower.catch_up() == 0, "no ledger yet"
    assert follower.rebuilt() is None
    application, epoch = open_writer(ledger)
    stored = 0
    for until in ends_of_inputs(rows)[::25]:
        application.ledger_recorder.append_rows(rows[stored:until], epoch)
        follower.catch_up()
        assert (follower.position, follower.chain) == (until, rows[until - 1].chain.hex())
        stored = until
    application.ledger_recorder.append_rows(rows[stored:], epoch)
    assert follower.catch_up() == len(rows) - stored
    application.close()
    other = rebuild(ledger)
    mine = follower.rebuilt()
    assert mine is not None
    assert (mine.records, mine.last_ns) == (other.records, other.last_ns)
    assert mine.core.chain == other.core.chain
    for name in other.core.names():
        assert state_digest(mine.core.state_of(name)) == state_digest(other.core.state_of(name)), name
    assert mine.core.take_intents() == other.core.take_intents() == []
    follower.close()


def test_a_follower_that_was_far_behind_reads_on_to_the_head(rows: list[LedgerRow], tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    application, epoch = open_writer(ledger)
    first = ends_of_inputs(rows)[10]
    application.ledger_recorder.append_rows(rows[:first], epoch)
    follower = Follower(ledger)
    assert follower.catch_up() == 0, "what was there is read at the beginning"
    assert follower.position == first
    application.ledger_recorder.append_rows(rows[first:], epoch)
    application.close()
    assert follower.catch_up() == len(rows) - first
    assert follower.chain == rows[-1].chain.hex()
    follower.close()


def test_a_follower_stops_at_a_record_this_program_would_not_have_written(
    rows: list[LedgerRow], tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger.db"
    application, epoch = open_writer(ledger)
    first = ends_of_inputs(rows)[10]
    application.ledger_recorder.append_rows(rows[:first], epoch)
    follower = Follower(ledger)
    follower.catch_up()
    at = next(i for i in range(first, len(rows)) if rows[i].cause != rows[i].position)
    until = next(end for end in ends_of_inputs(rows) if end > at)
    changed = rows[first:until]
    changed[at - first] = changed[at - first]._replace(state=rows[at].state.replace(b"1", b"2"))
    assert changed != rows[first:until]
    chain = rows[first - 1].chain
    for place, row in enumerate(changed):  # a whole chain, of another program
        chain = chained(chain, row.stream, row.version, row.topic, row.ts_ns, row.cause, row.state)
        changed[place] = row._replace(chain=chain)
    application.ledger_recorder.append_rows(changed, epoch)
    application.close()
    with pytest.raises(Diverged, match=f"record {at + 1} of"):
        follower.catch_up()
    follower.close()


def test_a_file_that_is_no_ledger_is_not_followed(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(LedgerError):
        Follower(tmp_path / "ledger.db").catch_up()


def test_the_ledger_itself_refuses_who_was_taken_over_from(rows: list[LedgerRow], tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    before, old = open_writer(ledger)
    ends = ends_of_inputs(rows)
    before.ledger_recorder.append_rows(rows[: ends[3]], old)
    after, new = open_writer(ledger)
    assert new > old
    with pytest.raises(FencedError, match=f"epoch {old}, the ledger {new}"):
        before.ledger_recorder.append_rows(rows[ends[3] : ends[4]], old)
    after.ledger_recorder.append_rows(rows[ends[3] : ends[4]], new)
    assert [row.position for row in records_of(ledger)] == list(range(1, ends[4] + 1))
    before.close()
    after.close()
