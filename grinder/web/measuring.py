"""Metrics of the API itself, in a registry of its own; those of a run are served by the run.

Law: counting only; labels come from the route table, never from a request.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class WebMetrics:
    """What the API counts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "grinder_api_requests_total", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "grinder_api_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=(0.001, 0.005, 0.025, 0.1, 0.3, 1, 3),
            registry=self._registry,
        )
        self.refusals = Counter(
            "grinder_api_refusals_total", "Requests refused.", ("code",), registry=self._registry
        )
        self.sockets = Gauge("grinder_api_websockets", "WebSockets open.", registry=self._registry)
        self.position = Gauge(
            "grinder_api_views_position", "Record the views stand at.", ("run",), registry=self._registry
        )
        self.stale = Gauge(
            "grinder_api_views_stale", "1 while a run is shown as stale.", ("run",), registry=self._registry
        )

        self.open_sockets = 0

    def opened(self, change: int) -> None:
        """Count a socket that was opened (1) or closed (-1)."""
        self.open_sockets += change
        self.sockets.set(self.open_sockets)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)
