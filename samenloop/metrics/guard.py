"""Bounded labels: the guard around every metric, and the registry that a scrape reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from samenloop.logs import get_logger

M = TypeVar("M", Counter, Gauge, Histogram)
Bound = int | tuple[str, ...]
"""Most values an open label may take, or the values of a closed one."""
OTHER = "other"
_log = get_logger("metrics")


class _AtScrape(Collector):
    """Calls what wants to be asked before each scrape. Registered first, so that gauges are set when they are read."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], object]] = []

    def collect(self) -> Iterable[Metric]:
        for callback in list(self.callbacks):
            callback()
        return ()


disable_created_metrics()  # type: ignore[no-untyped-call]
REGISTRY = CollectorRegistry(auto_describe=False)
_at_scrape = _AtScrape()
REGISTRY.register(_at_scrape)
ProcessCollector(registry=REGISTRY)


class Labelled(Generic[M]):
    """A metric with bounded labels.

    A gauge without labels is shown once it is asked for: a process that never sets it must not say that it is 0.
    """

    def __init__(self, kind: type[M], name: str, help_: str, bounds: dict[str, Bound], metric: M) -> None:
        self.kind: type[M] = kind
        self.name, self.help, self.bounds = name, help_, bounds
        self._metric: M = metric
        self._seen: dict[str, set[str]] = {label: set() for label in bounds}
        self._told = False
        self._lock = threading.Lock()
        self._shown = bool(bounds) or kind is not Gauge
        if kind is not Gauge and not self.open_labels:
            self.start()

    @property
    def open_labels(self) -> list[str]:
        """Labels whose values come from the settings."""
        return [label for label, bound in self.bounds.items() if isinstance(bound, int)]

    def labels(self, **values: str) -> M:
        """Return the series with these labels; every label must be given."""
        if values.keys() != self.bounds.keys():
            raise ValueError(f"{self.name} has the labels {sorted(self.bounds)}, not {sorted(values)}")
        if not self._shown:
            self._shown = True
            REGISTRY.register(self._metric)
        if not values:
            return self._metric
        series: M = self._metric.labels(**{label: self._fold(label, str(value)) for label, value in values.items()})
        return series

    def start(self, **known: str) -> None:
        """Begin every series with these values of the open labels at 0; of a closed one only a value that is given."""
        values = [
            (known[label],) if label in known or isinstance(bound, int) else bound
            for label, bound in self.bounds.items()
        ]
        for combination in product(*values):
            self.labels(**dict(zip(self.bounds, combination, strict=True)))

    def forget(self, **values: str) -> None:
        """Show the series with these labels no longer: what it was about is not there any more, or not known."""
        self._metric.remove(*(values[label] for label in self.bounds))

    def _fold(self, label: str, value: str) -> str:
        bound = self.bounds[label]
        if isinstance(bound, tuple):
            value = value.lower()
            if value in bound or value == OTHER:
                return value
        else:
            with self._lock:
                seen = self._seen[label]
                if value in seen or value == OTHER:
                    return value
                if len(seen) < bound:
                    seen.add(value)
                    return value
        self._overflow(label)
        return OTHER

    def _overflow(self, label: str) -> None:
        LABEL_OVERFLOW_TOTAL.labels(metric=self.name).inc()
        if not self._told:
            self._told = True
            _log.warning("label.overflow", 'A label has more values than its bound; the rest is counted as "other".',
                         metric=self.name, label=label)  # fmt: skip


CATALOGUE: dict[str, Labelled[Counter] | Labelled[Gauge] | Labelled[Histogram]] = {}
"""Every declared metric by its full name."""


def _declare(metric: Labelled[M]) -> Labelled[M]:
    CATALOGUE[metric.name] = metric
    return metric


def counter(name: str, help_: str, **bounds: Bound) -> Labelled[Counter]:
    """Declare a counter, without the prefix of its name."""
    name = f"samenloop_{name}"
    return _declare(Labelled(Counter, name, help_, bounds, Counter(name, help_, list(bounds), registry=REGISTRY)))


def gauge(name: str, help_: str, **bounds: Bound) -> Labelled[Gauge]:
    """Declare a gauge, without the prefix of its name."""
    name = f"samenloop_{name}"
    metric = Gauge(name, help_, list(bounds), registry=REGISTRY if bounds else None)
    return _declare(Labelled(Gauge, name, help_, bounds, metric))


def histogram(name: str, help_: str, buckets: tuple[float, ...], **bounds: Bound) -> Labelled[Histogram]:
    """Declare a histogram, without the prefix of its name."""
    name = f"samenloop_{name}"
    metric = Histogram(name, help_, list(bounds), registry=REGISTRY, buckets=buckets)
    return _declare(Labelled(Histogram, name, help_, bounds, metric))


LABEL_OVERFLOW_TOTAL = counter("label_overflow_total", 'Label values folded into "other".', metric=100)


def start(**known: str) -> None:
    """Begin every counter and histogram whose open labels are all among *known* at 0.

    Otherwise the first error of a series would be invisible to `increase()`. Labels that are closed sets need not be
    given; one that is, begins with that value only.
    """
    for metric in CATALOGUE.values():
        if metric.kind is not Gauge and metric.open_labels and known.keys() >= set(metric.open_labels):
            metric.start(**known)


def at_scrape(callback: Callable[[], object]) -> None:
    """Call *callback* before every scrape, from the thread that serves it; it sets the gauges it knows about."""
    _at_scrape.callbacks.append(callback)


class AfterCommit:
    """What a stage counts once its transaction is committed: the loop calls the stage again only then.

    Beginning an outcome is `add`; every entry of the loop (`process`, `idle`) calls `now`. What was never committed
    died with its process and is never counted.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], object]] = []

    def add(self, count: Callable[[], object]) -> None:
        """Call *count* when the next call of the loop says that what was returned is on Kafka."""
        self._waiting.append(count)

    def now(self) -> None:
        """Count what the last call led to."""
        waiting, self._waiting = self._waiting, []
        for count in waiting:
            count()

    def drop(self) -> None:
        """Forget what waits: its partitions went before it was committed."""
        self._waiting.clear()
