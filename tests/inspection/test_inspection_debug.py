"""The stepper: every way from a record to another, states before and after, and the code behind them."""

from __future__ import annotations

import os
import pty
import select
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from stories import REPO, called, process, told

from actors.core import Core
from actors.journal import MemoryJournal
from domain.codec import decode, state_hash
from grinder.errors import UserError
from grinder.inspection.conditions import parse
from grinder.inspection.inside_decide import stop_in_decide
from grinder.inspection.records import Records
from grinder.inspection.stepper import COMMANDS, KEYS, Leave, Stepper
from grinder.inspection.travel import KEPT_EVERY, Travel


@pytest.fixture
def records(story: Path) -> Iterator[Records]:
    with Records(story) as found:
        yield found


@pytest.fixture
def step(records: Records) -> Stepper:
    return Stepper(records)


def steps(run: Path, *commands: str, status: int = 0) -> list[dict[str, Any]]:
    """The answers of a script."""
    ended = called("debug", run, "--json", text="\n".join(commands) + "\n", status=status)
    return [orjson.loads(line) for line in ended.stdout.splitlines()]


def test_states_at_every_position_are_those_of_the_core(capped: Path) -> None:
    core = Core(MemoryJournal())
    with Records(capped) as found:
        travel = Travel(found)
        for row in found.since(1):
            if row.cause != row.position:
                continue
            before = travel.at(core.position)
            if row.position % 7 == 0:
                assert all(state_hash(core.state_of(name)) == state_hash(before[name]) for name in before)
            core.learn(decode(row.topic, row.state), row.ts_ns)
        assert travel.at(core.position).keys() == set(core.names())


def test_going_back_evolves_little_and_finds_the_same_states(capped: Path) -> None:
    with Records(capped) as found:
        head = found.head()
        once = Travel(found)
        once.at(head)
        assert once.evolved == head
        for position in (head - 1, head - 10, head // 2, 1):
            before = once.evolved
            again = once.at(position)
            assert once.evolved - before <= min(KEPT_EVERY, position)
            fresh = Travel(found).at(position)
            assert {name: state_hash(one) for name, one in again.items()} == {
                name: state_hash(one) for name, one in fresh.items()
            }


def test_every_command_has_a_word_a_key_and_a_meaning() -> None:
    assert len({word for word, *_ in COMMANDS}) == len(KEYS) == len(COMMANDS)
    assert all(
        hasattr(Stepper, "do_" + word.replace("-", "_")) and meaning for word, _, _, meaning in COMMANDS
    )
    manual = (REPO / "docs/debug.md").read_text()
    assert all(f"`{word}`" in manual and f"`{key}`" in manual for word, key, *_ in COMMANDS)


def test_steps_go_by_record_input_and_fill_and_back(step: Stepper, records: Records) -> None:
    rows = {row.position: row for row in records.since(1)}
    fills = [at for at, row in rows.items() if row.topic == "OrderFilled/1"]
    inputs = [at for at, row in rows.items() if row.cause == at]
    step.do("n 3")
    assert step.position == 4
    step.do("back")
    assert step.position == 3
    step.do("fill")
    assert step.position == fills[0]
    step.do("f")
    assert step.position == fills[1]
    step.do("F")
    assert step.position == fills[0]
    step.do("input")
    assert step.position == next(at for at in inputs if at > fills[0])
    step.do("input-back 2")
    assert step.position == [at for at in inputs if at <= fills[0]][-2:][0] or step.position in inputs
    step.do("end")
    assert step.position == max(rows)
    step.do("start")
    assert step.position == 1
    step.do("17")
    assert step.position == 17
    with pytest.raises(UserError, match="no such record before"):
        step.do("back 1")
        step.do("fill-back")


def test_causes_and_effects_are_walked(step: Stepper, records: Records) -> None:
    step.do("find fill=FILL-A, type=LevelFilled")
    here = step.row()
    step.do("cause")
    assert step.position == here.cause
    step.do("effect")
    assert step.row().cause == here.cause
    step.do(f"goto {here.position}")
    assert "FillReport" in step.do("why")[0]
    assert any(line.startswith("=>") for line in step.do("then"))
    step.do("find type=LevelReleased")
    with pytest.raises(UserError, match="nothing follows"):
        step.do("effect")


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("stream=account, type=OrderFilled", "OrderFilled/1"),
        ("type=OrderRe*, side=sell", "OrderRequested/1"),
        ("price<60979, type=OrderFilled", "OrderFilled/1"),
        ("symbol=BTCUSDT, quantity>=0.008, type=FillReport", "FillReport/1"),
        ("level=6, type=LevelReleased", "LevelReleased/1"),
        ("reason~-2010", "OrderRejectedReport/1"),
        ("terms.side=buy", "OrderRequested/1"),
        ("fill=FILL-B1, stream=symbol/BTCUSDT", "LevelFilled/1"),
        ("time>=2023-11-14T22:13:24, fee>0.5", "FillReport/1"),
        ("actor=BTCUSDT, cycle_done!=True, type=LevelFilled", "LevelFilled/1"),
    ],
)
def test_a_condition_finds_its_record(step: Stepper, text: str, topic: str) -> None:
    step.do(f"find {text}")
    assert step.row().topic == topic
    at = step.position
    step.do("end")
    step.do(f"find-back {text}")
    assert step.position >= at


@pytest.mark.parametrize("text", ["", "price", "price<", "=3", "price=<3", "time>soon"])
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse(text)


def test_amounts_are_compared_exactly_and_not_as_text(step: Stepper) -> None:
    step.do("find type=FillReport, price=60979.0")
    assert step.row().topic == "FillReport/1"
    with pytest.raises(UserError, match="that matches"):
        step.do("find type=FillReport, price<9")


def test_breakpoints_stop_a_run_in_both_directions(step: Stepper) -> None:
    assert step.do("break type=OrderFilled") == ["breakpoint 1: type=OrderFilled"]
    assert step.do("break 20") == ["breakpoint 2: position=20"]
    step.do("run")
    assert step.position == 20
    step.do("run")
    assert step.row().topic == "OrderFilled/1"
    step.do("run-back")
    assert step.position == 20
    assert len(step.do("breaks")) == 2
    step.do("clear 2")
    step.do("start")
    step.do("c")
    assert step.row().topic == "OrderFilled/1"
    assert step.do("clear") == ["no breakpoints"]
    for line in ("run", "clear 7"):
        with pytest.raises(UserError):
            step.do(line)


def test_what_a_record_changed_is_shown_with_its_unit(step: Stepper) -> None:
    step.do("find type=LevelFilled, fill=FILL-A")
    changed = {one.path: (one.before, one.after) for one in step.changed()}
    assert changed["levels[8].held"] == ("0 BTC", "0.008 BTC")
    assert changed["levels[8].phase"] == ("opening", "holding")
    step.do("actor portfolio")
    assert step.changed() == []
    step.do("find type=InventoryChanged")
    assert {one.path for one in step.changed()} >= {"cash", "symbols[BTCUSDT].inventory"}
    assert any("cash: " in line for line in step.do("state"))
    step.do("actor")
    assert "account" in step.do("state account")[0]


def test_what_is_kept_by_symbol_is_shown_in_the_symbol_s_units(step: Stepper) -> None:
    step.do("find type=InventoryChanged")
    step.do("actor portfolio")
    changed = {one.path: one for one in step.changed()}
    mark = changed["symbols[BTCUSDT].mark_ticks"]
    assert "ticks" not in mark.before + mark.after and Decimal(mark.after.split()[0]) > 10_000


def test_a_wrong_command_says_which_there_are(step: Stepper) -> None:
    wrong = {"bogus": "command", "f 0": "count", "goto": "place", "m": "no_condition", "in": "command"}
    for line, code in {**wrong, "actor nobody": "actor"}.items():
        with pytest.raises(UserError) as refused:
            step.do(line)
        assert refused.value.code == f"debug.{code}"
    assert "breakpoint" in " ".join(step.do("h"))
    with pytest.raises(Leave):
        step.do("q")


def test_a_stepper_follows_a_ledger_that_grows(tmp_path: Path) -> None:
    from grinder.ledger.recorder import open_application

    longer = told(tmp_path / "longer", paused=True)
    run = told(tmp_path / "run", paused=False)
    with Records(run) as found, Records(longer) as other:
        following = Stepper(found)
        following.do("follow")
        assert following.position == found.head()
        assert not following.came()
        more = list(other.since(found.head() + 1))
        application = open_application(run / "ledger.db")
        application.ledger_recorder.append_rows(more, application.ledger_recorder.take_epoch())
        application.close()
        assert following.came()
        assert following.position == other.head()
        assert "paused" in " ".join(following.shown())
        following.do("back")
        assert not following.following


def test_a_script_answers_one_object_a_command(story: Path) -> None:
    found = steps(story, "fill", "# a remark", "cause", "bogus", "why; effect", "quit", "never", status=2)
    assert [one["command"] for one in found] == ["fill", "cause", "bogus", "why", "effect"]
    assert found[0]["type"] == "OrderFilled/1"
    assert found[0]["changed"]
    assert found[1]["position"] == found[0]["cause"]
    assert found[2]["error"]["code"] == "debug.command"


def test_a_script_in_plain_text_ends_with_the_status_of_what_failed(story: Path) -> None:
    ended = process("debug", story, text="fill\nbogus\n")
    assert ended.returncode == 2
    assert "led to:" in ended.stdout
    assert "[debug.command]" in ended.stderr
    assert process("debug", story, "--at", "2023-11-14T22:13:24", text="").stdout.startswith("record ")


def test_a_ledger_without_records_is_refused(tmp_path: Path) -> None:
    from small_ledgers import write_ledger

    (tmp_path / "run").mkdir()
    write_ledger(tmp_path / "run" / "ledger.db", [])
    assert "debug.empty" in called("debug", tmp_path / "run", text="", status=2).stderr


def test_pdb_stops_in_the_decide_that_made_a_record(story: Path) -> None:
    with Records(story) as found:
        position = next(row.position for row in found.since(1) if row.topic == "LevelFilled/1")
    ended = process(
        "debug", story, "--at", position, "--pdb", text="s\np type(message).__name__\np state.mode\nc\n"
    )
    assert ended.returncode == 0, ended.stderr
    assert "domain/symbol.py" in ended.stdout
    assert "'OrderFilled'" in ended.stdout
    assert "'long'" in ended.stdout
    assert "decided the same as the ledger holds" in ended.stdout


def test_leaving_pdb_is_no_failure(story: Path) -> None:
    ended = process("debug", story, "--at", "16", "--pdb", text="q\n")
    assert "Traceback" not in ended.stderr + ended.stdout
    assert ended.returncode == 3  # it did not decide anything


def test_an_input_has_no_decide(records: Records) -> None:
    with pytest.raises(UserError, match="learned, not decided"):
        stop_in_decide(records, 1)


class Typist:
    """`grinder debug` in a terminal of its own, with somebody at the keys."""

    def __init__(self, *arguments: object) -> None:
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(REPO)
            os.environ.update(TERM="xterm", COLUMNS="120", LINES="40")
            os.execv(sys.executable, [sys.executable, "-m", "grinder", *map(str, arguments)])
        self.seen = b""

    def until(self, text: str, timeout_s: float = 10.0) -> None:
        end = time.monotonic() + timeout_s
        while text.encode() not in self.seen:
            assert time.monotonic() < end, self.seen[-2000:]
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:  # the other end is closed
                    break

    def press(self, keys: str, text: str) -> None:
        self.seen = b""
        os.write(self.fd, keys.encode())
        self.until(text)

    def ended(self) -> int:
        end = time.monotonic() + 10
        while time.monotonic() < end:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.fd, 65536)
                except OSError:
                    break
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_single_keys_move_through_a_run_in_a_terminal(story: Path) -> None:
    typist = Typist("debug", story)
    typist.until("record 1 of")
    typist.press("n", "record 2 of")
    typist.press("\x1b[D", "record 1 of")
    typist.press("f", "OrderFilled/1 of account")
    typist.press("/", "find (such as")
    typist.press("type=LevelReleased\n", "LevelReleased/1 of symbol/BTCUSDT")
    typist.press("g", "position or time")
    typist.press("17\n", "record 17 of")
    typist.press("h", "to the next fill")
    typist.press("\x1b", "record 17 of")
    typist.press("Z", "no command on this key")
    typist.press("o", "FOLLOWING")
    os.write(typist.fd, b"q")
    assert typist.ended() == 0
    assert b"\x1b[?1049l" in typist.seen


def test_ctrl_c_gives_the_terminal_back(story: Path) -> None:
    typist = Typist("debug", story)
    typist.until("record 1 of")
    os.write(typist.fd, b"\x03")
    assert typist.ended() == 130
    assert b"\x1b[?1049l" in typist.seen
