"""Amounts of records as people read them: decimals with their unit, in the scales in force at the time.

Law: integers are turned into exact decimals and never rounded; a field whose scale is not known is shown as
it is stored.  What a field's number means is said once, in `KINDS`.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from domain.account_state import AccountState
from domain.codec import state_from
from domain.grid_state import SymbolState
from domain.inputs import ACCOUNT, CarryState, OpenAccount
from domain.instrument import Instrument
from domain.record import Record
from domain.units import units_text
from grinder.inspection.records import Records, iso

PRICE, LOTS, BASE, QUOTE, TIME, RATE, SPAN = "price", "lots", "base", "quote", "time", "ppm", "span"

KINDS: dict[str, str] = {
    **dict.fromkeys(
        (
            "price_ticks",
            "order_price_ticks",
            "stop_loss_ticks",
            "take_profit_ticks",
            "buy_ticks",
            "sell_ticks",
            "lower_ticks",
            "upper_ticks",
            "center_ticks",
            "mark_ticks",
        ),
        PRICE,
    ),
    **dict.fromkeys(
        (
            "lots",
            "filled_lots",
            "unfilled_lots",
            "resting_lots_released",
            "resting_buy_lots",
            "resting_sell_lots",
            "lots_change",
            "stock_lots",
        ),
        LOTS,
    ),
    **dict.fromkeys(("base_units", "held", "inventory", "existing_units"), BASE),
    **dict.fromkeys(
        (
            "notional",
            "unfilled_notional",
            "notional_change",
            "cost",
            "held_cost",
            "profit",
            "fee_value",
            "cash_units",
            "cash",
            "realised",
            "equity",
            "high_water",
            "session_high",
            "day_high",
            "resting_released",
            "resting_buys",
            "resting_sells",
            "inventory_max",
            "worth",
            "level_quote",
            "min_notional",
        ),
        QUOTE,
    ),
    **dict.fromkeys(
        ("retry_at_ns", "now_ns", "until_ns", "first_ns", "last_ns", "ts_ns", "suspended_until_ns"), TIME
    ),
    **dict.fromkeys(
        (
            "session_drawdown_ppm",
            "daily_drawdown_ppm",
            "drift_ppm",
            "rate_ppm",
            "maker_fee_ppm",
            "taker_fee_ppm",
        ),
        RATE,
    ),
}
"""What the number in a field of this name is."""

BY_ASSET = {"fee_units": "fee_asset", "reserved": "reserve_asset", "amount": "asset", "units": "subject"}
"""Fields in units of the asset that another field names."""


def label(name: str) -> str:
    """A field's name without the unit it is stored in, for where its value is shown with another."""
    if name in ("lots", "unfilled_lots", "filled_lots"):
        return {"lots": "quantity", "filled_lots": "filled", "unfilled_lots": "unfilled"}[name]
    return name.removesuffix("_ticks").removesuffix("_ns")


class Scales:
    """The instruments and the assets of a ledger; the newest listing of a symbol counts."""

    def __init__(self) -> None:
        self.instruments: dict[str, Instrument] = {}
        self.decimals: dict[str, int] = {}
        self.quote = ""
        self.grids: dict[str, str] = {}

    def learn(self, record: Any) -> None:
        """Take over what a record says of scales."""
        if isinstance(record, OpenAccount):
            self.decimals.update(record.decimals)
            self.quote = record.quote
        elif type(record).__name__ in ("InstrumentListed", "ListInstrument"):
            self.instruments[record.instrument.symbol] = record.instrument
        elif type(record).__name__ == "GridConfigured":
            self.grids[record.grid_id] = record.symbol
        elif isinstance(record, CarryState):
            self._carry(record)

    def _carry(self, record: CarryState) -> None:
        """A slice begins with states in the place of listings."""
        if record.stream == ACCOUNT:
            books = state_from(AccountState, record.state)
            self.quote = books.quote
            for symbol, one in books.instruments.items():
                self.instruments[symbol] = one
                self.decimals.update({one.base: one.base_decimals, one.quote: one.quote_decimals})
        elif record.stream.startswith("symbol/"):
            grid = state_from(SymbolState, record.state)
            self.grids[grid.grid_id] = record.stream.removeprefix("symbol/")

    def symbol_of(self, record: Any) -> str:
        """The symbol a record is about; empty when it is about none, or all."""
        record = getattr(record, "deploy", record)
        for name in ("symbol", "terms", "instrument", "start"):
            found = getattr(record, name, None)
            if found is not None:
                return str(found if isinstance(found, str) else found.symbol)
        order = getattr(record, "client_order_id", "")
        return self.grids.get(order[:14], "")

    def price(self, symbol: str, ticks: int, unit: bool = False) -> str:
        """A price in ticks as text."""
        one = self.instruments.get(symbol)
        if one is None:
            return f"{ticks} ticks"
        return units_text(ticks * one.tick_size, one.price_decimals) + (f" {one.quote}" if unit else "")

    def quantity(self, symbol: str, lots: int) -> str:
        """A quantity in lots, with its asset."""
        one = self.instruments.get(symbol)
        return self.holding(symbol, lots * one.base_per_lot) if one else f"{lots} lots"

    def holding(self, symbol: str, units: int) -> str:
        """A holding in base units, with its asset."""
        one = self.instruments.get(symbol)
        return f"{units_text(units, one.base_decimals)} {one.base}" if one else f"{units} base units"

    def money(self, units: int) -> str:
        """Quote units, with the currency."""
        found = next(iter(self.instruments.values()), None)
        if found is not None:
            return f"{units_text(units, found.quote_decimals)} {found.quote}"
        if self.quote in self.decimals:
            return self.asset(self.quote, units)
        return f"{units} quote units"

    def asset(self, asset: str, units: int) -> str:
        """Units of an asset, with its name; of a symbol, its base."""
        if asset in self.instruments:
            return self.holding(asset, units)
        if asset not in self.decimals:
            return f"{units} units of {asset}"
        return f"{units_text(units, self.decimals[asset])} {asset}"

    def shown(self, name: str, value: Any, symbol: str, around: Any = None) -> Any:
        """A field as people read it; `around` is what the field belongs to."""
        if name in BY_ASSET and isinstance(value, int):
            asset = getattr(around, BY_ASSET[name], "")
            return self.asset(asset, value) if asset else value
        if name == "marks" and isinstance(value, tuple):
            return {one: self.price(one, ticks) for one, ticks in value}
        if name in ("balances", "positions", "holdings") and isinstance(value, tuple):
            return {one: self.asset(one, units) for one, units in value}
        if isinstance(value, tuple):
            return [self.shown(name, one, symbol, around) for one in value]
        if isinstance(value, Record):
            return self.fields(value, symbol)
        if not isinstance(value, int) or isinstance(value, bool) or name not in KINDS:
            return value
        return self._of_kind(KINDS[name], value, symbol)

    def _of_kind(self, kind: str, value: int, symbol: str) -> Any:
        if kind == PRICE:
            return self.price(symbol, value) if value or symbol else value
        if kind == LOTS:
            return self.quantity(symbol, value)
        if kind == BASE:
            return self.holding(symbol, value)
        if kind == QUOTE:
            return self.money(value)
        if kind == TIME:
            return iso(value) if value else 0
        return f"{units_text(value, 4)} %"

    def fields(self, record: Any, symbol: str = "") -> dict[str, Any]:
        """Every field of a record as people read it, in the order of its class."""
        import attrs

        symbol = self.symbol_of(record) or symbol
        return {
            field.name: self.shown(field.name, value, symbol, record)
            for field in attrs.fields(type(record))
            if (value := getattr(record, field.name)) is not UNSET
        }


def scales_of(records: Records, until: int | None = None) -> Scales:
    """The scales in force at a position (the head when it is left out).

    Listings are commands of the operator, of which a ledger holds few; grids are laid out right after them.
    """
    scales = Scales()
    last = records.head() if until is None else until
    rows = records.connection.execute(
        "SELECT rowid, topic FROM stored_events WHERE originator_id = 'input/operator' AND rowid <= ?"
        " ORDER BY originator_version",
        (last,),
    ).fetchall()
    for position, topic in rows:
        name = topic.partition("/")[0]
        if name in ("OpenAccount", "ListInstrument", "CarryState"):
            row = records.row(position)
            assert row is not None
            scales.learn(records.decoded(row))
        elif name == "StartGrid":
            for row in records.turn(position):
                if row.topic.startswith("GridConfigured/"):
                    scales.learn(records.decoded(row))
    return scales
