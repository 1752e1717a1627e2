"""Stages for the contract suite: every connector with the server that speaks its protocol."""

from __future__ import annotations

import importlib
import time
import uuid
from decimal import Decimal
from typing import Any

from msgspec import UNSET

from actors.ports import Capabilities, Connector
from domain.instrument import LINEAR, SPOT, Instrument
from domain.order_events import OrderTerms
from domain.units import from_units
from grinder.connectors import registry
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.registry import Registered
from grinder.connectors.simulated import SimulatedConnector
from grinder.secrets import Credentials
from grinder.simulated.server import Running, WireServer, start
from replay.exchange.desk import Desk
from replay.exchange.rolling import quote_row
from replay.exchange.rules import ExchangeRules
from replay.faults import FaultPlan, FaultRule

KEYS = Credentials("a-key", "c2VjcmV0LXNlY3JldA==", "a passphrase")
"""Kraken's secrets are base64; nobody else minds."""

SERVERS = {
    "binance": "grinder.simulated.protocols.binance:BinanceSpotServer",
    "binance-usdm": "grinder.simulated.protocols.binance_usdm:BinanceUsdmServer",
    "bybit": "grinder.simulated.protocols.bybit:BybitServer",
    "bybit-linear": "grinder.simulated.protocols.bybit:BybitServer",
    "kraken": "grinder.simulated.protocols.kraken:KrakenServer",
    "okx": "grinder.simulated.protocols.okx:OkxServer",
    "okx-swap": "grinder.simulated.protocols.okx:OkxServer",
}

PRICE = 600_000


def listed(kind: str = SPOT, contract: int = 0) -> Instrument:
    """BTCUSDT in tenths of a dollar and thousandths of a coin."""
    return Instrument(
        symbol="BTCUSDT",
        kind=kind,
        base="BTC",
        quote="USDT",
        tick="0.1",
        lot="0.001",
        tick_size=1,
        price_decimals=1,
        base_decimals=8,
        quote_decimals=9,
        quote_per_tick_base=1,
        base_per_lot=100_000,
        min_notional=5 * 10**9,
        maker_fee_ppm=200,
        taker_fee_ppm=500,
        base_per_contract=contract or UNSET,
    )


def imported(place: str) -> Any:
    """What ``module:name`` names; None while the module does not exist."""
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name):
            raise
        return None


def desk_of(instrument: Instrument, capabilities: Capabilities) -> Desk:
    """A desk with 100,000 USDT, and a coin where there are coins."""
    balances = {"USDT": 100_000 * 10**9} | ({"BTC": 10**8} if instrument.kind == SPOT else {})
    return Desk(
        {"BTCUSDT": instrument},
        balances,
        ExchangeRules(funding={"BTCUSDT": (100, 10**18)} if instrument.kind == LINEAR else {}),
        ids_unique_for_ever=capabilities.ids_unique_for_ever,
    )


class DeskStage:
    """An account on a desk, and a hand on the desk's side."""

    streams = 2
    price_ticks = PRICE
    lots = 10

    def __init__(self, capabilities: Capabilities, kind: str = SPOT, contract: int = 0) -> None:
        self.instrument = listed(kind, contract)
        self.capabilities = capabilities
        self.desk = desk_of(self.instrument, capabilities)

    def new_id(self) -> str:
        return uuid.uuid4().hex

    async def foreign_order(self, price_ticks: int, lots: int) -> None:
        terms = OrderTerms(
            client_order_id="",
            symbol="BTCUSDT",
            side="buy",
            order_type="limit",
            time_in_force="gtc",
            reduce_only=False,
            price_ticks=price_ticks,
            lots=lots,
        )
        placed = self.desk.place(terms, time.time_ns())
        assert placed.reject is None, placed.reject

    async def elapse(self, seconds: float) -> bool:
        self.desk.tick(time.time_ns() + int(seconds * 1e9))
        return True

    async def pay_funding(self) -> bool:
        self.desk.pay_funding("BTCUSDT", time.time_ns())
        return True

    async def resting(self) -> list[str]:
        return [one.client_id or one.exchange_id for one in self.desk.open_orders()]

    async def totals(self) -> dict[str, Decimal]:
        decimals = self.desk.decimals
        return {asset: from_units(sum(both), decimals(asset)) for asset, both in self.desk.totals().items()}


class WireStage(DeskStage):
    """A connector and the server that speaks its protocol, on a loopback socket.

    Args:
        server: made of a desk, keys, faults and a clock.
    """

    def __init__(
        self, exchange: Registered, server: type[WireServer], kind: str = SPOT, contract: int = 0
    ) -> None:
        super().__init__(exchange.make.capabilities, kind, contract)
        self.exchange = exchange
        self.server = server(self.desk, KEYS, FaultPlan(), time.time_ns)
        self._running: Running | None = None

    @property
    def running(self) -> Running:
        assert self._running is not None
        return self._running

    async def open(self) -> None:
        self._running = await start(self.server)

    async def close(self) -> None:
        await self.running.close()

    def connector(self) -> Connector:
        line = self.running.line
        known = {key: line[key] for key in ("rest", "ws", "ws_private", "extra") if key in line}
        return self.exchange.make(Endpoint(**known), KEYS, time.time_ns)

    async def quote(self, bid_ticks: int, ask_ticks: int) -> None:
        self.server.market("BTCUSDT", quote_row(time.time_ns(), bid_ticks, ask_ticks, 50_000, 50_000))

    def connections(self) -> int:
        server = self.running.runner.server
        return len(server.connections) if server is not None else 0

    def own_tasks(self) -> set[Any]:
        return set(self.server._tasks)

    async def disturb(self, operation: str, kind: str) -> bool:
        self.server.faults = FaultPlan([FaultRule(kind=kind, operations=(operation,), times=(1,))])
        return True


class LocalStage(DeskStage):
    """The simulated exchange in the process."""

    def __init__(self, kind: str = SPOT) -> None:
        super().__init__(SimulatedConnector.capabilities, kind)
        self.exchange = SimulatedConnector(self.desk, clock=time.time_ns, timeout_s=0.05)

    async def open(self) -> None:
        """Nothing to begin."""

    async def close(self) -> None:
        await self.exchange.close()

    def connector(self) -> Connector:
        return self.exchange

    async def quote(self, bid_ticks: int, ask_ticks: int) -> None:
        self.exchange.push("BTCUSDT", quote_row(time.time_ns(), bid_ticks, ask_ticks, 50_000, 50_000))

    def connections(self) -> int:
        return 0

    def own_tasks(self) -> set[Any]:
        return set()

    async def disturb(self, operation: str, kind: str) -> bool:
        self.exchange.faults = FaultPlan([FaultRule(kind=kind, operations=(operation,), times=(1,))])
        return True


KINDS = {"binance-usdm": LINEAR, "bybit-linear": LINEAR, "okx-swap": LINEAR}

CONTRACTS = {"okx-swap": 1_000_000}
"""Base units in a contract, where sizes are counted so: ten lots."""


LOCAL = {"simulated": SPOT, "simulated-linear": LINEAR}


def stage_of(name: str) -> DeskStage | str:
    """A stage for an exchange by its name; or, while a part of it does not exist, which."""
    if name in LOCAL:
        return LocalStage(LOCAL[name])
    for place in (registry.BUILT_IN[name], SERVERS[name]):
        if imported(place) is None:
            return f"{place} does not exist"
    return WireStage(
        registry.find(name), imported(SERVERS[name]), KINDS.get(name, SPOT), CONTRACTS.get(name, 0)
    )
