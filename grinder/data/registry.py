"""The formats that can be read, in the order they are tried.

Law: a format is chosen by content alone.  To add one, write a module in `formats` with a `LAYOUTS` tuple (a
table) or an `accepts` and a `read`, and add one line here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import attrs

from grinder.data.checks import check
from grinder.data.faults import DataFault, FaultCode, UnreadableError
from grinder.data.formats import (
    binance_archive,
    binance_depth,
    binance_tape,
    bybit_book,
    bybit_trades,
    candles,
    freqtrade,
    hyperliquid,
    hyperliquid_tape,
    kraken,
    nautilus,
    npz,
    tables,
)
from grinder.data.raw import RawFile
from grinder.data.source import Source

LAYOUTS: tuple[tables.Layout, ...] = (
    *binance_depth.LAYOUTS,
    *bybit_trades.LAYOUTS,
    *hyperliquid.LAYOUTS,
    *freqtrade.LAYOUTS,
    *binance_archive.LAYOUTS,
    *candles.LAYOUTS,
    *nautilus.LAYOUTS,
    *kraken.LAYOUTS,
)


@attrs.frozen
class Reader:
    """A family of formats: whether it knows a content, and how to read it (None: not this one after all)."""

    name: str
    accepts: Callable[[Source], bool]
    read: Callable[[Source], RawFile | None]


READERS: tuple[Reader, ...] = (
    Reader(npz.NAME, npz.accepts, npz.read),
    Reader(hyperliquid_tape.NAME, hyperliquid_tape.accepts, hyperliquid_tape.read),
    Reader(binance_tape.NAME, binance_tape.accepts, binance_tape.read),
    Reader(bybit_book.NAME, bybit_book.accepts, bybit_book.read),
    Reader("candle JSON", candles.accepts_json, candles.read_json),
    Reader("table", tables.is_tabular, lambda source: tables.read_tabular(source, LAYOUTS)),
)


def format_names() -> tuple[str, ...]:
    """Every format that can be read, for help texts."""
    names = [reader.name for reader in READERS if reader.name != "table"]
    return tuple(dict.fromkeys([*names, *(layout.name for layout in LAYOUTS)]))


def read_file(path: Path, sizes: bool = True) -> RawFile:
    """One file with everything that is wrong with it; faults do not raise.

    Args:
        path: the file.
        sizes: whether quantities are wanted; without them a format may leave them unread, to save memory.

    Raises:
        DataError: no such file.
        EnvironmentFault: the file may not be opened, or pyarrow is missing for feather and parquet.
    """
    source = Source(path, sizes)
    try:
        found = _read(source)
    except UnreadableError as unreadable:
        found = _refused("unknown", unreadable.fault)
    if source.faults:  # the content is not whole: whatever was recognised in it is not to be trusted
        return _refused("unknown", *source.faults)
    if found is None:
        what = "this is none of the formats that can be read"
        value = source.head[:60].decode("utf-8", "replace").splitlines()[0]
        return _refused("unknown", DataFault(code=FaultCode.UNKNOWN_FORMAT, row=0, what=what, value=value))
    faults = [*found.faults]
    for table in found.tables:
        faults += check(table, faults)
    if not found.tables and not any(fault.fatal for fault in faults):
        faults.append(DataFault(code=FaultCode.EMPTY, row=0, what="the file holds no trade, quote or bar"))
    return attrs.evolve(found, faults=tuple(faults))


def _read(source: Source) -> RawFile | None:
    """The first reader that knows the content and can read it."""
    if npz.accepts(source):  # before the content is unpacked: an archive may be large
        return npz.read(source)
    if not source.data.strip():
        if source.faults:
            return None
        return _refused("empty", DataFault(code=FaultCode.EMPTY, row=0, what="the file is empty"))
    for reader in READERS[1:]:
        if reader.accepts(source):
            found = reader.read(source)
            if found is not None:
                return found
    return None


def _refused(name: str, *faults: DataFault) -> RawFile:
    return RawFile(format=name, tables=(), rows=0, time_unit="unknown", faults=faults)
