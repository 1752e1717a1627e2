"""Start a standby of a run: a process that follows its ledger and takes over.

Law: it is made from the run's own manifest, so it trades what the run trades; nothing can be set here.
"""

from __future__ import annotations

import os
from pathlib import Path

from grinder.errors import UserError
from grinder.live.places import MAIN, folder_of
from grinder.live.spec import PAPER, read_spec
from grinder.observation.alerts import Alert, Alerts, LogSink
from grinder.observation.webhooks import webhook_sinks
from grinder.supervisor.bot import Bot
from grinder.supervisor.supervisor import Supervisor


def standing_by(run: Path, node: str, *, verbose: bool = False) -> tuple[Supervisor, Alerts]:
    """A supervisor over a standby, and its alerts, to be closed at the end.

    Raises:
        UserError: there is no run, or none that could be taken over.
        ConfigError: the account's key is not to be had.
    """
    folder = folder_of(run)
    spec = read_spec(folder)
    if spec.mode == PAPER:
        raise UserError(
            "standby.paper",
            "a run on paper cannot be taken over: its exchange ends with its process",
            place=str(run),
            fix="`grinder paper` starts it again, and it goes on",
        )
    if node == MAIN or not node.replace("-", "").isalnum() or len(node) > 32:
        raise UserError(
            "standby.node",
            "a standby has a name of its own: letters, digits and dashes",
            value=node,
            fix="write --node standby-2",
        )
    from grinder.live.process import credentials_for

    credentials_for(spec.config, spec.mode)  # better missed now than when it has to take over
    alerts = Alerts([LogSink(), *webhook_sinks(spec.config.observe.alerts, os.environ, str(run))])

    def tell(level: str, kind: str, text: str) -> None:
        alerts(Alert(level=level, kind=kind, text=text))

    arguments = ("--verbose",) if verbose else ()
    dead_man_s = float(spec.config.live.dead_man_seconds)
    bot = Bot(node, run, dead_man_s=dead_man_s, tell=tell, arguments=arguments, node=node, standby=True)
    return Supervisor([bot]), alerts
