"""Every connector keeps the contract, over the wire, against the server that speaks its protocol."""

from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
from contract import LOCAL, SERVERS, DeskStage, WireStage, imported, stage_of

from actors.ports import Connector, OrderRefused, Placed
from grinder.config.choices import Exchange
from grinder.connectors import contract as suite
from grinder.connectors import registry, template
from grinder.connectors.contract import CHECKS, Check
from grinder.connectors.okx.connector import OkxConnector
from grinder.connectors.stage import Broken
from grinder.errors import ConfigError, EnvironmentFault

REPO = Path(__file__).resolve().parents[2]


def stage(name: str) -> DeskStage:
    made = stage_of(name)
    if isinstance(made, str):
        warnings.warn(f"THE CONTRACT SUITE DOES NOT COVER {name}: {made}", stacklevel=1)
        pytest.skip(f"{name} IS NOT COVERED: {made}")
    return made


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("name", [*sorted(SERVERS), *LOCAL])
def test_a_connector_keeps_the_contract(name: str, check: Check) -> None:
    if not suite.play(check, lambda: stage(name)):
        pytest.skip("means nothing for this exchange")


def test_every_exchange_that_is_built_in_is_covered() -> None:
    assert sorted(SERVERS) == sorted(registry.BUILT_IN)


def test_every_exchange_of_the_configuration_is_built_in() -> None:
    chosen = {choice.value for choice in Exchange} - {Exchange.SIMULATED.value, Exchange.OTHER.value}
    assert chosen == set(registry.BUILT_IN)


# --- a connector of another package --------------------------------------------------------------------

PACKAGE = '''
from typing import ClassVar

from grinder.connectors.endpoint import Endpoint
from grinder.connectors.okx.connector import OkxConnector

PRODUCTION = Endpoint("https://exchange.example", "wss://exchange.example/public")
TESTNET = None


class MyConnector(OkxConnector):
    """An exchange that took over the protocol of another."""

    name: ClassVar[str] = "my-exchange"


NOT_A_CONNECTOR = 7
'''

ENTRY_POINTS = """\
[grinder.connectors]
my-exchange = my_exchange_package:MyConnector
my-broken = my_exchange_package_that_is_missing:Connector
my-number = my_exchange_package:NOT_A_CONNECTOR
"""


@pytest.fixture
def my_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with connectors of its own, installed as pip would install it."""
    (tmp_path / "my_exchange_package.py").write_text(PACKAGE, encoding="utf-8")
    info = tmp_path / "my_exchange_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-exchange-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_exchange_package", None)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.usefixtures("my_package")
def test_a_connector_of_another_package_keeps_the_contract(check: Check) -> None:
    found = registry.find("my-exchange")
    assert found.make.name == "my-exchange"
    suite.play(check, lambda: WireStage(found, imported(SERVERS["okx"])))


@pytest.mark.usefixtures("my_package")
def test_a_connector_of_another_package_is_named_among_the_others() -> None:
    assert registry.names()[: len(registry.BUILT_IN)] == tuple(registry.BUILT_IN)
    assert "my-exchange" in registry.names()
    found = registry.find("my-exchange")
    assert found.production is not None
    assert found.production.rest == "https://exchange.example"
    assert found.testnet is None


@pytest.mark.usefixtures("my_package")
def test_an_entry_point_that_cannot_be_used_says_why() -> None:
    with pytest.raises(EnvironmentFault, match="cannot be imported"):
        registry.find("my-broken")
    with pytest.raises(EnvironmentFault, match="no connector class"):
        registry.find("my-number")


# --- the registry --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(registry.BUILT_IN))
def test_a_built_in_exchange_has_its_name_and_its_addresses(name: str) -> None:
    stage(name)
    found = registry.find(name)
    assert found.make.name == name
    assert found.production is not None
    for endpoint in (found.production, found.testnet):
        if endpoint is not None:
            assert endpoint.rest.startswith("https://")
            assert endpoint.ws.startswith("wss://")
            assert not endpoint.rest.endswith("/")


@pytest.mark.parametrize(
    ("wrong", "right"), [("Binance", "binance"), ("okex", "okx"), ("bybit_linear", "bybit")]
)
def test_an_unknown_exchange_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match="no exchange has this name") as refused:
        registry.find(wrong)
    assert right in refused.value.fix


def test_naming_exchanges_imports_no_client_library() -> None:
    code = (
        "import sys; from grinder.connectors import registry; registry.names(); print('ccxt' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, timeout=30, check=False
    )
    assert done.stdout.strip() == "False", done.stderr


# --- the suite finds what it is for --------------------------------------------------------------------


class Forgetful(OkxConnector):
    """Answers that everything is fine."""

    async def place(self, orders):  # type: ignore[no-untyped-def]
        return [Placed(exchange_order_id="1", resting=True) for _ in orders]


class Repeating(OkxConnector):
    """Tells of executions that nobody else tells of."""

    async def fills(self, symbol, since_ns):  # type: ignore[no-untyped-def]
        found = await super().fills(symbol, since_ns)
        return [*found, *found]


class Assuring(OkxConnector):
    """Takes a refused cancel for the end of the order."""

    async def cancel(self, orders):  # type: ignore[no-untyped-def]
        answers = await super().cancel(orders)
        return [None if isinstance(one, OrderRefused) else one for one in answers]


class Leaking(OkxConnector):
    """Leaves its connections open."""

    async def close(self) -> None:
        self.left = self._wire


@pytest.mark.parametrize(
    ("made", "check"),
    [
        (Forgetful, "a_placed_order_rests_and_is_found_by_its_client_id"),
        (Repeating, "fills_arrive_once_and_equal_the_backfill"),
        (Assuring, "cancelling_an_unknown_order_is_a_refusal"),
        (Leaking, "rules_are_those_of_the_instrument"),
    ],
)
def test_the_suite_finds_a_connector_that_breaks_the_contract(
    made: type[OkxConnector], check: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grinder.connectors.stage.PATIENCE_S", 0.3)
    found = attrs.evolve(registry.find("okx"), make=made)
    [chosen] = [one for one in CHECKS if one.name == check]
    with pytest.raises(Broken):
        suite.play(chosen, lambda: WireStage(found, imported(SERVERS["okx"])))


# --- the template and the document ---------------------------------------------------------------------


def test_the_template_speaks_of_every_method_of_the_port() -> None:
    port = {name for name in vars(Connector) if not name.startswith("_")} - {"name", "capabilities"}
    assert set(template.METHODS) == port
    assert all(hasattr(template.TemplateConnector, name) for name in port)


def table_of_capabilities() -> list[str]:
    """The rows of the table in docs/exchanges.md, from what the connectors say of themselves."""
    rows = []
    for name in sorted(registry.BUILT_IN):
        can = registry.find(name).make.capabilities
        shortest, longest = can.dead_man_s
        cells = [
            f"`{name}`",
            str(can.place_batch),
            str(can.cancel_batch),
            "yes" if can.amend else "no",
            f"{can.dead_man}, {shortest}-{longest} s" if can.dead_man else "no",
            "at once" if can.acknowledges else "on the stream",
            "for ever" if can.ids_unique_for_ever else "among open orders",
            "yes" if can.positions else "no",
            "yes" if can.cancel_all else "one by one",
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return rows


def test_the_document_shows_what_each_exchange_can_do() -> None:
    text = (REPO / "docs" / "exchanges.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\| `[a-z-]+` \|.*\|$", text, re.MULTILINE)
    meant = table_of_capabilities()
    assert shown == meant, "write these rows:\n" + "\n".join(meant)


def test_the_document_names_every_check_of_the_suite() -> None:
    text = (REPO / "docs" / "exchanges.md").read_text(encoding="utf-8")
    missing = [check.name for check in CHECKS if check.name.replace("_", " ") not in " ".join(text.split())]
    assert not missing
