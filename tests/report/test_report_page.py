"""The report: the same figures as the views, one file, nothing fetched, nothing injected."""

from __future__ import annotations

import html
import json
import re
import shutil
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import orjson
import pytest

from domain.codec import decode
from grinder.errors import EnvironmentFault, ExitStatus
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import open_application
from grinder.report import write_report
from grinder.report.collect import LAST_ROWS, collect
from grinder.report.elements import number
from grinder.report.thinning import MOST_POINTS, kept
from grinder.run_folder import RunFolder
from grinder.views.store import update
from grinder.views.summary import summary


class Page(HTMLParser):
    """A page taken apart: elements with attributes, visible text, charts by id."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.charts: dict[str, Any] = {}
        self._inside: dict[str, str | None] = {}
        self._hidden = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = dict(attrs)
        self.elements.append((tag, self._inside))
        if tag in ("script", "style"):
            self._hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        self.said += "" if tag in ("span", "small") else " "

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.said += data
        elif self._inside.get("type") == "application/json":
            self.charts[str(self._inside["id"])] = json.loads(data)


def written(folder: RunFolder, path: Path) -> Page:
    size = write_report(folder, path)
    assert size == path.stat().st_size
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(two_symbols: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return written(two_symbols, tmp_path_factory.mktemp("page") / "report.html")


def shown(amount: str) -> str:
    """An amount as the page's text has it."""
    return re.sub(r"<[^>]*>", "", number(amount))


# --- what it shows -------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_views(page: Page, two_symbols: RunFolder) -> None:
    figures = summary(two_symbols.path)
    assert figures.fills > 50
    assert figures.cycles > 20
    for amount in (
        figures.equity_start,
        figures.equity_end,
        figures.grid_profit,
        figures.unpaired_pnl,
        figures.fees,
        figures.funding,
        *(value for symbol in figures.symbols.values() for value in symbol.values()),
    ):
        assert shown(amount) in page.said
    assert f"Fills {figures.fills:,}" in page.said
    assert f"Cycles {figures.cycles:,}" in page.said
    assert "Identity residual 0" in page.said
    assert "record" not in page.said.split("Origin and settings")[0], "no warning of an unfinished run"


def test_the_page_says_how_to_check_the_run(page: Page, two_symbols: RunFolder) -> None:
    manifest = two_symbols.read_manifest()
    assert f"grinder verify RUN --head {manifest['head']}" in page.said
    assert manifest["ledger_id"] in page.said
    assert f"{manifest['records']:,}" in page.said
    assert "market.csv" in page.said
    assert "somewhere" not in page.said, "a report that is passed on does not tell where files were"
    assert "quote_investment: '8000'" in page.said


def test_every_chart_is_there_with_every_fill(page: Page, two_symbols: RunFolder) -> None:
    assert list(page.charts) == ["equity", "symbol-0", "symbol-1", "days", "profits", "durations"]
    places = [attrs["data-chart"] for _, attrs in page.elements if "data-chart" in attrs]
    assert places == list(page.charts)
    drawn = sum(
        len(trace["x"])
        for name in ("symbol-0", "symbol-1")
        for trace in page.charts[name]["data"]
        if trace["name"] in ("buys", "sells")
    )
    assert drawn == summary(two_symbols.path).fills
    texts = [note["text"] for note in page.charts["symbol-0"]["layout"]["annotations"]]
    assert texts == ["stop loss 40000 is below the chart", "take profit 63500"]
    cycles = sum(page.charts["profits"]["data"][0]["y"])
    assert cycles == sum(page.charts["durations"]["data"][0]["y"]) == summary(two_symbols.path).cycles


def test_the_price_line_has_the_extremes_of_the_ledger(two_symbols: RunFolder) -> None:
    ticks: list[int] = []
    with closing(connect(two_symbols.ledger)) as ledger:
        for row in rows(ledger):
            event = decode(row.topic, row.state)
            if row.topic == "TickReport/1" and event.symbol == "BTCUSDT":
                ticks.append(event.price_ticks)
            elif row.topic == "ClockReport/1":
                ticks += [price for symbol, price in event.marks if symbol == "BTCUSDT"]
            elif row.topic == "OrderFilled/1" and event.symbol == "BTCUSDT":
                ticks.append(event.price_ticks)
    market = collect(two_symbols).symbols[0].market
    assert market.price_high == f"{max(ticks) // 10}.{max(ticks) % 10}".removesuffix(".0")
    assert market.price_low == f"{min(ticks) // 10}.{min(ticks) % 10}".removesuffix(".0")
    assert len(market.prices[0]) <= MOST_POINTS
    assert {market.price_low, market.price_high} <= set(market.prices[1])


def test_the_holding_ends_where_the_views_say(two_symbols: RunFolder) -> None:
    report = collect(two_symbols)
    assert [symbol.market.inventory[1][-1] for symbol in report.symbols] == [
        symbol.position["quantity"] for symbol in report.symbols
    ]


def test_orders_kept_back_are_told_by_reason(page: Page, two_symbols: RunFolder) -> None:
    report = collect(two_symbols)
    assert report.counts["kept_back"] > 0
    assert sum(row["orders"] for row in report.unsent) == report.counts["kept_back"]
    assert f"{report.counts['kept_back']:,} orders blocked, refused or rejected, by reason" in page.said
    assert all(row["reason"] in page.said for row in report.unsent)


def test_a_cut_table_says_so(
    page: Page, two_symbols: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fills = summary(two_symbols.path).fills
    assert (f"the last {LAST_ROWS} are shown" in page.said) == (fills > LAST_ROWS)
    monkeypatch.setattr("grinder.report.collect.LAST_ROWS", 5)
    report = collect(two_symbols)
    assert "the last 5 are shown" in written(two_symbols, tmp_path / "r.html").said
    assert len(report.fills.rows) == 5
    assert report.fills.total == fills


# --- runs of every kind --------------------------------------------------------------------------------


def test_a_run_without_fills_is_a_page(without_fills: RunFolder, tmp_path: Path) -> None:
    page = written(without_fills, tmp_path / "r.html")
    assert "Nothing was filled" in page.said
    assert list(page.charts) == ["equity", "symbol-0", "days"]
    assert "Fills 0" in page.said


def test_a_run_stopped_before_its_first_record_is_a_page(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "begun")
    folder.create()
    open_application(folder.ledger, create=True).close()
    update(folder.path)
    page = written(folder, tmp_path / "r.html")
    assert "no symbols" in page.said
    assert not page.charts


def test_an_unfinished_run_is_told_as_one(two_symbols: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(tmp_path / "copy")
    shutil.copytree(two_symbols.path, copied.path)
    manifest = copied.read_manifest()
    for key in ("records", "head", "format"):
        del manifest[key]
    copied.write_manifest({**manifest, "finished": False})
    page = written(copied, tmp_path / "r.html")
    assert "This run has not finished" in page.said
    copied.manifest.unlink()
    assert "the configuration is not known" in written(copied, tmp_path / "r.html").said


def test_a_ledger_other_than_the_manifests_is_told(two_symbols: RunFolder, tmp_path: Path) -> None:
    copied = RunFolder(tmp_path / "copy")
    shutil.copytree(two_symbols.path, copied.path)
    manifest = orjson.loads(copied.manifest.read_bytes())
    copied.manifest.write_bytes(orjson.dumps({**manifest, "head": "00" * 32}))
    assert "not the one the manifest names" in written(copied, tmp_path / "r.html").said


# --- one file, nothing fetched, nothing injected -------------------------------------------------------

LOADING = ("src", "href", "srcset", "action", "data", "poster", "background", "formaction")


def test_the_page_loads_nothing(page: Page, two_symbols: RunFolder, tmp_path: Path) -> None:
    loaded = [attrs[name] or "" for _, attrs in page.elements for name in LOADING if name in attrs]
    assert loaded == ["data:,"]
    policy = next(
        a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    write_report(two_symbols, tmp_path / "r.html")
    content = (tmp_path / "r.html").read_text()
    assert 'plotlyServerURL: ""' in content
    assert "@import" not in content.split("</style>")[0]
    assert content.count("* plotly.js v") == 1


def test_text_of_others_stays_text(two_symbols: RunFolder, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)><a href='https://example.com'>"
    copied = RunFolder(tmp_path / "<b>bold&")
    shutil.copytree(two_symbols.path, copied.path)
    with closing(sqlite3.connect(copied.views)) as views:
        views.execute("UPDATE trades SET exchange_trade_id = ? || position", (evil,))
        views.execute("UPDATE accounts SET exchange = ?", (evil,))
        views.execute("UPDATE grid_configs SET stop_reason = ?", (evil,))
        views.commit()
    manifest = orjson.loads(copied.manifest.read_bytes())
    manifest.update(seed=evil, program=evil, kind=evil, config={evil: evil})
    copied.manifest.write_bytes(orjson.dumps(manifest))
    page = written(copied, tmp_path / "r.html")
    assert not [tag for tag, _ in page.elements if tag in ("img", "a", "b")]
    assert page.said.count(evil) > 5
    assert "<b>bold&" in page.said
    told = page.charts["symbol-0"]["data"][1]["customdata"][0][0]
    assert told.startswith(html.escape(evil)), "plotly reads its texts as HTML"


# --- writing -------------------------------------------------------------------------------------------


def test_a_page_is_replaced_whole_or_not_at_all(
    two_symbols: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "r.html"
    target.write_text("old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            write_report(two_symbols, target)
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    write_report(two_symbols, target)
    assert target.read_text().startswith("<!DOCTYPE html>")
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    assert target.stat().st_mode & stat.S_IRUSR


class _WithoutPlotly(MetaPathFinder):
    def find_spec(self, name: str, path: object, target: object = None) -> None:
        if name.partition(".")[0] == "plotly":
            raise ModuleNotFoundError("No module named 'plotly'", name="plotly")


@pytest.fixture
def without_plotly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "plotly"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_WithoutPlotly(), *sys.meta_path])
    yield


@pytest.mark.usefixtures("without_plotly")
def test_without_the_extra_the_fix_is_named(two_symbols: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault) as caught:
        write_report(two_symbols, tmp_path / "r.html")
    assert caught.value.code == "env.extra_missing"
    assert caught.value.status is ExitStatus.ENVIRONMENT
    assert "grinder[report]" in caught.value.fix
    assert not (tmp_path / "r.html").exists()


# --- pieces --------------------------------------------------------------------------------------------


def test_thinning_keeps_first_last_and_every_extreme() -> None:
    values = [(at * 7919) % 10_007 for at in range(50_000)]
    values[31_234], values[17] = 99_999, -5
    places = kept(values)
    assert len(places) <= MOST_POINTS
    assert places == sorted(set(places))
    assert {0, 17, 31_234, 49_999} <= set(places)
    assert kept(values[:MOST_POINTS]) == list(range(MOST_POINTS))
    assert kept([]) == []


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0", "0"),
        ("-0.5", "−0.5"),
        ("1234567.891", "1,234,567.891"),
        ("0.00012345678", "0.00012345678"),
        (None, "–"),
        ("not a number", "not a number"),
        ("1e5", "1e5"),
    ],
)
def test_a_number_keeps_all_its_digits(amount: str | None, text: str) -> None:
    assert re.sub(r"<[^>]*>", "", number(amount)) == text
