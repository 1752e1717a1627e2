"""`grinder debug`: step through a ledger, live ones included.

Law: reads a run and writes none of it.  In a terminal single keys; from a pipe one command a line, plain text
out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from grinder.command_line import RUN, guarded, main
from grinder.errors import ExitStatus, UserError


@main.command()
@RUN
@click.option("--at", metavar="PLACE", help="Begin at this position or time (ISO 8601).")
@click.option("--pdb", "into_pdb", is_flag=True, help="Stop in the decide call that made the record at --at.")
@click.option("--script", is_flag=True, help="Commands from standard input, one a line, also in a terminal.")
@click.option("--json", "as_json", is_flag=True, help="With commands from a pipe: one JSON object a command.")
@guarded
def debug(run: Path, at: str | None, into_pdb: bool, script: bool, as_json: bool) -> None:
    """Step through a ledger by record, input or fill; `h` shows the keys.

    From a pipe: `echo "fill 3" | grinder debug RUN`.
    """
    from grinder.inspection.records import Records, interruptible, reading_faults
    from grinder.inspection.stepper import Stepper
    from grinder.inspection.telling import told

    with Records(run) as records, reading_faults(records.folder):
        interruptible(records.connection)
        stepper = Stepper(records, told("reading states", as_json))
        if at is not None:
            stepper.position = min(max(records.place(at), 1), records.head())
        if into_pdb:
            if at is None:
                raise UserError(
                    "usage.pdb", "--pdb needs --at", fix="name the record whose decision you want"
                )
            sys.exit(int(_into_pdb(stepper)))
        interactive = not (script or as_json) and sys.stdin.isatty() and sys.stdout.isatty()
        if interactive:
            from grinder.inspection.screen import Screen

            Screen(stepper, f"grinder debug {run}").run()
        else:
            sys.exit(int(_scripted(stepper, as_json)))


def _into_pdb(stepper: Any) -> ExitStatus:
    from grinder.inspection.inside_decide import stop_in_decide
    from grinder.inspection.telling import told

    click.echo(f"{stepper.heading()}\npdb in its decide: s steps in, c goes on, q leaves")
    # A person at the keys gets the line editing that pdb brings when it is given no streams.
    typed = sys.stdin.isatty()
    same = stop_in_decide(
        stepper.records,
        stepper.position,
        None if typed else sys.stdin,
        None if typed else sys.stdout,
        told("replaying", False),
    )
    click.echo("decided the same as the ledger holds" if same else "did not decide what the ledger holds")
    return ExitStatus.DONE if same else ExitStatus.DIVERGED


def _scripted(stepper: Any, as_json: bool) -> ExitStatus:
    """Commands from standard input; the status is of the last one that failed, if one did."""
    status = ExitStatus.DONE
    if not as_json:
        _say(stepper.shown())
    typed = (one for line in sys.stdin if not line.lstrip().startswith("#") for one in line.split(";"))
    for line in typed:
        if not line.strip():
            continue
        from grinder.inspection.stepper import EnterDecide, Leave

        try:
            said = stepper.do(line)
        except Leave:
            break
        except EnterDecide:
            status = _into_pdb(stepper)
            continue
        except UserError as error:
            status = error.status
            if as_json:
                _json({"command": line.strip(), "error": error.as_dict()})
            else:
                click.echo(f"error: {error.render()}", err=True)
            continue
        if as_json:
            _json(_answer(stepper, line, said))
        else:
            _say(said)
    return status


def _answer(stepper: Any, line: str, said: list[str]) -> dict[str, Any]:
    import attrs

    from grinder.inspection.records import plain

    row = stepper.row()
    return {
        "command": line.strip(),
        "position": row.position,
        "head": stepper.records.head(),
        "ts_ns": row.ts_ns,
        "stream": row.stream,
        "type": row.topic,
        "cause": row.cause,
        "state": plain(stepper.records.decoded(row)),
        "actor": stepper.actor(),
        "changed": [attrs.asdict(one) for one in stepper.changed()],
        "said": said,
    }


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)
    click.echo()


def _json(value: dict[str, Any]) -> None:
    import orjson

    sys.stdout.write(orjson.dumps(value).decode() + "\n")
    sys.stdout.flush()
