"""The database of access: users, tokens, failures, answers kept for repeated requests, alerts, audit.

Law: mode 0600, or it is refused; every change is one transaction; the audit rows can only be added.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from grinder.errors import EnvironmentFault
from grinder.files import OWNER_ONLY, refuse_careless, user_file

FORMAT: Final = 1
APPLICATION_ID: Final = 0x67726E61
BUSY_TIMEOUT_S: Final = 5.0
FILE_VARIABLE: Final = "GRINDER_ACCESS_FILE"

STATEMENTS: Final = (
    "CREATE TABLE IF NOT EXISTS keys (purpose TEXT PRIMARY KEY, value BLOB NOT NULL)",
    """CREATE TABLE IF NOT EXISTS users (
        name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL, totp TEXT NOT NULL DEFAULT '',
        totp_step INTEGER NOT NULL DEFAULT 0, runs TEXT NOT NULL DEFAULT '[]',
        created_ns INTEGER NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS tokens (
        jti TEXT PRIMARY KEY, user TEXT NOT NULL, family TEXT NOT NULL, kind TEXT NOT NULL,
        expires_ns INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 0, revoked INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS tokens_family ON tokens (family)",
    "CREATE TABLE IF NOT EXISTS failures (subject TEXT NOT NULL, ts_ns INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS locks (subject TEXT PRIMARY KEY, until_ns INTEGER NOT NULL)",
    """CREATE TABLE IF NOT EXISTS answers (
        caller TEXT NOT NULL, key TEXT NOT NULL, request TEXT NOT NULL, status INTEGER, body BLOB,
        process TEXT NOT NULL, ts_ns INTEGER NOT NULL, PRIMARY KEY (caller, key))""",
    """CREATE TABLE IF NOT EXISTS alerts (
        id INTEGER PRIMARY KEY, run TEXT NOT NULL, ts_ns INTEGER NOT NULL, source TEXT NOT NULL,
        symbol TEXT NOT NULL, action TEXT NOT NULL, price TEXT, zone TEXT NOT NULL, outcome TEXT NOT NULL,
        position INTEGER)""",
    """CREATE TABLE IF NOT EXISTS seen_alerts (
        run TEXT NOT NULL, mark TEXT NOT NULL, ts_ns INTEGER NOT NULL, PRIMARY KEY (run, mark))""",
    """CREATE TABLE IF NOT EXISTS audit (
        id INTEGER PRIMARY KEY, ts_ns INTEGER NOT NULL, user TEXT NOT NULL, action TEXT NOT NULL,
        resource TEXT NOT NULL, result TEXT NOT NULL, address TEXT NOT NULL, correlation_id TEXT NOT NULL,
        chain TEXT NOT NULL)""",
    """CREATE TRIGGER IF NOT EXISTS audit_no_update BEFORE UPDATE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_no_delete BEFORE DELETE ON audit
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_no_replace BEFORE INSERT ON audit
        WHEN NEW.id <= (SELECT max(id) FROM audit)
        BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END""",
)


def access_file(environment: Mapping[str, str]) -> Path:
    """Where the database is: what `GRINDER_ACCESS_FILE` says, or in the user's configuration folder."""
    return user_file(environment, FILE_VARIABLE, "access.db")


class AccessStore:
    """The database, open from construction to `close`; used from one thread.

    Args:
        clock: ns since 1970.

    Raises:
        EnvironmentFault: it cannot be opened, others can read it, or it is something else.
    """

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self.path = path
        self.clock = clock
        self._inside = False
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, OWNER_ONLY))
            refuse_careless(path.stat(), path, "access.file", "the database of users")
            self._db = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._db.row_factory = sqlite3.Row
            self._prepare()
        except (OSError, sqlite3.Error) as error:
            raise EnvironmentFault(
                "access.file",
                f"the database of users cannot be used: {error}",
                place=str(path),
                fix=f"choose another place with {FILE_VARIABLE}",
            ) from error

    def _prepare(self) -> None:
        found = self._db.execute("PRAGMA application_id").fetchone()[0]
        if found not in (0, APPLICATION_ID):
            raise EnvironmentFault(
                "access.file",
                "the file is a database of something else",
                place=str(self.path),
                fix=f"choose another place with {FILE_VARIABLE}",
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        # A lost last entry after a power cut costs a login, not money; the ledger has every command.
        self._db.execute("PRAGMA synchronous = NORMAL")
        if not found:
            for statement in STATEMENTS:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {FORMAT}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; a transaction inside one is part of it."""
        if self._inside:
            yield
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._inside = True
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        else:
            self._db.execute("COMMIT")
        finally:
            self._inside = False

    def run(self, statement: str, *values: Any) -> int:
        """Execute a change; how many rows it changed."""
        return self._db.execute(statement, values).rowcount

    def one(self, statement: str, *values: Any) -> dict[str, Any] | None:
        """The first row, or None."""
        row = self._db.execute(statement, values).fetchone()
        return None if row is None else dict(row)

    def all(self, statement: str, *values: Any) -> list[dict[str, Any]]:
        """Every row."""
        return [dict(row) for row in self._db.execute(statement, values)]

    def each(self, statement: str, *values: Any) -> Iterator[dict[str, Any]]:
        """Row by row."""
        for row in self._db.execute(statement, values):
            yield dict(row)

    def key(self, purpose: str) -> bytes:
        """The key of 32 random bytes for a purpose, drawn when it is first asked for."""
        with self.transaction():
            self.run("INSERT OR IGNORE INTO keys VALUES (?, ?)", purpose, secrets.token_bytes(32))
            found = self.one("SELECT value FROM keys WHERE purpose = ?", purpose)
        assert found is not None
        return bytes(found["value"])

    def close(self) -> None:
        """Close it."""
        self._db.close()
