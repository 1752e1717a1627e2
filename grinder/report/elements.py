"""Pieces of the page: numbers, tables, lists, charts.

Law: every text that enters the page is escaped here and nowhere else; whatever is already HTML is `Html`.
A number is shown digit for digit as it was given, with its thousands grouped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, NewType

import attrs
import orjson

from grinder.report.charts import Figure
from grinder.report.model import Row

Html = NewType("Html", str)
"""Text that is HTML already."""

_SECOND_NS = 10**9
_PLAIN_DIGITS = 2
_PLAIN_SIGNIFICANT = 4
"""Digits after the point that are read; of an amount below 1, its first significant ones.  Further ones are
shown paler."""

NOTHING = Html("")


def plain(text: object) -> Html:
    """Any text, as text."""
    return Html(escape(str(text)))


def joined(parts: Iterable[str]) -> Html:
    """HTML out of pieces of HTML."""
    return Html("\n".join(part for part in parts if part))


def tag(name: str, inside: str, kind: str = "") -> Html:
    """An element around HTML."""
    return Html(f'<{name} class="{kind}">{inside}</{name}>' if kind else f"<{name}>{inside}</{name}>")


# --- values --------------------------------------------------------------------------------------------


def number(value: object, *, signed: bool = False) -> Html:
    """A number, exact; `signed` colours a gain and a loss."""
    if value is None or value == "":
        return Html("–")
    text = str(value)
    minus, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
    whole, point, fraction = digits.partition(".")
    if not (whole.isdigit() and (fraction.isdigit() or not point)):
        return plain(text)
    read = _PLAIN_DIGITS
    if not int(whole):
        read = max(read, len(fraction) - len(fraction.lstrip("0")) + _PLAIN_SIGNIFICANT)
    shown, rest = f"{minus}{int(whole):,}{point}{fraction[:read]}", fraction[read:]
    if rest:
        shown += f'<span class="rest">{rest}</span>'
    zero = not digits.strip("0.")
    if signed and not zero:
        return tag("span", shown, "loss" if minus else "gain")
    return Html(shown)


def percent(ppm: int | None) -> Html:
    """Parts per million as percent, exact."""
    return Html("–") if ppm is None else number(f"{ppm // 10_000}.{ppm % 10_000:04d}")


def moment(ts_ns: object) -> Html:
    """A time in UTC, with milliseconds when there are any."""
    if not isinstance(ts_ns, int):
        return Html("–")
    seconds, ns = divmod(ts_ns, _SECOND_NS)
    shown = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return Html(f"{shown}.{ns // 10**6:03d}" if ns else shown)


def span(duration_ns: int) -> Html:
    """A duration in its two largest units."""
    left = duration_ns // _SECOND_NS
    parts: list[str] = []
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts or name == "s":
            parts.append(f"{count} {name}")
    return Html(" ".join(parts[:2]))


# --- tables --------------------------------------------------------------------------------------------

Show = Callable[[Any], Html]


@attrs.frozen
class Column:
    """A column of a table: its head, the key (or function) of its values, and how they are shown."""

    head: str
    value: str | Callable[[Row], Any]
    show: Show = plain
    kind: str = ""

    def of(self, row: Row) -> Html:
        """The shown value of a row."""
        found = row[self.value] if isinstance(self.value, str) else self.value(row)
        return self.show("" if found is None and self.show is plain else found)


def amounts(head: str, value: str | Callable[[Row], Any], *, signed: bool = False) -> Column:
    """A column of exact numbers."""
    return Column(head, value, lambda found: number(found, signed=signed), "num")


def times(head: str, value: str) -> Column:
    """A column of times."""
    return Column(head, value, moment, "num")


def table(columns: Sequence[Column], rows: Sequence[Row]) -> Html:
    """Rows as a table that scrolls inside its own frame."""
    heads = "".join(f'<th scope="col" class="{c.kind}">{escape(c.head)}</th>' for c in columns)
    body = "\n".join(
        "<tr>" + "".join(f'<td class="{c.kind}">{c.of(row)}</td>' for c in columns) + "</tr>" for row in rows
    )
    return Html(
        f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def listing(
    title: str, columns: Sequence[Column], rows: Sequence[Row], total: int | None, *, opened: bool
) -> Html:
    """A table that can be folded away, with how many there are and a note when not all are shown."""
    if not rows:
        return NOTHING
    count = ""
    if total is not None:
        cut = f", the last {len(rows):,} are shown" if total > len(rows) else ""
        count = f' <span class="muted">{total:,}{cut}</span>'
    head = escape(title) + count
    state = " open" if opened else ""
    return Html(f'<details class="card"{state}><summary>{head}</summary>\n{table(columns, rows)}</details>')


def pairs(entries: Iterable[tuple[str, str]]) -> Html:
    """Names and values (HTML) as a list."""
    inside = "".join(f"<dt>{escape(name)}</dt><dd>{value}</dd>\n" for name, value in entries)
    return Html(f'<dl class="plain">\n{inside}</dl>')


# --- charts --------------------------------------------------------------------------------------------


def chart(name: str, title: str, figure: Figure, caption: str) -> Html:
    """A chart; `name` is its id on the page."""
    # Inside a script element only "<" could end it; JSON may spell it as an escape.
    data = orjson.dumps(figure.as_dict()).decode().replace("<", "\\u003c")
    return Html(
        f'<figure class="card"><h3>{escape(title)}</h3>\n'
        f'<div class="chart" data-chart="{name}" style="min-height:{figure.height}px"></div>\n'
        f"<figcaption>{escape(caption)}</figcaption>\n"
        f'<script type="application/json" id="{name}">{data}</script></figure>'
    )
