"""One-time codes by time (RFC 6238) over counters (RFC 4226).

Law: a code counts for its own half minute and the ones beside it, and only once: whoever checks one keeps the
step it belonged to and never accepts that step or an earlier one again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final
from urllib.parse import quote

STEP_S: Final = 30
SKEW: Final = 1
DIGITS: Final = 6
NS: Final = 10**9


def code(secret: bytes, counter: int, digits: int = DIGITS, algorithm: str = "sha1") -> str:
    """The code of a counter."""
    mac = hmac.new(secret, counter.to_bytes(8, "big"), getattr(hashlib, algorithm)).digest()
    at = mac[-1] & 15
    number = int.from_bytes(mac[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def new_secret() -> str:
    """A secret, in the letters authenticator apps read."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def secret_bytes(text: str) -> bytes:
    """The secret behind such letters.

    Raises:
        ValueError: they are none.
    """
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def step_of(now_ns: int) -> int:
    """The half minute it is."""
    return now_ns // (STEP_S * NS)


def accepted_step(secret: str, given: str, now_ns: int, last_step: int) -> int | None:
    """The step a code belongs to; None if it is wrong, too old or used.

    Args:
        last_step: of the code that was accepted last; 0 if none was.
    """
    if len(given) != DIGITS or not given.isascii() or not given.isdigit():
        return None
    raw, now = secret_bytes(secret), step_of(now_ns)
    for step in range(now - SKEW, now + SKEW + 1):
        if step > last_step and hmac.compare_digest(code(raw, step), given):
            return step
    return None


def address(user: str, secret: str) -> str:
    """What an authenticator app scans."""
    return (
        f"otpauth://totp/grinder:{quote(user)}?secret={secret}&issuer=grinder&digits={DIGITS}&period={STEP_S}"
    )
