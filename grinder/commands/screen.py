"""The live table of running bots.

Law: it shows what the control socket says, as it is said; a bot that does not answer is shown as that.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from grinder.errors import UserError
from grinder.live.asking import ask
from grinder.show import out, pairs
from grinder.standby.beats import STANDBY
from grinder.supervisor.bot import Bot

EVERY_S = 0.25

PHASES = {"opening": ("buy rests", "green"), "closing": ("sell rests", "red")}


class Screen:
    """Draws the bots on a terminal while they run; elsewhere it says a line now and then."""

    def __init__(self, bots: Sequence[Bot], quiet: bool = False, every_s: float = EVERY_S) -> None:
        self._bots = list(bots)
        self._quiet = quiet
        self._every_s = every_s
        self._next = 0.0
        self._live: Live | None = None
        self.last: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Screen:
        if not self._quiet and out.is_terminal:
            self._live = Live(console=out, refresh_per_second=8, transient=True)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def look(self) -> None:
        """Draw, when it is time."""
        now = time.monotonic()
        if self._quiet or now < self._next:
            return
        self._next = now + (self._every_s if self._live is not None else 3.0)
        for bot in self._bots:
            found = asked(bot.folder)
            if found:
                self.last[bot.name] = found
        if self._live is not None:
            self._live.update(Group(*(picture(bot, self.last.get(bot.name, {})) for bot in self._bots)))
        else:
            for bot in self._bots:
                out.print(line(bot, self.last.get(bot.name, {})), soft_wrap=True)

    def show_last(self) -> None:
        """The bots as they were last seen, to stay on the screen."""
        for bot in self._bots:
            if not self._quiet and self.last.get(bot.name):
                out.print(picture(bot, self.last[bot.name]))


def asked(folder: Path) -> dict[str, Any]:
    """A run's status; empty while nothing answers."""
    try:
        return ask(folder, "/status", timeout_s=2.0)
    except UserError:
        return {}


def line(bot: Bot, found: dict[str, Any]) -> str:
    """One bot in one line."""
    if bot.health.get("phase") == STANDBY:
        holder = (found.get("lease") or {}).get("node", "nobody")
        return f"{bot.name}: stands by; {holder} trades"
    if not found:
        return f"{bot.name}: {bot.state}"
    prices = ", ".join(f"{symbol} {one.get('price')}" for symbol, one in found["symbols"].items())
    return (
        f"{bot.name}: {found['phase']}  {prices}  equity {found['equity']} {found['quote']}  "
        f"orders {len(found['orders'])}  fills {found['fills']}"
    )


def picture(bot: Bot, found: dict[str, Any]) -> RenderableType:
    """One bot as a table."""
    if not found:
        return Text(f"{bot.name}: {bot.state}")
    parts: list[RenderableType] = [Text(line(bot, found))]
    if found["halted"]:
        parts.append(Text(f"halted: {found['halted']}", "red"))
    parts += [Text(f"paused: {reason}", "yellow") for reason in found["pauses"]]
    for symbol, one in found["symbols"].items():
        table = Table(
            title=f"{symbol}  {one.get('price')}  holds {one.get('inventory')} {one.get('base')}  "
            f"{one['status']} {' '.join(one.get('pauses', ()))}",
            title_justify="left",
        )
        for name in ("level", "buy", "sell", "state", "holds", "cycles"):
            table.add_column(name, justify="left" if name == "state" else "right")
        for level in reversed(one.get("levels", ())):
            words, style = PHASES.get(level["phase"], (level["phase"], "dim"))
            table.add_row(
                str(level["index"]),
                level["buy"],
                level["sell"],
                Text(words, style),
                level["held"],
                str(level["cycle"]),
            )
        parts.append(table)
    return Group(*parts)


def lease_in_words(lease: dict[str, Any] | None) -> str:
    """Who trades, and who could take over."""
    if lease is None:
        return "none needed"
    standbys = [f"{one['node']} ({one['behind']} records behind)" for one in lease["standbys"]]
    return f"{lease['node']}, epoch {lease['epoch']}; standby: {', '.join(standbys) or 'none'}"


def status_tables(found: dict[str, Any]) -> RenderableType:
    """``grinder status`` for a person."""
    pnl = found["pnl"]
    facts = [
        ("mode", f"{found['mode']} {found['exchange']} {found['feed']}"),
        ("phase", found["phase"]),
        ("equity", f"{found['equity']} {found['quote']}"),
        ("grid profit", str(pnl.get("grid_profit", "?"))),
        ("fills / cycles", f"{pnl.get('fills', '?')} / {pnl.get('cycles', '?')}"),
        ("working orders", str(len(found["orders"]))),
        ("unknown orders", ", ".join(found["unknown_orders"]) or "none"),
        ("halted", found["halted"] or "no"),
        ("pauses", ", ".join(found["pauses"]) or "none"),
        ("streams", ", ".join(f"{name} {state}" for name, state in found["streams"].items()) or "none"),
        ("dead-man switch", f"{found['dead_man_seconds']} s" if found["dead_man_seconds"] else "none"),
        ("restarts", str(found["restarts"])),
        ("lease", lease_in_words(found.get("lease"))),
        ("ledger", f"position {found['durable_position']:,}, head {found['head'][:16]}"),
    ]
    tables: list[RenderableType] = [pairs(f"Run {found['run']}", facts)]
    orders = Table(title="Working orders", title_justify="left")
    for name in ("symbol", "side", "price", "quantity", "filled", "status", "client order id"):
        orders.add_column(name)
    for one in found["orders"]:
        values = [one[name] for name in ("symbol", "side", "price", "quantity", "filled", "status")]
        orders.add_row(*values, one["client_order_id"])
    grids = [
        Text(
            f"{symbol}: {one.get('price')}  {one['status']}  holds {one.get('inventory')} {one.get('base')}"
            f"  {'halted' if one.get('halted') else ''} {' '.join(one.get('pauses', ()))}"
        )
        for symbol, one in found["symbols"].items()
    ]
    return Group(*tables, *grids, orders)
