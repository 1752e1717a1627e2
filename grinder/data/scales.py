"""Tick and lot sizes guessed from a file.

Law: a guess is the greatest common divisor of all prices (or quantities) seen, so every row of the file is
on it.  It may be coarser than the instrument's when the file never used a finer step; configuration wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs
import numpy as np

from grinder.data.fixed import Column
from grinder.data.raw import PRICE_COLUMNS, QTY_COLUMNS, RawTable


@attrs.frozen
class InstrumentScale:
    """Smallest steps of an instrument: `tick` in quote units, `lot` in base units (or contracts).

    One that is None is guessed from the data.
    """

    tick: Decimal | None
    lot: Decimal | None


def guess(table: RawTable, known: InstrumentScale | None = None) -> tuple[Decimal, Decimal]:
    """(tick, lot): what is known, else the coarsest steps every row is on; 1 at the file's last decimal when
    the file shows none."""
    tick = known.tick if known else None
    lot = known.lot if known else None
    return (
        _common_step(_columns(table, PRICE_COLUMNS), table.price_decimals) if tick is None else tick,
        _common_step(_columns(table, QTY_COLUMNS), table.qty_decimals) if lot is None else lot,
    )


def _columns(table: RawTable, names: Sequence[str]) -> list[Column]:
    columns = (getattr(table, name) for name in names)
    return [column for column in columns if column is not None]


def _common_step(columns: Sequence[Column], decimals: int) -> Decimal:
    step = 0
    for column in columns:
        step = int(np.gcd.reduce(np.append(column, step)))
    return Decimal(step or 1).scaleb(-decimals)
