"""Conditions on records as people type them: ``stream=account, type=OrderFilled, price<60000``.

Law: a condition is data; nothing typed is run.  Amounts are compared as exact decimals in the unit they are
shown in.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from typing import Any

import attrs

from actors.records import LedgerRow
from grinder.errors import UserError
from grinder.inspection.amounts import Scales
from grinder.inspection.records import Records, when

_TERM = re.compile(r"\s*([A-Za-z_][A-Za-z_.]*)\s*(<=|>=|!=|=|<|>|~)\s*([^=<>!~\s].*?)\s*")
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}
_NAMES = {
    "price": ("price_ticks",),
    "quantity": ("lots",),
    "order": ("client_order_id", "exchange_order_id"),
    "fill": ("fill_id",),
    "fee": ("fee_value",),
}
"""Short names of fields; any other name is a field itself."""

_OF_ROW = {"stream": "stream", "actor": "stream", "type": "topic", "position": "position", "cause": "cause"}
HELP = (
    "stream=, type=, symbol=, price<, quantity>, level=, side=, order=, fill=, time>=, any field; with commas"
)


@attrs.frozen
class Term:
    """One comparison."""

    name: str
    compare: str
    value: str


@attrs.frozen
class Condition:
    """Comparisons that must all hold."""

    text: str
    terms: tuple[Term, ...]

    def holds(self, records: Records, scales: Scales, row: LedgerRow) -> bool:
        """Whether a record passes; one that lacks a field does not."""
        of_row = [term for term in self.terms if term.name in _OF_ROW or term.name == "time"]
        if not all(_of_row(term, row) for term in of_row):
            return False
        others = [term for term in self.terms if term not in of_row]
        if not others:
            return True
        record = records.decoded(row)
        return all(_of_record(term, scales, record) for term in others)


def parse(text: str) -> Condition:
    """The condition in a text.

    Raises:
        UserError: it is none.
    """
    terms = []
    for part in text.split(","):
        found = _TERM.fullmatch(part)
        if found is None:
            raise UserError(
                "debug.condition",
                "this is no condition",
                value=part.strip() or text,
                fix=f"write NAME, then one of = != < > <= >= ~ (contains), then a value: {HELP}",
            )
        name, compare, value = found.groups()
        if name == "time":
            when(value, "time")
        terms.append(Term(name, compare, value.strip("\"'")))
    return Condition(text.strip(), tuple(terms))


def _of_row(term: Term, row: LedgerRow) -> bool:
    if term.name == "time":
        return _COMPARE["=" if term.compare == "~" else term.compare](row.ts_ns, when(term.value, "time"))
    found = getattr(row, _OF_ROW[term.name])
    if isinstance(found, int):
        return _numbers(term, Decimal(found))
    short = found.partition("/")[0] if term.name == "type" else found.partition("/")[2]
    return _words(term, found) or (term.compare != "!=" and _words(term, short))


def _words(term: Term, found: str) -> bool:
    low, wanted = found.lower(), term.value.lower()
    if term.compare == "~":
        return wanted in low
    if term.compare in ("=", "!="):
        matches = fnmatchcase(low, wanted) or fnmatchcase(low.partition("/")[0], wanted)
        return matches == (term.compare == "=")
    return _COMPARE[term.compare](low, wanted)


def _numbers(term: Term, found: Decimal) -> bool:
    wanted = _number(term.value)
    if wanted is None:
        return False
    return _COMPARE["=" if term.compare == "~" else term.compare](found, wanted)


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text.replace(",", "").replace("_", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _of_record(term: Term, scales: Scales, record: Any) -> bool:
    if term.name == "symbol":
        return _words(term, scales.symbol_of(record))
    symbol = scales.symbol_of(record)
    for name in _NAMES.get(term.name, (term.name,)):
        holder = record
        for step in name.split("."):
            found = getattr(holder, step, None)
            if found is None and step == name:
                holder = getattr(record, "terms", None)
                found = getattr(holder, step, None)
            if found is None:
                break
            shown = scales.shown(step, found, symbol, holder)
            holder = found
        else:
            number = _number(str(shown).partition(" ")[0]) if isinstance(found, int) else None
            if number is not None and _number(term.value) is not None:
                return _numbers(term, number)
            return _words(term, str(shown))
    return False
