"""From ``--data`` arguments to the `Ticks` of every symbol.

Law: every file is read once, refused on its first fatal fault, and given to one symbol; the files of a symbol
are merged by time, in the order of the arguments.  A folder means the files in it that are of a known
format, by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from grinder.data.faults import FaultCode, raise_fatal
from grinder.data.merging import merge
from grinder.data.raw import RawFile, RawTable
from grinder.data.registry import read_file
from grinder.data.scales import InstrumentScale, guess
from grinder.data.symbols import DataArgument, match, resolve, unknown
from grinder.data.to_ticks import to_ticks
from grinder.errors import DataError
from replay.ticks import Ticks


def load(
    paths: Sequence[DataArgument],
    *,
    symbols: Mapping[str, InstrumentScale],
    default_symbol: str | None,
    sizes: bool = True,
) -> dict[str, Ticks]:
    """Read market data.

    Args:
        paths: files and folders, see `parse_data_argument`.
        symbols: configured symbols with their steps; when there are none at all, every symbol of the files
            is taken with steps guessed from the data.
        default_symbol: the symbol of files that do not say theirs.
        sizes: whether the run looks at quantities; without them a format may leave them unread.

    Returns:
        symbol -> rows, in order of first appearance.

    Raises:
        DataError: a missing, unreadable or wrong file (file, row, value and fix), a symbol that is unknown or
            cannot be told, bars mixed with trades, or no data at all.
        EnvironmentFault: pyarrow is missing for a feather or parquet file, or a file may not be opened.
    """
    loaded: dict[str, Ticks] = {}
    for symbol, whole in load_tables(paths, tuple(symbols), default_symbol, sizes).items():
        tick, lot = guess(whole, symbols.get(symbol))
        loaded[symbol] = to_ticks(whole, symbol, tick, lot)
    return loaded


def load_tables(
    paths: Sequence[DataArgument], symbols: Sequence[str], default_symbol: str | None, sizes: bool = True
) -> dict[str, RawTable]:
    """Read market data as it is, one table a symbol; see `load`."""
    known = (*symbols, default_symbol) if default_symbol and default_symbol not in symbols else tuple(symbols)
    tables: dict[str, list[RawTable]] = {}
    for argument, file in _files(paths, sizes):
        raise_fatal(argument.path, file.faults)
        for symbol, table in _assigned(argument, file, known, default_symbol):
            tables.setdefault(symbol, []).append(table)
    if not tables:
        raise DataError("data.none", "no market data was given", fix="use --data SYMBOL=PATH")
    return {symbol: merge(parts) for symbol, parts in tables.items()}


def _files(paths: Sequence[DataArgument], sizes: bool) -> Iterator[tuple[DataArgument, RawFile]]:
    for argument in paths:
        if not argument.path.is_dir():
            yield argument, read_file(argument.path, sizes)
            continue
        found = 0
        for path in sorted(argument.path.iterdir()):
            if path.name.startswith(".") or not path.is_file():
                continue
            file = read_file(path, sizes)
            if any(fault.code == FaultCode.UNKNOWN_FORMAT for fault in file.faults):
                continue
            found += 1
            yield attrs.evolve(argument, path=path), file
        if not found:
            raise DataError(
                "data.empty_folder",
                "the folder holds no file of a known format",
                place=str(argument.path),
                fix="give the files themselves",
            )


def _assigned(
    argument: DataArgument, file: RawFile, known: Sequence[str], default: str | None
) -> Iterator[tuple[str, RawTable]]:
    """The file's tables with the symbols they are loaded under.

    Of a file of several symbols those that are wanted are taken, and the others left out silently; one
    that holds none of them is refused.
    """
    several = len(file.tables) > 1
    if not several:
        for table in file.tables:
            yield resolve(table.symbol, argument, known, default), table
        return
    wanted = [argument.symbol] if argument.symbol else known
    taken = 0
    for table in file.tables:
        symbol = match(table.symbol or "", wanted) if wanted else (table.symbol or "").upper()
        if symbol:
            taken += 1
            yield resolve(symbol, DataArgument(argument.path), known, default), table
    if not taken:
        held = ", ".join(table.symbol or "?" for table in file.tables)
        raise unknown(held, argument, wanted or known)
