"""What makes the books of a symbol agree with the exchange.

Law: it only computes commands.  Whether they are given is the operator's, and each is in the ledger.
"""

from __future__ import annotations

from domain.account_state import AccountState
from domain.inputs import CorrectBalance, ReconciliationReport
from domain.instrument import LINEAR


def corrections(
    books: AccountState, seen: ReconciliationReport, symbol: str, price_ticks: int
) -> list[CorrectBalance]:
    """The corrections after which the books say of a symbol what the exchange said.

    Args:
        seen: what the exchange said, with nothing in flight.
        price_ticks: the symbol's newest price, at which a position is taken over.
    """
    instrument = books.instruments[symbol]
    found = []
    positions, balances = dict(seen.positions), dict(seen.balances)
    if instrument.kind == LINEAR and symbol in positions:
        held = books.positions.get(symbol)
        found.append((symbol, positions[symbol] - (held.units if held else 0), price_ticks))
    assets = (instrument.quote,) if instrument.kind == LINEAR else (instrument.base, instrument.quote)
    found += [
        (asset, balances[asset] - books.balances.get(f"wallet:{asset}", 0), 0)
        for asset in assets
        if asset in balances
    ]
    return [
        CorrectBalance(
            subject=subject,
            units=units,
            price_ticks=price,
            reason="accepted after a difference",
            operator="operator",
        )
        for subject, units, price in found
        if units
    ]
