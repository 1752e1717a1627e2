"""The command line: reads arguments, calls a command, shows its result.

Law: no work here and nothing heavy imported before a command needs it, so `grinder --help` answers at once.
With `--json` a command prints one JSON object on standard output and everything else on standard error.  A
`UserError` is shown once with its place and fix, and ends with its exit status; anything else is a bug and
keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from grinder import __version__
from grinder.errors import ExitStatus, UserError

F = TypeVar("F", bound=Callable[..., Any])

CONFIG = click.option(
    "-c",
    "--config",
    "configs",
    type=click.Path(path_type=Path),
    multiple=True,
    required=True,
    help="Configuration file (YAML); may be given more than once, later files win.",
)
SET = click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override one setting, such as fills.model=queue.",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; logs go to standard error."
)
RUN = click.argument("run", type=click.Path(path_type=Path))


def print_json(value: Any) -> None:
    """One JSON object on standard output."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")


def guarded(command: F) -> F:
    """Show a `UserError` and end with its status; end cleanly on Ctrl-C."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from grinder.log import configure

        context = click.get_current_context(silent=True)
        configure(bool(context and context.find_root().obj), bool(kwargs.get("as_json")))
        try:
            command(*args, **kwargs)
        except UserError as error:
            if kwargs.get("as_json"):
                print_json({"error": error.as_dict()})
            click.echo(f"error: {error.render()}", err=True)
            sys.exit(int(error.status))
        except KeyboardInterrupt:
            click.echo("stopped; what was committed is kept, run the same command again to go on", err=True)
            sys.exit(130)
        except BrokenPipeError:
            # The reader of our output went away (`grinder ... | head`): not an error of ours.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(int(ExitStatus.DONE))

    return run  # type: ignore[return-value]


def read_config(configs: Sequence[Path], settings: Sequence[str]) -> Any:
    """The configuration of a command, with its warnings shown."""
    from grinder.config import config_warnings, load_config

    config = load_config(configs, os.environ, parse_settings(settings))
    for warning in config_warnings(config):
        click.echo(f"warning: {warning.render()}", err=True)
    if config.risk is None:
        click.echo("warning: no risk section: no limit is set [config.no_risk]", err=True)
    return config


def parse_settings(settings: Sequence[str]) -> dict[str, object]:
    """``KEY=VALUE`` texts as overrides."""
    overrides: dict[str, object] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UserError(
                "usage.setting", "--set takes KEY=VALUE", value=setting, fix="write --set fills.model=queue"
            )
        overrides[key] = value
    return overrides


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="grinder")
@click.option("-v", "--verbose", is_flag=True, help="Log what is going on to standard error.")
@click.pass_context
def main(context: click.Context, verbose: bool) -> None:
    """Grid trading with a ledger that replays bit for bit."""
    context.obj = verbose


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
@RUN
@JSON
@guarded
def replay(run: Path, as_json: bool) -> None:
    """Feed a run's inputs to fresh actors and compare every record."""
    from grinder import show
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


@main.command()
@RUN
@click.option("--head", metavar="HEX", help="Chain head kept elsewhere; proves that nothing was cut off.")
@JSON
@guarded
def verify(run: Path, head: str | None, as_json: bool) -> None:
    """Check that a run's ledger is whole and unchanged."""
    from grinder import show
    from grinder.commands.inspect import verify_run

    if head is not None and not (len(head) == 64 and set(head.lower()) <= set("0123456789abcdef")):
        raise UserError(
            "usage.head", "--head takes a chain head: 64 hexadecimal digits", value=head, fix="copy it whole"
        )
    with show.progress_bar(as_json) as progress:
        result = verify_run(run, head, progress)
    if as_json:
        print_json(result)
    elif result["ok"]:
        click.echo(f"ledger whole: {result['records']:,} records, head {result['head']}")
    else:
        at = f" at record {result['first_bad']:,}" if result["first_bad"] else ""
        click.echo(f"ledger damaged{at}: {result['reason']}", err=True)
    sys.exit(int(ExitStatus.DONE if result["ok"] else ExitStatus.DAMAGED))


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


@main.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path("grinder.yaml"))
@JSON
@guarded
def init(path: Path, as_json: bool) -> None:
    """Write a commented sample configuration."""
    from grinder.commands.starting import write_sample

    write_sample(path)
    if as_json:
        print_json({"path": str(path)})
    else:
        click.echo(f"wrote {path}; next: grinder plan -c {path}")


@main.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the run; a temporary one by default.")
@click.option("--seed", type=int, default=7, show_default=True, help="Seed of the generated market.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="2 is twice as fast.")
@JSON
@guarded
def demo(out: Path | None, seed: int, speed: float, as_json: bool) -> None:
    """Run an accelerated simulation on a generated market and replay its own ledger."""
    from grinder.commands.demo import run_demo

    result = run_demo(out, seed=seed, speed=speed, quiet=as_json)
    if as_json:
        print_json(result)
    sys.exit(int(ExitStatus.DONE if result["replay"]["identical"] else ExitStatus.DIVERGED))


@main.command()
@JSON
@guarded
def doctor(as_json: bool) -> None:
    """Check the machine: versions, SQLite, durability, extras, clock."""
    from grinder import show
    from grinder.commands.doctor import examine

    found = examine()
    if as_json:
        print_json({"ok": all(check.ok for check in found), "checks": [check.as_dict() for check in found]})
    else:
        for check in found:
            show.out.print(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.finding}")
            if not check.ok:
                show.out.print(f"      fix: {check.fix}")
    sys.exit(int(ExitStatus.DONE if all(check.ok for check in found) else ExitStatus.ENVIRONMENT))


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return "" if value is None else str(value)
