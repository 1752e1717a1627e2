"""`grinder replay RUN --from-tape`: the segments of a run, checked, and the walk over them.

Law: nothing is proven from a tape that is not whole: a segment the ledger names must be there with the hash
the ledger holds.  Only a crash may have cut a tape off, and then only its end.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs

from actors.ports import Connector, Decoder, Signal
from domain.codec import decode
from domain.instrument import Instrument
from domain.notes import RunReport, TapeSegmentReport
from grinder.collecting import rare_collections
from grinder.commands.backtest import Progress
from grinder.ledger.faults import readable
from grinder.ledger.reading import connect, plain_rows
from grinder.live.accounts import PAPER_STREAMS
from grinder.run_folder import RunFolder
from grinder.tape.layout import FOLDER, OPEN, End, Entry, Header, TapeError, segment_number, segments
from grinder.tape.prover import STARTED, MakeSource, Prover, Source
from grinder.tape.reader import Segment, file_hash

_REPORTS = "SELECT state FROM stored_events WHERE topic = ? ORDER BY rowid"
_RUNS = "SELECT rowid, state FROM stored_events WHERE topic = ? ORDER BY rowid"

STOPPED = "stopped"


@attrs.frozen
class CheckedTape:
    """The segments of a run, all there and unchanged.

    Attributes:
        paths: in order.
        ended: sessions that closed their tape.
        unrecorded: names of segments whose hash the ledger does not hold (a crash came between).
    """

    paths: tuple[Path, ...]
    ended: frozenset[int]
    unrecorded: tuple[str, ...]

    def entries(self) -> Iterator[Entry]:
        """Everything on the tape.

        Raises:
            TapeError: a part of it is damaged.
        """
        for path in self.paths:
            segment = Segment(path)
            yield from segment.entries()
            if segment.damage is not None and not segment.damage.torn:
                raise _damaged(path, segment.damage.render())


class ConnectorSource:
    """Decodes as an exchange's connector does, and the simulated exchange's streams beside it; no connection
    is opened."""

    def __init__(self, exchange: str) -> None:
        from grinder.connectors import registry
        from grinder.connectors.endpoint import Endpoint

        found = registry.find(exchange)
        self._connector: Connector = found.make(found.production or Endpoint("", ""), None, lambda: 0)

    def relist(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """The instruments from now on."""
        self._connector.list_instruments(instruments, fee_prices)

    def decoder(self) -> Decoder:
        """A fresh decoder for them."""
        from grinder.connectors import registry
        from grinder.simulated.frames import SIMULATED

        of_paper = registry.decoder_of(SIMULATED)
        assert of_paper is not None, "the simulated exchange has one"
        return _TwoDecoders(self._connector.decoder(), of_paper)


class _TwoDecoders:
    """An exchange's frames, and those of a paper account on its prices."""

    def __init__(self, of_exchange: Decoder, of_paper: Decoder) -> None:
        self._of_exchange = of_exchange
        self._of_paper = of_paper

    def decode(self, stream: str, frame: bytes, received_ns: int) -> Iterable[Signal]:
        """What a frame says, to the decoder of its stream."""
        decoder = self._of_paper if stream.startswith(PAPER_STREAMS) else self._of_exchange
        return decoder.decode(stream, frame, received_ns)


class InProcessSource:
    """Decodes as the simulated exchange of a paper account does; its frames hold integers already."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def relist(self, instruments: Mapping[str, Instrument], fee_prices: Mapping[str, int]) -> None:
        """No instrument is needed."""

    def decoder(self) -> Decoder:
        """The decoder: it keeps nothing from one frame to the next."""
        return self._decoder


def connector_source(exchange: str) -> Source:
    """The source for an exchange of the registry.

    Raises:
        ConfigError: there is no exchange of this name.
    """
    from grinder.connectors import registry

    in_process = registry.decoder_of(exchange)
    return InProcessSource(in_process) if in_process is not None else ConnectorSource(exchange)


def prove_run(run: Path, progress: Progress, make_source: MakeSource = connector_source) -> dict[str, Any]:
    """Prove a run from its tape.

    Returns:
        ``identical``, ``frames``, ``segments``, ``inputs_from_frames``, ``orders_from_frames``,
        ``inputs_from_ledger``, ``records``, ``uncovered``, ``untaped``, ``unrecorded`` and
        ``first_difference`` (None, or ``position``, ``what``, ``expected``, ``actual``); see docs/tape.md.

    Raises:
        TapeError: there is no tape, or a part of it is missing, damaged or was lost while recording.
        LedgerError: there is no ledger, or it cannot be read.
    """
    folder = RunFolder(run)
    folder.require()
    with closing(connect(folder.ledger)) as connection, readable(folder.ledger, struct.error):
        reports = [
            decode(TapeSegmentReport.TOPIC, state)
            for (state,) in connection.execute(_REPORTS, (TapeSegmentReport.TOPIC,))
        ]
        tape = check_tape(
            folder.path / FOLDER, [one for one in reports if isinstance(one, TapeSegmentReport)]
        )
        total = connection.execute("SELECT max(rowid) FROM stored_events").fetchone()[0] or 0
        killed = _killed(connection)
        prover = Prover(plain_rows(connection), tape.entries(), make_source, set(tape.ended), killed)
        with rare_collections():
            proof = prover.prove(lambda done: progress("prove", done, total))
    found = proof.first_difference
    return {
        "identical": found is None,
        "frames": proof.frames,
        "segments": len(tape.paths),
        "inputs_from_frames": proof.inputs_from_frames,
        "orders_from_frames": proof.orders_from_frames,
        "inputs_from_ledger": proof.inputs_from_ledger,
        "records": proof.records,
        "uncovered": proof.uncovered,
        "untaped": list(proof.untaped),
        "unrecorded": list(tape.unrecorded),
        "first_difference": None if found is None else attrs.asdict(found),
    }


def _killed(connection: sqlite3.Connection) -> frozenset[int]:
    """Positions at which processes began that did not end in order."""
    killed: set[int] = set()
    began = 0
    for position, state in connection.execute(_RUNS, (RunReport.TOPIC,)):
        report = decode(RunReport.TOPIC, state)
        assert isinstance(report, RunReport)
        if report.phase == STARTED:
            began = position
            killed.add(began)
        elif report.phase == STOPPED:
            killed.discard(began)
    return frozenset(killed)


def check_tape(folder: Path, reports: list[TapeSegmentReport]) -> CheckedTape:
    """Hold the files of a tape against what the ledger says of them.

    Raises:
        TapeError: there is none, or a segment is missing or was changed.
    """
    paths = segments(folder)
    if not paths and not reports:
        raise TapeError(
            "tape.missing",
            "this run has no tape",
            place=str(folder),
            fix="set record.tape to true for the next",
        )
    there = {path.name: path for path in paths}
    known = {report.name: report for report in reports}
    for name, report in known.items():
        if name not in there:
            raise _missing(folder / name)
        if file_hash(there[name]) != report.sha256:
            segment = Segment(there[name])
            segment.ends()
            where = segment.damage.render() if segment.damage else f"{name}: its content was replaced"
            raise _damaged(there[name], where)
    numbers = [segment_number(path) for path in paths]
    for number, path in enumerate(paths, 1):
        if segment_number(path) != number:
            missing = min(set(range(1, max(numbers) + 1)) - set(numbers), default=number)
            raise TapeError(
                "tape.missing_segment",
                f"segment {missing} of the tape is missing",
                place=str(folder),
                fix="restore it from a backup",
            )
    unrecorded = tuple(path.name for path in paths if path.name not in known)
    return CheckedTape(tuple(paths), _ended(paths, known), unrecorded)


def _ended(paths: list[Path], known: Mapping[str, TapeSegmentReport]) -> frozenset[int]:
    ended = set()
    for path in paths:
        segment = Segment(path)
        found = segment.ends()
        if segment.damage is not None and (path.name in known or not path.name.endswith(OPEN)):
            raise _damaged(path, segment.damage.render())
        if found is None:
            continue
        first, last = found
        if not isinstance(first, Header):
            raise _damaged(path, f"{path.name}: it does not begin with whose frames it holds")
        if isinstance(last, End):
            ended.add(first.session)
    return frozenset(ended)


def _missing(path: Path) -> TapeError:
    return TapeError(
        "tape.missing_segment",
        "a segment the ledger names is missing",
        place=str(path),
        fix="restore it from a backup",
    )


def _damaged(path: Path, what: str) -> TapeError:
    return TapeError(
        "tape.damaged",
        f"a segment of the tape is not as it was written ({what})",
        place=str(path),
        fix="restore it from a backup; `grinder replay` still compares every record of the ledger",
    )
