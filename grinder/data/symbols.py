"""Which configured symbol a file's rows belong to.

Law: an explicit ``SYMBOL=PATH`` wins, then what the file says, then the configuration's only symbol; a file
is never matched by its name.  Spellings differ between exchanges (BTC/USDT, BTC-USDT, BTCUSDT): they are
compared as written first and without separators only when that fails.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from pathlib import Path

import attrs

from grinder.errors import DataError

EXPLICIT = re.compile(r"^([A-Za-z0-9][A-Za-z0-9/:_\-]*)=(.+)$")
SEPARATORS = re.compile(r"[/\-:_]")


@attrs.frozen
class DataArgument:
    """One ``--data`` argument: a file or a folder, and the symbol it is for when the user said so."""

    path: Path
    symbol: str | None = None


def parse_data_argument(text: str) -> DataArgument:
    """``SYMBOL=PATH`` or ``PATH``.  A path that exists as written is a path, whatever it contains.

    Raises:
        DataError: an empty argument.
    """
    explicit = EXPLICIT.match(text)
    if explicit and not Path(text).exists():
        return DataArgument(Path(explicit[2]).expanduser(), explicit[1])
    if not text.strip() or text.startswith("="):
        raise DataError(
            "data.argument",
            "a --data argument needs a path",
            value=repr(text),
            fix="write SYMBOL=PATH or PATH",
        )
    return DataArgument(Path(text).expanduser())


def match(symbol: str, known: Collection[str]) -> str | None:
    """The known spelling of a symbol: as written, else in upper case, else without separators."""
    if symbol in known:
        return symbol
    for spell in (str.upper, plain):
        for candidate in known:
            if spell(candidate) == spell(symbol):
                return candidate
    return None


def plain(symbol: str) -> str:
    """Upper case without ``/ - : _``."""
    return SEPARATORS.sub("", symbol.upper())


def resolve(found: str | None, argument: DataArgument, known: Collection[str], default: str | None) -> str:
    """The symbol a table is loaded under.

    Args:
        found: what the file says, or None.
        known: configured symbols; empty means every symbol is welcome.
        default: the configuration's only symbol, or None.

    Raises:
        DataError: no symbol can be told, or it is none of the configured ones.
    """
    symbol = argument.symbol or found or default
    if symbol is None:
        raise DataError(
            "data.no_symbol",
            "the file does not say which symbol it holds",
            place=str(argument.path),
            fix=f"use --data SYMBOL={argument.path}",
        )
    if not known:
        return symbol if argument.symbol else symbol.upper()
    matched = match(symbol, known)
    if matched is None:
        raise unknown(symbol, argument, known)
    return matched


def unknown(symbol: str, argument: DataArgument, known: Collection[str]) -> DataError:
    """The refusal of a symbol that is not configured, with the nearest that are."""
    by_plain = {plain(candidate): candidate for candidate in known}
    near = [by_plain[name] for name in difflib.get_close_matches(plain(symbol), list(by_plain), cutoff=0.5)]
    hint = f"nearest: {', '.join(near)}" if near else f"configured: {', '.join(sorted(known))}"
    return DataError(
        "data.unknown_symbol",
        f"the symbol is not configured; {hint}",
        place=str(argument.path),
        value=symbol,
        fix=f"configure {symbol}, or use --data {(near or sorted(known))[0]}={argument.path}",
    )
