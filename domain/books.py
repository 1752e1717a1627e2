"""Double entry: how executions, fees and funding become postings.

Law: every posting takes from one account what it gives to another, in one asset; so the sum over all
accounts of every asset is zero at all times.  Accounts are named ``wallet:USDT`` (ours), ``market:BTCUSDT``
(the other side of a trade), ``position:BTCUSDT`` (contracts held), ``profit:BTCUSDT``, ``fees``, ``funding``
and ``opening``.
"""

from __future__ import annotations

import msgspec

from domain.inputs import FillReport
from domain.instrument import LINEAR, Instrument
from domain.order_events import Posting
from domain.orders import BUY


class Position(msgspec.Struct, frozen=True):
    """A perpetual position: signed contracts in base units and what they cost (signed, quote units).

    The average entry price is ``cost / units``; it is never stored, so it is never rounded.
    """

    units: int = 0
    cost: int = 0


def posting(debit: str, credit: str, asset: str, amount: int) -> Posting:
    """A posting whose amount is made positive by exchanging the two accounts."""
    if amount < 0:
        return Posting(debit=credit, credit=debit, asset=asset, amount=-amount)
    return Posting(debit=debit, credit=credit, asset=asset, amount=amount)


def reduce(position: Position, signed_units: int, signed_cost: int) -> tuple[Position, int]:
    """A position after an execution, and the profit it realised (average cost, quote units).

    Increasing adds to the cost; reducing realises the closed share of it; a flip closes everything and opens
    the rest at the execution's price.  The share is floored, so a rounding rest stays in the cost and no
    unit of money is lost.
    """
    units = position.units
    if units == 0 or (units > 0) == (signed_units > 0):
        return Position(units + signed_units, position.cost + signed_cost), 0
    closing = min(abs(signed_units), abs(units))
    cost_share = position.cost * closing // abs(units) if closing < abs(units) else position.cost
    proceeds = -signed_cost * closing // abs(signed_units) if closing < abs(signed_units) else -signed_cost
    opening_cost = signed_cost + proceeds
    left = units + signed_units
    return Position(left, position.cost - cost_share + opening_cost), proceeds - cost_share


def fill_postings(
    instrument: Instrument, report: FillReport, base_units: int, notional: int, realised: int
) -> tuple[Posting, ...]:
    """The entries of one execution (`base_units` gross, unsigned; `notional` unsigned)."""
    symbol, wallet = instrument.symbol, f"wallet:{instrument.quote}"
    market = f"market:{symbol}"
    entries: list[Posting] = []
    if instrument.kind == LINEAR:
        signed = base_units if report.side == BUY else -base_units
        entries.append(posting(f"position:{symbol}", market, symbol, signed))
        if realised:
            entries.append(posting(wallet, f"profit:{symbol}", instrument.quote, realised))
    else:
        base_wallet = f"wallet:{instrument.base}"
        if report.side == BUY:
            entries.append(
                Posting(debit=base_wallet, credit=market, asset=instrument.base, amount=base_units)
            )
            entries.append(Posting(debit=market, credit=wallet, asset=instrument.quote, amount=notional))
        else:
            entries.append(
                Posting(debit=market, credit=base_wallet, asset=instrument.base, amount=base_units)
            )
            entries.append(Posting(debit=wallet, credit=market, asset=instrument.quote, amount=notional))
    if report.fee_units:
        entries.append(posting("fees", f"wallet:{report.fee_asset}", report.fee_asset, report.fee_units))
    return tuple(entries)
