"""Kraken's trade dumps: CSV without a header, time in seconds, price, volume.

Law: seconds are all the resolution there is; rows of one second keep their order.  The aggressor is not
in the file, so the side of these trades is unknown.
"""

from __future__ import annotations

from grinder.data.formats.tables import Layout, TradeColumns

LAYOUTS = (
    Layout(
        "Kraken trades",
        ("ts_s", "price", "volume"),
        TradeColumns(time="ts_s", price="price", qty="volume"),
    ),
)
