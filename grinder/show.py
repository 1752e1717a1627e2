"""How results are shown to a person: tables, bars and plain sentences.

Law: presentation only; every figure comes from a result and is shown as it is.  What goes to standard output
is the answer, what goes to standard error is the way there.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from grinder.commands.backtest import Progress as ProgressCall

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def progress_bar(quiet: bool) -> Iterator[ProgressCall]:
    """A progress bar on standard error, and the function that moves it."""
    if quiet or not err.is_terminal:
        yield lambda stage, done, total: None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        tasks: dict[str, Any] = {}

        def move(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=total)
            bar.update(tasks[stage], completed=done, total=total)

        yield move


def pairs(title: str, rows: list[tuple[str, str]]) -> Table:
    """A two-column table."""
    table = Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, value)
    return table


def backtest_tables(result: dict[str, Any]) -> Iterator[Table]:
    """The summary of a run as tables."""
    yield pairs(
        f"Run {result['run']}",
        [
            ("ticks", f"{result['ticks']:,}"),
            ("orders / fills / cycles", f"{result['orders']:,} / {result['fills']:,} / {result['cycles']:,}"),
            ("orders kept back by a limit or want of funds", f"{result['blocked']:,}"),
            ("equity start", result["equity_start"]),
            ("equity end", result["equity_end"]),
            ("identity residual", result["identity_residual"]),
            ("records", f"{result['records']:,} ({result['inputs']:,} inputs, {result['events']:,} events)"),
            ("time", _seconds(result)),
        ],
    )
    figures = ("position", "grid_profit", "unpaired_pnl", "fees", "funding", "realised_pnl", "unrealised_pnl")
    table = Table(title="Symbols", title_justify="left")
    table.add_column("")
    for symbol in result["symbols"]:
        table.add_column(symbol, justify="right", overflow="fold")
    for name in figures:
        label = name.replace("_", " ").replace("pnl", "PnL")
        table.add_row(label, *(of_symbol[name] for of_symbol in result["symbols"].values()))
    yield table
    if result["halts"]:
        stops = [(_when(one["ts_ns"]), _why(one)) for one in result["halts"]]
        yield pairs("Stopped by risk", stops)
    notes = [
        f"{symbol}: rows are {note['origin']}"
        + (
            f" of {note['bar_seconds']} s; path in a bar: open, nearer extreme, other extreme, close"
            if note["bar_seconds"]
            else ""
        )
        + (f"; {note['off_tick_rows']:,} rows lay between two ticks" if note["off_tick_rows"] else "")
        for symbol, note in result.get("data", {}).items()
    ]
    if notes:
        yield pairs("Data", [("", note) for note in notes])


def _when(ts_ns: int) -> str:
    """A time of the ledger, to the second."""
    return datetime.fromtimestamp(ts_ns // 10**9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _why(halt: dict[str, Any]) -> str:
    worth = f", equity {halt['equity']}" if halt["equity"] else ""
    what = f"{halt['symbol'] or 'everything'}: {halt['reason'] or halt['kind']}"
    return f"{what}{worth} (record {halt['position']:,})"


def _seconds(result: dict[str, Any]) -> str:
    seconds = result["seconds"]
    parts = ", ".join(f"{name} {value:.3f} s" for name, value in seconds.items())
    return f"{parts}; {result['ticks_per_s']:,} ticks/s; peak {result['peak_rss_mb']} MB"


def plan_tables(plan: dict[str, Any]) -> Iterator[Table]:
    """One grid's plan as tables."""
    yield pairs(
        f"{plan['symbol']}: {plan['mode']} {plan['spacing']}",
        [
            ("orders", str(plan["orders"])),
            (
                "profit per grid after fees",
                f"{plan['profit_per_grid_min_pct']} % to {plan['profit_per_grid_max_pct']} %",
            ),
            ("investment", plan["investment"]),
            ("minimum investment", plan["minimum_investment"]),
        ],
    )
    table = Table()
    for name in ("level", "buy", "sell", "quantity", "value", "note"):
        table.add_column(name, justify="right" if name != "note" else "left")
    rows = [(level, "") for level in plan["levels"]] + [(level, level["reason"]) for level in plan["skipped"]]
    for level, note in sorted(rows, key=lambda row: -int(row[0]["index"])):
        table.add_row(
            str(level["index"]),
            level["buy_price"],
            level["sell_price"],
            level["quantity"],
            level["value"],
            note,
        )
    yield table


def decision_tables(found: dict[str, Any]) -> Iterator[Table]:
    """A decision on market data as tables."""
    decision, market = found["decision"], found["regime"]
    price, entered = decision["price"], bool(decision["stop_share"])
    synergy, regimes = found["synergy"], market["probabilities"].items()
    pattern = f"none now, {found['synergies_found']} in these bars"
    if synergy:
        way = "up" if synergy["direction"] > 0 else "down"
        pattern = f"{synergy['type']} {way}, confidence {share(synergy['confidence'])}"
    warm = "" if found["warm"] else "; too few for every figure to have left its warm-up"
    yield pairs(
        f"{found['symbol']} at {_when(found['at_ns'])}",
        [
            ("action", f"{decision['action']} (the vote: {decision['direction']})"),
            ("size", f"{share(decision['size'])} of the largest position" if decision["size"] else "none"),
            ("stop", f"{share(decision['stop_share'])} from {price}" if entered else "none"),
            ("target", f"{share(decision['target_share'])} from {price}" if entered else "none"),
            ("confidence", share(decision["confidence"])),
            ("regime", f"{market['name']} ({', '.join(f'{name} {share(one)}' for name, one in regimes)})"),
            ("synergy", pattern),
            ("decided by", decision["policy"]),
            ("bars", f"{found['bars']:,} of 5 minutes{warm}"),
            ("assumed", "; ".join(found["assumed"])),
        ],
    )
    votes = Table(title="Votes", title_justify="left")
    for name in ("agent", "proposes", "votes for", "confidence", "weight"):
        votes.add_column(name, justify="right" if name in ("confidence", "weight") else "left")
    for one in decision["votes"]:
        votes.add_row(
            one["agent"], one["action"], one["direction"], share(one["confidence"]), f"{one['weight']:g}"
        )
    yield votes
    reasons = Table(title="Reasons; the first decided", title_justify="left", show_header=False)
    for reason in decision["reasons"]:
        reasons.add_row(reason["text"], reason["code"])
    yield reasons


def share(ratio: float) -> str:
    """A ratio in percent."""
    return f"{100 * ratio:.2f} %"
