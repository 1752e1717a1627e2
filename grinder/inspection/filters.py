"""Filters over a ledger: by time, stream, type, symbol, cause, and any SQL condition.

Law: read-only, whatever the condition says: the connection is, and an authorizer refuses every statement
that is not a plain SELECT over the ledger's table.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator
from itertools import islice
from typing import Any

import attrs

from actors.records import LedgerRow, new_row
from domain.record import TOPICS
from grinder.errors import UserError
from grinder.inspection.lookup import ACTOR, SYMBOL, TYPE, Lookup
from grinder.inspection.records import COLUMNS, Records, interruptible

DEFAULT_LIMIT = 100
BATCH = 500
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer"})
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}


@attrs.frozen
class Filter:
    """What to look for; everything that is given must hold.

    Attributes:
        since, until: positions, both included; until 0 is the head.
        symbols, types, actors: any of these; types are topics.
        cause_of: the records that led to this one.
        caused_by: everything that the record at this position led to.
        where: an SQL condition over the columns of the ledger.
        limit: at most so many; 0 is all.
        newest: the newest first.
    """

    since: int = 1
    until: int = 0
    symbols: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    cause_of: int = 0
    caused_by: int = 0
    where: str = ""
    limit: int = DEFAULT_LIMIT
    newest: bool = False


def topics_named(records_types: list[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """The topics that names mean: `OrderFilled`, `OrderFilled/1`, any case, or a part with `*`.

    Raises:
        UserError: no record of this program, or of the ledger, is called that.
    """
    from fnmatch import fnmatchcase

    known = sorted({*TOPICS, *records_types})
    found: list[str] = []
    for name in names:
        low = name.lower()
        meant = [
            topic
            for topic in known
            if fnmatchcase(topic.lower(), low) or fnmatchcase(topic.lower().partition("/")[0], low)
        ]
        if not meant:
            near = [t.partition("/")[0] for t in known if low.strip("*") in t.lower()][:5]
            raise UserError(
                "audit.type",
                "no record has this type",
                value=name,
                fix=f"did you mean {', '.join(near)}?" if near else f"there are: {_names(records_types)}",
            )
        found += meant
    return tuple(dict.fromkeys(found))


def _names(topics: list[str]) -> str:
    return ", ".join(sorted({topic.partition("/")[0] for topic in topics}))


def named(kind: str, there: list[str], names: tuple[str, ...]) -> tuple[str, ...]:
    """Symbols or actors that names mean; `input` and `symbol` mean every stream below them.

    Raises:
        UserError: the ledger holds none that is called that.
    """
    found: list[str] = []
    for name in names:
        low = name.lower()
        meant = [one for one in there if one.lower() == low or one.lower().startswith(low.rstrip("/") + "/")]
        if kind == ACTOR and not meant:
            meant = [one for one in there if one.lower().partition("/")[2] == low]
        if not meant:
            raise UserError(
                f"audit.{kind}",
                f"this ledger has no such {kind}",
                value=name,
                fix=f"there are: {', '.join(there)}",
            )
        found += meant
    return tuple(dict.fromkeys(found))


def select(records: Records, lookup: Lookup | None, wanted: Filter) -> Iterator[LedgerRow]:
    """The records that pass a filter, in order; `lookup` is needed for types and symbols.

    Raises:
        UserError: the condition is not one, or does more than look.
    """
    found = _selected(records, lookup, wanted)
    return islice(found, wanted.limit) if wanted.limit else found


def _selected(records: Records, lookup: Lookup | None, wanted: Filter) -> Iterator[LedgerRow]:
    interruptible(records.connection)
    until = min(wanted.until or records.head(), records.head())
    if wanted.cause_of:
        paths = records.path(wanted.cause_of)
        yield from _passing(records, _ordered([one.position for one in paths], wanted), wanted, until)
    elif wanted.caused_by:
        reached = {wanted.caused_by}
        for row in records.turn(wanted.caused_by):
            if row.cause in reached:
                reached.add(row.position)
        yield from _passing(records, _ordered(sorted(reached), wanted), wanted, until)
    elif lookup is not None and (wanted.types or wanted.symbols or wanted.actors):
        yield from _passing(records, _listed(lookup, wanted, until), wanted, until)
    else:
        conditions, values = _conditions(wanted, until)
        order = "DESC" if wanted.newest else "ASC"
        yield from _run(records, f"rowid BETWEEN ? AND ? AND {conditions} ORDER BY rowid {order}", values)


def _ordered(positions: list[int], wanted: Filter) -> list[int]:
    return sorted(positions, reverse=wanted.newest)


def _listed(lookup: Lookup, wanted: Filter, until: int) -> Iterator[int]:
    """Positions that have one of the types, one of the symbols and one of the actors, in order."""
    kinds = [(TYPE, wanted.types), (SYMBOL, wanted.symbols), (ACTOR, wanted.actors)]
    lists = [
        _union([lookup.listed(kind, key, wanted.since, until) for key in keys])
        for kind, keys in kinds
        if keys
    ]
    lists.sort(key=len)
    first, *others = lists
    passing = [set(one) for one in others]
    ordered = reversed(first) if wanted.newest else iter(first)
    return (at for at in ordered if all(at in one for one in passing))


def _union(lists: list[array[int]]) -> array[int]:
    if len(lists) == 1:
        return lists[0]
    return array("q", sorted({at for one in lists for at in one}))


def _passing(records: Records, positions: Any, wanted: Filter, until: int) -> Iterator[LedgerRow]:
    """The records at positions that pass the rest of a filter."""
    conditions, values = _conditions(wanted, until)
    order = "DESC" if wanted.newest else "ASC"
    source, size = iter(positions), 32
    while batch := list(islice(source, size)):
        marks = ",".join("?" * len(batch))
        where = f"rowid BETWEEN ? AND ? AND rowid IN ({marks}) AND {conditions} ORDER BY rowid {order}"
        yield from _run(records, where, [*values[:2], *batch, *values[2:]])
        size = BATCH


def _conditions(wanted: Filter, until: int) -> tuple[str, list[Any]]:
    conditions: list[str] = ["1"]
    values: list[Any] = [max(wanted.since, 1), until]
    for column, kept in (("topic", wanted.types), ("originator_id", wanted.actors)):
        if kept:
            # The plus keeps SQLite from going by the column's index, which reads a whole actor a batch.
            conditions.append(f"+{column} IN ({','.join('?' * len(kept))})")
            values += kept
    if wanted.where:
        # On a line of its own, so that a comment in it ends there.
        conditions.append(f"(\n{wanted.where}\n)")
    return " AND ".join(conditions), values


def _run(records: Records, where: str, values: list[Any]) -> Iterator[LedgerRow]:
    connection = records.connection
    connection.set_authorizer(_authorize)
    try:
        cursor = connection.execute(f"SELECT {COLUMNS} FROM stored_events WHERE {where}", values)
        while batch := cursor.fetchmany(BATCH):
            yield from map(new_row, batch)
    except (
        sqlite3.OperationalError,
        sqlite3.ProgrammingError,
        sqlite3.DatabaseError,
        sqlite3.Warning,
    ) as error:
        if "interrupt" in str(error):
            raise KeyboardInterrupt from error
        raise _refused(error) from error
    finally:
        connection.set_authorizer(None)


def _refused(error: Exception) -> UserError:
    denied = "not authorized" in str(error) or "prohibited" in str(error)
    what = "--where only looks: it is one condition over stored_events" if denied else f"SQL: {error}"
    return UserError(
        "audit.where",
        what,
        fix="write a condition such as: state ->> '$.symbol' = 'BTCUSDT' AND ts_ns > 1700000000000000000",
    )


def _authorize(action: int, one: str | None, two: str | None, database: str | None, inner: str | None) -> int:
    """What a statement may do: read the ledger's table, and call functions that only compute."""
    if action in _ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_READ and one in ("stored_events", "json_each", "json_tree"):
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and (two or "").lower() not in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
