"""The command line of the machine itself: a first run, its health, its keys, an exchange to try on.

Law: as `grinder.cli`, which adds these commands to its own.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from grinder.command_line import JSON, guarded, main, print_json
from grinder.errors import ExitStatus, UserError


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
            level = "FAIL" if not check.ok else "warn" if check.warns else "ok  "
            show.out.print(f"{level}  {check.name}: {check.finding}")
            if check.warns or not check.ok:
                show.out.print(f"      fix: {check.fix}")
    sys.exit(int(ExitStatus.DONE if all(check.ok for check in found) else ExitStatus.ENVIRONMENT))


@main.group()
def secrets() -> None:
    """Keep the keys of accounts, in a keyring or a file only you can read."""


@secrets.command("set")
@click.argument("account")
@click.option("--keyring", is_flag=True, help="Into the keyring; otherwise into a file with mode 0600.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read key, secret and passphrase as lines.")
@JSON
@guarded
def secrets_set(account: str, keyring: bool, from_stdin: bool, as_json: bool) -> None:
    """Ask for a key and keep it; ACCOUNT is an exchange's name, with -testnet for a test network."""
    from grinder.commands.secrets import require_name, set_secrets

    require_name(account)
    if from_stdin:
        lines = sys.stdin.read().splitlines()
    else:
        lines = [
            click.prompt("key", hide_input=True, err=True),
            click.prompt("secret", hide_input=True, err=True),
            click.prompt(
                "passphrase (empty if none)", hide_input=True, default="", show_default=False, err=True
            ),
        ]
    result = set_secrets(account, lines, os.environ, keyring=keyring)
    if as_json:
        print_json(result)
    else:
        click.echo(f"kept the key {result['key']} of {account} in {result['place']}")


@secrets.command("list")
@JSON
@guarded
def secrets_list(as_json: bool) -> None:
    """Show where keys are kept; never the secrets."""
    from grinder.commands.secrets import list_secrets

    found = list_secrets(os.environ)
    if as_json:
        print_json({"accounts": found})
    for one in [] if as_json else found:
        click.echo(f"{one['account']}  {one['key']}  {one['place']}")
    if not found and not as_json:
        click.echo("no keys are kept")


@secrets.command("remove")
@click.argument("account")
@JSON
@guarded
def secrets_remove(account: str, as_json: bool) -> None:
    """Forget the key of an account."""
    from grinder.commands.secrets import remove_secrets

    result = remove_secrets(account, os.environ)
    if as_json:
        print_json(result)
    else:
        click.echo(f"removed {account} from {', '.join(result['removed'])}")


@main.command("sim-exchange")
@click.option(
    "--protocol",
    required=True,
    metavar="NAME",
    help="binance, binance-usdm, bybit, okx or kraken (or module:Class for a server of your own).",
)
@click.option(
    "--data", "data", multiple=True, metavar="[SYMBOL=]PATH", help="Market data; a generated market without."
)
@click.option("--generated", is_flag=True, help="A generated market that never ends (the default).")
@click.option("--loop", is_flag=True, help="Begin the data again when it ends, instead of ending.")
@click.option("--kind", type=click.Choice(["spot", "linear"]), help="What is listed; the protocol's usual.")
@click.option("--faults", type=click.Path(path_type=Path), help="Fault plan (YAML or JSON).")
@click.option("--balance", "balances", multiple=True, metavar="ASSET=AMOUNT", help="Opening balance.")
@click.option("--key", default="grinder", show_default=True, help="API key.")
@click.option("--secret", default="grinder", show_default=True, help="What requests are signed with.")
@click.option("--passphrase", default="grinder", show_default=True, help="For OKX.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is drawn.")
@click.option("--speed", type=float, default=1.0, show_default=True, help="2 is twice as fast.")
@click.option("--maker-bps", default="2", show_default=True, help="Maker fee.")
@click.option("--taker-bps", default="5", show_default=True, help="Taker fee.")
@click.option("--min-notional", default="5", show_default=True, help="Smallest value of an order.")
@click.option("--leverage", default="5", show_default=True, help="Of perpetual contracts.")
@click.option("--funding-bps", default="0", show_default=True, help="What a long pays each interval.")
@click.option(
    "--funding-seconds", type=click.IntRange(1), default=28_800, show_default=True, help="Interval."
)
@click.option(
    "--fill-model", type=click.Choice(["touch", "through", "queue"]), default="touch", show_default=True
)
@click.option("--partial-fills", is_flag=True, help="A row fills at most what it traded.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--anywhere", is_flag=True, help="Allow an address that other machines can reach.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="0 takes any free port.")
@guarded
def sim_exchange(data: tuple[str, ...], generated: bool, partial_fills: bool, **options: Any) -> None:
    """Run a simulated exchange that speaks a real exchange's protocol.

    Prints one JSON line when ready: its addresses, its port and the key. Ends on Ctrl-C or SIGTERM.
    """
    if data and generated:
        raise UserError("usage.market", "--data and --generated exclude each other", fix="leave one out")
    from grinder.commands.sim_exchange import ExchangeOptions, run_exchange, summary

    given = {name: value for name, value in options.items() if value is not None}
    fired = run_exchange(ExchangeOptions(data=data, volume_limited=partial_fills, **given))
    click.echo(f"faults fired: {summary(fired)['faults']}", err=True)
