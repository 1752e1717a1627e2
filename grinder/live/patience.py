"""How fast a run's time passes, and how long its session waits for what.

Law: computed from the configuration and the feed alone.  On a market that is played fast, a hiccup of this
machine is hours there, so silence is judged by our time.
"""

from __future__ import annotations

import attrs

from domain.account_state import AccountState
from grinder.live.feeds import parse_feed
from grinder.live.session import SessionSettings
from grinder.live.spec import PAPER, RunSpec
from grinder.scaling import FEWEST_DECIMALS

PATIENCE = (
    "request_timeout_s",
    "acknowledgement_s",
    "cancel_confirm_s",
    "cancel_all_s",
    "fills_every_s",
    "degraded_every_s",
    "stale_after_s",
    "stuck_every_s",
    "pending_s",
    "stuck_s",
    "missing_s",
    "difference_s",
    "quote_pause_s",
    "quote_cancel_s",
    "clock_every_s",
    "rules_every_s",
    "ping_s",
)
"""Settings of the session that say how long something may be silent or how often to look."""


def speed_of(spec: RunSpec) -> float:
    """How much faster than ours the time of a run passes."""
    return parse_feed(spec.feed).speed if spec.mode == PAPER else 1.0


def pace_of(spec: RunSpec) -> float:
    """Seconds of a run's time in one of ours, at least 1: a slow market needs no patience."""
    return max(1.0, speed_of(spec))


def settings_of(spec: RunSpec, books: AccountState, known_ns: int) -> SessionSettings:
    """The session's settings of a configuration; the ledger holds every execution up to `known_ns`."""
    live = spec.config.live
    pace = pace_of(spec)
    usual = SessionSettings(
        ledger_id=spec.ledger_id,
        known_until_ns=known_ns,
        reconcile_every_s=max(float(live.reconcile_seconds), pace / 4),
        stale_after_s=float(live.stale_seconds),
        quote_pause_s=float(live.stale_seconds),
        quote_cancel_s=float(max(120, 4 * live.stale_seconds)),
        dead_man_s=live.dead_man_seconds,
        drift_max_ms=live.clock_drift_ms,
        decimals=dict.fromkeys(_third_assets(books), FEWEST_DECIMALS),
    )
    return attrs.evolve(usual, **{name: getattr(usual, name) * pace for name in PATIENCE})


def _third_assets(books: AccountState) -> list[str]:
    named = {name for one in books.instruments.values() for name in (one.base, one.quote)}
    wallets = [name.removeprefix("wallet:") for name in books.balances if name.startswith("wallet:")]
    return sorted(asset for asset in wallets if asset not in named)
