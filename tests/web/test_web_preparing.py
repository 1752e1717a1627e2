"""A ledger whose views have yet to be made is served at once, and says how far they are."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from web_rig import Web, play, serving

from actors.records import LedgerRow
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import open_application
from grinder.views.store import digest, rebuild, update
from grinder.views.summary import summary
from grinder.web import runs


class Held:
    """A process that makes views when the test lets it, in the test's own process."""

    made: list[Held]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ended: int | None = None
        Held.made.append(self)

    def status(self) -> int | None:
        return self.ended

    def close(self) -> None:
        self.ended = self.ended or 1

    def work(self) -> None:
        update(self.folder)
        self.ended = 0


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    Held.made = []
    monkeypatch.setattr(runs, "Building", Held)
    monkeypatch.setattr(runs, "FAR", 10)


def behind(finished: Path, folder: Path, position: int) -> Path:
    """The same run, with views that stand at an early record."""
    folder.mkdir()
    ledger = connect(finished / "ledger.db")
    found: list[LedgerRow] = list(rows(ledger))
    ledger.close()
    application = open_application(folder / "ledger.db", create=True)
    epoch = application.ledger_recorder.take_epoch()
    application.ledger_recorder.append_rows(found[:position], epoch)
    if position:
        update(folder)
    application.ledger_recorder.append_rows(found[position:], epoch)
    application.close()
    return folder


async def _ready(web: Web) -> dict[str, object]:
    for _ in range(600):
        found = await web.get("/api/trades")
        if found.status == 200 and not found.json["as_of"]["preparing"]:
            return dict(found.json["as_of"])
        await asyncio.sleep(0.05)
    raise AssertionError("the views were never ready")


@pytest.mark.usefixtures("held")
def test_while_views_are_made_what_is_ready_is_served_and_the_rest_is_said_to_come(
    finished: Path, tmp_path: Path
) -> None:
    head = summary(finished).position
    run = behind(finished, tmp_path / "behind", 300)

    async def scene() -> None:
        async with serving([run], tmp_path) as web:
            now = (await web.get("/api/trades")).json["as_of"]
            assert (now["preparing"], now["head"], now["end"]) == (True, 300, head)
            assert now["stale"], "what is shown as of now is not"
            then = await web.get("/api/trades?at=200")
            assert then.status == 200
            assert then.json["as_of"]["position"] == 200
            early = await web.get("/api/trades?at=301")
            assert early.status == 503
            assert early.json["code"] == "views.preparing"
            assert f"300 of {head}" in early.text
            await asyncio.to_thread(Held.made[0].work)
            assert (await _ready(web))["head"] == head
            assert (await web.get("/api/trades?at=301")).status == 200
            assert len(Held.made) == 1

    play(scene)


@pytest.mark.usefixtures("held")
def test_without_any_views_every_question_is_told_to_wait(finished: Path, tmp_path: Path) -> None:
    run = behind(finished, tmp_path / "behind", 0)

    async def scene() -> None:
        async with serving([run], tmp_path) as web:
            for path in ("/api/trades", "/api/trades?at=5", "/api/pages/overview"):
                found = await web.get(path)
                assert (found.status, found.json["code"]) == (503, "views.preparing"), path
            assert (await web.get("/ui")).status == 200

    play(scene)


@pytest.mark.usefixtures("held")
def test_where_the_other_process_fails_the_server_makes_the_views_itself(
    finished: Path, tmp_path: Path
) -> None:
    run = behind(finished, tmp_path / "behind", 0)

    async def scene() -> None:
        async with serving([run], tmp_path) as web:
            Held.made[0].ended = 1
            assert (await _ready(web))["head"] == summary(finished).position

    play(scene)


def test_a_process_of_its_own_makes_the_same_views(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "FAR", 10)
    run = behind(finished, tmp_path / "behind", 0)

    async def scene() -> None:
        async with serving([run], tmp_path) as web:
            assert (await web.get("/api/trades")).status in (200, 503)
            await _ready(web)

    play(scene)
    made = digest(run)
    again = tmp_path / "again"
    shutil.copytree(run, again)
    assert rebuild(again).digest == made
