"""What the ledger's records show: differences in whole units, duplicates and order answers apart."""

from __future__ import annotations

from actors.records import GENESIS, LedgerRow
from domain.codec import encode
from domain.inputs import ReconciliationReport
from domain.instrument import Instrument, InstrumentListed
from domain.order_events import DifferenceFound
from domain.record import Record
from grinder.observation.metrics import Metrics
from grinder.observation.records import LedgerMetrics

BTC = Instrument(
    symbol="BTCUSDT",
    kind="spot",
    base="BTC",
    quote="USDT",
    tick="0.1",
    lot="0.001",
    tick_size=1,
    price_decimals=1,
    base_decimals=3,
    quote_decimals=8,
    quote_per_tick_base=10_000,
    base_per_lot=1,
    min_notional=0,
    maker_fee_ppm=0,
    taker_fee_ppm=0,
)


def row(position: int, event: Record) -> LedgerRow:
    return LedgerRow(position, "account", position, event.TOPIC, encode(event), position, position, GENESIS)


def compared() -> ReconciliationReport:
    return ReconciliationReport(
        cause="operator",
        open_orders=0,
        foreign_orders=(),
        balances=(("BTC", 1_500), ("USDT", 5)),
        positions=(),
        in_flight=False,
    )


def drift(metrics: Metrics, subject: str) -> float | None:
    return metrics.registry.get_sample_value("grinder_drift", {"subject": subject})


def test_a_difference_is_shown_in_whole_units_until_a_comparison_finds_none() -> None:
    metrics = Metrics()
    records = LedgerMetrics(metrics)
    found = DifferenceFound(
        cause="operator", subject="BTC", symbols=("BTCUSDT",), books=1_000, exchange=1_500, drift_ppm=1
    )
    records.rows([row(1, InstrumentListed(instrument=BTC)), row(2, compared()), row(3, found)])
    assert drift(metrics, "BTC") == 0.5
    assert drift(metrics, "USDT") == 0.0
    records.rows([row(4, compared())])
    assert drift(metrics, "BTC") == 0.0


def test_placing_an_order_and_the_whole_way_are_figures_of_their_own() -> None:
    metrics = Metrics()
    metrics.answered(3_000_000)
    metrics.stage("order_placement", 1_000_000)

    def taken(stage: str) -> float | None:
        return metrics.registry.get_sample_value("grinder_stage_latency_ms_sum", {"stage": stage})

    assert (taken("total"), taken("order_placement")) == (3.0, 1.0)
