"""Proving a run from its tape: frames -> inputs -> events.

Law: the recorded frames go through the connector's own decoder and the live run's own dispatcher and gate.
Every input the gate lets in must be the next one in the ledger, and no input of the market may be in the
ledger without it.  Executions the private streams brought must be there as they came.  Everything else the
core learned (commands, answers to requests) is taken from the ledger, and every record it then writes is
compared.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Container, Iterable
from typing import Any, cast

import attrs

from actors.core import Core
from actors.ports import Decoder, SnapshotStatus
from actors.records import LedgerRow
from domain.account_state import AccountState
from domain.codec import decode, encode
from domain.inputs import (
    ACCOUNT,
    ClockReport,
    FillReport,
    FundingReport,
    OpenAccount,
    TickReport,
)
from domain.instrument import ListInstrument
from domain.notes import RunReport
from domain.record import Record
from grinder.live.gate import Gate
from grinder.live.listening import Dispatcher, NoTape
from grinder.tape.layout import End, Entry, Flush, Frame, Header, TapeError
from grinder.tape.proof_parts import CONFIRMS, Difference, MakeSource, Private, Proof, Source, StillLoop
from replay.compare import ComparingJournal, Divergence, PlainRow, difference

OF_THE_MARKET = (TickReport.TOPIC, ClockReport.TOPIC)
STARTED = "started"


class _Differs(Exception):
    """Ends the proof."""

    def __init__(self, found: Difference) -> None:
        super().__init__(found.what)
        self.found = found


class _FutureLost(Exception):
    """The tape of a crashed session goes further than its ledger."""


@attrs.define
class _Session:
    """One process's part of the tape."""

    header: Header
    source: Source
    ended: bool
    over: bool = False
    decoder: Decoder | None = None
    gate: Gate | None = None
    dispatcher: Dispatcher | None = None
    symbols: tuple[str, ...] = ()


class Prover:
    """Walks ledger and tape together.

    Args:
        ended: sessions that closed their tape.
        killed: positions at which processes began that did not end in order.
    """

    def __init__(
        self,
        recorded: Iterable[PlainRow],
        tape: Iterable[Entry],
        make_source: MakeSource,
        ended: set[int],
        killed: Container[int] = (),
    ) -> None:
        self._killed = killed
        self._journal = ComparingJournal(iter(recorded))
        self._core = Core(self._journal)
        self._tape = iter(tape)
        self._entry: Entry | None = next(self._tape, None)
        self._make_source = make_source
        self._ended = ended
        self._private = Private()
        self._session: _Session | None = None
        self._fee_prices: dict[str, int] = {}
        self._flush_ns = 0
        self._frames = self._inputs = self._uncovered = 0
        self._process = 0
        self._from_ledger_alone: Counter[str] = Counter()
        self._reports: list[tuple[str, str, frozenset[SnapshotStatus]]] = []
        self._untaped: list[int] = []

    def prove(self, progress: Callable[[int], None] = lambda done: None) -> Proof:
        """Walk to the end, or to the first difference.

        Raises:
            TapeError: a part of the tape is missing or damaged.
            UnknownTopicError: a newer program wrote the ledger.
            CoreFailure: an actor raised.
        """
        found = None
        try:
            while self._step():
                if self._journal.compared % 4096 < 16:
                    progress(self._journal.compared)
        except _Differs as differs:
            found = differs.found
        confirmed = self._confirmed()
        return Proof(
            frames=self._frames,
            inputs_from_frames=self._inputs,
            records=self._journal.compared,
            uncovered=self._uncovered,
            orders_from_frames=confirmed,
            inputs_from_ledger=dict(sorted(self._from_ledger_alone.items())),
            untaped=tuple(self._untaped),
            first_difference=found,
        )

    def _confirmed(self) -> int:
        """Reports of orders that a private frame confirms, whenever it came; the others are the ledger's."""
        confirmed = 0
        for name, order_id, wanted in self._reports:
            if wanted & self._private.shown.get(order_id, set()):
                confirmed += 1
            else:
                self._from_ledger_alone[name] += 1
        return confirmed

    def _step(self) -> bool:
        entry = self._entry
        if isinstance(entry, Header):
            self._begin(entry)
            return True
        if entry is not None and self._session is not None and self._session.over:
            self._advance()
            return True
        if isinstance(entry, (Frame, Flush, End)) and entry.position <= self._core.position:
            self._take(entry)
            return True
        if entry is not None and not isinstance(entry, (Frame, Flush, End)):
            raise TapeError(
                "tape.gap",
                f"the tape lost {entry.frames:,} frames between {entry.first_ns} and {entry.last_ns} ns",
                fix="the run cannot be proven over this gap; `grinder replay` still compares every record",
            )
        return self._from_ledger()

    # --- the tape --------------------------------------------------------------------------------------

    def _advance(self) -> None:
        self._entry = next(self._tape, None)

    def _begin(self, header: Header) -> None:
        known = self._session
        if known is None or known.header.session != header.session:
            if header.position > self._core.position:
                if not self._from_ledger():
                    self._advance()  # a session of which nothing reached the ledger
                return
            if header.position < self._core.position:
                raise _Differs(self._backwards(header.position))
            source = self._make_source(header.exchange)
            self._session = _Session(header, source, header.session in self._ended)
            self._relist()
        self._advance()

    def _take(self, entry: Frame | Flush | End) -> None:
        if entry.position < self._core.position:
            raise _Differs(self._backwards(entry.position))
        self._advance()
        session = self._session
        if session is None:
            raise TapeError("tape.header", "a segment does not say whose frames it holds", fix="restore it")
        if isinstance(entry, Frame):
            self._frames += 1
            self._decode(session, entry)
        elif isinstance(entry, Flush) and session.gate is not None:
            self._flush_ns = entry.now_ns
            try:
                session.gate.flush()
            except _FutureLost:
                session.over = True

    def _backwards(self, position: int) -> Difference:
        return Difference(
            position,
            "the tape goes back behind a record that was written before",
            f"position {self._core.position}",
            f"position {position}",
        )

    def _decode(self, session: _Session, frame: Frame) -> None:
        if session.decoder is None or session.dispatcher is None:
            raise _Differs(
                Difference(frame.position, "a frame came before any instrument was listed", "", frame.stream)
            )
        for signal in session.decoder.decode(frame.stream, frame.frame, frame.received_ns):
            session.dispatcher.signal(frame.stream, signal)

    def _relist(self) -> None:
        """Hand the instruments of the books to the session's source; gate and decoder follow the first."""
        session = self._session
        books: AccountState = self._core.state_of(ACCOUNT)
        if session is None or not books.instruments:
            return
        session.source.relist(dict(books.instruments), self._fee_prices)
        if session.decoder is None:
            session.decoder = session.source.decoder()
        if session.gate is None or session.symbols != tuple(books.instruments):
            loop = cast("asyncio.AbstractEventLoop", StillLoop())
            gate = Gate(self._core, self._let_in, lambda: self._flush_ns, books.instruments, loop)
            gate.is_open = True
            session.gate, session.symbols = gate, tuple(books.instruments)
            session.dispatcher = Dispatcher(self._private, gate, NoTape())

    # --- the ledger ------------------------------------------------------------------------------------

    def _next_row(self) -> LedgerRow | None:
        expected = self._journal.expected
        return None if expected is None else LedgerRow._make(expected)

    def _let_in(self, report: Record) -> int:
        """What the gate let in must be what the ledger has next."""
        row = self._next_row()
        session = self._session
        assert session is not None
        if (row is None or _starts_a_process(row)) and not session.ended:
            raise _FutureLost
        if row is None or row.topic != report.TOPIC or row.state != encode(report):
            raise _Differs(
                Difference(
                    row.position if row else self._core.position + 1,
                    "the frames say another input than the ledger",
                    f"{row.topic} {row.state.decode()}" if row else "",
                    f"{report.TOPIC} {encode(report).decode()}",
                )
            )
        self._inputs += 1
        return self._learn(row, report)

    def _from_ledger(self) -> bool:
        """Learn the ledger's next input; False at its end."""
        row = self._next_row()
        if row is None:
            return self._leave_the_rest()
        if row.cause != row.position:
            found = difference(row, None)
            assert found is not None
            raise _Differs(_as_difference(found))
        if _starts_a_process(row):
            self._process = row.position
            if self._session is not None:
                self._end_session(row)
        report = decode(row.topic, row.state)
        if row.topic in OF_THE_MARKET:
            self._excuse(row)
        elif isinstance(report, (FillReport, FundingReport)):
            self._hold_against_frame(row, report)
        elif type(report) in CONFIRMS:
            order_id = str(getattr(report, "client_order_id", ""))
            self._reports.append((type(report).__name__, order_id, CONFIRMS[type(report)]))
        else:
            self._from_ledger_alone[type(report).__name__] += 1
        if isinstance(report, OpenAccount):
            self._fee_prices = dict(report.fixed_prices)
        self._learn(row, report)
        if isinstance(report, ListInstrument):
            self._relist()
        return True

    def _learn(self, row: LedgerRow, report: Record) -> int:
        self._core.learn(report, row.ts_ns)
        self._core.take_intents()
        if self._journal.divergence is not None:
            raise _Differs(_as_difference(self._journal.divergence))
        return row.position

    def _leave_the_rest(self) -> bool:
        """At the ledger's end a crashed session may have more on the tape; a closed one may not."""
        entry, session = self._entry, self._session
        if entry is None or isinstance(entry, Header) or session is None:
            return False
        if not session.ended:
            session.over = True
            return True
        raise _Differs(
            Difference(self._core.position, "the tape goes further than the ledger", "", str(entry)[:200])
        )

    def _end_session(self, row: LedgerRow) -> None:
        """Another process began: what is left of the session before it never reached the ledger."""
        session = self._session
        assert session is not None
        entry = self._entry
        mine = entry is not None and not isinstance(entry, Header)
        if session.header.position < row.position and mine and not session.over:
            if session.ended:
                raise _Differs(
                    Difference(row.position, "the tape goes further than the process", "", str(entry)[:200])
                )
            session.over = True
            while self._entry is not None and not isinstance(self._entry, Header):
                self._advance()
        if session.header.position < row.position:
            self._session = None

    def _excuse(self, row: LedgerRow) -> None:
        """An input of the market without a frame is only right where a crash cut the tape off, or where a
        process was killed before it had left anything on the tape."""
        session = self._session
        if session is None and self._process in self._killed:
            if self._process not in self._untaped:
                self._untaped.append(self._process)
            self._uncovered += 1
            return
        cut_off = session is not None and not session.ended
        exhausted = self._entry is None or isinstance(self._entry, Header) or (session and session.over)
        if cut_off and exhausted:
            self._uncovered += 1
            return
        shown = f"{row.topic} {row.state.decode()}"
        raise _Differs(Difference(row.position, "an input of the market has no frame", shown, ""))

    def _hold_against_frame(self, row: LedgerRow, report: FillReport | FundingReport) -> None:
        """An execution a frame brought is in the ledger as it came; ids the frame left out may be added."""
        known = report.fill_id if isinstance(report, FillReport) else report.funding_id
        framed = self._private.fills.pop(known, None)
        if framed is None:
            self._from_ledger_alone[type(report).__name__] += 1
            return
        if _without_ids(framed, report) != _without_ids(report, framed):
            raise _Differs(
                Difference(
                    row.position,
                    "an execution is not as its frame says",
                    f"{row.topic} {row.state.decode()}",
                    f"{framed.TOPIC} {encode(framed).decode()}",
                )
            )
        self._inputs += 1


def _without_ids(one: Record, other: Record) -> dict[str, Any]:
    """The fields of a report, without the order's ids that one of the two leaves open."""
    fields, others = json.loads(encode(one)), json.loads(encode(other))
    ids = ("client_order_id", "exchange_order_id")
    open_ids = [name for name in ids if not (fields.get(name) and others.get(name))]
    return {name: value for name, value in fields.items() if name not in open_ids}


def _starts_a_process(row: LedgerRow) -> bool:
    if row.topic != RunReport.TOPIC:
        return False
    report = decode(row.topic, row.state)
    return isinstance(report, RunReport) and report.phase == STARTED


def _as_difference(found: Divergence) -> Difference:
    return Difference(
        found.position, f"{found.field} of a record of {found.stream}", found.expected, found.actual
    )


__all__ = ["Difference", "MakeSource", "Proof", "Prover", "Source"]
