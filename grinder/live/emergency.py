"""Cancel everything of a run whose process is dead: started by the supervisor, and by nobody else.

Law: needs nothing but the run's manifest and the key.  The ledger is not opened: it may be what failed.  Only
orders with its prefix are cancelled.  What this does the next start finds out by reconciling.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from actors.ports import Connector, ExchangeError
from domain.instrument import LINEAR, SPOT, Instrument
from domain.units import fixed_text
from grinder.config import Config, InstrumentKind
from grinder.connectors import registry
from grinder.errors import EnvironmentFault, ExitStatus, UserError
from grinder.ledger.lock import LOCKED, WriterLock
from grinder.live.accounts import endpoint_of, symbols_of
from grinder.live.clock import RealClock
from grinder.live.process import credentials_for, node_of
from grinder.live.spec import PAPER, RunSpec, read_spec
from grinder.live.sweeping import BETWEEN_S, LONGEST_S, cancel_ours
from grinder.log import configure, logger
from grinder.run_folder import RunFolder
from grinder.standby.sight import holder_alive

PRICE_DECIMALS, BASE_DECIMALS = 12, 8
"""Finer than the steps of any exchange: each of its orders can be read, whatever its rules are now."""


def finest_instruments(config: Config) -> dict[str, Instrument]:
    """The symbols of a configuration on a scale on which every order can be read; nothing is traded on it."""
    found = {}
    for symbol in symbols_of(config):
        one = config.instruments[symbol]
        found[symbol] = Instrument(
            symbol=symbol,
            kind=LINEAR if one.kind is InstrumentKind.LINEAR else SPOT,
            base=one.base,
            quote=one.quote,
            tick=fixed_text(1, PRICE_DECIMALS),
            lot=fixed_text(1, BASE_DECIMALS),
            tick_size=1,
            price_decimals=PRICE_DECIMALS,
            base_decimals=BASE_DECIMALS,
            quote_decimals=PRICE_DECIMALS + BASE_DECIMALS,
            quote_per_tick_base=1,
            base_per_lot=1,
            min_notional=0,
            maker_fee_ppm=0,
            taker_fee_ppm=0,
        )
    return found


async def _opened(connector: Connector) -> None:
    """Reach the exchange, however often that takes within half of the time there is."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LONGEST_S / 2
    while True:
        try:
            await connector.open()
            return
        except (ExchangeError, OSError, TimeoutError):
            if loop.time() + BETWEEN_S >= until:
                raise
        await asyncio.sleep(BETWEEN_S)


async def _main(spec: RunSpec) -> ExitStatus:
    name, endpoint = endpoint_of(spec.config, spec.mode)
    connector = registry.find(name).make(endpoint, credentials_for(spec.config, spec.mode), RealClock())
    try:
        await _opened(connector)
        connector.list_instruments(finest_instruments(spec.config), {})
        left = await cancel_ours(connector, spec.ledger_id, longest_s=LONGEST_S / 2)
    except (ExchangeError, OSError, TimeoutError) as error:
        logger().critical("orders could not be cancelled", reason=str(error))
        return ExitStatus.ORDERS_LEFT
    finally:
        await connector.close()
    logger().warning("orders were cancelled in an emergency", left=left)
    return ExitStatus.ORDERS_LEFT if left else ExitStatus.DONE


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the run for as long as this takes; a disk that does not even take a lock is no reason to wait.

    Raises:
        EnvironmentFault: a process of the run lives, and its orders are its own.
    """
    with ExitStack() as held:
        try:
            held.enter_context(WriterLock(folder))
        except EnvironmentFault as fault:
            if fault.code == LOCKED:
                raise
            logger().warning("the run folder cannot be locked", reason=str(fault))
        yield


def main(arguments: list[str]) -> int:
    """``python -m grinder.live.emergency FOLDER [--node NAME]``; returns the exit status.

    Where another node of the run trades, its orders are its own and nothing is to be done.
    """
    configure(False, as_json=False)
    node = node_of(arguments)
    folder = RunFolder(Path(arguments[0]))
    try:
        spec = read_spec(folder)
        if spec.mode == PAPER:
            return int(ExitStatus.DONE)  # a simulated exchange dies with its process, and its orders with it
        with alone(folder.path):
            return int(asyncio.run(_main(spec)))
    except UserError as error:
        holder = holder_alive(folder.path)
        if error.code == LOCKED and holder not in ("", node):
            logger().warning("another process of the run trades; its orders are its own", node=holder)
            return int(ExitStatus.DONE)
        sys.stderr.write(f"error: {error.render()}\n")
        return int(error.status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
