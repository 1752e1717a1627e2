"""Wiring: which part is given which, in one file.

Law: every run of grinder is put together here; nothing else constructs a core with edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256

import attrs
import numpy as np
import orjson

from actors.core import Core
from actors.journal import Journal
from actors.runtime import Runtime
from grinder.config import Config, config_as_dict
from grinder.opening import Opening, build_opening
from replay.backtest import Backtest
from replay.exchange.session import SimulatedExchange
from replay.ticks import Ticks

LEDGER_ID_DIGITS = 8


@attrs.frozen(kw_only=True)
class Wired:
    """A backtest ready to run."""

    backtest: Backtest
    core: Core
    exchange: SimulatedExchange
    opening: Opening
    ledger_id: str


def data_digest(markets: Mapping[str, Ticks]) -> str:
    """SHA-256 over the rows of every symbol, hex: the same rows give the same run."""
    digest = sha256()
    for symbol in sorted(markets):
        digest.update(symbol.encode())
        seen: set[int] = set()
        for name, column in attrs.asdict(markets[symbol], recurse=False).items():
            if isinstance(column, np.ndarray) and id(column) not in seen:
                seen.add(id(column))
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(column).data)
    return digest.hexdigest()


def ledger_id_of(config: Config, data: str, seed: int) -> str:
    """Identity of a backtest: the same configuration, data and seed are the same ledger."""
    settings = config_as_dict(config)
    for section in ("live", "observe", "record"):
        del settings[section]  # they change nothing that a backtest computes
    canonical = orjson.dumps(settings, option=orjson.OPT_SORT_KEYS)
    return sha256(canonical + data.encode() + str(seed).encode()).hexdigest()[:LEDGER_ID_DIGITS]


def wire_backtest(
    config: Config,
    markets: Mapping[str, Ticks],
    scales: Mapping[str, tuple[Decimal, Decimal]],
    journal: Journal,
    *,
    ledger_id: str,
    seed: int,
) -> Wired:
    """Core, simulated exchange and driver of a backtest.

    Raises:
        ConfigError: the configuration does not fit the instruments.
    """
    opening = build_opening(config, scales, ledger_id)
    traded = {symbol: markets[symbol] for symbol in sorted(opening.instruments)}
    exchange = SimulatedExchange(opening.instruments, traded, opening.balances, opening.rules, seed)
    core = Core(journal)
    backtest = Backtest(Runtime(core, exchange), exchange, traded)
    return Wired(backtest=backtest, core=core, exchange=exchange, opening=opening, ledger_id=ledger_id)
