"""Looking back: a page as of a record chosen at random, asked of a server that has just been started.

Law: every position is a new one, so nothing that was made for another question helps; the first question
after each of several starts is told apart.  Beside it: the same pages as of now.
"""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks.long_ledger import long_ledger, records_of
from benchmarks.serving import CALLS_A_MINUTE, asked, in_ms, serving
from benchmarks.setting import SYMBOL
from grinder.web.pages import questions
from grinder.web.pages.asked import Asked
from grinder.web.travel import TimeTravel

PAGES = (
    "overview",
    "equity",
    f"grids/{SYMBOL}",
    f"chart/{SYMBOL}",
    "orders",
    "fills",
    "balances",
    "risk",
    "market",
)
STARTS = 5
POSITIONS = 25
"""Positions at which every page is asked for after a start."""


def measure(folder: Path, starts: int, positions: int) -> dict[str, Any]:
    """Milliseconds of a scrub."""
    records = records_of(folder)
    draw = random.Random(7)
    first: list[float] = []
    there: list[float] = []
    pages: dict[str, list[float]] = {page: [] for page in PAGES}
    now: list[float] = []
    for _ in range(starts):
        with tempfile.TemporaryDirectory() as home, serving(folder, Path(home)) as address:
            first.append(_page(address, "overview", draw.randrange(1, records + 1)))
            for _ in range(min(positions, CALLS_A_MINUTE // (len(PAGES) + 1))):
                position = draw.randrange(1, records + 1)
                for page in draw.sample(PAGES, len(PAGES)):
                    spent = _page(address, page, position)
                    pages[page].append(spent)
                    there.append(spent)
            now.append(_page(address, "overview", None))
    return {
        "records": records,
        "first_after_a_start": in_ms(first),
        "every_scrub": in_ms(there),
        "scrubs": len(there),
        "pages": {name: in_ms(spent) for name, spent in pages.items()},
        "overview_of_now": in_ms(now),
        "overview_processor_time": in_ms([_used(folder, draw.randrange(1, records + 1)) for _ in there]),
    }


def _used(folder: Path, position: int) -> float:
    """Seconds of processor time of one page at a new position: what a busy machine adds little to."""
    travel = TimeTravel(folder / "views.db", folder / "ledger.db")
    started = process_time()
    travel.read(position, lambda connection: questions.overview(connection, Asked(), {}))
    used = process_time() - started
    travel.close()
    return used


def _page(address: str, page: str, at: int | None) -> float:
    query = "" if at is None else f"?at={at}"
    spent, told = asked(address, f"/api/pages/{page}{query}")
    if at is not None and told["as_of"]["position"] != at:
        raise RuntimeError(f"asked for {at}, told of {told['as_of']}")
    return spent


def run(path: Path | None) -> dict[str, Any]:
    """On the ledger of a million records."""
    return measure(long_ledger(), STARTS, POSITIONS)
