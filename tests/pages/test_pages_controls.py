"""Commands given in a real browser: asked about first, shown as done with their record, or refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chromium import BINARY
from dashboard_stage import PASSWORD, PICTURES, Staging
from test_pages_browser import NO_BROWSER, play

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason=NO_BROWSER)]


def test_a_command_is_asked_about_and_then_reaches_the_run(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser, run = stage.browser, stage.run
            await stage.show("grids", run="growing")
            await browser.until("document.getElementById('state').innerText === 'live'")
            await browser.click("#controls button[aria-label='Pause all trading']")
            await browser.until("document.querySelector('dialog[open]')")
            await browser.press("Escape")
            await browser.until("!document.querySelector('dialog[open]')")
            assert run.given == []
            await browser.click("#controls button[aria-label='Pause all trading']")
            await browser.until("document.querySelector('dialog[open]')")
            await browser.press("Enter")
            await browser.until("!document.querySelector('dialog[open]')")
            assert [type(one).__name__ for one in run.given] == ["PauseTrading"]
            await browser.until("document.getElementById('said').innerText.includes('done, record')")
            await browser.until("document.getElementById('state').innerText === 'paused'")
            await browser.click("#controls button[aria-label='Resume trading']")
            await browser.until("document.querySelector('dialog[open]')")
            await browser.press("Enter")
            await browser.until("document.getElementById('state').innerText === 'live'")
            # The kill switch wants more than one key.
            await browser.click("#controls button[aria-label='Kill switch']")
            await browser.until("document.querySelector('dialog[open]')")
            await browser.press("Enter")
            await asyncio.sleep(0.2)
            assert "HaltTrading" not in [type(one).__name__ for one in run.given]
            await browser.picture(PICTURES / "dialog.png")
            await browser.click("dialog input[name=sure]")
            await browser.click("dialog button[type=submit]")
            await browser.until("document.getElementById('state').innerText === 'halted'")
            assert "MANUAL" in run.halted
            reset = "document.querySelector('#notice button').title"
            assert "admin" in await browser.run(reset)
            assert browser.console == []

    play(scene())


def test_a_run_is_handed_over_from_the_page_that_shows_its_standby(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser, run = stage.browser, stage.run
            await stage.show("health", run="growing")
            await browser.until("document.getElementById('state').innerText === 'live'")
            shown = await stage.text("#page")
            for words in ("standby, up to date", "epoch 3", "1 d 1 h"):
                assert words in shown
            await browser.click("button[aria-label='Hand the run over']")
            await browser.until("document.querySelector('dialog[open]')")
            await browser.press("Enter")
            await asyncio.sleep(0.2)
            assert run.given == [], "it has to be ticked"
            await browser.click("dialog input[name=sure]")
            await browser.click("dialog button[type=submit]")
            await browser.until("document.getElementById('said').innerText.includes('done, record')")
            assert [type(one).__name__ for one in run.given] == ["HandOver"]
            await browser.until("document.getElementById('page').innerText.includes('nobody')")
            why = await browser.run(
                "document.querySelector(\"button[aria-label='Hand the run over']\").title"
            )
            assert "grinder standby" in why
            assert browser.console == []

    play(scene())


async def _answered(browser: Any, button: str) -> None:
    """Press a button and send its form."""
    await browser.click(f"button[aria-label='{button}']")
    await browser.until("document.querySelector('dialog[open]')")
    await browser.click("dialog button[type=submit]")
    await browser.until("!document.querySelector('dialog[open]')")


def test_a_grid_is_started_and_rebalanced_from_its_card(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser, grids = stage.browser, stage.run.grids
            await stage.show("grids", run="growing")
            await browser.until("document.getElementById('state').innerText === 'live'")
            why = "document.querySelector(\"button[aria-label='{}']\").title"
            assert await browser.run(why.format("Start BTCUSDT")) == "It is running."
            assert await browser.run(why.format("Rebalance ETHUSDT")) == "It does not run."
            await _answered(browser, "Rebalance BTCUSDT")
            grids.blocked = "PAUSE_STOP_LOSS"
            await _answered(browser, "Start ETHUSDT")
            await browser.until("document.getElementById('said').innerText.includes('blocked by a limit')")
            grids.blocked = ""
            await _answered(browser, "Start ETHUSDT")
            await browser.until("document.getElementById('said').innerText.includes('done, record')")
            assert grids.asked == [("rebalance", ("BTCUSDT",)), ("start", "ETHUSDT"), ("start", "ETHUSDT")]
            assert browser.console == []

    play(scene())


def test_terms_are_shown_with_their_ladder_before_they_are_deployed(staged: Staging) -> None:
    async def scene() -> None:
        async with staged() as stage:
            browser, grids = stage.browser, stage.run.grids
            await stage.show("grids/BTCUSDT", run="growing")
            await browser.until("document.getElementById('state').innerText === 'live'")
            await browser.click("button[aria-label='Deploy BTCUSDT']")
            await browser.until("document.querySelectorAll('#deploy-plan tbody tr').length === 30")
            field = "document.querySelector('dialog [name=grid_number]')"
            changed = (
                f"{field}.value = '{{}}'; {field}.dispatchEvent(new Event('input', {{{{bubbles: true}}}}))"
            )
            await browser.run(changed.format("12"))
            await browser.until("document.querySelectorAll('#deploy-plan tbody tr').length === 12")
            assert "grid_number 30 → 12" in await stage.text("#deploy-plan")
            await browser.picture(PICTURES / "deploy.png")
            await browser.run(changed.format("1"))
            await browser.until("document.querySelector('#deploy-plan .problem')")
            await browser.run(changed.format("12"))
            await browser.until("document.querySelectorAll('#deploy-plan tbody tr').length === 12")
            # Without the tick nothing is sent.
            await browser.click("dialog button[type=submit]")
            await asyncio.sleep(0.2)
            assert grids.asked == []
            await browser.click("dialog input[name=sure]")
            await browser.click("dialog button[type=submit]")
            await browser.until("!document.querySelector('dialog[open]')")
            await browser.until("document.getElementById('said').innerText.includes('last order of the old')")
            assert grids.asked == [("deploy", ("BTCUSDT", {"grid_number": "12"}))]
            assert [one for one in browser.console if "400" not in one] == []

    play(scene())


def test_what_cannot_be_done_says_why(staged: Staging) -> None:
    async def scene() -> None:
        async with staged(no_login=False) as stage:
            pause = "#controls button[aria-label='Pause all trading']"
            await stage.show("overview")
            assert "Nothing runs" in await stage.browser.run(f'document.querySelector("{pause}").title')
            await stage.show("overview", run="growing")
            await stage.browser.until("document.getElementById('state').innerText === 'live'")
            assert "role operator" in await stage.browser.run(f'document.querySelector("{pause}").title')
            await stage.browser.click(pause)
            assert not await stage.browser.run("Boolean(document.querySelector('dialog[open]'))")
            await stage.show("overview", run="growing", at=500)
            assert "past" in await stage.browser.run(f'document.querySelector("{pause}").title')
            assert stage.run.given == []

    play(scene())


def test_who_has_to_log_in_is_asked_and_may_then_give_commands(staged: Staging) -> None:
    async def scene() -> None:
        async with staged(no_login=False, user="anna") as stage:
            browser = stage.browser
            await browser.open(f"{stage.address}/ui#/overview?run=growing")
            await browser.until("document.querySelector('dialog[open] input[name=username]')")
            assert "20" not in await stage.text("#page"), "no figure is to be seen before"
            for name, value in (("username", "anna"), ("password", "wrong wrong wrong")):
                await browser.run(f"document.querySelector('dialog [name={name}]').value = '{value}'")
            await browser.click("dialog button[type=submit]")
            await browser.until("document.querySelector('dialog .problem').innerText.includes('wrong')")
            await browser.run(f"document.querySelector('dialog [name=password]').value = '{PASSWORD}'")
            await browser.click("dialog button[type=submit]")
            await browser.until("document.getElementById('state').innerText === 'live'")
            assert "anna" in await stage.text("#who")
            assert not await browser.run("document.cookie"), "no script reads the session"
            await browser.click("#controls button[aria-label='Pause all trading']")
            await browser.until("document.querySelector('dialog[open]')")
            await browser.press("Enter")
            await browser.until("!document.querySelector('dialog[open]')")
            assert [getattr(one, "operator", "") for one in stage.run.given] == ["anna"]

    play(scene())
