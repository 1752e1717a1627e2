"""An exchange of one's own to connect to: one protocol, one account, one market.

Law: prints one JSON line when it is ready to be connected to and nothing else on standard output.  It listens
on the loopback interface; other addresses must be asked for, because the account behind it is play money but
the port is real.
"""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import orjson

from domain.instrument import LINEAR, PPM, SPOT, Instrument
from domain.units import NotOnScaleError, decimals_of, text, to_units
from grinder.data import load, parse_data_argument
from grinder.errors import EnvironmentFault, UserError
from grinder.scaling import FEWEST_DECIMALS, MOST_DECIMALS
from grinder.secrets import Credentials
from grinder.simulated.market import Event, events_of, generated, looped, pump
from grinder.simulated.protocols import PERPETUALS, PROTOCOLS, protocol
from grinder.simulated.server import Running, WireServer, start
from replay.exchange.desk import Desk
from replay.exchange.rules import ExchangeRules, FillModel
from replay.faults import FaultFileError, FaultPlan
from replay.generated import MarketShape

QUOTES = ("USDT", "USDC", "FDUSD", "TUSD", "BUSD", "DAI", "USD", "EUR", "GBP", "TRY", "BTC", "ETH", "BNB")
"""Currencies a symbol's name may end with, tried in this order."""

DEFAULT_BALANCE = "10000"
NS = 10**9
LONGEST_WAIT_S = 2.0


@attrs.frozen(kw_only=True)
class ExchangeOptions:
    """What an exchange is made of.

    Attributes:
        protocol: one of `PROTOCOLS`.
        data: ``[SYMBOL=]PATH`` arguments; empty means the generated market.
        loop: begin the data again when it ends.
        kind: ``spot`` or ``linear``; empty is the protocol's usual.
        balances: ``ASSET=AMOUNT`` arguments; empty is 10,000 of the quote currency.
        faults: file of the fault plan.
        maker_bps, taker_bps, min_notional, leverage: decimals as text.
        funding_bps: paid by longs to shorts every `funding_seconds`, of what is held; may be below 0.
        fill_model: see `replay.exchange.rules.FillModel`.
        anywhere: listen on addresses other machines can reach as well.
    """

    protocol: str
    data: tuple[str, ...] = ()
    loop: bool = False
    kind: str = ""
    balances: tuple[str, ...] = ()
    faults: Path | None = None
    key: str = "grinder"
    secret: str = attrs.field(default="grinder", repr=False)
    passphrase: str = attrs.field(default="grinder", repr=False)
    seed: int = 0
    speed: float = 1.0
    maker_bps: str = "2"
    taker_bps: str = "5"
    min_notional: str = "5"
    leverage: str = "5"
    funding_bps: str = "0"
    funding_seconds: int = 28_800
    fill_model: str = "touch"
    volume_limited: bool = False
    host: str = "127.0.0.1"
    port: int = 0
    anywhere: bool = False


def run_exchange(options: ExchangeOptions) -> dict[str, int]:
    """Serve until interrupted or the data ends; returns the faults that fired.

    Raises:
        UserError: an option, the data or the fault plan is wrong.
        EnvironmentFault: the port cannot be listened on.
    """
    check_host(options)
    if options.speed <= 0:
        raise UserError(
            "usage.speed", "--speed is above 0", value=str(options.speed), fix="1 is the data's own pace"
        )
    faults = read_faults(options)
    instruments, events = market_of(options)
    desk = desk_of(options, instruments)
    server = _protocol(options.protocol)(
        desk, Credentials(options.key, options.secret, options.passphrase), faults, time.time_ns
    )
    asyncio.run(_serve(server, events, options))
    return faults.fired()


def _protocol(name: str) -> type[WireServer]:
    if name not in PROTOCOLS:
        # A server of one's own: ``module:Class``.
        module, colon, server = name.partition(":")
        if not colon:
            raise UserError(
                "usage.protocol", "no such protocol", value=name, fix=f"use {' or '.join(PROTOCOLS)}"
            )
        try:
            found: type[WireServer] = getattr(import_module(module), server)
        except (ImportError, AttributeError) as error:
            raise UserError("usage.protocol", str(error), value=name, fix="write module:Class") from error
        return found
    return protocol(name)


async def _serve(server: WireServer, events: Iterator[Event], options: ExchangeOptions) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        running = await start(server, options.host, options.port)
    except OSError as error:
        raise EnvironmentFault(
            "sim.port",
            f"cannot listen on {options.host}:{options.port}: {error.strerror or error}",
            fix="use --port 0 for any free port",
        ) from error
    begun = asyncio.Event()
    market = asyncio.ensure_future(pump(events, server, server.clock, options.speed, begun.set))
    stop = asyncio.ensure_future(ended.wait())
    try:
        ready = asyncio.ensure_future(begun.wait())
        await asyncio.wait({market, stop, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if begun.is_set() and not ended.is_set():
            _announce(running)
        await asyncio.wait({market, stop}, return_when=asyncio.FIRST_COMPLETED)
        if market.done():
            market.result()
    finally:
        market.cancel()
        stop.cancel()
        await asyncio.wait_for(running.close(), LONGEST_WAIT_S)


def _announce(running: Running) -> None:
    sys.stdout.write(orjson.dumps(running.line).decode() + "\n")
    sys.stdout.flush()


# --- what it is made of --------------------------------------------------------------------------------


def check_host(options: ExchangeOptions) -> None:
    """Refuse an address other machines can reach, unless it was asked for.

    Raises:
        UserError: it was not.
    """
    try:
        loopback = ipaddress.ip_address(options.host).is_loopback
    except ValueError:
        loopback = options.host == "localhost"
    if not loopback and not options.anywhere:
        raise UserError(
            "sim.host",
            "other machines could reach this address",
            value=options.host,
            fix="leave --host out, or add --anywhere if they may",
        )


def read_faults(options: ExchangeOptions) -> FaultPlan:
    """The fault plan; an empty one without a file.

    Raises:
        UserError: the file cannot be read as a plan.
    """
    if options.faults is None:
        return FaultPlan((), options.seed)
    try:
        return FaultPlan.from_file(options.faults)
    except FaultFileError as error:
        raise UserError(
            "sim.faults", str(error), place=str(options.faults), fix="see docs/sim-exchange.md"
        ) from error


def market_of(options: ExchangeOptions) -> tuple[dict[str, Instrument], Iterator[Event]]:
    """The listed instruments, and the rows of their market.

    Raises:
        DataError: a data file is wrong.
        UserError: a symbol's currencies cannot be told, or its steps are too fine.
    """
    if not options.data:
        shape = MarketShape()
        steps = {shape.symbol: (shape.tick, shape.lot)}
        return instruments_of(options, steps), generated(shape, options.seed)
    markets = load([parse_data_argument(one) for one in options.data], symbols={}, default_symbol=None)
    plain = {"".join(c for c in symbol.upper() if c.isalnum()): ticks for symbol, ticks in markets.items()}
    steps = {symbol: (ticks.tick, ticks.lot) for symbol, ticks in plain.items()}
    return instruments_of(options, steps), looped(plain) if options.loop else events_of(plain)


def instruments_of(
    options: ExchangeOptions, steps: Mapping[str, tuple[Decimal, Decimal]]
) -> dict[str, Instrument]:
    """Instruments on scales fine enough for all of them together."""
    linear = options.kind == LINEAR or (not options.kind and options.protocol in PERPETUALS)
    base_decimals = {symbol: max(decimals_of(lot), FEWEST_DECIMALS) for symbol, (_, lot) in steps.items()}
    # Finer than the lot, as balances of real exchanges are, unless money would then not fit into 64 bits.
    for symbol, (tick, lot) in steps.items():
        if decimals_of(tick) + base_decimals[symbol] > MOST_DECIMALS - FEWEST_DECIMALS // 2:
            base_decimals[symbol] = decimals_of(lot)
    quote_decimals = max(
        FEWEST_DECIMALS, *(decimals_of(tick) + base_decimals[symbol] for symbol, (tick, _) in steps.items())
    )
    if quote_decimals > MOST_DECIMALS:
        raise UserError("sim.too_fine", "ticks and lots are too fine to keep money exactly", fix="other data")
    return {
        symbol: _instrument(options, symbol, tick, lot, linear, base_decimals[symbol], quote_decimals)
        for symbol, (tick, lot) in steps.items()
    }


def _instrument(
    options: ExchangeOptions,
    symbol: str,
    tick: Decimal,
    lot: Decimal,
    linear: bool,
    base_decimals: int,
    quote_decimals: int,
) -> Instrument:
    base, quote = currencies(symbol)
    price_decimals = decimals_of(tick)
    tick_size = to_units(tick, price_decimals)
    return Instrument(
        symbol=symbol,
        kind=LINEAR if linear else SPOT,
        base=base,
        quote=quote,
        tick=text(tick),
        lot=text(lot),
        tick_size=tick_size,
        price_decimals=price_decimals,
        base_decimals=base_decimals,
        quote_decimals=quote_decimals,
        quote_per_tick_base=tick_size * 10 ** (quote_decimals - price_decimals - base_decimals),
        base_per_lot=to_units(lot, base_decimals),
        min_notional=_units("--min-notional", options.min_notional, quote_decimals),
        maker_fee_ppm=_units("--maker-bps", options.maker_bps, 2),
        taker_fee_ppm=_units("--taker-bps", options.taker_bps, 2),
        leverage_ppm=_units("--leverage", options.leverage, 6) if linear else PPM,
    )


def currencies(symbol: str) -> tuple[str, str]:
    """(base, quote) of a plain symbol.

    Raises:
        UserError: its name ends with no currency known to be a quote.
    """
    for quote in QUOTES:
        if symbol.endswith(quote) and len(symbol) > len(quote):
            return symbol.removesuffix(quote), quote
    raise UserError(
        "sim.symbol",
        "cannot tell the symbol's currencies",
        value=symbol,
        fix=f"name the data SYMBOL=PATH with a symbol that ends with one of {', '.join(QUOTES)}",
    )


def desk_of(options: ExchangeOptions, instruments: Mapping[str, Instrument]) -> Desk:
    """The exchange with the account's balances."""
    rules = ExchangeRules(
        model=FillModel(options.fill_model),
        volume_limited=options.volume_limited,
        funding=_funding(options, instruments),
    )
    desk = Desk(dict(instruments), {}, rules, options.seed)
    quotes = sorted({one.quote for one in instruments.values()})
    given = _balances(options.balances) or dict.fromkeys(quotes, DEFAULT_BALANCE)
    for asset in sorted({*(one.base for one in instruments.values()), *quotes, *given}):
        units = _units(f"--balance {asset}", given.get(asset, "0"), desk.decimals(asset))
        desk.deposit(asset, units)
    return desk


def _funding(options: ExchangeOptions, instruments: Mapping[str, Instrument]) -> dict[str, tuple[int, int]]:
    """(rate in ppm, interval in ns) of every perpetual; none at a rate of 0."""
    size = options.funding_bps.removeprefix("-")
    rate_ppm = _units("--funding-bps", size, 2) * (-1 if size != options.funding_bps else 1)
    if not rate_ppm:
        return {}
    interval_ns = options.funding_seconds * NS
    return {symbol: (rate_ppm, interval_ns) for symbol, one in instruments.items() if one.kind == LINEAR}


def _balances(arguments: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for argument in arguments:
        asset, equals, amount = argument.partition("=")
        if not equals or not asset.isalnum():
            raise UserError(
                "usage.balance", "--balance takes ASSET=AMOUNT", value=argument, fix="write USDT=10000"
            )
        found[asset.upper()] = amount
    return found


def _units(what: str, amount: str, decimals: int) -> int:
    try:
        units = to_units(Decimal(amount), decimals)
    except (InvalidOperation, NotOnScaleError, ValueError, OverflowError):
        units = -1
    if units < 0:
        raise UserError(
            "usage.amount",
            f"{what} takes a decimal of at most {decimals} digits after the point, not below 0",
            value=amount,
            fix="write it plainly, such as 12.5",
        )
    return units


def summary(fired: Mapping[str, int]) -> dict[str, Any]:
    """What is said at the end, on standard error."""
    return {"faults": dict(fired)}
