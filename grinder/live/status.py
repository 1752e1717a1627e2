"""What there is to see of a running process, as one object.

Law: read from the states of the core, which are immutable; nothing is computed that decides anything.
Amounts are decimal text.
"""

from __future__ import annotations

from typing import Any

from actors.core import Core
from domain.account_state import AccountState
from domain.grid_state import SymbolState
from domain.instrument import Instrument
from domain.orders import ENDED, OrderStatus
from domain.portfolio_state import PortfolioState, equity
from domain.units import fixed_text, units_text


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


def core_status(core: Core, prices: dict[str, int]) -> dict[str, Any]:
    """Everything the core knows that an operator asks for."""
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
        "symbols": {symbol: symbol_status(core, symbol, prices.get(symbol)) for symbol in symbols},
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
