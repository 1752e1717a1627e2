"""Metrics: every one of them is scraped, as Prometheus reads it, and counting is cheap."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import aiohttp
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from small_ledgers import SETTINGS, run_into, trades_file

from actors.core import Core
from actors.journal import MemoryJournal
from domain.codec import decode
from domain.order_events import OrderAccepted, OrderSubmitted, OrderTerms
from grinder.errors import EnvironmentFault
from grinder.ledger.reading import connect, rows
from grinder.observation.alerts import Alert
from grinder.observation.books import show_books
from grinder.observation.budgets import BUDGETS, MS, Budgets
from grinder.observation.health import Health
from grinder.observation.metrics import _COUNTERS, _GAUGES, Metrics
from grinder.observation.records import LedgerMetrics
from grinder.observation.server import ObservationServer

GROUPS = {
    "business": ["pnl_total", "round_trips_total", "round_trip_pnl_bps", "fill_rate"],
    "system": [
        "order_latency_ms", "decision_latency_ms", "stage_latency_ms", "errors_total", "event_bus_depth",
    ],
    "data": ["staleness_ms", "gaps_total", "ws_connected", "poll_latency_ms"],
    "risk": [
        "drawdown_pct", "inventory_notional", "risk_halted", "circuit_state", "kill_switch",
        "margin_utilisation", "funding_paid",
    ],
    "grid": ["grid_step_bps", "grid_width_bps", "grid_center", "reason_code_total"],
    "orders": [
        "orders_submitted_total", "orders_rejected_total", "orders_cancelled_total", "orders_filled_total",
        "fills_total", "fill_pnl", "stuck_orders", "dedup_duplicates_total", "dedup_gaps_total",
    ],
    "position": ["position", "realized_pnl", "drift", "drift_alerts_total", "reconciliations_total"],
    "ledger": ["ledger_append_ms", "ledger_seq", "verify_failures_total", "ledger_writes_total"],
}  # fmt: skip


def families(text: bytes) -> dict[str, object]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def test_every_group_of_the_specification_is_there() -> None:
    found = families(Metrics().text())
    names = {name.removeprefix("grinder_") for name in found}
    for group, wanted in GROUPS.items():
        missing = [name for name in wanted if name.removesuffix("_total") not in names and name not in names]
        assert not missing, f"{group}: {missing}"
    assert all(name.startswith("grinder_") for name in found)


def test_every_metric_is_documented() -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "observation.md").read_text(encoding="utf-8")
    names = [name for name, _, _ in _GAUGES] + [f"{name}_total" for name, _, _ in _COUNTERS]
    names += [name for name in families(Metrics().text()) if "process" not in name]
    missing = [name for name in names if f"`{name.removeprefix('grinder_')}`" not in text]
    missing = [name for name in missing if f"`{name.removeprefix('grinder_')}_total`" not in text]
    assert not missing


def test_dashboard_and_rules_name_only_metrics_there_are() -> None:
    folder = Path(__file__).resolve().parents[2] / "docs" / "grafana"
    dashboard = json.loads((folder / "grinder.json").read_text(encoding="utf-8"))
    rules = yaml.safe_load((folder / "rules.yml").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    there = {name for name, _, _ in _GAUGES} | {f"{name}_total" for name, _, _ in _COUNTERS}
    for family in families(Metrics().text()):
        there |= {family.removeprefix("grinder_"), family.removeprefix("grinder_") + "_bucket"}
    named = {name for expression in asked for name in re.findall(r"grinder_(\w+)", expression)}
    assert len(named) > 30
    assert named <= there


def test_a_counter_brings_no_series_of_its_beginning() -> None:
    assert b"_created" not in Metrics().text()


def test_a_counter_can_follow_a_total_that_somebody_else_counts() -> None:
    metrics = Metrics()
    for total in (3, 3, 10):
        metrics.follow("quotes", total)
    assert samples(metrics.text())["grinder_quotes_total", ()] == 10


def test_an_order_is_timed_from_its_cause_to_its_answer_and_is_stuck_without_one() -> None:
    metrics = Metrics()
    followed = LedgerMetrics(metrics)
    core = Core(journal := MemoryJournal())
    terms = OrderTerms(
        client_order_id="0" * 32,
        symbol="BTCUSDT",
        side="buy",
        order_type="limit",
        time_in_force="post_only",
        reduce_only=False,
        price_ticks=1,
        lots=1,
    )
    core.now_ns = 10**9
    core.write("account", OrderSubmitted(terms=terms, reserve_asset="USDT", reserved=1), 0)
    core.write_down()
    followed.rows(journal.rows)
    followed.show(10**9 + 10 * 10**9)
    assert samples(metrics.text())["grinder_stuck_orders", ()] == 0
    followed.show(10**9 + 10 * 10**9 + 1)
    assert samples(metrics.text())["grinder_stuck_orders", ()] == 1
    core.now_ns = 10**9 + 30 * MS
    core.write("account", OrderAccepted(client_order_id="0" * 32, exchange_order_id="1", status="open"), 0)
    core.write_down()
    followed.rows(journal.rows[1:])
    followed.show(10**18)
    found = samples(metrics.text())
    assert found["grinder_stuck_orders", ()] == 0
    assert found["grinder_order_latency_ms_sum", ()] == 30
    assert found["grinder_stage_latency_ms_count", (("stage", "total"),)] == 1


def test_durations_fall_into_their_buckets() -> None:
    metrics = Metrics()
    for duration_ns in (1, MS, MS + 1, 5 * MS, 99 * MS, 2_000 * MS):
        metrics.stage("order_placement", duration_ns)
    found = samples(metrics.text())
    bucket = "grinder_stage_latency_ms_bucket"

    def at(bound: str) -> float:
        return found[bucket, (("le", bound), ("stage", "order_placement"))]

    assert [at(bound) for bound in ("1.0", "5.0", "10.0", "100.0", "1000.0", "+Inf")] == [2, 4, 4, 5, 5, 6]
    assert found["grinder_stage_latency_ms_count", (("stage", "order_placement"),)] == 6
    sum_ms = found["grinder_stage_latency_ms_sum", (("stage", "order_placement"),)]
    assert sum_ms == pytest.approx(2106.000002)


def test_what_is_below_a_millisecond_is_seen_in_microseconds() -> None:
    metrics = Metrics()
    metrics.decided(3_500)
    metrics.durable(2, 130_000)
    found = samples(metrics.text())
    assert found["grinder_stage_latency_us_bucket", (("le", "2.0"), ("stage", "decide"))] == 0
    assert found["grinder_stage_latency_us_bucket", (("le", "5.0"), ("stage", "decide"))] == 1
    assert found["grinder_stage_latency_us_bucket", (("le", "200.0"), ("stage", "durable"))] == 1
    assert found["grinder_ledger_append_ms_count", ()] == 1


def test_every_stage_of_the_budget_can_be_measured_and_breaks_its_budget() -> None:
    told: list[Alert] = []
    metrics = Metrics(Budgets(notify=told.append))
    for budget in BUDGETS:
        metrics.stage(budget.stage, budget.budget_ms * MS + 1)
    metrics.budgets.check(10**9)
    assert [alert.kind for alert in told] == [f"slow_{budget.stage}" for budget in BUDGETS]


def test_two_runs_in_one_process_do_not_share_metrics() -> None:
    one, two = Metrics(), Metrics()
    one.count("quotes")
    assert samples(one.text())["grinder_quotes_total", ()] == 1
    assert samples(two.text())["grinder_quotes_total", ()] == 0


# --- what follows from records and states --------------------------------------------------------------


def test_a_run_shows_the_same_figures_as_its_ledger(tmp_path: Path) -> None:
    run_into(tmp_path / "run", trades_file(tmp_path / "trades.csv", 4_000), SETTINGS)
    connection = connect(tmp_path / "run" / "ledger.db")
    records = list(rows(connection))
    connection.close()
    metrics = Metrics()
    followed = LedgerMetrics(metrics)
    for at in range(0, len(records), 100):
        followed.rows(records[at : at + 100])
    core = Core(MemoryJournal())
    for row in records:
        if row.cause == row.position:
            core.learn(decode(row.topic, row.state), row.ts_ns)
    metrics.before_scrape(
        lambda: show_books(metrics, core, {"BTCUSDT": 610_000}, {"BTCUSDT": 5 * 10**9}, 7 * 10**9)
    )
    found = samples(metrics.text())

    def number(topic: str) -> int:
        return sum(row.topic == topic for row in records)

    events = [decode(row.topic, row.state) for row in records]
    done = [event for event in events if type(event).__name__ == "LevelFilled" and event.cycle_done]
    assert len(done) > 3
    btc = (("symbol", "BTCUSDT"),)
    assert found["grinder_round_trips_total", btc] == len(done)
    assert found["grinder_orders_submitted_total", ()] == number("OrderSubmitted/1")
    fills = sum(value for (name, _), value in found.items() if name == "grinder_fills_total")
    assert fills == number("OrderFilled/1")
    counted = {
        labels[0][1]: value for (name, labels), value in found.items() if name == "grinder_records_total"
    }
    assert sum(counted.values()) == len(records)
    working = sum(order.status in ("open", "pending") for order in core.state_of("account").orders.values())
    assert found["grinder_open_orders", btc] == working > 0
    assert found["grinder_staleness_ms", btc] == 2000
    assert found["grinder_grid_width_bps", btc] == pytest.approx(2_000 / 60_000 * 10_000)
    assert found["grinder_grid_step_bps", btc] == pytest.approx(100 / 61_000 * 10_000, rel=0.02)
    assert 9_000 < found["grinder_equity", ()] < 11_000
    again = LedgerMetrics(Metrics())
    again.restore(records)
    assert again.profit["all_time"] == pytest.approx(followed.profit["all_time"])
    assert again.profit["session"] == 0


# --- over HTTP -----------------------------------------------------------------------------------------


class Fault:
    name = "leg"
    timeout_s = 1.0
    message = ""

    async def fault(self) -> str:
        return self.message


def test_metrics_life_and_readiness_are_served_on_this_machine() -> None:
    check, state = Fault(), {"alive": True, "ready": False}
    metrics = Metrics()
    server = ObservationServer(
        metrics, Health([check]), alive=lambda: state["alive"], ready=lambda: state["ready"]
    )

    async def go() -> None:
        port = await server.start()
        base = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:

            async def get(path: str, method: str = "GET") -> tuple[int, str, bytes]:
                async with session.request(method, base + path) as answer:
                    return answer.status, answer.headers.get("Content-Type", ""), await answer.read()

            status, kind, body = await get("/metrics")
            assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
            assert len(families(body)) > 80
            assert (await get("/livez"))[0] == (await get("/healthz"))[0] == 200
            assert (await get("/readyz"))[0] == 503, "not trading yet"
            state["ready"] = True
            status, _, body = await get("/readyz")
            assert (status, b'"healthy": true' in body) == (200, True)
            check.message = "a leg is broken"
            status, _, body = await get("/readyz")
            assert (status, b"a leg is broken" in body) == (503, True)
            state["alive"] = False
            assert (await get("/livez"))[0] == 503
            assert (await get("/"))[0] == 404
            assert (await get("/metrics", "POST"))[0] == 405
        other = ObservationServer(metrics, Health([check]), port=port)
        with pytest.raises(EnvironmentFault) as found:
            await other.start()
        assert found.value.code == "observe.port"
        await server.stop()
        await server.stop()

    asyncio.run(go())
