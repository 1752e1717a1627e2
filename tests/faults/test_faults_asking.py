"""A cycle of requests between actors cannot be built: nobody can ask a core actor, and no core rule asks."""

from __future__ import annotations

import ast

import pytest
from live_runs import REPO, opened_core

from domain.inputs import ResumeTrading


@pytest.mark.parametrize("name", ["account", "portfolio", "clock", "symbol/BTCUSDT"])
def test_asking_a_core_actor_fails_at_once_and_says_why(name: str) -> None:
    core = opened_core()
    position = core.position
    message = (0, ResumeTrading(reason="test", symbol="", operator="test"))
    for block in (True, False):
        with pytest.raises(NotImplementedError, match="core actors tell; a reply would be"):
            core._actors[name].actor_ref.ask(message, block=block)
    core.sequencer.run()
    assert core.position == position, "nothing of it was handled"


@pytest.mark.parametrize("name", ["account", "portfolio", "clock", "symbol/BTCUSDT"])
def test_a_proxy_of_a_core_actor_asks_and_fails_as_well(name: str) -> None:
    with pytest.raises(NotImplementedError, match="core actors tell"):
        opened_core()._actors[name].actor_ref.proxy().state.get(timeout=1)


def asks(source: str) -> list[int]:
    """Lines that ask an actor and take its answer as a future, or make a proxy of one."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and (
            (node.func.attr == "ask" and any(one.arg in ("block", "timeout") for one in node.keywords))
            or node.func.attr == "proxy"
        )
    ]


def files_with(what: str) -> set[str]:
    rooms = ("domain", "actors", "projections", "replay", "grinder")
    return {
        path.relative_to(REPO).as_posix()
        for room in rooms
        for path in (REPO / room).rglob("*.py")
        if what in path.read_text("utf-8")
    }


def test_the_only_actor_that_is_asked_is_the_journals_which_asks_nobody() -> None:
    """Actors are pykka's, so only a file that knows pykka, or a core, has one to ask."""
    found = {name for name in files_with("pykka") if asks((REPO / name).read_text("utf-8"))}
    assert found == {"grinder/ledger/writer.py"}
    source = (REPO / "grinder/ledger/writer.py").read_text("utf-8")
    (actor,) = (
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.ClassDef) and node.name == "WriterActor"
    )
    assert asks(ast.unparse(actor)) == []
    edges = {"grinder/observation/alerts.py", "grinder/tape/writer.py"}  # each tells itself
    assert files_with("actor_ref") == {"actors/sequencer.py"} | edges, "nobody reaches for a core actor"
