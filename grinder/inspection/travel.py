"""The actors' states at any position of a ledger, forwards and backwards.

Law: a state is what `evolve` makes of the records before it (of a slice: of the state it carries); nothing is
decided again.  States are immutable, so those kept on the way are references that share almost everything;
going back is going forward from the nearest of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import msgspec
from immutables import Map

from domain.orders import ENDED
from domain.record import Record
from grinder.collecting import rare_collections
from grinder.inspection.amounts import Scales, label
from grinder.inspection.records import Records
from grinder.ledger.faults import damaged
from replay.folding import States, first_states, fold

KEPT_EVERY = 2048
"""Records between two states that are kept: what going back costs at most."""

_EVENTS = (
    "SELECT rowid, originator_id, topic, CAST(state AS BLOB) FROM stored_events"
    " WHERE rowid > ? AND rowid <= ? ORDER BY rowid"
)

Difference = tuple[str, Any, Any, Any]


class Travel:
    """States of a ledger's actors; the last ones asked for, and some on the way, stay in memory."""

    def __init__(self, records: Records, told: Callable[[int, int], None] | None = None) -> None:
        self._records = records
        self._told = told
        first = first_states()
        self._kept: dict[int, States] = {0: first}
        self._recent: tuple[int, States] = (0, first)
        self.evolved = 0

    def at(self, position: int) -> States:
        """States after the record at a position (0: before any).

        Raises:
            LedgerError: a record cannot be read.
        """
        base = max(one for one in (*self._near(position), 0) if one <= position)
        states = self._recent[1] if base == self._recent[0] else self._kept[base]
        if base == position:
            return states
        found = dict(states)
        try:
            # Preparing for a long way costs more than a short one.
            with rare_collections() if position - base > 50 * KEPT_EVERY else nullcontext():
                self._forward(found, base, position)
        except ValueError as error:
            raise damaged(self._records.folder.ledger, error) from error
        self._recent = (position, found)
        return found

    def _forward(self, found: States, base: int, position: int) -> None:
        """Take states from one position to a later one, keeping some on the way."""
        for at, stream, topic, state in self._records.connection.execute(_EVENTS, (base, position)):
            fold(found, stream, topic, state)
            self.evolved += 1
            if at % KEPT_EVERY == 0:
                self._kept.setdefault(at, dict(found))
                if self._told is not None and at % (KEPT_EVERY * 8) == 0:
                    self._told(at - base, position - base)

    def _near(self, position: int) -> Iterator[int]:
        yield self._recent[0]
        below = position - position % KEPT_EVERY
        while below > 0:
            if below in self._kept:
                yield below
                return
            below -= KEPT_EVERY


# --- what changed --------------------------------------------------------------------------------------


def changes(before: Any, after: Any, name: str = "", holder: Any = None) -> Iterator[Difference]:
    """What differs between two states: (path, before, after, what holds it); None is what is not there."""
    if before is after or (type(before) is type(after) and not _parts(after) and before == after):
        return
    if isinstance(after, (msgspec.Struct, Record)) and type(before) is type(after):
        for field in _fields(after):
            path = f"{name}.{field}" if name else field
            yield from changes(getattr(before, field), getattr(after, field), path, after)
    elif isinstance(after, Map) and isinstance(before, Map):
        for key in sorted({*before, *after}, key=str):
            if before.get(key) is not after.get(key):
                yield from changes(before.get(key), after.get(key), f"{name}[{key}]", holder)
    elif _listed(before) and _listed(after) and len(before) == len(after):
        for at, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from changes(one, other, f"{name}[{at}]", holder)
    elif before != after:
        yield name, before, after, holder


def _parts(value: Any) -> bool:
    return isinstance(value, (msgspec.Struct, Map, Record)) or _listed(value)


def _listed(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], msgspec.Struct)


def _fields(value: Any) -> tuple[str, ...]:
    if isinstance(value, msgspec.Struct):
        return value.__struct_fields__
    return tuple(field.name for field in value.__attrs_attrs__)


_KEYS = re.compile(r"\[([^\[\]]+)\]")
"""Keys in the path of a value; of what is kept by symbol, the symbol."""


def value_text(scales: Scales, path: str, value: Any, symbol: str, holder: Any = None) -> str:
    """A value of a state as people read it; the last name of its path says what it is."""
    if value is None:
        return "-"
    name = path.rpartition(".")[2].partition("[")[0]
    key = path[path.rindex("[") + 1 : -1] if path.endswith("]") else ""
    symbol = next((one for one in _KEYS.findall(path) if one in scales.instruments), symbol)
    if name == "balances" and isinstance(value, int):
        return scales.asset(key.rpartition(":")[2], value)
    if name == "reserved" and isinstance(value, int) and key:
        return scales.asset(key, value)
    if isinstance(value, (msgspec.Struct, Record)):
        symbol = getattr(value, "symbol", symbol)
        shown = [
            f"{label(field)} {value_text(scales, field, found, symbol, value)}"
            for field in _fields(value)
            if (found := getattr(value, field)) not in ("", 0, (), None, False) and field != "reserve_asset"
        ]
        return "{" + ", ".join(shown) + "}"
    if isinstance(value, Map):
        return f"{len(value)} entries"
    return str(scales.shown(name, value, getattr(holder, "symbol", symbol), holder))


def summary(scales: Scales, stream: str, state: Any, most: int = 40) -> list[str]:
    """A state as lines: its fields, its working orders, its levels."""
    symbol = stream.partition("/")[2]
    lines: list[str] = []
    for field in _fields(state):
        value = getattr(state, field)
        if field in ("ended", "ended_count", "funding_ids", "allowed_at") and not isinstance(value, int):
            lines.append(f"{field}: {len(value)}")
        elif isinstance(value, Map):
            lines += _map_lines(scales, field, value, symbol, most)
        elif _listed(value):
            lines += [
                f"{field}[{at}]: {value_text(scales, '', one, symbol)}" for at, one in enumerate(value)
            ][:most]
            lines += [f"{field}: {len(value) - most} more"] if len(value) > most else []
        elif isinstance(value, Record):
            lines.append(f"{field}: {getattr(value, 'symbol', type(value).__name__)}")
        else:
            lines.append(f"{label(field)}: {value_text(scales, field, value, symbol, state)}")
    return lines


def _map_lines(scales: Scales, field: str, value: Any, symbol: str, most: int) -> list[str]:
    keys = sorted(value, key=str)
    if field == "instruments":
        return [f"{field}: {', '.join(map(str, keys))}"]
    over = 0
    if field == "orders":
        over = sum(value[key].status in ENDED for key in keys)
        keys = [key for key in keys if value[key].status not in ENDED]
    lines = [
        f"{field}[{key}]: {value_text(scales, f'{field}[{key}]', value[key], symbol)}" for key in keys[:most]
    ]
    if over or len(keys) > most:
        lines.append(f"{field}: {max(len(keys) - most, 0)} more, {over} ended")
    return lines or [f"{field}: none"]
