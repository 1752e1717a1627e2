"""A domain refusal: a value, not an exception.

Law: what an actor will not do is recorded with its reason, and changes nothing.  An I/O failure is the
business of the edges; a broken invariant crashes.
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from domain.record import Record, record


class Refusal(StrEnum):
    """Every reason for which an actor refuses a message."""

    UNKNOWN_ORDER = "unknown_order"
    """A report names an order these books do not hold."""
    ILLEGAL_TRANSITION = "illegal_transition"
    """The order's status has no such move in the table."""
    DUPLICATE_FILL = "duplicate_fill"
    """This execution is already booked; seeing it again changes nothing."""
    BAD_FILL = "bad_fill"
    """An execution without quantity or price, or of another symbol or side than its order."""
    OVERFILL = "overfill"
    """More was executed than was ordered."""
    NOT_WORKING = "not_working"
    """A cancel for an order that has already ended."""
    UNKNOWN_SYMBOL = "unknown_symbol"
    """The instrument was never listed here."""
    ALREADY_OPEN = "already_open"
    """The books, the portfolio or the grid exist already."""
    DUPLICATE_FUNDING = "duplicate_funding"
    """This funding payment is already booked."""
    NO_LEVELS = "no_levels"
    """Every level of the ladder was skipped; there is nothing to trade."""
    NOT_RUNNING = "not_running"
    """The grid has stopped or was never started."""
    NO_MORE_RUNS = "no_more_runs"
    """The symbol's grid was started so often that its order ids are used up."""
    TIME_RUNS_BACK = "time_runs_back"
    """The clock was told a time before the last one."""
    BAD_CORRECTION = "bad_correction"
    """A correction of nothing, of an unknown asset, or of a position without a price."""


@attrs.frozen
class Rejection:
    """Why a message was refused, with the value that was wrong."""

    reason: Refusal
    detail: str = ""


@record("MessageRefused/1")
class MessageRefused(Record):
    """A message was refused and changed nothing; `topic` names the message."""

    topic: str
    reason: str
    detail: str
