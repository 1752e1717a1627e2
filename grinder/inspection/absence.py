"""Why there is no order at a level: the rule that holds it back, its figures, since when, what would end it.

Law: the level's state is what its own records make of it, by the domain's own `evolve`; the newest rule that
held the level back is read off the ledger.  Nothing is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any

import attrs

from actors.records import LedgerRow
from domain.codec import state_from
from domain.grid_state import GridStatus, SymbolState, closable, evolve, initial
from domain.inputs import CarryState
from domain.levels import Level, next_side, price_of
from domain.orders import BUY, NO_LEVEL, OPPOSITE
from domain.units import to_units
from grinder.errors import UserError
from grinder.inspection.checks import exposure_text
from grinder.inspection.explaining import Explainer
from grinder.inspection.lookup import LEVEL, TYPE
from grinder.inspection.records import iso, span
from grinder.inspection.words import reason_in_words

QUESTION = re.compile(
    r"why\s+(?:is\s+there\s+)?no\s+(?:order|buy|sell)\s+at\s+(?:level\s+)?([^\s?]+)(?:\s+(?:of|for|on)\s+([^\s?]+))?\s*\??",
    re.IGNORECASE,
)
_OF_GRID = ("GridStarted", "GridStopping", "GridStopped", "GridPaused", "GridResumed", "InstrumentListed")


@attrs.define
class Absence:
    """The answer.

    Attributes:
        symbol, level, side, price: what was asked about; level None when the price belongs to none.
        present: there is an order after all.
        answer: one sentence.
        rule: the rule that decides, in words.
        figures: what it was held against.
        since_ns, since_position: since when; 0 when it never was otherwise.
        would_change: what would have to happen.
        evidence: records that show it, nearest first: position, type, time and words.
    """

    symbol: str
    level: int | None = None
    side: str = ""
    price: str = ""
    present: bool = False
    answer: str = ""
    rule: str = ""
    figures: list[str] = attrs.Factory(list)
    since_ns: int = 0
    since_position: int = 0
    would_change: list[str] = attrs.Factory(list)
    evidence: list[dict[str, Any]] = attrs.Factory(list)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        found = attrs.asdict(self)
        found["since"] = iso(self.since_ns) if self.since_ns else ""
        return found


def question_in(what: str) -> tuple[str, str] | None:
    """(level or price, symbol or nothing) when a text asks why there is no order."""
    found = QUESTION.fullmatch(what.strip())
    return (found[1], found[2] or "") if found else None


def explain_absence(explainer: Explainer, where: str, symbol: str) -> Absence:
    """Why no order is at a level (its index, or one of its prices) now.

    Raises:
        UserError: the symbol or the level does not exist, or several symbols are traded and none is named.
    """
    return _Question(explainer, _symbol(explainer, symbol)).answer(where)


def _symbol(explainer: Explainer, named: str) -> str:
    traded = sorted(set(explainer.scales.grids.values()) or set(explainer.scales.instruments))
    if named:
        match = [one for one in traded if one.upper() == named.upper()]
        if not match:
            raise UserError(
                "explain.symbol",
                "this run does not trade the symbol",
                value=named,
                fix=f"name {', '.join(traded)}",
            )
        return match[0]
    if len(traded) != 1:
        raise UserError(
            "explain.symbol",
            "several symbols are traded" if traded else "this run trades nothing",
            fix=f"add `of SYMBOL`: {', '.join(traded)}" if traded else "look at `grinder audit RUN`",
        )
    return traded[0]


class _Question:
    def __init__(self, explainer: Explainer, symbol: str) -> None:
        self.explainer, self.symbol = explainer, symbol
        self.records, self.lookup = explainer.records, explainer.lookup
        self.scales, self.past = explainer.scales, explainer.past
        self.head = self.records.head()
        last = self.records.row(self.head)
        self.now_ns = last.ts_ns if last else 0

    # --- the level and its state -----------------------------------------------------------------------

    def _folded(self, level: int | None) -> tuple[SymbolState, list[tuple[LedgerRow, Any]]]:
        """The grid's state as far as one level goes, and the records of that level."""
        state, own = self._first(), []
        for at in sorted(self._positions(level)):
            row = self.records.row(at)
            if row is None or row.stream != f"symbol/{self.symbol}":
                continue
            event: Any = self.records.decoded(row)
            state = evolve(state, event)
            if getattr(event, "level", None) == level and level is not None:
                own.append((row, event))
        return state, own

    def _first(self) -> SymbolState:
        """The state before the first record; of a slice, the one it carries."""
        for at in self.lookup.listed(TYPE, CarryState.TOPIC):
            row = self.records.row(at)
            carried = self.records.decoded(row) if row is not None else None
            if isinstance(carried, CarryState) and carried.stream == f"symbol/{self.symbol}":
                return state_from(SymbolState, carried.state)
        return initial()

    def _positions(self, level: int | None) -> Iterator[int]:
        configured = next(
            (
                row.position
                for row, one in self.past.newest("GridConfigured", self.head)
                if one.symbol == self.symbol
            ),
            0,
        )
        if configured:
            yield configured
        for name in _OF_GRID:
            for at in self.lookup.listed(TYPE, f"{name}/1"):
                if at > configured or name == "InstrumentListed":
                    yield at
        for one in (NO_LEVEL, level):
            if one is not None:
                yield from self.lookup.listed(LEVEL, f"{self.symbol}/{one}", since=configured + 1)

    def _found(self, where: str, state: SymbolState) -> tuple[Level, str] | None:
        """(level, side) that a text names; None for a price at which there is no level."""
        if where.isdigit() and int(where) < len(state.levels):
            level = state.levels[int(where)]
            return level, ""
        ticks = self._ticks(where)
        for level in state.levels:
            if ticks == level.buy_ticks and (level.opening == BUY or next_side(level) == BUY):
                return level, BUY
        for level in state.levels:
            if ticks in (level.buy_ticks, level.sell_ticks):
                return level, BUY if ticks == level.buy_ticks else OPPOSITE[BUY]
        return None

    def _ticks(self, where: str) -> int:
        one = self.scales.instruments[self.symbol]
        try:
            price = Decimal(where.replace(",", ""))
            if not price.is_finite() or price <= 0:
                raise InvalidOperation
        except InvalidOperation as error:
            raise UserError(
                "explain.level",
                "this is neither the number of a level nor a price",
                value=where,
                fix='ask "why no order at 3", or "why no order at 60100"',
            ) from error
        units = price.scaleb(one.price_decimals)
        if units != int(units) or int(units) % one.tick_size:
            return -1  # between two ticks: no level has this price
        return to_units(price, one.price_decimals) // one.tick_size

    # --- the answer ------------------------------------------------------------------------------------

    def answer(self, where: str) -> Absence:
        """The first reason that holds."""
        state, _ = self._folded(None)
        if state.status is GridStatus.NEW:
            return Absence(
                self.symbol,
                answer=f"no grid was ever laid out for {self.symbol}",
                rule="a grid is laid out by StartGrid; a refusal of it is a MessageRefused of the symbol",
                would_change=["start a grid for it in the configuration"],
            )
        found = self._found(where, state)
        if found is None:
            return self._no_level(where, state)
        at = found[0].index
        state, own = self._folded(at)
        level = state.levels[at]
        side = found[1] or next_side(level)
        given = Absence(
            self.symbol, at, side, self.scales.price(self.symbol, price_of(level, side), unit=True)
        )
        self._decide(given, state, level, own)
        self._also(given)
        given.would_change = list(dict.fromkeys(given.would_change))
        return given

    def _no_level(self, where: str, state: SymbolState) -> Absence:
        ticks = self._ticks(where)
        given = Absence(self.symbol, price=where)
        laid_out = (
            one for one in self.past.newest("GridConfigured", self.head) if one[1].symbol == self.symbol
        )
        for row, configured in islice(laid_out, 1):  # of a slice it may lie before its first record
            given.since_ns, given.since_position = row.ts_ns, row.position
            self._shows(given, row.position)
            for skipped in configured.ladder.skipped:
                if ticks in (skipped.buy_ticks, skipped.sell_ticks):
                    given.answer = f"the level at {where} was left out of the ladder: {skipped.reason}"
                    given.rule = "a level that cannot trade (too small, or on a neighbour's tick) is left out"
                    given.would_change = ["give the grid more to invest, or fewer levels; see `grinder plan`"]
                    return given
        given.answer = f"no level of the grid has the price {where}; {self._around(where, state)}"
        given.rule = "orders stand at the prices of the ladder and nowhere else"
        given.would_change = ["another ladder in the configuration; see `grinder plan`"]
        return given

    def _around(self, where: str, state: SymbolState) -> str:
        """The nearest prices of the ladder below and above a price, with their levels."""
        one = self.scales.instruments[self.symbol]
        exact = Decimal(where.replace(",", "")).scaleb(one.price_decimals) / one.tick_size
        prices: dict[int, list[str]] = {}
        for level in state.levels:
            prices.setdefault(level.buy_ticks, []).append(f"level {level.index} buys")
            prices.setdefault(level.sell_ticks, []).append(f"level {level.index} sells")
        below = max((ticks for ticks in prices if ticks < exact), default=None)
        above = min((ticks for ticks in prices if ticks > exact), default=None)
        said = [
            f"{name} it {' and '.join(prices[ticks])} at {self.scales.price(self.symbol, ticks)}"
            for name, ticks in (("below", below), ("above", above))
            if ticks is not None
        ]
        return ", ".join(said)

    def _decide(
        self, given: Absence, state: SymbolState, level: Level, own: list[tuple[LedgerRow, Any]]
    ) -> None:
        if state.status in (GridStatus.STOPPED, GridStatus.STOPPING):
            self._stopped(given, state)
        elif state.status is GridStatus.INITIALIZED:
            given.answer = "the grid waits for its first price"
            given.rule = "the first price places the grid"
            given.would_change = ["a price of the market"]
            self._paused(given, state)
        elif level.order_id:
            self._ordered(given, level)
        elif state.grid_order:
            given.answer = "the initial inventory is being bought first; levels wait for it"
            given.rule = "fills of the initial inventory belong to levels that must still be free"
            given.figures = [f"its order: {self.explainer.fate(state.grid_order, self.now_ns)}"]
            given.would_change = [f"the end of order {state.grid_order}"]
        elif state.pauses:
            self._paused(given, state)
            self._last_refusal(given, own, counts=False)
        elif not level.waiting:
            self._ended(given, state, level, own)
        elif level.retry_at_ns:
            self._last_refusal(given, own, counts=True)
            self._retry(given, level)
        else:
            self._waits(given, level, own)

    def _stopped(self, given: Absence, state: SymbolState) -> None:
        for row, event in self.past.newest("GridStopping", self.head):
            if event.symbol == self.symbol:
                self._since(given, row)
                self._shows(given, *[one.position for one in self.records.path(row.position)])
                break
        given.answer = f"the grid is {state.status}: {reason_in_words(state.stop_reason)}"
        given.rule = "a grid that stops asks for nothing any more"
        given.would_change = ["start the grid anew"]

    def _ordered(self, given: Absence, level: Level) -> None:
        works = next_side(level)
        fate = self.explainer.fate(level.order_id, self.now_ns).partition(" after ")[0]
        price = self.scales.price(self.symbol, price_of(level, works), unit=True)
        row = self._asked_for(level.order_id)
        if row is None:
            fate = "asked for before the slice begins"
        else:
            self._since(given, row)
            self._shows(given, row.position)
            given.would_change = [f"grinder explain RUN {level.order_id}"]
        if works == given.side:
            given.present = True
            given.answer = f"there is one: {works} at {price}, {fate} (order {level.order_id})"
            given.rule = "a level has at most one order"
            return
        held = self.scales.holding(self.symbol, level.held)
        given.answer = f"it is the turn of the level's other side: its {works} at {price} works ({fate})"
        given.rule = "a level opens on one side and closes on the other, in turn, with one order at a time"
        given.figures = [f"level {level.index} holds {held} in cycle {level.cycle}"]
        given.would_change = [f"the {works} at {price} has to be filled", *given.would_change]

    def _asked_for(self, order: str) -> LedgerRow | None:
        """The request of an order; None if it lies before the slice."""
        mentions = self.lookup.mentions(order)
        row = self.records.row(mentions[0]) if mentions else None
        return row if row is not None and row.topic.startswith("OrderRequested/") else None

    def _paused(self, given: Absence, state: SymbolState) -> None:
        pauses = self.past.pauses(self.symbol, self.head)
        if not pauses and not state.pauses:
            return
        given.answer = "trading is paused: " + ", ".join(reason for _, reason in state.pauses)
        given.rule = "a paused symbol asks for nothing; working orders stay"
        for row, event in pauses:
            scope = event.symbol or "everything"
            given.figures.append(f"{event.reason}: {scope}, by {event.operator}, since {iso(row.ts_ns)}")
            self._shows(given, row.position)
        if pauses:
            self._since(given, pauses[0][0])
        given.would_change = [_end_of_pause(event.reason) for _, event in pauses]

    def _last_refusal(self, given: Absence, own: list[tuple[LedgerRow, Any]], *, counts: bool) -> None:
        """The newest refusal of the level's order, and since when it is refused for this reason."""
        released = [one for one in own if type(one[1]).__name__ == "LevelReleased"]
        if not released:
            return
        row, event = released[-1]
        first = row
        filled = max((one[0].position for one in own if type(one[1]).__name__ == "LevelFilled"), default=0)
        for earlier, before in reversed(released):
            if before.reason != event.reason or earlier.position < filled:
                break
            first = earlier
        cause = self.records.row(row.cause)
        assert cause is not None
        refusal: Any = self.records.decoded(cause)
        detail = getattr(refusal, "detail", "") or getattr(refusal, "text", "")
        self._shows(given, *[one.position for one in self.records.path(row.position)])
        if not counts:
            return
        self._since(given, first)
        given.answer = _refused_by(type(refusal).__name__, refusal) + reason_in_words(event.reason)
        given.rule = _rule_of(type(refusal).__name__)
        if detail:
            given.figures.append(detail)
        times = sum(one[1].reason == event.reason for one in released if one[0].position >= first.position)
        given.figures.append(f"refused {times} times in a row since {iso(first.ts_ns)}")
        self._what_would_help(given, event.reason, refusal)

    def _what_would_help(self, given: Absence, reason: str, refusal: Any) -> None:
        order = getattr(refusal, "client_order_id", "")
        asked = self._asked_for(order) if order else None
        if reason == "PAUSE_INV_CAP" and asked is not None:
            terms = self.records.decoded(asked).terms  # type: ignore[attr-defined]
            exposure = self.past.exposure(terms, self.head)
            if exposure is not None:
                given.figures.append(f"now: {exposure_text(self.scales, self.symbol, exposure)}")
                over = self.scales.money(max(exposure.over, 0))
                cap = self.scales.money(exposure.held + exposure.resting + exposure.ordered)
                given.would_change += (
                    [
                        f"holding and resting {given.side}s must fall by {over} in value",
                        f"or risk.inventory_max_quote be at least {cap}",
                    ]
                    if exposure.over > 0
                    else ["nothing: there is room now, and the level asks again at its time"]
                )
        elif reason == "INSUFFICIENT_FUNDS":
            given.would_change.append(
                "free funds must reach what is needed: a fill of the other side, or a deposit"
            )
        elif reason in ("THROTTLE_ORDERS_PER_MINUTE", "RATE_BUDGET", "SUSPENDED"):
            given.would_change.append("time alone: it asks again")
        elif reason == "PAUSE_NO_MARK":
            given.would_change.append("the next mark of equity")
        else:
            given.would_change.append("what the exchange objects to; its words are above")

    def _retry(self, given: Absence, level: Level) -> None:
        wait = level.retry_at_ns - self.now_ns
        when = f"in {span(wait)}" if wait > 0 else f"{span(-wait)} ago, with the next price it hears of"
        given.figures.append(
            f"refusal {level.refusals} of its order; "
            f"it asks again at {iso(level.retry_at_ns)} ({when} by the ledger)"
        )

    def _waits(self, given: Absence, level: Level, own: list[tuple[LedgerRow, Any]]) -> None:
        price = self.scales.price(self.symbol, price_of(level, next_side(level)), unit=True)
        above = next_side(level) == BUY
        given.answer = (
            f"the level waits for the price: a {next_side(level)} at {price} would take, not rest, now"
        )
        given.rule = (
            "an order of a level is asked for when it would rest: a buy below the price, a sell above it"
        )
        last = self._last_price()
        if last is not None:
            given.figures.append(f"last price in the ledger: {last}")
        one = self.scales.instruments[self.symbol]
        step = (1 if above else -1) + price_of(level, next_side(level))
        edge = self.scales.price(self.symbol, step, unit=True)
        given.figures.append(
            f"the core wakes when {one.symbol} trades at {edge} or {'above' if above else 'below'}"
        )
        given.would_change = [f"a price of {edge} or {'higher' if above else 'lower'}"]
        if own:
            self._since(given, own[-1][0])
            self._shows(given, own[-1][0].position)
        else:
            started = next(
                (r for r, e in self.past.newest("GridStarted", self.head) if e.symbol == self.symbol), None
            )
            if started is not None:
                self._since(given, started)
                self._shows(given, started.position)

    def _last_price(self) -> str | None:
        for at in self.lookup.latest(TYPE, "TickReport/1"):
            row = self.records.row(at)
            tick: Any = self.records.decoded(row) if row else None
            if row and tick.symbol == self.symbol:
                marked = next(self.past.newest("EquityMarked", self.head), None)
                if marked and marked[0].position > at and self.symbol in dict(marked[1].marks):
                    row, ticks = marked[0], dict(marked[1].marks)[self.symbol]
                    return f"{self.scales.price(self.symbol, ticks, unit=True)} at {iso(row.ts_ns)}"
                return f"{self.scales.price(self.symbol, tick.price_ticks, unit=True)} at {iso(row.ts_ns)}"
        return None

    def _ended(
        self, given: Absence, state: SymbolState, level: Level, own: list[tuple[LedgerRow, Any]]
    ) -> None:
        """No order, and not waiting for one."""
        self._last_refusal(given, own, counts=True)
        if not given.answer:
            held = self.scales.holding(self.symbol, level.held)
            small = "" if closable(state, level) or not level.held else ", too little to sell"
            given.answer = f"the level has no order and waits for none; it holds {held}{small}"
            given.rule = "what is below a lot or the exchange's minimum stays in the level as a residual"
        given.would_change = given.would_change or ["a start of the grid anew"]

    def _also(self, given: Absence) -> None:
        """Facts about the whole run that matter as well."""
        halt = self.past.halt(self.head)
        if halt is not None and not given.present:
            given.figures.append(f"the kill switch is latched since {iso(halt[0].ts_ns)}: {halt[1].reason}")
            given.would_change.append("`grinder reset RUN` releases the kill switch")
            self._shows(given, halt[0].position)
        for row, note in self.past.newest("RunReport", self.head):
            if note.phase in ("stopping", "stopped"):
                given.figures.append(
                    f"the process is {note.phase} since {iso(row.ts_ns)}: nothing is asked for"
                )
                given.would_change.append("start the run again")
            break

    def _since(self, given: Absence, row: LedgerRow) -> None:
        given.since_ns, given.since_position = row.ts_ns, row.position

    def _shows(self, given: Absence, *positions: int) -> None:
        from grinder.inspection.tree import branch_of

        for position in positions:
            row = self.records.row(position)
            if row is not None and all(one["position"] != position for one in given.evidence):
                branch = branch_of(self.records, self.scales, row)
                given.evidence.append(
                    {"position": position, "type": row.topic, "time": iso(row.ts_ns), "says": branch.says}
                )


def _end_of_pause(reason: str) -> str:
    if reason == "operator":
        return "`grinder resume RUN`"
    if reason == "difference":
        return "`grinder accept RUN SYMBOL`, after the difference was looked at"
    if reason == "stopped":
        return "start the run again"
    return f"the pause for {reason} ends by itself when its cause is gone"


def _refused_by(name: str, refusal: Any) -> str:
    return {
        "OrderBlocked": "risk blocks its order: ",
        "OrderRefused": "the account refuses its order: ",
        "OrderThrottled": "the account holds its order back: ",
        "OrderClosed": f"its order was {getattr(refusal, 'status', 'ended')}: ",
    }.get(name, "its order ended: ")


def _rule_of(name: str) -> str:
    return {
        "OrderBlocked": "no order leaves without passing the limits; a refused level waits 1 s to 1 h",
        "OrderRefused": "nothing is sent that is not covered; a refused level waits 1 s to 1 h",
        "OrderThrottled": "requests are limited by our budget and by the exchange",
        "OrderClosed": "an order that ended unfilled is wanted again after 1 s, doubled each time, to 1 h",
    }.get(name, "")
