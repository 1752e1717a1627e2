"""`grinder explain`: why an order, a fill or a record is there, or why there is none.

Law: reads a run, writes nothing of it but the lookup, which is a cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from grinder.command_line import JSON, RUN, guarded, main, print_json, unlogged
from grinder.errors import UserError


@main.command()
@RUN
@click.argument("what", nargs=-1, required=True)
@click.option("--no-tape", is_flag=True, help="Do not look for frames on the tape.")
@click.option("--brief", is_flag=True, help="Without rules and checks.")
@JSON
@guarded
@unlogged
def explain(run: Path, what: tuple[str, ...], no_tape: bool, brief: bool, as_json: bool) -> None:
    """Say why an order, a fill or a record is there, or why there is no order.

    WHAT is an order id, a fill id (the beginning is enough), a position, or a question such as
    "why no order at 60100 of BTCUSDT".
    """
    from grinder.inspection.lookup import Lookup
    from grinder.inspection.records import Records, reading_faults
    from grinder.inspection.telling import told

    text = " ".join(what)
    if not text.strip():
        raise UserError(
            "explain.nothing", "say what to explain", fix="give an order id, a fill id or a position"
        )
    with Records(run) as records, reading_faults(records.folder):
        lookup = Lookup(records, told("looking through the ledger (once)", as_json))
        try:
            _answer(records, lookup, text, tape=not no_tape, brief=brief, as_json=as_json)
        finally:
            lookup.close()


def _answer(records: Any, lookup: Any, text: str, *, tape: bool, brief: bool, as_json: bool) -> None:
    from grinder.inspection.absence import explain_absence, question_in
    from grinder.inspection.explaining import Explainer
    from grinder.inspection.tree import render

    explainer = Explainer(records, lookup, tape=tape)
    question = question_in(text)
    if question is not None:
        answer = explain_absence(explainer, *question)
        if as_json:
            print_json(answer.as_dict())
        else:
            for line in absence_lines(answer):
                click.echo(line)
        return
    found = explainer.explain(text)
    if as_json:
        print_json(found.as_dict())
        return
    click.echo(found.summary)
    for name, value in found.money.items():
        click.echo(f"  {name}: {value}")
    for line in render(found.tree, verbose=not brief) if found.tree else ():
        click.echo(line)
    for hint in found.hints:
        click.echo(hint)


def absence_lines(answer: Any) -> list[str]:
    """The answer to "why is there no order" as lines of text."""
    from grinder.inspection.records import iso

    where = (
        f"level {answer.level}, {answer.side} at {answer.price}" if answer.level is not None else answer.price
    )
    lines = [f"{answer.symbol} {where}: {answer.answer}"]
    if answer.rule:
        lines.append(f"  rule: {answer.rule}")
    lines += [f"  {figure}" for figure in answer.figures]
    if answer.since_ns:
        lines.append(f"  since {iso(answer.since_ns)} (record {answer.since_position:,})")
    lines += [
        f"  {'to see more' if answer.present else 'what would change it'}: {one}"
        for one in answer.would_change
    ]
    if answer.evidence:
        lines.append("  evidence:")
        lines += [
            f"    #{one['position']:,} {one['time']} {one['type'].partition('/')[0]}: {one['says']}"
            for one in answer.evidence
        ]
    return lines
