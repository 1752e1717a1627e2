"""The life of one order: a table.

Law: a status changes only along `TRANSITIONS`.  Anything else is refused and recorded, never applied.
UNKNOWN is a status of its own: an order whose outcome the exchange has not told us; only evidence from the
exchange ends it.  ABSENT is the end of an order the exchange was shown not to hold; if it shows up after all,
the books take it back.  A terminal status never changes; a fill that arrives after it is booked and noted.

The picture in the documents is drawn from the table by `diagram`.
"""

from __future__ import annotations

from enum import StrEnum

BUY = "buy"
SELL = "sell"

OPPOSITE = {BUY: SELL, SELL: BUY}
SIGN = {BUY: 1, SELL: -1}

LIMIT = "limit"
MARKET = "market"


class TimeInForce(StrEnum):
    """How long an order may wait, and whether it may take."""

    POST_ONLY = "post_only"
    """Rests or is rejected; never takes."""
    GTC = "gtc"
    """Takes what crosses, the rest waits until cancelled."""
    IOC = "ioc"
    """Takes what crosses at once, the rest is cancelled."""


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    PENDING = "pending"
    """Submitted; nothing heard yet."""
    OPEN = "open"
    """Resting on the exchange, nothing filled."""
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """The exchange has not said whether it took the order."""
    ABSENT = "absent"
    """Shown not to be on the exchange after an unknown outcome: it is over, unless it appears late."""


class Trigger(StrEnum):
    """What the exchange, or its silence, told us."""

    ACCEPTED = "accepted"
    PARTIAL_FILL = "partial_fill"
    FULL_FILL = "full_fill"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"
    NO_ANSWER = "no_answer"
    NOT_FOUND = "not_found"


S, T = OrderStatus, Trigger

TRANSITIONS: dict[tuple[OrderStatus, Trigger], OrderStatus] = {
    (S.PENDING, T.ACCEPTED): S.OPEN,
    (S.PENDING, T.REJECTED): S.REJECTED,
    (S.PENDING, T.PARTIAL_FILL): S.PARTIALLY_FILLED,  # a fill may overtake the acknowledgement
    (S.PENDING, T.FULL_FILL): S.FILLED,
    (S.PENDING, T.CANCELLED): S.CANCELLED,
    (S.PENDING, T.EXPIRED): S.EXPIRED,
    (S.PENDING, T.NO_ANSWER): S.UNKNOWN,
    (S.OPEN, T.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.OPEN, T.FULL_FILL): S.FILLED,
    (S.OPEN, T.CANCELLED): S.CANCELLED,
    (S.OPEN, T.EXPIRED): S.EXPIRED,
    (S.PARTIALLY_FILLED, T.ACCEPTED): S.PARTIALLY_FILLED,  # the overtaken acknowledgement
    (S.PARTIALLY_FILLED, T.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.PARTIALLY_FILLED, T.FULL_FILL): S.FILLED,
    (S.PARTIALLY_FILLED, T.CANCELLED): S.CANCELLED,
    (S.PARTIALLY_FILLED, T.EXPIRED): S.EXPIRED,
    (S.UNKNOWN, T.ACCEPTED): S.OPEN,
    (S.UNKNOWN, T.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.UNKNOWN, T.FULL_FILL): S.FILLED,
    (S.UNKNOWN, T.CANCELLED): S.CANCELLED,
    (S.UNKNOWN, T.REJECTED): S.REJECTED,
    (S.UNKNOWN, T.EXPIRED): S.EXPIRED,
    (S.UNKNOWN, T.NOT_FOUND): S.ABSENT,
    (S.ABSENT, T.ACCEPTED): S.OPEN,  # a late order
    (S.ABSENT, T.PARTIAL_FILL): S.PARTIALLY_FILLED,
    (S.ABSENT, T.FULL_FILL): S.FILLED,
}

STATUS = {status.value: status for status in OrderStatus}
"""A status by its text: an enum's own lookup costs ten times as much, and a replay makes one per fill."""

TERMINAL = frozenset({S.FILLED, S.CANCELLED, S.REJECTED, S.EXPIRED})
"""Statuses nothing leads out of."""

ENDED = TERMINAL | {S.ABSENT}
"""Statuses of orders that do not work, as far as anybody knows."""


def next_status(status: OrderStatus, trigger: Trigger) -> OrderStatus | None:
    """The status after `trigger`, or None when the table has no such move."""
    return TRANSITIONS.get((status, trigger))


def diagram() -> str:
    """The table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "    [*] --> pending"]
    lines += [f"    {a} --> {b}: {t}" for (a, t), b in TRANSITIONS.items()]
    lines += [f"    {s} --> [*]" for s in OrderStatus if s in TERMINAL]
    return "\n".join(lines)


# A client order id is derived, never drawn: replaying a decision names the same order, and an order found
# on an exchange says which ledger, symbol, level and purpose it belongs to.  32 hexadecimal digits fit the
# id rules of Binance, Bybit, OKX and Kraken alike.


class Purpose(StrEnum):
    """Why an order exists; one digit of its id."""

    LEVEL_BUY = "1"
    LEVEL_SELL = "2"
    INITIAL_INVENTORY = "3"
    FLATTEN = "4"


NO_LEVEL = 0xFFF

MOST_RUNS = 0x1000
"""How often a symbol's grid can be started in one ledger: its ids count starts in three digits."""


def client_order_id(grid_id: str, level: int, purpose: Purpose, cycle: int, attempt: int) -> str:
    """Derived id of 32 hex digits: grid 14 (see `grid_id`), level 3, purpose 1, cycle 8, attempt 6."""
    return f"{grid_id}{level:03x}{purpose}{cycle:08x}{attempt:06x}"


def grid_id(ledger_id: str, symbol_index: int, run: int) -> str:
    """The part of its order ids that names a grid: ledger 8, symbol 3, how often it was started 3."""
    return f"{ledger_id}{symbol_index:03x}{run:03x}"


def next_grid_id(grid_id: str, run: int) -> str:
    """The id of the same symbol's grid at another start: ids of two starts never meet."""
    return f"{grid_id[:11]}{run:03x}"


def grid_of(order_id: str) -> str:
    """The grid an id of ours names."""
    return order_id[:14]


def level_of(order_id: str) -> int:
    """The level an id of ours names; `NO_LEVEL` for orders of the whole grid."""
    return int(order_id[14:17], 16)


def purpose_of(order_id: str) -> Purpose:
    """The purpose an id of ours names."""
    return _PURPOSE[order_id[17]]


_PURPOSE = {purpose.value: purpose for purpose in Purpose}
