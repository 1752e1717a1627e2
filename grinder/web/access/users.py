"""Users: name, role, password, one-time codes, and the runs they may see.

Law: there is no user until the owner of the machine adds one, and no password but the one given.  A change of
role, password or codes ends every session of the user.
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
import orjson

from grinder.errors import UserError
from grinder.web.access import totp
from grinder.web.access.passwords import COST, hashed, matches, nobody
from grinder.web.access.store import AccessStore
from grinder.web.admission import ROLES, Role

NAME: Final = re.compile(r"[a-z][a-z0-9._-]{1,31}")
RESERVED: Final = ("local", "tradingview", "operator", "start", "nobody")
"""Names that stand for something else in the ledger and the audit log."""


@attrs.frozen(kw_only=True)
class User:
    """A user.

    Attributes:
        has_totp: whether a one-time code is asked for.
        runs: names of the runs to be seen; empty for all.
    """

    name: str
    role: Role
    has_totp: bool
    runs: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "role": self.role.name.lower(),
            "totp": self.has_totp,
            "runs": list(self.runs),
        }


class Users:
    """The users of an access database."""

    def __init__(self, store: AccessStore, cost: int = COST) -> None:
        self._store = store
        self._cost = cost
        self._nobody = nobody(cost)

    def count(self) -> int:
        """How many there are."""
        found = self._store.one("SELECT count(*) AS n FROM users")
        return int(found["n"]) if found else 0

    def add(self, name: str, role: str, password: str, runs: tuple[str, ...] = ()) -> User:
        """Add one.

        Raises:
            UserError: the name or the role is none, the name is taken, or the password too short.
        """
        if not NAME.fullmatch(name) or name in RESERVED:
            raise UserError(
                "users.name",
                "a user's name is 2 to 32 small letters, digits, dots and dashes, and not reserved",
                value=name,
                fix="choose another",
            )
        if role not in ROLES:
            raise UserError(
                "users.role", "there is no such role", value=role, fix=f"one of {', '.join(ROLES)}"
            )
        with self._store.transaction():
            if self.find(name):
                raise UserError("users.taken", "there is a user of this name", value=name,
                                fix="choose another, or `grinder users passwd`")  # fmt: skip
            self._store.run(
                "INSERT INTO users (name, role, password, runs, created_ns) VALUES (?, ?, ?, ?, ?)",
                name,
                role,
                hashed(password, self._cost),
                orjson.dumps(list(runs)).decode(),
                self._store.clock(),
            )
        return self.require(name)

    def find(self, name: str) -> User | None:
        """A user; None if there is none."""
        row = self._store.one("SELECT name, role, totp, runs FROM users WHERE name = ?", name)
        if row is None:
            return None
        runs = tuple(orjson.loads(row["runs"]))
        return User(name=row["name"], role=ROLES[row["role"]], has_totp=bool(row["totp"]), runs=runs)

    def require(self, name: str) -> User:
        """A user.

        Raises:
            UserError: there is none.
        """
        found = self.find(name)
        if found is None:
            raise UserError(
                "users.unknown", "there is no such user", value=name, fix="see `grinder users list`"
            )
        return found

    def all(self) -> list[User]:
        """Every user, by name."""
        names = [row["name"] for row in self._store.all("SELECT name FROM users ORDER BY name")]
        return [self.require(name) for name in names]

    def remove(self, name: str) -> None:
        """Remove one, and end the sessions.

        Raises:
            UserError: there is none.
        """
        with self._store.transaction():
            self.require(name)
            self._store.run("DELETE FROM users WHERE name = ?", name)
            self._end_sessions(name)

    def set_password(self, name: str, password: str) -> None:
        """Set a password, and end the sessions.

        Raises:
            UserError: there is no such user, or the password is too short.
        """
        with self._store.transaction():
            self.require(name)
            self._store.run(
                "UPDATE users SET password = ? WHERE name = ?", hashed(password, self._cost), name
            )
            self._end_sessions(name)

    def new_totp(self, name: str) -> str:
        """Draw a new secret for one-time codes, and end the sessions; the secret is shown this once."""
        with self._store.transaction():
            self.require(name)
            secret = totp.new_secret()
            self._store.run("UPDATE users SET totp = ?, totp_step = 0 WHERE name = ?", secret, name)
            self._end_sessions(name)
        return secret

    def remove_totp(self, name: str) -> None:
        """Ask for no one-time code any more, and end the sessions."""
        with self._store.transaction():
            self.require(name)
            self._store.run("UPDATE users SET totp = '', totp_step = 0 WHERE name = ?", name)
            self._end_sessions(name)

    # --- proofs ------------------------------------------------------------------------------------------

    def stored_password(self, name: str) -> str:
        """The hash to check a password against; one that nothing matches for a user who is none."""
        row = self._store.one("SELECT password FROM users WHERE name = ?", name)
        return str(row["password"]) if row else self._nobody

    @staticmethod
    def password_matches(password: str, stored: str) -> bool:
        """Whether a password is right; slow on purpose, so not for an event loop."""
        return matches(password, stored)

    def use_code(self, name: str, given: str) -> bool:
        """Whether a one-time code is right; a right one is used up."""
        with self._store.transaction():
            row = self._store.one("SELECT totp, totp_step FROM users WHERE name = ?", name)
            if row is None or not row["totp"]:
                return False
            step = totp.accepted_step(row["totp"], given, self._store.clock(), row["totp_step"])
            if step is None:
                return False
            self._store.run("UPDATE users SET totp_step = ? WHERE name = ?", step, name)
        return True

    def _end_sessions(self, name: str) -> None:
        self._store.run("UPDATE tokens SET revoked = 1 WHERE user = ?", name)
