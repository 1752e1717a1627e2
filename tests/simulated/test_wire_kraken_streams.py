"""What the streams of Kraken tell over real sockets, and how a book that went wrong comes anew."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import pytest
from kraken_world import client_id, order, placed, quick_streams, ref, run, world
from toys import BTC, plan

from actors.ports import Gap, OrderSnapshot, Quote, SnapshotStatus, Trade
from domain.inputs import FillReport


def test_the_stream_tells_quotes_trades_orders_and_fills() -> None:
    async def work() -> None:
        async with world() as here, here.listening() as told:
            await told.until(lambda: bool(told.of(Quote)))
            answer = await placed(here, 1, "buy", 609_000, 30)
            here.quoted(608_990, 609_010)
            here.traded(609_000, 40)
            await told.until(
                lambda: any(one.status is SnapshotStatus.FILLED for one in told.of(OrderSnapshot))
            )
            [fill] = told.of(FillReport)
            assert (fill.client_order_id, fill.exchange_order_id) == (client_id(1), answer.exchange_order_id)
            assert (fill.price_ticks, fill.lots, fill.side, fill.liquidity) == (609_000, 30, "buy", "maker")
            value = 609_000 * 30 * 10**4
            assert (fill.fee_asset, fill.fee_units, fill.fee_value) == (
                "USDT",
                value // 10_000,
                value // 10_000,
            )
            states = [one.status for one in told.of(OrderSnapshot)]
            assert states[:2] == [SnapshotStatus.PENDING, SnapshotStatus.WORKING]
            assert told.of(OrderSnapshot)[-1].filled_lots == 30
            [trade] = told.of(Trade)
            assert (trade.price_ticks, trade.lots, trade.buyer_took) == (609_000, 40, False)
            assert [(one.bid_ticks, one.ask_ticks) for one in told.of(Quote)][-1] == (608_990, 609_010)
            [same] = await here.connector.fills(BTC, 0)
            assert same == fill
            assert not told.of(Gap)

    run(work)


def test_a_cancel_on_the_stream_names_the_order_it_ended() -> None:
    async def work() -> None:
        async with world() as here, here.listening() as told:
            await placed(here, 1)
            await here.connector.cancel([ref(1)])
            await told.until(
                lambda: any(one.status is SnapshotStatus.CANCELLED for one in told.of(OrderSnapshot))
            )
            ended = told.of(OrderSnapshot)[-1]
            assert (ended.client_order_id, ended.symbol, ended.side) == (client_id(1), BTC, "buy")
            assert (ended.lots, ended.filled_lots, ended.reason) == (10, 0, "User requested")

    run(work)


def test_the_private_stream_begins_with_what_is_open_and_what_was_filled() -> None:
    async def work() -> None:
        async with world() as here:
            await placed(here, 1, "buy", 609_000, 30)
            here.desk.place(order(2, "buy", 610_010, 5, time_in_force="ioc"), time.time_ns())
            async with here.listening() as told:
                await told.until(lambda: bool(told.of(FillReport)))
                assert [one.client_order_id for one in told.of(OrderSnapshot)] == [client_id(1)]
                assert [one.client_order_id for one in told.of(FillReport)] == [client_id(2)]

    run(work)


def test_a_wrong_checksum_is_a_gap_and_brings_a_fresh_book() -> None:
    async def work() -> None:
        faults = plan({"kind": "bad_checksum", "operations": ("market",), "times": (2, 4)})
        with quick_streams():
            async with world(faults) as here, here.listening() as told:
                here.quoted(609_000, 609_020)
                here.quoted(609_100, 609_120)  # told with a wrong checksum
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_100)
                [gap] = told.of(Gap)
                assert "checksum" in gap.detail
                snapshots = [one for _, one, _ in told.frames if '"type":"snapshot"' in str(one)]
                assert sum('"channel":"book"' in str(one) for one in snapshots) == 2
                here.quoted(609_200, 609_220)
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_200)
                here.quoted(609_300, 609_320)  # and again
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_300)
                assert len(told.of(Gap)) == 2
                assert told.ups.count("public") == 3  # it is told that all is well again
                assert not told.downs  # the book was subscribed anew, nothing else

    run(work)


def test_a_book_that_does_not_come_anew_renews_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        faults = plan({"kind": "bad_checksum", "operations": ("market",), "times": (1,)})
        with quick_streams():
            async with world(faults) as here:
                talk = here.server._channels.talk

                async def deaf(socket: Any, text: str) -> None:
                    if len(socket.topics) < 2:  # deaf from its first two subscriptions on
                        await talk(socket, text)

                here.server._channels.talk = deaf  # type: ignore[method-assign]
                async with here.listening() as told:
                    await told.until(lambda: bool(told.of(Quote)))
                    here.quoted(609_000, 609_020)
                    await told.until(lambda: told.ups.count("public") == 2)
                    assert any("no snapshot" in one for one in told.downs)
                    await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_000)

    monkeypatch.setattr("grinder.connectors.kraken.renewing.SNAPSHOT_S", 0.05)
    run(work)


def test_a_message_left_out_shows_in_the_next_checksum() -> None:
    async def work() -> None:
        faults = plan({"kind": "sequence_gap", "operations": ("market",), "times": (2,)})
        with quick_streams():
            async with world(faults) as here, here.listening() as told:
                here.quoted(609_000, 609_020)
                here.quoted(609_100, 609_120, 700)  # never sent
                here.quoted(609_102, 609_122, 800)
                await told.until(lambda: told.of(Quote)[-1].bid_ticks == 609_102)
                assert "checksum" in told.of(Gap)[0].detail

    run(work)


def test_a_thousand_moves_of_the_market_never_break_the_copy_and_decode_again_from_the_tape() -> None:
    async def work() -> None:
        chance = random.Random(7)
        async with world() as here, here.listening() as told:
            await placed(here, 1, "buy", 600_000, 30)
            bid = 609_990
            for _ in range(1_000):
                bid += chance.choice((-40, -3, -1, 0, 1, 2, 5, 30))
                here.quoted(bid, bid + chance.randrange(1, 25), chance.randrange(1, 9_000))
                if chance.randrange(5) == 0:
                    here.traded(bid, chance.randrange(1, 50))
                if chance.randrange(20) == 0:
                    await asyncio.sleep(0)
            here.traded(600_000, 10)
            await told.until(lambda: told.of(Quote)[-1].bid_ticks == bid)
            await told.until(lambda: bool(told.of(FillReport)))
            assert not told.of(Gap)
            assert len(told.of(Quote)) > 900
            decoder = here.connector.decoder()
            again = [signal for frame in told.frames for signal in decoder.decode(*frame)]
            assert again == told.signals

    run(work)


def test_a_private_stream_that_is_cut_comes_back_and_tells_what_is_open() -> None:
    async def work() -> None:
        with quick_streams():
            async with world() as here, here.listening() as told:
                await placed(here, 1)
                here.server.hang_up(private=True)
                here.desk.place(order(2, "buy", 610_010, 5, time_in_force="ioc"), time.time_ns())
                await told.until(lambda: told.ups.count("private") == 2)
                await told.until(lambda: bool(told.of(FillReport)))
                assert told.of(OrderSnapshot)[-1].client_order_id == client_id(1)

    run(work)
