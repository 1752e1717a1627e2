"""The dashboard for everybody: names for who listens, keys for who has no mouse, contrast, fingers, roles."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from chromium import BINARY
from dashboard_stage import Staging
from test_pages_browser import DRAWN, NO_BROWSER, PAGES

CHECKS = Path(__file__).with_name("audit.js").read_text()
AUDIT, CONTRAST, FINGERS = (
    f"(() => {{ {CHECKS}\nreturn checks.{name}(); }})()" for name in ("audit", "contrast", "fingers")
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason=NO_BROWSER)]


def play(scene: Coroutine[Any, Any, None], seconds: float = 90) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await scene

    asyncio.run(bounded())


def test_everything_on_every_page_has_a_name_a_role_and_a_place_in_the_order(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            for page in PAGES:
                await stage.show(page)
                await stage.browser.until(DRAWN, 20)
                assert await stage.browser.run(AUDIT) == [], page
            await stage.show("grids", run="growing")
            await stage.browser.until("document.getElementById('state').innerText === 'live'")
            await stage.browser.click("#controls button[aria-label='Kill switch']")
            await stage.browser.until("document.querySelector('dialog[open]')")
            assert await stage.browser.run(AUDIT) == []

    play(scene())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_text_is_too_faint_on_any_page(staged: Staging, theme: str) -> None:
    async def scene() -> None:
        async with staged() as stage:
            features = [{"name": "prefers-color-scheme", "value": theme}]
            await stage.browser.call("Emulation.setEmulatedMedia", features=features)
            for page in PAGES:
                await stage.show(page)
                await stage.browser.until(DRAWN, 20)
                assert await stage.browser.run(CONTRAST) == [], page
            # Old figures are marked, and can still be read.
            await stage.browser.run("document.body.classList.add('stale')")
            assert await stage.browser.run(CONTRAST) == [], "stale"

    play(scene())


def test_the_contrast_check_finds_faint_text(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("overview")
            await stage.browser.run("document.querySelector('h1').style.color = '#cccccc'")
            (found,) = await stage.browser.run(CONTRAST)
            assert found["text"] == "Overview" and found["ratio"] < 2

    play(scene())


def test_whatever_has_the_focus_shows_it(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("grids/BTCUSDT")
            await browser.until("document.querySelector('#grid-chart').dataset.drawn", 20)
            seen: list[str] = []
            for _ in range(45):
                await browser.press("Tab")
                name, outline, shown = await browser.run(
                    "(() => { const e = document.activeElement, s = getComputedStyle(e);"
                    " return [e.className || e.id || e.tagName, s.outlineStyle !== 'none' && s.outlineWidth,"
                    " e.getClientRects().length > 0]; })()"
                )
                assert outline and shown, name
                seen.append(name)
            assert sum(one.startswith("plot") for one in seen) == 1, "the chart has the focus once"

    play(scene())


def test_the_scrubber_and_its_buttons_are_used_with_keys_alone(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("overview")
            head = int(await browser.run("document.querySelector('.scrub input').max"))
            await browser.run("document.querySelector('.scrub input').focus()")
            await browser.press("ArrowLeft")
            await browser.until(f"document.documentElement.dataset.at === '{head - 1}'", 20)
            handle = "document.querySelector('.scrub input')"
            spoken = await browser.run(f"{handle}.getAttribute('aria-valuetext')")
            assert f"record {head - 1:,}" in spoken and "-" in spoken
            await browser.press("Home")
            await browser.until("document.documentElement.dataset.at === '1'", 20)
            await browser.press("End")
            await browser.until("document.getElementById('state').innerText !== 'past'")
            await browser.run("document.querySelector('.scrub .steps button').focus()")
            await browser.press("Enter")
            await browser.until(f"document.documentElement.dataset.at === '{head - 1}'")
            assert "You look at record" in await stage.text("#notice")
            assert browser.console == []

    play(scene())


def test_rows_lead_to_their_record_with_keys_alone(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            await stage.show("fills")
            await stage.browser.run("document.querySelector('tbody a.row').focus()")
            await stage.browser.press("Enter")
            await stage.browser.until("document.documentElement.dataset.explained")
            assert "Why" in await stage.text()

    play(scene())


def test_fingers_find_what_they_aim_at_on_a_phone(staged: Staging) -> None:
    async def scene() -> None:
        async with staged(390, 844) as stage:
            await stage.browser.resize(390, 844, phone=True)
            for page in PAGES:
                await stage.show(page)
                assert await stage.browser.run(FINGERS) == [], page
                hidden = await stage.browser.run(
                    "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > 1 +"
                    " one.clientWidth).map((one) => one.getAttribute('aria-label'))"
                )
                assert hidden == [], f"{page}: part of a list is beside the screen"

    play(scene())


def test_a_page_of_what_had_not_begun_says_so_and_leads_on(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser = stage.browser
            await stage.show("grids/BTCUSDT", at=1)
            page = await stage.text()
            assert "no such grid at this record" in page and "Back to now" in page
            assert "No answer" not in await stage.text("#notice")
            await browser.click("#page button")
            await browser.until("document.querySelector('#grid-chart')")
            await browser.until("document.querySelector('#grid-chart').dataset.drawn", 20)
            assert not await browser.run("document.documentElement.dataset.error || ''")

    play(scene())


def test_a_halt_is_to_be_seen_on_every_page(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            stage.run.halted = "MANUAL: a test"
            for page in ("overview", "ledger", "config", "backtests", "fills"):
                await stage.show(page, run="growing")
                await stage.browser.until("document.getElementById('state').innerText === 'halted'")
                assert "MANUAL: a test" in await stage.text("#notice")

    play(scene())


@pytest.mark.parametrize(
    ("role", "may", "reset"),
    [("viewer", False, "admin"), ("operator", True, "admin"), ("admin", True, "not latched")],
)
def test_a_role_may_do_its_own_and_is_told_why_not_the_rest(
    staged: Staging, role: str, may: bool, reset: str
) -> None:
    async def scene() -> None:
        async with staged(no_login=False, user="anna", role=role) as stage:
            browser = stage.browser
            await stage.login("anna", "risk")
            await browser.until("document.getElementById('state').innerText === 'live'")
            assert f"anna · {role}" in await stage.text("#who")
            for label in ("Pause all trading", "Kill switch"):
                disabled, title = await browser.run(
                    f"(() => {{ const b = document.querySelector(\"#controls button[aria-label='{label}']\");"
                    " return [b.getAttribute('aria-disabled'), b.title]; })()"
                )
                assert (disabled is None) is may, (label, title)
                assert may or "role operator" in title
            title = await browser.run(
                "document.querySelector(\"#page button[aria-label='Reset kill switch']\").title"
            )
            assert reset in title
            if not may:
                await browser.click("#controls button[aria-label='Kill switch']")
                await browser.until("document.querySelector('.toast').innerText.includes('role operator')")
                assert stage.run.given == []

    play(scene())
