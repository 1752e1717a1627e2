"""Bybit's public trades: timestamp,symbol,side,size,price,tickDirection,trdMatchID,... in float seconds.

Law: `side` is the aggressor.  Older dumps are written newest first throughout; such a file is turned round
(a file that is only partly so stays unsorted, which is a fault).  `size` is in contracts or coins,
whichever the instrument trades in.
"""

from __future__ import annotations

import attrs
import numpy as np

from grinder.data.columns import Columns
from grinder.data.formats.tables import Layout, TradeColumns
from grinder.data.raw import RawTable

NEEDS = ("timestamp", "symbol", "side", "size", "price", "tickdirection", "trdmatchid")
TRADES = TradeColumns(
    time="timestamp", price="price", qty="size", buyer="side", ids="trdmatchid", symbol="symbol"
)


def read(columns: Columns) -> RawTable:
    """The trades, oldest first."""
    table = TRADES(columns)
    step = np.diff(table.ts)
    if len(step) and (step <= 0).all() and (step < 0).any():
        table = table.take(np.arange(len(table))[::-1])
    return attrs.evolve(table)


LAYOUTS = (Layout("Bybit public trades", NEEDS, read),)
