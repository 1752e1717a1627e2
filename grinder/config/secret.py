"""Keys that name secrets, wherever they are written.

Law: a secret is recognised by its key and refused before its value is looked at, kept or shown.
"""

from __future__ import annotations

from typing import Final

from grinder.config.refusals import refusal
from grinder.errors import ConfigError

_SECRET_NAMES: Final = frozenset(
    [
        "api_key",
        "apikey",
        "api_secret",
        "secret",
        "secret_key",
        "passphrase",
        "password",
        "token",
        "private_key",
    ]
)


def is_secret_name(name: str) -> bool:
    """Whether a key names a secret, in any spelling of case and dashes."""
    return name.lower().replace("-", "_") in _SECRET_NAMES


def secret_refusal(name: str, place: str) -> ConfigError:
    """The error for a secret among the settings.  Its value is not given, so it cannot leak."""
    return refusal(
        "config.secret",
        f"`{name}` is a secret and does not belong in the configuration",
        place=place,
        value="***",
        fix="take it out and replace it if the file was shared; secrets come from the environment, "
        "a keyring or a 0600 file",
    )
