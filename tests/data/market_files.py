"""A small file of every format, written by hand: the tests read nothing they did not write.

Law: a builder writes one file into a folder under a name that says nothing about its content.
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

T0_MS = 1_700_000_000_000
T0_NS = T0_MS * 10**6
MINUTE_MS = 60_000


def write(folder: Path, content: str | bytes, name: str = "file") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def gzipped(content: str | bytes) -> bytes:
    return gzip.compress(content.encode() if isinstance(content, str) else content, mtime=0)


def zipped(*contents: str | bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"member_{number}", content)
    return buffer.getvalue()


def feather(columns: dict[str, Any]) -> bytes:
    import pyarrow as pa
    from pyarrow import feather as writer

    buffer = BytesIO()
    writer.write_feather(pa.table(columns), buffer)
    return buffer.getvalue()


def parquet(columns: dict[str, Any]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as writer

    buffer = BytesIO()
    writer.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


def csv(header: str, rows: Sequence[Sequence[object]]) -> str:
    lines = [",".join(map(str, row)) for row in rows]
    return "\n".join(([header] if header else []) + lines) + "\n"


def tape(frames: Sequence[tuple[int, Any]]) -> str:
    return "".join(f"{local} {json.dumps(frame, separators=(',', ':'))}\n" for local, frame in frames)


CANDLES = [
    (T0_MS, 100.0, 101.5, 99.5, 101.0, 8.0),
    (T0_MS + MINUTE_MS, 101.0, 102.0, 100.0, 100.5, 5.0),
    (T0_MS + 2 * MINUTE_MS, 100.5, 100.5, 100.5, 100.5, 0.0),
]


def candle_columns() -> dict[str, Any]:
    import pyarrow as pa

    t, o, h, low, c, v = (list(column) for column in zip(*CANDLES, strict=True))
    date = pa.array([x * 10**6 for x in t], type=pa.timestamp("ns", tz="UTC"))
    return {"date": date, "open": o, "high": h, "low": low, "close": c, "volume": v}


def spot_tape() -> str:
    """Recorder 1.27 s behind; one quote before the first event time, a trade, depth, a REST snapshot."""
    behind = 1_270 * 10**6
    local = T0_NS - behind
    book = {"u": 7, "s": "BTCUSDT", "b": "100.10000000", "B": "2.00000000", "a": "100.20000000", "A": "3.0"}
    trade = {"e": "trade", "E": T0_MS + 10, "s": "BTCUSDT", "t": 5, "p": "100.20000000", "q": "0.50000000"}
    depth = {"e": "depthUpdate", "E": T0_MS + 20, "s": "BTCUSDT", "b": [], "a": []}
    return tape(
        [
            (local + 5 * 10**6, {"stream": "btcusdt@bookTicker", "data": book}),
            (local + 10 * 10**6, {"stream": "x", "data": {**trade, "T": T0_MS + 9, "m": False, "M": True}}),
            (local + 20 * 10**6, {"stream": "x", "data": {**depth, "U": 10, "u": 12}}),
            (local + 21 * 10**6, {"lastUpdateId": 12, "bids": [["100.1", "2"]], "asks": [["100.2", "3"]]}),
            (local + 30 * 10**6, {"stream": "x", "data": {**book, "b": "100.00000000", "u": 8}}),
            (local + 40 * 10**6, {"stream": "x", "data": {**depth, "U": 13, "u": 13, "E": T0_MS + 40}}),
        ]
    )


def futures_tape() -> str:
    """bookTicker with an event time that overtakes a trade, pu sequences, an insurance fund entry."""
    quote = {"e": "bookTicker", "s": "BTCUSD_PERP", "b": "99.9", "B": "12", "a": "100.0", "A": "7"}
    trade = {"e": "trade", "s": "BTCUSD_PERP", "p": "99.9", "q": "4", "X": "MARKET", "m": True}
    fund = {**trade, "p": "0", "q": "0", "X": "NA", "t": 3, "E": T0_MS + 3, "T": T0_MS + 3}
    depth = {"e": "depthUpdate", "s": "BTCUSD_PERP", "b": [], "a": []}
    return tape(
        [
            (T0_NS, {"data": {**depth, "E": T0_MS, "U": 1, "u": 5, "pu": 0}}),
            (T0_NS + 1, {"data": {**quote, "u": 6, "E": T0_MS + 2, "T": T0_MS + 2}}),
            (T0_NS + 2, {"data": {**trade, "t": 1, "E": T0_MS + 1, "T": T0_MS + 1}}),
            (T0_NS + 3, {"data": fund}),
            (T0_NS + 4, {"data": {**depth, "E": T0_MS + 3, "U": 8, "u": 9, "pu": 5}}),
            (T0_NS + 5, {"data": {"e": "aggTrade", "a": 9, "s": "BTCUSD_PERP", "E": T0_MS + 4}}),
        ]
    ).replace('"E":1700000000004', '"E":1700000000004,"p":"99.9","q":"4","m":true')


def hyperliquid_tape() -> str:
    def level(price: str, size: str) -> dict[str, Any]:
        return {"n": 1, "px": price, "sz": size}

    def book(ms: int, bid: str) -> dict[str, Any]:
        levels = [[level(bid, "1.5"), level("1.0", "9")], [level("105056.0", "2")]]
        return {"channel": "l2Book", "data": {"coin": "BTC", "levels": levels, "time": ms}}

    trade = {"coin": "BTC", "px": "105056.0", "side": "B", "sz": "0.1", "tid": 77, "time": T0_MS - 50_000}
    return tape(
        [
            (T0_NS, book(T0_MS, "105055.0")),
            (T0_NS + 1, {"channel": "trades", "data": [trade]}),
            (T0_NS + 2, book(T0_MS + 500, "105054.0")),
        ]
    )


def bybit_book() -> str:
    def line(kind: str, ms: int, u: int, bids: list[list[str]], asks: list[list[str]]) -> str:
        data = {"s": "XRPUSDT", "b": bids, "a": asks, "u": u, "seq": u * 10}
        message = {"topic": "orderbook.500.XRPUSDT", "type": kind, "ts": ms, "data": data}
        return json.dumps(message, separators=(",", ":")) + "\n"

    return (
        line("snapshot", T0_MS, 1, [["1.9531", "10"], ["1.9530", "20"]], [["1.9533", "5"]])
        + line("delta", T0_MS + 2, 2, [["1.9531", "0"]], [["1.9532", "7"]])
        + line("delta", T0_MS + 4, 3, [], [["1.9532", "0"]])
    )


DEPTH_HEADER = "symbol,timestamp,first_update_id,last_update_id,side,update_type,price,qty,pu"


def depth_csv() -> str:
    return csv(
        DEPTH_HEADER,
        [
            ("BTCUSDT", T0_MS, 5, 5, "b", "snap", "100.0", "1.0", -1),
            ("BTCUSDT", T0_MS, 5, 5, "a", "snap", "100.2", "2.0", -1),
            ("BTCUSDT", T0_MS + 1, 6, 8, "b", "set", "100.1", "3.0", 5),
            ("BTCUSDT", T0_MS + 1, 6, 8, "b", "set", "100.0", "0.0", 5),
            ("BTCUSDT", T0_MS + 2, 9, 9, "a", "set", "100.2", "0.5", 8),
        ],
    )


def cryptofeed() -> str:
    """cryptofeed's spelling of a Binance tape: control lines, seconds, two symbols."""
    first, second = T0_MS / 1000 + 0.5, T0_MS / 1000 + 0.75
    quote = {"u": 1, "s": "AAAUSDT", "b": "1.10", "B": "5", "a": "1.20", "A": "6"}
    trade = {"e": "aggTrade", "E": T0_MS + 500, "s": "AAAUSDT", "a": 1, "p": "1.20", "q": "2", "m": True}
    return (
        f"wss://stream.example:9443/stream?streams=x <-> {first}\n"
        f"wss://stream.example:9443/stream <- {first}: {{}}\n"
        f"{first}: {json.dumps({'data': trade})}\n"
        f"{second}: {json.dumps({'data': quote})}\n"
        f"{second}: {json.dumps({'data': {**quote, 's': 'BBBUSDT'}})}\n"
        f"{second}: {json.dumps({'data': quote})}\n"
    )


PRICES = [
    (1700000000.1, 100.0, 1.5, "bid", T0_MS),
    (1700000000.1, 101.0, 2.5, "ask", T0_MS),
    (1700000000.2, 100.0, 1.0, "bid", T0_MS + 100),
    (1700000000.2, 101.0, 2.0, "ask", T0_MS + 100),
    (1700000000.3, 100.5, 4.0, "bid", T0_MS + 200),
]
HYPER_TRADES = [
    (1700000000.1, 100.0, 0.25, "sell", "11", T0_MS),
    (1700000000.2, 101.0, 0.5, "buy", "12", T0_MS + 100),
]
BOOKS_HEADER = "timestamp,sequence,exchange_timestamp,bid_price_0,bid_size_0,ask_price_0,ask_size_0"
BOOKS = [
    (1700000000.1, T0_MS, T0_MS, 100.0, 1.5, 101.0, 2.5),
    (1700000000.2, T0_MS + 100, T0_MS + 100, 100.0, 1.0, 101.0, 2.0),
]
AGG = [
    (1, "100.10", "0.500", 10, 11, T0_MS, "true"),
    (2, "100.20", "0.250", 12, 12, T0_MS + 1, "false"),
]
TRADES = [
    (1, "100.10", "0.500", "50.05", T0_MS, "True"),
    (2, "100.20", "0.250", "25.05", T0_MS + 1, "False"),
]
KLINES = [
    (t, o, h, low, c, v, t + MINUTE_MS - 1, "1.0", 5, "0.5", "0.5", 0) for t, o, h, low, c, v in CANDLES
]
BYBIT_HEADER = (
    "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
)
BYBIT = [
    (1700000000.0647, "BTCUSDT", "Sell", 0.5, 100.5, "MinusTick", "a-1", 1e9, 0.5, 50.25),
    (1700000001.25, "BTCUSDT", "Buy", 0.25, 101.0, "PlusTick", "b-2", 1e9, 0.25, 25.25),
]


def named(header: str, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    columns = [list(column) for column in zip(*rows, strict=True)]
    return dict(zip(header.split(","), columns, strict=True))


def npz(compressed: bool = False, **changes: Any) -> bytes:
    columns: dict[str, Any] = {
        "ts": np.array([T0_NS, T0_NS + 5, T0_NS + 9]),
        "price": np.array([1001, 1002, 1001]),
        "qty": np.array([5, 6, 7]),
        "side": np.array([-1, 1, -1], dtype=np.int8),
        "bid": np.array([1001, 1001, 1001]),
        "ask": np.array([1002, 1002, 1002]),
        "bid_qty": np.array([50, 51, 52]),
        "ask_qty": np.array([60, 61, 62]),
        "bars": np.zeros((1, 6), dtype=np.int64),
    }
    buffer = BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(buffer, **{k: v for k, v in (columns | changes).items() if v is not None})
    return buffer.getvalue()


FREQTRADE = "timestamp,id,type,side,price,amount,cost"
FREQTRADE_ROWS = [
    (T0_MS, "101", None, "sell", 0.00141342, 23.0, 0.03),
    (T0_MS + 5, "102", None, "buy", 0.00141266, 54.0, 0.07),
]
NAUTILUS_TRADES = "timestamp,trade_id,price,quantity,buyer_maker"
TIMES = np.array([T0_NS, T0_NS + 10**6], dtype="datetime64[ns]")

Build = Callable[[], str | bytes]

FORMATS: dict[str, tuple[Build, str, str, int, int]] = {
    # what: (content, format, kind, rows of the file, events)
    "candle feather": (lambda: feather(candle_columns()), "candle table", "bars", 3, 3),
    "candle JSON": (lambda: json.dumps(CANDLES), "candle JSON", "bars", 3, 3),
    "candle CSV": (
        lambda: csv("timestamp,open,high,low,close,volume", CANDLES),
        "candle table",
        "bars",
        3,
        3,
    ),
    "klines with header": (
        lambda: csv(
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
            "taker_buy_volume,taker_buy_quote_volume,ignore",
            KLINES,
        ),
        "Binance archive klines",
        "bars",
        3,
        3,
    ),
    "klines without header": (lambda: csv("", KLINES), "Binance archive klines", "bars", 3, 3),
    "aggTrades with header": (
        lambda: csv(
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker", AGG
        ),
        "Binance archive aggTrades",
        "trades",
        2,
        2,
    ),
    "futures aggTrades": (lambda: csv("", AGG), "Binance archive aggTrades", "trades", 2, 2),
    "spot aggTrades": (
        lambda: csv("", [(*row, "True") for row in AGG]),
        "Binance archive aggTrades",
        "trades",
        2,
        2,
    ),
    "trades with header": (
        lambda: csv("id,price,qty,quote_qty,time,is_buyer_maker", TRADES),
        "Binance archive trades",
        "trades",
        2,
        2,
    ),
    "futures trades": (lambda: csv("", TRADES), "Binance archive trades", "trades", 2, 2),
    "spot trades": (
        lambda: csv("", [(*row, "True") for row in TRADES]),
        "Binance archive trades",
        "trades",
        2,
        2,
    ),
    "bookTicker": (
        lambda: csv("", [(1, "100.1", "2", "100.2", "3", T0_MS, T0_MS + 1)]),
        "Binance archive bookTicker",
        "quotes",
        1,
        1,
    ),
    "freqtrade feather": (
        lambda: feather(named(FREQTRADE, FREQTRADE_ROWS)),
        "freqtrade trades",
        "trades",
        2,
        2,
    ),
    "freqtrade CSV": (
        lambda: csv("," + FREQTRADE + ",date", [(0, *FREQTRADE_ROWS[0], "x"), (1, *FREQTRADE_ROWS[1], "y")]),
        "freqtrade trades",
        "trades",
        2,
        2,
    ),
    "nautilus trades": (
        lambda: parquet(
            named(NAUTILUS_TRADES, [(TIMES[0], 1, 100.1, 0.5, "True"), (TIMES[1], 2, 100.2, 0.25, "False")])
        ),
        "trade table",
        "trades",
        2,
        2,
    ),
    "nautilus quotes": (
        lambda: parquet(
            {"timestamp": TIMES, "symbol": ["BTC/USDT"] * 2}
            | {"ask_size": [1.0, 2.0], "ask": [100.2, 100.3], "bid_size": [3.0, 4.0], "bid": [100.1, 100.2]}
        ),
        "quote table",
        "quotes",
        2,
        2,
    ),
    "Kraken trades": (
        lambda: "1700000000,90.540000,1.10448420\n1700000000,90.450000,1.00000000\n",
        "Kraken trades",
        "trades",
        2,
        2,
    ),
    "Bybit trades": (lambda: csv(BYBIT_HEADER, BYBIT), "Bybit public trades", "trades", 2, 2),
    "Bybit trades with RPI": (
        lambda: csv(BYBIT_HEADER + ",RPI", [(*row, 0) for row in BYBIT]),
        "Bybit public trades",
        "trades",
        2,
        2,
    ),
    "Hyperliquid prices": (
        lambda: csv("timestamp,price,size,side,exchange_timestamp", PRICES),
        "Hyperliquid prices",
        "quotes",
        5,
        3,
    ),
    "Hyperliquid prices parquet": (
        lambda: parquet(named("timestamp,price,size,side,exchange_timestamp", PRICES)),
        "Hyperliquid prices",
        "quotes",
        5,
        3,
    ),
    "Hyperliquid trades": (
        lambda: csv("timestamp,price,size,side,trade_id,exchange_timestamp", HYPER_TRADES),
        "Hyperliquid trades",
        "trades",
        2,
        2,
    ),
    "Hyperliquid books": (lambda: csv(BOOKS_HEADER, BOOKS), "Hyperliquid order books", "book", 2, 2),
    "Hyperliquid tape": (hyperliquid_tape, "Hyperliquid WebSocket tape", "trades and quotes", 3, 3),
    "Binance spot tape": (spot_tape, "Binance WebSocket tape", "trades and quotes", 6, 3),
    "Binance futures tape": (futures_tape, "Binance WebSocket tape", "trades and quotes", 6, 2),
    "cryptofeed tape": (cryptofeed, "Binance WebSocket tape", "trades and quotes", 6, 3),
    "Bybit order book": (bybit_book, "Bybit order book", "book", 3, 3),
    "Binance T_DEPTH": (depth_csv, "Binance T_DEPTH", "book", 5, 3),
    "npz": (npz, "npz columns", "trades and quotes", 3, 3),
    "compressed npz": (lambda: npz(compressed=True), "npz columns", "trades and quotes", 3, 3),
}
