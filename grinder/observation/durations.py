"""Histograms for the hot path: a bisection and an addition, nothing else.

Law: observing costs a few tenths of a microsecond and takes no lock; it is done on one thread.  What is
scraped is made up when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator

from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

MS_BOUNDS = (1, 5, 10, 25, 50, 100, 250, 500, 1000)
US_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000)


class Durations:
    """Counts of durations by bucket.

    Args:
        bounds: upper ends of the buckets in whole `unit_ns`; one more takes the rest.
    """

    __slots__ = ("_bounds_ns", "bounds", "counts", "sum_ns", "unit_ns")

    def __init__(self, bounds: tuple[int, ...], unit_ns: int) -> None:
        self.bounds = bounds
        self.unit_ns = unit_ns
        self._bounds_ns = [bound * unit_ns for bound in bounds]
        self.counts = [0] * (len(bounds) + 1)
        self.sum_ns = 0

    def observe(self, duration_ns: int) -> None:
        """Count one duration, ns."""
        self.counts[bisect_left(self._bounds_ns, duration_ns)] += 1
        self.sum_ns += duration_ns

    def buckets(self) -> Iterator[tuple[str, float]]:
        """(upper end, count up to it), as Prometheus wants them."""
        so_far = 0
        for bound, count in zip((*map(float, self.bounds), "+Inf"), self.counts, strict=True):
            so_far += count
            yield str(bound), so_far


class DurationFamily(Collector):
    """Durations of one name, by the value of one label (or by none)."""

    def __init__(self, name: str, text: str, bounds: tuple[int, ...], unit_ns: int, label: str = "") -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._unit_ns = unit_ns
        self._label = label
        self._children: dict[str, Durations] = {}

    def child(self, value: str = "") -> Durations:
        """The durations under a label's value, made when first asked for."""
        found = self._children.get(value)
        if found is None:
            found = self._children[value] = Durations(self._bounds, self._unit_ns)
        return found

    def collect(self) -> Iterable[Metric]:
        """What is scraped."""
        family = HistogramMetricFamily(self._name, self._text, labels=[self._label] if self._label else [])
        for value, child in list(self._children.items()):
            labels = [value] if self._label else []
            family.add_metric(labels, list(child.buckets()), child.sum_ns / self._unit_ns)
        yield family

    def describe(self) -> Iterable[Metric]:
        """Its name, so that nobody else takes it."""
        yield HistogramMetricFamily(self._name, self._text, labels=[self._label] if self._label else [])
