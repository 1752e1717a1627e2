"""Users of the API: add, list, remove, change passwords and one-time codes.

Law: done by the owner of the machine, on the machine; a password is asked for, never given on the command
line.  Every change is in the audit log.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from grinder.live.control import who
from grinder.web.access import totp
from grinder.web.access.audit import Audit
from grinder.web.access.store import AccessStore, access_file
from grinder.web.access.users import Users


@contextmanager
def _open(environment: Mapping[str, str], action: str, resource: str) -> Iterator[Users]:
    """The users; what is done with them is written down once it was done."""
    store = AccessStore(access_file(environment), time.time_ns)
    try:
        with store.transaction():
            yield Users(store)
            if action:
                Audit(store).write(who(), action, resource, "done", "local", secrets.token_hex(8))
    finally:
        store.close()


def list_users(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every user, without secrets."""
    with _open(environment, "", "") as users:
        return [one.as_dict() for one in users.all()]


def add_user(
    environment: Mapping[str, str], name: str, role: str, runs: Sequence[str], ask: Callable[[], str]
) -> dict[str, Any]:
    """Add a user; `ask` asks for the password.

    Raises:
        UserError: name, role or password will not do.
    """
    with _open(environment, "users.add", name) as users:
        return users.add(name, role, ask(), tuple(runs)).as_dict()


def remove_user(environment: Mapping[str, str], name: str) -> dict[str, Any]:
    """Remove a user and end the sessions.

    Raises:
        UserError: there is none.
    """
    with _open(environment, "users.remove", name) as users:
        users.remove(name)
    return {"name": name, "removed": True}


def set_password(environment: Mapping[str, str], name: str, ask: Callable[[], str]) -> dict[str, Any]:
    """Set a password and end the sessions.

    Raises:
        UserError: there is no such user, or the password will not do.
    """
    with _open(environment, "users.passwd", name) as users:
        users.require(name)
        users.set_password(name, ask())
        return users.require(name).as_dict()


def set_codes(environment: Mapping[str, str], name: str, *, off: bool) -> dict[str, Any]:
    """Switch one-time codes on, with a new secret that is shown this once, or off.

    Raises:
        UserError: there is no such user.
    """
    with _open(environment, "users.totp", f"{name} {'off' if off else 'on'}") as users:
        if off:
            users.remove_totp(name)
            return {"name": name, "totp": False}
        secret = users.new_totp(name)
    return {"name": name, "totp": True, "secret": secret, "address": totp.address(name, secret)}
