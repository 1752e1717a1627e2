"""Small markets, small runs and their ledgers, and the tools to damage a copy of one.

Law: a test of the ledger alters copies only, and alters them below the product: with plain SQL after the
triggers are dropped, or byte by byte in the file.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from actors.records import GENESIS, LedgerRow, chained
from grinder.commands.backtest import BacktestResult, backtest
from grinder.config import Config, load_config
from grinder.data import parse_data_argument
from grinder.ledger.reading import connect, rows
from grinder.ledger.recorder import checkpoint, open_application
from grinder.ledger.schema import INSERT
from replay.generated import MarketShape, generate

REPO = Path(__file__).resolve().parents[2]

SETTINGS: dict[str, Any] = {
    "account": {"balance": "10000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "instruments": {"BTCUSDT": {"kind": "spot", "tick": "0.1", "lot": "0.001", "min_notional": "5"}},
    "risk": {
        "session_drawdown_pct": "20",
        "daily_drawdown_pct": "20",
        "inventory_max_quote": "9000",
    },
    "run": {"mark_interval_seconds": 3600},
    "grids": [
        {
            "symbol": "BTCUSDT",
            "mode": "long",
            "spacing": "arithmetic",
            "lower_price": "60000",
            "upper_price": "62000",
            "grid_number": 20,
            "quote_investment": "8000",
            "initial_inventory": "buy",
        }
    ],
}


def config(settings: Mapping[str, object] = SETTINGS, **changes: object) -> Config:
    """A configuration without a file; `changes` replace whole sections."""
    return load_config([], {}, {**settings, **changes})


def yaml_of(settings: Mapping[str, object]) -> str:
    """Settings as a configuration file (JSON is YAML)."""
    import orjson

    return orjson.dumps(settings, option=orjson.OPT_INDENT_2).decode()


def trades_file(path: Path, size: int, seed: int = 7, *, lively: bool = True) -> Path:
    """A file of generated trades, as an exchange's archive writes them; a lively one crosses many levels."""
    spacing_ns = 720_000_000 if lively else 7_200_000_000
    made = generate(MarketShape(rows=size, spacing_ns=spacing_ns), seed)
    columns = (made.ts.tolist(), made.price.tolist(), made.qty.tolist(), made.side.tolist())
    lines = ["id,price,qty,quote_qty,time,is_buyer_maker"]
    for number, (ts, price, qty, side) in enumerate(zip(*columns, strict=True), 1):
        maker = "true" if side < 0 else "false"
        lines.append(
            f"{number},{price // 10}.{price % 10},{qty // 1000}.{qty % 1000:03d},1,{ts // 10**6},{maker}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run_into(
    folder: Path, data: Path, settings: Mapping[str, object] = SETTINGS, seed: int = 0
) -> BacktestResult:
    """Run, or go on with, a backtest."""
    return backtest(config(settings), [parse_data_argument(str(data))], folder, seed=seed)


def ledger_rows(path: Path) -> list[LedgerRow]:
    """Every record of a ledger file."""
    with closing(connect(path)) as connection:
        return list(rows(connection))


def rechained(records: Iterable[LedgerRow]) -> list[LedgerRow]:
    """The same records with a chain that holds: what a forger who knows the format would write."""
    made, chain = [], GENESIS
    for row in records:
        chain = chained(chain, row.stream, row.version, row.topic, row.ts_ns, row.cause, row.state)
        made.append(row._replace(chain=chain))
    return made


def write_ledger(path: Path, records: Sequence[LedgerRow]) -> Path:
    """A ledger file with exactly these records."""
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    recorder.append_rows(records, recorder.take_epoch())
    application.close()
    checkpoint(path)
    return path


@contextmanager
def altered(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a ledger whose triggers are gone; what is done with it is committed into the file."""
    connection = sqlite3.connect(path, isolation_level=None)
    # The write-ahead log would keep the change out of the file itself.
    connection.execute("PRAGMA journal_mode=DELETE")
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("DROP TRIGGER IF EXISTS stored_events_no_update")
    connection.execute("DROP TRIGGER IF EXISTS stored_events_no_delete")
    try:
        yield connection
    finally:
        connection.close()


def replace_records(path: Path, records: Sequence[LedgerRow]) -> None:
    """Put other records into an existing ledger file, as a forger would."""
    with altered(path) as connection:
        connection.execute("DELETE FROM stored_events")
        connection.executemany(INSERT, records)


def copy_run(run: Path, to: Path) -> Path:
    """A copy of a whole run folder."""
    return Path(shutil.copytree(run, to))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder except the lock, which says who looked last and holds nothing of the run."""
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != "ledger.lock"
    }
