"""A decision on market data at the command line: the one `POST /decide` makes of the body it prints."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from refusals import called, check_refused

from grinder.marl.deciding.decision import as_json

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "marl"))

import decisions as told
from marl_series import walk

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"


def candles(path: Path, count: int, minutes: int = 5, seed: int = 4) -> Path:
    """Candles as files have them."""
    bars = walk(count, seed, minutes * 60 * 10**9)
    lines = ["timestamp,open,high,low,close,volume"]
    for at in range(count):
        # rounded outwards, so that every price stays between low and high
        prices = (bars.open[at], bars.high[at] + 1e-3, bars.low[at] - 1e-3, bars.close[at])
        row = ",".join(f"{price:.4f}" for price in prices)
        lines.append(f"{bars.start_ns[at] // 10**6},{row},{bars.volume[at]:.3f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def trades(path: Path, days: int) -> Path:
    """Trades every half minute."""
    bars = walk(days * 2880, 5, 30 * 10**9)
    lines = ["id,price,qty,quote_qty,time,is_buyer_maker"]
    for at, (ts, price) in enumerate(zip(bars.start_ns.tolist(), bars.close.tolist(), strict=True), 1):
        lines.append(f"{at},{price:.4f},1.5,1,{ts // 10**6},true")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return candles(tmp_path_factory.mktemp("decide") / "candles.csv", 4400)


def decided(*arguments: object) -> dict[str, Any]:
    ended = called("decide", *map(str, arguments), "--symbol", "BTC/USDT", "--json")
    assert ended.exit_code == 0, (ended.output, ended.exception)
    found: dict[str, Any] = orjson.loads(ended.stdout)
    return found


def test_the_body_it_prints_is_decided_on_as_it_decided(month: Path) -> None:
    found = decided(month)
    printed = called("decide", str(month), "--symbol", "BTC/USDT", "--body")
    body = orjson.loads(printed.stdout)
    assert body["symbol"] == "BTCUSDT", "as a run spells it"
    assert as_json(told.decide_by_rules(body["observation"])) == found["decision"]
    assert found["warm"]
    assert found["not_finite"] == 0
    assert sum(found["regime"]["probabilities"].values()) == pytest.approx(1.0)
    assert decided(month) == found, "twice the same"


def test_a_person_is_shown_action_votes_reasons_regime_and_what_was_assumed(month: Path) -> None:
    ended = called("decide", str(month), "--symbol", "BTCUSDT", "--spread-bps", "2.5")
    assert ended.exit_code == 0
    shown = " ".join(ended.stdout.split())
    figures = ("action", "size", "stop", "target", "confidence", "regime", "synergy", "strategic", "tactical")
    for part in (*figures, "risk", "model.none", "nothing is held", "2.5 basis points"):
        assert part in shown, part
    assert any(action in shown for action in ("LONG", "SHORT", "HOLD", "BLOCKED"))


def test_a_model_decides_where_it_can_and_else_the_rules_say_why(month: Path, tmp_path: Path) -> None:
    good = told.write_model(tmp_path / "good")
    assert decided(month, "--model", good)["decision"]["policy"] == "2024-01"
    missing = decided(month, "--model", tmp_path / "nowhere")["decision"]
    assert (missing["policy"], missing["fallback"]["code"]) == ("rules", "model.missing")


def test_trades_are_made_into_bars(tmp_path: Path) -> None:
    found = decided(trades(tmp_path / "trades.csv", 3))
    assert found["bars"] == 3 * 288 - 1, "the last one is still open"
    assert not found["warm"]


def test_candles_of_a_minute_are_joined(tmp_path: Path) -> None:
    assert decided(candles(tmp_path / "minutes.csv", 3000, minutes=1))["bars"] == 600


def test_too_few_bars_are_refused_with_what_is_there_and_what_is_needed(tmp_path: Path) -> None:
    short = candles(tmp_path / "short.csv", 575)
    ended = called("decide", str(short), "--symbol", "BTCUSDT", "--json")
    check_refused(ended, 2, "decide.too_few", "short.csv", "575 of 576", "2 days")
    assert decided(candles(tmp_path / "enough.csv", 576))["bars"] == 576


def test_what_makes_no_five_minute_bars_is_refused(tmp_path: Path) -> None:
    hours = candles(tmp_path / "hours.csv", 700, minutes=60)
    ended = called("decide", str(hours), "--symbol", "BTCUSDT", "--json")
    check_refused(ended, 2, "decide.bars", "hours.csv", "bars", "candles of 5 minutes")


def test_a_file_that_does_not_say_its_symbol_takes_a_name(month: Path) -> None:
    ended = called("decide", str(month), "--json")
    check_refused(ended, 2, "data.no_symbol", "candles.csv", "", "--symbol")
    assert called("decide", f"ETHUSDT={month}", "--json").exit_code == 0


def test_a_spread_out_of_its_range_is_refused(month: Path) -> None:
    ended = called("decide", str(month), "--symbol", "BTCUSDT", "--spread-bps", "-1", "--json")
    assert ended.exit_code == 2
    assert orjson.loads(ended.stdout)["error"]["code"] == "observation.out_of_range"


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["candles_5m/ETH_BTC-5m.feather", "trades/XRP_ETH-trades.feather"])
def test_recorded_markets_are_decided_on(name: str) -> None:
    if not (REAL / name).is_file():
        pytest.skip("no recorded market data beside the checkout")
    found = decided(REAL / name)
    assert found["decision"]["action"] in ("LONG", "SHORT", "HOLD", "BLOCKED")
    assert found["decision"]["reasons"]
