"""Bearer tokens: short access, long refresh that is used once, both revocable.

Law: one algorithm, written here and never read from a token.  A token is worth something only while its id is
in the database and not revoked.  A refresh token that comes twice was stolen from somebody: its whole family
is revoked.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final

import attrs
import jwt

from grinder.web.access.store import AccessStore

NS: Final = 10**9
ALGORITHM: Final = "HS256"
ISSUER: Final = "grinder"
ACCESS_S: Final = 15 * 60
REFRESH_S: Final = 30 * 24 * 3600
ACCESS, REFRESH = "access", "refresh"
_CLAIMS: Final = ("sub", "role", "iat", "exp", "jti", "iss", "typ", "fam")


class Refused(Exception):
    """A token that is worth nothing; `reason` is for the audit log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@attrs.frozen(kw_only=True)
class Pair:
    """What a login or a refresh gives."""

    access: str = attrs.field(repr=False)
    refresh: str = attrs.field(repr=False)
    family: str


@attrs.frozen(kw_only=True)
class Token:
    """A token that was checked.

    Attributes:
        family: the login it descends from.
        expires_ns: when it ends.
    """

    user: str
    jti: str
    family: str
    expires_ns: int


class Tokens:
    """Issues and checks tokens with the key of an access database."""

    def __init__(self, store: AccessStore) -> None:
        self._store = store
        self._key = store.key("tokens")

    def issue(self, user: str, role: str, family: str = "") -> Pair:
        """Tokens of a new login, or of one that goes on."""
        family = family or secrets.token_hex(16)
        now = self._store.clock()
        with self._store.transaction():
            self._store.run("DELETE FROM tokens WHERE expires_ns <= ?", now)
            access = self._make(user, role, family, ACCESS, ACCESS_S)
            refresh = self._make(user, role, family, REFRESH, REFRESH_S)
        return Pair(access=access, refresh=refresh, family=family)

    def _make(self, user: str, role: str, family: str, kind: str, lasts_s: int) -> str:
        now, jti = self._store.clock(), secrets.token_hex(16)
        expires_ns = now + lasts_s * NS
        self._store.run(
            "INSERT INTO tokens (jti, user, family, kind, expires_ns) VALUES (?, ?, ?, ?, ?)",
            jti, user, family, kind, expires_ns,
        )  # fmt: skip
        claims = {
            "sub": user,
            "role": role,
            "iat": now // NS,
            "exp": expires_ns // NS,
            "jti": jti,
            "iss": ISSUER,
            "typ": kind,
            "fam": family,
        }
        return jwt.encode(claims, self._key, algorithm=ALGORITHM)

    def check(self, text: str, kind: str = ACCESS) -> Token:
        """What a token says, if it is worth anything.

        Raises:
            Refused: it is not.
        """
        try:
            # The times are held against our own clock below, which tests and a restored machine can set.
            claims: dict[str, Any] = jwt.decode(
                text,
                self._key,
                algorithms=[ALGORITHM],
                issuer=ISSUER,
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False},
            )
        except jwt.InvalidTokenError as error:
            raise Refused(type(error).__name__) from None
        if claims["typ"] != kind:
            raise Refused("wrong kind of token")
        row = self._store.one("SELECT * FROM tokens WHERE jti = ?", str(claims["jti"]))
        if row is None or row["user"] != claims["sub"]:
            raise Refused("unknown token")
        if row["revoked"]:
            raise Refused("revoked")
        if row["expires_ns"] <= self._store.clock():
            raise Refused("expired")
        return Token(user=row["user"], jti=row["jti"], family=row["family"], expires_ns=row["expires_ns"])

    def rotate(self, text: str) -> Token:
        """Use up a refresh token.

        Raises:
            Refused: it is worth nothing; used a second time, its family ends.
        """
        stolen = False
        with self._store.transaction():
            found = self.check(text, REFRESH)
            changed = self._store.run("UPDATE tokens SET used = 1 WHERE jti = ? AND used = 0", found.jti)
            if changed != 1:
                stolen = True
                self.revoke_family(found.family)
        if stolen:
            raise Refused("refresh token used twice")
        return found

    def revoke_family(self, family: str) -> None:
        """End a login with all its tokens."""
        self._store.run("UPDATE tokens SET revoked = 1 WHERE family = ?", family)

    def is_alive(self, jti: str) -> bool:
        """Whether a token that was checked before is still worth something."""
        row = self._store.one("SELECT revoked, expires_ns FROM tokens WHERE jti = ?", jti)
        return row is not None and not row["revoked"] and row["expires_ns"] > self._store.clock()

    def csrf(self, family: str) -> str:
        """What a page has to show with a change, bound to its login."""
        return hmac.new(self._key, b"csrf:" + family.encode(), "sha256").hexdigest()
