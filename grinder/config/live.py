"""How a run on an exchange, or on paper, is conducted, watched and recorded.

Law: nothing here changes what the core decides from what it learns; it says when the world is asked, who is
told, and what is kept.  A secret is named by the variable that holds it, never written here.
"""

from __future__ import annotations

from typing import Final

from attrs import Factory, field, frozen

from grinder.config.choices import AlertFormat, AlertLevel
from grinder.config.setting import about

VARIABLE_NAME: Final = "[A-Z][A-Z0-9_]{0,63}"
CHANNEL_NAME: Final = "[A-Za-z0-9._-]{1,40}"


@frozen(kw_only=True)
class Live:
    """How a run on an exchange is conducted."""

    reconcile_seconds: int = field(
        default=60,
        metadata=about(
            "Time between two comparisons of the books with the exchange.",
            unit="s",
            example=60,
            at_least=5,
            at_most=3600,
        ),
    )
    stale_seconds: int = field(
        default=20,
        metadata=about(
            "A stream silent for longer is stale: it is renewed, and no new order leaves meanwhile.",
            unit="s",
            example=20,
            at_least=2,
            at_most=600,
        ),
    )
    dead_man_seconds: int = field(
        default=60,
        metadata=about(
            "The exchange (or the supervisor) cancels all orders after this long without us; 0 is never.",
            unit="s",
            example=60,
            at_least=0,
            at_most=3600,
        ),
    )
    clock_drift_ms: int = field(
        default=1000,
        metadata=about(
            "Largest difference from the exchange's clock; beyond it no new order leaves.",
            unit="ms",
            example=1000,
            at_least=10,
            at_most=60_000,
        ),
    )
    requests: int | None = field(
        default=None,
        metadata=about(
            "Most order requests in any window of `request_window_seconds`; 0 is no limit of ours.",
            unit="requests",
            example=50,
            default_text="the exchange's own rate, a fifth of it for cancels only",
            at_least=0,
            at_most=1_000_000,
        ),
    )
    request_reserve: int = field(
        default=0,
        metadata=about(
            "How many of `requests` only cancels may use.",
            unit="requests",
            example=10,
            at_least=0,
            at_most=1_000_000,
        ),
    )
    request_window_seconds: int = field(
        default=10,
        metadata=about("The window of `requests`.", unit="s", example=10, at_least=1, at_most=86_400),
    )
    drain_seconds: int = field(
        default=5,
        metadata=about(
            "How long a stop waits for what is under way.", unit="s", example=5, at_least=0, at_most=60
        ),
    )
    disk_free_mb: int = field(
        default=256,
        metadata=about(
            "With less room on the disk no new order leaves; cancels and fills still work.",
            unit="MB",
            example=256,
            at_least=16,
            at_most=1_000_000,
        ),
    )
    keep_awake: bool = field(
        default=False,
        metadata=about(
            "Keep the processors from sleeping, so that orders leave sooner; it costs power, and needs leave"
            " to write to /dev/cpu_dma_latency.",
            example=False,
        ),
    )


@frozen(kw_only=True)
class Webhook:
    """Who is told of alerts."""

    url_from: str = field(
        metadata=about(
            "Name of the environment variable that holds the address, which is a secret.",
            example="OPS_WEBHOOK_URL",
            pattern=VARIABLE_NAME,
        )
    )
    format: AlertFormat = field(
        default=AlertFormat.GENERIC, metadata=about("How alerts are written.", example="slack")
    )
    level: AlertLevel = field(
        default=AlertLevel.WARNING, metadata=about("The least alerts that are sent.", example="warning")
    )


@frozen(kw_only=True)
class Observe:
    """What is shown of a run to programs and people."""

    metrics_port: int = field(
        default=0,
        metadata=about(
            "Port on 127.0.0.1 for /metrics, /livez and /readyz; 0 is none.",
            example=9464,
            at_least=0,
            at_most=65_535,
        ),
    )
    log_file: str = field(
        default="",
        metadata=about(
            "File the log also goes to, in the run's folder unless its path is absolute; empty for none.",
            example="grinder.log",
            pattern="[^\\x00-\\x1f]{0,200}",
        ),
    )
    alerts: dict[str, Webhook] = field(
        default=Factory(dict),
        metadata=about(
            "Who is told of alerts, by a name of yours.",
            example={"ops": {"url_from": "OPS_WEBHOOK_URL", "format": "slack"}},
            names=CHANNEL_NAME,
        ),
    )


@frozen(kw_only=True)
class Recording:
    """What is kept beside the ledger."""

    tape: bool = field(
        default=True,
        metadata=about("Keep every raw frame, so that the whole path can be proven.", example=True),
    )
    segment_mb: int = field(
        default=64,
        metadata=about(
            "Frames kept in one file of the tape, before compression.",
            unit="MB",
            example=64,
            at_least=1,
            at_most=4096,
        ),
    )
