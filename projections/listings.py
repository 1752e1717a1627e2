"""What amounts mean: the account's currency and the rules of every instrument.

Law: the first projection of the registry; all others turn units into decimals with what is in these rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from domain.inputs import OpenAccount
from domain.instrument import Instrument, InstrumentListed
from projections.amounts import amount, units_of
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import INT, TEXT, Row, Table, View

ACCOUNTS = Table(
    "accounts",
    {
        "id": INT,
        "ledger_id": TEXT,
        "exchange": TEXT,
        "quote": TEXT,
        "quote_decimals": INT,
        "opened_at_ns": INT,
    },
    ("id",),
)

_TEXT_RULES = ("symbol", "kind", "base", "quote", "tick", "lot")

_OF_WIRE = ("base_per_contract",)
"""What only a connector reads."""

INSTRUMENTS = Table(
    "instruments",
    {
        name: TEXT if name in _TEXT_RULES else INT
        for name in Instrument.__annotations__
        if name not in _OF_WIRE
    },
    ("symbol",),
)

ASSETS = Table("assets", {"asset": TEXT, "decimals": INT}, ("asset",))
"""Digits after the point of one unit of each asset of the account."""

TABLES: tuple[Table, ...] = (ACCOUNTS, ASSETS, INSTRUMENTS)


class Scale:
    """An instrument with the conversions from its units to exact decimals, and back."""

    __slots__ = ("instrument", "price_decimals", "quote_decimals")

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.price_decimals = instrument.price_decimals
        self.quote_decimals = instrument.quote_decimals

    def price(self, ticks: int) -> Decimal:
        """A price of so many ticks."""
        return amount(ticks * self.instrument.tick_size, self.price_decimals)

    def ticks(self, price: Decimal) -> int:
        """Ticks of a price that `price` made."""
        return units_of(price, self.price_decimals) // self.instrument.tick_size

    def lots(self, lots: int) -> Decimal:
        """A quantity of so many lots."""
        return amount(lots * self.instrument.base_per_lot, self.instrument.base_decimals)

    def base(self, units: int) -> Decimal:
        """A quantity of so many base units."""
        return amount(units, self.instrument.base_decimals)

    def quote(self, units: int) -> Decimal:
        """Money of so many quote units."""
        return amount(units, self.quote_decimals)

    def base_units(self, quantity: Decimal) -> int:
        """Base units of a quantity."""
        return units_of(quantity, self.instrument.base_decimals)

    def quote_units(self, money: Decimal) -> int:
        """Quote units of money."""
        return units_of(money, self.quote_decimals)


def scale(view: View, symbol: str) -> Scale:
    """The scale of a listed symbol.

    Raises:
        KeyError: the symbol was never listed; no actor answers for such a symbol.
    """
    found = view.memo.get(symbol)
    if found is None:
        row = view.of(INSTRUMENTS).get(symbol)
        if row is None:
            raise KeyError(symbol)
        found = view.memo[symbol] = Scale(Instrument(**row))
    assert isinstance(found, Scale)
    return found


def quote_decimals(view: View) -> int | None:
    """Digits of one unit of the account's currency; None before the account or an instrument is known."""
    row: Mapping[str, Any] | None = view.of(ACCOUNTS).get(1)
    return None if row is None else row["quote_decimals"]


def asset_decimals(view: View, asset: str) -> int:
    """Digits of one unit of an asset; 0 (so amounts read as units) for one the account was never told of."""
    row = view.of(ASSETS).get(asset)
    return 0 if row is None else int(row["decimals"])


def initial() -> tuple[tuple[Table, Row], ...]:
    """The account's one row, empty."""
    return ((ACCOUNTS, ACCOUNTS.blank(id=1)),)


def _on_account(view: View, record: LedgerRecord, event: OpenAccount) -> None:
    row = view.of(ACCOUNTS).edit(1)
    if row is None or row["opened_at_ns"] is not None:
        return
    row.update(ledger_id=event.ledger_id, exchange=event.exchange, quote=event.quote)
    row["opened_at_ns"] = record.ts_ns
    for asset, decimals in event.decimals:
        view.of(ASSETS).put({"asset": asset, "decimals": decimals})
        if asset == event.quote:
            row["quote_decimals"] = decimals


def _on_listed(view: View, record: LedgerRecord, event: InstrumentListed) -> None:
    rules = event.instrument
    view.memo.pop(rules.symbol, None)
    view.of(INSTRUMENTS).put({name: getattr(rules, name) for name in INSTRUMENTS.columns})
    row = view.of(ACCOUNTS).get(1)
    if row is not None and row["quote_decimals"] is None:
        changed = view.of(ACCOUNTS).edit(1)
        assert changed is not None
        changed["quote_decimals"] = rules.quote_decimals


HANDLERS: Handlers = {OpenAccount: _on_account, InstrumentListed: _on_listed}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
