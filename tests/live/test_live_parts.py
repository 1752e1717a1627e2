"""Feeds, terms, disk, restart: what a live run is made of, each on its own."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest
from live_runs import LEDGER_ID, SETTINGS, opened_core, opening_commands

from actors.core import Core
from actors.journal import MemoryJournal
from actors.ports import Gap, InstrumentRules, Quote, Signal, Trade
from domain.inputs import OrderAcceptedReport, PauseTrading, ResumeTrading, TickReport
from domain.record import Record
from grinder.config import config_as_dict, load_config
from grinder.errors import ConfigError, EnvironmentFault, LedgerError, UserError
from grinder.ledger.recorder import open_application
from grinder.live.clock import FastLoop, LoopClock
from grinder.live.disk import MB, RESERVE_MB, DiskWatch
from grinder.live.feeds import FeedName, QuotesToRows, RowFeed, generated, parse_feed
from grinder.live.places import address_file, read_json, socket_path, write_private
from grinder.live.process import KeyLock
from grinder.live.rebuild import Diverged, rebuild
from grinder.live.spec import PAPER, RunSpec, prepare, read_spec
from grinder.live.terms import under_rules, with_balances
from grinder.run_folder import RunFolder
from grinder.simulated.restoring import restore
from replay.exchange.desk import Desk
from replay.exchange.rolling import MarketRow
from replay.exchange.rules import ExchangeRules

# --- feeds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "feed"),
    [
        ("exchange", FeedName("exchange")),
        ("generated:7@60", FeedName("generated", "7", 60.0)),
        ("generated:7", FeedName("generated", "7", 1.0)),
        ("tape:a@b/c@2.5x", FeedName("tape", "a@b/c", 2.5)),
    ],
)
def test_a_feed_is_read_as_it_is_written(text: str, feed: FeedName) -> None:
    assert parse_feed(text) == feed


@pytest.mark.parametrize(
    "text", ["", "tape:", "generated:x@2", "generated:7@0", "generated:7@nan", "tape:x@-1"]
)
def test_a_feed_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserError) as refused:
        parse_feed(text)
    assert refused.value.code == "usage.feed"
    assert "generated:7@60" in refused.value.fix


def test_rows_come_in_order_at_their_time_and_only_those_after_the_last_run() -> None:
    config = load_config([], {}, SETTINGS)
    playback = generated(parse_feed("generated:3@100000"), ("BTCUSDT",), config.instruments, rows=400)
    ticks = playback.markets["BTCUSDT"]
    after_ns = int(ticks.ts[99])
    seen: list[tuple[int, int]] = []

    async def main() -> None:
        clock = LoopClock(asyncio.get_running_loop().time, after_ns)
        feed = RowFeed(playback, clock, lambda symbol, row: seen.append((row.ts_ns, clock())), after_ns)
        await feed.run()

    with asyncio.Runner(loop_factory=lambda: FastLoop(100_000)) as runner:
        runner.run(main())
    assert [ts_ns for ts_ns, _ in seen] == ticks.ts[100:].tolist()
    assert all(now_ns >= ts_ns for ts_ns, now_ns in seen), "none came early"


class Heard:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def frame(self, stream: str, frame: bytes, received_ns: int) -> None:
        self.told.append(("frame", stream, frame, received_ns))

    def signal(self, stream: str, signal: Signal) -> None:
        self.told.append(("signal", stream, signal))

    def frame_end(self, stream: str) -> None: ...

    def stream_up(self, stream: str) -> None:
        self.told.append(("up", stream))

    def stream_down(self, stream: str, reason: str) -> None:
        self.told.append(("down", stream, reason))


def quote(bid: int, ask: int) -> Quote:
    return Quote(
        symbol="BTCUSDT", bid_ticks=bid, ask_ticks=ask, bid_lots=5, ask_lots=6, exchange_ns=0, received_ns=0
    )


def test_an_exchange_s_quotes_and_trades_become_rows_of_a_market() -> None:
    rows: list[MarketRow] = []
    onward = Heard()
    feed = QuotesToRows(lambda symbol, row: rows.append(row), lambda: 9, onward)
    trade = Trade(
        symbol="BTCUSDT", trade_id="1", price_ticks=99, lots=3, buyer_took=False, exchange_ns=0, received_ns=0
    )
    feed.signal("m", trade)
    assert rows == [], "before there is a book nothing can be filled"
    feed.signal("m", quote(100, 103))
    feed.signal("m", trade)
    feed.signal("m", Gap(stream="m", detail="sequence"))
    feed.frame("m", b"raw", 8)
    feed.stream_up("m")
    feed.stream_down("m", "gone")
    assert [(one.low, one.high, one.qty, one.side) for one in rows] == [(103, 100, 0, 0), (99, 99, 3, -1)]
    assert [(one.bid, one.ask, one.bid_qty, one.ask_qty) for one in rows] == [(100, 103, 5, 6)] * 2
    assert onward.told == [
        ("signal", "m", trade),
        ("signal", "m", quote(100, 103)),
        ("signal", "m", trade),
        ("signal", "m", Gap(stream="m", detail="sequence")),
        ("frame", "m", b"raw", 8),
        ("up", "m"),
        ("down", "m", "gone"),
    ]


# --- the exchange's terms ------------------------------------------------------------------------------

RULES = InstrumentRules(
    symbol="BTCUSDT",
    native="BTC-USDT",
    kind="spot",
    base="BTC",
    quote="USDT",
    tick=Decimal("0.1"),
    lot=Decimal("0.001"),
    min_notional=Decimal(10),
    maker_bps=Decimal(8),
    taker_bps=Decimal(10),
)


def test_steps_least_values_and_fees_are_the_exchange_s() -> None:
    settings = {**SETTINGS, "instruments": {"BTCUSDT": {"kind": "spot"}}}
    config, scales = under_rules(load_config([], {}, settings), {"BTCUSDT": RULES})
    assert scales == {"BTCUSDT": (Decimal("0.1"), Decimal("0.001"))}
    assert config.instruments["BTCUSDT"].min_notional == 10
    assert (config.account.fees.maker_bps, config.account.fees.taker_bps) == (8, 10)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"tick": Decimal("0.01")}, "exchange.other_rules"),
        ({"lot": Decimal("0.01")}, "exchange.other_rules"),
        ({"kind": "linear"}, "exchange.other_rules"),
        ({"quote": "USDC"}, "exchange.other_rules"),
        ({"trading": False}, "exchange.not_trading"),
    ],
)
def test_a_configuration_that_says_otherwise_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(ConfigError) as refused:
        under_rules(load_config([], {}, SETTINGS), {"BTCUSDT": attrs.evolve(RULES, **change)})
    assert refused.value.code == code


def test_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(ConfigError) as refused:
        under_rules(load_config([], {}, SETTINGS), {})
    assert refused.value.code == "exchange.unknown_symbol"


def test_books_open_with_what_the_account_holds_and_capital_above_it_is_refused() -> None:
    config = load_config([], {}, SETTINGS)
    held = {"USDT": Decimal("12345.123456789"), "BTC": Decimal("0.5"), "DOGE": Decimal(7)}
    found = with_balances(config, held).account
    assert found.balance == Decimal("12345.12345678"), "rounded down to the scale of money"
    assert found.assets == {"BTC": Decimal("0.5")}, "assets the run knows, and no others"
    with pytest.raises(ConfigError) as refused:
        with_balances(config, {"USDT": Decimal("9999.99")})
    assert refused.value.code == "exchange.capital_above_balance"
    assert "9999.99" in refused.value.fix


# --- the folder ----------------------------------------------------------------------------------------


def spec(**changes: Any) -> RunSpec:
    config = load_config([], {}, {**SETTINGS, **changes.pop("sections", {})})
    return RunSpec(mode=PAPER, ledger_id="", config=config, feed="generated:7@60", **changes)


def test_a_run_keeps_its_ledger_id_and_may_change_how_it_is_watched(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    first = prepare(folder, spec())
    assert len(first.ledger_id) == 8
    again = prepare(folder, spec(sections={"live": {"reconcile_seconds": 30}}))
    assert again.ledger_id == first.ledger_id
    found = read_spec(folder)
    assert config_as_dict(found.config) == config_as_dict(again.config)
    assert prepare(RunFolder(tmp_path / "other"), spec()).ledger_id != first.ledger_id


@pytest.mark.parametrize("change", [{"sections": {"risk": {}}}, {"seed": 3}, {"rows": 9}])
def test_what_the_books_rest_on_cannot_change_under_a_ledger(tmp_path: Path, change: dict[str, Any]) -> None:
    folder = RunFolder(tmp_path)
    prepare(folder, spec())
    with pytest.raises(LedgerError) as refused:
        prepare(folder, spec(**change))
    assert refused.value.code == "ledger.other_run"


def test_the_socket_s_path_stays_short_however_deep_the_run_lies(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    assert socket_path(tmp_path / "r").parent == (tmp_path / "r").resolve()
    assert len(str(socket_path(deep))) < 108
    assert socket_path(deep) == socket_path(deep)
    assert socket_path(deep).parent.stat().st_mode & 0o077 == 0


def test_a_private_file_is_private_and_a_torn_one_is_empty(tmp_path: Path) -> None:
    path = address_file(tmp_path)
    write_private(path, {"socket": "x"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_json(path) == {"socket": "x"}
    path.write_text('{"socket"')
    assert read_json(path) == {}


def test_one_key_is_used_by_one_run_at_a_time() -> None:
    with (
        KeyLock("okx", "test-key-of-this-test"),
        KeyLock("okx", "another-key-of-this-test"),
        pytest.raises(EnvironmentFault) as refused,
        KeyLock("okx", "test-key-of-this-test"),
    ):
        raise AssertionError("both hold the key")
    assert refused.value.code == "ledger.locked"


# --- disk ----------------------------------------------------------------------------------------------


def test_little_room_pauses_gives_up_the_reserve_and_goes_on_by_itself(tmp_path: Path) -> None:
    room = [1000 * MB]
    learned: list[Record] = []
    watch = DiskWatch(tmp_path, 100, learned.append, room=lambda path: room[0])
    watch.keep_reserve()
    reserve = tmp_path / "reserve.bin"
    assert reserve.stat().st_size == RESERVE_MB * MB
    watch.look()
    assert learned == []
    room[0] = 99 * MB
    watch.look()
    watch.look()
    assert learned == [PauseTrading(reason="disk_full", symbol="", operator="disk")]
    assert not reserve.exists()
    room[0] = 110 * MB
    watch.look()
    assert len(learned) == 1, "not before the reserve fits again"
    room[0] = (100 + RESERVE_MB + 1) * MB
    watch.look()
    assert learned[1:] == [ResumeTrading(reason="disk_full", symbol="", operator="disk")]
    assert reserve.exists()


def test_a_restart_on_a_full_disk_remembers_that_it_paused(tmp_path: Path) -> None:
    learned: list[Record] = []
    watch = DiskWatch(tmp_path, 100, learned.append, paused=True, room=lambda path: 1000 * MB)
    watch.look()
    assert learned == [ResumeTrading(reason="disk_full", symbol="", operator="disk")]


# --- restart -------------------------------------------------------------------------------------------


def ledger_with(path: Path, reports: list[Record]) -> Core:
    core = Core(MemoryJournal())
    for now_ns, report in enumerate(reports, 1):
        core.learn(report, now_ns)
    application = open_application(path, create=True)
    recorder = application.ledger_recorder
    assert isinstance(core.journal, MemoryJournal)
    recorder.append_rows(core.journal.rows, recorder.take_epoch())
    application.close()
    return core


def test_a_core_is_rebuilt_as_its_ledger_left_it(tmp_path: Path) -> None:
    reports = [*opening_commands(), TickReport(symbol="BTCUSDT", price_ticks=610_000)]
    before = ledger_with(tmp_path / "ledger.db", reports)
    found = rebuild(tmp_path / "ledger.db")
    assert (found.records, found.last_ns) == (before.position, len(reports))
    assert found.core.chain == before.chain
    assert {name: found.core.state_of(name) for name in before.names()} == {
        name: before.state_of(name) for name in before.names()
    }


def test_a_ledger_this_program_would_have_written_otherwise_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger_with(tmp_path / "ledger.db", list(opening_commands()))
    monkeypatch.setattr("domain.clock.decide", lambda state, now_ns, message: ())
    with pytest.raises(Diverged) as refused:
        rebuild(tmp_path / "ledger.db")
    assert refused.value.status == 3


def test_a_paper_exchange_is_restored_from_the_books() -> None:
    core = opened_core("none")
    core.learn(TickReport(symbol="BTCUSDT", price_ticks=610_000), 2)
    books = core.state_of("account")
    submitted = list(books.orders)
    assert len(submitted) > 3
    for number, order_id in enumerate(submitted[1:], 40):
        core.learn(OrderAcceptedReport(client_order_id=order_id, exchange_order_id=str(number)), 3)
    books = core.state_of("account")
    desk = Desk(dict(books.instruments), {"USDT": 10**20}, ExchangeRules())
    restore(desk, books.orders, {"USDT": 10**20}, books.positions, 5)
    open_ids = {order.client_id for order in desk.open_orders()}
    assert open_ids == set(submitted[1:]), "one that was never acknowledged died with its exchange"
    assert {order.exchange_id for order in desk.open_orders()} == {
        str(number) for number, _ in enumerate(submitted[1:], 40)
    }
    assert all(order_id.startswith(LEDGER_ID) for order_id in open_ids)
