"""The page, from top to bottom.

Law: says what the figures are and where they come from; computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from html import escape

from domain.units import text
from grinder.report import charts
from grinder.report.collect import trading_result
from grinder.report.elements import Html, chart, joined, moment, number, percent, plain, span, tag
from grinder.report.model import Row, RunReport, SymbolReport
from grinder.report.script import SCRIPT
from grinder.report.settings import settings
from grinder.report.style import STYLE
from grinder.report.symbol_chart import symbol_chart
from grinder.report.tables import per_symbol, run_tables, skipped_levels

# The policy forbids every request, whatever script or text might ask for: the page cannot phone home.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; form-action 'none'; base-uri 'none'"
)

BAR_PATH = "open, nearer extreme, other extreme, close"


def page(report: RunReport, plotly: str) -> str:
    """The whole page as HTML; `plotly` is the charting script."""
    # Nothing but the end tag ends a script element, and in a string of a script its slash may be escaped.
    plotly = plotly.replace("</script", "<\\/script")
    body = joined([_header(report), tag("main", joined(_sections(report))), _footer(report)])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{escape(report.name)} – grinder</title>
<style>{STYLE}</style>
</head>
<body>
{body}
<script>{plotly}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""


# --- header --------------------------------------------------------------------------------------------


def _header(report: RunReport) -> Html:
    kind = str(report.manifest.get("kind", "run"))
    facts = [kind, f"{report.account.get('exchange') or 'unknown'} exchange", *_modes(report)]
    if report.started_ns is not None and report.ended_ns is not None:
        took = span(report.ended_ns - report.started_ns)
        facts.append(f"{moment(report.started_ns)} to {moment(report.ended_ns)} UTC ({took})")
    badge = "" if report.finished else tag("span", "unfinished", "badge")
    title = tag("h1", f"{plain(report.name)}: {plain(_symbols(report))}{badge}")
    line = tag("p", "".join(tag("span", plain(fact)) for fact in facts), "facts")
    return tag("header", joined([title, line, *_warnings(report), _key_figures(report)]))


def _symbols(report: RunReport) -> str:
    return ", ".join(symbol.name for symbol in report.symbols) or "no symbols"


def _modes(report: RunReport) -> list[str]:
    modes = sorted({symbol.grid["mode"] for symbol in report.symbols if symbol.grid})
    return [f"{' and '.join(modes)} grid{'s' if len(report.symbols) > 1 else ''}"] if modes else []


def _warnings(report: RunReport) -> Iterator[Html]:
    if not report.finished:
        text = f"This run has not finished: the figures are those up to record {report.position:,}."
        yield tag("p", text, "warn")
    if not report.as_recorded:
        yield tag("p", "The ledger is not the one the manifest names. Check it with grinder verify.", "warn")
    if report.total and Decimal(report.total["identity_residual"]):
        yield tag("p", "The parts of profit and loss do not add up to the change of equity.", "warn")
    if any(halt["kind"] == "trading_halted" for halt in report.halts):
        yield tag("p", "Trading was halted in this run; see halts below.", "warn")


def _key_figures(report: RunReport) -> Html:
    total, counts = report.total, report.counts
    quote = plain(report.account.get("quote") or "")

    def money(name: str, note: str = "", *, signed: bool = True) -> tuple[Html, str]:
        return number(total.get(name), signed=signed), note

    share = number(report.change_pct, signed=True)
    figures = {
        "Equity at start": money("equity_start", signed=False),
        "Equity at end": money("equity_end", signed=False),
        f"Change, {quote}": (number(report.change, signed=True), f"{share} %"),
        "Grid profit": money("grid_profit", "closed by levels, before fees"),
        "Unpaired PnL": money("unpaired_pnl", "what is held, at its mark"),
        "Fees": money("fees"),
        "Funding": money("funding"),
        "Max drawdown, %": (percent(report.drawdown_max_ppm), "below the session’s high"),
        "Cycles": (number(counts["cycles"]), "opened and closed again"),
        "Fills": (number(counts["fills"]), f"of {number(counts['orders'])} orders"),
        "Identity residual": money("identity_residual", "change less its parts; 0 is right", signed=False),
    }
    if Decimal(total.get("transfers") or 0):
        figures["Transfers"] = money("transfers", "came in without trading")
    if counts["kept_back"]:
        figures["Orders kept back"] = (number(counts["kept_back"]), "by a limit or for want of funds")
    inside = "".join(
        f"<div><dt>{name}</dt><dd>{value}{tag('small', note) if note else ''}</dd></div>\n"
        for name, (value, note) in figures.items()
    )
    return tag("dl", inside, "keys card")


# --- sections ------------------------------------------------------------------------------------------


def _sections(report: RunReport) -> Iterator[Html]:
    yield Html(
        "<noscript><p class='warn'>Charts need JavaScript; every table is here without it.</p></noscript>"
    )
    if report.equity[0]:
        caption = "Marked at every interval and after every fill; the drawdown is against the session’s high."
        yield chart("equity", "Equity", charts.equity_chart(report), caption)
    if len(report.symbols) > 1:
        yield per_symbol(report)
    for place, symbol in enumerate(report.symbols):
        yield from _symbol(report, symbol, place)
    yield from _results(report)
    yield from run_tables(report)
    yield from settings(report)


def _symbol(report: RunReport, symbol: SymbolReport, place: int) -> Iterator[Html]:
    yield tag("h2", plain(symbol.name))
    yield tag("p", plain(_grid_in_words(symbol)), "muted")
    if symbol.market.prices[0]:
        figure = symbol_chart(symbol, charts.time_axis(report))
        yield chart(f"symbol-{place}", "Price, ladder and fills", figure, _caption(symbol))
    else:
        yield tag("p", "No price of this symbol is in the ledger.", "note")
    yield skipped_levels(symbol)


def _grid_in_words(symbol: SymbolReport) -> str:
    grid = symbol.grid
    if grid is None:
        return "No grid was configured."
    run = f", run {grid['run']}" if grid["run"] > 1 else ""
    stops = [
        f"{name} at {grid[key]}"
        for key, name in (("stop_loss", "stop loss"), ("take_profit", "take profit"))
        if grid[key]
    ]
    ended = f", stopped: {grid['stop_reason']}" if grid["stop_reason"] else ""
    return (
        f"{grid['mode']} grid{run} of {grid['grid_count']:,} levels from {grid['lower_price']} to "
        f"{grid['upper_price']}; {', '.join(stops) or 'no stop prices'}; {grid['status']}{ended}; "
        f"holds {symbol.position.get('quantity', '0')} {symbol.instrument['base']}."
    )


def _caption(symbol: SymbolReport) -> str:
    parts = ["The price line has the marks and the prices the run acted on"]
    if symbol.fills_step > 1:
        parts.append(f"one fill in {symbol.fills_step:,} is drawn")
    return f"{'; '.join(parts)}. {origin(symbol.note)}"


def origin(note: Row) -> str:
    """What kind of rows the run was made from, as far as the manifest says."""
    seconds = note.get("bar_seconds")
    if seconds:
        return f"Rows are bars of {seconds} s; the path assumed inside a bar is {BAR_PATH}."
    if note.get("origin"):
        return f"Rows are {note['origin']}: every price is one that was seen."
    return f"If the data was bars, the path assumed inside a bar is {BAR_PATH}."


def _results(report: RunReport) -> Iterator[Html]:
    days: dict[str, Decimal] = {}
    for row in reversed(report.days.rows):
        days[row["day"]] = days.get(row["day"], Decimal(0)) + Decimal(trading_result(row))
    if not days:
        return
    yield tag("h2", "Results")
    if len(days) > 1:  # a single bar says nothing that the table does not
        figure = charts.days_chart(report, [(day, text(value)) for day, value in days.items()])
        note = "Grid profit, change of unpaired PnL, fees and funding of each UTC day."
        yield chart("days", "Result of each day", figure, note)
    if report.results.profits:
        profits = charts.profits_chart(report)
        durations = charts.durations_chart(report)
        beyond = "Every closed cycle, after its fees; the outermost bars hold all that lies beyond them."
        one = chart("profits", "Profit per cycle", profits, beyond)
        took = "From the opening fill to the one that closed it."
        two = chart("durations", "Time per cycle", durations, took)
        yield tag("div", joined([one, two]), "pair")


def _footer(report: RunReport) -> Html:
    program = plain(report.manifest.get("program", ""))
    return tag("footer", f"Written by grinder {program} from the run’s ledger. This page loads nothing.")
