"""What every command shares: the group they belong to, common options, how results and errors are shown.

Law: with `--json` a command prints one JSON object on standard output and everything else on standard error.
A `UserError` is shown once with its place and fix, and ends with its exit status; anything else is a bug and
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


def unlogged(command: F) -> F:
    """A command that only reads a ledger: it sets the log up when asked to be verbose and starts sooner.

    What a library logs meanwhile comes through the same door as soon as anything of ours logs, and as plain
    lines on standard error before.
    """
    command.unlogged = True  # type: ignore[attr-defined]
    return command


def guarded(command: F) -> F:
    """Show a `UserError` and end with its status; end cleanly on Ctrl-C."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        context = click.get_current_context(silent=True)
        verbose = bool(context and context.find_root().obj)
        if verbose or not getattr(command, "unlogged", False):
            from grinder.log import configure

            configure(verbose, bool(kwargs.get("as_json")))
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
