"""A small ledger told by hand through the real core, for questions whose answers are known beforehand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
from click.testing import CliRunner, Result
from live_runs import opened_core
from small_ledgers import write_ledger

from actors.core import Core
from domain.inputs import (
    FillReport,
    NoAnswerReport,
    OrderAcceptedReport,
    OrderRejectedReport,
    PauseTrading,
    TickReport,
)
from domain.notes import RunReport
from domain.record import Record
from grinder.cli import main
from grinder.tape.layout import Frame, Header, block_of, line_of, segment_name

START = 1_700_000_000 * 10**9
SECOND = 10**9
REPO = Path(__file__).resolve().parents[2]


class Story:
    """A core that learns what it is told, a second apart."""

    def __init__(self) -> None:
        self.core: Core = opened_core("none")
        self.now_ns = START
        self.waiting: list[Any] = []

    def learn(self, *reports: Record) -> int:
        """Tell it something; returns the last position before it."""
        for report in reports:
            self.now_ns += SECOND
            before = self.core.position
            self.core.learn(report, self.now_ns)
            self.waiting += [one.terms for one in self.core.take_intents() if hasattr(one, "terms")]
        return before

    def fill(self, terms: Any, fill_id: str, lots: int) -> None:
        """Fill an order at its price."""
        self.learn(
            FillReport(
                client_order_id=terms.client_order_id,
                exchange_order_id="EX" + terms.client_order_id[14:20],
                fill_id=fill_id,
                symbol="BTCUSDT",
                side=terms.side,
                price_ticks=terms.price_ticks,
                lots=lots,
                liquidity="maker",
                fee_asset="USDT",
                fee_units=100_000_000,
                fee_value=100_000_000,
            )
        )


def accepted(terms: Any) -> OrderAcceptedReport:
    """The exchange's word that it took an order."""
    order = terms.client_order_id
    return OrderAcceptedReport(client_order_id=order, exchange_order_id="EX" + order[14:20])


def told(run: Path, *, paused: bool = True, ended: bool = False) -> Path:
    """The run: of the buys below 61000 the nearest is filled, the next partly, one rejected, one unknown."""
    story = Story()
    story.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000))
    first, second, third, fourth, *rest = story.waiting
    story.learn(accepted(first), accepted(second))
    story.fill(first, "FILL-A", first.lots)
    story.learn(*[accepted(one) for one in (story.waiting[-1], *rest)])
    story.fill(second, "FILL-B1", 1)
    story.learn(
        OrderRejectedReport(client_order_id=third.client_order_id, reason="-2010", text="would take at once"),
        NoAnswerReport(client_order_id=fourth.client_order_id),
    )
    if paused:
        story.learn(PauseTrading(reason="operator", symbol="", operator="ann"))
    if ended:
        story.learn(RunReport(phase="stopped", mode="paper", program="0.1.0", detail=""))
    run.mkdir()
    write_ledger(run / "ledger.db", story.core.journal.rows)  # type: ignore[attr-defined]
    return run


def with_tape(run: Path, fill_id: str) -> None:
    """Put a tape beside a story: a price, and the private frame that brought a fill."""
    from grinder.inspection.records import Records

    with Records(run) as records:
        fill = next(r for r in records.since(1) if fill_id.encode() in r.state)
        tick = next(r for r in records.since(1) if r.topic == "TickReport/1")
    entries = [
        Header("simulated", 1, 1, 0),
        Frame(tick.ts_ns - 2_500_000, 1, tick.position - 1, "market", b'{"p":"61000.0"}'),
        Frame(fill.ts_ns - 40_000, 2, fill.position - 1, "private", b'{"fill":"%s"}' % fill_id.encode()),
        Frame(fill.ts_ns - 30_000, 2, fill.position - 1, "market", b'{"p":"60999.9"}'),
    ]
    (run / "tape").mkdir()
    (run / "tape" / segment_name(1)).write_bytes(block_of([line_of(one) for one in entries]))


def called(*arguments: object, text: str | None = None, status: int = 0) -> Result:
    """The command line in this process."""
    ended = CliRunner().invoke(main, [str(one) for one in arguments], input=text)
    assert ended.exit_code == status, (ended.output, ended.exception)
    return ended


def answered(*arguments: object, status: int = 0) -> Any:
    """The JSON a command prints."""
    return orjson.loads(called(*arguments, "--json", status=status).stdout)


def process(*arguments: object, text: str = "") -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "grinder", *[str(one) for one in arguments]],
        cwd=REPO,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def branches(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Every branch of an explanation."""
    return [tree, *[one for branch in tree["branches"] for one in branches(branch)]]


def of_type(tree: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The branches of a type."""
    return [one for one in branches(tree) if one["type"].startswith(name + "/")]
