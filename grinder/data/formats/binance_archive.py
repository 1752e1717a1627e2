"""Binance's public archive: aggTrades, trades and bookTicker, with or without a header, ms or us.

Law: `is_buyer_maker` true means the seller was the aggressor.  Ids count up by one, so a hole is a lost
row.  klines are candles (see `candles`).  bookTicker rows carry the event time; it is preferred to the
transaction time, as on the tapes.
"""

from __future__ import annotations

from grinder.data.formats.tables import Layout, QuoteColumns, TradeColumns

LAYOUTS = (
    Layout(
        "Binance archive aggTrades",
        ("agg_trade_id", "price", "quantity", "transact_time", "is_buyer_maker"),
        TradeColumns(
            time="transact_time",
            price="price",
            qty="quantity",
            buyer_maker="is_buyer_maker",
            ids="agg_trade_id",
            ids_count_up=True,
        ),
    ),
    Layout(
        "Binance archive trades",
        ("id", "price", "qty", "time", "is_buyer_maker"),
        TradeColumns(
            time="time", price="price", qty="qty", buyer_maker="is_buyer_maker", ids="id", ids_count_up=True
        ),
    ),
    Layout(
        "Binance archive bookTicker",
        ("update_id", "best_bid_price", "best_bid_qty", "best_ask_price", "best_ask_qty", "event_time"),
        QuoteColumns(
            time="event_time",
            bid="best_bid_price",
            ask="best_ask_price",
            bid_qty="best_bid_qty",
            ask_qty="best_ask_qty",
        ),
    ),
)
