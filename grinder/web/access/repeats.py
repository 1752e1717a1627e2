"""Answers kept for a day, so that a request that is sent again has no second effect.

Law: a key belongs to one caller and one request.  The same key with another request is refused; the same
request gets the answer it got before.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import Final

import attrs

from grinder.web.access.store import AccessStore
from grinder.web.problems import Problem

NS: Final = 10**9
KEPT_NS: Final = 24 * 3600 * NS
LONGEST_KEY: Final = 128


@attrs.frozen
class Kept:
    """An answer that was given before."""

    status: int
    body: bytes


class Repeats:
    """Answers by idempotency key."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._process = secrets.token_hex(8)

    def begin(self, caller: str, key: str, method: str, path: str, body: bytes) -> Kept | None:
        """Claim a key for a request, or find the answer it got.

        Raises:
            Problem: 409, the key was used for another request, or the same one is still at work; 422, the key
                is none.
        """
        if not key.isascii() or not key.isprintable() or len(key) > LONGEST_KEY:
            raise Problem(422, "idempotency.key", f"a key has 1 to {LONGEST_KEY} printable characters")
        request = sha256(f"{method} {path}\n".encode() + body).hexdigest()
        now = self._store.clock()
        with self._store.transaction():
            self._store.run("DELETE FROM answers WHERE ts_ns <= ?", now - KEPT_NS)
            row = self._store.one("SELECT * FROM answers WHERE caller = ? AND key = ?", caller, key)
            if row is not None and row["request"] != request:
                raise Problem(
                    409,
                    "idempotency.other_request",
                    "this idempotency key was used for another request",
                    fix="draw a new key for every new request",
                )
            if row is not None and row["status"] is not None:
                return Kept(row["status"], bytes(row["body"]))
            # An unfinished claim of a process that is gone is taken over: commands latch, so a repeat of one
            # that did arrive changes nothing but adds its record.
            if row is not None and row["process"] == self._process:
                raise Problem(409, "idempotency.at_work", "the same request is still being worked on")
            self._store.run(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, NULL, NULL, ?, ?)",
                caller, key, request, self._process, now,
            )  # fmt: skip
        return None

    def finish(self, caller: str, key: str, status: int, body: bytes) -> None:
        """Keep the answer; one that may be different next time is not kept."""
        if status >= 500 or status in (401, 403, 423, 429):
            self._store.run("DELETE FROM answers WHERE caller = ? AND key = ?", caller, key)
        else:
            self._store.run(
                "UPDATE answers SET status = ?, body = ? WHERE caller = ? AND key = ?",
                status,
                body,
                caller,
                key,
            )
