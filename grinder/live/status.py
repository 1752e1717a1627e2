"""What there is to see of a running process, as one object.

Law: read from the states of the core, which are immutable; nothing is computed that decides anything.
Amounts are decimal text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.core import Core
from domain.account_state import AccountState
from domain.grid_state import SymbolState
from domain.instrument import Instrument
from domain.orders import ENDED, OrderStatus
from domain.portfolio_state import PortfolioState, equity
from domain.units import fixed_text, units_text
from grinder.live.failing_over import lease_status
from grinder.live.life import Life


def run_status(run: Life) -> dict[str, Any]:
    """Everything there is to see of a run."""
    dead_man = run.session is not None and run.session.dead_man.there
    return {
        "run": str(run.folder.path),
        "mode": run.spec.mode,
        "feed": run.spec.feed,
        "exchange": run.spec.config.account.exchange.value,
        "phase": run.phase,
        "now_ns": run.clock(),
        "durable_position": run.loop_core.durable_position,
        "resumed_records": run.resumed,
        "fills": run.noted.fills,
        "prices_seen": run.gate.seen,
        "prices_let_in": run.gate.let_in,
        "last_reconciliation_ns": run.noted.reconciled_ns,
        "streams": dict(run.noted.streams),
        "dead_man_seconds": run.spec.config.live.dead_man_seconds if dead_man else 0,
        "disk_low": run.disk.is_low,
        "lease": lease_status(run),
        "errors": run.errors.counts(),
        **core_status(run.core, run.gate.prices, run.gate.quotes, run.gate.received_ns),
    }


def price_text(instrument: Instrument, ticks: int) -> str:
    """A price as text."""
    return fixed_text(ticks * instrument.tick_size, instrument.price_decimals)


def symbol_status(core: Core, symbol: str, price_ticks: int | None) -> dict[str, Any]:
    """One symbol: price, grid, holding, pauses."""
    state: SymbolState = core.state_of(f"symbol/{symbol}")
    portfolio: PortfolioState = core.state_of("portfolio")
    risk = portfolio.symbols.get(symbol)
    instrument = state.instrument
    if instrument is None:
        return {"status": "new"}
    return {
        "status": state.status.value,
        "price": price_text(instrument, price_ticks) if price_ticks is not None else None,
        "inventory": units_text(risk.inventory if risk else 0, instrument.base_decimals),
        "base": instrument.base,
        "halted": bool(risk and risk.halted),
        "stop_reason": state.stop_reason,
        "pauses": list(portfolio.pauses.get(symbol, ())),
        "cycles": sum(level.cycle for level in state.levels),
        "levels": [
            {
                "index": level.index,
                "buy": price_text(instrument, level.buy_ticks),
                "sell": price_text(instrument, level.sell_ticks),
                "phase": level.phase.value,
                "held": units_text(level.held, instrument.base_decimals),
                "cycle": level.cycle,
            }
            for level in state.levels
        ],
    }


def orders_status(account: AccountState) -> tuple[list[dict[str, Any]], list[str]]:
    """Working orders, and the ids of those whose outcome is unknown."""
    working = []
    unknown = []
    for order_id, order in sorted(account.orders.items()):
        if order.status in ENDED:
            continue
        if order.status is OrderStatus.UNKNOWN:
            unknown.append(order_id)
        instrument = account.instruments[order.symbol]
        working.append(
            {
                "client_order_id": order_id,
                "exchange_order_id": order.exchange_order_id,
                "symbol": order.symbol,
                "side": order.side,
                "status": order.status.value,
                "price": price_text(instrument, order.price_ticks),
                "quantity": units_text(order.lots * instrument.base_per_lot, instrument.base_decimals),
                "filled": units_text(order.filled_lots * instrument.base_per_lot, instrument.base_decimals),
            }
        )
    return working, unknown


def quote_status(
    core: Core, symbol: str, quote: tuple[int, int] | None, received_ns: int | None
) -> dict[str, Any]:
    """Best bid and ask as the feed told them last, and when its last price came; None where it told none."""
    instrument: Instrument | None = core.state_of(f"symbol/{symbol}").instrument
    told = (
        (None, None)
        if quote is None or instrument is None
        else [price_text(instrument, one) for one in quote]
    )
    return {"bid": told[0], "ask": told[1], "price_ns": received_ns}


def core_status(
    core: Core,
    prices: Mapping[str, int],
    quotes: Mapping[str, tuple[int, int]] | None = None,
    received_ns: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Everything the core knows that an operator asks for, and what the feed told of each symbol."""
    account: AccountState = core.state_of("account")
    portfolio: PortfolioState = core.state_of("portfolio")
    working, unknown = orders_status(account)
    symbols = sorted(account.instruments)
    decimals = next((one.quote_decimals for one in account.instruments.values()), 0)
    balances = {
        name.removeprefix("wallet:"): units_text(units, asset_decimals(account, name.removeprefix("wallet:")))
        for name, units in sorted(account.balances.items())
        if name.startswith("wallet:")
    }
    return {
        "position": core.position,
        "head": core.chain.hex(),
        "quote": account.quote,
        "equity": units_text(equity(portfolio), decimals),
        "marked": bool(portfolio.session_high),
        "balances": balances,
        "halted": portfolio.halted,
        "pauses": list(portfolio.pauses.get("", ())),
        "requests_suspended_until_ns": account.suspended_until_ns,
        "symbols": {
            symbol: {
                **symbol_status(core, symbol, prices.get(symbol)),
                **quote_status(core, symbol, (quotes or {}).get(symbol), (received_ns or {}).get(symbol)),
            }
            for symbol in symbols
        },
        "orders": working,
        "unknown_orders": unknown,
    }


def asset_decimals(account: AccountState, asset: str) -> int:
    """Digits after the point of one unit of an asset; 8 for one no instrument names."""
    for one in account.instruments.values():
        if asset == one.quote:
            return one.quote_decimals
        if asset == one.base:
            return one.base_decimals
    return 8
