"""How patient and how careful a session is: every wait and every limit, in one place.

Law: plain figures with units in their names; nothing here decides anything.  The defaults are those of the
documents; tests and slow exchanges pass others.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

NS = 10**9
"""Nanoseconds in a second."""


@attrs.frozen(kw_only=True)
class SessionSettings:
    """Waits in seconds, unless a name says otherwise.

    Attributes:
        ledger_id: 8 hex digits; prefix of every client order id of ours.
        decimals: digits after the point of one unit of assets that no instrument names (a third fee asset).
        known_until_ns: time up to which the ledger surely holds every execution; 0 looks back `look_back_s`.
        opened_ns: when the books were opened; funding from before is in the opening balances.
        request_timeout_s: longest wait for an answer.
        requests_under_way: most placing requests at one time; cancels are not counted.
        acknowledgement_s: wait for the stream before an order that was only received is asked for.
        in_flight_s: longest time a request is under way.  With the time in which the exchange takes a request
            after it was signed, it is how long after it was sent an order may appear; no absence is believed
            earlier.
        fresh_s: orders sent less than this ago are left out of comparisons.
        cancel_confirm_s: wait for the end of a cancelled order before it is asked for.
        cancel_all_s: longest wait of `cancel_working`.
        fill_grace_s: wait for the stream before missing executions are fetched.
        overlap_s: how far a backfill reaches behind its cursor; `funding_overlap_s` is the same for funding,
            which exchanges list late.
        fills_every_s, degraded_every_s: executions are fetched this often; the second while the stream is
            not to be trusted.
        stale_after_s: an execution the stream owes us for this long shows that it is stale.
        pending_s, stuck_s: no answer for this long is an unknown outcome; for that long, the order is
            cancelled as well.
        missing_s: a working order that list and query deny for this long is over.
        difference_s: an amount must differ unchanged for this long before it is called a difference, because
            lists of executions may lag behind balances; `start_difference_s` is the same at the start.
        start_settle_s: longest wait at the start for orders of unknown outcome; orphans are waited for until
            they are gone, and told of this often.
        dead_man_s: the exchange cancels everything when we are silent for this long (within its limits).
        breaker_failures, breaker_cool_s: failures in a row that open the circuit; first wait before a probe.
        quote_pause_s, quote_cancel_s: age of the last quote at which a symbol pauses, and has its orders
            cancelled; 0 switches either off.
        ping_s: after this long without any answer the exchange's clock is asked for, to see that it answers.
        drift_max_ms: largest tolerated difference between the exchange's clock and ours.
    """

    ledger_id: str
    decimals: Mapping[str, int] = attrs.field(factory=dict)
    known_until_ns: int = 0
    opened_ns: int = 0
    look_back_s: float = 86_400.0
    request_timeout_s: float = 10.0
    requests_under_way: int = 4
    acknowledgement_s: float = 2.0
    in_flight_s: float = 10.0
    fresh_s: float = 2.0
    cancel_confirm_s: float = 2.0
    cancel_all_s: float = 30.0
    fill_grace_s: float = 1.0
    overlap_s: float = 60.0
    funding_overlap_s: float = 900.0
    fills_every_s: float = 30.0
    degraded_every_s: float = 7.5
    reconcile_every_s: float = 60.0
    stale_after_s: float = 10.0
    stuck_every_s: float = 30.0
    pending_s: float = 10.0
    stuck_s: float = 120.0
    missing_s: float = 120.0
    difference_s: float = 65.0
    start_difference_s: float = 10.0
    start_settle_s: float = 60.0
    dead_man_s: int = 60
    breaker_failures: int = 5
    breaker_cool_s: float = 10.0
    quote_pause_s: float = 30.0
    quote_cancel_s: float = 120.0
    clock_every_s: float = 60.0
    ping_s: float = 10.0
    drift_max_ms: int = 1_000
    rules_every_s: float = 3_600.0


FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 30.0


def next_delay_s(delay_s: float) -> float:
    """The wait after one of `delay_s`: doubled, at most 30 s."""
    return min(LONGEST_DELAY_S, delay_s * 2)
