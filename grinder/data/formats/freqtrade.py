"""freqtrade's trade tables, feather and CSV: timestamp,id,type,side,price,amount,cost.

Law: `side` is the aggressor.  Ids are the exchange's; holes in them mean nothing (they may be filtered).
"""

from __future__ import annotations

from grinder.data.formats.tables import Layout, TradeColumns

NEEDS = ("timestamp", "id", "type", "side", "price", "amount", "cost")

LAYOUTS = (
    Layout(
        "freqtrade trades",
        NEEDS,
        TradeColumns(time="timestamp", price="price", qty="amount", buyer="side", ids="id"),
    ),
)
