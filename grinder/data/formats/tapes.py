"""Tapes: raw frames, one per line, with the recorder's clock in front.

Law: two spellings exist and give the same stream of frames: ``local_ns SP frame`` and cryptofeed's
``local_s: frame`` (its control lines, which carry an address, are no frames).  Which exchange spoke is read
off the frames.  A line whose JSON does not parse is a fault; the recorder's clock may not step back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np
import orjson
from numpy.typing import NDArray

from grinder.data.faults import LISTED_PER_CODE, DataFault, FaultCode, UnreadableError
from grinder.data.fixed import INT64_MAX
from grinder.data.fixed import from_text as fixed_text
from grinder.data.raw import Kind, RawTable
from grinder.data.source import Source

PLAIN = re.compile(rb"^\d{16,19} [\[{]")
CRYPTOFEED = re.compile(rb"^(?:(?:wss?|https?)://\S+ (?:<->|<-|->) )?\d{9,10}\.\d+(?:: |$)")
FRAMES_TO_SNIFF = 200
EARLIEST_NS = 10**17
"""1973: anything earlier was written in seconds."""


@attrs.frozen
class Frame:
    """One line of a tape: its 1-based number, the recorder's time in ns and the parsed frame."""

    line: int
    local_ns: int
    content: Any


def is_tape(source: Source) -> bool:
    """Whether the first line is a tape's."""
    first = source.head.split(b"\n", 1)[0]
    return bool(PLAIN.match(first) or CRYPTOFEED.match(first))


def speaks(source: Source, knows: Callable[[Any], bool]) -> bool:
    """Whether a frame among the first ones is one that `knows` recognises."""
    if not is_tape(source):
        return False
    frames = read_frames(source, [])
    return any(knows(frame.content) for frame, _ in zip(frames, range(FRAMES_TO_SNIFF), strict=False))


def read_frames(source: Source, faults: list[DataFault]) -> Iterator[Frame]:
    """Every frame in file order; what is no frame goes to `faults`."""
    split = _plain if PLAIN.match(source.head) else _cryptofeed
    last = len(source.lines)
    before = 0
    for number, line in enumerate(source.lines, start=1):
        if not line:
            continue
        try:
            parts = split(line)
            if parts is None:
                continue
            local_ns, text = parts
            content = orjson.loads(text)
        except ValueError as error:
            where = "the last line is cut short" if number == last else "the line is no frame"
            value = line[:80].decode("utf-8", "replace")
            what = f"{where}: {error}"
            _add(faults, DataFault(code=FaultCode.TRUNCATED, row=number, what=what, value=value))
            continue
        if local_ns < before:
            what = "the recorder's clock steps back"
            _add(faults, DataFault(code=FaultCode.UNSORTED, row=number, what=what, value=str(local_ns)))
        before = local_ns
        yield Frame(number, local_ns, content)


def _add(faults: list[DataFault], fault: DataFault) -> None:
    if len(faults) < LISTED_PER_CODE:
        faults.append(fault)


def _plain(line: bytes) -> tuple[int, bytes]:
    local, _, text = line.partition(b" ")
    return int(local), text


def _cryptofeed(line: bytes) -> tuple[int, bytes] | None:
    """None for a control line: a connection, or a frame that was sent.  REST replies are frames."""
    if not line[:1].isdigit():
        _, reply, line = line.partition(b" -> ")
        if not reply:
            return None
    local, _, text = line.partition(b": ")
    seconds, _, fraction = local.partition(b".")
    return int(seconds) * 10**9 + int(fraction.ljust(9, b"0")[:9]), text


@attrs.define
class Events:
    """Trades and quotes of one symbol, collected frame by frame as the text the exchange sent."""

    symbol: str | None
    trades: list[tuple[int, int, str, str, int, int]] = attrs.Factory(list)
    """(ts ns, line, price, qty, side, id)"""
    quotes: list[tuple[int, int, str, str, str, str]] = attrs.Factory(list)
    """(ts ns, line, bid, bid qty, ask, ask qty)"""
    ids_count_up: bool = False

    def table(self, quotes: Kind = Kind.QUOTES) -> RawTable | None:
        """One table in exchange time order (equal times in file order); None when there were no events.

        Args:
            quotes: the kind to give the table when it has no trades (quotes or book).

        Raises:
            UnreadableError: a time that is not in ms, or a field that is no number.
        """
        try:
            return self._table(quotes)
        except (ValueError, TypeError, OverflowError) as error:
            what = f"a field of a frame has another type: {error}"
            raise UnreadableError(DataFault(code=FaultCode.SHAPE, row=0, what=what)) from error

    def _table(self, quotes: Kind) -> RawTable | None:
        count, trades = len(self.trades) + len(self.quotes), len(self.trades)
        if not count:
            return None
        t = tuple(zip(*self.trades, strict=True)) or ((),) * 6
        q = tuple(zip(*self.quotes, strict=True)) or ((),) * 6
        prices = fixed_text(_texts((*t[2], *q[2], *q[4])))
        sizes = fixed_text(_texts((*t[3], *q[3], *q[5])))
        price, bid, ask = _spread(prices.mantissa, trades, count)
        qty, bid_qty, ask_qty = _spread(sizes.mantissa, trades, count)
        lines, moments = (*t[1], *q[1]), (*t[0], *q[0])
        _refuse_bad_numbers((*lines, *q[1]), prices.bad + sizes.bad)
        _refuse_bad_times(lines, moments)
        line, ts = np.array(lines, dtype=np.int64), np.array(moments, dtype=np.int64)
        pad = (0,) * (count - trades)
        order = np.lexsort((line, ts))
        arrival = np.argsort(line, kind="stable")
        mixed = 0 < trades < count
        table = RawTable(
            kind=Kind.MIXED if mixed else Kind.TRADES if trades else quotes,
            symbol=self.symbol,
            ts=ts,
            price=price if trades else None,
            qty=qty if trades else None,
            side=np.array((*t[4], *pad), dtype=np.int64) if trades else None,
            ids=np.array((*t[5], *pad), dtype=np.int64) if trades else None,
            ids_count_up=self.ids_count_up,
            bid=bid if trades < count else None,
            ask=ask if trades < count else None,
            bid_qty=bid_qty if trades < count else None,
            ask_qty=ask_qty if trades < count else None,
            trade=np.arange(count) < trades if mixed else None,
            price_decimals=prices.decimals,
            qty_decimals=sizes.decimals,
            row=line,
            reordered=int(np.count_nonzero(np.diff(ts[arrival]) < 0)),
        )
        return table.take(order)


def _refuse_bad_numbers(lines: Sequence[int], bad: Sequence[tuple[int, str]]) -> None:
    if bad:
        index, text = min(bad, key=lambda cell: lines[cell[0]])
        what = "a price or quantity of the frame is no number"
        raise UnreadableError(
            DataFault(code=FaultCode.NOT_A_NUMBER, row=lines[index], what=what, value=text[:80])
        )


def _refuse_bad_times(lines: Sequence[int], moments: Sequence[int]) -> None:
    """Exchanges write ms in frames; any other unit is a thousandfold off and lands outside these bounds."""
    if min(moments) >= EARLIEST_NS and max(moments) <= INT64_MAX:
        return
    at = next(i for i, ns in enumerate(moments) if not EARLIEST_NS <= ns <= INT64_MAX)
    what = "the frame's time is not in ms"
    value = str(moments[at] // 10**6)
    raise UnreadableError(DataFault(code=FaultCode.NOT_A_TIME, row=lines[at], what=what, value=value))


def _texts(values: tuple[str, ...]) -> NDArray[np.bytes_]:
    texts: NDArray[np.bytes_] = np.array(values, dtype="S")
    return texts


def _spread(
    values: NDArray[np.int64], trades: int, count: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """[trades | first side | second side] as three columns of `count` rows, zero where a row has none."""
    quotes = count - trades
    zeros = np.zeros(trades, dtype=np.int64)
    first = np.concatenate((values[:trades], np.zeros(quotes, dtype=np.int64)))
    second = np.concatenate((zeros, values[trades : trades + quotes]))
    third = np.concatenate((zeros, values[trades + quotes :]))
    return first, second, third
