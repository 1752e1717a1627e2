"""Runs backtests in forked children, sends them a signal at a drawn moment, and tells what was left.

Law: a program of its own, so that children are forked from a process without threads that has imported
everything already; a run then takes a tenth of a second, and hundreds of them fit into a test.

    python recovery_kills.py FOLDER {kill|interrupt} COUNT SEED

sends signals until COUNT of them have ended a run and prints one JSON object: the head of an undisturbed run
and the findings of every signal sent.
"""

from __future__ import annotations

import functools
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ledger"))

from small_ledgers import SETTINGS, trades_file, yaml_of

from grinder import cli, show, storing
from grinder.commands import backtest as command
from grinder.commands.inspect import replay_run
from grinder.config import load_config
from grinder.data import parse_data_argument
from grinder.ledger.reading import is_begun
from grinder.ledger.verify import verify
from grinder.ledger.writer import LedgerJournal

GROUP = 4
"""Records of a transaction: so few that a kill has hundreds of different moments to hit."""

DENSE: dict[str, Any] = {
    **SETTINGS,
    "run": {"mark_interval_seconds": 60},
    "grids": [{**SETTINGS["grids"][0], "grid_number": 60}],
}

assert show.err is not None, "imported before the forks"


class Subject:
    """One configuration and market; every run of it is the same run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = trades_file(folder / "trades.csv", 8_000)
        self.yaml = folder / "grinder.yaml"
        self.yaml.write_text(yaml_of(DENSE), encoding="utf-8")
        self.config = load_config([self.yaml], {})
        storing.LedgerJournal = functools.partial(LedgerJournal, group=GROUP)  # type: ignore[misc]

    def run(self, out: Path) -> dict[str, Any]:
        """The command in this process."""
        return command.backtest(self.config, [parse_data_argument(str(self.data))], out).as_dict()

    def run_command(self, out: Path) -> None:
        """The command line in this process."""
        arguments = ["backtest", "-c", str(self.yaml), "--data", str(self.data), "--out", str(out)]
        cli.main([*arguments, "--json"], prog_name="grinder")


def forked(work: Callable[[], object], output: Path) -> int:
    """Start `work` in a child whose output goes to a file; returns when the child is about to begin."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        return child
    status = 70
    try:
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(writing, b"!")
        work()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 71
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def ended(child: int, within_s: float = 30) -> int:
    """Exit status of a child, negative when a signal ended it; one that hangs is killed and -999."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -999


def left_behind(out: Path, *, replayed: bool) -> dict[str, Any]:
    """What a run that was ended left in its folder, and, if asked for, whether that replays."""
    ledger, manifest = out / "ledger.db", out / "manifest.json"
    finished = manifest.is_file() and json.loads(manifest.read_text())["finished"]
    if not ledger.is_file() or not is_begun(ledger):
        return {"ok": True, "records": 0, "finished": finished, "begun": False, "replays": True}
    verdict = verify(ledger)
    found = {"ok": verdict.ok, "records": verdict.records, "finished": finished, "begun": True}
    replays = not replayed or replay_run(out, lambda stage, done, total: None)["identical"]
    return {**found, "reason": verdict.reason, "replays": replays}


def disturbed(subject: Subject, out: Path, delay_s: float, number: int, *, replayed: bool) -> dict[str, Any]:
    """One run that gets a signal after a delay, and what it left."""
    output = subject.folder / "output.txt"
    work = subject.run if number == signal.SIGKILL else subject.run_command
    child = forked(lambda: work(out), output)
    time.sleep(delay_s)
    os.kill(child, number)
    status = ended(child)
    return {"status": status, "said": output.read_text()[-2000:], **left_behind(out, replayed=replayed)}


def main(folder: Path, number: int, count: int, seed: int) -> dict[str, Any]:
    subject = Subject(folder)
    whole = folder / "undisturbed"
    subject.run(folder / "warm")
    started = time.monotonic()
    child = forked(lambda: subject.run(whole), folder / "output.txt")
    assert ended(child) == 0, (folder / "output.txt").read_text()
    length_s = time.monotonic() - started
    expected = verify(whole / "ledger.db")
    chance = random.Random(seed)
    signals: list[dict[str, Any]] = []
    hits = 0
    while hits < count and len(signals) < 2 * count:
        out = folder / f"run-{len(signals)}"
        replayed = len(signals) % 4 == 0
        found = disturbed(subject, out, chance.random() * length_s * 1.1, number, replayed=replayed)
        hit = found["status"] != 0
        hits += hit
        # The machine may be busier or idler than it was when the length of a run was taken.
        length_s *= 1.03 if hit else 0.8
        if len(signals) % 8 == 1:  # and once more, while it goes on
            found["again"] = disturbed(subject, out, chance.random() * length_s, number, replayed=False)
        result = subject.run(out)
        after = verify(out / "ledger.db", result["head"])
        found |= {"head": result["head"], "resumed": result["resumed_records"], "ok_after": after.ok}
        found |= {"residual": result["identity_residual"]}
        signals.append(found)
        shutil.rmtree(out)
    return {"head": expected.head, "records": expected.records, "length_s": length_s, "signals": signals}


if __name__ == "__main__":
    where, what, times, drawn = sys.argv[1:]
    sent = {"kill": signal.SIGKILL, "interrupt": signal.SIGINT}[what]
    print(json.dumps(main(Path(where), sent, int(times), int(drawn))))
