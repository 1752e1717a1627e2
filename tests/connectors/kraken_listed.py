"""What is listed on the Kraken of these tests, frames about it, and where recorded payloads are."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from domain.instrument import Instrument
from grinder.connectors.converting import Scales
from grinder.connectors.kraken import naming
from grinder.connectors.kraken.decoder import KrakenDecoder

SHARED = Path(__file__).resolve().parents[3] / "shared"


def instrument(base: str, quote: str, tick: str, lot: str = "0.00000001") -> Instrument:
    decimals = max(0, -Decimal(tick).as_tuple().exponent)  # type: ignore[operator]
    return Instrument(
        symbol=base + quote,
        kind="spot",
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        tick_size=int(Decimal(tick).scaleb(decimals)),
        price_decimals=decimals,
        base_decimals=8,
        quote_decimals=8 + decimals,
        quote_per_tick_base=1,
        base_per_lot=int(Decimal(lot).scaleb(8)),
        min_notional=0,
        maker_fee_ppm=1600,
        taker_fee_ppm=2600,
    )


LISTED = {
    one.symbol: one
    for one in (
        instrument("BTC", "USD", "0.1"),
        instrument("BTC", "USDT", "0.1"),
        instrument("MATIC", "USD", "0.0001"),
        instrument("USDC", "USD", "0.0001"),
        instrument("USDC", "USDT", "0.0001"),
    )
}
SCALES = Scales(LISTED, {})
SYMBOLS = naming.symbols_by_name((name, one.base, one.quote) for name, one in LISTED.items())


def decoded(*messages: Any) -> list[Any]:
    decoder = KrakenDecoder(SCALES)
    frames = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages]
    return [signal for frame in frames for signal in decoder.decode("private", frame, 7)]


def book_frame(kind: str, bids: str, asks: str, checksum: int) -> bytes:
    data = f'"symbol":"BTC/USD","bids":[{bids}],"asks":[{asks}],"checksum":{checksum}'
    stamped = f'{data},"timestamp":"2023-10-06T17:35:55.440295Z"'
    return f'{{"channel":"book","type":"{kind}","data":[{{{stamped}}}]}}'.encode()


def level(price: str, quantity: str) -> str:
    return f'{{"price":{price},"qty":{quantity}}}'


# --- executions ----------------------------------------------------------------------------------------

PENDING = {
    "order_id": "OK4GJX-KSTLS-7DZZO5",
    "symbol": "BTC/USD",
    "order_qty": 0.005,
    "cum_cost": 0.0,
    "time_in_force": "GTC",
    "exec_type": "pending_new",
    "side": "sell",
    "order_type": "limit",
    "limit_price": 26500.0,
    "order_status": "pending_new",
    "cl_ord_id": "6d1b345e-2821-457a-9e2c-0f9d8c7b6a50",
    "timestamp": "2023-09-22T10:33:05.709950Z",
}
OURS = "6d1b345e2821457a9e2c0f9d8c7b6a50"


def executions(number: int, *entries: dict[str, Any], kind: str = "update") -> dict[str, Any]:
    return {"channel": "executions", "type": kind, "data": list(entries), "sequence": number}
