"""Serve the API and the pages of runs.

Law: everything is checked before the port is opened; the runs themselves are not touched.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from grinder.commands.paper import RUNS
from grinder.errors import EnvironmentFault, UserError
from grinder.live.places import address_file

NICE = 5
"""How far behind a bot's process the server stands in line for the processor."""

OFF = "the API needs the package PyJWT"


def folders_of(named: Sequence[Path], live: bool) -> list[Path]:
    """The run folders that are meant.

    Args:
        live: every run under ``runs`` whose process has left its address.

    Raises:
        UserError: neither was asked for, or nothing runs.
    """
    found = list(named)
    if live:
        up = sorted(path for path in RUNS.iterdir() if address_file(path).is_file()) if RUNS.is_dir() else []
        found += [path for path in up if path not in found]
    if not found:
        raise UserError(
            "usage.ui",
            "there is no run to show",
            value=str(RUNS.resolve()) if live else "",
            fix="name a run's folder, or start a run and use --live",
        )
    return found


def serve_runs(
    folders: Sequence[Path],
    environment: Mapping[str, str],
    told: Callable[[str, list[str]], None],
    *,
    host: str,
    port: int,
    no_login: bool = False,
    tls: tuple[Path | None, Path | None] = (None, None),
    names: Sequence[str] = (),
    origins: Sequence[str] = (),
    proxies: Sequence[str] = (),
    alerts_from: Sequence[str] = (),
    market: bool = False,
    model: Path | None = None,
) -> None:
    """Serve until Ctrl-C.

    Args:
        told: called with the address, and what the owner should know.

    Raises:
        UserError: a folder holds no run, or the settings are careless.
        EnvironmentFault: the port cannot be used, or a package is missing.
    """
    try:
        from grinder.web.access.store import access_file
        from grinder.web.application import WebServer, serve
    except ModuleNotFoundError as error:
        raise EnvironmentFault(
            "ui.extra", OFF, value=str(error.name), fix="pip install 'grinder[web]'"
        ) from error
    from grinder.marl.agents.choosing import RulesInstead
    from grinder.web.settings import WebSettings, from_environment, networks

    settings = WebSettings(
        host=host,
        port=port,
        access_file=access_file(environment),
        no_login=no_login,
        tls_cert=tls[0],
        tls_key=tls[1],
        names=tuple(names),
        origins=tuple(origins),
        trusted_proxies=networks(tuple(proxies)),
        webhook_allow=networks(tuple(alerts_from)),
        market=market,
        model=model,
        **from_environment(environment),
    )
    server = WebServer(folders, settings)

    def started(address: str) -> None:
        notes = _notes(server.services.users.count(), no_login)
        policy = server.services.policy
        if model is not None and isinstance(policy, RulesInstead):
            notes.append(policy.why.text)
        told(address, notes)

    # What shows a bot must not take time from the bot: it decides first when both want the processor.
    os.nice(NICE)
    asyncio.run(serve(server, started))


def _notes(users: int, no_login: bool) -> list[str]:
    if no_login:
        return ["without a login: every program of this machine may give commands"]
    if not users:
        return ["no user yet: it shows, and takes no command; `grinder users add` makes one"]
    return []
