"""The account a run trades on: one on an exchange, or a paper one on the simulated exchange.

Law: both are the same to the run: open, say what the books begin with, list the instruments, connect.  A
paper account's exchange dies with the process and is restored from the books, which are in the ledger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from decimal import Decimal
from typing import Protocol

from actors.ports import AuthenticationFailed, Connector, ExchangeError, InstrumentRules, Listener
from domain.account_state import AccountState
from grinder.config import Config, Exchange
from grinder.connectors.endpoint import Endpoint
from grinder.data import InstrumentScale
from grinder.errors import ConfigError, ExitStatus, UserError
from grinder.live.clock import Clock
from grinder.live.feeds import Playback, QuotesToRows, RowFeed, generated, parse_feed, recorded
from grinder.live.spec import LIVE, LOCAL, TESTNET, RunSpec
from grinder.live.terms import under_rules, with_balances, with_contracts
from grinder.opening import Opening, build_opening, exchange_rules
from grinder.scaling import money
from grinder.secrets import Credentials, judge
from grinder.simulated.frames import SIMULATED
from replay.exchange.desk import Desk
from replay.exchange.rolling import MarketRow

PAPER_STREAMS = "simulated/"
"""What the names of the simulated exchange's streams begin with where the market is a real exchange's."""


class ExchangeAway(UserError):
    """The exchange cannot be reached, or does not answer as it must."""

    status = ExitStatus.EXCHANGE


class TradingAccount(Protocol):
    """Where a run trades.

    Attributes:
        taped: the exchange whose raw frames the run hears, by the registry's name.
        drift_ns: its clock less ours, where it is not the exchange that is traded on; None where it is.
    """

    taped: str
    drift_ns: int | None

    async def open(self) -> None:
        """Become able to ask."""

    async def opening(self, ledger_id: str) -> Opening:
        """What the books of a new ledger begin with."""

    def connect(self, books: AccountState) -> Connector:
        """The connector, speaking in the scales of the books."""

    async def judge(self) -> None:
        """Refuse a key that must not be used."""

    def feeds(self, listener: Listener) -> list[Callable[[], Awaitable[None]]]:
        """What has to run beside the connector for it to have a market; the first may end by itself.

        Args:
            listener: hears what the feeds bring that does not come with the connector's streams.
        """

    async def close(self) -> None:
        """Release what was opened here."""


def symbols_of(config: Config) -> tuple[str, ...]:
    """The symbols a configuration trades, sorted."""
    return tuple(sorted(grid.symbol for grid in config.grids))


def fee_prices(config: Config, books: AccountState) -> dict[str, int]:
    """The worth of one whole unit of a third fee asset, quote units; empty without one."""
    fees = config.account.fees
    if fees.asset in ("quote", "base") or fees.asset_price is None:
        return {}
    decimals = max(one.quote_decimals for one in books.instruments.values())
    return {fees.asset: money(fees.asset_price, decimals, "account.fees.asset_price")}


def endpoint_of(config: Config, mode: str) -> tuple[str, Endpoint]:
    """(name of the exchange, its addresses) for a mode.

    Raises:
        ConfigError: the exchange has no such network, or is not one that is reached over a network.
    """
    from grinder.connectors import registry

    account = config.account
    name = account.connector if account.exchange is Exchange.OTHER else account.exchange.value
    found = registry.find(name)
    if account.endpoint is not None:
        if mode in (LIVE, TESTNET):
            raise ConfigError(
                "exchange.endpoint",
                "`account.endpoint` is for an exchange on this machine",
                place="account.endpoint",
                fix="take it out, or run without --live and --testnet",
            )
        given = account.endpoint
        return name, Endpoint(rest=given.rest, ws=given.ws, ws_private=given.ws_private)
    if mode == LOCAL:
        raise ConfigError(
            "exchange.mode",
            "it is not said whether to trade on the exchange or on its test network",
            place="account.exchange",
            value=name,
            fix="add --testnet, or --live --i-understand; `grinder paper` trades nothing",
        )
    endpoint = found.testnet if mode == TESTNET else found.production
    if endpoint is None:
        network = "test network" if mode == TESTNET else "address of its own"
        raise ConfigError(
            "exchange.no_endpoint", f"{name} has no {network}", value=name, fix="give account.endpoint"
        )
    return name, endpoint


def _connector(name: str, endpoint: Endpoint, credentials: Credentials | None, clock: Clock) -> Connector:
    from grinder.connectors import registry

    return registry.find(name).make(endpoint, credentials, clock)


async def _asked(what: str, answer: Awaitable[object]) -> object:
    """An answer the start depends on.

    Raises:
        ExchangeAway: there is none now.
        ConfigError: the key is refused.
    """
    try:
        return await answer
    except AuthenticationFailed as error:
        raise ConfigError(
            "exchange.key_refused",
            f"the exchange refuses the key: {error}",
            fix="check the key, its allowed addresses, and that it is of this network (--testnet or not)",
        ) from error
    except (TimeoutError, ExchangeError, OSError) as error:
        raise ExchangeAway(
            "exchange.away", f"{what}: {error}", fix="wait, or look at the exchange's status page"
        ) from error


class ExchangeAccount:
    """An account on an exchange."""

    def __init__(self, spec: RunSpec, credentials: Credentials, clock: Clock) -> None:
        self._spec = spec
        self._credentials = credentials
        self._config = spec.config
        self.drift_ns: int | None = None
        self.taped, endpoint = endpoint_of(spec.config, spec.mode)
        self._connector = _connector(self.taped, endpoint, credentials, clock)

    async def open(self) -> None:
        """Reach the exchange and measure its clock."""
        await _asked("the exchange cannot be reached", self._connector.open())

    async def opening(self, ledger_id: str) -> Opening:
        """Books with the exchange's balances, under the exchange's rules."""
        symbols = symbols_of(self._config)
        rules = await _asked("the rules cannot be read", self._connector.rules(symbols))
        assert isinstance(rules, dict)
        config, scales = under_rules(self._config, rules)
        held = await _asked("the balances cannot be read", self._connector.balances())
        assert isinstance(held, dict)
        return with_contracts(build_opening(with_balances(config, held), scales, ledger_id), rules)

    def connect(self, books: AccountState) -> Connector:
        """The exchange's connector."""
        self._connector.list_instruments(dict(books.instruments), fee_prices(self._config, books))
        return self._connector

    async def judge(self) -> None:
        """What the key may do."""
        from actors.ports import Permissions

        found = await _asked("the key's permissions cannot be read", self._connector.permissions())
        assert isinstance(found, Permissions)
        judge(found, self._credentials, self._spec.mode)

    def feeds(self, listener: Listener) -> list[Callable[[], Awaitable[None]]]:
        """None: the market comes with the connector's streams."""
        return []

    async def close(self) -> None:
        """Close the connector."""
        await self._connector.close()


class PaperAccount:
    """An account on the simulated exchange, whose market comes from a feed."""

    def __init__(
        self,
        spec: RunSpec,
        playback: Playback | None,
        clock: Clock,
        after_ns: int,
    ) -> None:
        self._spec = spec
        self._config = spec.config
        self._clock = clock
        self._after_ns = after_ns
        self.taped = SIMULATED
        self.drift_ns: int | None = None
        self.playback = playback
        self._public: Connector | None = None
        self._scales: dict[str, tuple[Decimal, Decimal]] = {}
        self._rules: dict[str, InstrumentRules] = {}
        self._desk_row: Callable[[str, MarketRow], None] = lambda symbol, row: None

    async def open(self) -> None:
        """Reach the exchange the market comes from, where it does."""
        if self.playback is not None:
            self._scales = self.playback.scales
            return
        self.taped, endpoint = endpoint_of(self._config, self._market_mode())
        self._public = _connector(self.taped, endpoint, None, self._clock)
        await _asked("the exchange cannot be reached", self._public.open())
        before_ns = self._clock()
        theirs_ns = await _asked("the exchange's clock cannot be read", self._public.server_time_ns())
        assert isinstance(theirs_ns, int)
        self.drift_ns = theirs_ns - (before_ns + self._clock()) // 2
        rules = await _asked("the rules cannot be read", self._public.rules(symbols_of(self._config)))
        assert isinstance(rules, dict)
        self._config, self._scales = under_rules(self._config, rules)
        self._rules = rules

    def _market_mode(self) -> str:
        return LOCAL if self._config.account.endpoint is not None else LIVE

    async def opening(self, ledger_id: str) -> Opening:
        """Books with the configuration's balances."""
        return with_contracts(build_opening(self._config, self._scales, ledger_id), self._rules)

    def connect(self, books: AccountState) -> Connector:
        """The simulated exchange, as the books say it was left."""
        from grinder.connectors.simulated import SimulatedConnector

        instruments = dict(books.instruments)
        decimals = max(one.quote_decimals for one in instruments.values())
        rules = exchange_rules(self._config, decimals)
        wallets = {
            name.removeprefix("wallet:"): units
            for name, units in books.balances.items()
            if name.startswith("wallet:")
        }
        desk = Desk(instruments, wallets, rules, self._spec.seed)
        connector = SimulatedConnector(
            desk,
            clock=self._clock,
            latency_s=self._config.fills.order_latency_ms / 1000,
            fill_prefix=f"{self._clock():x}-",
            stream_prefix=PAPER_STREAMS if self._public is not None else "",
        )
        connector.restore(books.orders, wallets, books.positions)
        connector.list_instruments(instruments, fee_prices(self._config, books))
        self._desk_row = connector.on_row
        if self._public is not None:
            # The run hears of the market from the exchange it comes from.
            self._desk_row = lambda symbol, row: connector.push(symbol, row, announce=False)
            self._public.list_instruments(instruments, {})
        return connector

    async def judge(self) -> None:
        """There is no key."""

    def feeds(self, listener: Listener) -> list[Callable[[], Awaitable[None]]]:
        """The market."""
        if self.playback is not None:
            return [RowFeed(self.playback, self._clock, self._row, self._after_ns).run]
        assert self._public is not None, "opened before it is fed"
        rows = QuotesToRows(self._row, self._clock, listener)
        public = self._public
        return [lambda: public.listen(rows)]

    def _row(self, symbol: str, row: MarketRow) -> None:
        self._desk_row(symbol, row)

    async def close(self) -> None:
        """Close the market's connector, where there is one."""
        if self._public is not None:
            await self._public.close()


def load_playback(spec: RunSpec) -> Playback | None:
    """The market of a paper run's feed where it is known beforehand; None where it is not.

    Raises:
        DataError: a recording cannot be read.
    """
    feed = parse_feed(spec.feed)
    if feed.kind == "exchange":
        return None
    scales = scales_asked(spec.config)
    if feed.kind == "generated":
        return generated(feed, symbols_of(spec.config), scales, spec.rows)
    return recorded(feed, symbols_of(spec.config), scales)


def scales_asked(config: Config) -> Mapping[str, InstrumentScale]:
    """Steps as configured, by symbol."""
    return {symbol: InstrumentScale(tick=one.tick, lot=one.lot) for symbol, one in config.instruments.items()}
