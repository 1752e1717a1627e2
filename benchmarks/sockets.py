"""Whether fifty clients of the dashboard's WebSocket make a running bot decide later.

Law: the rig of `latency`: the real gate, core and journal at 1,000 quotes a second, writing the ledger of a
run folder which `grinder ui`, a process of its own, follows and tells to its clients, in a third.  The three
runs alternate, on the same disk: without the server, with it and no client, with fifty.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import latency
from benchmarks.serving import serving
from grinder.ledger.recorder import open_application

RATE = 1_000
CLIENTS = 50
ROUNDS = 3
TOPICS = ["orders", "trades", "ledger"]


def _client_process(address: str, clients: int, ready: Event, ending: Event, told: Any) -> None:
    """Runs in a process: clients that take every event until they are told to end."""
    os.nice(10)  # browsers are on other machines, and must not take the bot's processor here either
    told.value = asyncio.run(_clients(address, clients, ready, ending))


async def _clients(address: str, clients: int, ready: Event, ending: Event) -> int:
    events = 0

    async def client(session: aiohttp.ClientSession, opened: asyncio.Event) -> None:
        nonlocal events
        async with session.ws_connect(f"{address}/ws", max_msg_size=0) as socket:
            await socket.send_json({"subscribe": TOPICS})
            opened.set()
            async for message in socket:
                events += message.type == aiohttp.WSMsgType.TEXT and '"event"' in message.data

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        opened = [asyncio.Event() for _ in range(clients)]
        tasks = [asyncio.create_task(client(session, one)) for one in opened]
        await asyncio.gather(*(one.wait() for one in opened))
        ready.set()
        while not ending.is_set():
            await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return events


@contextmanager
def _connected(address: str, clients: int) -> Iterator[Any]:
    """So many clients; what comes out tells afterwards how many events they were told."""
    context = multiprocessing.get_context("spawn")
    ready, ending, told = context.Event(), context.Event(), context.Value("q", 0)
    process = context.Process(target=_client_process, args=(address, clients, ready, ending, told))
    process.start()
    try:
        if not ready.wait(30):
            raise RuntimeError("the clients could not connect")
        yield told
    finally:
        ending.set()
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join()


def _round(home: Path, clients: int | None, quotes_rate: int, timer: latency.Timer) -> int:
    """One run of the rig; events that were told."""
    folder = home / "bench"
    folder.mkdir(parents=True)
    ledger = folder / "ledger.db"
    open_application(ledger, create=True).close()
    if clients is None:
        asyncio.run(latency.measure(ledger, quotes_rate, timer))
        return 0
    with serving(folder, home) as address, _connected(address, clients) as told:
        asyncio.run(latency.measure(ledger, quotes_rate, timer))
    return int(told.value)


def measure(rounds: int, clients: int, rate: int = RATE) -> dict[str, Any]:
    """Microseconds from a quote to its decision, and to its order handed over: the quietest round of each."""
    kinds: dict[str, int | None] = {"no_server": None, "no_client": 0, f"{clients}_clients": clients}
    timers: dict[str, list[latency.Timer]] = {name: [] for name in kinds}
    events = dict.fromkeys(kinds, 0)
    with tempfile.TemporaryDirectory() as made:
        fsync = latency.raw_fsync(Path(made))
        for number in range(rounds):
            for name, wanted in kinds.items():
                timers[name].append(latency.Timer())
                events[name] += _round(Path(made) / f"{number}-{name}", wanted, rate, timers[name][-1])
    found: dict[str, Any] = {"quotes_per_s": rate, "fsync": fsync}
    for name, rounds_of in timers.items():
        timer = min(rounds_of, key=lambda one: latency.percentiles(one.decided)["p99_us"])
        found[name] = {
            "orders": len(timer.handed),
            "events_told_in_all": events[name],
            "decided": latency.percentiles(timer.decided),
            "handed_over": latency.percentiles(timer.handed),
            "behind": latency.percentiles(timer.lag_ns),
        }
    return found


def run(path: Path | None) -> dict[str, Any]:
    """At 1,000 quotes a second."""
    return measure(ROUNDS, CLIENTS)
