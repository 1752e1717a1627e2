"""The command line of a ledger that is there: replayed, copied, shown.

Law: as `grinder.cli`, which adds these commands to its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from grinder.command_line import JSON, RUN, guarded, main, print_json
from grinder.errors import ExitStatus, UserError


@main.command()
@RUN
@click.option(
    "--from-tape", is_flag=True, help="Prove the whole path: recorded frames, inputs, every record."
)
@click.option("--code", "code", is_flag=True, help="Name what today's code would have decided otherwise.")
@JSON
@guarded
def replay(run: Path, from_tape: bool, code: bool, as_json: bool) -> None:
    """Feed a run's inputs to fresh actors and compare every record."""
    from grinder import show

    if code and from_tape:
        raise UserError("usage.replay", "--code and --from-tape exclude each other", fix="leave one out")
    if code:
        sys.exit(int(_replay_code(run, as_json)))
    if from_tape:
        sys.exit(int(_replay_from_tape(run, as_json)))
    from grinder.commands.inspect import replay_run

    with show.progress_bar(as_json) as progress:
        result = replay_run(run, progress)
    if as_json:
        print_json(result)
    elif result["identical"]:
        click.echo(f"replay identical: {result['records']:,} records, head {result['head']}")
    else:
        found = result["divergence"]
        click.echo(f"replay diverged at record {found['position']} of {found['stream']}: {found['field']}")
        click.echo(f"  expected {found['expected']}\n  actual   {found['actual']}")
        for step in found["path"]:
            click.echo(f"  because of {step['position']} {step['stream']} {step['topic']}")
    sys.exit(int(ExitStatus.DONE if result["identical"] else ExitStatus.DIVERGED))


def _replay_code(run: Path, as_json: bool) -> ExitStatus:
    from grinder import show
    from grinder.commands.code import compare_code
    from grinder.travel.showing import code_lines

    with show.progress_bar(as_json) as progress:
        result = compare_code(run, progress)
    if as_json:
        print_json(result)
    else:
        for line in code_lines(result):
            click.echo(line)
    return ExitStatus.DONE if result["identical"] else ExitStatus.DIVERGED


def _replay_from_tape(run: Path, as_json: bool) -> ExitStatus:
    from grinder import show
    from grinder.tape.proof import prove_run

    with show.progress_bar(as_json) as progress:
        result = prove_run(run, progress)
    found = result["first_difference"]
    if as_json:
        print_json(result)
    elif found is None:
        click.echo(
            f"tape proven: {result['frames']:,} frames, {result['inputs_from_frames']:,} inputs from them, "
            f"{result['records']:,} records"
        )
    else:
        click.echo(f"tape and ledger differ at record {found['position']}: {found['what']}")
        click.echo(f"  expected {found['expected']}\n  actual   {found['actual']}")
    return ExitStatus.DONE if result["identical"] else ExitStatus.DIVERGED


KEY = click.option("--key", type=click.Path(path_type=Path), help="File of the key the copy is sealed with.")


@main.command()
@RUN
@click.argument("dest", type=click.Path(path_type=Path))
@KEY
@click.option("--new-key", type=click.Path(path_type=Path), help="Make a key in this file, and seal with it.")
@JSON
@guarded
def backup(run: Path, dest: Path, key: Path | None, new_key: Path | None, as_json: bool) -> None:
    """Copy a run's ledger into a new folder, also while the run goes on, and verify the copy.

    With a key the copy is sealed (AES-256-GCM): nobody reads it without the key, not even you.
    """
    from grinder import show
    from grinder.commands.backup import backup_run
    from grinder.ledger import sealing

    if key is not None and new_key is not None:
        raise click.UsageError("--key names a key there is, --new-key makes one: give one of them")
    found = sealing.new_key(new_key) if new_key else sealing.read_key(key) if key else None
    with show.progress_bar(as_json) as progress:
        result = backup_run(run, dest, progress, found)
    if as_json:
        print_json(result)
    else:
        sealed = f", sealed with key {result['key']}" if found else ""
        click.echo(f"{dest}: {result['records']:,} records, verified{sealed}")
        click.echo(f"keep its head elsewhere: {result['records']}:{result['head']}")
        if new_key:
            click.echo(f"keep the key elsewhere too; without it the copy is lost: {new_key}")


@main.command()
@click.argument("copy", type=click.Path(path_type=Path))
@click.argument("run", type=click.Path(path_type=Path))
@KEY
@JSON
@guarded
def restore(copy: Path, run: Path, key: Path | None, as_json: bool) -> None:
    """Make a run, in a new folder, of a copy that `backup` made, and verify it."""
    from grinder import show
    from grinder.commands.backup import restore_run
    from grinder.ledger import sealing

    found = sealing.read_key(key) if key else None
    with show.progress_bar(as_json) as progress:
        result = restore_run(copy, run, progress, found)
    if as_json:
        print_json(result)
    else:
        click.echo(f"{run}: {result['records']:,} records, verified, head {result['head']}")


@main.command()
@RUN
@JSON
@guarded
def rebuild(run: Path, as_json: bool) -> None:
    """Drop a run's views and build them again from its ledger."""
    from grinder import show
    from grinder.commands.inspect import rebuild_run

    with show.progress_bar(as_json) as progress:
        result = rebuild_run(run, progress)
    if as_json:
        print_json(result)
    else:
        click.echo(f"rebuilt {result['tables']} tables, {result['rows']:,} rows, digest {result['digest']}")


@main.command()
@RUN
@click.option("--html", type=click.Path(path_type=Path), required=True, help="File to write; opens offline.")
@JSON
@guarded
def report(run: Path, html: Path, as_json: bool) -> None:
    """Write a run's report as one HTML file."""
    from grinder.commands.inspect import report_run

    result = report_run(run, html)
    if as_json:
        print_json(result)
    else:
        click.echo(f"wrote {html} ({result['bytes'] / 1e6:.1f} MB)")
