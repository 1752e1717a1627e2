"""OKX's swaps: what is told in contracts, read as lots; accounts that cannot trade them; funding."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from contract import KEYS, WireStage, listed, stage_of
from hypothesis import given
from hypothesis import strategies as st

from actors.ports import Gap, OrderSnapshot, PositionSnapshot, Quote, SnapshotStatus, Unavailable
from domain.inputs import FillReport, FundingReport
from domain.instrument import LINEAR, Instrument
from grinder.connectors import funding_watch
from grinder.connectors.converting import Scales, Unreadable
from grinder.connectors.endpoint import Endpoint
from grinder.connectors.okx import parsing
from grinder.connectors.okx.decoder import OkxDecoder
from grinder.connectors.okx.swap import OkxSwapConnector
from grinder.connectors.stage import Heard, Scene, eventually
from grinder.simulated.protocols.okx import OkxServer

SHARED = Path(__file__).resolve().parents[3] / "shared"
NATIVE = "BTC-USDT-SWAP"
SYMBOLS = {NATIVE: "BTCUSDT"}


@pytest.fixture
def recorded() -> Path:
    """The folder of OKX's recorded payloads; skips where there is none."""
    folder = SHARED / "fixtures" / "okx" / "nautilus"
    if not folder.is_dir():
        pytest.skip("no recorded payloads beside the checkout")
    return folder


def read(folder: Path, name: str) -> Any:
    return json.loads((folder / name).read_text(encoding="utf-8"))


def swap(**changes: Any) -> Instrument:
    """BTCUSDT with OKX's own contract, 0.01 BTC, in lots of a hundredth of one."""
    given = {"lot": "0.0001", "base_per_lot": 10_000, "base_per_contract": 1_000_000, **changes}
    made: Instrument = attrs.evolve(listed(LINEAR), **given)  # type: ignore[misc]
    return made


def scales(**changes: Any) -> Scales:
    return Scales({"BTCUSDT": swap(**changes)}, {})


# --- sizes ---------------------------------------------------------------------------------------------


@given(
    lots=st.integers(0, 10**8),
    contract=st.sampled_from([1, 10, 100, 1_000, 25, 8, 10**6]),
    steps=st.sampled_from([1, 2, 5, 10, 100]),
)
def test_lots_go_out_as_contracts_and_come_back_whole(lots: int, contract: int, steps: int) -> None:
    made = scales(base_per_lot=contract * 10_000, base_per_contract=contract * 10_000 * steps)
    text = made.quantity_text("BTCUSDT", lots)
    assert Decimal(text) == Decimal(lots) / steps
    assert made.lots("BTCUSDT", text) == lots
    assert made.whole_lots("BTCUSDT", text) == lots
    assert made.base_units("BTCUSDT", f"-{text}") == -lots * contract * 10_000


def test_a_size_between_two_lots_is_not_rounded() -> None:
    assert scales().lots("BTCUSDT", "0.03") == 3
    for text in ("0.035", "0.00000000001", "-1", "1e40", None):
        with pytest.raises(Unreadable):
            scales().lots("BTCUSDT", text)
    assert scales().whole_lots("BTCUSDT", "0.039") == 3, "a displayed size is rounded down"
    with pytest.raises(Unreadable, match="between two steps"):
        scales().base_units("BTCUSDT", "0.0000001")


def test_a_quantity_no_decimal_of_contracts_says_is_not_sent() -> None:
    with pytest.raises(Unreadable, match="no number of contracts"):
        scales(base_per_lot=1, base_per_contract=3).quantity_text("BTCUSDT", 1)


# --- recorded payloads ---------------------------------------------------------------------------------


def test_recorded_swaps_have_steps_in_the_base_asset_and_their_contract(recorded: Path) -> None:
    rows = {row["instId"]: row for row in read(recorded, "http_get_instruments_swap.json")["data"]}
    found = parsing.swap_rules(rows[NATIVE], "BTCUSDT", None)
    assert found is not None
    assert (found.kind, found.base, found.quote, found.native) == ("linear", "BTC", "USDT", NATIVE)
    assert (found.tick, found.lot, found.contract) == (Decimal("0.1"), Decimal("0.0001"), Decimal("0.01"))
    assert found.min_quantity == Decimal("0.0001")
    ether = parsing.swap_rules(rows["ETH-USDT-SWAP"], "ETHUSDT", None)
    assert ether is not None
    assert (ether.lot, ether.contract) == (Decimal("0.001"), Decimal("0.1"))
    assert parsing.swap_rules(rows["BTC-USD-SWAP"], "BTCUSD", None) is None, "settled in the base asset"


def test_a_recorded_order_push_of_a_swap_counts_contracts(recorded: Path) -> None:
    reader = OkxDecoder(scales())
    fill, order = reader.decode("private", (recorded / "ws_orders.json").read_bytes(), 7)
    assert isinstance(fill, FillReport)
    assert (fill.symbol, fill.lots, fill.price_ticks) == ("BTCUSDT", 3, 1_036_989)
    assert (fill.fee_asset, fill.fee_units) == ("USDT", 21_776_769)
    assert isinstance(order, OrderSnapshot)
    assert (order.lots, order.filled_lots, order.status) == (3, 3, SnapshotStatus.FILLED)


def test_quotes_of_a_swap_are_shown_in_lots() -> None:
    row = {
        "bids": [["60000", "2.5", "0", "1"]],
        "asks": [["60001", "0.019", "0", "1"]],
        "ts": "5",
        "seqId": 1,
    }
    frame = {"arg": {"channel": "bbo-tbt", "instId": NATIVE}, "data": [row]}
    [quote] = OkxDecoder(scales()).decode("public", json.dumps(frame).encode(), 7)
    assert isinstance(quote, Quote)
    assert (quote.bid_lots, quote.ask_lots) == (250, 1)


def test_what_happens_to_balances_is_no_signal_and_no_gap() -> None:
    told = {"pTime": "5", "eventType": "funding_fee", "balData": [], "posData": [], "trades": []}
    frame = {"arg": {"channel": "balance_and_position", "uid": "1"}, "data": [told]}
    assert list(OkxDecoder(scales()).decode("private", json.dumps(frame).encode(), 7)) == []


def position(**changes: str) -> dict[str, str]:
    return {"instId": NATIVE, "posSide": "net", "mgnMode": "cross", "pos": "0.5", **changes}


def test_net_positions_are_signed_and_summed_and_others_left_out() -> None:
    rows = [position(pos="-0.5"), position(pos="0.2", mgnMode="isolated"), position(instId="ETH-USDT-SWAP")]
    held = parsing.positions(scales(), SYMBOLS, rows)
    assert held == [PositionSnapshot(symbol="BTCUSDT", base_units=-300_000)]
    assert parsing.positions(scales(), SYMBOLS, [position(pos=""), position(pos="0", posSide="long")]) == []


def test_a_position_of_one_side_is_never_taken_for_a_net_one(recorded: Path) -> None:
    rows = read(recorded, "http_get_positions.json")["data"]
    with pytest.raises(Unreadable, match="one side"):
        parsing.positions(scales(), SYMBOLS, rows)


def bill(number: int, **changes: str) -> dict[str, str]:
    given = {
        "billId": str(number),
        "type": "8",
        "subType": "173",
        "instId": NATIVE,
        "balChg": "-0.0000148752712240",
        "posBalChg": "0",
        "px": "60000.17",
        "ts": "1636387215588",
    }
    return {**given, **changes}


def test_bills_of_funding_are_payments_each_once_oldest_first_and_rounded_against_us() -> None:
    rows = [
        bill(9, balChg="0.25", subType="174", ts="1636387215589"),
        bill(7),
        bill(7),
        bill(8, instId="ETH-USDT-SWAP"),
        bill(5, type="2"),
    ]
    paid, received = parsing.fundings(scales(), SYMBOLS, rows)
    assert (paid.funding_id, paid.units, paid.price_ticks) == ("7", -14_876, 600_001)
    assert (received.funding_id, received.units) == ("9", 250_000_000)
    own_margin = parsing.fundings(scales(), SYMBOLS, [bill(1, balChg="0", posBalChg="-1")])
    assert [one.units for one in own_margin] == [-(10**9)]


@pytest.mark.parametrize("broken", [{"balChg": "many"}, {"billId": ""}, {"ts": "yesterday"}, {"px": "-1"}])
def test_a_bill_nobody_can_read_is_not_guessed(broken: dict[str, str]) -> None:
    with pytest.raises(Unreadable):
        parsing.fundings(scales(), SYMBOLS, [bill(1, **broken)])


def test_fees_of_contracts_are_those_of_the_currency_they_settle_in() -> None:
    row = {"maker": "-0.0002", "taker": "-0.0005", "makerU": "-0.0001", "takerU": "-0.0003", "makerUSDC": ""}
    assert parsing.fee_bps(row, "", "USDT") == (Decimal(1), Decimal(3))
    assert parsing.fee_bps(row, "", "USDC") == parsing.fee_bps(row) == (Decimal(2), Decimal(5))
    grouped: dict[str, Any] = {**row, "feeGroup": [{"groupId": "4", "maker": "-0.0003", "taker": "-0.0006"}]}
    assert parsing.fee_bps(grouped, "4", "USDT") == (Decimal(3), Decimal(6)), (
        "the group's, where there is one"
    )
    assert parsing.fee_bps(grouped, "5", "USDT") == parsing.fee_bps(grouped, "", "USDT") == (1, 3)


# --- over the wire -------------------------------------------------------------------------------------


@asynccontextmanager
async def played() -> AsyncIterator[tuple[Scene, OkxSwapConnector, OkxServer]]:
    stage = stage_of("okx-swap")
    assert isinstance(stage, WireStage)
    await stage.open()
    line = stage.running.line
    connector = OkxSwapConnector(Endpoint(line["rest"], line["ws"], line["ws_private"]), KEYS, time.time_ns)
    try:
        await stage.quote(stage.price_ticks, stage.price_ticks + 10)
        await connector.open()
        connector.list_instruments({"BTCUSDT": stage.instrument}, {})
        assert isinstance(stage.server, OkxServer)
        yield Scene(stage, connector), connector, stage.server
    finally:
        await connector.close()
        await stage.close()


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test()

    asyncio.run(bounded())


def test_rules_say_what_a_contract_is_and_what_this_account_pays() -> None:
    async def test() -> None:
        async with played() as (_, connector, _):
            found = (await connector.rules(["BTCUSDT", "ETHUSDT"]))["BTCUSDT"]
            assert (found.kind, found.lot, found.contract) == ("linear", Decimal("0.001"), Decimal("0.01"))
            assert (found.maker_bps, found.taker_bps) == (2, 5)
            assert (await connector.rules([NATIVE]))[NATIVE].native == NATIVE

    run(test)


def test_an_order_of_lots_is_one_of_contracts_on_the_exchange() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            terms = scene.terms(lots=15)
            sent = connector.order_row(terms)
            assert (sent["sz"], sent["tdMode"], sent["posSide"]) == ("1.5", "cross", "net")
            assert "reduceOnly" not in sent and "tgtCcy" not in sent
            assert connector.order_row(scene.terms(reduce_only=True))["reduceOnly"] is True
            await scene.placed(terms)
            [order] = server.desk.open_orders()
            assert order.lots == 15
            [seen] = await connector.open_orders()
            assert seen.lots == 15

    run(test)


@pytest.mark.parametrize(("mode", "words"), [("long_short_mode", "net"), ("net_mode", "")])
def test_an_account_in_long_short_mode_may_not_trade(mode: str, words: str) -> None:
    async def test() -> None:
        async with played() as (_, connector, server):
            server.position_mode = mode
            found = await connector.permissions()
            assert found.trade is not bool(words)
            assert words in found.text

    run(test)


def test_an_account_in_spot_mode_may_not_trade_contracts() -> None:
    row = {"perm": "read_only,trade", "acctLv": "1", "posMode": "net_mode"}
    assert parsing.permissions(row).trade
    assert not parsing.permissions(row, contracts=True).trade
    assert "spot mode" in parsing.permissions(row, contracts=True).text


def test_old_funding_is_looked_for_in_the_archive() -> None:
    async def test() -> None:
        async with played() as (scene, connector, server):
            server.desk.wallet.position["BTCUSDT"] = 10**7
            await scene.stage.pay_funding()
            asked: list[str] = []
            pages = connector._pages

            async def noted(path: str, *more: Any) -> Any:
                asked.append(path)
                return await pages(path, *more)

            connector._pages = noted  # type: ignore[method-assign]
            recent = await connector.fundings(time.time_ns() - 3_600 * 10**9)
            assert await connector.fundings(time.time_ns() - 30 * 86_400 * 10**9) == recent
            assert asked == ["account/bills", "account/bills-archive"]
            assert len(recent) == 1

    run(test)


# --- funding the stream does not name ------------------------------------------------------------------


def payment(number: int) -> FundingReport:
    return FundingReport(funding_id=str(number), symbol="BTCUSDT", rate_ppm=0, price_ticks=0, units=-number)


def test_a_payment_that_is_listed_late_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(funding_watch, "LOOKS_S", (0.0, 0.01, 0.01, 0.01))

    async def test() -> None:
        answers: list[Any] = [
            [],
            [],
            Unavailable("503"),
            [payment(1)],
            [payment(1)],
            [payment(1), payment(2)],
        ]
        heard = Heard()
        watch = funding_watch.FundingWatch(heard, "private", b"funding")

        async def listing(since_ns: int) -> list[FundingReport]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            found: list[FundingReport] = answer
            return found

        task = asyncio.create_task(watch.run(listing, time.time_ns))
        watch.stream_up("private")
        await asyncio.sleep(0.02)
        assert len(answers) == 5, "a stream that came up is one look"
        watch.frame("public", b"funding", 7)
        await asyncio.sleep(0.02)
        assert len(answers) == 5, "only the private stream speaks of it"
        watch.frame("private", b"funding", 7)

        async def told() -> bool:
            return [one.units for one in heard.fundings()] == [-1]

        await eventually(told, "the payment is told once it is listed")
        watch.signal("private", payment(1))
        watch.frame("private", b"funding", 7)

        async def both() -> bool:
            return [one.units for one in heard.fundings()] == [-1, -2]

        await eventually(both, "and the next, the first not again")
        task.cancel()

    run(test)


def test_a_frame_nobody_can_read_is_a_gap_for_swaps_too() -> None:
    row = {
        "instId": NATIVE,
        "ordId": "1",
        "clOrdId": "a",
        "side": "buy",
        "state": "filled",
        "ordType": "limit",
    }
    row |= {"px": "60000", "sz": "0.015", "accFillSz": "0.015", "fillSz": "0.015", "fillPx": "60000"}
    frame = {
        "arg": {"channel": "orders", "instType": "SWAP"},
        "data": [row | {"fillFee": "0", "execType": "M"}],
    }
    [gap] = OkxDecoder(scales()).decode("private", json.dumps(frame).encode(), 7)
    assert isinstance(gap, Gap)
