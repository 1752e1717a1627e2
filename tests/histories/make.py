"""Write the golden histories anew:  python tests/histories/make.py

Every later version of grinder must replay these files to the last byte, as it must replay every ledger a user
keeps.  So they may be written anew in two cases only:

* a history is added, or one did not show what it was meant to show: then only that file changes;
* no ledger of the old kind exists anywhere: before the first release, and never after it.

They must never be written anew to make a failing replay pass.  A replay that fails means that the rules now
decide differently from how they once did, and that users' ledgers no longer replay: keep the old decision
for old records (a new version of the event and an upcaster), and add a history of the new kind.

A line is a record; its state is shown as JSON and read back in its canonical spelling, as the chain proves.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ledger"))

import numpy as np
import orjson
from small_ledgers import rechained, write_ledger

from actors.journal import MemoryJournal
from actors.records import LedgerRow
from grinder.commands.backtest import scales_of
from grinder.config import load_config
from grinder.views.summary import summary
from grinder.wiring import data_digest, ledger_id_of, wire_backtest
from replay.ticks import TickOrigin, Ticks

HERE = Path(__file__).resolve().parent

LARGEST_BYTES = 60_000

LONG_SPOT: dict[str, Any] = {
    "account": {"balance": "10000", "fees": {"maker_bps": "1", "taker_bps": "5"}},
    "fills": {"model": "through", "partial": "volume", "order_latency_ms": 150, "feed_latency_ms": 50},
    "instruments": {"BTCUSDT": {"kind": "spot", "tick": "0.1", "lot": "0.001", "min_notional": "5"}},
    "risk": {"session_drawdown_pct": "20", "daily_drawdown_pct": "20", "inventory_max_quote": "9000"},
    "run": {"mark_interval_seconds": 3600},
    "grids": [
        {
            "symbol": "BTCUSDT",
            "mode": "long",
            "spacing": "arithmetic",
            "lower_price": "60500",
            "upper_price": "61500",
            "grid_number": 4,
            "quantity": "0.03",
            "initial_inventory": "buy",
        }
    ],
}

NEUTRAL_PERPETUAL: dict[str, Any] = {
    "account": {"balance": "2000", "fees": {"maker_bps": "-0.5", "taker_bps": "4"}},
    "instruments": {
        "BTCUSDT": {
            "kind": "linear",
            "tick": "0.1",
            "lot": "0.001",
            "leverage": "5",
            "funding_rate_bps": "1",
            "funding_interval_hours": 1,
        }
    },
    "run": {"mark_interval_seconds": 14400},
    "grids": [
        {
            "symbol": "BTCUSDT",
            "mode": "neutral",
            "spacing": "geometric",
            "center_price": "61000",
            "spacing_bps": "40",
            "levels_per_side": 3,
            "quantity": "0.02",
        }
    ],
}

STOP_LOSS: dict[str, Any] = {
    **LONG_SPOT,
    "fills": {"model": "touch"},
    "grids": [
        {
            **LONG_SPOT["grids"][0],
            "spacing": "geometric",
            "lower_price": "60700",
            "upper_price": "61300",
            "grid_number": 3,
            "stop_loss_price": "60600",
            "on_stop": "flatten",
        }
    ],
}


def swing(low: int, high: int, rows: int, spacing_s: int, *, fall: int = 0) -> Ticks:
    """Trades that swing between two prices (in ticks), start in the middle and, after that, fall for good."""
    chance = random.Random(7)
    price, step, prices = (low + high) // 2, -400, []
    for row in range(rows):
        if row >= rows - fall:
            step = -400
        elif not low < price + step < high:
            step = -step
        price += step
        prices.append(price + chance.randrange(100))
    column = np.array(prices, np.int64)
    return Ticks(
        symbol="BTCUSDT",
        origin=TickOrigin.TRADES,
        tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        ts=np.int64(1_700_006_400 * 10**9) + np.arange(rows, dtype=np.int64) * spacing_s * 10**9,
        price=column,
        low=column,
        high=column,
        qty=np.array([1 + chance.randrange(25) for _ in range(rows)], np.int64),
    )


def history(settings: Mapping[str, object], ticks: Ticks) -> list[LedgerRow]:
    """Records of a backtest that touches no disk."""
    config = load_config([], {}, settings)
    markets = {ticks.symbol: ticks}
    journal = MemoryJournal()
    ledger_id = ledger_id_of(config, data_digest(markets), 0)
    wired = wire_backtest(config, markets, scales_of(markets), journal, ledger_id=ledger_id, seed=0)
    wired.backtest.open(wired.opening.commands)
    wired.backtest.run()
    return journal.rows


def tampered(records: list[LedgerRow]) -> list[LedgerRow]:
    """The same history in which one fill earned more, under a chain that holds."""
    at = next(
        row for row in records if row.topic.startswith("OrderFilled/") and b'"side":"sell"' in row.state
    )
    state = orjson.loads(at.state)
    forged = at._replace(state=canonical({**state, "realised": state["realised"] + 1}))
    return rechained(forged if row is at else row for row in records)


def histories() -> dict[str, list[LedgerRow]]:
    long_spot = history(LONG_SPOT, swing(604_800, 615_200, 62, 30))
    return {
        "long_spot": long_spot,
        "neutral_perpetual": history(NEUTRAL_PERPETUAL, swing(604_000, 616_000, 62, 300)),
        "stop_loss": history(STOP_LOSS, swing(606_500, 613_500, 30, 30, fall=16)),
        "tampered": tampered(long_spot),
    }


# --- files ---------------------------------------------------------------------------------------------


def canonical(state: object) -> bytes:
    return orjson.dumps(state, option=orjson.OPT_SORT_KEYS)


def line(row: LedgerRow) -> bytes:
    shown = {**row._asdict(), "state": orjson.loads(row.state), "chain": row.chain.hex()}
    return orjson.dumps(shown) + b"\n"


def read(name: str) -> list[LedgerRow]:
    """Records of a golden history."""
    rows = []
    for text in (HERE / f"{name}.jsonl").read_bytes().splitlines():
        found = orjson.loads(text)
        state, chain = canonical(found["state"]), bytes.fromhex(found["chain"])
        rows.append(LedgerRow(**{**found, "state": state, "chain": chain}))
    return rows


def outcome(records: list[LedgerRow]) -> dict[str, Any]:
    """What a history came to: its head, and the figures that the views show of it."""
    with tempfile.TemporaryDirectory() as folder:
        write_ledger(Path(folder) / "ledger.db", records)
        totals = summary(Path(folder))
    return {
        "records": len(records),
        "head": records[-1].chain.hex(),
        "orders": totals.orders,
        "fills": totals.fills,
        "cycles": totals.cycles,
        "symbols": totals.symbols,
        "equity_start": totals.equity_start,
        "equity_end": totals.equity_end,
    }


def main() -> None:
    outcomes = {}
    for name, records in histories().items():
        content = b"".join(line(row) for row in records)
        assert len(content) < LARGEST_BYTES, f"{name} has {len(content)} bytes"
        (HERE / f"{name}.jsonl").write_bytes(content)
        assert read(name) == records, f"{name} does not read back"
        outcomes[name] = outcome(records)
        change = Decimal(outcomes[name]["equity_end"]) - Decimal(outcomes[name]["equity_start"])
        print(f"{name}: {len(records)} records, {len(content)} bytes, equity {change:+}")
    (HERE / "outcomes.json").write_bytes(orjson.dumps(outcomes, option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
