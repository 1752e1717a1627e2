"""The chart of a symbol: price, ladder, executions, holding.

Law: as in `grinder.report.charts`.
"""

from __future__ import annotations

from html import escape
from typing import Any

from grinder.report.charts import MS_NS, WHEN, Figure, Trace, floats, line, milliseconds, two_panels
from grinder.report.model import MOST_MARKERS, Row, SymbolReport

FEW_LEVELS = 40
"""Lines of a larger ladder are drawn thinner, or they would run into one grey area."""

SIZES = ((400, 8), (1_500, 6), (MOST_MARKERS, 4))
"""Up to how many fills a marker has how many pixels."""


def symbol_chart(symbol: SymbolReport, axis: dict[str, Any]) -> Figure:
    """Price over the ladder with every execution, and under it the holding."""
    market = symbol.market
    low, high = _seen(symbol)
    layout = two_panels(
        axis, f"price, {symbol.instrument['quote']}", f"holding, {symbol.instrument['base']}", 0.2
    )
    layout["yaxis"].update(range=[low, high], autorange=False)
    layout["hovermode"] = "closest"
    data = [_ladder(symbol)] if symbol.prices_of_levels and market.prices[0] else []
    data += [_fills(symbol, "buy", "triangle-up"), _fills(symbol, "sell", "triangle-down")]
    data.append(line(market.prices, "price", "price", f"{WHEN}<br>price %{{y:,}}"))
    data[-1]["line"].update(width=1)
    held = line(market.inventory, "holding", "equity", f"{WHEN}<br>holds %{{y:,}}", yaxis="y2")
    held["line"].update(shape="hv")
    held.update(fill="tozeroy", fillcolor="var(--equity-faint)", showlegend=False)
    data.append(held)
    shapes, notes = _stops(symbol, low, high)
    levels = floats(symbol.prices_of_levels)
    if levels and market.prices[0] and not any(low <= price <= high for price in levels):
        notes.append(_edge_note("the ladder", "var(--muted)", low, high, above=levels[0] > high))
    layout.update(shapes=shapes, annotations=notes)
    return Figure(data, layout, 600, time=True)


def _seen(symbol: SymbolReport) -> tuple[float, float]:
    """The prices shown at first: the price's own range, and what of the ladder and the stops lies within
    one more such range of it, so that a wide ladder does not flatten the price."""
    market, grid = symbol.market, symbol.grid or {}
    if not market.price_low:
        return 0.0, 1.0
    low, high = float(market.price_low), float(market.price_high)
    reach = max(high - low, high * 0.002)
    stops = [grid.get("stop_loss"), grid.get("take_profit")]
    wanted = floats([*symbol.prices_of_levels, *(stop for stop in stops if stop)])
    inside = [price for price in wanted if low - reach <= price <= high + reach]
    low, high = min([low, *inside]), max([high, *inside])
    margin = (high - low or high * 0.002) * 0.03
    return low - margin, high + margin


def _ladder(symbol: SymbolReport) -> Trace:
    """Every price of the ladder as one path: a line object for each would be slow."""
    times = milliseconds(symbol.market.prices[0])
    grid = symbol.grid or {}
    begin = (grid.get("started_at_ns") or 0) // MS_NS or times[0]
    end = (grid.get("stopped_at_ns") or 0) // MS_NS or times[-1]
    width = min(1, max(0.2, FEW_LEVELS / len(symbol.prices_of_levels)))
    x: list[int | None] = []
    y: list[float | None] = []
    for price in floats(symbol.prices_of_levels):
        x += [begin, end, None]
        y += [price, price, None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "ladder",
        "x": x,
        "y": y,
        "line": {"color": "var(--ladder)", "width": width},
        "hoverinfo": "skip",
    }


def _fills(symbol: SymbolReport, side: str, mark: str) -> Trace:
    fills = [fill for fill in symbol.fills if fill["side"] == side]
    size = next(size for most, size in SIZES if len(symbol.fills) <= most)
    base, quote = escape(symbol.instrument["base"]), escape(symbol.instrument["quote"])
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{side}s",
        "x": milliseconds([fill["executed_at_ns"] for fill in fills]),
        "y": floats([fill["price"] for fill in fills]),
        "marker": {
            "color": f"var(--{side})",
            "symbol": mark,
            "size": size,
            "opacity": 0.85,
            "line": {"width": 0.5 if size == SIZES[0][1] else 0, "color": "var(--card)"},
        },
        "customdata": [_said_of(fill) for fill in fills],
        "hovertemplate": f"<b>{side} %{{customdata[1]}}</b> {base} at <b>%{{customdata[2]}}</b><br>"
        f"profit %{{customdata[3]}} {quote}<br>{WHEN}<br>"
        "fill %{customdata[0]}<extra></extra>",
    }


def _said_of(fill: Row) -> list[str]:
    # Plotly shows texts as a small part of HTML; what an exchange calls its fills must stay text.
    return [escape(str(fill[name])) for name in ("exchange_trade_id", "quantity", "price", "pnl")]


def _stops(symbol: SymbolReport, low: float, high: float) -> tuple[list[Trace], list[Trace]]:
    """Stop loss and take profit: a line where it is on the chart, else a note at its edge."""
    shapes: list[Trace] = []
    notes: list[Trace] = []
    for key, name in (("stop_loss", "stop loss"), ("take_profit", "take profit")):
        price = (symbol.grid or {}).get(key)
        if not price:
            continue
        at, colour = float(price), "var(--loss)" if key == "stop_loss" else "var(--buy)"
        if low <= at <= high:
            line_of = {"color": colour, "width": 1.2, "dash": "dash"}
            shapes.append(
                {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": at, "y1": at, "line": line_of}
            )
            notes.append(_note(f"{name} {escape(price)}", colour, at, "bottom"))
        else:
            notes.append(_edge_note(f"{name} {escape(price)}", colour, low, high, above=at > high))
    return shapes, notes


def _edge_note(what: str, colour: str, low: float, high: float, *, above: bool) -> Trace:
    """Says at the edge of the chart what lies beyond it."""
    text = f"{what} is {'above' if above else 'below'} the chart"
    return _note(text, colour, high if above else low, "top" if above else "bottom")


def _note(text: str, colour: str, y: float, anchor: str) -> Trace:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": anchor}
    return {**place, "showarrow": False, "font": {"color": colour}, "text": text}
