"""Levels: the table of a grid as it is now, and the levels its ladder had to leave out.

Law: phases move along the same table as in `domain.levels`; they are shown in the words of hosted grid bots
(INITIAL, BUY_PLACED, HOLDING, SELL_PLACED), where a short level places its sell first.
"""

from __future__ import annotations

from domain.grid_events import (
    GridConfigured,
    GridRebalanced,
    GridRebalancing,
    GridResumed,
    GridStarted,
    GridStopping,
    InventoryAdopted,
    LevelDeferred,
    LevelFilled,
    LevelReleased,
)
from domain.instrument import notional, whole_lots
from domain.levels import LEVEL_TRANSITIONS, LevelPhase, LevelTrigger
from domain.order_events import OrderRequested
from domain.orders import BUY, NO_LEVEL, OPPOSITE, SELL, Purpose, purpose_of
from projections.amounts import ZERO
from projections.listings import Scale, scale
from projections.record import Handlers, LedgerRecord, dispatch
from projections.view import AMOUNT, INT, TEXT, Row, Table, View

LEVELS = Table(
    "grid_levels",
    {
        "symbol": TEXT,
        "grid_level": INT,
        "buy_price": AMOUNT,
        "sell_price": AMOUNT,
        "quantity": AMOUNT,
        "opening": TEXT,
        "phase": TEXT,
        "order_id": TEXT,
        "held": AMOUNT,
        "held_cost": AMOUNT,
        "waiting": INT,
        "retry_at_ns": INT,
        "refusals": INT,
        "last_reason": TEXT,
        "cycle": INT,
        "cycles_done": INT,
        "profit": AMOUNT,
        "last_fill_at_ns": INT,
    },
    ("symbol", "grid_level"),
)
"""`held` is unsigned: a short level (opening ``sell``) holds what it owes."""

SKIPPED = Table(
    "skipped_levels",
    {
        "symbol": TEXT,
        "place": INT,
        "ladder_index": INT,
        "buy_price": AMOUNT,
        "sell_price": AMOUNT,
        "quantity": AMOUNT,
        "reason": TEXT,
    },
    ("symbol", "place"),
)

TABLES: tuple[Table, ...] = (LEVELS, SKIPPED)

P = LevelPhase

_WORDS: dict[str, dict[LevelPhase, str]] = {
    BUY: {P.INITIAL: "INITIAL", P.OPENING: "BUY_PLACED", P.HOLDING: "HOLDING", P.CLOSING: "SELL_PLACED"},
    SELL: {P.INITIAL: "INITIAL", P.OPENING: "SELL_PLACED", P.HOLDING: "HOLDING", P.CLOSING: "BUY_PLACED"},
}
_PHASES = {side: {word: phase for phase, word in words.items()} for side, words in _WORDS.items()}


def phase_of(opening: str, word: str) -> LevelPhase:
    """The domain's phase behind a word."""
    return _PHASES[opening][word]


def initial() -> tuple[tuple[Table, Row], ...]:
    """No level."""
    return ()


def _move(row: Row, trigger: LevelTrigger) -> None:
    phase = phase_of(row["opening"], row["phase"])
    row["phase"] = _WORDS[row["opening"]][LEVEL_TRANSITIONS.get((phase, trigger), phase)]


def _closable(row: Row, to: Scale) -> bool:
    """Whether what the level holds makes an order the exchange would take (as in `domain.symbol`)."""
    rules = to.instrument
    closing = OPPOSITE[row["opening"]]
    ticks = to.ticks(row["buy_price"] if closing == BUY else row["sell_price"])
    lots = whole_lots(rules, to.base_units(row["held"]))
    return notional(rules, ticks, lots) >= max(rules.min_notional, 1)


def _on_configured(view: View, record: LedgerRecord, event: GridConfigured) -> None:
    to = scale(view, event.symbol)
    levels, left_out = view.of(LEVELS), view.of(SKIPPED)
    # Places are counted from 0 without gaps, so the rows of the last run end where none is found.
    for rows, count in ((levels, len(event.ladder.levels)), (left_out, len(event.ladder.skipped))):
        while rows.get(event.symbol, count) is not None:
            rows.delete(event.symbol, count)
            count += 1
    for at, rung in enumerate(event.ladder.levels):
        row = LEVELS.blank(symbol=event.symbol, grid_level=at, opening=BUY, phase="INITIAL")
        row.update(buy_price=to.price(rung.buy_ticks), sell_price=to.price(rung.sell_ticks))
        row.update(quantity=to.lots(rung.lots), held=ZERO, held_cost=ZERO, profit=ZERO)
        row.update(waiting=0, refusals=0, cycle=0, cycles_done=0)
        levels.put(row)
    for at, gap in enumerate(event.ladder.skipped):
        left_out.put(
            {
                "symbol": event.symbol,
                "place": at,
                "ladder_index": gap.index,
                "buy_price": to.price(gap.buy_ticks),
                "sell_price": to.price(gap.sell_ticks),
                "quantity": to.lots(gap.lots),
                "reason": gap.reason,
            }
        )


def _on_started(view: View, record: LedgerRecord, event: GridStarted) -> None:
    for at, opening in enumerate(event.openings):
        row = view.of(LEVELS).edit(event.symbol, at)
        if row is not None:
            row.update(opening=opening, waiting=1)


def _on_requested(view: View, record: LedgerRecord, event: OrderRequested) -> None:
    row = None if event.level == NO_LEVEL else view.of(LEVELS).edit(event.terms.symbol, event.level)
    if row is not None:
        _move(row, LevelTrigger.ORDERED)
        row.update(order_id=event.terms.client_order_id, waiting=0, retry_at_ns=None)


def _on_adopted(view: View, record: LedgerRecord, event: InventoryAdopted) -> None:
    row = view.of(LEVELS).edit(event.symbol, event.level)
    if row is not None:
        to = scale(view, event.symbol)
        row["held"] += to.base(abs(event.base_units))
        row["held_cost"] += to.quote(abs(event.cost))
        row["phase"] = "HOLDING"


def _on_filled(view: View, record: LedgerRecord, event: LevelFilled) -> None:
    row = view.of(LEVELS).edit(event.symbol, event.level)
    if row is None:
        return
    to = scale(view, event.symbol)
    row.update(held=to.base(event.held), held_cost=to.quote(event.held_cost), refusals=0)
    row["profit"] += to.quote(event.profit)
    row["last_fill_at_ns"] = record.ts_ns
    if purpose_of(event.client_order_id) in (Purpose.INITIAL_INVENTORY, Purpose.FLATTEN):
        row["phase"] = "HOLDING" if _closable(row, to) else "INITIAL"
    elif event.order_done and row["order_id"] == event.client_order_id:
        _move(row, LevelTrigger.FILLED)
        row["order_id"] = None
    if event.cycle_done:
        row["cycle"] += 1
        row["cycles_done"] += 1


def _on_released(view: View, record: LedgerRecord, event: LevelReleased) -> None:
    row = None if event.level == NO_LEVEL else view.of(LEVELS).edit(event.symbol, event.level)
    if row is None:
        return
    closable = _closable(row, scale(view, event.symbol))
    _move(row, LevelTrigger.ENDED_HOLDING if closable else LevelTrigger.ENDED_EMPTY)
    row.update(order_id=None, waiting=int(event.waiting), retry_at_ns=event.retry_at_ns or None)
    row.update(refusals=row["refusals"] + 1, last_reason=event.reason)


def _on_deferred(view: View, record: LedgerRecord, event: LevelDeferred) -> None:
    row = view.of(LEVELS).edit(event.symbol, event.level)
    if row is not None:
        row["retry_at_ns"] = None


def _on_resumed(view: View, record: LedgerRecord, event: GridResumed) -> None:
    at = 0
    while event.free and (row := view.of(LEVELS).edit(event.symbol, at)) is not None:
        if row["waiting"]:
            row["retry_at_ns"] = None
        at += 1


def _on_rebalanced(view: View, record: LedgerRecord, event: GridRebalanced) -> None:
    at = 0
    while (row := view.of(LEVELS).edit(event.symbol, at)) is not None:
        row.update(waiting=1, retry_at_ns=None, refusals=0)
        at += 1


def _on_stopping(view: View, record: LedgerRecord, event: GridStopping | GridRebalancing) -> None:
    at = 0
    while (row := view.of(LEVELS).edit(event.symbol, at)) is not None:
        row["waiting"] = 0
        at += 1


HANDLERS: Handlers = {
    GridConfigured: _on_configured,
    GridStarted: _on_started,
    OrderRequested: _on_requested,
    InventoryAdopted: _on_adopted,
    LevelFilled: _on_filled,
    LevelReleased: _on_released,
    LevelDeferred: _on_deferred,
    GridStopping: _on_stopping,
    GridRebalancing: _on_stopping,
    GridRebalanced: _on_rebalanced,
    GridResumed: _on_resumed,
}


def apply(view: View, record: LedgerRecord) -> None:
    """What a record changes here."""
    dispatch(HANDLERS, view, record)
