"""Every metric of the hub, declared once: name, labels with their bounds, help. The docs are generated from it.

The constant is the name in capitals without ``samenloop_``; base units, ``_total`` on counters, instants as
``_timestamp_seconds`` (the age is computed by who asks, so a stuck process keeps ageing). Count **after** success.

A label is either a closed set of lower-case words or takes names from the settings, up to a bound. What does not fit
is folded into ``other`` and counted in ``samenloop_label_overflow_total``. Never a label: plan id, URL, error text.

    metrics.SOURCE_POLLS_TOTAL.labels(connector="file-snapshots", source="aalburg", outcome="ok").inc()
    metrics.start(connector="file-snapshots", source="aalburg")   # every such series begins at 0
    metrics.at_scrape(lambda: metrics.TABLE_KEYS.labels(table="plans").set(len(plans)))
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from samenloop import __version__

M = TypeVar("M", Counter, Gauge, Histogram)
Bound = int | tuple[str, ...]
"""Most values an open label may take, or the values of a closed one."""

OTHER = "other"
CONNECTOR, SOURCE, TOPIC, GROUP, PROCESSOR, PARTNER, TABLE, RULE, VIEW = 10, 40, 60, 15, 25, 200, 20, 40, 5
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
AGE_SECONDS = (60.0, 600.0, 3600.0, 21600.0, 86400.0, 259200.0, 604800.0, 2592000.0)


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
    """A metric with bounded labels."""

    def __init__(self, kind: type[M], name: str, help_: str, bounds: dict[str, Bound], metric: M) -> None:
        self.kind: type[M] = kind
        self.name, self.help, self.bounds = name, help_, bounds
        self._metric: M = metric
        self._seen: dict[str, set[str]] = {label: set() for label in bounds}
        self._lock = threading.Lock()
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
        if not values:
            return self._metric
        series: M = self._metric.labels(**{label: self._fold(label, str(value)) for label, value in values.items()})
        return series

    def start(self, **known: str) -> None:
        """Begin every series with these values of the open labels at 0."""
        closed = [b if isinstance(b, tuple) else (known[label],) for label, b in self.bounds.items()]
        for combination in product(*closed):
            self.labels(**dict(zip(self.bounds, combination, strict=True)))

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
        LABEL_OVERFLOW_TOTAL.labels(metric=self.name).inc()
        return OTHER


CATALOGUE: dict[str, Labelled[Counter] | Labelled[Gauge] | Labelled[Histogram]] = {}
"""Every declared metric by its full name."""


def _declare(metric: Labelled[M]) -> Labelled[M]:
    CATALOGUE[metric.name] = metric
    return metric


def _counter(name: str, help_: str, **bounds: Bound) -> Labelled[Counter]:
    name = f"samenloop_{name}"
    return _declare(Labelled(Counter, name, help_, bounds, Counter(name, help_, list(bounds), registry=REGISTRY)))


def _gauge(name: str, help_: str, **bounds: Bound) -> Labelled[Gauge]:
    name = f"samenloop_{name}"
    return _declare(Labelled(Gauge, name, help_, bounds, Gauge(name, help_, list(bounds), registry=REGISTRY)))


def _histogram(name: str, help_: str, buckets: tuple[float, ...], **bounds: Bound) -> Labelled[Histogram]:
    name = f"samenloop_{name}"
    metric = Histogram(name, help_, list(bounds), registry=REGISTRY, buckets=buckets)
    return _declare(Labelled(Histogram, name, help_, bounds, metric))


def start(**known: str) -> None:
    """Begin every counter and histogram whose open labels are exactly *known* at 0.

    Otherwise the first error of a series would be invisible to `increase()`. Labels that are closed sets are not given.
    """
    for metric in CATALOGUE.values():
        if metric.kind is not Gauge and set(metric.open_labels) == known.keys():
            metric.start(**known)


def at_scrape(callback: Callable[[], object]) -> None:
    """Call *callback* before every scrape, from the thread that serves it; it sets the gauges it knows about."""
    _at_scrape.callbacks.append(callback)


LABEL_OVERFLOW_TOTAL = _counter("label_overflow_total", 'Label values folded into "other".', metric=100)

BUILD_INFO = _gauge("build_info", "Build information, value 1.", version=1)

SOURCE_INFO = _gauge("source_info", "Configured source, value 1.", connector=CONNECTOR, source=SOURCE)
SOURCE_STATE = _gauge(
    "source_state",
    "1 for the state the source is in.",
    connector=CONNECTOR,
    source=SOURCE,
    state=("running", "paused", "held", "failed"),
)
SOURCE_POLLS_TOTAL = _counter(
    "source_polls_total",
    "Polls of a source.",
    connector=CONNECTOR,
    source=SOURCE,
    outcome=("ok", "unchanged", "held", "rate_limited", "auth", "timeout", "http_error", "parse_error"),
)
SOURCE_POLL_DURATION_SECONDS = _histogram(
    "source_poll_duration_seconds", "Duration of a poll.", LONG_SECONDS, connector=CONNECTOR, source=SOURCE
)
SOURCE_RECORDS_READ_TOTAL = _counter(
    "source_records_read_total", "Records read from a source.", connector=CONNECTOR, source=SOURCE
)
SOURCE_RECORDS_TOTAL = _counter(
    "source_records_total",
    "Records accounted for, by what became of them: together with removed they make up those read.",
    connector=CONNECTOR,
    source=SOURCE,
    outcome=("created", "updated", "removed", "unchanged", "rejected"),
)
SOURCE_MEASURES = _gauge(
    "source_measures",
    "Traffic measures and detours in the last snapshot: beside works, or alone (no plan, not counted as read).",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_MEASURES_ONLY_RECORDS = _gauge(
    "source_measures_only_records",
    "Records of the last snapshot that hold traffic measures and no works: no plans, not counted as read.",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_LAST_SUCCESS_TIMESTAMP_SECONDS = _gauge(
    "source_last_success_timestamp_seconds",
    "Time of the last poll that succeeded.",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_NEWEST_RECORD_TIMESTAMP_SECONDS = _gauge(
    "source_newest_record_timestamp_seconds",
    "Newest publication time seen in the source.",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_FRESHNESS_OBJECTIVE_SECONDS = _gauge(
    "source_freshness_objective_seconds", "Configured freshness objective.", connector=CONNECTOR, source=SOURCE
)
SOURCE_RECORD_AGE_SECONDS = _histogram(
    "source_record_age_seconds", "Publication at the source to ingestion, live records.", AGE_SECONDS, source=SOURCE
)

PRODUCER_RECORDS_TOTAL = _counter(
    "producer_records_total", "Records produced.", topic=TOPIC, outcome=("acked", "failed")
)
CONSUMER_REBALANCES_TOTAL = _counter("consumer_rebalances_total", "Rebalances finished.", group=GROUP)
CONSUMER_REBALANCE_DURATION_SECONDS = _histogram(
    "consumer_rebalance_duration_seconds", "Duration of a rebalance with recovery.", LONG_SECONDS, group=GROUP
)

PROCESSOR_EVENTS_TOTAL = _counter(
    "processor_events_total",
    "Events handled by a processor.",
    processor=PROCESSOR,
    outcome=("emitted", "filtered", "duplicate", "late", "dead_lettered", "error"),
)
PROCESSOR_DURATION_SECONDS = _histogram(
    "processor_duration_seconds", "Time to handle one event, its share of the batch.", SECONDS, processor=PROCESSOR
)
TABLE_KEYS = _gauge("table_keys", "Keys in a table of state.", table=TABLE)

VIEW_RECOUNTED_TIMESTAMP_SECONDS = _gauge(
    "view_recounted_timestamp_seconds", "Time of a view's last recount over its topics.", view=VIEW
)
VIEW_MENDED_TOTAL = _counter("view_mended_total", "Entries of a view that a recount had to mend.", view=VIEW)

SCHEMA_ERRORS_TOTAL = _counter(
    "schema_errors_total",
    "Avro errors.",
    topic=TOPIC,
    operation=("serialize", "deserialize", "register"),
    reason=("incompatible", "unknown_id", "malformed", "registry"),
)
SCHEMA_FALLBACK_TOTAL = _counter(
    "schema_fallback_total", "Values decoded by ce_dataschema instead of the id.", topic=TOPIC
)
DLQ_RECORDS_TOTAL = _counter(
    "dlq_records_total",
    "Records dead-lettered, by the topic or source they came from.",
    topic=TOPIC,
    reason=("malformed", "schema", "validation", "authorisation", "loop", "oversize", "delivery", "internal"),
)
DLQ_DEPTH_RECORDS = _gauge(
    "dlq_depth_records", "Dead letters waiting for a decision, by the topic or source they came from.", topic=TOPIC
)
DLQ_OLDEST_RECORD_TIMESTAMP_SECONDS = _gauge(
    "dlq_oldest_record_timestamp_seconds",
    "When the oldest dead letter that waits was set aside, 0 when none.",
    topic=TOPIC,
)
DLQ_REPLAYED_TOTAL = _counter(
    "dlq_replayed_total",
    "Dead letters dealt with, by the topic or source they came from.",
    topic=TOPIC,
    outcome=("ok", "failed_again", "discarded"),
)

RECONCILIATION_DIFFERENCE_RECORDS = _gauge(
    "reconciliation_difference_records",
    "Records not accounted for in the last closed hour, and in earlier ones that still do not add up.",
    pipeline=("read", "publish", "consolidate", "restrictions", "deliver"),
)
RECONCILIATION_JUDGED_TIMESTAMP_SECONDS = _gauge(
    "reconciliation_judged_timestamp_seconds", "End of the last hour that was judged."
).labels()

PLANS_BY_PHASE = _gauge(
    "plans_by_phase",
    "Plans in the shared state.",
    phase=(
        "unknown",
        "initiative",
        "feasibility",
        "design",
        "preparation",
        "execution",
        "completed",
        "cancelled",
    ),
)
DETECTION_PAIRS_TOTAL = _counter("detection_pairs_total", "Pairs examined.", stage=("candidate", "exact", "kept"))
DETECTION_BATCH_SECONDS = _histogram(
    "detection_batch_seconds", "Time for one batch, decode to judgement.", SECONDS
).labels()
FINDINGS_OPEN = _gauge(
    "findings_open",
    "Findings open.",
    record=("conflict", "opportunity"),
    rule=RULE,
    severity=("info", "warning", "blocking", "none"),
)
FINDINGS_TOTAL = _counter(
    "findings_total",
    "Transitions of findings.",
    record=("conflict", "opportunity"),
    rule=RULE,
    transition=("opened", "changed", "closed", "rejected"),
)
RULES_INFO = _gauge("rules_info", "Active rule set, value 1.", version=20)

CHANNEL = ("webhook", "kafka", "mail", "pull")
SINK_DELIVERIES_TOTAL = _counter(
    "sink_deliveries_total",
    "Final outcome of an alert for a subscription.",
    partner=PARTNER,
    channel=CHANNEL,
    outcome=("delivered", "filtered", "failed", "expired", "withheld"),
)
SINK_ATTEMPTS_TOTAL = _counter(
    "sink_attempts_total",
    "Delivery attempts.",
    partner=PARTNER,
    channel=CHANNEL,
    result=("2xx", "3xx", "4xx", "429", "5xx", "timeout", "connect", "tls"),
)
SINK_REQUEST_DURATION_SECONDS = _histogram(
    "sink_request_duration_seconds", "Duration of one attempt.", SECONDS, partner=PARTNER
)
SINK_PENDING_DELIVERIES = _gauge("sink_pending_deliveries", "Deliveries waiting or in retry.", partner=PARTNER)
SINK_OLDEST_PENDING_TIMESTAMP_SECONDS = _gauge(
    "sink_oldest_pending_timestamp_seconds", "When the oldest delivery was due, 0 when none.", partner=PARTNER
)
SINK_LAST_SUCCESS_TIMESTAMP_SECONDS = _gauge(
    "sink_last_success_timestamp_seconds", "Time of the last accepted delivery.", partner=PARTNER
)
SINK_CIRCUIT_STATE = _gauge(
    "sink_circuit_state",
    "1 for the state of the circuit.",
    partner=PARTNER,
    state=("closed", "half_open", "open"),
)
DELIVERY_LATENCY_SECONDS = _histogram(
    "delivery_latency_seconds",
    "Ingestion to acceptance by the partner.",
    (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0, 86400.0),
    pipeline=10,
    channel=CHANNEL,
    mode=("live", "replay"),
)
NOTIFICATIONS_SUPPRESSED_TOTAL = _counter(
    "notifications_suppressed_total",
    "Not sent on purpose.",
    reason=("rate_limit", "quiet_hours", "duplicate", "immaterial", "first_load"),
)

HTTP_REQUESTS_TOTAL = _counter(
    "http_requests_total",
    "Requests to the edge, by the route that answered.",
    route=60,
    status_class=("2xx", "3xx", "4xx", "5xx"),
)

BUILD_INFO.labels(version=__version__).set(1)
