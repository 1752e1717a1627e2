"""Passwords, kept as scrypt hashes with their own salt and cost.

Law: a password is never stored, logged or compared as text; checking one takes as long for a user who does
not exist as for one who does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

from grinder.errors import UserError

COST: Final = 15
"""log2 of scrypt's N: about 32 MB and a tenth of a second."""

SHORTEST: Final = 10
LONGEST: Final = 256

_R, _P, _BYTES = 8, 1, 32


def hashed(password: str, cost: int = COST) -> str:
    """A password's hash, with everything needed to check it.

    Raises:
        UserError: it is too short or too long.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise UserError(
            "users.password",
            f"a password has {SHORTEST} to {LONGEST} characters",
            value=f"{len(password)} characters",
            fix="choose a longer one, such as four words",
        )
    salt = secrets.token_bytes(16)
    return "$".join(("scrypt", str(cost), _text(salt), _text(_scrypt(password, salt, cost))))


def matches(password: str, stored: str) -> bool:
    """Whether a password is the one that was hashed."""
    _, cost, salt, digest = stored.split("$")
    found = _scrypt(password[:LONGEST], base64.b64decode(salt), int(cost))
    return hmac.compare_digest(found, base64.b64decode(digest))


def nobody(cost: int = COST) -> str:
    """A hash no password matches, to spend the same time on."""
    return "$".join(("scrypt", str(cost), _text(secrets.token_bytes(16)), _text(secrets.token_bytes(_BYTES))))


def _scrypt(password: str, salt: bytes, cost: int) -> bytes:
    n = 1 << cost
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=_R, p=_P, maxmem=256 * n * _R, dklen=_BYTES)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
