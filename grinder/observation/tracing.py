"""Traces: an order's way from the input that led to it to the exchange's answer, as OpenTelemetry spans.

Law: off unless an OTLP endpoint is configured in the environment, as OpenTelemetry names it; then, and only
then, the library is imported and the hooks are set.  Spans are made afterwards, out of times that were taken
on the way: tracing decides nothing, waits for nothing, and a trace that cannot be sent is lost.

An order is one trace.  Its spans follow one another without a gap, each named for the moment it ends with:
``decided`` (from the input), ``durable``, ``sent``, ``acknowledged``.  The correlation id is the position of
the input in the ledger, which is what every line of the log about it has.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from actors.ports import Connector, ExchangeError, Placed
from domain.order_events import OrderSubmitted, OrderTerms
from domain.record import Record
from grinder.log import CORRELATION, logger

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
REMEMBERED: Final = 10_000
"""Inputs and orders on their way that are kept at most; the oldest are forgotten."""

EVERY_MS: Final = 1_000
LONGEST_S: Final = 2.0
"""For one attempt to send spans."""

Submit = Callable[[Record, int], None]


@attrs.define
class _Way:
    """The moments of an order so far, ns."""

    terms: OrderTerms
    correlation: int
    input_ns: int
    decided_ns: int
    durable_ns: int
    sent_ns: int = 0


class Tracing:
    """Hooks for one run; what they take is a few microseconds an order.

    Args:
        tracer: makes the spans.
        clock: the run's, ns.
    """

    def __init__(self, tracer: Tracer, clock: Callable[[], int]) -> None:
        self._tracer = tracer
        self._clock = clock
        self._decided: OrderedDict[int, int] = OrderedDict()
        self._ways: OrderedDict[str, _Way] = OrderedDict()

    # --- the hooks -------------------------------------------------------------------------------------

    def learned(self, report: Record) -> None:
        """The core came to rest after an input."""
        _keep(self._decided, CORRELATION.get(), self._clock())

    def around(self, submit: Submit) -> Submit:
        """`submit`, noting when an order's intent was durable: that is when it is submitted."""

        def noted(intent: Record, now_ns: int) -> None:
            if isinstance(intent, OrderSubmitted):
                durable_ns, position = self._clock(), CORRELATION.get()
                decided_ns = min(self._decided.get(position, durable_ns), durable_ns)
                way = _Way(intent.terms, position, min(now_ns, decided_ns), decided_ns, durable_ns)
                _keep(self._ways, intent.terms.client_order_id, way)
            submit(intent, now_ns)

        return noted

    def connected(self, connector: Connector) -> Connector:
        """The connector, noting when orders are sent and answered."""
        return cast(Connector, _Traced(connector, self))

    def sent(self, orders: Sequence[OrderTerms]) -> None:
        """A request with these orders leaves now."""
        now_ns = self._clock()
        for terms in orders:
            way = self._ways.get(terms.client_order_id)
            if way is not None:
                way.sent_ns = now_ns

    def answered(
        self, orders: Sequence[OrderTerms], answers: Sequence[Placed | ExchangeError] | BaseException
    ) -> None:
        """Its answers are here: the orders' traces are whole."""
        now_ns = self._clock()
        for number, terms in enumerate(orders):
            way = self._ways.pop(terms.client_order_id, None)
            if way is None or not way.sent_ns:
                continue
            if isinstance(answers, BaseException):
                self._tell(way, now_ns, answers)
            else:
                self._tell(way, now_ns, answers[number] if number < len(answers) else None)

    # --- spans -----------------------------------------------------------------------------------------

    def _tell(self, way: _Way, answered_ns: int, answer: Placed | BaseException | None) -> None:
        from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

        terms = way.terms
        order = self._tracer.start_span(
            "order",
            kind=SpanKind.CLIENT,
            start_time=way.input_ns,
            attributes={
                "grinder.correlation_id": way.correlation,
                "grinder.client_order_id": terms.client_order_id,
                "grinder.symbol": terms.symbol,
                "grinder.side": terms.side,
                "grinder.order_type": terms.order_type,
                "grinder.answer": type(answer).__name__,
            },
        )
        within = set_span_in_context(order)
        begun_ns = way.input_ns
        ends = (way.decided_ns, way.durable_ns, way.sent_ns, answered_ns)
        for name, end_ns in zip(("decided", "durable", "sent", "acknowledged"), ends, strict=True):
            stage = self._tracer.start_span(
                name,
                context=within,
                start_time=begun_ns,
                attributes={"grinder.correlation_id": way.correlation},
            )
            begun_ns = max(begun_ns, end_ns)
            stage.end(end_time=begun_ns)
        if isinstance(answer, BaseException):
            order.set_status(Status(StatusCode.ERROR, type(answer).__name__))
        order.end(end_time=begun_ns)


class _Traced:
    """A connector whose `place` is noted; everything else is the connector's own."""

    def __init__(self, connector: Connector, tracing: Tracing) -> None:
        self._connector = connector
        self._tracing = tracing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    async def place(self, orders: Sequence[OrderTerms]) -> list[Placed | ExchangeError]:
        """See the port."""
        self._tracing.sent(orders)
        try:
            answers = await self._connector.place(orders)
        except BaseException as failure:
            self._tracing.answered(orders, failure)
            raise
        self._tracing.answered(orders, answers)
        return answers


def begin(environment: Mapping[str, str], clock: Callable[[], int], run: str) -> Tracing | None:
    """Tracing to the endpoint the environment names; None, and nothing imported, where it names none.

    Args:
        run: the name of the run, which every span carries.
    """
    if not any(environment.get(name) for name in ENDPOINTS):
        return None
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        fix = "pip install 'grinder[traces]'"
        logger().warning("traces_not_installed", missing=str(missing), fix=fix)
        return None
    named = {} if environment.get("OTEL_SERVICE_NAME") else {"service.name": "grinder"}
    provider = TracerProvider(resource=Resource.create({**named, "grinder.run": run}))
    exporter = OTLPSpanExporter(timeout=LONGEST_S)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EVERY_MS))
    return Tracing(provider.get_tracer("grinder"), clock)  # the provider sends the rest as the process ends


def _keep(kept: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    kept[key] = value
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
