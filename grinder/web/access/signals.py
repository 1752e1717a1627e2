"""Alerts that came from outside, the last thousand of a run, and which were seen before.

Law: an alert is marked as seen in the transaction that would refuse its repeat, before it takes effect.
"""

from __future__ import annotations

from typing import Any, Final

from grinder.web.access.store import AccessStore

KEPT: Final = 1000
SEEN_NS: Final = 24 * 3600 * 10**9


class Signals:
    """Alerts by run."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    def first_time(self, run: str, mark: str, within_ns: int = SEEN_NS) -> bool:
        """Mark an alert as seen; False if it was seen already within this time."""
        now = self._store.clock()
        with self._store.transaction():
            self._store.run("DELETE FROM seen_alerts WHERE ts_ns <= ?", now - SEEN_NS)
            row = self._store.one("SELECT ts_ns FROM seen_alerts WHERE run = ? AND mark = ?", run, mark)
            if row is not None and row["ts_ns"] > now - within_ns:
                return False
            self._store.run("INSERT OR REPLACE INTO seen_alerts VALUES (?, ?, ?)", run, mark, now)
        return True

    def forget(self, run: str, mark: str) -> None:
        """Let an alert come again: it had no effect."""
        self._store.run("DELETE FROM seen_alerts WHERE run = ? AND mark = ?", run, mark)

    def keep(self, run: str, **values: Any) -> None:
        """Keep an alert with what became of it."""
        names = ("source", "symbol", "action", "price", "zone", "outcome", "position")
        with self._store.transaction():
            self._store.run(
                f"INSERT INTO alerts (run, ts_ns, {', '.join(names)}) VALUES (?,?,?,?,?,?,?,?,?)",
                run, self._store.clock(), *(values[name] for name in names),
            )  # fmt: skip
            self._store.run(
                "DELETE FROM alerts WHERE run = ? AND id <="
                " (SELECT id FROM alerts WHERE run = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                run, run, KEPT,
            )  # fmt: skip

    def page(self, run: str, symbol: str, before: int | None, limit: int) -> list[dict[str, Any]]:
        """Alerts, newest first, older than one."""
        return self._store.all(
            "SELECT id, ts_ns, source, symbol, action, price, zone, outcome, position FROM alerts"
            " WHERE run = ? AND (? = '' OR symbol = ?) AND id < ? ORDER BY id DESC LIMIT ?",
            run, symbol, symbol, 2**62 if before is None else before, limit,
        )  # fmt: skip

    def statistics(self, run: str) -> dict[str, Any]:
        """How many there are: in all, by symbol and by action."""
        found: dict[str, Any] = {}
        for name in ("symbol", "action"):
            counted = self._store.all(
                f"SELECT {name} AS name, count(*) AS n FROM alerts WHERE run = ?"
                f" GROUP BY {name} ORDER BY {name}",
                run,
            )
            found[f"by_{name}"] = {row["name"]: row["n"] for row in counted}
        return {"total": sum(found["by_symbol"].values()), **found}
