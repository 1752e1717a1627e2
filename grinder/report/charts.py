"""Charts as plain figures of plotly's schema, made by hand: its Python classes take longer than a report.

Law: the only place where an amount becomes a float, because a point on a screen needs no more.  A colour is
the name of a CSS variable, which the page's script looks up, so a chart follows the page into the dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import Any

import attrs

from grinder.report.model import Points, RunReport

Trace = dict[str, Any]

MS_NS = 10**6
DAY_MS = 86_400_000
DURATIONS = (
    ("under 1 min", 60),
    ("1–5 min", 300),
    ("5–15 min", 900),
    ("15–60 min", 3_600),
    ("1–4 h", 14_400),
    ("4–12 h", 43_200),
    ("12–24 h", 86_400),
    ("1–3 days", 259_200),
    ("3–7 days", 604_800),
    ("longer", None),
)
BINS = 40

WHEN = "%{x|%d %b %Y %H:%M:%S}"
"""A point's time, as the hover text shows it."""


@attrs.frozen
class Figure:
    """A chart: `height` in CSS pixels; charts with `time` keep the same span when one of them is zoomed."""

    data: list[Trace]
    layout: dict[str, Any]
    height: int
    time: bool = False

    def as_dict(self) -> dict[str, Any]:
        """What the page's script is given."""
        return {"data": self.data, "layout": {**self.layout, "height": self.height}, "time": self.time}


def milliseconds(times_ns: Sequence[int]) -> list[int]:
    """Times as plotly's date axis takes them."""
    return [ns // MS_NS for ns in times_ns]


def floats(values: Sequence[str]) -> list[float]:
    """Amounts as places on a screen."""
    return [float(value) for value in values]


def line(points: Points, name: str, colour: str, hover: str, **more: Any) -> Trace:
    """Points joined by a line in a colour of the page."""
    times, values = points
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": milliseconds(times),
        "y": floats(values),
        "line": {"color": f"var(--{colour})", "width": 1.4},
        "hovertemplate": f"{hover}<extra></extra>",
        **more,
    }


def time_axis(report: RunReport) -> dict[str, Any]:
    """The time axis of a run: all charts over time have the same."""
    axis: dict[str, Any] = {"type": "date"}
    if report.started_ns is not None and report.ended_ns is not None:
        begin, end = report.started_ns // MS_NS, report.ended_ns // MS_NS + 1
        margin = max(1, (end - begin) // 200)
        axis.update(range=[begin - margin, end + margin], autorange=False)
    return axis


def two_panels(axis: dict[str, Any], upper: str, lower: str, split: float) -> dict[str, Any]:
    """Two panels over one time axis, the upper one from `split` of the height."""
    return {
        "xaxis": {**axis, "anchor": "y2", "showspikes": True},
        "yaxis": {"domain": [split + 0.06, 1], "title": {"text": escape(upper)}},
        "yaxis2": {"domain": [0, split], "title": {"text": escape(lower)}, "rangemode": "tozero"},
    }


# --- equity --------------------------------------------------------------------------------------------


def equity_chart(report: RunReport) -> Figure:
    """Equity, and under it how far it was below its high."""
    quote = escape(report.account.get("quote") or "")
    times, depths = report.drawdown
    below = (times, [str(-Decimal(ppm).scaleb(-4)) for ppm in depths])
    drawdown = line(below, "drawdown", "loss", "%{y:.4f} % below the high", yaxis="y2", fill="tozeroy")
    drawdown["fillcolor"] = "var(--loss-faint)"
    layout = two_panels(time_axis(report), quote, "drawdown %", 0.26)
    layout.update(showlegend=False, hovermode="x")
    if not report.drawdown_max_ppm:
        layout["yaxis2"].update(range=[-1, 0])  # a flat line at the top, where no drawdown belongs
    equity = line(
        report.equity, "equity", "equity", f"%{{x|%d %b %Y %H:%M:%S}}<br><b>%{{y:,.2f}}</b> {quote}"
    )
    return Figure([equity, drawdown], layout, 420, time=True)


# --- results -------------------------------------------------------------------------------------------


def days_chart(report: RunReport, results: Sequence[tuple[str, str]]) -> Figure:
    """What trading came to on each day, as (day, amount)."""
    values = floats([value for _, value in results])
    bars = _bars([day for day, _ in results], values, "%{x|%d %b %Y}<br><b>%{y:,.2f}</b>")
    bars.update(offset=DAY_MS // 12, width=DAY_MS * 10 // 12)  # over its own day, not around its midnight
    title = {"text": escape(report.account.get("quote") or "")}
    return Figure(
        [bars], {"xaxis": time_axis(report), "yaxis": {"title": title}, "showlegend": False}, 280, time=True
    )


def profits_chart(report: RunReport) -> Figure:
    """How many cycles made how much, after fees."""
    profits = sorted(floats(report.results.profits))
    low, high = _usual(profits)
    width = (high - low) / BINS or abs(high) / BINS or 1.0
    counts = [0] * BINS
    for profit in profits:
        counts[min(BINS - 1, max(0, int((profit - low) // width)))] += 1
    edges = [(low + width * at, low + width * (at + 1)) for at in range(BINS)]
    said = [f"{first:,.4f} to {last:,.4f}" for first, last in edges]
    if profits[0] < low:
        said[0] = f"{profits[0]:,.4f} to {edges[0][1]:,.4f}"
    if profits[-1] > high:
        said[-1] = f"{edges[-1][0]:,.4f} to {profits[-1]:,.4f}"
    bars = _bars([(first + last) / 2 for first, last in edges], counts, "%{text}<br><b>%{y:,}</b> cycles")
    bars.update(text=said, textposition="none", width=width * 0.92)
    bars["marker"]["color"] = ["var(--loss)" if first + last < 0 else "var(--gain)" for first, last in edges]
    quote = escape(report.account.get("quote") or "")
    layout = {
        "xaxis": {"title": {"text": f"profit of a cycle after fees, {quote}"}},
        "yaxis": {"title": {"text": "cycles"}},
    }
    return Figure([bars], {**layout, "showlegend": False}, 280)


def _usual(ordered: Sequence[float]) -> tuple[float, float]:
    """The span that the histogram divides: few far results must not squeeze all others into one bar."""
    quarter = len(ordered) // 4
    first, last = ordered[quarter], ordered[-1 - quarter]
    if first == last:
        return ordered[0], ordered[-1]
    reach = 2 * (last - first)
    return max(ordered[0], first - reach), min(ordered[-1], last + reach)


def durations_chart(report: RunReport) -> Figure:
    """How long cycles took."""
    counts = [0] * len(DURATIONS)
    for took in report.results.durations_ns:
        place = next(at for at, (_, limit) in enumerate(DURATIONS) if limit is None or took < limit * 10**9)
        counts[place] += 1
    bars = _bars([name for name, _ in DURATIONS], counts, "%{x}<br><b>%{y:,}</b> cycles")
    bars["marker"]["color"] = "var(--equity)"
    layout = {"yaxis": {"title": {"text": "cycles"}}, "xaxis": {"type": "category"}, "showlegend": False}
    return Figure([bars], layout, 280)


def _bars(x: Sequence[Any], y: Sequence[float], hover: str) -> Trace:
    colours = ["var(--loss)" if value < 0 else "var(--gain)" for value in y]
    return {
        "type": "bar",
        "x": list(x),
        "y": list(y),
        "marker": {"color": colours},
        "hovertemplate": f"{hover}<extra></extra>",
    }
