"""The command line of the API: `grinder ui` and `grinder users`.

Law: as `grinder.cli`, which adds these commands to its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from grinder.command_line import JSON, guarded, main, print_json


@main.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1)
@click.option("--live", is_flag=True, help="Every run under ./runs that is under way.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 is any free.")
@click.option("--no-login", is_flag=True, help="Take commands from this machine without a user.")
@click.option("--tls-cert", type=click.Path(path_type=Path), help="Certificate (PEM); with --tls-key.")
@click.option("--tls-key", type=click.Path(path_type=Path), help="Its key (PEM).")
@click.option("--name", "names", multiple=True, help="Another host name it is called by.")
@click.option("--origin", "origins", multiple=True, help="A web origin whose pages may call it.")
@click.option("--proxy", "proxies", multiple=True, help="Address of a proxy whose X-Forwarded-For is true.")
@click.option("--alerts-from", multiple=True, help="Address or network alerts may come from.")
@click.option("--market", is_flag=True, help="Show the market overview: asks CoinGecko.")
@click.option("--model", type=click.Path(path_type=Path), help="Folder of the model that decides.")
@JSON
@guarded
def ui(
    runs: tuple[Path, ...],
    live: bool,
    tls_cert: Path | None,
    tls_key: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Serve the API and the dashboard of runs, on this machine alone unless there are TLS and a user.

    Reads ledgers and views; commands go to the runs' own processes.  Ends with Ctrl-C.
    """
    from grinder.commands.ui import folders_of, serve_runs

    def told(address: str, notes: list[str]) -> None:
        if as_json:
            print_json({"address": address, "notes": notes})
            sys.stdout.flush()
            return
        click.echo(f"serving {address}; Ctrl-C ends")
        for note in notes:
            click.echo(f"note: {note}", err=True)

    serve_runs(folders_of(runs, live), os.environ, told, tls=(tls_cert, tls_key), **options)


@main.group()
def users() -> None:
    """Users of the API: who may look, who may command."""


PASSWORD_STDIN = click.option("--stdin", "from_stdin", is_flag=True, help="Read the password as a line.")
NAME = click.argument("name")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))


@users.command("add")
@NAME
@click.option(
    "--role", type=click.Choice(["viewer", "operator", "admin"]), default="viewer", show_default=True
)
@click.option("--run", "runs", multiple=True, help="Name of a run to be seen; all by default.")
@PASSWORD_STDIN
@JSON
@guarded
def users_add(name: str, role: str, runs: tuple[str, ...], from_stdin: bool, as_json: bool) -> None:
    """Add a user; the password is asked for."""
    from grinder.commands.users import add_user

    found = add_user(os.environ, name, role, runs, lambda: _password(from_stdin))
    print_json(found) if as_json else click.echo(f"added {name} as {role}")


@users.command("list")
@JSON
@guarded
def users_list(as_json: bool) -> None:
    """Show the users; never a secret."""
    from grinder.commands.users import list_users

    found = list_users(os.environ)
    if as_json:
        print_json({"users": found})
        return
    for one in found:
        seen = ", ".join(one["runs"]) or "all runs"
        click.echo(
            f"{one['name']}  {one['role']}  {'with codes' if one['totp'] else 'without codes'}  {seen}"
        )
    if not found:
        click.echo("there are no users")


@users.command("remove")
@NAME
@JSON
@guarded
def users_remove(name: str, as_json: bool) -> None:
    """Remove a user; the sessions end at once."""
    from grinder.commands.users import remove_user

    found = remove_user(os.environ, name)
    print_json(found) if as_json else click.echo(f"removed {name}")


@users.command("passwd")
@NAME
@PASSWORD_STDIN
@JSON
@guarded
def users_passwd(name: str, from_stdin: bool, as_json: bool) -> None:
    """Set a password; the sessions end at once."""
    from grinder.commands.users import set_password

    found = set_password(os.environ, name, lambda: _password(from_stdin))
    print_json(found) if as_json else click.echo(f"set the password of {name}")


@users.command("totp")
@NAME
@click.option("--off", is_flag=True, help="Ask for no codes any more.")
@JSON
@guarded
def users_totp(name: str, off: bool, as_json: bool) -> None:
    """Ask a user for one-time codes; prints what an authenticator app scans, this once."""
    from grinder.commands.users import set_codes

    found = set_codes(os.environ, name, off=off)
    if as_json:
        print_json(found)
    elif off:
        click.echo(f"{name} is asked for no codes")
    else:
        click.echo(f"put this into an authenticator app; it is shown only now:\n{found['address']}")
