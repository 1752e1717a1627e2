"""Trades and best quotes in the column names of nautilus and Tardis parquet files.

Law: columns are found by name, whatever their order; times are what the values say they are.
"""

from __future__ import annotations

from grinder.data.formats.tables import Layout, QuoteColumns, TradeColumns

LAYOUTS = (
    Layout(
        "trade table",
        ("timestamp", "trade_id", "price", "quantity", "buyer_maker"),
        TradeColumns(
            time="timestamp",
            price="price",
            qty="quantity",
            buyer_maker="buyer_maker",
            ids="trade_id",
            symbol="symbol",
        ),
    ),
    Layout(
        "quote table",
        ("timestamp", "bid", "ask", "bid_size", "ask_size"),
        QuoteColumns(
            time="timestamp", bid="bid", ask="ask", bid_qty="bid_size", ask_qty="ask_size", symbol="symbol"
        ),
    ),
)
