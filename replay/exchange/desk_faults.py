"""Faults that befall the account or the exchange itself, whatever anybody asks.

Law: carried out on the desk, by the same means for a wire server and an exchange in the process.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs

from domain.units import to_units
from replay.exchange.desk import Desk
from replay.faults import Fault


def befall(desk: Desk, fault: Fault, now_ns: int) -> bool | None:
    """Carry out a fault of the exchange itself.

    Returns:
        True when it was done, False when there was nothing to do it to, None when it is of another kind.
    """
    if not fault.began:
        return None
    if fault.kind == "external_cancel":
        return _cancel(desk, fault, now_ns)
    if fault.kind == "filters_change":
        return _change_filters(desk, fault)
    if fault.kind == "withdraw":
        return _withdraw(desk, fault)
    return None


def _cancel(desk: Desk, fault: Fault, now_ns: int) -> bool:
    found = desk.open_orders(fault.symbol)
    return bool(found) and desk.cancel(found[fault.chance % len(found)], now_ns, fault.reason)


def _change_filters(desk: Desk, fault: Fault) -> bool:
    """Larger steps and a larger smallest value; twice as large where the fault does not say."""
    instrument: Any = desk.instruments.get(fault.symbol)
    if instrument is None:
        return False
    times = int(fault.amount) or 2
    now = desk.filters[fault.symbol]
    changed = attrs.evolve(
        instrument,
        tick=str(Decimal(now.tick) * times),
        lot=str(Decimal(now.lot) * times),
        min_notional=instrument.min_notional * times,
    )
    desk.replace_instrument(changed)
    return True


def _withdraw(desk: Desk, fault: Fault) -> bool:
    decimals = desk.decimals(fault.asset)
    units = min(to_units(round(fault.amount, decimals), decimals), desk.wallet.free(fault.asset))
    if units <= 0:
        return False
    desk.deposit(fault.asset, -units)
    return True
