"""What charts are drawn from: candles with executions and orders, equity, and where records lie in time.

Law: amounts are the decimal text of the views or of the ledger's own integers; a chart's script turns them
into places on a screen and nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from domain.instrument import Instrument
from domain.units import text
from grinder.web.call import Call
from grinder.web.pages.asked import Asked, AskedChart
from grinder.web.pages.now import running_status
from grinder.web.pages.prices import Candles, Numbers, prices_of
from grinder.web.pages.questions import account, working_orders
from grinder.web.pages.rows import Row, number, row, rows
from grinder.web.problems import Problem
from grinder.web.runs import ServedRun
from projections.listings import INSTRUMENTS, Scale

MOST_FILLS: Final = 1200
MOST_POINTS: Final = 300
SPARK: Final = 160

_EMPTY: Final[Numbers] = np.empty(0, dtype=np.int64)


def _scale(connection: sqlite3.Connection, symbol: str) -> Scale:
    names = ", ".join(f'"{name}"' for name in INSTRUMENTS.columns)
    found = connection.execute(f"SELECT {names} FROM instruments WHERE symbol = ?", (symbol,)).fetchone()
    if found is None:
        raise Problem(404, "symbol.unknown", "the run does not know this symbol", value=symbol)
    return Scale(Instrument(**dict(zip(INSTRUMENTS.columns, found, strict=True))))


async def _lines(run: ServedRun) -> Mapping[str, Any]:
    return await run.views(None, prices_of(run).lines)


async def chart(call: Call) -> Mapping[str, Any]:
    """One symbol: candles, executions, working orders and levels."""
    asked, run = call.query(AskedChart), call.run()
    symbol = call.part("symbol").upper()
    lines = await _lines(run)
    position = run.head if asked.at is None else asked.at

    def drawn(connection: sqlite3.Connection) -> dict[str, Any]:
        to = _scale(connection, symbol)
        times, prices = lines[symbol].until(position) if symbol in lines else (_EMPTY, _EMPTY)
        whole = [str(int(one)) for one in (times[0], times[-1])] if times.size else []
        begin = times.searchsorted(asked.from_ns) if asked.from_ns else 0
        end = times.searchsorted(asked.to_ns, side="right") if asked.to_ns else times.size
        candles = Candles(times[begin:end], prices[begin:end], asked.candles)
        fills, step = _fills(connection, symbol, asked)
        return {
            "symbol": symbol,
            "whole": whole,
            "width_ns": str(candles.width_ns),
            "candles": _told(candles, to),
            "fills": fills,
            "fills_step": step,
            "levels": rows(
                connection,
                "SELECT grid_level, buy_price, sell_price, phase, opening FROM grid_levels WHERE symbol = ? "
                "ORDER BY grid_level",
                symbol,
            ),
            "grid": row(connection, "SELECT * FROM grid_configs WHERE symbol = ?", symbol),
            "orders": working_orders(connection, symbol),
        }

    return {"as_of": run.freshness(asked.at), **await run.views(asked.at, drawn)}


def _told(candles: Candles, to: Scale) -> list[list[str]]:
    columns = (candles.open, candles.high, candles.low, candles.close)
    prices = ([text(to.price(int(ticks))) for ticks in column] for column in columns)
    return [list(one) for one in zip([str(int(ns)) for ns in candles.start], *prices, strict=True)]


def _fills(connection: sqlite3.Connection, symbol: str, asked: AskedChart) -> tuple[list[Row], int]:
    """Executions in the window; every n-th where there are too many to draw."""
    # With both columns of the order in the answer SQLite reads one row of the index and no more.
    sql = "SELECT number, executed_at_ns FROM trades WHERE symbol = ? AND executed_at_ns"
    first = number(connection, f"{sql} >= ? ORDER BY executed_at_ns, number LIMIT 1", symbol, asked.from_ns)
    until = asked.to_ns or (1 << 62)
    last = number(connection, f"{sql} <= ? ORDER BY executed_at_ns DESC, number DESC LIMIT 1", symbol, until)
    if not first or last < first:
        return [], 1
    step = -(-(last - first + 1) // MOST_FILLS)
    told = "SELECT position, executed_at_ns, side, price, quantity, pnl, grid_level, liquidity FROM trades"
    if step == 1:
        within = "WHERE symbol = ? AND number BETWEEN ? AND ? ORDER BY number"
        return rows(connection, f"{told} {within}", symbol, first, last), 1
    # The newest is always among them.
    chosen = range(last - (last - first) // step * step, last + 1, step)
    one = f"{told} WHERE symbol = ? AND number = ?"
    return [found for nth in chosen for found in rows(connection, one, symbol, nth)], step


# --- equity and time -----------------------------------------------------------------------------------


async def equity(call: Call) -> Mapping[str, Any]:
    """The curve: of every stretch of the ledger the lowest and the highest point below the session's high."""
    asked, run = call.query(Asked), call.run()

    def drawn(connection: sqlite3.Connection) -> dict[str, Any]:
        return {"points": curve(connection), **account(connection)}

    return {
        "as_of": run.freshness(asked.at),
        **await run.views(asked.at, drawn),
        "places": await run.ledger(_places),
    }


def curve(connection: sqlite3.Connection, most: int = MOST_POINTS) -> list[Row]:
    """Points of the equity curve: of every stretch the deepest below the high, and the last."""
    last = number(connection, "SELECT max(position) FROM equity_curve")
    within = "FROM equity_curve WHERE position > ? AND position <= ?"
    found: dict[int, tuple[Any, ...]] = {}
    for at in range(most if last else 0):
        stretch = (last * at // most, last * (at + 1) // most)
        # With max() SQLite takes the other columns from the very row that has it.
        deepest = f"SELECT position, ts_ns, equity, max(drawdown_ppm) {within}"
        final = f"SELECT position, ts_ns, equity, drawdown_ppm {within} ORDER BY position DESC LIMIT 1"
        for point in (
            connection.execute(deepest, stretch).fetchone(),
            connection.execute(final, stretch).fetchone(),
        ):
            if point is not None and point[0] is not None:
                found[point[0]] = point
    return [
        {"position": position, "ts_ns": str(ts_ns), "equity": equity, "drawdown_ppm": ppm}
        for position, ts_ns, equity, ppm in (found[place] for place in sorted(found))
    ]


def _places(ledger: sqlite3.Connection) -> list[list[str]]:
    """Positions spread over the ledger and the time of each: where a scrubber's handle is in time."""
    head = number(ledger, "SELECT max(rowid) FROM stored_events")
    wanted = sorted({1 + (head - 1) * at // MOST_POINTS for at in range(MOST_POINTS + 1)}) if head else []
    found = []
    for position in wanted:
        ts_ns = ledger.execute("SELECT ts_ns FROM stored_events WHERE rowid = ?", (position,)).fetchone()
        found.append([str(position), str(ts_ns[0])])
    return found


# --- market --------------------------------------------------------------------------------------------


async def overview_lines(call: Call) -> Mapping[str, Any]:
    """Every symbol's price: now, at first, its range, and a line of it."""
    asked, run = call.query(Asked), call.run()
    lines = await _lines(run)
    position = run.head if asked.at is None else asked.at

    def drawn(connection: sqlite3.Connection) -> dict[str, Any]:
        found = []
        for instrument in rows(connection, "SELECT * FROM instruments ORDER BY symbol"):
            symbol = instrument["symbol"]
            to = _scale(connection, symbol)
            times, prices = lines[symbol].until(position) if symbol in lines else (_EMPTY, _EMPTY)
            found.append({"instrument": instrument, **_priced(times, prices, to)})
        grids = rows(connection, "SELECT symbol, lower_price, upper_price, status FROM grid_configs")
        return {**account(connection), "symbols": found, "grids": grids}

    found = await run.views(asked.at, drawn)
    now = await running_status(run) if asked.at is None else None
    return {"as_of": run.freshness(asked.at), "now": now, **found}


def _priced(times: Numbers, prices: Numbers, to: Scale) -> dict[str, Any]:
    if not times.size:
        return {"price": None, "line": []}
    day = int(times[-1]) - 86_400 * 10**9
    since = prices[times.searchsorted(day) :]
    shown = np.unique(np.linspace(0, times.size - 1, SPARK).astype(np.int64))
    first, last = int(since[0]), int(prices[-1])
    return {
        "price": text(to.price(last)),
        "price_ns": str(int(times[-1])),
        "day_first": text(to.price(first)),
        "day_high": text(to.price(int(since.max()))),
        "day_low": text(to.price(int(since.min()))),
        "day_change_bps": (last - first) * 10_000 // first if first else 0,
        "run_first": text(to.price(int(prices[0]))),
        "run_high": text(to.price(int(prices.max()))),
        "run_low": text(to.price(int(prices.min()))),
        "line": [
            [str(int(ns)), text(to.price(int(ticks)))]
            for ns, ticks in zip(times[shown], prices[shown], strict=True)
        ],
    }
