"""Secrets are taken out of whatever is shown: by the name of their key and by their value.

Law: what was registered as a secret appears in no text that passed through here, in none of the spellings a
library may give it (as it is, escaped for JSON, quoted by `repr`, percent-encoded).  Redaction never fails:
what it cannot look into becomes text first.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote, quote_plus

HIDDEN: Final = "***"

SHORTEST: Final = 8
"""Shorter texts are not registered: they would be found in ordinary words, and no exchange issues them."""

DEEPEST: Final = 24
"""Containers inside containers; what lies deeper is shown as text."""

_NAMED: Final = re.compile(
    r"secret|passw|passphrase|token|api-?key|private-?key|authori[sz]ation|cookie|credential|signature"
    r"|listen-?key|routing-?key|webhook|(^|-)(sign|sig|hmac|otp|totp|pin)$",
)
"""Keys whose values are hidden, looked for in lower case with `_` and blanks written as `-`."""

_INSIDE_TEXT: Final = re.compile(
    r"""(?ix) ( (?: api[-_]?key | api[-_]?secret | secret | signature | passphrase | password | listen[-_]?key
        | access[-_]?token | token | routing[-_]?key ) ["']? \s* [=:] \s* ["']? ) ( [^&\s"',;}\])]+ )"""
)
"""A secret's name and its value inside a text, such as the query of an address."""


class Redactor:
    """Knows the secrets of a process and takes them out.  Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spellings: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def register(self, secrets: Iterable[str]) -> None:
        """From now on these texts are hidden; those shorter than `SHORTEST` are not."""
        fresh = {
            spelling
            for secret in secrets
            if len(secret) >= SHORTEST
            for spelling in _spellings(secret)
            if len(spelling) >= SHORTEST
        }
        with self._lock:
            if fresh <= self._spellings:
                return
            self._spellings |= fresh
            # The longest first, so that a secret that contains another leaves no rest of itself.
            ordered = sorted(self._spellings, key=lambda one: (-len(one), one))
            self._known = re.compile("|".join(map(re.escape, ordered)))

    def text(self, text: str) -> str:
        """A text without secrets."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _INSIDE_TEXT.sub(rf"\1{HIDDEN}", text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """The same value for showing: containers copied, secrets hidden, anything unusual as text."""
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, str):
            return self.text(value)
        if depth >= DEEPEST:
            return self.text(_shown(value))
        if isinstance(value, dict):
            return {self.text(str(key)): self._under(key, one, depth + 1) for key, one in value.items()}
        if isinstance(value, (list, tuple, set, frozenset)):
            return [self.value(one, depth + 1) for one in value]
        if isinstance(value, (bytes, bytearray)):
            return self.text(bytes(value).decode("utf-8", "backslashreplace"))
        return self.text(_shown(value))

    def _under(self, key: object, value: Any, depth: int) -> Any:
        if is_sensitive(str(key)) and value not in (None, "", True, False):
            return HIDDEN
        return self.value(value, depth)


def is_sensitive(key: str) -> bool:
    """Whether a key names a secret, in any spelling."""
    return _NAMED.search(key.lower().replace("_", "-").replace(" ", "-")) is not None


def _spellings(secret: str) -> set[str]:
    """How a secret may be written by those who show it."""
    escaped = json.dumps(secret)[1:-1]
    return {
        secret,
        escaped,
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        ascii(secret)[1:-1],
        escaped.replace("/", "\\/"),
        repr(repr(secret)[1:-1])[1:-1],  # the text of an exception inside the `repr` of that exception
        json.dumps(repr(secret)[1:-1])[1:-1],
        secret.encode("utf-8", "backslashreplace").decode("latin-1"),
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
    }


def _shown(value: object) -> str:
    return str(value) if isinstance(value, BaseException) else repr(value)


REDACTOR: Final = Redactor()
"""The secrets of this process.  The one thing here that is shared by all: a secret has to be hidden from
every log, also from those of libraries that nobody handed anything to."""


def register_secret(*secrets: str) -> None:
    """Hide these texts from now on in everything this process shows."""
    REDACTOR.register(secrets)


def redacted(text: str) -> str:
    """A text as it may be shown."""
    return REDACTOR.text(text)
