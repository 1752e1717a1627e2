"""First paint of the dashboard, in a real browser where one is installed.

Law: a browser with an empty cache opens the overview of a server on a ledger of a million records; the page's
own clock tells when something was painted first, and when the figures were there.  The first time after a
start of the server is told apart.  Beside it, and alone where there is no browser: every byte the page needs,
fetched one after the other.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any, Final

import aiohttp

from benchmarks.long_ledger import long_ledger, records_of
from benchmarks.serving import asked, in_ms, serving

STARTS = 3
OPENINGS = 4
"""Openings of the page after a start, the first among them."""

_PATIENCE_S: Final = 30.0
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome")
_OPTIONS: Final = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--remote-debugging-port=0",
    "--remote-allow-origins=*",
)

# The page marks itself when the figures of a page are drawn; its own clock begins with the navigation.
_WATCH: Final = """
    new MutationObserver(() => { if (document.documentElement.dataset.shown && !window.shownAt)
        window.shownAt = performance.now(); }).observe(document, { subtree: true, attributes: true });
"""
_TOLD: Final = """
    (() => { const paint = performance.getEntriesByName('first-contentful-paint')[0];
        return paint && window.shownAt ? [paint.startTime, window.shownAt] : null; })()
"""


@contextmanager
def _browser(binary: str, profile: Path) -> Iterator[str]:
    """The address of a browser's debugging protocol."""
    command = [binary, *_OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told, end = profile / "DevToolsActivePort", monotonic() + _PATIENCE_S
        while not (told.is_file() and "\n" in told.read_text()):
            if monotonic() > end:
                raise RuntimeError("the browser did not start")
            sleep(0.05)
        yield f"http://127.0.0.1:{told.read_text().splitlines()[0]}"
    finally:
        process.terminate()
        process.wait(10)


async def _opened(browser: str, address: str) -> tuple[float, float]:
    """(first contentful paint, figures shown), in seconds from the navigation."""
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{browser}/json/new?about:blank") as answer:
            page = await answer.json()
        async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
            numbers = iter(range(1, 10_000))

            async def call(method: str, **given: Any) -> dict[str, Any]:
                number = next(numbers)
                await socket.send_json({"id": number, "method": method, "params": given})
                while True:
                    told: dict[str, Any] = await socket.receive_json(timeout=_PATIENCE_S)
                    if told.get("id") == number:
                        return dict(told.get("result", {}))

            await call("Page.enable")
            await call("Network.setCacheDisabled", cacheDisabled=True)
            await call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
            await call("Page.bringToFront")
            await call("Page.navigate", url=f"{address}/ui")
            end = monotonic() + _PATIENCE_S
            while monotonic() < end:
                told = await call("Runtime.evaluate", expression=_TOLD, returnByValue=True)
                found = told.get("result", {}).get("value")
                if found:
                    break
                await asyncio.sleep(0.1)
            else:
                raise RuntimeError("the page did not show its figures")
        async with session.get(f"{browser}/json/close/{page['id']}"):
            pass
    return found[0] / 1e3, found[1] / 1e3


def _bytes(address: str) -> tuple[float, int]:
    """(seconds, bytes) of everything the first page needs, one after the other."""
    started, size = perf_counter(), 0
    with urllib.request.urlopen(f"{address}/ui", timeout=60) as answer:
        shell = answer.read().decode()
    size += len(shell)
    for path in sorted(set(re.findall(r'(?:src|href)="(/ui/static/[^"]+)"', shell))):
        with urllib.request.urlopen(f"{address}{path}", timeout=60) as answer:
            size += len(answer.read())
    for path in ("/api/pages/overview", "/api/pages/equity"):
        _, told = asked(address, path)
        size += len(str(told))
    return perf_counter() - started, size


def measure(folder: Path, starts: int, openings: int) -> dict[str, Any]:
    """Milliseconds until something, and until the figures, are seen."""
    binary = next(filter(None, map(shutil.which, _BROWSERS)), None)
    first: list[tuple[float, float]] = []
    later: list[tuple[float, float]] = []
    fetched: list[float] = []
    size = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as made:
        home = Path(made)
        for number in range(starts):
            (home / str(number)).mkdir()
            if binary is not None:
                with (
                    _browser(binary, home / f"profile-{number}") as browser,
                    serving(folder, home / str(number)) as address,
                ):
                    first.append(asyncio.run(_opened(browser, address)))
                    later += [asyncio.run(_opened(browser, address)) for _ in range(openings - 1)]
            with serving(folder, home / str(number)) as address:
                spent, size = _bytes(address)
                fetched.append(spent)
    found: dict[str, Any] = {"records": records_of(folder), "browser": binary or "none"}
    for name, told in (("first_after_a_start", first), ("later", later)):
        if told:
            found[name] = {
                "first_contentful_paint": in_ms([one[0] for one in told]),
                "figures_shown": in_ms([one[1] for one in told]),
            }
    return {**found, "all_bytes_first_after_a_start": in_ms(fetched), "bytes": size}


def run(path: Path | None) -> dict[str, Any]:
    """On the ledger of a million records."""
    return measure(long_ledger(), STARTS, OPENINGS)
