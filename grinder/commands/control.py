"""Speak to a running bot: what it does now, and what it is to do.

Law: a change is done when this returns: the answer carries the command's position in the ledger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grinder.errors import UserError
from grinder.live.asking import ask
from grinder.live.places import folder_of, read_json, supervisor_file


def command(run: Path, name: str, **body: Any) -> dict[str, Any]:
    """Give a command (``pause``, ``resume``, ``kill``, ``reset``, ``accept``, ``stop``).

    Raises:
        NotRunning: nothing runs there.
        UserError: it is refused.
    """
    folder_of(run)
    return ask(run, f"/{name}", body)


def status(run: Path) -> dict[str, Any]:
    """Everything there is to see of a running bot, its profit and its restarts included.

    Raises:
        NotRunning: nothing runs there.
    """
    from grinder.views.summary import summary

    folder_of(run)
    found = ask(run, "/status")
    kept = read_json(supervisor_file(run))
    found["restarts"] = kept.get("restarts", 0)
    try:
        totals = summary(run)
    except UserError as error:
        found["pnl"] = {"error": error.as_dict()}
        return found
    found["pnl"] = {
        "position": totals.position,
        "fills": totals.fills,
        "cycles": totals.cycles,
        "grid_profit": totals.grid_profit,
        "unpaired_pnl": totals.unpaired_pnl,
        "fees": totals.fees,
        "funding": totals.funding,
        "equity_start": totals.equity_start,
        "equity_end": totals.equity_end,
        "identity_residual": totals.identity_residual,
        "symbols": totals.symbols,
    }
    return found
