"""Faults of an exchange, planned and seeded: which request, stream or moment goes wrong, and how.

Law: a plan decides, it does nothing itself; whoever stands at the exchange's boundary asks before every
operation and carries out what it is told.  Every rule draws from a stream of its own, named after it, so that
adding a rule never shifts another's chances, and the same seed and the same questions give the same faults.
Every fault is counted when it fires.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from pathlib import Path
from typing import Any

import attrs
import yaml

NS = 1_000_000_000
FOR_EVER_S = 1e9

WRITES = ("place", "cancel", "dead_man")
READS = ("order", "open_orders", "fills", "balances", "positions", "time", "rules")
REQUESTS = (*WRITES, *READS)
STREAMS = ("market", "private")
OPERATIONS = (*REQUESTS, *STREAMS)


class FaultFileError(ValueError):
    """A fault plan cannot be read; the text names the rule and the fix."""


@attrs.frozen(kw_only=True)
class FaultKind:
    """One way in which an exchange goes wrong.

    Attributes:
        default: operations it befalls when a rule names none.
        allowed: operations it can befall.
        lasting: it stays for the rule's `for_s` (or `seconds`, or `retry_after`) once it fired.
        text: its effect, for people.
    """

    default: tuple[str, ...]
    allowed: tuple[str, ...]
    text: str
    lasting: bool = False


def _kind(
    default: Sequence[str], text: str, allowed: Sequence[str] = (), *, lasting: bool = False
) -> FaultKind:
    return FaultKind(default=tuple(default), allowed=tuple(allowed or default), text=text, lasting=lasting)


KINDS: dict[str, FaultKind] = {
    "drop_request": _kind(["place"], "the request is lost: not processed, no answer", REQUESTS),
    "drop_reply": _kind(["place"], "processed, but the answer is lost", REQUESTS),
    "status_unknown": _kind(
        ["place"],
        "the exchange answers that it does not know the outcome; processed with an even chance",
        WRITES,
    ),
    "delay_reply": _kind(REQUESTS, "processed at once, answered after `seconds`"),
    "late_order": _kind(["place"], "no answer; the order is processed only after `seconds`"),
    "omit_open_order": _kind(["open_orders"], "the list of open orders misses one that is open"),
    "fill_before_ack": _kind(
        ["private"], "the stream tells of an order's execution before it tells of the order"
    ),
    "lag_rest": _kind(
        ["order", "open_orders", "fills"],
        "orders and executions are shown as of `seconds` ago, for `for_s`",
        lasting=True,
    ),
    "duplicate_fill": _kind(["private", "fills"], "an execution is told twice"),
    "fill_without_id": _kind(["private"], "an execution has no id, on the stream and in every list"),
    "status_regress": _kind(["private"], "after an order's end, the stream shows it as new again"),
    "external_cancel": _kind(["market"], "the exchange cancels an open order by itself (`reason`)"),
    "filters_change": _kind(
        ["market"], "tick, lot and smallest value of a symbol become `amount` times as large"
    ),
    "withdraw": _kind(["market"], "`amount` of `asset` (or what is free of it) leaves the account"),
    "rate_limit": _kind(REQUESTS, "too many requests, for `retry_after` s", lasting=True),
    "ban": _kind(REQUESTS, "shut out, for `retry_after` s", lasting=True),
    "clock_drift": _kind(
        OPERATIONS, "the exchange's clock is `seconds` ahead (or behind), for `for_s`", lasting=True
    ),
    "maintenance": _kind(
        OPERATIONS, "every request is refused and every stream is down, for `seconds`", lasting=True
    ),
    "cut_stream": _kind(STREAMS, "the stream's connection is cut, and refused for `seconds`", lasting=True),
    "mute_stream": _kind(STREAMS, "the stream stays up but says nothing for `seconds`", lasting=True),
    "sequence_gap": _kind(["market"], "a message is left out, its sequence number is not"),
    "bad_checksum": _kind(["market"], "a book's checksum is wrong (a gap where there is none)"),
    "html_body": _kind(["place"], "processed; the answer is a page of HTML", REQUESTS),
    "truncated_body": _kind(["place"], "processed; the answer is cut off in the middle", REQUESTS),
    "null_price": _kind(["market"], "a price is null", (*STREAMS, "fills", "order", "open_orders")),
    "negative_fill": _kind(["private"], "an executed quantity is negative", ("private", "fills")),
    "unknown_status": _kind(
        ["private"], "an order's status is a word nobody knows", ("private", "order", "open_orders")
    ),
    "short_batch": _kind(["place"], "a batch is answered with one item too few", ("place", "cancel")),
    "cancel_refused": _kind(["cancel"], "a cancel is refused although the order is open"),
}
"""Every kind, by name."""


@attrs.frozen(kw_only=True)
class Fault:
    """One fault to carry out.

    Attributes:
        seconds, for_s, retry_after: seconds; what each is for is said by the kind.  Of a fault that lasts,
            `retry_after` is what is left of it.
        amount: a decimal: how much is withdrawn, or how many times larger steps become.
        chance: 0..999_999, for the decisions the fault itself leaves open.
        began: it fired just now (False: it fired earlier and still lasts).
        rule: number of its rule in the plan, from 0.
    """

    kind: str
    operation: str
    seconds: float = 0.0
    for_s: float = 0.0
    retry_after: float = 0.0
    amount: Decimal = Decimal(0)
    asset: str = ""
    symbol: str = ""
    reason: str = ""
    chance: int = 0
    began: bool = True
    rule: int = 0


@attrs.frozen(kw_only=True)
class FaultRule:
    """When a kind of fault fires.

    A rule is asked at every operation it befalls, and counts the times.  It fires when all it says holds:

    Attributes:
        kind: see `KINDS`.
        operations: what it befalls; empty means the kind's usual operations.
        symbol: only rows of the market and events of orders of this symbol; requests have none.
        probability: chance of each time, 0..1; 1 when neither this nor `times`, `every`, `at_s` is given.
        times: the numbers of the times at which it fires, from 1.
        every: it fires each so many times.
        at_s: seconds since the plan's first question at which it fires once, with the next operation.
        after_s, until_s: only within this span since the plan's first question (0: open).
        limit: fires at most so often; 0 is no limit.
        seconds, for_s, retry_after, amount, asset, reason: see `Fault`.
        name: names the rule's stream of chances; the kind and the rule's number when empty.
    """

    kind: str = attrs.field()
    operations: tuple[str, ...] = ()
    symbol: str = ""
    probability: float | None = None
    times: tuple[int, ...] = ()
    every: int = 0
    at_s: float | None = None
    after_s: float = 0.0
    until_s: float = 0.0
    limit: int = 0
    seconds: float = 0.0
    for_s: float = 0.0
    retry_after: float = 1.0
    amount: Decimal = Decimal(0)
    asset: str = ""
    reason: str = "exchange"
    name: str = ""

    def __attrs_post_init__(self) -> None:
        if self.kind not in KINDS:
            raise FaultFileError(f"unknown kind {self.kind!r}; use one of {', '.join(sorted(KINDS))}")
        wrong = [one for one in self.operations if one not in KINDS[self.kind].allowed]
        if wrong:
            allowed = ", ".join(KINDS[self.kind].allowed)
            raise FaultFileError(f"{self.kind} does not befall {', '.join(wrong)}; it befalls {allowed}")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise FaultFileError(f"{self.kind}: a probability lies between 0 and 1, not {self.probability}")
        if self.kind == "withdraw" and (not self.asset or self.amount <= 0):
            raise FaultFileError("withdraw needs an asset and an amount above 0")

    @property
    def befalls(self) -> tuple[str, ...]:
        """The operations at which the rule is asked."""
        return self.operations or KINDS[self.kind].default

    @property
    def lasts_s(self) -> float:
        """How long a lasting fault stays."""
        if self.kind in ("rate_limit", "ban"):
            return self.retry_after
        if self.kind == "clock_drift":
            return self.for_s or FOR_EVER_S
        return self.for_s if self.kind == "lag_rest" else self.seconds


class _Armed:
    """A rule with its own stream of chances and its counts."""

    def __init__(self, rule: FaultRule, number: int, seed: int) -> None:
        self.rule = rule
        self.number = number
        name = rule.name or f"{rule.kind}/{number}"
        self.chance = random.Random(sha256(f"{seed}/faults/{name}".encode()).digest())
        self.asked = 0
        self.fired = 0

    def ask(self, since_s: float) -> int | None:
        """Ask once: a number 0..999_999 for the fault's own decisions when it fires, else None."""
        rule = self.rule
        self.asked += 1
        drawn, own = self.chance.random(), self.chance.randrange(1_000_000)
        if rule.limit and self.fired >= rule.limit:
            return None
        if since_s < rule.after_s or (rule.until_s and since_s >= rule.until_s):
            return None
        if rule.at_s is not None and (self.fired or since_s < rule.at_s):
            return None
        if rule.times and self.asked not in rule.times:
            return None
        if rule.every and self.asked % rule.every:
            return None
        if rule.probability is not None and drawn >= rule.probability:
            return None
        return own


class FaultPlan:
    """Rules, the chances they draw and what they have done so far."""

    def __init__(self, rules: Sequence[FaultRule] = (), seed: int = 0) -> None:
        self.seed = seed
        self.rules = tuple(rules)
        self._armed = [_Armed(rule, number, seed) for number, rule in enumerate(self.rules)]
        self._fired: Counter[str] = Counter()
        self._fired_at: Counter[tuple[str, str]] = Counter()
        self._lasting: dict[str, tuple[int, Fault]] = {}
        self._start_ns: int | None = None
        self.stopped = False

    # --- asked at the boundary -------------------------------------------------------------------------

    def draw(self, operation: str, now_ns: int, symbol: str = "") -> Fault | None:
        """What befalls an operation now, if anything; a fault that fires is counted.

        Every rule of the operation is asked; the first that fires wins.  A fault that still lasts from
        before comes first, and is not counted again.
        """
        if self._start_ns is None:
            self._start_ns = now_ns
        since_s = (now_ns - self._start_ns) / NS
        shut = self._shut(operation, now_ns)
        found: Fault | None = None
        for armed in self._armed:
            if operation not in armed.rule.befalls or (armed.rule.symbol and armed.rule.symbol != symbol):
                continue
            own = armed.ask(since_s)
            if own is not None and found is None and shut is None and not self.stopped:
                found = self._fire(armed, operation, symbol, own, now_ns)
        return shut or found

    def lasting(self, kind: str, now_ns: int) -> Fault | None:
        """A fault of this kind that fired and still lasts."""
        found = self._lasting.get(kind)
        if found is None:
            return None
        if now_ns >= found[0]:
            del self._lasting[kind]
            return None
        return found[1]

    def until_ns(self, kind: str) -> int:
        """Until when the last fault of a kind lasts (or lasted); 0 for none."""
        found = self._lasting.get(kind)
        return found[0] if found else 0

    def drift_ns(self, now_ns: int) -> int:
        """How far the exchange's clock is ahead now."""
        drift = self.lasting("clock_drift", now_ns)
        return int(drift.seconds * NS) if drift else 0

    def lag_ns(self, now_ns: int) -> int:
        """How far reading requests are behind now."""
        lag = self.lasting("lag_rest", now_ns)
        return int(lag.seconds * NS) if lag else 0

    def end(self, kind: str) -> None:
        """End what lasts of a kind (``mute_stream/private``: of that stream)."""
        self._lasting.pop(kind, None)

    def had_no_effect(self, fault: Fault) -> None:
        """Take back the count of a fault that found nothing to befall (no order to cancel)."""
        self._armed[fault.rule].fired -= 1
        self._fired[fault.kind] -= 1
        self._fired_at[fault.kind, fault.operation] -= 1

    def stop(self) -> None:
        """No new fault fires, and what lasts ends: the exchange is well from now on."""
        self.stopped = True
        self._lasting.clear()

    # --- what it did -----------------------------------------------------------------------------------

    def fired(self) -> dict[str, int]:
        """How often each kind fired; kinds that never did are missing."""
        return {kind: count for kind, count in sorted(self._fired.items()) if count}

    def fired_at(self) -> dict[tuple[str, str], int]:
        """How often each (kind, operation) fired."""
        return {at: count for at, count in sorted(self._fired_at.items()) if count}

    def never_fired(self) -> tuple[str, ...]:
        """Kinds the plan holds that have not fired yet."""
        return tuple(sorted({rule.kind for rule in self.rules} - set(self.fired())))

    # --- reading ---------------------------------------------------------------------------------------

    @classmethod
    def from_document(cls, document: Any, seed: int | None = None) -> FaultPlan:
        """A plan from a read file: ``{"seed": 7, "faults": [{"kind": ...}, ...]}``.

        Args:
            seed: overrides the document's.

        Raises:
            FaultFileError: an unknown key, kind or operation, or a value of the wrong form.
        """
        if not isinstance(document, Mapping):
            raise FaultFileError("a fault plan is a mapping with the key 'faults'")
        unknown = sorted(set(map(str, document)) - {"seed", "faults"})
        if unknown:
            raise FaultFileError(f"unknown key {unknown[0]!r}; a plan has 'seed' and 'faults'")
        listed = document.get("faults") or []
        if not isinstance(listed, Sequence) or isinstance(listed, str):
            raise FaultFileError("'faults' is a list of rules")
        rules = [_rule(number, one) for number, one in enumerate(listed, 1)]
        written = document.get("seed", 0)
        if not isinstance(written, int) or isinstance(written, bool):
            raise FaultFileError(f"'seed' is a whole number, not {written!r}")
        return cls(rules, written if seed is None else seed)

    @classmethod
    def from_file(cls, path: Path, seed: int | None = None) -> FaultPlan:
        """A plan from a YAML or JSON file.

        Raises:
            FaultFileError: see `from_document`; also a file that cannot be read.
        """
        try:
            document = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise FaultFileError(f"{path}: {error}") from error
        try:
            return cls.from_document(document, seed)
        except FaultFileError as error:
            raise FaultFileError(f"{path}: {error}") from error

    # --- within ----------------------------------------------------------------------------------------

    def _fire(self, armed: _Armed, operation: str, symbol: str, own: int, now_ns: int) -> Fault:
        rule = armed.rule
        armed.fired += 1
        self._fired[rule.kind] += 1
        self._fired_at[rule.kind, operation] += 1
        fault = Fault(
            kind=rule.kind,
            operation=operation,
            seconds=rule.seconds,
            for_s=rule.for_s,
            retry_after=rule.retry_after,
            amount=rule.amount,
            asset=rule.asset,
            symbol=rule.symbol or symbol,
            reason=rule.reason,
            chance=own,
            rule=armed.number,
        )
        if KINDS[rule.kind].lasting:
            key = f"{rule.kind}/{operation}" if operation in STREAMS and "stream" in rule.kind else rule.kind
            self._lasting[key] = (now_ns + int(rule.lasts_s * NS), attrs.evolve(fault, began=False))
        return fault

    def _shut(self, operation: str, now_ns: int) -> Fault | None:
        """What shuts an operation out because it still lasts from an earlier time."""
        if operation in REQUESTS:
            kinds: tuple[str, ...] = ("maintenance", "ban", "rate_limit")
        else:
            kinds = ("maintenance", f"cut_stream/{operation}", f"mute_stream/{operation}")
        for kind in kinds:
            fault = self.lasting(kind, now_ns)
            if fault is not None:
                return attrs.evolve(fault, retry_after=(self.until_ns(kind) - now_ns) / NS)
        return None


_NUMBERS = ("probability", "at_s", "after_s", "until_s", "seconds", "for_s", "retry_after")
_WHOLE = ("every", "limit")
_TEXTS = ("symbol", "asset", "reason", "name")


def _rule(number: int, written: Any) -> FaultRule:
    """One rule of a document; errors name it by its number."""
    where = f"rule {number}"
    if not isinstance(written, Mapping) or "kind" not in written:
        raise FaultFileError(f"{where}: a rule is a mapping with at least the key 'kind'")
    known = {one.name for one in attrs.fields(FaultRule)}
    unknown = sorted(set(map(str, written)) - known - {"operation"})
    if unknown:
        raise FaultFileError(f"{where}: unknown key {unknown[0]!r}; use {', '.join(sorted(known))}")
    values: dict[str, Any] = {"kind": str(written["kind"])}
    operations = written.get("operations", written.get("operation", ()))
    values["operations"] = (operations,) if isinstance(operations, str) else tuple(operations)
    for name in _NUMBERS + _WHOLE:
        if written.get(name) is not None:
            values[name] = _number(where, name, written[name], whole=name in _WHOLE)
    times = written.get("times", ())
    numbers = times if isinstance(times, Sequence) and not isinstance(times, str) else (times,)
    values["times"] = tuple(int(_number(where, "times", one, whole=True)) for one in numbers)
    for name in _TEXTS:
        if name in written:
            values[name] = str(written[name])
    if "amount" in written:
        try:
            values["amount"] = Decimal(str(written["amount"]))
        except InvalidOperation:
            raise FaultFileError(f"{where}: 'amount' is a decimal, not {written['amount']!r}") from None
    try:
        return FaultRule(**values)
    except FaultFileError as error:
        raise FaultFileError(f"{where}: {error}") from error


def _number(where: str, name: str, value: Any, *, whole: bool) -> Any:
    kinds = (int,) if whole else (int, float)
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise FaultFileError(f"{where}: {name!r} is a {'whole ' if whole else ''}number, not {value!r}")
    return value
