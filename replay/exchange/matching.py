"""Which of our resting orders a row of the market executes, and for how much.

Law: one function per fill model, all with the same shape; each yields (order, lots) in price, then time
priority, buys before sells.  Orders execute at their own price.  The queue model is never more generous than
touch, and through is never more generous than queue would be without a queue.

Queue model: an order joins behind the size displayed at its price (or, when its price is not the best, behind
the size shown there just before the first row that reaches it).  Volume traded at the price uses the queue
up; a displayed size below what is left of it means that others left, which shortens it too; a trade or quote
beyond the price executes the order completely.
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.orders import BUY
from replay.exchange.book import Entry, OwnBook, RestingOrder
from replay.exchange.market_view import MarketView
from replay.exchange.rules import ExchangeRules, FillModel

Execution = tuple[RestingOrder, int]


def executions(rules: ExchangeRules, view: MarketView, book: OwnBook) -> list[Execution]:
    """Executions of the row the view stands on, complete before any is applied."""
    low, high = int(view.ticks.low[view.at]), int(view.ticks.high[view.at])
    reached = [*_reached(book.buys, low, True), *_reached(book.sells, high, False)]
    if rules.model is FillModel.QUEUE:
        return list(_queue(rules, view, reached, low, high))
    if rules.model is FillModel.THROUGH:
        reached = [o for o in reached if (low < o.price if o.side == BUY else high > o.price)]
    if not rules.volume_limited:
        return [(order, order.left) for order in reached]
    return list(_limited(view, reached))


def _reached(side: list[Entry], extreme: int, buys: bool) -> Iterator[RestingOrder]:
    """Orders of a side that the row's extreme reaches, best first."""
    for at in range(len(side) - 1, -1, -1):
        order = side[at][2]
        if (extreme > order.price) if buys else (extreme < order.price):
            return
        yield order


def _volume(view: MarketView, buy: bool) -> int:
    """Lots a row can execute: what it traded, or on a quote row what it shows to a taker."""
    traded = view.traded()
    if traded:
        return traded
    offered = view.offered(buy)
    return offered or 0


def _limited(view: MarketView, reached: list[RestingOrder]) -> Iterator[Execution]:
    left = {True: _volume(view, True), False: _volume(view, False)}
    for order in reached:
        buy = order.side == BUY
        lots = min(order.left, left[buy])
        if lots:
            left[buy] -= lots
            yield order, lots


def _queue(
    rules: ExchangeRules, view: MarketView, reached: list[RestingOrder], low: int, high: int
) -> Iterator[Execution]:
    traded = view.traded() or 0
    left = {True: traded, False: traded}
    for order in reached:
        buy = order.side == BUY
        if (low < order.price) if buy else (high > order.price):
            yield order, order.left
            continue
        ahead = _ahead(rules, view, order, buy)
        used = min(ahead, left[buy])
        order.ahead = ahead - used
        # Our own earlier orders at the price wait in the same queue: volume passes through them in turn.
        lots = min(order.left, left[buy] - used)
        if lots:
            left[buy] -= lots
            yield order, lots


def _ahead(rules: ExchangeRules, view: MarketView, order: RestingOrder, buy: bool) -> int:
    """Queue before an order as the row begins, in lots."""
    before = view.displayed(buy, order.price, view.at - 1)
    if order.ahead is None:
        shown = before if before is not None else view.displayed(buy, order.price, view.at)
        return (shown or 0) * rules.queue_ahead_ppm // 1_000_000
    return order.ahead if before is None else min(order.ahead, before)
