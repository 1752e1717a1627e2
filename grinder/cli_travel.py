"""The commands that travel through runs: fork, diff, export, simulate.

Law: as in `grinder.cli`, of which this is a part kept in a file of its own: no work here and nothing heavy
imported before a command needs it.
"""

from __future__ import annotations

from pathlib import Path

import click

from grinder.command_line import (
    CONFIG,
    JSON,
    RUN,
    SET,
    guarded,
    main,
    parse_settings,
    print_json,
    read_config,
)


@main.command()
@RUN
@click.option(
    "--at", "at", metavar="POSITION|TIME", required=True, help="Where it forks: after a record, or at a time."
)
@SET
@click.option("--until", default="", metavar="POSITION|TIME", help="End there instead of with the market.")
@click.option(
    "--data", "data", multiple=True, metavar="[SYMBOL=]PATH", help="Where a backtest's data is now."
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the fork.")
@JSON
@guarded
def fork(
    run: Path,
    at: str,
    settings: tuple[str, ...],
    until: str,
    data: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Replay a run to a position, change settings there, and run on into another folder."""
    from grinder import show
    from grinder.commands.fork import fork as fork_run

    with show.progress_bar(as_json) as progress:
        result = fork_run(run, at, parse_settings(settings), until, out, data, progress)
    if as_json:
        print_json(result)
        return
    from grinder.travel.showing import fork_lines

    for line in fork_lines(result):
        click.echo(line)


@main.command()
@RUN
@click.argument("other", type=click.Path(path_type=Path), required=False)
@click.option("--backtest", "backtest", is_flag=True, help="With a backtest over the run's own market.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep that backtest in this folder.")
@JSON
@guarded
def diff(run: Path, other: Path | None, backtest: bool, out: Path | None, as_json: bool) -> None:
    """Hold two runs against each other: first difference, orders, and where the money comes from."""
    from grinder import show
    from grinder.commands.diff import diff as compare

    with show.progress_bar(as_json) as progress:
        result = compare(run, other, backtest=backtest, out=out, progress=progress)
    if as_json:
        print_json(result)
        return
    from grinder.travel.showing import diff_lines

    for line in diff_lines(result):
        click.echo(line)


@main.command()
@RUN
@click.option("--slice", "part", required=True, metavar="A..B", help="Positions in the ledger.")
@click.option("--redact", is_flag=True, help="Replace every name that says whose run it was.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the slice.")
@JSON
@guarded
def export(run: Path, part: str, redact: bool, out: Path, as_json: bool) -> None:
    """Cut a part out of a run: a bug report that replays and verifies by itself."""
    from grinder import show
    from grinder.commands.export import export as export_slice

    with show.progress_bar(as_json) as progress:
        result = export_slice(run, part, out, progress, redact=redact)
    if as_json:
        print_json(result)
        return
    from grinder.travel.showing import export_lines

    for line in export_lines(result):
        click.echo(line)


@main.command()
@CONFIG
@SET
@click.option(
    "--data", "data", multiple=True, metavar="[SYMBOL=]PATH", help="Market data; a generated market without."
)
@click.option("--rows", type=click.IntRange(1), default=20_000, show_default=True, help="Of a generated one.")
@click.option("--faults", type=click.Path(path_type=Path), help="Fault plan (YAML or JSON).")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; thrown away by default.")
@JSON
@guarded
def simulate(
    configs: tuple[Path, ...],
    settings: tuple[str, ...],
    data: tuple[str, ...],
    rows: int,
    faults: Path | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Trade a simulated market with its clock in your hand: step, run, jump; type help.

    Commands are read from standard input; the same commands write the same ledger.
    """
    config = read_config(configs, settings)
    from grinder.commands.simulate import SimulationAsked, typed_lines
    from grinder.commands.simulate import simulate as run_simulation

    asked = SimulationAsked(config=config, seed=seed, data=data, faults=faults, rows=rows)
    say = (lambda text: click.echo(text, err=True)) if as_json else click.echo
    result = run_simulation(asked, out, typed_lines(), say)
    if as_json:
        print_json(result)
        return
    click.echo(
        f"{result['records']:,} records, {result['fills']} fills, {result['cycles']} cycles; "
        f"equity {result['equity_start']} -> {result['equity_end']}"
    )
    click.echo(f"chain head {result['head']}")
