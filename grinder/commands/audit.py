"""`grinder audit`: the records of a ledger that pass a filter.

Law: reads a run, writes nothing of it but the lookup, which is a cache.
"""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import Any

import click

from grinder.command_line import JSON, RUN, guarded, main, print_json, unlogged
from grinder.errors import UserError

COLUMNS = ("position", "time", "ts_ns", "actor", "version", "type", "cause", "state")


@main.command()
@RUN
@click.option("--since", metavar="PLACE", help="From this position or time (ISO 8601) on.")
@click.option("--until", metavar="PLACE", help="Up to this position, or before this time.")
@click.option("--symbol", "symbols", multiple=True, help="About this symbol; may be given more than once.")
@click.option("--type", "types", multiple=True, help="Of this type, such as OrderFilled or Order*.")
@click.option(
    "--actor", "actors", multiple=True, help="Of this stream: account, portfolio, input/exchange, input."
)
@click.option("--cause-of", metavar="PLACE", help="What led to this record.")
@click.option("--caused-by", metavar="PLACE", help="This record and what it led to.")
@click.option("--where", default="", metavar="SQL", help="Condition, such as: state ->> '$.level' = 3")
@click.option(
    "--limit", type=click.IntRange(0), default=100, show_default=True, help="At most so many; 0 is all."
)
@click.option("--newest", is_flag=True, help="The newest first.")
@click.option("--decoded", is_flag=True, help="Amounts as decimals with their unit.")
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated, with a line of names.")
@JSON
@guarded
@unlogged
def audit(run: Path, as_csv: bool, as_json: bool, decoded: bool, **options: Any) -> None:
    """Show the records of a ledger that pass a filter; reads only."""
    from grinder.inspection.records import Records, reading_faults

    if as_csv and as_json:
        raise UserError("usage.format", "--csv and --json exclude each other", fix="leave one out")
    with Records(run) as records, reading_faults(records.folder):
        lookup = None
        if options["types"] or options["symbols"] or options["actors"]:
            from grinder.inspection.lookup import Lookup
            from grinder.inspection.telling import told

            lookup = Lookup(records, told("looking through the ledger (once)", as_json or as_csv))
        try:
            wanted = _filter(records, lookup, options)
            _show(records, lookup, wanted, decoded=decoded, as_csv=as_csv, as_json=as_json)
        finally:
            if lookup is not None:
                lookup.close()


def _filter(records: Any, lookup: Any, options: dict[str, Any]) -> Any:
    from grinder.inspection.filters import Filter, named, topics_named
    from grinder.inspection.lookup import ACTOR, SYMBOL, TYPE

    until = _until(records, options["until"])
    return Filter(
        since=records.place(options["since"], "--since") if options["since"] else 1,
        until=until,
        symbols=named(SYMBOL, lookup.keys(SYMBOL), options["symbols"]) if options["symbols"] else (),
        types=topics_named(lookup.keys(TYPE), options["types"]) if options["types"] else (),
        actors=named(ACTOR, lookup.keys(ACTOR), options["actors"]) if options["actors"] else (),
        cause_of=_position(records, options["cause_of"], "--cause-of"),
        caused_by=_position(records, options["caused_by"], "--caused-by"),
        where=options["where"],
        limit=options["limit"],
        newest=options["newest"],
    )


def _until(records: Any, text: str | None) -> int:
    """The last position; -1 when a time lies before the first record."""
    if not text:
        return 0
    place = int(records.place(text, "--until"))
    is_position = text.replace(",", "").replace("_", "").removeprefix("#").isdigit() and len(text) < 16
    return place if is_position else (place - 1 or -1)


def _position(records: Any, text: str | None, option: str) -> int:
    if text is None:
        return 0
    found = int(records.place(text, option))
    if not 1 <= found <= records.head():
        raise UserError(
            "audit.position", f"{option} names a record that is not there", value=text,
            fix=f"positions go from 1 to {records.head():,}",
        )  # fmt: skip
    return found


def _show(records: Any, lookup: Any, wanted: Any, *, decoded: bool, as_csv: bool, as_json: bool) -> None:
    import attrs

    from grinder.inspection.filters import select

    one_more = attrs.evolve(wanted, limit=wanted.limit + 1 if wanted.limit else 0)
    shape = _Shape(records, decoded)
    found: list[dict[str, Any]] = []
    if as_csv:
        _csv_line(COLUMNS)
    count, more = 0, False
    for row in select(records, lookup, one_more):
        if wanted.limit and count == wanted.limit:
            more = True
            break
        count += 1
        if as_json:
            found.append(shape.as_dict(row))
        elif as_csv:
            _csv_line(tuple(shape.plain(row)))
        else:
            click.echo(shape.line(row))
    if as_json:
        print_json({"records": found, "more": more})
    elif more:
        click.echo(f"more records pass: shown are {count:,}; --limit 0 shows all", err=True)
    elif not count:
        click.echo("no record passes", err=True)


def _csv_line(values: tuple[Any, ...]) -> None:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    sys.stdout.write(line.getvalue())


class _Shape:
    """How a record is shown."""

    def __init__(self, records: Any, decoded: bool) -> None:
        from grinder.inspection.amounts import scales_of

        self.records = records
        self.scales = scales_of(records) if decoded else None

    def state(self, row: Any) -> Any:
        """The record's content: as stored, or with amounts as decimals."""
        import orjson

        if self.scales is None:
            return orjson.loads(row.state)
        return self.scales.fields(self.records.decoded(row))

    def as_dict(self, row: Any) -> dict[str, Any]:
        """A record for JSON."""
        values = (*self._head(row), self.state(row))
        return {**dict(zip(COLUMNS, values, strict=True)), "chain": row.chain.hex()}

    def plain(self, row: Any) -> tuple[Any, ...]:
        """A record for CSV."""
        import orjson

        return (
            *self._head(row),
            row.state.decode() if self.scales is None else orjson.dumps(self.state(row)).decode(),
        )

    def line(self, row: Any) -> str:
        """A record for people."""
        position, time, _, actor, _, topic, cause, _ = self.plain(row)
        if self.scales is None:
            content = row.state.decode()
        else:
            from grinder.inspection.words import fields_in_words

            content = fields_in_words(self.scales, self.records.decoded(row))
        return f"{position:>9,} {time} {actor:<16} {topic:<22} <-{cause:<9,} {content}"

    def _head(self, row: Any) -> tuple[Any, ...]:
        from grinder.inspection.records import iso

        return (row.position, iso(row.ts_ns), row.ts_ns, row.stream, row.version, row.topic, row.cause)
