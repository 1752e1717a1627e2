"""The states of the core as metrics, read when somebody scrapes.

Law: states are immutable, so reading them needs no lock and disturbs nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from actors.core import Core
from domain.account_state import AccountState
from domain.grid_state import SymbolState
from domain.inputs import ACCOUNT, PORTFOLIO, symbol_actor
from domain.instrument import LINEAR, PPM, Instrument, value
from domain.orders import ENDED, OrderStatus
from domain.portfolio_state import PortfolioState, equity
from grinder.observation.metrics import Metrics

BPS: Final = 10_000


def show_books(
    metrics: Metrics, core: Core, prices: Mapping[str, int], received_ns: Mapping[str, int], now_ns: int
) -> None:
    """Show orders, holdings, risk and grids as they are.

    Args:
        prices: newest price of each symbol, ticks; received_ns: when it came.
    """
    account: AccountState = core.state_of(ACCOUNT)
    portfolio: PortfolioState = core.state_of(PORTFOLIO)
    _show_risk(metrics, account, portfolio)
    _show_orders(metrics, account)
    for symbol, instrument in account.instruments.items():
        _show_symbol(metrics, core, portfolio, instrument, prices.get(symbol))
        if symbol in received_ns:
            metrics.show("staleness_ms", max(now_ns - received_ns[symbol], 0) / 1e6, symbol)


def before_scrape(
    metrics: Metrics,
    core: Core,
    prices: Mapping[str, int],
    received_ns: Mapping[str, int],
    clock: Callable[[], int],
) -> None:
    """Have the books shown before every scrape from now on."""
    metrics.before_scrape(lambda: show_books(metrics, core, prices, received_ns, clock()))


def fallen_ppm(worth: int, high: int) -> int:
    """How far equity is below a high-water mark, ppm; 0 where there is no mark."""
    return max(0, high - worth) * PPM // high if high > 0 else 0


def _show_risk(metrics: Metrics, account: AccountState, portfolio: PortfolioState) -> None:
    decimals = next((one.quote_decimals for one in account.instruments.values()), 0)
    worth = equity(portfolio)
    metrics.show("equity", worth / 10**decimals)
    metrics.show("drawdown_pct", fallen_ppm(worth, portfolio.session_high) / 10_000, "session")
    metrics.show("drawdown_pct", fallen_ppm(worth, portfolio.day_high) / 10_000, "daily")
    halted = portfolio.halted or any(one.halted for one in portfolio.symbols.values())
    metrics.show("risk_halted", int(bool(halted)))
    metrics.show("kill_switch", int(bool(portfolio.halted)))
    metrics.forget("paused")
    reasons: dict[str, int] = {}
    for found in portfolio.pauses.values():
        for reason in found:
            reasons[reason] = reasons.get(reason, 0) + 1
    for reason, number in reasons.items():
        metrics.show("paused", number, reason)


def _show_orders(metrics: Metrics, account: AccountState) -> None:
    working = dict.fromkeys(account.instruments, 0)
    unknown = 0
    for order in account.orders.values():
        if order.status not in ENDED:
            working[order.symbol] = working.get(order.symbol, 0) + 1
            unknown += order.status is OrderStatus.UNKNOWN
    for symbol, number in working.items():
        metrics.show("open_orders", number, symbol)
    metrics.show("unknown_orders", unknown)


def _show_symbol(
    metrics: Metrics, core: Core, portfolio: PortfolioState, instrument: Instrument, price: int | None
) -> None:
    symbol = instrument.symbol
    risk = portfolio.symbols.get(symbol)
    inventory = risk.inventory if risk else 0
    metrics.show("position", inventory / 10**instrument.base_decimals, symbol)
    if risk is not None:
        worth = value(instrument, risk.mark_ticks, inventory)
        metrics.show("inventory_notional", worth / 10**instrument.quote_decimals, symbol)
        whole = equity(portfolio)
        if instrument.kind == LINEAR and whole > 0:
            margin = abs(worth) * PPM // instrument.leverage_ppm
            metrics.show("margin_utilisation", margin / whole, symbol)
    if price is not None:
        metrics.show("grid_price", _price(instrument, price), symbol)
    if symbol_actor(symbol) in core.names():
        _show_grid(metrics, core.state_of(symbol_actor(symbol)), instrument, price)


def _show_grid(metrics: Metrics, state: SymbolState, instrument: Instrument, price: int | None) -> None:
    ladder = sorted({ticks for level in state.levels for ticks in (level.buy_ticks, level.sell_ticks)})
    if len(ladder) < 2:
        return
    symbol, lowest, highest = instrument.symbol, ladder[0], ladder[-1]
    metrics.show("grid_center", _price(instrument, lowest + highest) / 2, symbol)
    metrics.show("grid_width_bps", (highest - lowest) * BPS / lowest, symbol)
    at = next((one for one, ticks in enumerate(ladder[1:-1], 1) if price is not None and ticks > price), 1)
    metrics.show("grid_step_bps", (ladder[at] - ladder[at - 1]) * BPS / ladder[at - 1], symbol)


def _price(instrument: Instrument, ticks: int) -> float:
    result: Any = ticks * instrument.tick_size / 10**instrument.price_decimals
    return float(result)
