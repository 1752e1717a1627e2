"""The keys to an account: where they are looked for, and which are refused.

Law: a secret comes from the environment, a keyring or a file only its owner can read, in this order, and from
nowhere else.  It is never printed: every representation leaves it out, and every secret that was read is
registered with the log's redaction.  A key that could move money away does not trade.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from actors.ports import Permissions
from grinder.errors import ConfigError, EnvironmentFault, UserError
from grinder.files import OWNER_ONLY, refuse_careless, replace_file, user_file
from grinder.observation.redaction import HIDDEN, register_secret

SERVICE: Final = "grinder"
"""Name of our entries in a keyring; the user name of an entry is the account's name."""

FILE_VARIABLE: Final = "GRINDER_SECRETS_FILE"
PARTS: Final = ("key", "secret", "passphrase")
TESTNET_SUFFIX: Final = "-testnet"
SIMULATED_KEY: Final = "grinder"
SIMULATED_PREFIX: Final = "sim-"
"""The key `grinder sim-exchange` takes unless told otherwise, and what others for it should begin with: these
are recognised wherever they turn up."""


def shortened(key: str) -> str:
    """A key as it may be shown: enough to recognise it, too little to use it."""
    return f"{key[:4]}{HIDDEN}" if len(key) >= 12 else HIDDEN


@attrs.frozen
class Credentials:
    """What signs requests on one account.

    Attributes:
        key: the public half; it is sent with every request.
        secret: what signs; never sent.
        passphrase: a third part some exchanges want; empty elsewhere.
        purpose: ``testnet`` or ``sim`` for keys kept for these alone; empty for all others.
    """

    key: str = attrs.field(repr=shortened)
    secret: str = attrs.field(repr=False)
    passphrase: str = attrs.field(default="", repr=False)
    purpose: str = ""

    def __attrs_post_init__(self) -> None:
        register_secret(self.key, self.secret, self.passphrase)

    @property
    def is_for_testing(self) -> bool:
        """Whether it is known that no real money is behind it."""
        is_simulated = self.key == SIMULATED_KEY or self.key.startswith(SIMULATED_PREFIX)
        return bool(self.purpose) or is_simulated


class SecretsError(ConfigError):
    """A key is missing, kept carelessly, or may do too much."""


# --- which key a run may use ---------------------------------------------------------------------------


def judge(permissions: Permissions, credentials: Credentials, mode: str) -> None:
    """Let a run trade with a key, or refuse it.

    Args:
        permissions: what the exchange says the key may do.
        mode: ``live`` for real money; anything else is a test.

    Raises:
        SecretsError: it may withdraw, it may not trade, or it is a test key and the money is real.
    """
    refuse_test_key(credentials, mode)
    if mode == "live" and permissions.withdraw:
        raise SecretsError(
            "secrets.withdraw",
            "this key may withdraw; whoever gets hold of it can take everything",
            value=shortened(credentials.key),
            fix="make a key at the exchange that may read and trade, without withdrawals, and store that",
        )
    if not permissions.trade:
        raise SecretsError(
            "secrets.no_trade",
            f"this key may not trade{': ' + permissions.text if permissions.text else ''}",
            value=shortened(credentials.key),
            fix="allow trading for the key at the exchange, and list this machine's address",
        )


def refuse_test_key(credentials: Credentials, mode: str) -> None:
    """Refuse a key that is known to be for testing where the money is real; asks nobody.

    Raises:
        SecretsError: it is one, and it is.
    """
    if mode == "live" and credentials.is_for_testing:
        raise SecretsError(
            "secrets.test_key",
            "this key is for testing, and --live trades with real money",
            value=shortened(credentials.key),
            fix="store the key of the real account, or use --testnet",
        )


# --- looking for it ------------------------------------------------------------------------------------


def account_name(exchange: str, mode: str = "live") -> str:
    """The name an account's secrets are kept under; test networks have their own."""
    return exchange + (TESTNET_SUFFIX if mode == "testnet" else "")


def look_up(
    account: str, environment: Mapping[str, str], *, file: Path | None = None, use_keyring: bool = True
) -> Credentials | None:
    """The credentials of an account; None when there are none anywhere.

    Args:
        account: see `account_name`.
        file: the secrets file; by default the one `secrets_file` names.

    Raises:
        SecretsError: half of them are in the environment, an entry cannot be read, or the file can be read by
            others or is not ours.
        EnvironmentFault: the file cannot be read.
    """
    found = _from_environment(account, environment)
    if found is None and use_keyring:
        found = _from_keyring(account)
    if found is not None:
        return found
    path = file or secrets_file(environment)
    entries = read_file(path)
    return _credentials(entries[account], account, str(path)) if account in entries else None


def require(account: str, environment: Mapping[str, str], *, file: Path | None = None) -> Credentials:
    """As `look_up`, for a run that cannot do without.

    Raises:
        SecretsError: there are none.
    """
    found = look_up(account, environment, file=file)
    if found is None:
        key, secret, _ = variables(account)
        raise SecretsError(
            "secrets.missing",
            f"there is no key for {account}",
            fix=f"run `grinder secrets set {account}`, or set {key} and {secret}",
        )
    return found


def places(
    account: str, environment: Mapping[str, str], file: Path | None = None
) -> Iterator[tuple[str, str]]:
    """Every place that holds credentials of an account, the one that counts first: (place, shortened key)."""
    from_environment = _from_environment(account, environment)
    if from_environment is not None:
        yield "environment", shortened(from_environment.key)
    from_keyring = _from_keyring(account)
    if from_keyring is not None:
        yield "keyring", shortened(from_keyring.key)
    path = file or secrets_file(environment)
    entries = read_file(path)
    if account in entries:
        yield str(path), shortened(_credentials(entries[account], account, str(path)).key)


def variables(account: str) -> tuple[str, str, str]:
    """Names of the environment variables of an account: key, secret, passphrase."""
    name = account.upper().replace("-", "_")
    return (f"GRINDER_{name}_KEY", f"GRINDER_{name}_SECRET", f"GRINDER_{name}_PASSPHRASE")


def _from_environment(account: str, environment: Mapping[str, str]) -> Credentials | None:
    names = variables(account)
    key, secret, passphrase = (environment.get(name, "").strip() for name in names)
    if not key and not secret:
        return None
    register_secret(key, secret, passphrase)
    if not key or not secret:
        missing, given = (names[0], names[1]) if not key else (names[1], names[0])
        raise SecretsError(
            "secrets.half",
            f"{given} is set and {missing} is not",
            place=missing,
            fix=f"set {missing} as well",
        )
    return Credentials(key, secret, passphrase, _purpose(account))


def _purpose(account: str) -> str:
    return "testnet" if account.endswith(TESTNET_SUFFIX) else ""


def _credentials(entry: Any, account: str, place: str) -> Credentials:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(part, ""), str) for part in PARTS):
        entry = {}
    key, secret, passphrase = (entry.get(part, "").strip() for part in PARTS)
    if not key or not secret:
        raise SecretsError(
            "secrets.unreadable",
            f"the entry of {account} holds no key and secret",
            place=place,
            fix=f"run `grinder secrets set {account}`",
        )
    return Credentials(key, secret, passphrase, _purpose(account))


# --- the keyring ---------------------------------------------------------------------------------------


def _keyring() -> Any | None:
    """The keyring library, imported only when somebody looks there; None without it or without a keyring."""
    try:
        import keyring
        from keyring.backends.fail import Keyring as NoKeyring
    except ImportError:
        return None
    return None if isinstance(keyring.get_keyring(), NoKeyring) else keyring


def _from_keyring(account: str) -> Credentials | None:
    keyring = _keyring()
    if keyring is None:
        return None
    from keyring.errors import KeyringError

    try:
        stored = keyring.get_password(SERVICE, account)
    except KeyringError:
        return None  # locked, or nobody there to unlock it: the next place is asked
    if not stored:
        return None
    try:
        entry = json.loads(stored)
    except ValueError:
        register_secret(stored)
        entry = None
    return _credentials(entry, account, "keyring")


def store_in_keyring(account: str, credentials: Credentials) -> None:
    """Keep credentials in the keyring.

    Raises:
        EnvironmentFault: there is no keyring, or it refuses.
    """
    keyring = _keyring()
    if keyring is None:
        raise EnvironmentFault(
            "secrets.no_keyring",
            "there is no keyring on this machine",
            fix="leave --keyring out: the secrets go into a file only you can read",
        )
    from keyring.errors import KeyringError

    try:
        keyring.set_password(SERVICE, account, json.dumps(_entry(credentials)))
    except KeyringError as error:
        raise EnvironmentFault(
            "secrets.keyring",
            f"the keyring refuses: {type(error).__name__}",
            fix="unlock it, or use the file",
        ) from None


def remove_from_keyring(account: str) -> bool:
    """Take credentials out of the keyring; whether there were any."""
    keyring = _keyring()
    if keyring is None:
        return False
    from keyring.errors import KeyringError

    try:
        keyring.delete_password(SERVICE, account)
    except KeyringError:
        return False
    return True


def _entry(credentials: Credentials) -> dict[str, str]:
    values = (credentials.key, credentials.secret, credentials.passphrase)
    return {part: value for part, value in zip(PARTS, values, strict=True) if value}


# --- the file ------------------------------------------------------------------------------------------


def secrets_file(environment: Mapping[str, str]) -> Path:
    """Where the secrets file is: what `GRINDER_SECRETS_FILE` says, or in the user's configuration folder."""
    return user_file(environment, FILE_VARIABLE, "secrets.json")


def read_file(path: Path) -> dict[str, Any]:
    """The entries of a secrets file by account; empty when there is no file.

    Raises:
        SecretsError: others can read it, it is not ours, or it is not a secrets file.
        EnvironmentFault: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            refuse_careless(os.fstat(file.fileno()), path, "secrets.file", "the secrets file", SecretsError)
            found = json.loads(file.read())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise EnvironmentFault(
            "secrets.file", f"the secrets file cannot be read: {error.strerror}", place=str(path),
            fix="make it a file that you may read",
        ) from error  # fmt: skip
    except ValueError:
        # Neither the text nor the JSON error is kept: both can hold a piece of a secret.
        raise _not_a_file(path) from None
    if not isinstance(found, dict):
        raise _not_a_file(path)
    return found


def write_entry(path: Path, account: str, credentials: Credentials | None) -> None:
    """Put an account's credentials into a secrets file, or take them out; the file is replaced in one step.

    Raises:
        EnvironmentFault: it cannot be written.
        SecretsError: an existing one is kept carelessly, or is not a secrets file.
    """
    entries = read_file(path)
    entries.pop(account, None)
    if credentials is not None:
        entries[account] = _entry(credentials)
    content = json.dumps(entries, indent=2, sort_keys=True).encode() + b"\n"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, content, OWNER_ONLY, alone=False)
    except OSError as error:
        raise EnvironmentFault(
            "secrets.file", f"the secrets file cannot be written: {error.strerror}", place=str(path),
            fix=f"choose another place with {FILE_VARIABLE}",
        ) from error  # fmt: skip


def _not_a_file(path: Path) -> UserError:
    return SecretsError(
        "secrets.unreadable",
        "this is not a secrets file: a JSON object of accounts is expected",
        place=str(path),
        fix="move it away and run `grinder secrets set`",
    )
