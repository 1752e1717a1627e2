"""The command line of what is tried before money is at stake: configurations, plans, market data,
backtests, decisions.

Law: as `grinder.cli`, which adds these commands to its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from grinder.command_line import CONFIG, JSON, SET, guarded, main, parse_settings, print_json, read_config
from grinder.errors import ExitStatus


@main.command()
@CONFIG
@SET
@click.option(
    "--data",
    "data",
    multiple=True,
    required=True,
    metavar="[SYMBOL=]PATH",
    help="Market data: a file or a folder; the format is read off its content. May be given more than once.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is drawn.")
@JSON
@guarded
def backtest(
    configs: tuple[Path, ...],
    settings: tuple[str, ...],
    data: tuple[str, ...],
    out: Path,
    seed: int,
    as_json: bool,
) -> None:
    """Run a configuration over market data into a folder.

    An interrupted run is continued by the same command: every record already in the ledger is compared.
    """
    config = read_config(configs, settings)
    from grinder import show
    from grinder.commands.backtest import backtest as run_backtest
    from grinder.data import parse_data_argument

    with show.progress_bar(as_json) as progress:
        result = run_backtest(
            config, [parse_data_argument(one) for one in data], out, seed=seed, progress=progress
        ).as_dict()
    if as_json:
        print_json(result)
        return
    for table in show.backtest_tables(result):
        show.out.print(table)
    click.echo(f"chain head {result['head']}")


@main.command()
@CONFIG
@SET
@click.option(
    "--data", "data", multiple=True, metavar="[SYMBOL=]PATH", help="Where ticks and lots come from."
)
@JSON
@guarded
def plan(configs: tuple[Path, ...], settings: tuple[str, ...], data: tuple[str, ...], as_json: bool) -> None:
    """Show the ladders before anything is started: prices, sizes, profit per grid, what is skipped."""
    config = read_config(configs, settings)
    from grinder import show
    from grinder.commands.planning import plan as make_plan

    plans = make_plan(config, data)
    if as_json:
        print_json({"grids": plans})
        return
    for one in plans:
        for table in show.plan_tables(one):
            show.out.print(table)


@main.command()
@click.argument("data", nargs=-1, required=True, metavar="DATA...")
@click.option("--symbol", help="The symbol that is meant, or that of files that do not say theirs.")
@click.option("--model", type=click.Path(path_type=Path), help="Folder of the model that decides.")
@click.option("--spread-bps", type=float, default=1.0, show_default=True, help="Ask less bid.")
@click.option("--body", is_flag=True, help="Print the body that POST /decide takes.")
@JSON
@guarded
def decide(
    data: tuple[str, ...],
    symbol: str | None,
    model: Path | None,
    spread_bps: float,
    body: bool,
    as_json: bool,
) -> None:
    """Show what the agents decide on market data, at the close of its last bar.

    DATA are candles of at most 5 minutes, or trades.  Nothing is recorded and nothing is traded.
    """
    from grinder import show
    from grinder.commands.decide import decide_on

    found = decide_on(data, symbol, model, spread_bps)
    if body:
        click.echo(found.body())
    elif as_json:
        print_json(found.as_dict())
    else:
        for table in show.decision_tables(found.as_dict()):
            show.out.print(table)


@main.group()
def data() -> None:
    """Look at market data files."""


@data.command("describe")
@click.argument("path", type=click.Path(path_type=Path))
@JSON
@guarded
def data_describe(path: Path, as_json: bool) -> None:
    """Rows, span, gaps, unit, tick and lot of a file."""
    from grinder import show
    from grinder.data import describe

    found = describe(path).as_dict()
    if as_json:
        print_json(found)
    else:
        show.out.print(show.pairs(str(path), [(name, _flat(value)) for name, value in found.items()]))


@data.command("verify")
@click.argument("path", type=click.Path(path_type=Path))
@JSON
@guarded
def data_verify(path: Path, as_json: bool) -> None:
    """Name every fault of a file with its row; ends with status 2 when a run would refuse it."""
    from grinder.data import verify as verify_file

    faults = verify_file(path)
    fatal = any(fault.fatal for fault in faults)
    if as_json:
        print_json({"ok": not faults, "usable": not fatal, "faults": [fault.as_dict() for fault in faults]})
    elif not faults:
        click.echo("no faults")
    else:
        for fault in faults:
            click.echo(f"row {fault.row}: {fault.what} ({fault.value}) [{fault.code}]")
    sys.exit(int(ExitStatus.USAGE if fatal else ExitStatus.DONE))


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return "" if value is None else str(value)


@main.group()
def config() -> None:
    """Check configurations and show what they may hold."""


@config.command("validate")
@CONFIG
@SET
@JSON
@guarded
def config_validate(configs: tuple[Path, ...], settings: tuple[str, ...], as_json: bool) -> None:
    """Name everything that is wrong with a configuration."""
    from grinder.config import check_config

    problems = check_config(configs, os.environ, parse_settings(settings))
    if not problems:
        from grinder.commands.planning import check as check_plans
        from grinder.config import load_config

        problems = check_plans(load_config(configs, os.environ, parse_settings(settings)))
    if as_json:
        print_json({"ok": not problems, "problems": [problem.as_dict() for problem in problems]})
    elif not problems:
        click.echo("configuration is valid")
    for problem in problems:
        click.echo(f"error: {problem.render()}", err=True)
    sys.exit(int(ExitStatus.USAGE if problems else ExitStatus.DONE))


@config.command("schema")
@click.option("--json", "as_json", is_flag=True, help="As always: the schema is JSON.")
@guarded
def config_schema(as_json: bool) -> None:
    """Print the JSON schema of configurations."""
    from grinder.config import config_schema as schema

    print_json(schema())
