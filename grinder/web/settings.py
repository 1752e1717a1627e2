"""How the API is served, checked before anything is opened.

Law: this machine alone, unless there are both TLS and a user.  There is no default password; without users
the API shows and, where the owner asked for it with --no-login, takes commands, from this machine only.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path

import attrs

from grinder.errors import UserError
from grinder.observation.redaction import REDACTOR

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")

WEBHOOK_SECRET = "GRINDER_WEBHOOK_SECRET"
WEBHOOK_TOKEN = "GRINDER_WEBHOOK_TOKEN"
METRICS_TOKEN = "GRINDER_METRICS_TOKEN"

SHORTEST_SECRET = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Addresses and networks.

    Raises:
        UserError: one is neither.
    """
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text, strict=False))
        except ValueError:
            raise UserError(
                "ui.address",
                "this is neither an address nor a network",
                value=text,
                fix="write 52.89.214.238 or 10.0.0.0/8",
            ) from None
    return tuple(found)


@attrs.frozen(kw_only=True)
class WebSettings:
    """How the API is served.

    Attributes:
        host, port: where it listens; port 0 is any free one.
        access_file: the database of users, sessions and the audit log.
        no_login: commands are taken from this machine without a user.
        names: further host names it may be called by.
        origins: web origins whose pages may call it.
        trusted_proxies: peers whose ``X-Forwarded-For`` is believed.
        webhook_allow: addresses alerts may come from; empty: any that shows a token or signature.
        market: whether the market overview may ask the internet.
        model: folder of the model that decides; None: the rules do.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    access_file: Path
    no_login: bool = False
    tls_cert: Path | None = None
    tls_key: Path | None = None
    names: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    trusted_proxies: tuple[Network, ...] = ()
    webhook_allow: tuple[Network, ...] = ()
    webhook_secret: str = attrs.field(default="", repr=False)
    webhook_token: str = attrs.field(default="", repr=False)
    metrics_token: str = attrs.field(default="", repr=False)
    market: bool = False
    model: Path | None = None

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in LOOPBACK_NAMES

    @property
    def tls(self) -> bool:
        """Whether it is served over TLS."""
        return self.tls_cert is not None

    def check(self, users: int) -> None:
        """Refuse what would be careless.

        Args:
            users: how many users there are.

        Raises:
            UserError: what is missing.
        """
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UserError("ui.tls", "TLS takes a certificate and its key", fix="give both")
        if not self.loopback and not (self.tls and users):
            raise UserError(
                "ui.exposed",
                "other machines may reach the API only over TLS and with a login",
                value=self.host,
                fix="give --tls-cert and --tls-key, run `grinder users add`, or listen on 127.0.0.1",
            )
        if self.no_login and not self.loopback:
            raise UserError("ui.no_login", "--no-login is for this machine alone", value=self.host,
                            fix="leave out --no-login or --host")  # fmt: skip
        for name, secret in (
            (WEBHOOK_SECRET, self.webhook_secret),
            (WEBHOOK_TOKEN, self.webhook_token),
            (METRICS_TOKEN, self.metrics_token),
        ):
            if secret and len(secret) < SHORTEST_SECRET:
                raise UserError(
                    "ui.secret",
                    f"a secret shorter than {SHORTEST_SECRET} characters can be guessed",
                    place=name,
                    fix="draw one with `openssl rand -hex 32`",
                )


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The secrets of the settings; they are hidden in every log from here on."""
    found = {
        "webhook_secret": environment.get(WEBHOOK_SECRET, ""),
        "webhook_token": environment.get(WEBHOOK_TOKEN, ""),
        "metrics_token": environment.get(METRICS_TOKEN, ""),
    }
    REDACTOR.register(found.values())
    return found
