"""The local order book from Binance's diffs: made-up sequences, and real tapes where they are at hand."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.ports import Gap, Quote, Trade
from domain.instrument import Instrument
from grinder.connectors.binance.decoder import BinanceDecoder
from grinder.connectors.binance.depth import DepthBook
from grinder.connectors.converting import Scales, Unreadable

TAPES = Path(__file__).resolve().parents[3] / "shared" / "data" / "binance_ws_tape"
real = pytest.mark.skipif(not TAPES.is_dir(), reason="no recorded tapes beside the checkout")

BTC = Instrument(
    symbol="BTCUSDT", kind="spot", base="BTC", quote="USDT", tick="0.01", lot="0.00001", tick_size=1,
    price_decimals=2, base_decimals=5, quote_decimals=8, quote_per_tick_base=10, base_per_lot=1,
    min_notional=0, maker_fee_ppm=0, taker_fee_ppm=0,
)  # fmt: skip


def book(*, futures: bool = False) -> DepthBook:
    return DepthBook("BTCUSDT", Scales({"BTCUSDT": BTC}, {}), futures=futures)


def diff(first: int, last: int, bid: str = "100", size: str = "1", **more: Any) -> dict[str, Any]:
    return {"e": "depthUpdate", "U": first, "u": last, "b": [[bid, size]], "a": [], **more}


def snapshot(last: int) -> dict[str, Any]:
    return {"lastUpdateId": last, "bids": [["99", "1"]], "asks": [["101", "1"]]}


def test_diffs_wait_for_the_snapshot_and_are_joined_to_it() -> None:
    one = book()
    for first, last in ((1, 5), (6, 8), (9, 12)):
        assert not one.diff(diff(first, last, str(first)))
    assert one.best() is None
    assert one.snapshot(snapshot(7))
    assert one.bids == {9900: 100_000, 600: 100_000, 900: 100_000}, "the first diff was in the snapshot"
    assert one.best() == (9900, 10100)


def test_a_snapshot_older_than_the_first_diff_is_not_enough() -> None:
    one = book()
    one.diff(diff(10, 12))
    assert not one.snapshot(snapshot(8))
    assert one.needs_snapshot
    assert one.snapshot(snapshot(9))


def test_a_hole_makes_the_book_stale_until_a_fresh_snapshot() -> None:
    one = book()
    assert one.snapshot(snapshot(7))
    assert one.diff(diff(8, 9))
    assert not one.diff(diff(11, 12))
    assert (one.needs_snapshot, one.gaps, one.best()) == (True, 1, None)
    assert not one.diff(diff(13, 14))
    assert one.snapshot(snapshot(11))
    assert one.best() == (10000, 10100)


def test_a_repeated_diff_is_a_hole_too_once_the_book_is_joined() -> None:
    one = book()
    one.snapshot(snapshot(7))
    one.diff(diff(8, 9))
    assert not one.diff(diff(8, 9))


def test_perpetual_diffs_are_chained_by_the_one_before() -> None:
    one = book(futures=True)
    one.diff(diff(5, 9, pu=4))
    one.diff(diff(12, 20, pu=9))
    assert one.snapshot(snapshot(9))
    assert one.diff(diff(31, 40, pu=20))
    assert not one.diff(diff(41, 50, pu=39))


def test_a_level_of_nothing_is_removed() -> None:
    one = book()
    one.snapshot(snapshot(7))
    one.diff(diff(8, 8, "99", "0"))
    assert one.bids == {}


@pytest.mark.parametrize("broken", [{"b": None}, {"b": [["x", "1"]]}, {"b": [["1"]]}, {"u": None}], ids=str)
def test_an_unreadable_diff_is_said_to_be_so(broken: dict[str, Any]) -> None:
    one = book()
    one.snapshot(snapshot(7))
    with pytest.raises(Unreadable):
        one.diff(diff(8, 9) | broken)


# --- real tapes -----------------------------------------------------------------------------------------


def lines(name: str, most: int) -> Iterator[dict[str, Any]]:
    with gzip.open(TAPES / name, "rt") as file:
        for number, line in enumerate(file):
            if number == most:
                return
            yield json.loads(line.split(" ", 1)[1])


@real
@pytest.mark.parametrize(("name", "futures"), [("spot_btcusdt", False), ("usdm_btcusdt", True)])
def test_the_book_of_a_real_tape_agrees_with_the_best_quotes_it_carries(name: str, futures: bool) -> None:
    one = book(futures=futures)
    quotes: dict[int, tuple[int, int]] = {}
    compared = agreed = 0
    for frame in lines(f"{name}_20240808.gz", 12_000):
        if "stream" not in frame:
            one.snapshot(frame)
            continue
        event = frame["data"]
        if frame["stream"].endswith("@bookTicker"):
            scales = Scales({"BTCUSDT": BTC}, {})
            quotes[event["u"]] = (scales.ticks("BTCUSDT", event["b"]), scales.ticks("BTCUSDT", event["a"]))
        elif "@depth" in frame["stream"] and one.diff(event) and event["u"] in quotes:
            compared += 1
            agreed += one.best() == quotes[event["u"]]
    assert not one.needs_snapshot
    assert one.gaps == 0
    assert compared > 10
    assert agreed == compared


@real
@pytest.mark.parametrize(("name", "futures"), [("spot_btcusdt", False), ("usdm_btcusdt", True)])
def test_a_frame_lost_from_a_real_tape_is_noticed_by_the_book_and_by_the_decoder(
    name: str, futures: bool
) -> None:
    one, lost = book(futures=futures), 0
    for frame in lines(f"{name}_20240808.gz", 12_000):
        if "stream" not in frame:
            one.snapshot(frame)
        elif "@depth" in frame["stream"]:
            lost += not one.needs_snapshot
            if lost == 20:
                lost += 1
                continue
            one.diff(frame["data"])
            if one.gaps:
                break
    assert one.gaps == 1
    assert one.best() is None


@real
@pytest.mark.parametrize("name", ["spot_btcusdt", "usdm_btcusdt"])
def test_a_real_tape_decodes_without_a_gap_and_one_lost_trade_is_one(name: str) -> None:
    whole, holed = (BinanceDecoder(Scales({"BTCUSDT": BTC}, {})) for _ in range(2))
    found: dict[type[Any], int] = {}
    trades = gaps = 0
    for frame in lines(f"{name}_20240808.gz", 8_000):
        raw = json.dumps(frame).encode()
        for signal in whole.decode("market", raw, 1):
            found[type(signal)] = found.get(type(signal), 0) + 1
        trades += frame.get("stream", "").endswith("@trade")
        if trades != 50 or not frame["stream"].endswith("@trade"):
            gaps += sum(isinstance(signal, Gap) for signal in holed.decode("market", raw, 1))
    assert found.keys() == {Quote, Trade}
    assert gaps == 1
