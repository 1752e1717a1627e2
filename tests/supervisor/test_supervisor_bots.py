"""Bots are real processes: they crash, hang, loop and end, and each is dealt with on its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grinder.errors import EnvironmentFault, ExitStatus
from grinder.standby.lease import take
from grinder.standby.tenure import Tenure
from grinder.supervisor.bot import Bot
from grinder.supervisor.supervisor import Supervisor, SupervisorLock

SOCKET = """
import json, os, pathlib, socket, sys, time
folder = pathlib.Path(sys.argv[1])
path = str(folder / "s.sock")
if os.path.exists(path):
    os.unlink(path)
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
(folder / "control.json").write_text(json.dumps({"socket": path}))
server.settimeout(0.1)
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    try:
        one, _ = server.accept()
    except TimeoutError:
        continue
    one.recv(1000)
    one.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 16\\r\\n\\r\\n{"healthy":true}')
    one.close()
"""
"""A process that answers its heartbeat for a while."""

TRADES = SOCKET.replace(
    'Content-Length: 16\\r\\n\\r\\n{"healthy":true}', 'Content-Length: 19\\r\\n\\r\\n{"phase":"trading"}'
)
"""The same, of a run that has come as far as trading."""


class World:
    """Bots over small programs, and what was told of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[tuple[str, str]] = []

    def bot(self, name: str, program: str, *arguments: str, **options: object) -> Bot:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        command = [sys.executable, "-c", program, str(folder), *arguments]
        emergency = [
            sys.executable,
            "-c",
            "import sys; open(sys.argv[1] + '/cancelled', 'a').write('x')",
            str(folder),
        ]
        settings = {"dead_man_s": 0.0, "command": command, "emergency": emergency, **options}
        return Bot(name, folder, tell=self._tell, **settings)  # type: ignore[arg-type]

    def _tell(self, level: str, kind: str, text: str) -> None:
        self.told.append((level, kind))

    def cancelled(self, name: str) -> bool:
        return (self.folder / name / "cancelled").exists()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("grinder.supervisor.backoff.FIRST_S", 0.05)
    monkeypatch.setattr("grinder.supervisor.bot.HEARTBEAT_S", 0.1)
    return World(tmp_path)


def ended(bot: Bot, timeout_s: float = 20.0) -> int | None:
    bot.start()
    assert bot.join(timeout_s), bot.state
    return bot.status


@pytest.mark.parametrize("status", [0, 2, 3, 4, 5, 6])
def test_an_end_that_a_restart_would_not_mend_is_final(world: World, status: int) -> None:
    bot = world.bot("one", f"import sys; sys.exit({status})")
    assert ended(bot) == status
    assert bot.back_off.restarts == 0
    assert world.cancelled("one") is (status in (3, 4))
    assert [level for level, _ in world.told] == (["CRITICAL"] if status in (3, 4) else [])


def test_a_ledger_that_cannot_be_written_is_an_emergency_and_no_reason_to_start_again(world: World) -> None:
    bot = world.bot("one", f"raise SystemExit({int(ExitStatus.NOT_STORED)})")
    assert ended(bot) == ExitStatus.NOT_STORED
    assert bot.back_off.restarts == 0
    assert world.cancelled("one")
    assert world.told == [("CRITICAL", "not_stored")]


def test_orders_of_a_run_that_another_node_holds_are_not_cancelled(world: World) -> None:
    for name, node, cancelled in (("another", "standby", False), ("own", "main", True)):
        bot = world.bot(name, f"raise SystemExit({int(ExitStatus.DIVERGED)})", node=node)
        lease = take(bot.folder, None, "main")
        Tenure(bot.folder, lease)
        assert ended(bot) == ExitStatus.DIVERGED
        assert world.cancelled(name) is cancelled
    assert [kind for _, kind in world.told] == ["standby_lost", "ledger_diverged"]


@pytest.mark.parametrize(("reason", "cancelled"), [("start", False), ("no heartbeat of main", True)])
def test_a_process_that_cannot_trade_has_orders_to_cancel_only_if_it_took_the_run_over(
    world: World, reason: str, cancelled: bool
) -> None:
    bot = world.bot("one", f"raise SystemExit({int(ExitStatus.USAGE)})", node="standby")
    Tenure(bot.folder, take(bot.folder, None, "standby", reason))
    assert ended(bot) == ExitStatus.USAGE
    assert world.cancelled("one") is cancelled


def test_a_process_that_reads_its_ledger_is_not_taken_for_the_one_that_trades(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The holder answers on the run's socket; it dies while another node still reads."""
    bot = world.bot("one", "import time; time.sleep(3)", node="standby", silent_s=0.5)
    holder = subprocess.Popen([sys.executable, "-c", SOCKET, str(bot.folder), "1.0"])
    try:
        address = bot.folder / "control.json"
        while not address.exists() or not address.read_bytes().endswith(b"}"):
            time.sleep(0.01)
        found = json.loads(address.read_bytes())
        address.write_text(json.dumps({**found, "process": holder.pid}))
        assert ended(bot) == 0, "it was given the time of a start"
        assert ("CRITICAL", "process_hung") not in world.told
    finally:
        holder.wait()


FAILS_AT_ITS_SECOND_START = (
    "import os, pathlib, sys; p = pathlib.Path(sys.argv[1]) / 'n'; n = p.exists(); p.touch(); "
    "sys.exit(int(sys.argv[2])) if n else os.abort()"
)


@pytest.mark.parametrize("status", [ExitStatus.USAGE, ExitStatus.ENVIRONMENT])
def test_orders_of_a_run_that_crashed_and_cannot_start_again_are_cancelled(world: World, status: int) -> None:
    bot = world.bot("one", FAILS_AT_ITS_SECOND_START, str(int(status)))
    assert ended(bot) == status
    assert world.cancelled("one")
    assert world.told == [("WARNING", "restart"), ("CRITICAL", "cannot_start")]


def test_orders_of_a_run_that_traded_and_ended_in_disorder_are_cancelled_and_others_are_not(
    world: World,
) -> None:
    traded = world.bot("traded", TRADES + f"sys.exit({int(ExitStatus.ENVIRONMENT)})", "0.6")
    assert ended(traded) == ExitStatus.ENVIRONMENT
    assert world.cancelled("traded")
    started = world.bot("started", SOCKET + f"sys.exit({int(ExitStatus.ENVIRONMENT)})", "0.6")
    assert ended(started) == ExitStatus.ENVIRONMENT
    assert not world.cancelled("started")
    ordered = world.bot("ordered", TRADES + f"sys.exit({int(ExitStatus.DONE)})", "0.6")
    assert ended(ordered) == ExitStatus.DONE
    assert not world.cancelled("ordered")


def test_a_run_that_is_stopped_while_it_is_down_has_its_orders_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grinder.supervisor.backoff.FIRST_S", 30.0)
    failing = "import sys; sys.exit(1)"
    for name, emergency, status in (("one", None, ExitStatus.DONE), ("two", failing, ExitStatus.ORDERS_LEFT)):
        options = {"emergency": [sys.executable, "-c", emergency]} if emergency else {}
        bot = world.bot(name, "import os; os.abort()", **options)
        bot.start()
        until = time.monotonic() + 10
        while bot.state != "waiting" and time.monotonic() < until:
            time.sleep(0.02)
        bot.stop()
        assert bot.join(10)
        assert bot.status == status
    assert world.cancelled("one")
    assert world.told[-1] == ("CRITICAL", "orders_left")


def test_a_disk_that_takes_nothing_keeps_no_run_from_being_started_again_or_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("grinder.supervisor.backoff.write_private", full)
    bot = world.bot("one", "raise SystemExit(1)")
    assert ended(bot) == ExitStatus.GAVE_UP
    assert bot.back_off.restarts == 3
    assert world.cancelled("one")


def test_a_process_that_cannot_be_started_at_all_is_a_crash(world: World) -> None:
    bot = world.bot("one", "", command=["/nowhere/at/all"])
    assert ended(bot) == ExitStatus.GAVE_UP
    assert world.cancelled("one")


def test_a_run_whose_risk_actor_failed_stays_down_at_once_with_its_orders_cancelled(world: World) -> None:
    bot = world.bot("one", f"raise SystemExit({int(ExitStatus.GAVE_UP)})")
    assert ended(bot) == ExitStatus.GAVE_UP
    assert bot.back_off.restarts == 0
    assert world.cancelled("one")
    assert world.told == [("CRITICAL", "risk_failed")]


def test_a_crash_is_started_again_and_told(world: World) -> None:
    program = (
        "import os, pathlib, sys; p = pathlib.Path(sys.argv[1]) / 'n'; n = p.exists(); p.touch(); "
        "n or os.abort()"
    )
    bot = world.bot("one", program)
    assert ended(bot) == 0
    assert bot.back_off.restarts == 1
    assert world.told == [("WARNING", "restart")]


def test_a_crash_loop_stays_down_with_its_orders_cancelled_and_an_alert(world: World) -> None:
    bot = world.bot("one", "raise SystemExit(1)")
    assert ended(bot) == ExitStatus.GAVE_UP
    assert world.told[-1] == ("CRITICAL", "crash_loop")
    assert bot.back_off.restarts == 3
    assert world.cancelled("one")
    again = world.bot("one", "raise SystemExit(1)")
    assert ended(again) == ExitStatus.GAVE_UP
    assert again.back_off.restarts == 3, "a new supervisor counts on"


def test_a_process_that_stops_answering_is_killed_and_started_again(world: World) -> None:
    hung = SOCKET + "\ntime.sleep(0 if (folder / 'n').exists() else ((folder / 'n').touch() or 60))"
    bot = world.bot("one", hung, "0.6", silent_s=0.5)
    assert ended(bot) == 0
    assert ("CRITICAL", "process_hung") in world.told
    assert bot.back_off.restarts == 1


def test_orders_of_a_run_that_is_down_too_long_are_cancelled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grinder.supervisor.backoff.FIRST_S", 5.0)
    bot = world.bot("one", f"raise SystemExit({int(ExitStatus.EXCHANGE)})", dead_man_s=0.2)
    bot.start()
    until = time.monotonic() + 10
    while not world.cancelled("one") and time.monotonic() < until:
        time.sleep(0.05)
    assert world.cancelled("one")
    assert bot.state == "waiting"
    bot.stop()
    assert bot.join(5)


def test_one_bot_that_crashes_leaves_the_others_alone(world: World) -> None:
    good = world.bot("good", SOCKET, "1.5")
    bad = world.bot("bad", "raise SystemExit(1)")
    status = Supervisor([good, bad]).run()
    assert (good.status, bad.status) == (0, ExitStatus.GAVE_UP)
    assert good.back_off.restarts == 0
    assert status is ExitStatus.GAVE_UP


def test_a_stop_is_passed_on_and_the_run_ends_as_it_wants(world: World) -> None:
    program = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(6)); print(); time.sleep(60)"
    bot = world.bot("one", program)
    bot.start()
    until = time.monotonic() + 5
    while bot.process_id is None and time.monotonic() < until:
        time.sleep(0.01)
    time.sleep(0.5)  # until its handler is there
    bot.stop()
    assert bot.join(10)
    assert bot.status == ExitStatus.ORDERS_LEFT


def test_a_second_supervisor_on_a_folder_is_refused(world: World) -> None:
    bot = world.bot("one", "pass")
    with SupervisorLock(bot.folder), pytest.raises(EnvironmentFault) as refused:
        Supervisor([world.bot("one", "pass")]).run()
    assert refused.value.code == "ledger.locked"
    assert str(os.getpid()) in refused.value.what
