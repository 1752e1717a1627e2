"""The command line: every command reads its arguments, calls what does the work, and shows the result.

Law: no work here and nothing heavy imported before a command needs it, so `grinder --help` answers at once.
Commands in files of their own belong to the same group; importing them is what adds them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import grinder.cli_travel
import grinder.cli_web
import grinder.commands.audit
import grinder.commands.debug
import grinder.commands.explain
import grinder.commands.head  # noqa: F401
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
from grinder.errors import ExitStatus, UserError

__all__ = ["main"]


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


@main.command()
@RUN
@click.argument("dest", type=click.Path(path_type=Path))
@JSON
@guarded
def backup(run: Path, dest: Path, as_json: bool) -> None:
    """Copy a run's ledger into a new folder, also while the run goes on, and verify the copy."""
    from grinder import show
    from grinder.commands.backup import backup_run

    with show.progress_bar(as_json) as progress:
        result = backup_run(run, dest, progress)
    if as_json:
        print_json(result)
    else:
        click.echo(f"{dest}: {result['records']:,} records, verified")
        click.echo(f"keep its head elsewhere: {result['records']}:{result['head']}")


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


BOT = click.option(
    "--bot",
    "bots",
    multiple=True,
    metavar="NAME=CONFIG",
    help="One of several bots, each with its own folder and process; instead of -c.",
)
CONFIGS = click.option(
    "-c",
    "--config",
    "configs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Configuration file (YAML); may be given more than once, later files win.",
)
LIVE_OUT = click.option(
    "--out", type=click.Path(path_type=Path), help="Folder of the run; runs/NAME by default."
)


@main.command()
@CONFIGS
@BOT
@SET
@LIVE_OUT
@click.option("--feed", default="", help="exchange, tape:PATH@SPEED or generated:SEED@SPEED.")
@click.option("--until-end", is_flag=True, help="End when the feed ends.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything that is drawn.")
@JSON
@guarded
def paper(
    configs: tuple[Path, ...],
    bots: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path | None,
    feed: str,
    until_end: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Trade on paper: the simulated exchange on a live, recorded or generated market.

    Ends with Ctrl-C (orders are cancelled first) or `grinder stop`; the same command goes on with the run.
    """
    from grinder.commands import paper as starting

    asked = starting.bots_asked(configs, bots, out, lambda paths: read_config(paths, settings))
    specs = [
        (one, starting.paper_spec(one.config, feed, seed=seed, rows=0, until_end=until_end)) for one in asked
    ]
    _supervise(specs, as_json)


@main.command()
@CONFIGS
@BOT
@SET
@LIVE_OUT
@click.option("--testnet", is_flag=True, help="Trade on the exchange's test network.")
@click.option("--live", is_flag=True, help="Trade with real money.")
@click.option("--i-understand", "understood", is_flag=True, help="Required with --live.")
@JSON
@guarded
def run(
    configs: tuple[Path, ...],
    bots: tuple[str, ...],
    settings: tuple[str, ...],
    out: Path | None,
    testnet: bool,
    live: bool,
    understood: bool,
    as_json: bool,
) -> None:
    """Trade on an exchange, under a supervisor that starts the run again when it fails.

    Ends with Ctrl-C (orders are cancelled first) or `grinder stop`; the same command goes on with the run.
    """
    from grinder.commands import paper as starting

    asked = starting.bots_asked(configs, bots, out, lambda paths: read_config(paths, settings))
    specs = [
        (one, starting.exchange_spec(one.config, testnet=testnet, live=live, understood=understood))
        for one in asked
    ]
    _supervise(specs, as_json)


def _supervise(specs: Sequence[Any], as_json: bool) -> None:
    """Keep runs up until all have ended, show them, and end with the worst of their statuses."""
    from grinder.commands import paper as starting
    from grinder.commands.screen import Screen

    verbose = bool(click.get_current_context().find_root().obj)
    supervisor, alerts = starting.supervised(specs, verbose=verbose)
    try:
        with Screen(supervisor.bots, quiet=as_json) as screen:
            status = supervisor.run(screen.look)
    finally:
        alerts.close()
    ended = [starting.outcome(bot) for bot in supervisor.bots]
    if as_json:
        print_json({"status": int(status), "bots": ended})
    else:
        for one in ended:
            shown = [name for name in ("fills", "cycles", "equity_end") if name in one]
            figures = ", ".join(f"{name} {one[name]}" for name in shown)
            click.echo(f"{one['name']}: ended with status {one['status']}; {figures}")
    sys.exit(int(status))


def _told(found: dict[str, Any], as_json: bool, words: str) -> None:
    if as_json:
        print_json(found)
    else:
        click.echo(f"{words}; record {found['position']:,} of the ledger")


@main.command()
@RUN
@JSON
@guarded
def status(run: Path, as_json: bool) -> None:
    """Show what a running bot does: prices, grid, orders, profit, pauses, streams."""
    from grinder.commands import control

    found = control.status(run)
    if as_json:
        print_json(found)
        return
    from grinder import show
    from grinder.commands.screen import status_tables

    show.out.print(status_tables(found))


@main.command()
@RUN
@click.option("--symbol", default="", help="Only this symbol.")
@JSON
@guarded
def pause(run: Path, symbol: str, as_json: bool) -> None:
    """Let no new order leave; working orders stay."""
    from grinder.commands import control

    _told(control.command(run, "pause", symbol=symbol), as_json, "paused")


@main.command()
@RUN
@click.option("--symbol", default="", help="Only this symbol.")
@JSON
@guarded
def resume(run: Path, symbol: str, as_json: bool) -> None:
    """Let orders leave again after `grinder pause`."""
    from grinder.commands import control

    _told(control.command(run, "resume", symbol=symbol), as_json, "resumed")


@main.command()
@RUN
@click.option("--cancel", "orders", flag_value="cancel", help="Cancel every order first (default).")
@click.option("--keep-orders", "orders", flag_value="keep-orders", help="Leave the orders on the exchange.")
@click.option("--flatten", "orders", flag_value="flatten", help="Close what the grids hold at the market.")
@JSON
@guarded
def stop(run: Path, orders: str | None, as_json: bool) -> None:
    """End a running bot; say what becomes of its orders."""
    from grinder.commands import control

    found = control.command(run, "stop", orders=orders or "cancel")
    _told(found, as_json, f"stopping ({found['orders']})")


@main.command()
@RUN
@click.option("--reason", default="operator", show_default=True, help="Kept in the ledger.")
@JSON
@guarded
def kill(run: Path, reason: str, as_json: bool) -> None:
    """Latch the kill switch: orders are cancelled and nothing is traded until `grinder reset`."""
    from grinder.commands import control

    _told(control.command(run, "kill", reason=reason), as_json, "the kill switch is latched")


@main.command()
@RUN
@JSON
@guarded
def reset(run: Path, as_json: bool) -> None:
    """Release the kill switch."""
    from grinder.commands import control

    _told(control.command(run, "reset"), as_json, "the kill switch is released")


@main.command()
@RUN
@click.argument("symbol")
@JSON
@guarded
def accept(run: Path, symbol: str, as_json: bool) -> None:
    """Take over what the exchange says of a symbol after a difference, and trade it again."""
    from grinder.commands import control

    _told(control.command(run, "accept", symbol=symbol), as_json, f"{symbol} accepted")


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


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return "" if value is None else str(value)
