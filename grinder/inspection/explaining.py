"""Why an order, a fill or a record is there, and what came of it.

Law: every statement is a record of the ledger, or a frame of the tape; nothing is decided again and nothing
guessed.  Records are found through the lookup, so the size of the ledger hardly matters.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs

from actors.records import LedgerRow
from grinder.errors import UserError
from grinder.inspection.amounts import Scales, scales_of
from grinder.inspection.checks import Past, checks_at
from grinder.inspection.frames import frame_of
from grinder.inspection.lookup import Lookup
from grinder.inspection.records import Records, iso, span
from grinder.inspection.tree import Branch, branch_of, grown
from grinder.inspection.words import order_in_words, place_of

MOST_SHOWN = 400
"""Records of one input that are shown; the rest are counted."""


@attrs.define
class Explanation:
    """What was found.

    Attributes:
        subject: what was asked about, resolved: its kind and its ids.
        summary: the answer in one sentence.
        money: what it came to, name and amount with unit.
        tree: the causal tree; None when there is nothing to draw.
        hints: what to ask next.
    """

    subject: dict[str, Any]
    summary: str
    money: dict[str, str] = attrs.Factory(dict)
    tree: Branch | None = None
    hints: list[str] = attrs.Factory(list)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "subject": self.subject,
            "summary": self.summary,
            "money": self.money,
            "tree": self.tree.as_dict() if self.tree else None,
            "hints": self.hints,
        }


def order_id_of(record: Any) -> str:
    """The order a record is about; empty when it is about none."""
    found = getattr(record, "client_order_id", "") or getattr(
        getattr(record, "terms", None), "client_order_id", ""
    )
    return str(found)


class Explainer:
    """Explains records of one ledger."""

    def __init__(self, records: Records, lookup: Lookup, *, tape: bool = True) -> None:
        self.records = records
        self.lookup = lookup
        self.scales: Scales = scales_of(records)
        self.past = Past(records, lookup, self.scales)
        self.tape = tape

    def explain(self, what: str) -> Explanation:
        """Explain an order, a fill or a position.

        Args:
            what: a position (``1200``, ``#1200``), a client or exchange order id, a fill id, or the beginning
                of one; ``order:ID`` and ``fill:ID`` say which is meant.

        Raises:
            UserError: nothing has this name, or several things begin with it.
        """
        kind, colon, rest = what.partition(":")
        named = kind if colon and kind in ("order", "fill", "record") else ""
        text = rest if named else what
        plain = text.replace(",", "").removeprefix("#")
        if named in ("", "record") and plain.isdigit() and 1 <= int(plain) <= self.records.head():
            return self._record(int(plain))
        if named == "record" or (text.startswith("#") and plain.isdigit()):
            raise self._unknown(what)
        return self._mentioned(self._resolved(text, what), named)

    # --- finding what is meant -------------------------------------------------------------------------

    def _unknown(self, what: str) -> UserError:
        return UserError(
            "explain.unknown",
            "no record, order or fill of this run has this name",
            value=what,
            place=str(self.records.folder.path),
            fix=f"give a position from 1 to {self.records.head():,}, an order id or a fill id; "
            "`grinder audit RUN --type OrderRequested` lists orders",
        )

    def _resolved(self, text: str, what: str) -> str:
        if self.lookup.mentions(text):
            return text
        found = self.lookup.starting_with(text) if text else []
        if not found:
            raise self._unknown(what)
        if len(found) > 1 and len({self._orders_of(one) for one in found}) > 1:
            more = " ..." if len(found) == 10 else ""
            raise UserError(
                "explain.ambiguous",
                "several orders or fills begin like this",
                value=what,
                fix=f"write more of it: {', '.join(found[:5])}{more}",
            )
        return found[0]

    def _orders_of(self, key: str) -> str:
        """The order that an id leads to."""
        for position in self.lookup.mentions(key):
            row = self.records.row(position)
            if row is not None and (order := order_id_of(self.records.decoded(row))):
                return order
        return ""

    def _mentioned(self, key: str, named: str) -> Explanation:
        order = key if len(key) == 32 and self._orders_of(key) == key else self._orders_of(key)
        for position in self.lookup.mentions(key):
            row = self.records.row(position)
            if row is None:
                continue
            record: Any = self.records.decoded(row)
            if named != "order" and key != order and getattr(record, "fill_id", "") == key:
                return self._order(order, fill=position, fill_id=key)
        return self._order(order)

    # --- an order --------------------------------------------------------------------------------------

    def _story(self, order: str) -> list[tuple[LedgerRow, Any]]:
        """The records that speak of an order by its client id, in order."""
        found = []
        for position in self.lookup.mentions(order):
            row = self.records.row(position)
            if row is not None:
                found.append((row, self.records.decoded(row)))
        return found

    def _order(self, order: str, fill: int = 0, fill_id: str = "") -> Explanation:
        story = self._story(order)
        asked = next((one for one in story if one[0].topic.startswith("OrderRequested/")), None)
        first = asked[0] if asked else story[0][0]
        turn = self.records.turn(first.position)
        tree = grown(self.records, self.scales, turn, self._of_order(turn, order))
        self._frame(tree, turn[0])
        by_position = {one.position: one for one in tree.walk()}
        if asked:
            by_position[first.position].subject = not fill
        left_at = next(
            (one for one in tree.walk() if one.topic.startswith(("OrderSubmitted/", "OrderRequested/"))), tree
        )
        for one in tree.walk():
            if one.topic.startswith("OrderSubmitted/"):
                left_at = one
        self._later(left_at, story, turn[-1].position, order, fill)
        self._checks(tree, order)
        subject = {"kind": "fill" if fill else "order", "client_order_id": order}
        if fill:
            subject |= {"fill_id": fill_id, "position": str(fill)}
        explained = Explanation(subject, self._summary(order, story, asked), self._money(order, fill), tree)
        if exchange_id := next(
            (e.exchange_order_id for _, e in story if getattr(e, "exchange_order_id", "")), ""
        ):
            subject["exchange_order_id"] = exchange_id
        before = order_id_of(self.records.decoded(turn[0]))
        if before and before != order:
            explained.hints.append(f"it followed order {before}: grinder explain RUN {before}")
        return explained

    def _later(
        self, left_at: Branch, story: list[tuple[LedgerRow, Any]], after: int, order: str, fill: int
    ) -> None:
        """Hang what came later of an order: answers of the exchange and what followed, cancels asked for."""
        seen = after
        for row, _ in story:
            if row.position <= seen or (
                row.topic.startswith("FillReport/") and fill and row.position != fill
            ):
                continue
            turn = self.records.turn(row.position)
            seen = turn[-1].position
            if row.cause == row.position:
                wanted = frozenset(one.position for one in turn[:MOST_SHOWN])
            else:
                wanted = self._of_order(turn, order)
            grown_turn = grown(self.records, self.scales, turn, wanted)
            grown_turn.subject = bool(fill) and row.position == fill
            self._frame(grown_turn, turn[0])
            for one in grown_turn.walk():
                if one.topic.startswith("OrderRequested/"):
                    self._fate(one, order)
            left_at.hang(grown_turn)

    def _of_order(self, turn: Iterable[LedgerRow], order: str) -> frozenset[int]:
        """Positions within a turn that speak of an order, and what hangs on those."""
        found: set[int] = set()
        for row in turn:
            speaks = order.encode() in row.state and order_id_of(self.records.decoded(row)) == order
            if speaks or (row.cause in found and row.cause != row.position):
                found.add(row.position)
        return frozenset(found)

    def _fate(self, branch: Branch, asked_about: str) -> None:
        """What became of an order that followed from the one asked about, in one line."""
        row = self.records.row(branch.position)
        assert row is not None
        order = order_id_of(self.records.decoded(row))
        if order == asked_about:
            return
        branch.next_order = order
        branch.notes.append(f"later: {self.fate(order, branch.ts_ns)} (grinder explain RUN {order})")

    def fate(self, order: str, since_ns: int) -> str:
        """How an order stands at the end of the ledger, in a few words."""
        status, at_ns = "requested", since_ns
        for row, _ in self._story(order):
            for one in self.records.turn(row.position):
                if order.encode() not in one.state:
                    continue
                record: Any = self.records.decoded(one)
                if order_id_of(record) == order and (new := _status(record)):
                    status, at_ns = new, one.ts_ns
        return f"{status} after {span(at_ns - since_ns)}" if at_ns != since_ns else status

    def _frame(self, branch: Branch, row: LedgerRow) -> None:
        if not self.tape:
            return
        found = frame_of(self.records.folder.path, row, self.records.decoded(row))
        if found is None:
            return
        branch.frame = found
        how = "frame" if found["names_it"] or row.stream == "input/market" else "newest frame before it"
        branch.notes.append(
            f"{how} on the tape: {found['segment']}, stream {found['stream']}, "
            f"{span(found['to_input_ns'])} before: "
            f"{found['frame'][:160]}"
        )

    def _checks(self, tree: Branch, order: str) -> None:
        """The limits an order was held against, on its `OrderAllowed` or `OrderBlocked`."""
        for one in tree.walk():
            name = one.topic.partition("/")[0]
            if name not in ("OrderAllowed", "OrderBlocked"):
                continue
            row = self.records.row(one.position)
            assert row is not None
            asked = self.records.row(row.cause)
            record: Any = self.records.decoded(row)
            if asked is None or order_id_of(record) != order or not asked.topic.startswith("OrderRequested/"):
                continue
            terms = self.records.decoded(asked).terms  # type: ignore[attr-defined]
            blocked = record if name == "OrderBlocked" else None
            one.checks = [attrs.asdict(check) for check in checks_at(self.past, row, terms, blocked)]

    def _summary(
        self, order: str, story: list[tuple[LedgerRow, Any]], asked: tuple[LedgerRow, Any] | None
    ) -> str:
        if asked is None:
            return f"order {order} was never asked for by this ledger; the exchange spoke of it"
        row, request = asked
        state = self.fate(order, row.ts_ns)
        return f"order {order} of {place_of(order)}: {order_in_words(self.scales, request.terms)}: {state}"

    def _money(self, order: str, fill: int = 0) -> dict[str, str]:
        """What the executions of an order (or one of them) came to."""
        lots = fee = cash = profit = holding = count = 0
        symbol, closes = "", False
        for row, _ in self._story(order):
            if not row.topic.startswith("FillReport/") or (fill and row.position != fill):
                continue
            for one in self.records.turn(row.position):
                record: Any = self.records.decoded(one)
                if type(record).__name__ == "OrderFilled":
                    symbol, count = record.symbol, count + 1
                    lots, fee = lots + record.lots, fee + record.fee_value
                    cash, holding = cash + record.cash_units, holding + record.base_units
                elif type(record).__name__ == "LevelFilled":
                    profit, closes = profit + record.profit, closes or record.role == "close"
        if not count:
            return {}
        to = self.scales
        found = {
            "executions": str(count),
            "quantity": to.quantity(symbol, lots),
            "holding": to.holding(symbol, holding),
            "cash": to.money(cash),
            "fees": to.money(fee),
        }
        if closes:
            found |= {"profit of its levels before fees": to.money(profit)}
        return found

    # --- a record --------------------------------------------------------------------------------------

    def _record(self, position: int) -> Explanation:
        turn = self.records.turn(position)
        wanted = {position}
        for row in turn:
            if row.cause in wanted and len(wanted) < MOST_SHOWN:
                wanted.add(row.position)
        tree = grown(self.records, self.scales, turn, frozenset(wanted))
        self._frame(tree, turn[0])
        row = next(one for one in turn if one.position == position)
        record = self.records.decoded(row)
        for one in tree.walk():
            one.subject = one.position == position
        order = order_id_of(record)
        if order:
            self._checks(tree, order)
        subject = {"kind": "record", "position": str(position), "type": row.topic, "stream": row.stream}
        says = branch_of(self.records, self.scales, row).says
        explained = Explanation(subject, f"record {position:,} at {iso(row.ts_ns)}: {says}", {}, tree)
        if order:
            explained.hints.append(f"the whole story of its order: grinder explain RUN {order}")
        if self.lookup.mentions(str(position)):
            explained.hints.append(
                f"an order of the exchange has this number too: grinder explain RUN order:{position}"
            )
        return explained


def _status(record: Any) -> str:
    """How an order stands after a record about it; empty when that says nothing."""
    name = type(record).__name__
    if name in ("OrderAccepted", "OrderFilled", "OrderClosed", "OrderReappeared"):
        reason = getattr(record, "reason", "")
        return f"{record.status} ({reason})" if reason else str(record.status)
    if name in ("OrderBlocked", "OrderRefused", "OrderThrottled"):
        return f"{name.removeprefix('Order').lower()} ({record.reason})"
    known = {
        "OrderRequested": "requested",
        "OrderAllowed": "allowed",
        "OrderSubmitted": "pending: no answer from the exchange yet",
        "OrderOutcomeUnknown": "unknown: the exchange did not answer",
    }
    return known.get(name, "")
