"""The connector to Binance and the simulated Binance, over real sockets: both markets."""

from __future__ import annotations

import time

import attrs
import pytest
from binance_rig import (
    BTC,
    KEYS,
    MARKETS,
    SECOND,
    USDT,
    hex_id,
    listening,
    order,
    placed,
    ref,
    rig,
    run,
    until,
)

from actors.ports import (
    AuthenticationFailed,
    ClockSkewed,
    Expired,
    Gap,
    OrderRef,
    OrderRefused,
    OrderSnapshot,
    OutcomeUnknown,
    Placed,
    Quote,
    SnapshotStatus,
    Trade,
    Unavailable,
)
from domain.inputs import FillReport, FundingReport
from grinder.connectors.binance.errors import is_duplicate
from grinder.connectors.binance.spot import SpotConnector
from grinder.secrets import Credentials
from replay.exchange.rules import ExchangeRules

# --- rules, time, permissions ---------------------------------------------------------------------------


@MARKETS
def test_the_rules_of_known_symbols_are_told_and_unknown_ones_are_missing(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            found = await one.connector.rules([BTC, "NOPEUSDT"])
        assert list(found) == [BTC]
        rules = found[BTC]
        assert (str(rules.tick), str(rules.lot), str(rules.min_notional)) == ("0.1", "0.001", "5")
        assert (str(rules.maker_bps), str(rules.taker_bps)) == ("1", "5")
        assert rules.kind == ("linear" if futures else "spot")
        assert rules.trading

    run(work())


@MARKETS
def test_a_symbol_that_is_not_traded_now_is_told_so(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            one.desk.set_trading(BTC, False)
            found = await one.connector.rules([BTC])
            assert not found[BTC].trading
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, OrderRefused)

    run(work())


def test_what_a_spot_key_may_do_is_read_from_its_restrictions() -> None:
    async def work() -> None:
        async with rig() as one:
            assert await one.connector.permissions() == attrs.evolve(
                await one.connector.permissions(), trade=True, withdraw=False
            )
            one.server.key_can_withdraw = True
            assert (await one.connector.permissions()).withdraw

    run(work())


@MARKETS
def test_a_wrong_key_and_a_wrong_secret_are_told_as_such(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            for keys in (Credentials("other", KEYS.secret), Credentials(KEYS.key, "other")):
                other = type(one.connector)(one.endpoint, keys, time.time_ns)
                await other.open()
                other.list_instruments(one.desk.instruments, {})
                with pytest.raises(AuthenticationFailed):
                    await other.balances()
                (answer,) = await other.place([order(1)])
                assert isinstance(answer, AuthenticationFailed)
                await other.close()
            assert not one.desk.orders

    run(work())


@MARKETS
def test_a_clock_that_is_wrong_is_measured_at_the_start_and_again_when_the_exchange_complains(
    futures: bool,
) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            one.shift_ns = 10 * SECOND  # our clock jumps ahead
            (answer,) = await one.connector.place([order(1)])
            assert isinstance(answer, ClockSkewed)
            assert not one.desk.orders
            assert (await placed(one, 2)).resting
            one.shift_ns = -10 * SECOND
            with pytest.raises(ClockSkewed):
                await one.connector.balances()
            assert await one.connector.balances()
            drift = await one.connector.server_time_ns() - time.time_ns()
            assert abs(drift) < SECOND

    run(work())


# --- the life of an order -------------------------------------------------------------------------------


@MARKETS
def test_an_order_is_placed_found_listed_filled_and_told_of_on_the_stream(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one, listening(one) as heard:
            answer = await placed(one, 1)
            assert answer == Placed(exchange_order_id="1", resting=True)
            found = await one.connector.order(ref(1))
            assert found is not None
            assert (found.status, found.price_ticks, found.lots) == (SnapshotStatus.WORKING, 609_000, 10)
            assert await one.connector.open_orders() == [found]
            one.trade(608_990, 4)
            one.trade(608_990, 400)
            await until(lambda: len(heard.of(FillReport)) >= 1)
            await until(lambda: heard.of(OrderSnapshot)[-1].status is SnapshotStatus.FILLED)
            assert await one.connector.open_orders() == []
            backfilled = await one.connector.fills(BTC, 0)
            assert backfilled == heard.of(FillReport)
            assert sum(fill.lots for fill in backfilled) == 10
            assert {fill.client_order_id for fill in backfilled} == {hex_id(1)}
            assert {fill.liquidity for fill in backfilled} == {"maker"}

    run(work())


@MARKETS
def test_a_cancel_shows_the_end_under_our_own_id_in_the_answer_and_on_the_stream(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one, listening(one) as heard:
            await placed(one, 1)
            (ended,) = await one.connector.cancel([ref(1)])
            assert isinstance(ended, OrderSnapshot)
            assert (ended.client_order_id, ended.status) == (hex_id(1), SnapshotStatus.CANCELLED)
            await until(lambda: len(heard.of(OrderSnapshot)) == 2)
            told = heard.of(OrderSnapshot)[-1]
            assert (told.client_order_id, told.status) == (hex_id(1), SnapshotStatus.CANCELLED)
            (again,) = await one.connector.cancel([ref(1)])
            assert isinstance(again, OrderRefused)
            assert again.code == "-2011"

    run(work())


@MARKETS
def test_each_refusal_keeps_the_exchanges_code_and_a_duplicate_is_told_from_the_rest(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            await placed(one, 1)
            refused = {
                "duplicate": order(1),
                "crosses": order(2, price=620_000),
                "too small": order(3, lots=1, price=10_000),
                "no funds": order(4, lots=100_000),
            }
            codes = {}
            for name, terms in refused.items():
                (answer,) = await one.connector.place([terms])
                assert isinstance(answer, OrderRefused), name
                assert is_duplicate(answer) is (name == "duplicate")
                codes[name] = answer.code
            spot = {"duplicate": "-2010", "crosses": "-2010", "too small": "-1013", "no funds": "-2010"}
            usdm = {"duplicate": "-4116", "crosses": "-5022", "too small": "-4164", "no funds": "-2019"}
            assert codes == (usdm if futures else spot)
            assert len(one.desk.orders) == 1

    run(work())


@MARKETS
def test_the_same_id_is_taken_again_once_the_first_order_is_filled(futures: bool) -> None:
    """Why a request is never sent twice: the exchange would not stop it."""

    async def work() -> None:
        async with rig(futures=futures) as one:
            await placed(one, 1)
            one.trade(608_000, 500)
            assert (await placed(one, 1)).exchange_order_id == "2"

    run(work())


@MARKETS
def test_an_order_that_may_take_does_and_one_that_must_not_wait_expires(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one, listening(one) as heard:
            await placed(one, 1, order_type="market", time_in_force="ioc")
            assert not (await placed(one, 2, time_in_force="ioc", price=600_000)).resting
            assert not (await placed(one, 3, time_in_force="gtc", price=615_000)).resting
            await until(lambda: len(heard.of(FillReport)) == 2)
            assert {fill.liquidity for fill in heard.of(FillReport)} == {"taker"}
            expired = await one.connector.order(ref(2))
            assert expired is not None
            assert expired.status is SnapshotStatus.EXPIRED

    run(work())


@MARKETS
def test_an_order_nobody_knows_is_not_there_and_everything_of_a_symbol_can_be_cancelled(
    futures: bool,
) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            assert await one.connector.order(ref(9)) is None
            await one.connector.cancel_all(BTC)
            await placed(one, 1)
            await placed(one, 2, price=608_000)
            await one.connector.cancel_all(BTC)
            assert await one.connector.open_orders() == []

    run(work())


@MARKETS
def test_a_foreign_order_is_listed_under_a_foreign_name(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one:
            one.desk.place(attrs.evolve(order(1), client_order_id=""), time.time_ns())  # type: ignore[misc]
            (foreign,) = await one.connector.open_orders()
            assert foreign.client_order_id.startswith("web_")
            named = OrderRef(client_order_id="", exchange_order_id=foreign.exchange_order_id, symbol=BTC)
            assert await one.connector.order(named) == foreign

    run(work())


# --- executions -----------------------------------------------------------------------------------------


@MARKETS
def test_executions_come_in_pages_and_name_our_orders_even_to_a_process_that_did_not_place_them(
    futures: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        monkeypatch.setattr("grinder.connectors.binance.shared.PAGE", 3)
        async with rig(futures=futures, rules=ExchangeRules(volume_limited=True)) as one:
            for number in range(1, 5):
                await placed(one, number, price=609_000)
            for _ in range(8):
                one.trade(608_000, 5)
            fresh = type(one.connector)(one.endpoint, KEYS, time.time_ns)
            await fresh.open()
            fresh.list_instruments(one.desk.instruments, {})
            found = await fresh.fills(BTC, 0)
            await fresh.close()
            assert [fill.fill_id for fill in found] == [f"{BTC}-{n}" for n in range(1, 9)]
            assert {fill.client_order_id for fill in found} == {hex_id(n) for n in range(1, 5)}
            later = one.desk.executions[4].ts_ns
            assert len(await one.connector.fills(BTC, later)) >= 4
            assert await one.connector.fills(BTC, time.time_ns() + SECOND) == []

    run(work())


@pytest.mark.parametrize(("asset", "units"), [("base", 2), ("BNB", 203_334)])
def test_fees_are_read_in_whatever_asset_they_were_taken(asset: str, units: int) -> None:
    async def work() -> None:
        rules = ExchangeRules(fee_asset=asset, fee_asset_price=600 * USDT)
        async with rig(rules=rules) as one:
            if asset == "BNB":
                one.desk.deposit("BNB", 10**8)
            await placed(one, 1, lots=20, order_type="market", time_in_force="ioc")
            (fill,) = await one.connector.fills(BTC, 0)
            assert fill.fee_asset == ("BTC" if asset == "base" else asset)
            execution = one.desk.executions[0]
            assert fill.fee_units == execution.fee_units
            assert fill.fee_value >= execution.fee_value

    run(work())


# --- streams --------------------------------------------------------------------------------------------


@MARKETS
def test_quotes_and_trades_come_in_ticks_and_lots(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one, listening(one) as heard:
            one.row(609_980, 610_020)
            one.trade(610_020, 3, side=1)
            await until(lambda: heard.of(Trade))
            quote = heard.of(Quote)[0]
            assert (quote.bid_ticks, quote.ask_ticks, quote.bid_lots) == (609_980, 610_020, 5_000)
            trade = heard.of(Trade)[0]
            assert (trade.price_ticks, trade.lots, trade.buyer_took) == (610_020, 3, True)
            assert not heard.of(Gap)

    run(work())


@MARKETS
def test_a_cut_private_stream_comes_back_and_what_it_missed_can_be_fetched(futures: bool) -> None:
    async def work() -> None:
        async with rig(futures=futures) as one, listening(one) as heard:
            await placed(one, 1)
            one.server.hang_up(private=True)
            await until(lambda: any(stream == "private" for stream, _ in heard.downs))
            one.trade(608_000, 500)
            await until(lambda: heard.ups.count("private") == 2)
            assert not heard.of(FillReport)
            assert [fill.lots for fill in await one.connector.fills(BTC, 0)] == [10]
            await placed(one, 2)
            await until(lambda: heard.of(OrderSnapshot)[-1].client_order_id == hex_id(2))

    run(work())


def test_an_announced_shutdown_is_told_as_the_end_of_the_stream() -> None:
    async def work() -> None:
        async with rig() as one, listening(one) as heard:
            one.server.announce_shutdown()
            await until(lambda: len(heard.of(Expired)) == 2)
            await until(lambda: len(heard.ups) == 4)

    run(work())


def test_a_dead_listen_key_is_replaced_by_a_new_one() -> None:
    async def work() -> None:
        async with rig(futures=True) as one, listening(one) as heard:
            one.server.expire_listen_key()  # type: ignore[attr-defined]
            await until(lambda: heard.of(Expired))
            await until(lambda: heard.ups.count("private") == 2)
            await placed(one, 1)
            await until(lambda: heard.of(OrderSnapshot))

    run(work())


# --- what only the perpetuals have ----------------------------------------------------------------------


def test_a_batch_is_answered_order_by_order_and_cancelled_as_one() -> None:
    async def work() -> None:
        async with rig(futures=True) as one:
            batch = [order(n, price=600_000 + n) for n in range(1, 5)] + [order(5, price=620_000)]
            answers = await one.connector.place(batch)
            assert [type(answer) for answer in answers] == [Placed] * 4 + [OrderRefused]
            assert answers[4].code == "-5022"  # type: ignore[union-attr]
            ended = await one.connector.cancel([ref(n) for n in range(1, 6)])
            assert [type(answer) for answer in ended] == [OrderSnapshot] * 4 + [OrderRefused]
            assert not one.desk.open_orders()

    run(work())


@pytest.mark.parametrize("kind", ["short_batch", "html_body"])
def test_a_batch_whose_answer_is_not_whole_leaves_open_what_is_missing(kind: str) -> None:
    async def work() -> None:
        faults = ({"kind": kind, "operations": ("place",), "times": (1,)},)
        async with rig(futures=True, faults=faults) as one:
            answers = await one.connector.place([order(n, price=600_000 + n) for n in range(1, 4)])
            known = 2 if kind == "short_batch" else 0
            assert [type(one) for one in answers] == [Placed] * known + [OutcomeUnknown] * (3 - known)
            assert len(one.desk.open_orders()) == 3

    run(work())


def test_the_dead_mans_switch_fires_unless_it_is_armed_again_or_disarmed() -> None:
    async def work() -> None:
        async with rig(futures=True) as one, listening(one) as heard:
            await placed(one, 1)
            await one.connector.arm_dead_man(1)
            await one.connector.arm_dead_man(0)
            assert not one.desk.armed
            await one.connector.arm_dead_man(1)
            await until(lambda: heard.of(OrderSnapshot)[-1].status is SnapshotStatus.CANCELLED)
            assert heard.of(OrderSnapshot)[-1].reason == "CANCELED"
            assert not one.desk.open_orders()

    run(work())


def test_positions_and_reduce_only_orders_are_those_of_the_exchange() -> None:
    async def work() -> None:
        async with rig(futures=True) as one:
            (answer,) = await one.connector.place([order(1, "sell", 611_000, reduce_only=True)])
            assert isinstance(answer, OrderRefused)
            assert answer.code == "-2022"
            await placed(one, 2, side="sell", order_type="market", time_in_force="ioc")
            (held,) = await one.connector.positions()
            assert held.base_units == -10
            await placed(one, 3, side="buy", order_type="market", time_in_force="ioc", reduce_only=True)
            (held,) = await one.connector.positions()
            assert held.base_units == 0

    run(work())


def test_funding_is_told_once_with_its_symbol_although_the_stream_names_none() -> None:
    async def work() -> None:
        rules = ExchangeRules(funding={BTC: (100, SECOND)})
        async with rig(futures=True, rules=rules) as one, listening(one) as heard:
            await placed(one, 1, lots=100, order_type="market", time_in_force="ioc")
            one.server.tick()
            await until(lambda: one.server.tick() or one.desk.funding, 5)
            await until(lambda: heard.of(FundingReport))
            (told,) = heard.of(FundingReport)[:1]
            assert told.symbol == BTC
            assert told.units == one.desk.funding[0].units < 0
            assert told.funding_id.startswith(BTC)

    run(work())


def test_without_keys_the_market_is_there_and_nothing_else() -> None:
    async def work() -> None:
        async with rig() as one:
            public = SpotConnector(one.endpoint, None, time.time_ns)
            await public.open()
            public.list_instruments(one.desk.instruments, {})
            assert (await public.rules([BTC]))[BTC].maker_bps is None
            with pytest.raises((AuthenticationFailed, Unavailable)):
                await public.balances()
            await public.close()

    run(work())
