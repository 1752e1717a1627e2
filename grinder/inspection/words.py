"""What a record says, in a sentence; what it was decided by, in another.

Law: presentation of what is in the ledger.  Amounts come from the record and the scales in force; a record
without a sentence of its own is shown with its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain.orders import NO_LEVEL, Purpose, level_of, purpose_of
from domain.record import Record
from grinder.inspection.amounts import Scales, label
from grinder.inspection.records import iso

PURPOSES = {
    Purpose.LEVEL_BUY: "its buy",
    Purpose.LEVEL_SELL: "its sell",
    Purpose.INITIAL_INVENTORY: "the initial inventory",
    Purpose.FLATTEN: "flattening",
}

REASONS: dict[str, str] = {
    "PAUSE_HALTED": "the kill switch is latched, only orders that reduce a holding pass",
    "PAUSED": "trading is paused; working orders stay, new ones wait for the end of the pause",
    "PAUSE_SYMBOL_HALTED": "the symbol's stop loss or take profit was reached",
    "PAUSE_STOP_LOSS": "the last price is at or beyond the stop loss",
    "PAUSE_TAKE_PROFIT": "the last price is at or beyond the take profit",
    "THROTTLE_ORDERS_PER_MINUTE": "the orders of the last 60 s reach the limit",
    "PAUSE_INV_CAP": "holding, resting orders of its side and the order together pass the inventory cap",
    "EMERGENCY_DD_SESSION": "equity fell from its high of the session by the limit",
    "EMERGENCY_DD_DAILY": "equity fell from its high of the day by the limit",
    "PAUSE_NO_MARK": "equity was never marked, so drawdown is not known",
    "INSUFFICIENT_FUNDS": "the account cannot cover it: nothing was sent",
    "DUPLICATE_ORDER": "an order with this id exists already",
    "RATE_BUDGET": "our own budget of requests is used up for now",
    "SUSPENDED": "the exchange takes no orders from us until then",
    "requested": "we asked the exchange to cancel it",
    "failover": "the process that took over cancelled what the one before had left",
    "absent": "the exchange was shown not to hold it",
    "expired": "it expired on the exchange",
}
"""Reasons of refusals, blocks and ends, as they are in records, in words."""


LONGEST = 500
"""Characters of a text after which it is cut."""


def reason_in_words(reason: str) -> str:
    """A reason with its words, if it has some."""
    return f"{reason}: {REASONS[reason]}" if reason in REASONS else reason


def order_in_words(scales: Scales, terms: Any) -> str:
    """An order as people say it: side, quantity, symbol, price, how."""
    how = terms.time_in_force.replace("_", "-") + (", reduce-only" if terms.reduce_only else "")
    at = f"at {scales.price(terms.symbol, terms.price_ticks, unit=True)}"
    if terms.order_type == "market":
        at = f"at the market (reserved {at})"
    return f"{terms.side} {scales.quantity(terms.symbol, terms.lots)} {at} ({terms.symbol}, {how})"


def place_of(order_id: str) -> str:
    """What of a grid an order id names."""
    if len(order_id) != 32:
        return "an order that is not ours"
    level = level_of(order_id)
    return PURPOSES[purpose_of(order_id)] if level == NO_LEVEL else f"level {level}"


def say(scales: Scales, record: Any) -> str:
    """A record in one sentence."""
    made = _WORDS.get(type(record).__name__)
    return made(scales, record) if made else fields_in_words(scales, record)


def fields_in_words(scales: Scales, record: Record) -> str:
    """A record's fields on one line."""
    return ", ".join(f"{label(name)} {_short(value)}" for name, value in scales.fields(record).items())


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} {_short(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(one) for one in value[:4]) + (", ..." if len(value) > 4 else "") + "]"
    text = str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}... ({len(text):,} characters)"


def _tick(to: Scales, e: Any) -> str:
    at = to.price(e.symbol, e.price_ticks, unit=True)
    return f"{e.symbol} trades at {at}, a price the core asked to hear of"


def _requested(to: Scales, e: Any) -> str:
    level = "the grid" if e.level == NO_LEVEL else f"level {e.level} (cycle {e.cycle})"
    return f"{level} wants to {order_in_words(to, e.terms)}"


def _allowed(to: Scales, e: Any) -> str:
    return f"risk allows it: worth {to.money(e.notional)}, no limit is against it"


def _blocked(to: Scales, e: Any) -> str:
    retry = f"; may be asked for again at {iso(e.retry_at_ns)}" if e.retry_at_ns else ""
    detail = f" ({e.detail})" if e.detail else ""
    return f"risk blocks it: {reason_in_words(e.reason)}{detail}{retry}"


def _submitted(to: Scales, e: Any) -> str:
    kept = f"{to.asset(e.reserve_asset, e.reserved)} set aside" if e.reserved else "margin suffices"
    return f"the account covers it ({kept}); the order may leave"


def _refused(to: Scales, e: Any) -> str:
    return f"the account refuses it: {reason_in_words(e.reason)} ({e.detail})"


def _throttled(to: Scales, e: Any) -> str:
    return f"the account holds it back: {reason_in_words(e.reason)}; again at {iso(e.retry_at_ns)}"


def _accepted_report(to: Scales, e: Any) -> str:
    return f"the exchange took it as its order {e.exchange_order_id}"


def _rejected_report(to: Scales, e: Any) -> str:
    return f"the exchange refused it: {e.reason} {e.text}".rstrip()


def _accepted(to: Scales, e: Any) -> str:
    return f"the order is {e.status} on the exchange"


def _closed(to: Scales, e: Any) -> str:
    words = f" {e.text}" if e.text else ""
    left = f"; {to.quantity(e.symbol, e.unfilled_lots)} unfilled" if e.unfilled_lots else ""
    return f"the order is {e.status}: {reason_in_words(e.reason)}{words}{left}"


def _fill_report(to: Scales, e: Any) -> str:
    what = f"{e.side} {to.quantity(e.symbol, e.lots)} at {to.price(e.symbol, e.price_ticks, unit=True)}"
    fee = to.asset(e.fee_asset, e.fee_units)
    return f"the exchange reports execution {e.fill_id}: {what}, {e.liquidity}, fee {fee}"


def _filled(to: Scales, e: Any) -> str:
    late = ", after the order had ended" if e.late else ""
    moved = f"holding {_signed(to.holding(e.symbol, e.base_units))}, cash {_signed(to.money(e.cash_units))}"
    realised = f", realised {to.money(e.realised)}" if e.realised else ""
    left = f"{to.quantity(e.symbol, e.unfilled_lots)} left" if e.unfilled_lots else "complete"
    return f"booked{late}: {moved}{realised}; the order is {e.status} ({left})"


def _signed(text: str) -> str:
    return text if text.startswith("-") else f"+{text}"


def _inventory(to: Scales, e: Any) -> str:
    return f"the portfolio holds {to.holding(e.symbol, e.inventory)} and cash {to.money(e.cash)}"


def _level_filled(to: Scales, e: Any) -> str:
    what = f"level {e.level} {e.role}s {to.holding(e.symbol, e.base_units)}"
    at = f"at {to.price(e.symbol, e.price_ticks, unit=True)}"
    gain = f", profit {to.money(e.profit)} before fees" if e.role == "close" else ""
    cycle = f"; cycle {e.cycle} is complete" if e.cycle_done else f"; it holds {to.holding(e.symbol, e.held)}"
    return f"{what} {at}{gain}{cycle}"


def _released(to: Scales, e: Any) -> str:
    who = "the grid's own order is over" if e.level == NO_LEVEL else f"level {e.level} lost its order"
    then = ""
    if e.waiting:
        then = f"; asks again from {iso(e.retry_at_ns)}" if e.retry_at_ns else "; waits for the price"
    return f"{who} ({e.reason}){then}"


def _deferred(to: Scales, e: Any) -> str:
    return f"level {e.level} could ask again, but its order would take: it waits for the price"


def _equity(to: Scales, e: Any) -> str:
    return f"equity is {to.money(e.equity)}"


def _halted(to: Scales, e: Any) -> str:
    figures = f"equity {to.money(e.equity)}, high {to.money(e.high_water)}"
    return f"trading halts: {reason_in_words(e.reason)} ({figures})"


def _symbol_halted(to: Scales, e: Any) -> str:
    at = to.price(e.symbol, e.price_ticks, unit=True)
    return f"{e.symbol} halts at {at}: {reason_in_words(e.reason)}; orders: {e.on_stop}"


def _paused(to: Scales, e: Any) -> str:
    return f"{e.symbol or 'everything'} is paused: {e.reason} (by {e.operator})"


def _resumed(to: Scales, e: Any) -> str:
    return f"the pause of {e.symbol or 'everything'} ends: {', '.join(e.reasons)} (by {e.operator})"


def _grid_paused(to: Scales, e: Any) -> str:
    return f"the grid asks for nothing while paused: {e.reason}"


def _grid_resumed(to: Scales, e: Any) -> str:
    left = "every waiting level may ask" if e.free else "other pauses go on"
    return f"the pause ends ({', '.join(e.reasons)}); {left}"


def _started(to: Scales, e: Any) -> str:
    stock = (
        f", and buys {to.quantity(e.symbol, e.stock_lots)} to have something to sell" if e.stock_lots else ""
    )
    at = to.price(e.symbol, e.price_ticks, unit=True)
    return f"the first price, {at}, places the grid of {len(e.openings)} levels{stock}"


def _configured(to: Scales, e: Any) -> str:
    levels = e.ladder.levels
    low, high = to.price(e.symbol, levels[0].buy_ticks), to.price(e.symbol, levels[-1].sell_ticks, unit=True)
    return f"the grid is laid out: {len(levels)} levels from {low} to {high}, {e.mode}; it waits for a price"


def _stopping(to: Scales, e: Any) -> str:
    return f"the grid stops: {reason_in_words(e.reason)}; orders: {e.on_stop}"


def _stopped(to: Scales, e: Any) -> str:
    return f"the grid has stopped; it still holds {to.holding(e.symbol, e.inventory)}"


def _message_refused(to: Scales, e: Any) -> str:
    return f"{e.topic.partition('/')[0]} is refused and changes nothing: {e.reason} {e.detail}".rstrip()


def _exposure(to: Scales, e: Any) -> str:
    side = "buys" if e.side == "buy" else "sells"
    verb = "less" if e.notional >= 0 else "more"
    return f"{to.money(abs(e.notional))} {verb} rests in {side}"


def _difference(to: Scales, e: Any) -> str:
    books, seen = to.asset(e.subject, e.books), to.asset(e.subject, e.exchange)
    return f"{e.subject} differs: the books say {books}, the exchange {seen}"


def _clock(to: Scales, e: Any) -> str:
    return "a boundary of the clock is reached"


def _run(to: Scales, e: Any) -> str:
    return f"the {e.mode} process is {e.phase} (grinder {e.program}) {e.detail}".rstrip()


def _carried(to: Scales, e: Any) -> str:
    return f"the slice begins with the state of {e.stream} that earlier records led to"


def _terms_changed(to: Scales, e: Any) -> str:
    said = ", ".join(f"{one.setting} {one.old or 'none'} to {one.new or 'none'}" for one in e.changes)
    return f"{e.operator} changed the terms of {e.symbol}: {said}"


def _deploy(to: Scales, e: Any) -> str:
    how = "be replaced under the given terms" if e.replaces else "start again"
    return f"{e.operator} lets the grid of {e.start.symbol} {how}"


def _decision(to: Scales, e: Any) -> str:
    size = f" {_percent(e.size_ppm)} of the limit" if e.size_ppm else ""
    votes = ", ".join(f"{agent} {way} {_percent(sure)}" for agent, _, way, sure in e.votes)
    code, sentence = e.reasons[0]
    who = "the rules decide" if e.policy == "rules" else f"model {e.policy} decides"
    return f"{who} {e.action}{size} of {e.symbol} for {e.operator} (votes: {votes}): {sentence or code}"


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.1f} %"


def _grid_blocked(to: Scales, e: Any) -> str:
    return f"{e.command} of {e.symbol} by {e.operator} is blocked: {reason_in_words(e.reason)} ({e.detail})"


_WORDS: dict[str, Callable[[Scales, Any], str]] = {
    "CarryState": _carried,
    "TickReport": _tick,
    "ClockReport": _clock,
    "OrderRequested": _requested,
    "OrderAllowed": _allowed,
    "OrderBlocked": _blocked,
    "OrderSubmitted": _submitted,
    "OrderRefused": _refused,
    "OrderThrottled": _throttled,
    "OrderAcceptedReport": _accepted_report,
    "OrderRejectedReport": _rejected_report,
    "OrderAccepted": _accepted,
    "OrderClosed": _closed,
    "FillReport": _fill_report,
    "OrderFilled": _filled,
    "InventoryChanged": _inventory,
    "LevelFilled": _level_filled,
    "LevelReleased": _released,
    "LevelDeferred": _deferred,
    "EquityMarked": _equity,
    "TradingHalted": _halted,
    "SymbolHalted": _symbol_halted,
    "TradingPaused": _paused,
    "TradingResumed": _resumed,
    "GridPaused": _grid_paused,
    "GridResumed": _grid_resumed,
    "GridStarted": _started,
    "GridConfigured": _configured,
    "GridStopping": _stopping,
    "GridStopped": _stopped,
    "DeployGrid": _deploy,
    "GridBlocked": _grid_blocked,
    "ConfigChanged": _terms_changed,
    "GridAllowed": lambda to, e: f"risk has nothing against this start of {e.deploy.start.symbol}",
    "RebalanceAllowed": lambda to, e: f"risk has nothing against a rebalance of {e.symbol}",
    "RebalanceGrid": lambda to, e: f"{e.operator} lets the orders of {e.symbol} be placed anew",
    "GridRebalancing": lambda to, e: "the orders of its levels are cancelled, to be placed anew",
    "GridRebalanced": lambda to, e: "no order works any more: every level asks again",
    "DeploymentBegun": lambda to, e: "the next grid begins when no order of this one works any more",
    "DeploymentAbandoned": lambda to, e: f"the grid that was to follow is not started: {e.reason}",
    "SpareClosed": lambda to, e: f"what no level held is {to.holding(e.symbol, e.base_units)} other",
    "MessageRefused": _message_refused,
    "ExposureReleased": _exposure,
    "DifferenceFound": _difference,
    "RunReport": _run,
    "HandOver": lambda to, e: f"{e.operator} lets {e.node} take the run over",
    "DecisionReport": _decision,
    "FailoverReport": lambda to, e: f"{e.node} takes over (epoch {e.epoch}), {e.step}: {e.reason}",
    "OrderCancelledReport": lambda to, e: f"the exchange ended the order: {reason_in_words(e.reason)}",
    "NoAnswerReport": lambda to, e: (
        "the exchange did not answer in time: whether it has the order is unknown"
    ),
    "OrderOutcomeUnknown": lambda to, e: (
        "the order is unknown until the exchange shows evidence; its level waits"
    ),
    "OrderAbsentReport": lambda to, e: f"the exchange was shown not to hold the order: {e.evidence}",
    "OrderReappeared": lambda to, e: "the order is there after all: taken back into the books, and cancelled",
    "CancelRequested": lambda to, e: f"the grid wants the order gone: {reason_in_words(e.reason)}",
    "CancelSubmitted": lambda to, e: "the cancel may leave",
    "CancelRejectedReport": lambda to, e: f"the exchange refused the cancel: {e.reason} {e.text}".rstrip(),
    "CancelRejected": lambda to, e: "the cancel was refused; the order keeps its status",
    "RequestCounted": lambda to, e: "counted against the budget of requests",
    "InventoryAdopted": lambda to, e: (
        f"level {e.level} takes over {to.holding(e.symbol, e.base_units)} the account had"
    ),
}

_LIMITS = "risk checks in this order: halt, pauses, stop prices, orders a minute, inventory, drawdown"

RULES: dict[str, str] = {
    "GridAllowed": "risk checks in this order: halt, pauses (of a start), stop prices, drawdown",
    "GridBlocked": "risk checks in this order: halt, pauses (of a start), stop prices, drawdown",
    "DeploymentBegun": "a grid begins when no order of the one before it works, whatever became of them",
    "OrderRequested": "grid rule: a level has one order; a completed order is followed by the level's "
    "other side, and a waiting level asks when its order would rest",
    "OrderAllowed": _LIMITS,
    "OrderBlocked": _LIMITS,
    "OrderSubmitted": "the account sends only what is covered, within the budget of requests",
    "OrderRefused": "the account sends only what is covered",
    "OrderThrottled": "the account sends only within the budget of requests and what the exchange allows",
    "OrderFilled": "an execution is booked once, by its id, as postings that add up to zero",
    "LevelFilled": "profit belongs to the level that made it: its sale less its own cost",
    "OrderClosed": "an order ends only on evidence from the exchange",
    "OrderOutcomeUnknown": "no answer is no outcome: nothing is sent again until the exchange was asked",
    "LevelReleased": "after a refusal a level waits 1 s, doubled each time in a row, at most an hour",
    "DecisionReport": "three agents vote: risk veto, halts and pauses, strategic direction, tactical timing; "
    "it trades nothing",
    "SymbolHalted": "the stop prices are watched on every tick",
    "TradingHalted": "the price at which a drawdown limit is reached is solved for and watched on every tick",
}
"""The rule by which a record was decided."""
