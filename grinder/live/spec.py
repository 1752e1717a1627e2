"""What a live run is made from: written once beside the ledger, read by every process of the run.

Law: what the books rest on (account, instruments, symbols, risk, exchange, feed) cannot change under a
ledger; how the run is conducted, watched and recorded can, at the next start; the terms of its grids change
by a deployment, which is in the ledger, and never because a file was edited.  Nothing here is a secret.
"""

from __future__ import annotations

import secrets
from typing import Any

import attrs

from grinder import __version__
from grinder.config import Config, config_as_dict, load_config
from grinder.errors import LedgerError
from grinder.live.deployed import all_differences, beside_file, changes_in, with_changes
from grinder.log import logger
from grinder.run_folder import RunFolder

PAPER, TESTNET, LIVE, LOCAL = "paper", "testnet", "live", "local"
"""Modes: our own exchange; an exchange's test network; an exchange; its protocol on this machine."""

MAY_CHANGE = ("live", "observe", "record", "fills")


@attrs.frozen(kw_only=True)
class RunSpec:
    """A run.

    Attributes:
        ledger_id: 8 hex digits, drawn once: it begins every client order id, which must never come twice.
        feed: a paper account's market, as text; empty for an exchange.
        seed: of everything the simulated exchange draws.
        rows: trades of a generated market; 0 for the usual number.
        until_end: whether the run ends with its feed.
    """

    mode: str
    ledger_id: str
    config: Config
    feed: str = ""
    seed: int = 0
    rows: int = 0
    until_end: bool = False

    def as_manifest(self) -> dict[str, Any]:
        """The run's manifest."""
        return {
            "kind": "paper" if self.mode == PAPER else "live",
            "program": __version__,
            "mode": self.mode,
            "ledger_id": self.ledger_id,
            "feed": self.feed,
            "seed": self.seed,
            "rows": self.rows,
            "until_end": self.until_end,
            "config": config_as_dict(self.config),
        }


def _ground(manifest: dict[str, Any]) -> dict[str, Any]:
    """What must not change under a ledger."""
    config = {key: value for key, value in manifest.get("config", {}).items() if key not in MAY_CHANGE}
    account = {key: value for key, value in config.get("account", {}).items() if key != "endpoint"}
    feed = str(manifest.get("feed", "")).rpartition("@")
    symbols = [grid.get("symbol") for grid in config.get("grids", [])]
    return {
        "config": {**config, "account": account, "grids": symbols},
        "mode": manifest.get("mode"),
        "feed": feed[0] or feed[2],
        "seed": manifest.get("seed"),
        "rows": manifest.get("rows"),
    }


def require_same_ground(folder: RunFolder, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Hold a manifest that is wanted against the one that is there.

    Raises:
        LedgerError: they are of two runs.
    """
    if found.get("kind") != wanted["kind"] or _ground(found) != _ground(wanted):
        raise LedgerError(
            "ledger.other_run",
            "the folder holds another run (other account, instruments, symbols, exchange or feed)",
            place=str(folder.path),
            value=f"{found.get('kind', 'unknown')} {found.get('mode', '')} {found.get('ledger_id', '')}",
            fix="use another --out folder, or the configuration the run was started with",
        )


def prepare(folder: RunFolder, spec: RunSpec) -> RunSpec:
    """Write a run's manifest, or go on with the run that is in the folder.

    Args:
        spec: as asked for now; an empty `ledger_id` is drawn or taken from the folder.

    Raises:
        EnvironmentFault: the folder cannot be written.
        LedgerError: the folder holds another run.
    """
    folder.create()
    found = folder.read_manifest()
    if found:
        require_same_ground(folder, found, spec.as_manifest())
        config = _under_its_terms(folder, load_config([], {}, found["config"]), spec.config)
        spec = attrs.evolve(spec, ledger_id=str(found["ledger_id"]), config=config)
    elif folder.ledger.exists():
        raise LedgerError(
            "run.manifest",
            "the folder has a ledger and no manifest",
            place=str(folder.path),
            fix="restore manifest.json, or use another --out folder",
        )
    if not spec.ledger_id:
        spec = attrs.evolve(spec, ledger_id=secrets.token_hex(4))
    folder.write_manifest(spec.as_manifest())
    return spec


def _under_its_terms(folder: RunFolder, began: Config, given: Config) -> Config:
    """A configuration with the grids the run began with, for its manifest; the ledger has what was deployed.

    Args:
        began: the configuration the run began with.
        given: the one it is to go on with.

    Raises:
        LedgerError: it has grids that are neither those of the beginning nor those deployed.
    """
    events = changes_in(folder.ledger)
    holds = with_changes(began, [one for _, _, event in events for one in event.changes])
    others = all_differences(holds, given)
    if others and given.grids != began.grids:
        raise LedgerError(
            "ledger.other_terms",
            "the configuration has other terms than the grids of the run in the folder",
            place=str(folder.path),
            value=beside_file(others),
            fix="go on with the configuration the run was started with, then `grinder deploy` this one",
        )
    if others:
        position, _, last = events[-1]
        logger().warning(
            "the file has other terms than were deployed: the run goes on with what was deployed",
            differs=beside_file(others),
            deployed_by=last.operator,
            record=position,
            fix="write the deployed terms into the file, or `grinder deploy` the file",
        )
    return attrs.evolve(given, grids=began.grids)


def read_spec(folder: RunFolder) -> RunSpec:
    """The run in a folder.

    Raises:
        LedgerError: there is none, or it is a backtest's.
        ConfigError: its configuration cannot be read by this program.
    """
    found = folder.read_manifest()
    if found.get("kind") not in ("paper", "live"):
        raise LedgerError(
            "run.not_live",
            "there is no paper or live run here",
            place=str(folder.path),
            fix="start one with `grinder paper` or `grinder run`",
        )
    return RunSpec(
        mode=str(found["mode"]),
        ledger_id=str(found["ledger_id"]),
        config=load_config([], {}, found["config"]),
        feed=str(found.get("feed", "")),
        seed=int(found.get("seed", 0)),
        rows=int(found.get("rows", 0)),
        until_end=bool(found.get("until_end", False)),
    )
