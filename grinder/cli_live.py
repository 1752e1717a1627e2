"""The command line of a live run: start it, see it, tell it what to do, end it.

Law: as `grinder.cli`, which adds these commands to its own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from grinder.command_line import JSON, RUN, SET, guarded, main, parse_settings, print_json, read_config

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


@main.command()
@RUN
@click.option("--node", default="standby", show_default=True, help="Name of this process among the run's.")
@JSON
@guarded
def standby(run: Path, node: str, as_json: bool) -> None:
    """Follow a run's ledger, and take the run over when its process dies, hangs or is unwell.

    Ends with Ctrl-C, and when the run is stopped in order; `grinder failover` lets it take over now.
    """
    from grinder.commands.standby import standing_by

    _supervise_until_ended(*standing_by(run, node, verbose=_is_verbose()), as_json)


@main.command()
@RUN
@JSON
@guarded
def failover(run: Path, as_json: bool) -> None:
    """Let a standby take a running bot over: it cancels the orders that are left and places them anew."""
    from grinder.commands import control

    found = control.command(run, "failover")
    _told(found, as_json, f"{found['node']} takes over")


def _is_verbose() -> bool:
    return bool(click.get_current_context().find_root().obj)


def _supervise(specs: Sequence[Any], as_json: bool) -> None:
    """Keep runs up until all have ended, show them, and end with the worst of their statuses."""
    from grinder.commands import paper as starting

    _supervise_until_ended(*starting.supervised(specs, verbose=_is_verbose()), as_json)


def _supervise_until_ended(supervisor: Any, alerts: Any, as_json: bool) -> None:
    from grinder.commands import paper as starting
    from grinder.commands.screen import Screen

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


@main.command("start")
@RUN
@click.argument("symbol")
@JSON
@guarded
def start_grid(run: Path, symbol: str, as_json: bool) -> None:
    """Start a stopped grid of a running bot again; it takes over what it still holds."""
    from grinder.commands import control

    _decided(control.command(run, "start", symbol=symbol.upper()), as_json, f"{symbol.upper()} started")


@main.command()
@RUN
@CONFIGS
@SET
@click.option("--symbol", default="", help="The grid to change; may be left out when the run has only one.")
@click.option("--preview", is_flag=True, help="Show what it would change and the ladder; change nothing.")
@JSON
@guarded
def deploy(
    run: Path, configs: tuple[Path, ...], settings: tuple[str, ...], symbol: str, preview: bool, as_json: bool
) -> None:
    """Let grids of a running bot trade under other terms: stop, cancel, and start anew.

    Give a configuration, or settings of one grid such as --set spacing_bps=30. What a grid holds the new one
    takes over; the change is in the ledger with your name, and a restart goes on with it.
    """
    from grinder.commands import deploying

    if configs:
        asked = deploying.asked_by_file(run, read_config(configs, ()), settings, symbol.upper())
    else:
        asked = deploying.asked_by_settings(run, parse_settings(settings), symbol.upper())
    plans = [deploying.preview(run, one) for one in asked]
    if preview:
        from grinder import show

        if as_json:
            print_json({"grids": plans})
            return
        for plan in plans:
            click.echo(f"{plan['symbol']}: {deploying.changes_in_words(plan['changes'])}")
            for table in show.plan_tables(plan["plan"]):
                show.out.print(table)
        return
    done = [deploying.deploy(run, one) for one in asked]
    if as_json:
        print_json({"grids": done})
        return
    for found in done:
        after = ", as soon as the last order of the old grid has ended" if found.get("waits") else ""
        _decided(found, False, f"{found['symbol']} deployed{after}")


@main.command()
@RUN
@click.argument("symbol", default="")
@JSON
@guarded
def rebalance(run: Path, symbol: str, as_json: bool) -> None:
    """Cancel the orders of a grid (of all without SYMBOL) and place them anew; its terms stay."""
    from grinder.commands import control

    found = control.command(run, "rebalance", symbol=symbol.upper())
    _decided(found, as_json, f"rebalancing {', '.join(found['symbols'])}")


def _decided(found: dict[str, Any], as_json: bool, words: str) -> None:
    """Show what the run decided; a limit that blocks it is no failure of the command."""
    if found.get("status") == "blocked":
        words = f"blocked by a limit: {found['reason']} {found['detail']}".rstrip()
    _told(found, as_json, words)
