"""Start runs under a supervisor: on paper, on a test network, or on an exchange.

Law: everything is checked and written down before the first process starts; nothing is partly applied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from grinder.config import Config, Exchange
from grinder.errors import ConfigError, UserError
from grinder.live.feeds import parse_feed
from grinder.live.spec import LIVE, LOCAL, PAPER, TESTNET, RunSpec, prepare
from grinder.observation.alerts import Alert, Alerts, LogSink
from grinder.observation.webhooks import webhook_sinks
from grinder.run_folder import RunFolder
from grinder.supervisor.bot import Bot
from grinder.supervisor.supervisor import Supervisor

DEFAULT_FEED = "generated:7@1"

RUNS = Path("runs")


@attrs.frozen(kw_only=True)
class Asked:
    """One bot as it was asked for.

    Attributes:
        name: of the bot; its folder's name where none is given.
    """

    name: str
    config: Config
    folder: Path


def paper_spec(config: Config, feed: str, *, seed: int, rows: int, until_end: bool) -> RunSpec:
    """A paper run.

    Raises:
        UserError: the feed is none, or the configuration names no exchange to take a market from.
    """
    simulated = config.account.exchange is Exchange.SIMULATED
    feed = feed or (DEFAULT_FEED if simulated else "exchange")
    parsed = parse_feed(feed)
    if parsed.kind == "exchange" and simulated:
        raise ConfigError(
            "exchange.no_market",
            "the simulated exchange has no market of its own",
            place="account.exchange",
            fix="name the exchange whose prices to follow, or use --feed generated:7@60 or tape:PATH@60",
        )
    if parsed.kind == "tape" and not Path(parsed.source).exists():
        raise UserError(
            "usage.feed", "the recording does not exist", value=parsed.source, fix="name a file or a folder"
        )
    if parsed.kind == "tape":
        feed = attrs.evolve(parsed, source=str(Path(parsed.source).resolve())).text
    return RunSpec(
        mode=PAPER, ledger_id="", config=config, feed=feed, seed=seed, rows=rows, until_end=until_end
    )


def exchange_spec(config: Config, *, testnet: bool, live: bool, understood: bool) -> RunSpec:
    """A run on an exchange.

    Raises:
        ConfigError, UserError: it is not said clearly enough where real orders go, or there is no key.
    """
    if config.account.exchange is Exchange.SIMULATED:
        raise ConfigError(
            "exchange.simulated",
            "the configuration names no exchange",
            place="account.exchange",
            value="simulated",
            fix="use `grinder paper`, or name an exchange",
        )
    if testnet and live:
        raise UserError("usage.mode", "--testnet and --live exclude each other", fix="leave one out")
    if live and not understood:
        raise UserError(
            "usage.understand",
            "--live trades with real money",
            fix="add --i-understand if that is what you want",
        )
    from grinder.live.accounts import endpoint_of
    from grinder.live.process import credentials_for

    mode = LIVE if live else TESTNET if testnet else LOCAL
    endpoint_of(config, mode)
    credentials_for(config, mode)
    return RunSpec(mode=mode, ledger_id="", config=config)


def bots_asked(
    configs: Sequence[Path], named: Sequence[str], out: Path | None, read: Callable[[Sequence[Path]], Config]
) -> list[Asked]:
    """The bots of a command line: one of ``-c``, or several of ``--bot NAME=CONFIG``.

    Raises:
        UserError: neither or both, a name that is none, or one name twice.
    """
    if bool(configs) == bool(named):
        raise UserError(
            "usage.bots",
            "a run takes -c CONFIG, or --bot NAME=CONFIG for each of several",
            fix="give one of the two",
        )
    if configs:
        folder = out or RUNS / configs[-1].stem
        return [Asked(name=folder.name, config=read(configs), folder=folder)]
    found: dict[str, Asked] = {}
    for text in named:
        name, equals, path = text.partition("=")
        if not (equals and path and name.replace("-", "").replace("_", "").isalnum()) or name in found:
            raise UserError(
                "usage.bot",
                "--bot takes NAME=CONFIG, each name once",
                value=text,
                fix="write --bot btc=btc.yaml",
            )
        found[name] = Asked(name=name, config=read([Path(path)]), folder=(out or RUNS) / name)
    return list(found.values())


def supervised(asked: Sequence[tuple[Asked, RunSpec]], *, verbose: bool = False) -> tuple[Supervisor, Alerts]:
    """A supervisor over these runs, whose folders are made ready; and its alerts, to be closed at the end.

    Raises:
        UserError: a folder cannot be used; nothing was started.
    """
    sinks = [
        sink
        for one, _ in asked
        for sink in webhook_sinks(one.config.observe.alerts, os.environ, str(one.folder))
    ]
    bots = []
    alerts = Alerts([LogSink(), *sinks])

    def tell(level: str, kind: str, text: str) -> None:
        alerts(Alert(level=level, kind=kind, text=text))

    for one, spec in asked:
        prepare(RunFolder(one.folder), spec)
        bots.append(
            Bot(
                one.name,
                one.folder,
                dead_man_s=float(one.config.live.dead_man_seconds),
                tell=tell,
                arguments=("--verbose",) if verbose else (),
            )
        )
    return Supervisor(bots), alerts


def outcome(bot: Bot) -> dict[str, Any]:
    """How a bot ended, with its figures."""
    from grinder.views.summary import summary

    told: dict[str, Any] = {
        "name": bot.name,
        "run": str(bot.folder),
        "status": bot.status,
        "restarts": bot.back_off.restarts,
    }
    try:
        totals = summary(bot.folder)
    except UserError as error:
        return {**told, "error": error.as_dict()}
    return {**told, **totals.in_short()}
