"""One run under supervision: its process, its heartbeat, its end.

Law: a process that is dead or does not answer is ended for good before the next one starts, and one bot's
failure touches no other.  Where nobody can be sure of the orders, a process made for that cancels them.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from grinder.errors import ExitStatus, UserError
from grinder.live.asking import ask
from grinder.live.places import MAIN, address_file, read_json, supervisor_file
from grinder.log import logger
from grinder.standby.beats import STANDBY, age_ns, read_beat
from grinder.standby.lease import OVER, START, STOPPED, Lease, end, read_lease
from grinder.standby.processes import NS, boot_id, boot_ns
from grinder.standby.sight import holder_alive, is_of_another
from grinder.supervisor.backoff import BackOff

POLL_S = 0.05
HEARTBEAT_S = 1.0
HEARTBEAT_TIMEOUT_S = 5.0
SILENT_S = 10.0
"""A process that answered before and is silent for longer is taken for hung."""

STUCK_S = 15.0
"""A takeover that lasts longer is told: the process before cannot be ended, or the ledger not be locked."""

STARTING_S = 600.0
"""A process may be busy for this long before it first answers: it replays its ledger."""

EMERGENCY_S = 120.0

FINAL = (
    ExitStatus.DONE,
    ExitStatus.USAGE,
    ExitStatus.ENVIRONMENT,
    ExitStatus.ORDERS_LEFT,
)
"""Statuses after which starting again would change nothing."""

IN_ORDER = (ExitStatus.DONE, ExitStatus.ORDERS_LEFT)
"""Ends of a run that has done with its orders what it could, and has told."""

CANNOT_GO_ON = {
    ExitStatus.GAVE_UP: ("risk_failed", "the actor that watches risk failed"),
    ExitStatus.NOT_STORED: ("not_stored", "its ledger cannot be written"),
    ExitStatus.DIVERGED: ("ledger_diverged", "this program decides otherwise than its ledger says"),
    ExitStatus.DAMAGED: ("ledger_damaged", "its ledger is damaged"),
}
"""Statuses that are an emergency at once: kind of the alert, and why.  Nothing starts such a run again by
itself, and its orders are cancelled by a process that needs no ledger."""

Tell = Callable[[str, str, str], None]
"""Told of what somebody should know: level, kind, text."""


def command_of(folder: Path, module: str, *extra: str) -> list[str]:
    """How a process of a run is started."""
    return [sys.executable, "-m", module, str(folder), *extra]


class Bot:
    """One process of a run, kept up by a thread of its own.

    Attributes:
        node: name of the process among those of the run.
        status: how it ended for good; None while it is under way.
        state: ``starting``, ``running``, ``waiting``, ``down`` or ``ended``.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        dead_man_s: float,
        tell: Tell,
        arguments: Sequence[str] = (),
        command: Sequence[str] | None = None,
        emergency: Sequence[str] | None = None,
        silent_s: float = SILENT_S,
        clock: Callable[[], float] = time.time,
        node: str = MAIN,
        standby: bool = False,
    ) -> None:
        self.name = name
        self.node = node
        self.folder = folder
        self.status: int | None = None
        self.state = "starting"
        self.back_off = BackOff.load(supervisor_file(folder, node))
        self.health: dict[str, Any] = {}
        self._dead_man_s = dead_man_s
        self._tell = tell
        self._silent_s = silent_s
        self._clock = clock
        self._command = list(
            command or command_of(folder, "grinder.live.process", "--supervised", "--node", node, *arguments)
        )
        self._emergency = list(emergency or command_of(folder, "grinder.live.emergency", "--node", node))
        self._process: subprocess.Popen[bytes] | None = None
        self._stops = 0
        self._wake = threading.Event()
        self._down_since: float | None = None
        self._cancelled = False
        self._left = False
        """Whether orders were left by an emergency."""
        self._standby = standby
        self._stuck = False
        """Whether its process has the lease and does not come to trading."""
        self._starts = 0
        self._traded = False
        """Whether the process that ran last came as far as trading."""
        self._thread = threading.Thread(target=self._keep_up, name=f"bot {name}", daemon=True)

    # --- from outside ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to keep the run up."""
        self._thread.start()

    def stop(self) -> None:
        """End the run; the second time, without waiting for its orders."""
        self._stops += 1
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
        self._wake.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end; whether it came."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @property
    def process_id(self) -> int | None:
        """The process that runs now."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    # --- on its thread ---------------------------------------------------------------------------------

    def _keep_up(self) -> None:
        try:
            while self.status is None:
                self._wait_for_turn()
                if self._stops:
                    self.status = int(self._stopped_while_down())
                    break
                began = time.monotonic()
                code = self._run_once()
                self._after(code, time.monotonic() - began)
        finally:
            self.state = "ended" if self.status in (0, None) else "down"

    def _wait_for_turn(self) -> None:
        until = time.monotonic() + self.back_off.wait_s(self._clock())
        while not self._stops and (left := until - time.monotonic()) > 0:
            self.state = "waiting"
            self._cancel_if_alone_too_long()
            self._wake.wait(min(left, 0.5))

    def _now(self) -> list[str]:
        """How the process is started this time: what traded goes on at once, what stood by stands by."""
        self._starts += 1
        more = ["--again"] if self._starts > 1 else []
        if self._standby and not self._is_holder():
            more.append("--standby")
        return [*self._command, *more]

    def _run_once(self) -> int:
        """One process, from its start to its end; its exit status, negative for a signal."""
        self.state = "starting"
        try:
            process = subprocess.Popen(self._now(), stdin=subprocess.PIPE, start_new_session=True)
        except OSError as error:  # no memory, no processes left: as good as one that died at once
            logger().error("a process cannot be started", bot=self.name, reason=str(error))
            return int(ExitStatus.UNEXPECTED)
        self._process = process
        if self._stops:
            process.send_signal(signal.SIGTERM)
        answered = beat = time.monotonic()
        while process.poll() is None:
            time.sleep(POLL_S)
            now = time.monotonic()
            if now - beat < HEARTBEAT_S:
                continue
            beat = now
            if self._answers():
                answered = time.monotonic()
                self.state = "running"
                # It has taken over what was left of its orders, or another process of the run has.
                if self.health.get("phase") == "trading":
                    self._down_since, self._cancelled, self._traded = None, False, True
                elif self.health.get("phase") == STANDBY:
                    self._down_since, self._cancelled, self._traded = None, False, False
            elif now - answered > (self._silent_s if self.state == "running" else STARTING_S):
                self._tell("CRITICAL", "process_hung", f"{self.name} does not answer and is ended")
                process.kill()
        if process.stdin is not None:
            process.stdin.close()
        return process.wait()

    def _answers(self) -> bool:
        if self._stands_by():
            self.health = {"phase": STANDBY}
            self._tell_if_stuck()
            return True
        if read_json(address_file(self.folder)).get("process", self.process_id) != self.process_id:
            return False  # what answers there is the process of another node
        try:
            self.health = ask(self.folder, "/healthz", timeout_s=min(HEARTBEAT_TIMEOUT_S, self._silent_s))
        except UserError:
            return False
        return True

    def _stands_by(self) -> bool:
        """Whether the process follows the ledger, and said so just now."""
        beat = read_beat(self.folder, self.node)
        if beat is None or beat.role != STANDBY or beat.process.number != self.process_id:
            return False
        age = age_ns(beat, boot_id(), boot_ns())
        return age is not None and age <= self._silent_s * NS

    def _lease(self) -> Lease | None:
        """The lease of the run; None where a run needs none, or nobody can say."""
        try:
            return read_lease(self.folder)
        except OSError:
            return None

    def _is_holder(self) -> bool:
        """Whether the run is this node's, though its process may be gone."""
        lease = self._lease()
        return lease is not None and lease.node == self.node and lease.ended not in OVER

    def _took_over(self) -> bool:
        """Whether the run came to this node from another, with whatever orders there were."""
        lease = self._lease()
        return lease is not None and self._is_holder() and lease.reason != START

    def _tell_if_stuck(self) -> None:
        """Alert once when the process has taken the lease and does not come to trading."""
        lease = self._lease()
        mine = lease is not None and lease.node == self.node and not lease.ended
        stuck = mine and lease is not None and boot_ns() - lease.taken_ns > STUCK_S * NS
        if stuck and not self._stuck:
            self._tell("CRITICAL", "takeover_stuck", f"{self.name} cannot take over yet: see its log")
        self._stuck = stuck

    def _after(self, code: int, ran_s: float) -> None:
        """What follows from the end of a process."""
        alone = self._traded or self._down_since is not None or self._took_over()
        self._traded = False
        if self._down_since is None:
            self._down_since = time.monotonic()
        if code in CANNOT_GO_ON:
            kind, why = CANNOT_GO_ON[ExitStatus(code)]
            self.status = code
            if is_of_another(self.folder, self.node):
                if holder := holder_alive(self.folder):
                    self._tell(
                        "CRITICAL", "standby_lost", f"{self.name}: {why}; {holder} trades on without it"
                    )
                return
            self._tell("CRITICAL", kind, f"{self.name}: {why}; it stays down, its orders are cancelled")
            self._cancel_all(why)
        elif code in FINAL:
            self.status = code
            if alone and code not in IN_ORDER:
                what = _words(code)
                text = f"{self.name} went down and cannot start again: {what}; its orders are cancelled"
                self._tell("CRITICAL", "cannot_start", text)
                self._cancel_all(f"it cannot start again: {what}")
        elif code == ExitStatus.STOOD_DOWN and not self._stops:
            self._tell("WARNING", "stood_down", f"{self.name}: another process has taken over; it stands by")
        elif self._stops:
            self.status = code if code > 0 else int(ExitStatus.ORDERS_LEFT)
            if code == ExitStatus.STOOD_DOWN:
                self.status = int(ExitStatus.DONE)
            self._ends_lease()
            if code < 0 or alone:
                self._cancel_all("it ended in disorder while it stopped")
        else:
            self._start_again(code, ran_s)

    def _start_again(self, code: int, ran_s: float) -> None:
        what = f"{self.name} ended with {_words(code)}"
        away = code == ExitStatus.EXCHANGE
        if self.back_off.failed(self._clock(), ran_s, counts=not away):
            logger().warning("restart", bot=self.name, exit=code, in_s=round(self.back_off.delay_s, 1))
            self._tell("WARNING", "restart", f"{what}; it starts again in {self.back_off.delay_s:.0f} s")
            return
        self.status = int(ExitStatus.GAVE_UP)
        self._tell("CRITICAL", "crash_loop", f"{what}, too often; it stays down and its orders are cancelled")
        self._cancel_all("it keeps failing")

    def _ends_lease(self) -> None:
        """The run is to end, and no process of ours is left to say so: nobody is to take it over."""
        lease = self._lease()
        if lease is None or not self._is_holder():
            return
        try:
            end(self.folder, lease, STOPPED)
        except OSError as error:
            logger().error("the end of the lease cannot be written", bot=self.name, reason=str(error))

    def _stopped_while_down(self) -> ExitStatus:
        """The end of a run that is to stop while none of its processes lives."""
        self._ends_lease()
        if self._down_since is not None and not self._cancelled:
            self._cancel_all("it is down and is to stop")
        return ExitStatus.ORDERS_LEFT if self._left else ExitStatus.DONE

    def _cancel_if_alone_too_long(self) -> None:
        down = self._down_since
        if not self._dead_man_s or down is None or self._cancelled:
            return
        if time.monotonic() - down > self._dead_man_s:
            self._cancel_all(f"it has been down for {self._dead_man_s:.0f} s")

    def _cancel_all(self, why: str) -> None:
        """Have the run's orders cancelled by a process made for that, unless they are another node's."""
        self._cancelled = True
        if is_of_another(self.folder, self.node):
            return
        logger().warning("emergency", bot=self.name, why=why)
        try:
            done = subprocess.run(
                self._emergency,
                stdin=subprocess.DEVNULL,
                timeout=EMERGENCY_S,
                check=False,
                start_new_session=True,
            )
            code = done.returncode
        except (OSError, subprocess.TimeoutExpired):
            code = int(ExitStatus.ORDERS_LEFT)
        if code:
            self._tell("CRITICAL", "orders_left", f"the orders of {self.name} may still work: {why}")
        self._left = bool(code)


def _words(code: int) -> str:
    if code < 0:
        return f"signal {signal.Signals(-code).name}"
    try:
        return f"status {code} ({ExitStatus(code).name.lower()})"
    except ValueError:
        return f"status {code}"
