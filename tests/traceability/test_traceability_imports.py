"""No module of the product imports itself, over however many others."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
ROOMS = ("domain", "actors", "projections", "replay", "grinder")


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


def imports_of(source: str, known: set[str]) -> set[str]:
    """The modules of the product that a module imports, also within functions and for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            whole = str(node.module)
            found.update(f"{whole}.{a.name}" if f"{whole}.{a.name}" in known else whole for a in node.names)
    return found & known


def test_the_import_graph_has_no_cycle() -> None:
    modules = {module_name(path): path for room in ROOMS for path in (REPO / room).rglob("*.py")}
    graph = {name: imports_of(path.read_text("utf-8"), set(modules)) for name, path in modules.items()}
    assert sum(map(len, graph.values())) > 300
    assert len(list(TopologicalSorter(graph).static_order())) == len(modules)


def test_a_cycle_would_be_found() -> None:
    known = {"domain.a", "domain.b"}
    graph = {
        "domain.a": imports_of("from domain import b", known),
        "domain.b": imports_of("def f():\n    import domain.a", known),
    }
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph).static_order())
