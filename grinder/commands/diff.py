"""Hold two runs against each other, or a live run against a backtest over the market it saw itself.

Law: the ledgers are only read.  Figures are exact; the parts of a difference in money add up to it.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from fractions import Fraction
from itertools import takewhile
from pathlib import Path
from statistics import median_low
from typing import Any

import attrs

from actors.records import LedgerRow
from grinder.collecting import rare_collections
from grinder.commands.backtest import Progress
from grinder.errors import UserError
from grinder.inspection.records import iso
from grinder.travel.comparing import run_backtest_of
from grinder.travel.parents import Parent, read_parent, records_of, row_at, rows_through
from grinder.views.schema import SOURCE
from grinder.views.store import open_views, update
from replay.compare import FIELDS
from replay.drift import (
    PARTS,
    READ,
    ZERO,
    Attribution,
    History,
    HistoryReader,
    Money,
    OrderHistory,
    OrderKey,
    attribute,
    decimal_text,
    rounded_off,
)
from replay.replayer import causal_path

SHOWN_ORDERS = 200
"""Most orders listed one by one; every list says how many there are in all."""


def diff(a: Path, b: Path | None, *, backtest: bool, out: Path | None, progress: Progress) -> dict[str, Any]:
    """Compare two runs; without a second one, a live run with a backtest over its own market.

    Returns:
        ``first_divergence``, ``orders_only_a``, ``orders_only_b``, ``orders``, ``pnl`` and, with `backtest`,
        ``drift``; see the docs page.

    Raises:
        UserError: it is not said what to compare with.
        LedgerError: a ledger is damaged, or there is none.
    """
    if (b is None) != backtest:
        raise UserError(
            "usage.diff", "diff takes two runs, or one run and --backtest", fix="give one of the two"
        )
    first = read_parent(a)
    if b is not None:
        return _compared(first, read_parent(b), progress)
    if out is not None:
        run_backtest_of(first, out, progress)
        return {**_compared(first, read_parent(out), progress, drift=True), "backtest": str(out)}
    with tempfile.TemporaryDirectory(prefix="grinder-diff-") as temporary:
        made = Path(temporary) / "backtest"
        run_backtest_of(first, made, progress)
        return _compared(first, read_parent(made), progress, drift=True)


def _compared(a: Parent, b: Parent, progress: Progress, *, drift: bool = False) -> dict[str, Any]:
    with rare_collections():
        diverged = _first_divergence(a, b, progress)
        money_a, money_b = _money(a), _money(b)
        one, other = _history(a, money_a.position), _history(b, money_b.position)
        pnl = _pnl(money_a, money_b, one, other)
    only_a = [one.orders[key] for key in sorted(one.orders.keys() - other.orders.keys())]
    only_b = [other.orders[key] for key in sorted(other.orders.keys() - one.orders.keys())]
    result: dict[str, Any] = {
        "a": str(a.folder.path),
        "b": str(b.folder.path),
        "identical": diverged is None,
        "first_divergence": diverged,
        "orders": {
            "a": len(one.orders),
            "b": len(other.orders),
            "matched": len(one.orders.keys() & other.orders.keys()),
            "only_a": len(only_a),
            "only_b": len(only_b),
        },
        "orders_only_a": [_order(x) for x in only_a[:SHOWN_ORDERS]],
        "orders_only_b": [_order(x) for x in only_b[:SHOWN_ORDERS]],
        "pnl": pnl,
    }
    if drift:
        result["drift"] = _drift(one, other)
    return result


# --- records -------------------------------------------------------------------------------------------


def _first_divergence(a: Parent, b: Parent, progress: Progress) -> dict[str, Any] | None:
    """The first record that differs; ledger ids count as equal, chains follow from what they chain."""
    ours, theirs = b'"' + b.ledger_id.encode(), b'"' + a.ledger_id.encode()
    with a.connected() as left, b.connected() as right:
        sides = (rows_through(left, a.records), rows_through(right, b.records))
        total = max(a.records, b.records)
        while True:
            one, other = next(sides[0], None), next(sides[1], None)
            if one is None and other is None:
                return None
            if other is not None and ours != theirs:
                other = (*other[:4], other[4].replace(ours, theirs), *other[5:])
            if one is None or other is None or one[:7] != other[:7]:
                break
            if one[0] % 4096 == 0:
                progress("compare", one[0], total)
        found = one if one is not None else other
        assert found is not None
        position = int(found[0])
        both = zip(FIELDS[:7], one or (), other or (), strict=False)
        field = next((name for name, x, y in both if x != y), "record")
        row_a, row_b = row_at(left, position), row_at(right, position)
        path_a = causal_path(lambda at: row_at(left, at), position) if row_a else []
        path_b = causal_path(lambda at: row_at(right, at), position) if row_b else []
    return {
        "position": position,
        "field": field,
        "a": _record(row_a),
        "b": _record(row_b),
        "path_a": [_step(row) for row in path_a[1:]],
        "path_b": [_step(row) for row in path_b[1:]],
    }


def _record(row: LedgerRow | None) -> dict[str, Any] | None:
    if row is None:
        return None
    return {**_step(row), "ts_ns": row.ts_ns, "cause": row.cause, "state": row.state.decode()}


def _step(row: LedgerRow) -> dict[str, Any]:
    return {"position": row.position, "stream": row.stream, "topic": row.topic}


def _history(run: Parent, last: int) -> History:
    """What a run went through up to a position; one that goes on has more by now."""
    with run.connected() as connection:
        records = (
            (row.position, row.stream, row.ts_ns, event)
            for row, event in takewhile(lambda one: one[0].position <= last, records_of(connection, *READ))
        )
        return HistoryReader().read(records)


# --- orders --------------------------------------------------------------------------------------------


def _order(order: OrderHistory) -> dict[str, Any]:
    return {
        **_named(order.key),
        "client_order_id": order.client_order_id,
        "submitted_ns": order.submitted_ns,
        "position": order.position,
        "filled": decimal_text(order.traded),
        "filled_ns": order.last_ns,
    }


def _named(key: OrderKey) -> dict[str, Any]:
    symbol, level, cycle, side, price, before = key
    return {
        "symbol": symbol,
        "level": None if level < 0 else level,
        "cycle": cycle,
        "side": side,
        "price": price,
        "repeat": before,
    }


def _drift(a: History, b: History) -> dict[str, Any]:
    """Order by order: filled in one only, or when and at what price in each."""
    both, only_a, only_b = [], [], []
    for key in sorted(a.orders.keys() | b.orders.keys()):
        one, other = a.orders.get(key), b.orders.get(key)
        if one is not None and one.traded and other is not None and other.traded:
            both.append(_between(key, one, other))
        elif one is not None and one.traded:
            only_a.append({**_order(one), "sent_in_both": other is not None})
        elif other is not None and other.traded:
            only_b.append({**_order(other), "sent_in_both": one is not None})
    late = [one["time_difference_ms"] for one in both]
    return {
        "filled_in_both": len(both),
        "filled_only_live": len(only_a),
        "filled_only_backtest": len(only_b),
        "time_difference_ms_median": median_low(late) if late else None,
        "time_difference_ms_max": max(late, key=abs) if late else None,
        "other_price": sum(one["price_difference"] not in ("0", None) for one in both),
        "orders": both,
        "only_live": only_a,
        "only_backtest": only_b,
    }


def _between(key: OrderKey, one: OrderHistory, other: OrderHistory) -> dict[str, Any]:
    prices = one.traded_cost / one.traded, other.traded_cost / other.traded
    return {
        **_named(key),
        "live_ns": one.last_ns,
        "backtest_ns": other.last_ns,
        "time_difference_ms": (other.last_ns - one.last_ns) // 10**6,
        "live_price": _rounded(prices[0]),
        "backtest_price": _rounded(prices[1]),
        "price_difference": _rounded(prices[1] - prices[0]),
        "quantity_difference": decimal_text(other.traded - one.traded),
    }


def _rounded(value: Fraction) -> str:
    """An average, to ten decimals: the one figure here that need not end."""
    return decimal_text(Fraction(round(value * 10**10), 10**10))


# --- money ---------------------------------------------------------------------------------------------

_FIGURES = "equity_start, equity_end, transfers"


@attrs.frozen
class _Books:
    """What the views of a run say of its money, all at one position of its ledger."""

    position: int
    total: Money
    symbols: dict[str, Money]


def _money(run: Parent) -> _Books:
    """Change of equity and transfers: of all, and by symbol."""
    update(run.folder.path)
    with closing(open_views(run.folder.path)) as db:
        db.conn.execute("BEGIN")  # one snapshot: a run that goes on moves its views
        position = db.conn.execute(f"SELECT position FROM {SOURCE}").fetchone()[0]
        total = next(iter(db.query(f"SELECT {_FIGURES} FROM pnl_total")), None)
        rows = {str(row["symbol"]): _figures(row) for row in db.query(f"SELECT symbol, {_FIGURES} FROM pnl")}
        db.conn.execute("ROLLBACK")
    return _Books(int(position), _figures(total or {}), rows)


def _figures(row: dict[str, Any]) -> Money:
    start, end, transfers = (Fraction(row.get(name) or 0) for name in _FIGURES.split(", "))
    return Money(change=end - start, transfers=transfers)


def _pnl(a: _Books, b: _Books, one: History, other: History) -> dict[str, Any]:
    """The difference of the change of equity, attributed; per symbol and in total."""
    none = Money(change=ZERO, transfers=ZERO)
    symbols: dict[str, Attribution] = {}
    for symbol in sorted(a.symbols.keys() | b.symbols.keys()):
        money = a.symbols.get(symbol, none), b.symbols.get(symbol, none)
        symbols[symbol] = attribute(one, other, symbol, *money)
    parts = {name: sum((x.parts[name] for x in symbols.values()), ZERO) for name in PARTS}
    parts["transfers"] = b.total.transfers - a.total.transfers  # cash of no symbol included
    whole = rounded_off(b.total.change - a.total.change, parts)
    return {
        "equity_change_a": decimal_text(a.total.change),
        "equity_change_b": decimal_text(b.total.change),
        **_attribution(whole),
        "symbols": {
            symbol: {
                **_attribution(found),
                "last_price_a": _last_price(one, symbol),
                "last_price_b": _last_price(other, symbol),
            }
            for symbol, found in symbols.items()
        },
    }


def _last_price(history: History, symbol: str) -> dict[str, Any] | None:
    """At what and when a run last valued a symbol: the price path ends there."""
    found = history.symbols.get(symbol)
    if found is None or found.mark is None:
        return None
    return {"price": decimal_text(found.mark), "ts_ns": found.marked_ns, "time": iso(found.marked_ns)}


def _attribution(found: Attribution) -> dict[str, Any]:
    return {
        "difference": decimal_text(found.difference),
        "parts": {name: decimal_text(found.parts[name]) for name in PARTS},
    }
