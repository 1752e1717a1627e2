"""A pair of processes that lose each other in every way, for as long as one likes: make soak-standby.

Law: after each fault one process trades, the exchange holds one order for each level that wants one and
nothing else of ours, and in the end the whole history replays.

    python tests/standby/soak.py SEED ROUNDS
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), *(str(HERE.parents[1] / name) for name in ("live", "faults", "ledger"))]

from exchange_runs import OnExchange, exchange  # noqa: E402
from fault_runs import records_of  # noqa: E402
from live_runs import Running, process_of, status_of, wait_for  # noqa: E402

from actors.ports import ExchangeError  # noqa: E402
from grinder.errors import UserError  # noqa: E402
from grinder.live.asking import ask  # noqa: E402
from grinder.standby.beats import read_beat  # noqa: E402
from replay.replayer import replay  # noqa: E402

LONGEST_S = 60.0
NODES = ("main", "standby", "third")


class World:
    """Up to three nodes of one run, each with its supervisor."""

    def __init__(self, on: OnExchange, chance: random.Random) -> None:
        self.on = on
        self.chance = chance
        self.up: dict[str, Running] = {}

    def start(self, node: str) -> None:
        """Start a node's supervisor, as its user would."""
        if node == "main":
            self.up[node] = self.on.started()
        else:
            arguments = ("standby", "run", "--node", node, "--json")
            self.up[node] = Running(*arguments, cwd=self.on.folder, env=self.on.env)

    def process(self, node: str) -> int:
        """The run process of a node; 0 when it has none."""
        beat = read_beat(self.on.run, node)
        return beat.process.number if beat is not None else 0

    def holder(self) -> str:
        """The node that trades."""
        found = status_of(self.on.run)
        return str((found.get("lease") or {}).get("node", "")) if found.get("phase") == "trading" else ""

    # --- faults ----------------------------------------------------------------------------------------

    def hand_over(self) -> None:
        """An operator's command; refused while nobody follows."""
        try:
            ask(self.on.run, "/failover", {})
        except UserError as refused:
            print(f"    refused: {refused.code}")

    def kill(self) -> None:
        """The process that trades dies."""
        _signal(process_of(self.on.run), signal.SIGKILL)

    def freeze(self) -> None:
        """The process that trades hangs."""
        _signal(process_of(self.on.run), signal.SIGSTOP)

    def doze(self) -> None:
        """It hangs for a while that may be longer or shorter than its lease."""
        process = process_of(self.on.run)
        _signal(process, signal.SIGSTOP)
        time.sleep(self.chance.uniform(3.0, 7.0))
        _signal(process, signal.SIGCONT)

    def kill_with_supervisor(self) -> None:
        """The node that trades is gone as a whole; somebody starts it again later."""
        node = self.holder()
        if not node:
            return
        process = process_of(self.on.run)
        _signal(process, signal.SIGSTOP)
        self.up[node].process.kill()
        self.up[node].process.communicate()
        _signal(process, signal.SIGKILL)
        del self.up[node]

    def kill_supervisor(self) -> None:
        """The supervisor of the node that trades dies."""
        node = self.holder()
        if node:
            self.up[node].process.kill()
            self.up[node].process.communicate()
            del self.up[node]

    def kill_standby(self) -> None:
        """A process that stands by dies."""
        others = [one for one in self.up if one != self.holder()]
        if others:
            _signal(self.process(self.chance.choice(others)), signal.SIGKILL)

    def faults(self) -> list[Callable[[], None]]:
        """Everything that can happen."""
        return [
            self.hand_over, self.kill, self.freeze, self.doze, self.kill_with_supervisor,
            self.kill_supervisor, self.kill_standby,
        ]  # fmt: skip

    # --- afterwards ------------------------------------------------------------------------------------

    def disorder(self) -> str:
        """What is not as it should be: one process trades, and the exchange holds what its books hold."""
        found = status_of(self.on.run)
        if found.get("phase") != "trading":
            return f"nobody trades: {found.get('phase')}"
        if found["unknown_orders"] or found["pauses"] or found["halted"]:
            return f"unknown {found['unknown_orders']}, pauses {found['pauses']}, halted {found['halted']}"
        try:
            there = self.on.open_orders()
        except (ExchangeError, OSError, TimeoutError) as error:
            return f"the exchange does not answer: {error}"
        known = {one["client_order_id"]: one["status"] for one in status_of(self.on.run).get("orders", ())}
        ids = {one.client_order_id for one in there}
        if ids != set(known):
            more = {one: known[one] for one in set(known) - ids}
            return f"only there: {sorted(ids - set(known))}, only in the books: {more}"
        if len({(one.side, one.price_ticks) for one in there}) != len(there):
            return "a level has two orders"
        return "" if len(ids) >= 10 else f"{len(ids)} orders"

    def settled(self) -> bool:
        """Whether all is as it should be."""
        return not self.disorder()

    def complete(self) -> bool:
        """Whether one node trades and the others follow."""
        lease = status_of(self.on.run).get("lease") or {}
        there = {lease.get("node"), *(one["node"] for one in lease.get("standbys", ()))}
        return there == set(NODES)

    def mend(self) -> None:
        """Start what is down."""
        for node in NODES:
            running = self.up.get(node)
            if running is None or running.process.poll() is not None:
                self.start(node)


def _signal(process: int, number: int) -> None:
    if process <= 0:
        return  # 0 would be ourselves, with everything we started
    try:
        os.kill(process, number)
    except ProcessLookupError:
        return


def main(seed: int, rounds: int) -> int:
    """So many faults; how many rounds did not settle."""
    chance = random.Random(seed)
    bad = 0
    with tempfile.TemporaryDirectory() as folder, exchange("binance", Path(folder)) as on:
        world = World(on, chance)
        world.start("main")
        wait_for(world.settled, LONGEST_S, "the first orders")
        world.mend()
        for number in range(rounds):
            time.sleep(chance.uniform(0.0, 6.0))
            fault = chance.choice(world.faults())
            print(f"{number:4d} {world.holder() or '?':8s} {fault.__name__}", flush=True)
            try:
                fault()
                time.sleep(chance.uniform(0.0, 8.0))
                if chance.random() < 0.7:
                    world.mend()
                wait_for(world.settled, LONGEST_S, "a world in order")
            except (AssertionError, OSError) as failure:
                bad += 1
                print(f"  BAD {failure!r}: {world.disorder()}", flush=True)
            world.mend()
        # Who starts as a run ends waits for the next one, or begins it.
        wait_for(world.complete, LONGEST_S, "everybody to be there")
        ask(on.run, "/stop", {"orders": "cancel"})
        for node, running in world.up.items():
            code, _, err = running.ended(LONGEST_S)
            if code != 0:
                bad += 1
                print(f"  BAD {node} ended with {code}: {err.decode()[-600:]}")
        if on.open_orders():
            bad += 1
            print("  BAD orders are left")
        rows = records_of(on.run / "ledger.db")
        if not replay(rows).identical:
            bad += 1
            print("  BAD the ledger does not replay")
        print(f"seed {seed}: {rounds} faults, {len(rows)} records, {bad} bad")
    return bad


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]), int(sys.argv[2]))))
