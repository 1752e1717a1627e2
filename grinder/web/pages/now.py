"""What is known of a run's process at this moment.

Law: only the present: none of it is in the ledger, so none of it is shown when travelling in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from grinder.web.call import Call
from grinder.web.pages.asked import Asked
from grinder.web.runs import ServedRun

_KEPT: Final[tuple[str, ...]] = (
    "mode",
    "feed",
    "exchange",
    "phase",
    "balances",
    "halted",
    "pauses",
    "streams",
    "equity",
    "marked",
    "unknown_orders",
    "disk_low",
    "lease",
    "fills",
    "prices_seen",
    "prices_let_in",
    "resumed_records",
    "durable_position",
    "dead_man_seconds",
    "head",
    "position",
)
_TIMES: Final[tuple[str, ...]] = ("now_ns", "last_reconciliation_ns", "requests_suspended_until_ns")


async def running_status(run: ServedRun) -> dict[str, Any] | None:
    """The process in short; None when none runs."""
    found = await run.status()
    if found is None:
        return None
    kept: dict[str, Any] = {name: found[name] for name in _KEPT if name in found}
    kept.update({name: str(found[name]) for name in _TIMES if found.get(name) is not None})
    symbols = found.get("symbols", {})
    kept["symbols"] = {name: _symbol(one) for name, one in symbols.items()}
    return kept


def _symbol(found: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in found.items() if key != "levels"}
    if kept.get("price_ns") is not None:
        kept["price_ns"] = str(kept["price_ns"])
    return kept


async def health_of(call: Call) -> Mapping[str, Any]:
    """The process, its streams, and the state of ledger and views."""
    run = call.run()
    folder = run.folder

    def sizes() -> dict[str, str]:
        named = {
            "ledger": folder.ledger,
            "views": folder.views,
            "log": folder.ledger.with_name("ledger.db-wal"),
        }
        return {name: str(path.stat().st_size) for name, path in named.items() if path.is_file()}

    manifest = await run.work(folder.read_manifest)
    return {
        "as_of": run.freshness(call.query(Asked).at),
        "now": await running_status(run),
        "sizes": await run.work(sizes),
        "run": {
            "kind": manifest.get("kind", ""),
            "program": manifest.get("program", ""),
            "ledger_id": manifest.get("ledger_id", ""),
            "finished": bool(manifest.get("finished")),
        },
    }
