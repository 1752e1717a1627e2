"""An exchange's text to integers and back: exact, or unreadable."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.inputs import FillReport
from domain.instrument import Instrument
from grinder.connectors.converting import Scales, Unreadable, amount, read_json
from grinder.secrets import Credentials

BTC = Instrument(
    symbol="BTCUSDT",
    kind="spot",
    base="BTC",
    quote="USDT",
    tick="0.5",
    lot="0.001",
    tick_size=5,
    price_decimals=1,
    base_decimals=8,
    quote_decimals=9,
    quote_per_tick_base=5,
    base_per_lot=100_000,
    min_notional=0,
    maker_fee_ppm=100,
    taker_fee_ppm=200,
)
SCALES = Scales({"BTCUSDT": BTC}, {"BNB": 600 * 10**9})


def fill(**changes: object) -> FillReport:
    terms: dict[str, object] = {
        "symbol": "BTCUSDT",
        "side": "buy",
        "price": "50000.5",
        "quantity": "0.002",
        "fee": "0.01",
        "fee_asset": "USDT",
        "maker": True,
        "client_order_id": "a" * 32,
        "exchange_order_id": "17",
        "fill_id": "x1",
    }
    return SCALES.fill(**(terms | changes))  # type: ignore[arg-type]


def test_prices_and_quantities_are_whole_steps() -> None:
    assert SCALES.ticks("BTCUSDT", "50000.50") == 100_001
    assert SCALES.lots("BTCUSDT", "0.0020") == 2
    assert SCALES.whole_lots("BTCUSDT", "0.0029") == 2
    assert SCALES.base_units("BTCUSDT", "-0.001") == -100_000
    assert SCALES.price_text("BTCUSDT", 100_001) == "50000.5"
    assert SCALES.price_text("BTCUSDT", 100_000) == "50000.0"
    assert SCALES.quantity_text("BTCUSDT", 2) == "0.002"
    assert SCALES.quantity_text("BTCUSDT", 1000) == "1"


@given(st.integers(0, 10**12))
@settings(deadline=None, max_examples=100)
def test_what_is_written_reads_back(number: int) -> None:
    assert SCALES.ticks("BTCUSDT", SCALES.price_text("BTCUSDT", number)) == number
    assert SCALES.lots("BTCUSDT", SCALES.quantity_text("BTCUSDT", number)) == number


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "null",
        "NaN",
        "Infinity",
        "-1",
        "50000.3",
        "1e999999999",
        "1" * 41,
        1.5,
        True,
        [],
        {},
        "1_0",
        "٣",
    ],
)
def test_what_is_no_price_is_unreadable(text: object) -> None:
    with pytest.raises(Unreadable):
        SCALES.ticks("BTCUSDT", text)


def test_digits_that_arithmetic_would_round_away_are_unreadable() -> None:
    with pytest.raises(Unreadable):
        SCALES.ticks("BTCUSDT", "1.5" + "0" * 27 + "1")


def test_a_symbol_that_is_not_listed_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="ETHUSDT"):
        SCALES.ticks("ETHUSDT", "1")


@pytest.mark.parametrize(
    ("fee", "asset", "units", "worth"),
    [
        ("0.01", "USDT", 10_000_000, 10_000_000),
        ("0.0000000001", "USDT", 1, 1),  # a charge is rounded up
        ("-0.0000000019", "USDT", -1, -1),  # a rebate down
        ("0.00000002", "BTC", 2, 2 * 100_001 * 5),
        ("0.000000021", "BTC", 3, 3 * 100_001 * 5),
        ("0.00001", "BNB", 1000, 6_000_000),
        ("0", "", 0, 0),
        ("0", "XYZ", 0, 0),
    ],
)
def test_a_fee_is_exact_or_rounded_against_us(fee: str, asset: str, units: int, worth: int) -> None:
    report = fill(fee=fee, fee_asset=asset)
    assert (report.fee_units, report.fee_value) == (units, worth)
    assert report.fee_asset == (asset or "USDT")


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity": "0"},
        {"quantity": "-0.002"},
        {"price": "0"},
        {"price": None},
        {"side": "Buy"},
        {"fee": None},
        {"fee": "NaN"},
    ],
)
def test_an_execution_that_makes_no_sense_is_unreadable(changes: dict[str, object]) -> None:
    with pytest.raises(Unreadable):
        fill(**changes)


def test_a_fee_in_an_asset_without_a_price_is_booked_and_valued_at_the_instruments_rate() -> None:
    report = fill(fee="0.5", fee_asset="XYZ")
    assert report.fee_units == 50_000_000
    assert report.fee_value == 10_000_100  # 100.001 USDT at 1 bp


def test_an_execution_without_an_id_gets_the_same_one_each_time() -> None:
    first, again, later = fill(fill_id="", at="1"), fill(fill_id="", at="1"), fill(fill_id="", at="2")
    assert first.fill_id == again.fill_id != later.fill_id
    assert first.fill_id.startswith("synthetic-")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>502</html>", b'{"a": 1', b'{"a": NaN}', b"[" * 100_000, b"\xff\xfe", b'{"a": -Infinity}'],
)
def test_a_body_that_is_no_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(body)


def test_json_keeps_every_digit() -> None:
    assert read_json(b'{"price": 0.10000000000000000001}') == {"price": "0.10000000000000000001"}
    assert amount("0.1") + amount(2) == Decimal("2.1")


def test_secrets_are_not_shown() -> None:
    shown = repr(Credentials("key", "hidden", "phrase"))
    assert "hidden" not in shown
    assert "phrase" not in shown
    assert attrs.fields(Credentials).secret.repr is False
