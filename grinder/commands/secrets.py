"""Keeping the keys of accounts: set, list, remove.

Law: a secret is read from a prompt or from standard input, never from an argument, which other users of the
machine could see; and none is ever printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from grinder.config.choices import Exchange
from grinder.errors import UserError
from grinder.secrets import (
    TESTNET_SUFFIX,
    Credentials,
    account_name,
    places,
    remove_from_keyring,
    secrets_file,
    shortened,
    store_in_keyring,
    variables,
    write_entry,
)

NAMES = tuple(one.value for one in Exchange if one not in (Exchange.SIMULATED, Exchange.OTHER))
NEEDS_PASSPHRASE = ("okx",)


def set_secrets(
    account: str, lines: list[str], environment: Mapping[str, str], *, keyring: bool
) -> dict[str, Any]:
    """Keep an account's credentials.

    Args:
        lines: key, secret and, where the exchange wants one, passphrase.

    Raises:
        UserError: something is missing, or the place refuses.
    """
    require_name(account)
    parts = [line.strip() for line in lines]
    key, secret, passphrase = (*parts, "", "", "")[:3]
    if not key or not secret:
        raise UserError(
            "secrets.incomplete",
            "a key and a secret are needed",
            fix="give the key, the secret and, for OKX, the passphrase, one on each line",
        )
    if exchange_of(account) in NEEDS_PASSPHRASE and not passphrase:
        raise UserError(
            "secrets.incomplete",
            f"{account} needs a passphrase as well",
            fix="give the passphrase that was chosen when the key was made, on the third line",
        )
    credentials = Credentials(key, secret, passphrase)
    if keyring:
        store_in_keyring(account, credentials)
        place = "keyring"
    else:
        path = secrets_file(environment)
        write_entry(path, account, credentials)
        place = str(path)
    return {"account": account, "place": place, "key": shortened(key)}


def list_secrets(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Every place that holds credentials; of one account, the first counts."""
    from grinder.secrets import read_file

    stored = [name for name in read_file(secrets_file(environment)) if exchange_of(name) not in NAMES]
    known = [account_name(name, mode) for name in NAMES for mode in ("live", "testnet")]
    return [
        {"account": account, "place": place, "key": key}
        for account in (*known, *sorted(stored))
        for place, key in places(account, environment)
    ]


def remove_secrets(account: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """Take an account's credentials out of the keyring and the file.

    Raises:
        UserError: there were none, or they are in the environment, which a program cannot change for others.
    """
    found = [place for place, _ in places(account, environment)]
    removed = []
    if remove_from_keyring(account):
        removed.append("keyring")
    path = secrets_file(environment)
    if str(path) in found:
        write_entry(path, account, None)
        removed.append(str(path))
    if "environment" in found:
        key, secret, _ = variables(account)
        raise UserError(
            "secrets.environment",
            f"{account} is still set in the environment",
            place=key,
            fix=f"unset {key} {secret}",
        )
    if not removed:
        raise UserError("secrets.missing", f"there is no key for {account}", fix="see `grinder secrets list`")
    return {"account": account, "removed": removed}


def exchange_of(account: str) -> str:
    """The exchange an account is on."""
    return account.removesuffix(TESTNET_SUFFIX)


def require_name(account: str) -> None:
    """Raises UserError: the name cannot be an account's."""
    if not account or not all(one.isalnum() or one == "-" for one in account) or account != account.lower():
        raise UserError(
            "secrets.account",
            "an account is named after its exchange",
            value=account,
            fix=f"use one of {', '.join(NAMES)}, with `{TESTNET_SUFFIX}` for a test network",
        )
