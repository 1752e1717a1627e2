"""What the rows of OKX's answers say.

Law: pure functions from decoded JSON to the terms of the port.  A part that cannot be read raises
`Unreadable`, and a status nobody knows is `UNREADABLE`: never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from actors.ports import InstrumentRules, OrderSnapshot, Permissions, PositionSnapshot, SnapshotStatus
from domain.inputs import FillReport, FundingReport
from domain.instrument import LINEAR, SPOT, Instrument
from domain.orders import BUY, SELL
from grinder.connectors.converting import Scales, Unreadable, amount, positive

SPOT_TYPE = "SPOT"
SWAP_TYPE = "SWAP"

PENDING_ORDERS_MOST = 500
"""Resting orders OKX allows of one instrument (documented, not published with the instrument)."""

STATUSES = {
    "live": SnapshotStatus.WORKING,
    "partially_filled": SnapshotStatus.WORKING,
    "filled": SnapshotStatus.FILLED,
    "canceled": SnapshotStatus.CANCELLED,
    "mmp_canceled": SnapshotStatus.CANCELLED,
}

SWAP_ENDING = "-SWAP"
NET_MODE = "net_mode"
SPOT_ACCOUNT = "1"
"""The account level that takes no contracts."""

FUNDING_BILL = "8"

NS_PER_MS = 1_000_000


def native_name(instrument: Instrument) -> str:
    """OKX's name of an instrument: ``BTC-USDT``, or ``BTC-USDT-SWAP`` for a perpetual."""
    return f"{instrument.base}-{instrument.quote}" + (SWAP_ENDING if instrument.kind == LINEAR else "")


def plain_name(native: str) -> str:
    """What we call an instrument of OKX's name: ``BTCUSDT``, spot and perpetual alike."""
    return native.removesuffix(SWAP_ENDING).replace("-", "")


def text_of(row: dict[str, Any], key: str) -> str:
    """A field that is text; missing and null are empty.

    Raises:
        Unreadable: it is something else.
    """
    found = row.get(key)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise Unreadable(f"{key} is no text: {found!r}")
    return found


def rows_of(answer: Any) -> list[dict[str, Any]]:
    """The ``data`` of an answer as rows.

    Raises:
        Unreadable: there is no list of objects.
    """
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(row, dict) for row in data):
        raise Unreadable("the answer holds no rows")
    return data


def one_row(answer: Any) -> dict[str, Any]:
    """The only row of an answer.

    Raises:
        Unreadable: there is none.
    """
    rows = rows_of(answer)
    if not rows:
        raise Unreadable("the answer is empty")
    return rows[0]


def time_ns(row: dict[str, Any], key: str) -> int:
    """A time in milliseconds as ns; 0 where it is not told.

    Raises:
        Unreadable: it is no time.
    """
    found = text_of(row, key)
    if not found:
        return 0
    if not found.isdecimal() or len(found) > 16:
        raise Unreadable(f"{key} is no time: {found!r}")
    return int(found) * NS_PER_MS


def rules(row: dict[str, Any], symbol: str, fees: tuple[Decimal, Decimal] | None) -> InstrumentRules:
    """An instrument as OKX publishes it.

    Args:
        fees: maker and taker fee of the account in basis points.

    Raises:
        Unreadable: a step or a name is missing.
    """
    base, quote = text_of(row, "baseCcy"), text_of(row, "quoteCcy")
    tick, lot = positive(row.get("tickSz"), "tickSz"), positive(row.get("lotSz"), "lotSz")
    if not (base and quote and tick and lot):
        raise Unreadable(f"an instrument without names or steps: {row.get('instId')!r}")
    return InstrumentRules(
        symbol=symbol,
        native=text_of(row, "instId"),
        kind=SPOT,
        base=base,
        quote=quote,
        tick=tick,
        lot=lot,
        min_quantity=positive(row.get("minSz"), "minSz"),
        max_orders=PENDING_ORDERS_MOST,
        maker_bps=fees[0] if fees else None,
        taker_bps=fees[1] if fees else None,
        trading=row.get("state") == "live",
    )


def swap_rules(
    row: dict[str, Any], symbol: str, fees: tuple[Decimal, Decimal] | None
) -> InstrumentRules | None:
    """A perpetual as OKX publishes it, with steps in the base asset; None for one that is not linear.

    Raises:
        Unreadable: a step or a name is missing, or its names do not make its name.
    """
    if text_of(row, "ctType") != LINEAR:
        return None
    base, quote, native = text_of(row, "ctValCcy"), text_of(row, "settleCcy"), text_of(row, "instId")
    contract = positive(row.get("ctVal"), "ctVal") * positive(row.get("ctMult") or "1", "ctMult")
    tick, lot = positive(row.get("tickSz"), "tickSz"), positive(row.get("lotSz"), "lotSz")
    if not (base and quote and tick and lot and contract) or native != f"{base}-{quote}{SWAP_ENDING}":
        raise Unreadable(f"a perpetual without names, steps or a contract's value: {native!r}")
    return InstrumentRules(
        symbol=symbol,
        native=native,
        kind=LINEAR,
        base=base,
        quote=quote,
        tick=tick,
        lot=(lot * contract).normalize(),
        min_quantity=(positive(row.get("minSz"), "minSz") * contract).normalize(),
        max_orders=PENDING_ORDERS_MOST,
        contract=contract.normalize(),
        maker_bps=fees[0] if fees else None,
        taker_bps=fees[1] if fees else None,
        trading=row.get("state") == "live",
    )


def fee_bps(row: dict[str, Any], group: str = "", settled_in: str = "") -> tuple[Decimal, Decimal]:
    """Maker and taker fee in basis points: OKX writes what it takes as negative rates.

    Args:
        group: the instrument's fee group; where the answer has groups, its rates are the ones in force.
        settled_in: the currency a contract is settled in, whose rates have a key of their own.

    Raises:
        Unreadable: a rate is no number.
    """
    groups = row.get("feeGroup")
    for one in groups if isinstance(groups, list) else ():
        if isinstance(one, dict) and group and one.get("groupId") == group:
            row = one
    ending = {"": "", "USDT": "U"}.get(settled_in, settled_in)
    rates = (row.get(f"maker{ending}") or row.get("maker"), row.get(f"taker{ending}") or row.get("taker"))
    return -amount(rates[0], "maker") * 10_000, -amount(rates[1], "taker") * 10_000


def permissions(row: dict[str, Any], *, contracts: bool = False) -> Permissions:
    """What a key may do: ``perm`` is a list such as ``read_only,trade``.

    Args:
        contracts: it is to trade perpetuals, which an account has to be set up for.

    Raises:
        Unreadable: it is missing.
    """
    text = text_of(row, "perm")
    if not text:
        raise Unreadable("the account says nothing of the key's permissions")
    granted = text.split(",")
    ready = True
    if contracts and text_of(row, "acctLv") == SPOT_ACCOUNT:
        ready, text = False, f"{text}; the account is in spot mode, which takes no contracts"
    if contracts and text_of(row, "posMode") != NET_MODE:
        ready, text = False, f"{text}; positions are kept in long/short mode, they have to be net"
    return Permissions(trade=ready and "trade" in granted, withdraw="withdraw" in granted, text=text)


def positions(
    scales: Scales, symbols: Mapping[str, str], rows: Iterable[dict[str, Any]]
) -> list[PositionSnapshot]:
    """Positions on listed perpetuals, cross and isolated together; flat ones are left out.

    Args:
        symbols: ours by OKX's names.

    Raises:
        Unreadable: an amount is, or positions are not net.
    """
    units: dict[str, int] = {}
    for row in rows:
        symbol, held = symbols.get(text_of(row, "instId")), row.get("pos") or "0"
        if symbol is None:
            continue
        if text_of(row, "posSide") not in ("net", "") and amount(held, "pos"):
            raise Unreadable(f"a position on {symbol} is of one side: {row.get('posSide')!r}")
        units[symbol] = units.get(symbol, 0) + scales.base_units(symbol, held)
    return [PositionSnapshot(symbol=symbol, base_units=held) for symbol, held in units.items() if held]


def fundings(
    scales: Scales, symbols: Mapping[str, str], rows: Iterable[dict[str, Any]]
) -> list[FundingReport]:
    """Bills of funding on listed perpetuals, oldest first, each once.

    Raises:
        Unreadable: a part of one is.
    """
    listed = [row for row in rows if row.get("type") == FUNDING_BILL and row.get("instId") in symbols]
    listed.sort(key=lambda row: (time_ns(row, "ts"), int(cursor(row, "billId"))))
    made = [_funding(scales, symbols[text_of(row, "instId")], row) for row in listed]
    return list({one.funding_id: one for one in made}.values())


def _funding(scales: Scales, symbol: str, row: dict[str, Any]) -> FundingReport:
    """What a bill changed of the balance; a position of its own margin has it in another field."""
    instrument = scales.instrument(symbol)
    change = amount(row.get("balChg") or "0", "balChg") or amount(row.get("posBalChg") or "0", "posBalChg")
    numerator, denominator = change.as_integer_ratio()
    price = positive(row.get("px") or "0", "px").scaleb(instrument.price_decimals)
    return FundingReport(
        funding_id=cursor(row, "billId"),
        symbol=symbol,
        rate_ppm=0,
        # A mark price may lie between two ticks: it is shown, and books nothing.
        price_ticks=int(price) // instrument.tick_size,
        # Rounded towards minus infinity: against us, whichever sign it has.
        units=numerator * 10**instrument.quote_decimals // denominator,
    )


def balances(row: dict[str, Any]) -> dict[str, Decimal]:
    """Total of each asset, what rests in orders included.

    Raises:
        Unreadable: an asset has no name or no amount.
    """
    details = row.get("details")
    if not isinstance(details, list):
        raise Unreadable("a balance without details")
    found: dict[str, Decimal] = {}
    for detail in details:
        if not isinstance(detail, dict) or not text_of(detail, "ccy"):
            raise Unreadable("a balance without an asset")
        found[text_of(detail, "ccy")] = amount(detail.get("cashBal"), "cashBal")
    return found


def order(scales: Scales, symbol: str, row: dict[str, Any]) -> OrderSnapshot:
    """An order, from an answer or from the stream.  Numbers nobody can read make it `UNREADABLE`.

    Raises:
        Unreadable: it does not even say which order it is.
    """
    exchange_id, client_id = text_of(row, "ordId"), text_of(row, "clOrdId")
    if not exchange_id:
        raise Unreadable("an order without an id")
    side = text_of(row, "side")
    status = STATUSES.get(str(row.get("state")), SnapshotStatus.UNREADABLE)
    ticks = lots = filled = 0
    try:
        ticks = scales.ticks(symbol, row.get("px") or "0")
        filled = scales.lots(symbol, row.get("accFillSz") or "0")
        # A market order in the quote currency has its size in money: what it got is all that can be told.
        lots = filled if row.get("tgtCcy") == "quote_ccy" else scales.lots(symbol, row.get("sz"))
        if side not in (BUY, SELL) or filled > lots or (row.get("ordType") != "market" and ticks == 0):
            status = SnapshotStatus.UNREADABLE
    except Unreadable:
        status = SnapshotStatus.UNREADABLE
    return OrderSnapshot(
        client_order_id=client_id,
        exchange_order_id=exchange_id,
        symbol=symbol,
        side=side,
        status=status,
        price_ticks=ticks,
        lots=lots,
        filled_lots=filled,
        reason=_reason(row) if status is SnapshotStatus.CANCELLED else "",
    )


CANCEL_SOURCES = {
    "0": "cancelled by the exchange",
    "1": "requested",
    "2": "liquidation",
    "3": "delivery",
    "9": "insufficient balance",
    "20": "dead man's switch",
    "31": "post-only would take",
    "32": "self-trade prevention",
}


def _reason(row: dict[str, Any]) -> str:
    source = str(row.get("cancelSource") or "")
    words = str(row.get("cancelSourceReason") or "") or CANCEL_SOURCES.get(source, "")
    return f"{source}: {words}" if source else words


def fill(scales: Scales, symbol: str, row: dict[str, Any], fee: object, fee_asset: str) -> FillReport:
    """An execution, from the backfill or from the stream: both give it the same id.

    Args:
        fee: as OKX writes it: negative is what it took.

    Raises:
        Unreadable: a part of it is.
    """
    trade_id, exchange_id = text_of(row, "tradeId"), text_of(row, "ordId")
    # A trade id counts within an instrument, and both orders of a trade with oneself carry it.
    named = trade_id not in ("", "0") and exchange_id != ""
    maker = {"M": True, "T": False}.get(text_of(row, "execType"))
    if maker is None:
        raise Unreadable(f"execType is neither M nor T: {row.get('execType')!r}")
    return scales.fill(
        symbol=symbol,
        side=text_of(row, "side"),
        price=row.get("fillPx"),
        quantity=row.get("fillSz"),
        fee=-amount(fee, "fee"),
        fee_asset=fee_asset,
        maker=maker,
        client_order_id=text_of(row, "clOrdId"),
        exchange_order_id=exchange_id,
        fill_id=f"{exchange_id}-{trade_id}" if named else "",
        at=text_of(row, "fillTime"),
    )


def orders(scales: Scales, symbols: Mapping[str, str], rows: Iterable[dict[str, Any]]) -> list[OrderSnapshot]:
    """The orders on listed instruments.

    Args:
        symbols: ours by OKX's names.

    Raises:
        Unreadable: an order does not say which one it is.
    """
    return [order(scales, symbols[n], row) for row in rows if (n := text_of(row, "instId")) in symbols]


def fills(scales: Scales, symbol: str, rows: Iterable[dict[str, Any]]) -> list[FillReport]:
    """Executions, oldest first, each once.

    Raises:
        Unreadable: a part of one is.
    """
    reports = (
        fill(scales, symbol, row, row.get("fee"), text_of(row, "feeCcy")) for row in sorted(rows, key=age)
    )
    return list({report.fill_id: report for report in reports}.values())


def items(answer: Any, client_ids: Sequence[str], exchange_ids: Sequence[str]) -> list[dict[str, Any] | None]:
    """The rows of a batch in the order of the request; None where the answer does not speak of an order."""
    data = answer.get("data") if isinstance(answer, dict) else None
    rows = [row for row in data if isinstance(row, dict)] if isinstance(data, list) else []
    by_client = _index(rows, "clOrdId")
    by_exchange = _index(rows, "ordId")
    found: list[dict[str, Any] | None] = []
    for client_id, exchange_id in zip(client_ids, exchange_ids, strict=True):
        row = by_client.get(client_id) if client_id else None
        found.append(row if row is not None else by_exchange.get(exchange_id) if exchange_id else None)
    if (
        len(rows) == len(found) == 1
        and found[0] is None
        and not (rows[0].get("clOrdId") or rows[0].get("ordId"))
    ):
        found[0] = rows[0]  # a refusal may name no order; it can only be of the one that was asked for
    return found


def _index(rows: Iterable[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {row[key]: row for row in rows if isinstance(row.get(key), str) and row[key]}


def age(row: dict[str, Any]) -> tuple[int, int]:
    """Where an execution stands among others: its time, then its bill.

    Raises:
        Unreadable: one of them is no number.
    """
    return time_ns(row, "fillTime") or time_ns(row, "ts"), int(cursor(row, "billId"))


def cursor(row: dict[str, Any], key: str) -> str:
    """The id from which the next page goes on.

    Raises:
        Unreadable: the row has none.
    """
    found = text_of(row, key)
    if not found.isdecimal() or len(found) > 40:
        raise Unreadable(f"{key} is no id: {found!r}")
    return found
