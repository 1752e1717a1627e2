"""Traces: one order is one tree of spans with all its stages, on a receiver that speaks OTLP over HTTP."""

from __future__ import annotations

import asyncio
import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from live_runs import REPO, Running, status_of, trading, wait_for, write_config
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from actors.ports import ExchangeError, OrderRefused, Placed
from domain.codec import decode
from domain.inputs import OrderAcceptedReport
from domain.order_events import OrderSubmitted, OrderTerms
from grinder.ledger.reading import connect
from grinder.log import correlated
from grinder.observation.tracing import Tracing, begin

STAGES = ["decided", "durable", "sent", "acknowledged"]
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


class Receiver:
    """An OTLP receiver on a thread of its own; spans as plain dicts, in the order they came."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._ready: queue.Queue[int] = queue.Queue()
        self.spans: list[dict[str, Any]] = []
        self.resources: list[dict[str, Any]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._ready.get(timeout=10)}"

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_forever()

    async def _serve(self) -> None:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/v1/traces", self._take)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self._ready.put(int(runner.addresses[0][1]))

    async def _take(self, request: web.Request) -> web.Response:
        told = ExportTraceServiceRequest.FromString(await request.read())
        for of_resource in told.resource_spans:
            self.resources.append(_plain(of_resource.resource.attributes))
            for scope in of_resource.scope_spans:
                self.spans += [_span(one) for one in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def trees(self) -> list[tuple[dict[str, Any], list[dict[str, Any]]]]:
        """Every whole order with its stages, in the order of their time."""
        spans = list(self.spans)
        found = []
        for root in (one for one in spans if not one["parent"]):
            children = [one for one in spans if one["parent"] == root["id"]]
            found.append((root, sorted(children, key=lambda one: (one["end"], STAGES.index(one["name"])))))
        return found


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _span(one: Any) -> dict[str, Any]:
    return {
        "name": one.name,
        "trace": one.trace_id,
        "id": one.span_id,
        "parent": one.parent_span_id,
        "start": one.start_time_unix_nano,
        "end": one.end_time_unix_nano,
        **_plain(one.attributes),
    }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def check(root: dict[str, Any], stages: list[dict[str, Any]]) -> None:
    """A tree is one order's, whole, and without a gap."""
    assert [one["name"] for one in stages] == STAGES
    assert {one["trace"] for one in stages} == {root["trace"]}
    assert {one["grinder.correlation_id"] for one in stages} == {root["grinder.correlation_id"]}
    moments = [root["start"], *(one["end"] for one in stages)]
    assert [one["start"] for one in stages] == moments[:-1]
    assert moments == sorted(moments)
    assert root["end"] == moments[-1]


def test_one_order_is_a_tree_of_spans_with_all_stages_and_the_log_s_correlation_id(
    receiver: Receiver, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    config = write_config(tmp_path / "grinder.yaml")
    arguments = ("-v", "paper", "-c", str(config), "--out", "run", "--feed", "generated:7@60", "--json")
    with Running(*arguments, cwd=tmp_path, env={ENDPOINT: receiver.address}) as running:
        trading(run, orders=5)
        wait_for(lambda: status_of(run).get("fills", 0) > 0, timeout_s=40, why="an execution")
        wait_for(lambda: len(receiver.trees()) > 5, timeout_s=40, why="traces")
        running.process.send_signal(signal.SIGINT)
        code, _, err = running.ended(60)
    assert code == 0, err.decode()[-2000:]
    trees = receiver.trees()
    for root, stages in trees:
        check(root, stages)
    with closing(connect(run / "ledger.db")) as connection:
        rows = connection.execute(
            "SELECT rowid, topic, CAST(state AS BLOB), cause FROM stored_events ORDER BY rowid"
        ).fetchall()
    inputs = {position for position, _, _, cause in rows if cause == position}
    submitted = {
        decode(topic, state).terms.client_order_id: max(one for one in inputs if one < position)
        for position, topic, state, _ in rows
        if topic == OrderSubmitted.TOPIC
    }
    told = {root["grinder.client_order_id"]: root["grinder.correlation_id"] for root, _ in trees}
    assert told.items() <= submitted.items(), "each under the position of its input"
    accepted = {
        decode(topic, state).client_order_id
        for _, topic, state, _ in rows
        if topic == OrderAcceptedReport.TOPIC
    }
    assert accepted <= set(told), "every order that came to rest has its trace"
    lines = [json.loads(line) for line in err.splitlines() if line.startswith(b"{")]
    logged = {one["order"]: one["correlation_id"] for one in lines if one.get("event") == "intent"}
    assert logged, "the log speaks of the same orders"
    assert {order: told[order] for order in logged if order in told} == {
        order: position for order, position in logged.items() if order in told
    }
    assert {"grinder.run", "service.name"} <= set(receiver.resources[0])


def test_a_receiver_that_is_away_costs_the_run_nothing_but_its_traces(tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = write_config(tmp_path / "grinder.yaml")
    arguments = ("paper", "-c", str(config), "--out", "run", "--feed", "generated:7@60", "--json")
    with Running(*arguments, cwd=tmp_path, env={ENDPOINT: "http://127.0.0.1:9"}) as running:
        trading(run, orders=5)
        running.process.send_signal(signal.SIGINT)
        code, _, err = running.ended(60)
    assert code == 0, err.decode()[-2000:]


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    code = (
        "import sys; import grinder.live.process; from grinder.observation.tracing import begin\n"
        "assert begin({}, int, 'run') is None\n"
        "there = {'OTEL_SDK_DISABLED': 'true', 'OTEL_EXPORTER_OTLP_ENDPOINT': 'x'}\n"
        "assert begin(there, int, 'run') is None\n"
        "print(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPO, timeout=60, check=False
    )
    assert done.stdout.strip() == "False", done.stderr


def test_an_endpoint_without_the_library_is_a_warning_and_no_reason_not_to_trade(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with capture_logs() as lines:
        assert begin({ENDPOINT: "http://127.0.0.1:9"}, int, "run") is None
    [line] = lines
    assert (line["event"], line["log_level"]) == ("traces_not_installed", "warning")
    assert "grinder[traces]" in line["fix"]


# --- what came back ------------------------------------------------------------------------------------


def terms(number: int) -> OrderTerms:
    return OrderTerms(
        client_order_id=f"{number:032x}",
        symbol="BTCUSDT",
        side="buy",
        order_type="limit",
        time_in_force="post_only",
        reduce_only=False,
        price_ticks=1,
        lots=1,
    )


class Answering:
    """An exchange that takes the first order, refuses the second and forgets the third."""

    name = "answering"

    async def place(self, orders: list[OrderTerms]) -> list[Placed | ExchangeError]:
        if len(orders) == 1:
            raise ConnectionResetError
        return [Placed(exchange_order_id="1", resting=True), OrderRefused("-2010", "a secret of theirs")]


def test_every_outcome_ends_its_trace_and_failures_are_marked() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    now = iter(range(100, 200))
    tracing = Tracing(provider.get_tracer("test"), lambda: next(now))
    connector = tracing.connected(Answering())  # type: ignore[arg-type]
    left: list[Any] = []
    submit = tracing.around(lambda intent, now_ns: left.append(intent))
    orders = [terms(number) for number in range(4)]
    for number, one in enumerate(orders):
        with correlated(number + 1):
            tracing.learned(one)
            submit(OrderSubmitted(terms=one, reserve_asset="USDT", reserved=1), 90)

    async def place() -> None:
        assert len(await connector.place(orders[:3])) == 2
        with pytest.raises(ConnectionResetError):
            await connector.place(orders[3:])

    asyncio.run(place())
    assert len(left) == 4
    assert connector.name == "answering"
    roots = [span for span in exporter.get_finished_spans() if span.parent is None]
    answers = [(span.attributes or {})["grinder.answer"] for span in roots]
    assert answers == ["Placed", "OrderRefused", "NoneType", "ConnectionResetError"]
    assert [span.status.is_ok for span in roots] == [True, False, True, False]
    assert all("secret" not in span.to_json() for span in roots)
    assert [(span.attributes or {})["grinder.correlation_id"] for span in roots] == [1, 2, 3, 4]
