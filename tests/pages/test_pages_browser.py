"""The dashboard in a real browser: every page, time travel, following, keys."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
import warnings
from collections.abc import Coroutine, Mapping
from typing import Any

import aiohttp
import pytest
from chromium import BINARY
from dashboard_stage import PICTURES, Stage, Staging

from grinder.web.market import MarketUnavailable
from grinder.web.pages import files

POLICY = "Content-Security-Policy"

NO_BROWSER = "NO CHROMIUM HERE: THE PAGES OF THE DASHBOARD ARE NOT TESTED"

if BINARY is None:
    warnings.warn(NO_BROWSER, stacklevel=1)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason=NO_BROWSER)]

PAGES = {
    "overview": "Overview",
    "grids": "Grids",
    "grids/BTCUSDT": "BTCUSDT",
    "orders": "Orders",
    "fills": "Fills",
    "decisions": "Decisions",
    "balances": "Balances",
    "market": "Market",
    "risk": "Risk and halts",
    "reconciliation": "Reconciliation",
    "health": "Health",
    "ledger": "Ledger",
    "ledger/700": "Ledger",
    "backtests": "Backtests and runs",
    "config": "Configuration",
}


DRAWN = "[...document.querySelectorAll('.chart')].every((one) => one.dataset.drawn)"
"""Every chart of the page is there."""


def play(scene: Coroutine[Any, Any, None], seconds: float = 50) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await scene

    asyncio.run(bounded())


async def ask(stage: Stage, path: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(stage.address + path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


def test_decisions_say_in_words_what_was_decided_why_and_lead_to_their_record(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("decisions")
            rows = "document.querySelectorAll('tbody tr')"
            assert await browser.run(f"{rows}.length") == 4
            shown = await stage.text("tbody")
            parts = (
                *("▲ long", "hold", "✕ blocked", "emergency stop", "37.4 %", "0.81 %, 1.22 %"),
                *("strategic long 81 %", "risk neutral 51 %", "anna", "rules (model.none)"),
                *("The vote is long with a score of 0.5024", "pause (operator) is in force."),
            )
            for part in parts:
                assert part in shown, part
            assert shown.index("emergency") < shown.index("long 81"), "newest first"
            choose = "document.querySelectorAll('.filters select')"
            await browser.run(f"{choose}[1].value = 'BLOCKED'; {choose}[1].onchange({{target: {choose}[1]}})")
            await browser.until(f"{rows}.length === 1")
            assert "1 of 1 shown" in await stage.text()
            await browser.click("tbody a.row")
            await browser.until("location.hash.startsWith('#/ledger/')")
            await browser.until("document.querySelector('h1').innerText === 'Ledger'")
            await browser.until(
                "document.getElementById('page').innerText.includes('the rules decide BLOCKED')"
            )
            await stage.show("decisions", run="growing")
            assert "POST /decide" in await stage.text()
            assert "grinder decide" in await stage.text()
            assert browser.console == []

    play(scene())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_drawn_without_an_error_and_without_asking_anybody_else(
    staged: Staging, theme: str
) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            features = [{"name": "prefers-color-scheme", "value": theme}]
            await browser.call("Emulation.setEmulatedMedia", features=features)
            for page, title in PAGES.items():
                await stage.show(page)
                assert await stage.text("h1") == title
                marked = await stage.text("nav [aria-current=page]")
                assert marked, page
                assert await browser.run("document.documentElement.dataset.theme") == theme
                assert not await browser.run("document.documentElement.dataset.error || ''")
                assert await browser.run("document.querySelectorAll('h1').length") == 1
                await browser.until(DRAWN, 20)
                await browser.picture(PICTURES / f"{page.replace('/', '-')}-{theme}.png")
            assert browser.console == []
            own = stage.address.removeprefix("http")
            strange = [
                one for one in browser.requests if own not in one and not one.startswith(("about:", "data:"))
            ]
            assert strange == []

    play(scene())


def test_pages_fit_a_phone_and_their_menu_opens(staged: Staging) -> None:
    async def scene() -> None:
        async with staged(360, 740) as stage:
            await stage.browser.resize(360, 740, phone=True)
            for page in PAGES:
                await stage.show(page)
                assert await stage.browser.run("document.documentElement.scrollWidth") <= 360, page
                await stage.browser.picture(PICTURES / f"{page.replace('/', '-')}-phone.png")
            await stage.show("overview")
            assert (
                await stage.browser.run("getComputedStyle(document.getElementById('nav')).visibility")
                == "hidden"
            )
            await stage.browser.click("#menu")
            await stage.browser.until("document.getElementById('menu').ariaExpanded === 'true'")
            await asyncio.sleep(0.3)
            await stage.browser.click("nav a[data-page=risk]")
            await stage.browser.until("document.querySelector('h1').innerText === 'Risk and halts'")
            assert stage.browser.console == []

    play(scene())


def test_a_chart_has_candles_the_ladder_and_words_for_who_cannot_see_it(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("grids/BTCUSDT")
            drawn = await stage.browser.until("document.documentElement.dataset.chart")
            assert int(drawn) > 50
            said = await stage.browser.run(
                "document.querySelector('#grid-chart .plot').getAttribute('aria-label')"
            )
            assert "ladder of 30 levels" in said and "working orders" in said
            await stage.browser.until("document.querySelector('#grid-chart').dataset.drawn", 20)
            shapes = await stage.browser.run(
                "(() => { const all = (of) => document.querySelectorAll('#grid-chart ' + of).length;"
                " return ['.boxlayer path.box', '.scatterlayer path.point', '.shapelayer path'].map(all);"
                " })()"
            )
            told = await ask(stage, "/api/pages/chart/BTCUSDT?run=finished&candles=300")
            candles, fills, lines = shapes
            # The ladder is one path, working buys and sells one each, the price one line.
            assert (candles, fills) == (int(drawn), len(told["fills"])) and lines == 4, shapes
            written = await stage.browser.run(
                "[...document.querySelectorAll('#grid-chart text')].map((one) => one.textContent)"
            )
            assert "UTC" in written
            last = (await ask(stage, "/api/pages/grids/BTCUSDT?run=finished"))["grid"]["mark_price"]
            assert any(one.replace(",", "") == last for one in written), (last, written)
            await stage.browser.run("document.querySelector('#grid-chart .plot').focus()")
            await stage.browser.press("ArrowRight")
            tip = await stage.browser.until("document.querySelector('#grid-chart .tip').textContent")
            assert " O " in tip and " C " in tip
            await stage.browser.press("+")
            await stage.browser.until(f"document.documentElement.dataset.chart != '{drawn}'")

    play(scene())


def test_a_chart_is_moved_with_a_mouse_and_a_double_click_shows_the_whole_again(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("grids/BTCUSDT")
            await browser.until(DRAWN, 20)
            left = "document.querySelector('#grid-chart .plot')._fullLayout.xaxis.range[0]"
            whole = await browser.run(left)
            await browser.run("document.querySelector('.legend button[aria-label=\"Zoom in\"]').click()")
            zoomed = await browser.until(f"{left} > {whole} + 1 && {left}")
            await asyncio.sleep(0.3)
            x, y = await browser.run(
                "(() => { const b = document.querySelector('#grid-chart').getBoundingClientRect();"
                " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
            )

            async def mouse(kind: str, at: float, count: int = 1) -> None:
                given = {"x": at, "y": y, "button": "left", "buttons": 1, "clickCount": count}
                await browser.call("Input.dispatchMouseEvent", type=kind, **given)

            await mouse("mousePressed", x)
            for step in range(1, 6):
                await mouse("mouseMoved", x + 30 * step)
            await mouse("mouseReleased", x + 150)
            await browser.until(f"{left} < {zoomed} - 1000")
            for count in (1, 2):
                await mouse("mousePressed", x, count)
                await mouse("mouseReleased", x, count)
            await browser.until(f"Math.abs({left} - {whole}) < 1000")
            assert browser.console == []

    play(scene())


def test_the_charting_library_comes_from_this_server_and_only_where_there_is_a_chart(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser, path = stage.browser, "/ui/static/lib/plotly.js"
            await stage.show("fills")
            assert not any(path in one for one in browser.requests)
            await stage.show("overview")
            await browser.until(DRAWN, 20)
            assert [one for one in browser.requests if path in one] == [stage.address + path]
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                async with session.get(stage.address + path) as answer:
                    packed, headers = await answer.read(), answer.headers
                assert headers["Content-Encoding"] == "gzip" and "script-src 'self'" in headers[POLICY]
                plain = {"Accept-Encoding": "identity"}
                async with session.get(stage.address + path, headers=plain) as answer:
                    assert "Content-Encoding" not in answer.headers
                    assert await answer.read() == gzip.decompress(packed)
                again = {"If-None-Match": headers["ETag"]}
                async with session.get(stage.address + path, headers=again) as answer:
                    assert answer.status == 304

    play(scene())


def test_without_the_charting_library_a_page_has_its_figures_and_says_what_is_missing(
    staged: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "library", lambda: None)

    async def scene() -> None:
        async with staged() as stage:
            await stage.browser.call("Network.setCacheDisabled", cacheDisabled=True)
            await stage.show("overview")
            await stage.browser.until(
                "document.querySelector('.chart .wait').innerText.includes('not there')"
            )
            assert "grinder[web]" in await stage.text(".chart .wait")
            assert "adds up exactly" in await stage.text()
            assert not await stage.browser.run("document.documentElement.dataset.error || ''")

    play(scene())


def test_figures_are_the_text_of_the_api_to_the_last_digit(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("overview")
            total = (await ask(stage, "/api/pages/overview?run=finished"))["total"]
            titles = await stage.browser.run(
                "[...document.querySelectorAll('.figures .amount')].map((one) => one.title)"
            )
            assert total["equity_end"] in titles and total["fees"] in titles
            assert (await ask(stage, "/api/pnl?run=finished"))["total"]["equity_end"] == total["equity_end"]
            assert "adds up exactly" in await stage.text()

    play(scene())


class FakeMarket:
    """A source that knows one coin, until it does not answer."""

    def __init__(self) -> None:
        self.silent = False

    async def ask(self, path: str, query: Mapping[str, str]) -> Any:
        if self.silent:
            raise MarketUnavailable("the source does not answer")
        bitcoin = {
            "id": "bitcoin",
            "symbol": "btc",
            "name": "Bitcoin",
            "current_price": "61234.5",
            "low_24h": "60000",
            "high_24h": "62000",
            "price_change_percentage_24h": "-3.11853",
            "market_cap": "1207394400172",
            "total_volume": "31260929299",
        }
        pepe = {"coins": [{"item": {"id": "pepe", "name": "Pepe", "symbol": "PEPE"}}]}
        found = {"/simple/price": {"bitcoin": {"usd": "61234.5"}}, "/coins/markets": [bitcoin]}
        return found.get(path, pepe)

    async def close(self) -> None:
        pass


def test_the_wider_market_is_shown_with_its_currency_and_marked_when_it_is_old(staged: Staging) -> None:
    async def scene() -> None:
        source = FakeMarket()
        async with staged(market=source) as stage:
            await stage.show("market")
            await stage.browser.until("document.body.innerText.includes('Bitcoin')")
            page = await stage.text()
            for said in ("Price, USD", "61,234.5", "−3.12 %", "1,207,394,400,172", "Trending: Pepe"):
                assert said in page, said
            assert "stale" not in page
            await stage.browser.picture(PICTURES / "market-wider.png")
            source.silent = True
            stage.server.services.market._clock = lambda: time.time_ns() + 61 * 10**9
            await stage.show("market")
            await stage.browser.until("document.body.innerText.includes('stale: the source does not answer')")
            assert "61,234.5" in await stage.text(), "the last figures stay"

    play(scene())


# --- time travel ---------------------------------------------------------------------------------------


def test_the_scrubber_shows_every_page_at_another_record(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("overview")
            head = int(await browser.run("document.querySelector('.scrub input').max"))
            latest = await stage.text(".figures dd")
            middle = head // 2
            await browser.run(
                f"(() => {{ const i = document.querySelector('.scrub input'); i.focus(); i.value = {middle};"
                " i.dispatchEvent(new Event('input')); i.dispatchEvent(new Event('change')); })()"
            )
            await browser.until(f"document.documentElement.dataset.at === '{middle}'")
            then = (await ask(stage, f"/api/pages/overview?run=finished&at={middle}"))["total"]["equity_end"]
            assert await browser.run("document.querySelector('.figures .amount').title") == then
            assert await stage.text(".figures dd") != latest
            assert await stage.text("#state") == "past"
            assert f"at={middle}" in await browser.run("location.hash")
            await browser.press("ArrowRight")
            await browser.until(f"document.documentElement.dataset.at === '{middle + 1}'")
            for page in ("grids/ETHUSDT", "orders", "fills", "risk", "balances"):
                await browser.run(f"location.hash = '#/{page}?run=finished&at={middle}'")
                await browser.until(f"document.documentElement.dataset.shown === '{page}'")
                assert "You look at record" in await stage.text("#notice")
            await browser.press("Home")  # no handle has the focus: nothing moves
            await browser.click(".scrub .steps button:last-child")
            await browser.until("document.getElementById('state').innerText !== 'past'")
            assert browser.console == []

    play(scene())


def test_a_record_says_why_it_is_there_and_the_chain_is_verified(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("ledger/700")
            await stage.browser.until("document.documentElement.dataset.explained === '700'")
            told = await ask(stage, "/api/pages/ledger/700?run=finished")
            assert told["path"][0]["position"] <= 700 == told["path"][-1]["position"]
            page = await stage.text()
            assert "Why" in page and told["record"]["chain"] in page
            await stage.browser.click(".title button")
            await stage.browser.until("document.querySelector('.title').innerText.includes('whole')")

    play(scene())


def test_two_runs_are_compared_and_have_reports(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("backtests/finished/another")
            await stage.browser.until("document.documentElement.dataset.compared")
            page = await stage.text()
            assert "Residual of the identity" in page and "Settings that differ (0)" in page
            async with aiohttp.ClientSession() as session:
                path = "/api/pages/report?run=finished&a=finished"
                async with session.get(stage.address + path) as answer:
                    assert answer.status == 200
                    assert "sandbox" in answer.headers["Content-Security-Policy"]
                for name in ("..", "../finished", "growing"):
                    async with session.get(
                        f"{stage.address}/api/pages/report?run=finished&a={name}"
                    ) as answer:
                        assert answer.status == 404, name

    play(scene())


# --- following -----------------------------------------------------------------------------------------


def test_after_a_cut_the_page_goes_on_after_the_last_record_it_was_told(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("overview", run="growing")
            await browser.until("document.getElementById('state').innerText === 'live'")
            first = stage.growing.grow(200)
            await browser.until(f"document.documentElement.dataset.live === '{first}'")
            await browser.until(f"document.documentElement.dataset.at === '{first}'")
            for socket in list(stage.server.services.sockets):
                await socket.close()
            second = stage.growing.grow(400)
            await browser.until(f"document.documentElement.dataset.live === '{second}'")
            resumed = [json.loads(one) for one in browser.sent][-1]
            assert resumed["after"] == first
            await browser.until(f"document.documentElement.dataset.at === '{second}'")
            await stage.browser.run("location.hash = '#/health?run=growing'")
            await browser.until("document.documentElement.dataset.shown === 'health'")
            await browser.until("document.body.innerText.includes('events were told afterwards')")

    play(scene())


def test_figures_older_than_ten_seconds_are_marked(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("overview", run="growing")
            await stage.browser.until("document.getElementById('state').innerText === 'live'")
            await stage.server.stop()
            await stage.browser.run("(() => { const now = Date.now; Date.now = () => now() + 11000; })()")
            await stage.browser.until("document.getElementById('state').innerText === 'stale'")
            assert "old" in await stage.text("#notice")
            assert await stage.browser.run("document.body.classList.contains('stale')")

    play(scene())


# --- keys and ears -------------------------------------------------------------------------------------


def test_the_keyboard_reaches_everything(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("overview")
            await browser.press("Tab")
            assert await browser.run("document.activeElement.className") == "skip"
            await browser.press("Enter")
            await browser.until("document.activeElement.id === 'content'")
            assert await stage.text("h1") == "Overview"
            await browser.run("document.querySelector('nav a[data-page=fills]').focus()")
            await browser.press("Enter")
            await browser.until("document.querySelector('h1').innerText === 'Fills'")
            await browser.until("document.activeElement.id === 'content'")
            reached = set()
            await browser.run("document.activeElement.blur(); document.body.focus()")
            for _ in range(60):
                await browser.press("Tab")
                reached.add(
                    await browser.run("document.activeElement.tagName + (document.activeElement.type || '')")
                )
            assert {"A", "SELECTselect-one", "INPUTrange"} <= reached
            nameless = await browser.run(
                "[...document.querySelectorAll('button, a, input, select')]"
                ".filter((one) => one.offsetParent && !one.innerText && !one.ariaLabel && !one.title)"
                ".filter((one) => !one.labels || !one.labels.length)"
                ".map((one) => one.outerHTML)"
            )
            assert nameless == []
            landmarks = await browser.run(
                "['header', 'nav', 'main', 'footer'].map((n) => document.querySelectorAll(n).length)"
            )
            assert landmarks == [1, 1, 1, 1]

    play(scene())


def test_text_stands_out_from_what_is_behind_it_in_both_themes(staged: Staging) -> None:
    on_card = ("text", "muted", "gain", "loss", "buy", "sell", "accent")
    pairs = [*((front, "card") for front in on_card), ("muted", "page"), ("accent", "accent-faint")]
    pairs += [(front, f"{front}-back") for front in ("warn", "bad", "good")]

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        lights = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
        return 0.2126 * lights[0] + 0.7152 * lights[1] + 0.0722 * lights[2]

    async def scene() -> None:
        async with staged() as stage:
            await stage.show("config")
            for theme in ("light", "dark"):
                await stage.browser.run(f"document.documentElement.dataset.theme = '{theme}'")
                for front, back in pairs:
                    style = "getComputedStyle(document.documentElement).getPropertyValue"
                    found = [await stage.browser.run(f"{style}('--{one}').trim()") for one in (front, back)]
                    low, high = sorted(map(luminance, found))
                    assert (high + 0.05) / (low + 0.05) >= 4.5, (theme, front, back, found)

    play(scene())


# --- speed and policy ----------------------------------------------------------------------------------


def test_the_first_paint_comes_soon_and_no_script_may_be_slipped_in(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("overview")
            paint = await stage.browser.run(
                "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            )
            assert paint < 1000
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{stage.address}/ui") as answer:
                    policy, page = answer.headers["Content-Security-Policy"], await answer.text()
                    tag = answer.headers["ETag"]
                assert "script-src 'self'" in policy and "unsafe" not in policy
                assert "style=" not in page and "onclick" not in page
                again = {"If-None-Match": tag}
                async with session.get(f"{stage.address}/ui", headers=again) as answer:
                    assert answer.status == 304
                for name in ("nothing.js", "../guard.py", "pages/%2e%2e/%2e%2e/guard.py"):
                    async with session.get(f"{stage.address}/ui/static/{name}") as answer:
                        assert answer.status == 404, name
            # A script from elsewhere, or written into the page, does not run.
            await stage.browser.run(
                "(() => { const s = document.createElement('script'); s.textContent = 'window.slipped = 1';"
                " document.body.append(s); })()"
            )
            assert await stage.browser.run("window.slipped === undefined")

    play(scene())
