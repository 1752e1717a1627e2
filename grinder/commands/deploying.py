"""Other terms for the grids of a running bot, from a configuration or from settings.

Law: everything is checked, by the run itself, before the first grid is touched.  A configuration may differ
from the run's in the terms of its grids alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from domain.inputs import SettingChange
from grinder.commands import control
from grinder.config import Config
from grinder.errors import UserError
from grinder.live.deployed import deployed, differences, in_words
from grinder.live.places import folder_of
from grinder.live.spec import read_spec, require_same_ground
from grinder.run_folder import RunFolder


@attrs.frozen
class Asked:
    """Settings of one grid that are to be others; None takes a setting out."""

    symbol: str
    settings: Mapping[str, object]


def _holding(run: Path) -> Config:
    """The configuration a run trades under now."""
    folder_of(run)
    folder = RunFolder(run)
    return deployed(read_spec(folder).config, folder.ledger)


def asked_by_settings(run: Path, settings: Mapping[str, object], symbol: str) -> list[Asked]:
    """Settings of one grid.

    Raises:
        UserError: none is given, or it is not said of which grid.
    """
    symbols = [one.symbol for one in _holding(run).grids]
    if not settings:
        raise UserError("usage.deploy", "nothing to change is given", fix="give -c CONFIG or --set KEY=VALUE")
    if not symbol and len(symbols) > 1:
        raise UserError(
            "usage.symbol", "the run has several grids", fix=f"add --symbol, one of {', '.join(symbols)}"
        )
    return [Asked(symbol or symbols[0], {key: value or None for key, value in settings.items()})]


def asked_by_file(run: Path, config: Config, settings: Sequence[str], symbol: str) -> list[Asked]:
    """What a configuration says otherwise than the run's grids, or than one of them.

    Raises:
        UserError: nothing, or settings are given as well.
        LedgerError: it differs in more than the terms of grids.
    """
    if settings:
        raise UserError("usage.deploy", "-c and --set exclude each other", fix="write them into the file")
    holds = _holding(run)
    folder = RunFolder(run)
    found = folder.read_manifest()
    spec = attrs.evolve(read_spec(folder), config=config)
    require_same_ground(folder, found, spec.as_manifest())
    asked = []
    for grid in holds.grids:
        changes = differences(holds, config, grid.symbol)
        if changes and symbol in ("", grid.symbol):
            new = {one.setting.rpartition(".")[2]: one.new or None for one in changes}
            asked.append(Asked(grid.symbol, new))
    if not asked:
        raise UserError(
            "deploy.nothing_changes",
            "the configuration has the terms the grids have already",
            fix="change the file, or name what to change with --set",
        )
    return asked


def preview(run: Path, asked: Asked) -> dict[str, Any]:
    """What the run says a deployment would do.

    Raises:
        UserError: the terms are wrong.
    """
    return control.command(run, "deploy/preview", symbol=asked.symbol, settings=dict(asked.settings))


def deploy(run: Path, asked: Asked) -> dict[str, Any]:
    """Deploy.

    Raises:
        UserError: it is refused.
    """
    found = control.command(run, "deploy", symbol=asked.symbol, settings=dict(asked.settings))
    return {"symbol": asked.symbol, **found}


def changes_in_words(changes: Sequence[Mapping[str, str]]) -> str:
    """Changes as `preview` tells them, for a person."""
    return in_words(SettingChange(**one) for one in changes) or "nothing changes"
