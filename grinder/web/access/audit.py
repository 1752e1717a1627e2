"""The log of decisions: who wanted what, from where, and whether it was granted.

Law: rows are only added, chained by SHA-256, and hold no secret.  A decision is written before it takes
effect.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final

import attrs
import orjson

from grinder.web.access.store import AccessStore

GENESIS: Final = "0" * 64
COLUMNS: Final = ("id", "ts_ns", "user", "action", "resource", "result", "address", "correlation_id")


@attrs.frozen(kw_only=True)
class AuditVerdict:
    """Outcome of a verification: `first_bad` is the first row that does not fit."""

    ok: bool
    rows: int
    head: str
    first_bad: int | None = None


def _chained(chain: str, row: dict[str, Any]) -> str:
    return sha256(chain.encode() + orjson.dumps([row[name] for name in COLUMNS])).hexdigest()


class Audit:
    """The log."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store

    def write(
        self, user: str, action: str, resource: str, result: str, address: str, correlation_id: str
    ) -> None:
        """Add a decision."""
        with self._store.transaction():
            last = self._store.one("SELECT id, chain FROM audit ORDER BY id DESC LIMIT 1")
            number, chain = (last["id"] + 1, last["chain"]) if last else (1, GENESIS)
            values = (number, self._store.clock(), user, action, resource[:200], result[:200], address,
                      correlation_id)  # fmt: skip
            row = dict(zip(COLUMNS, values, strict=True))
            self._store.run(
                f"INSERT INTO audit ({', '.join(COLUMNS)}, chain) VALUES (?,?,?,?,?,?,?,?,?)",
                *values, _chained(chain, row),
            )  # fmt: skip

    def page(self, before: int | None, limit: int, user: str = "", result: str = "") -> list[dict[str, Any]]:
        """Rows, newest first, older than a row."""
        return self._store.all(
            "SELECT * FROM audit WHERE id < ? AND (? = '' OR user = ?) AND (? = '' OR result LIKE ? || '%')"
            " ORDER BY id DESC LIMIT ?",
            2**62 if before is None else before, user, user, result, result, limit,
        )  # fmt: skip

    def verify(self) -> AuditVerdict:
        """Check every row against the chain."""
        chain, number = GENESIS, 0
        for row in self._store.each("SELECT * FROM audit ORDER BY id"):
            if row["id"] != number + 1 or row["chain"] != _chained(chain, row):
                return AuditVerdict(ok=False, rows=number, head=chain, first_bad=number + 1)
            chain, number = row["chain"], number + 1
        return AuditVerdict(ok=True, rows=number, head=chain)
