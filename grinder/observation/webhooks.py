"""Webhooks: how an alert is written for each kind of receiver, and how it is posted.

Law: the address is a secret: it comes from the environment, is never shown, and what a failure says names
only a status.  Nothing is sent unencrypted to another machine, and no redirection is followed.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit, urlunsplit

from grinder.errors import ConfigError
from grinder.observation.alerts import CRITICAL, INFO, LEVELS, NS, WARNING, DeliveryFailed, Told
from grinder.observation.redaction import register_secret

TIMEOUT_S: Final = 5.0
LONGEST_SLACK: Final = 12_000
LONGEST_DISCORD: Final = 2_000
"""Characters those services take in one message."""

_MARKS: Final = {INFO: "ℹ️", WARNING: "⚠️", CRITICAL: "🚨"}
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")

Format = Callable[[list[Told], str, str], list[dict[str, Any]]]
"""Bodies to post for a batch, in order: (batch, name of the run, routing key)."""


def time_text(ts_ns: int) -> str:
    """UTC, to the millisecond."""
    seconds, rest = divmod(ts_ns, NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 10**6:03d}Z"


def one_line(told: Told) -> str:
    """An alert as a line for people."""
    alert = told.alert
    about = f" {alert.symbol}" if alert.symbol else ""
    detail = "".join(f" · {name} {value}" for name, value in alert.detail.items())
    again = f" (and {told.held_back} more of these since the last)" if told.held_back else ""
    return f"{alert.level} {alert.kind}{about}: {alert.text}{detail}{again}"


def generic(batch: list[Told], run: str, routing_key: str) -> list[dict[str, Any]]:
    """One JSON object with all alerts."""
    return [
        {
            "source": "grinder",
            "run": run,
            "alerts": [
                {
                    "ts": time_text(told.ts_ns),
                    "level": told.alert.level,
                    "kind": told.alert.kind,
                    "symbol": told.alert.symbol,
                    "text": told.alert.text,
                    "detail": told.alert.detail,
                    "held_back": told.held_back,
                }
                for told in batch
            ],
        }
    ]


def slack(batch: list[Told], run: str, routing_key: str) -> list[dict[str, Any]]:
    """A message of an incoming webhook; nothing in it can mention anybody or make a link."""
    lines = "\n".join(f"{_MARKS[told.alert.level]} {one_line(told)}" for told in batch)
    safe = lines.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return [{"text": _cut(f"{run}\n{safe}", LONGEST_SLACK)}]


def discord(batch: list[Told], run: str, routing_key: str) -> list[dict[str, Any]]:
    """Messages of a Discord webhook, as many as their length needs."""
    messages = [run]
    for told in batch:
        line = _cut(f"{_MARKS[told.alert.level]} {one_line(told)}", LONGEST_DISCORD)
        if len(messages[-1]) + 1 + len(line) > LONGEST_DISCORD:
            messages.append(line)
        else:
            messages[-1] += "\n" + line
    return [{"content": _cut(text, LONGEST_DISCORD), "allowed_mentions": {"parse": []}} for text in messages]


def pagerduty(batch: list[Told], run: str, routing_key: str) -> list[dict[str, Any]]:
    """Events of the Events API v2, one for each alert; a repeated one joins the open incident."""
    severity = {INFO: "info", WARNING: "warning", CRITICAL: "critical"}
    return [
        {
            "routing_key": routing_key,
            "event_action": "trigger",
            "dedup_key": f"grinder/{run}/{told.alert.kind}/{told.alert.symbol}",
            "payload": {
                "summary": _cut(one_line(told), 1024),
                "source": run or "grinder",
                "severity": severity[told.alert.level],
                "timestamp": time_text(told.ts_ns),
                "component": "grinder",
                "class": told.alert.kind,
                "custom_details": {**told.alert.detail, "symbol": told.alert.symbol},
            },
        }
        for told in batch
    ]


FORMATS: Final[dict[str, Format]] = {
    "generic": generic,
    "slack": slack,
    "discord": discord,
    "pagerduty": pagerduty,
}


class WebhookSink:
    """A receiver behind an address.

    Args:
        name: what the log and the metrics call it.
        url: its address, a secret.  For ``pagerduty`` it carries the routing key as ``?routing_key=...``,
            which is sent in the body and not in the address.
        kind: one of `FORMATS`.
        level: the least level it is told of, in any case.
        run: name of the run, shown in every message.

    Raises:
        ConfigError: the address cannot be used.
    """

    def __init__(self, name: str, url: str, kind: str, level: str = WARNING, run: str = "") -> None:
        self.name = name
        # A PagerDuty event wakes somebody up: warnings do not.
        self.level = CRITICAL if kind == "pagerduty" else level.upper()
        if self.level not in LEVELS:
            raise ValueError(f"level {level!r}: use INFO, WARNING or CRITICAL")
        register_secret(url)
        self._format = FORMATS[kind]
        self._run = run
        self._url, self._routing_key = _usable(name, url, kind)
        self._batch: list[Told] = []
        self._taken = 0

    def deliver(self, batch: list[Told]) -> None:
        """Post a batch; after a failure in the middle, a retry goes on where it stopped."""
        if batch is not self._batch:
            self._batch, self._taken = batch, 0
        for body in self._format(batch, self._run, self._routing_key)[self._taken :]:
            post(self._url, body)
            self._taken += 1


def post(url: str, body: dict[str, Any]) -> None:
    """Post one JSON object, waiting at most `TIMEOUT_S` for each step.

    Raises:
        DeliveryFailed: any answer but 2xx, or none.
    """
    request = urllib.request.Request(
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "grinder"},
        method="POST",
    )
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            answer.read(4096)
    except urllib.error.HTTPError as error:
        error.close()
        raise DeliveryFailed(f"HTTP {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # What it says may hold the address: its kind is enough.
        reason = getattr(error, "reason", error)
        raise DeliveryFailed(type(reason).__name__) from None


def webhook_sinks(alerts: Mapping[str, Any], environment: Mapping[str, str], run: str) -> list[WebhookSink]:
    """The receivers of a configuration's `observe.alerts`.

    Raises:
        ConfigError: a variable that should hold an address is not set, or holds none.
    """
    sinks = []
    for name, webhook in alerts.items():
        url = environment.get(webhook.url_from, "").strip()
        if not url:
            raise ConfigError(
                "alert.webhook_missing",
                f"the address of alert receiver `{name}` is not set",
                place=webhook.url_from,
                fix=f"set {webhook.url_from}, or take observe.alerts.{name} out",
            )
        sinks.append(WebhookSink(name, url, str(webhook.format.value), str(webhook.level.value), run))
    return sinks


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """An address that points elsewhere is not the one that was configured."""

    def redirect_request(self, *arguments: Any, **named: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirection)


def _usable(name: str, url: str, kind: str) -> tuple[str, str]:
    """The address to post to, and the routing key."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    if not host or parts.scheme not in ("http", "https"):
        raise _unusable(name, "is no address of the web", "use one that begins with https://")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise _unusable(name, "is not encrypted", "use one that begins with https://")
    if kind != "pagerduty":
        return url, ""
    routing_key = parse_qs(parts.query).get("routing_key", [""])[0]
    if not routing_key:
        raise _unusable(name, "names no routing key", "append ?routing_key= and the integration key")
    register_secret(routing_key)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), routing_key


def _unusable(name: str, what: str, fix: str) -> ConfigError:
    return ConfigError(
        "alert.webhook", f"the address of alert receiver `{name}` {what}", value="***", fix=fix
    )


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
