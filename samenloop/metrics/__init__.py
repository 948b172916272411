"""Every metric of the hub, declared once: name, labels with their bounds, help. The docs are generated from it.

The constant is the name in capitals without ``samenloop_``; base units, ``_total`` on counters, instants as
``_timestamp_seconds`` (the age is computed by who asks, so a stuck process keeps ageing). Count **after** success.

A label is either a closed set of lower-case words or takes names from the settings, up to a bound. What does not fit
is folded into ``other`` and counted in ``samenloop_label_overflow_total`` (`guard`). Never a label: plan id, URL,
error text.

    metrics.SOURCE_POLLS_TOTAL.labels(connector="file-snapshots", source="aalburg", outcome="ok").inc()
    metrics.start(connector="file-snapshots", source="aalburg")   # every such series begins at 0
    metrics.at_scrape(lambda: metrics.TABLE_KEYS.labels(table="plans").set(len(plans)))
"""

from __future__ import annotations

from samenloop import __version__
from samenloop.metrics.guard import (
    CATALOGUE,
    LABEL_OVERFLOW_TOTAL,
    OTHER,
    REGISTRY,
    AfterCommit,
    Labelled,
    at_scrape,
    counter,
    gauge,
    histogram,
    start,
)

__all__ = ["CATALOGUE", "LABEL_OVERFLOW_TOTAL", "OTHER", "REGISTRY", "AfterCommit", "Labelled", "at_scrape", "start"]

CONNECTOR, SOURCE, TOPIC, PARTITION, GROUP, PROCESSOR, PARTNER, TABLE, RULE, VIEW, CLIENT, BROKER, FOLDER = (
    10, 40, 60, 12, 15, 25, 200, 20, 40, 5, 10, 30, 10,
)  # fmt: skip
"""Most values that an open label takes."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
LONG_SECONDS = (0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
AGE_SECONDS = (60.0, 600.0, 3600.0, 21600.0, 86400.0, 259200.0, 604800.0, 2592000.0)

BUILD_INFO = gauge("build_info", "Build information, value 1.", version=1)

SOURCE_INFO = gauge("source_info", "Configured source, value 1.", connector=CONNECTOR, source=SOURCE)
SOURCE_STATE = gauge(
    "source_state",
    "1 for the state the source is in.",
    connector=CONNECTOR,
    source=SOURCE,
    state=("running", "held", "failed"),
)
SOURCE_POLLS_TOTAL = counter(
    "source_polls_total",
    "Polls of a source.",
    connector=CONNECTOR,
    source=SOURCE,
    outcome=("ok", "unchanged", "held", "rate_limited", "auth", "timeout", "http_error", "parse_error"),
)
SOURCE_POLL_DURATION_SECONDS = histogram(
    "source_poll_duration_seconds", "Duration of a poll.", LONG_SECONDS, connector=CONNECTOR, source=SOURCE
)
SOURCE_RECORDS_READ_TOTAL = counter(
    "source_records_read_total", "Records read from a source.", connector=CONNECTOR, source=SOURCE
)
SOURCE_RECORDS_TOTAL = counter(
    "source_records_total",
    "Records accounted for, by what became of them: together with removed they make up those read.",
    connector=CONNECTOR,
    source=SOURCE,
    outcome=("created", "updated", "removed", "unchanged", "rejected"),
)
SOURCE_MEASURES = gauge(
    "source_measures",
    "Traffic measures and detours in the last snapshot: beside works, or alone (no plan, not counted as read).",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_MEASURES_ONLY_RECORDS = gauge(
    "source_measures_only_records",
    "Records of the last snapshot that hold traffic measures and no works: no plans, not counted as read.",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_LAST_SUCCESS_TIMESTAMP_SECONDS = gauge(
    "source_last_success_timestamp_seconds",
    "Time of the last poll that succeeded.",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_NEWEST_RECORD_TIMESTAMP_SECONDS = gauge(
    "source_newest_record_timestamp_seconds",
    "Newest publication time seen in the source.",
    connector=CONNECTOR,
    source=SOURCE,
)
SOURCE_FRESHNESS_OBJECTIVE_SECONDS = gauge(
    "source_freshness_objective_seconds", "Configured freshness objective.", connector=CONNECTOR, source=SOURCE
)
SOURCE_RECORD_AGE_SECONDS = histogram(
    "source_record_age_seconds", "Publication at the source to ingestion, live records.", AGE_SECONDS, source=SOURCE
)

PRODUCER_RECORDS_TOTAL = counter(
    "producer_records_total", "Records produced.", topic=TOPIC, outcome=("acked", "failed")
)
PRODUCER_QUEUE_RATIO = gauge("producer_queue_ratio", "Used part of a Kafka client's queue of records.", client=CLIENT)
CONSUMER_LAG_RECORDS = gauge(
    "consumer_lag_records",
    "Offsets between a group's committed position and the end, 0 when only transaction markers are left.",
    group=GROUP,
    topic=TOPIC,
    partition=PARTITION,
)
CONSUMER_LAG_SECONDS = gauge(
    "consumer_lag_seconds",
    "Age of the oldest record that a group has not processed, 0 when none is left.",
    group=GROUP,
    topic=TOPIC,
    partition=PARTITION,
)
CONSUMER_COMMITTED_OFFSET = gauge(
    "consumer_committed_offset", "Next offset a group will read.", group=GROUP, topic=TOPIC, partition=PARTITION
)
CONSUMER_MEMBERS = gauge("consumer_members", "Workers in a group, those that stand by included.", group=GROUP)
CONSUMER_UNOWNED_PARTITIONS = gauge(
    "consumer_unowned_partitions", "Partitions of a group's input that none of its workers holds.", group=GROUP
)
TOPIC_START_OFFSET = gauge("topic_start_offset", "Oldest retained offset.", topic=TOPIC, partition=PARTITION)
TOPIC_END_OFFSET = gauge("topic_end_offset", "Next offset.", topic=TOPIC, partition=PARTITION)
TOPIC_STABLE_OFFSET = gauge(
    "topic_stable_offset",
    "Up to where transactions have ended: below the end one is open.",
    topic=TOPIC,
    partition=PARTITION,
)
TRANSACTION_OPEN_SINCE_TIMESTAMP_SECONDS = gauge(
    "transaction_open_since_timestamp_seconds",
    "Since when a transaction has been open and nothing behind it can be read, 0 when none is.",
    topic=TOPIC,
    partition=PARTITION,
)
BROKER_DISK_SIZE_BYTES = gauge(
    "broker_disk_size_bytes", "Size of the volume of a broker's log folder.", broker=BROKER, folder=FOLDER
)
BROKER_DISK_FREE_BYTES = gauge(
    "broker_disk_free_bytes", "Free room on the volume of a broker's log folder.", broker=BROKER, folder=FOLDER
)
LAG_LAST_REFRESH_TIMESTAMP_SECONDS = gauge(
    "lag_last_refresh_timestamp_seconds", "When the lag exporter last had all its figures from Kafka."
)
CONSUMER_REBALANCES_TOTAL = counter("consumer_rebalances_total", "Rebalances finished.", group=GROUP)
CONSUMER_REBALANCE_DURATION_SECONDS = histogram(
    "consumer_rebalance_duration_seconds", "Duration of a rebalance with recovery.", LONG_SECONDS, group=GROUP
)

PROCESSOR_EVENTS_TOTAL = counter(
    "processor_events_total",
    "Events handled by a processor.",
    processor=PROCESSOR,
    outcome=("emitted", "duplicate", "late", "dead_lettered", "error"),
)
PROCESSOR_DURATION_SECONDS = histogram(
    "processor_duration_seconds", "Time to handle one event, its share of the batch.", SECONDS, processor=PROCESSOR
)
TABLE_KEYS = gauge("table_keys", "Keys in a table of state.", table=TABLE)
TABLE_SIZE_BYTES = gauge("table_size_bytes", "Size on disk of a table of state that is kept there.", table=TABLE)
TABLE_RECOVERY_REMAINING_RECORDS = gauge(
    "table_recovery_remaining_records",
    "Offsets left to read of the topic that state is rebuilt from, 0 when it is rebuilt.",
    table=TABLE,
)

VIEW_RECOUNTED_TIMESTAMP_SECONDS = gauge(
    "view_recounted_timestamp_seconds", "Time of a view's last recount over its topics.", view=VIEW
)
VIEW_MENDED_TOTAL = counter("view_mended_total", "Entries of a view that a recount had to mend.", view=VIEW)

SCHEMA_ERRORS_TOTAL = counter(
    "schema_errors_total",
    "Avro errors.",
    topic=TOPIC,
    operation=("serialize", "deserialize"),
    reason=("incompatible", "unknown_id", "malformed", "registry"),
)
SCHEMA_FALLBACK_TOTAL = counter(
    "schema_fallback_total", "Values decoded by ce_dataschema instead of the id.", topic=TOPIC
)
DLQ_RECORDS_TOTAL = counter(
    "dlq_records_total",
    "Records dead-lettered, by the topic or source they came from.",
    topic=TOPIC,
    reason=("malformed", "schema", "validation", "authorisation", "loop", "oversize", "delivery", "internal"),
)
DLQ_DEPTH_RECORDS = gauge(
    "dlq_depth_records", "Dead letters waiting for a decision, by the topic or source they came from.", topic=TOPIC
)
DLQ_OLDEST_RECORD_TIMESTAMP_SECONDS = gauge(
    "dlq_oldest_record_timestamp_seconds",
    "When the oldest dead letter that waits was set aside, 0 when none.",
    topic=TOPIC,
)
DLQ_REPLAYED_TOTAL = counter(
    "dlq_replayed_total",
    "Dead letters dealt with, by the topic or source they came from.",
    topic=TOPIC,
    outcome=("ok", "failed_again", "discarded"),
)

RECONCILIATION_DIFFERENCE_RECORDS = gauge(
    "reconciliation_difference_records",
    "Records not accounted for in the last closed hour, and in earlier ones that still do not add up.",
    pipeline=("read", "publish", "consolidate", "restrictions", "deliver"),
)
RECONCILIATION_JUDGED_TIMESTAMP_SECONDS = gauge(
    "reconciliation_judged_timestamp_seconds", "End of the last hour that was judged."
)

PROBE_PIPELINE = ("consolidate", "detect", "notify")
PROBE_ROUNDTRIP_SECONDS = histogram(
    "probe_roundtrip_seconds",
    "From sending the synthetic probe plan until a stage was done with it.",
    (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0),
    pipeline=PROBE_PIPELINE,
)
PROBE_LOST_TOTAL = counter(
    "probe_lost_total", "Probes that a stage was not done with in time.", pipeline=PROBE_PIPELINE
)

PLANS_BY_PHASE = gauge(
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
DETECTION_PAIRS_TOTAL = counter("detection_pairs_total", "Pairs examined.", stage=("candidate", "exact", "kept"))
DETECTION_BATCH_SECONDS = histogram(
    "detection_batch_seconds", "Time for one batch, decode to judgement.", SECONDS
).labels()
FINDINGS_OPEN = gauge(
    "findings_open",
    "Findings open.",
    record=("conflict", "opportunity"),
    rule=RULE,
    severity=("info", "warning", "blocking", "none"),
)
FINDINGS_TOTAL = counter(
    "findings_total",
    "Transitions of findings.",
    record=("conflict", "opportunity"),
    rule=RULE,
    transition=("opened", "changed", "closed", "rejected"),
)
RULES_INFO = gauge("rules_info", "Active rule set, value 1.", version=20)

CHANNEL = ("webhook", "kafka", "mail", "pull")
SINK_DELIVERIES_TOTAL = counter(
    "sink_deliveries_total",
    "Final outcome of an alert for a subscription.",
    partner=PARTNER,
    channel=CHANNEL,
    outcome=("delivered", "failed", "expired", "withheld"),
)
SINK_ATTEMPTS_TOTAL = counter(
    "sink_attempts_total",
    "Delivery attempts.",
    partner=PARTNER,
    channel=CHANNEL,
    result=("2xx", "3xx", "4xx", "429", "5xx", "timeout", "connect", "tls"),
)
SINK_REQUEST_DURATION_SECONDS = histogram(
    "sink_request_duration_seconds", "Duration of one attempt.", SECONDS, partner=PARTNER
)
SINK_PENDING_DELIVERIES = gauge("sink_pending_deliveries", "Deliveries waiting or in retry.", partner=PARTNER)
SINK_OLDEST_PENDING_TIMESTAMP_SECONDS = gauge(
    "sink_oldest_pending_timestamp_seconds",
    "When the oldest delivery was due, 0 when none is; what waits for the end of a pause is not due.",
    partner=PARTNER,
)
SINK_DUE_SINCE_TIMESTAMP_SECONDS = gauge(
    "sink_due_since_timestamp_seconds",
    "Since when an attempt could have been made or is under way, 0 when nothing may be tried now.",
    partner=PARTNER,
)
SINK_PAUSED_SINCE_TIMESTAMP_SECONDS = gauge(
    "sink_paused_since_timestamp_seconds",
    "Since when a subscription has been paused by whom: the oldest pause of a partner, 0 when none is.",
    partner=PARTNER,
    reason=("failing", "asked"),
)
SINK_LAST_SUCCESS_TIMESTAMP_SECONDS = gauge(
    "sink_last_success_timestamp_seconds", "Time of the last accepted delivery.", partner=PARTNER
)
SINK_CIRCUIT_STATE = gauge(
    "sink_circuit_state",
    "1 for the state of the circuit.",
    partner=PARTNER,
    state=("closed", "half_open", "open"),
)
DELIVERY_LATENCY_SECONDS = histogram(
    "delivery_latency_seconds",
    "Ingestion to acceptance by the partner.",
    (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0, 86400.0),
    pipeline=10,
    channel=CHANNEL,
    mode=("live", "replay"),
)
NOTIFICATIONS_SUPPRESSED_TOTAL = counter(
    "notifications_suppressed_total",
    "Not sent on purpose.",
    reason=("immaterial", "first_load"),
)

HTTP_REQUESTS_TOTAL = counter(
    "http_requests_total",
    "Requests to the edge, by the route that answered.",
    route=60,
    status_class=("2xx", "3xx", "4xx", "5xx"),
)

BUILD_INFO.labels(version=__version__).set(1)


def _begin_overflows() -> None:
    for metric in CATALOGUE.values():
        if metric.bounds and metric is not LABEL_OVERFLOW_TOTAL:
            LABEL_OVERFLOW_TOTAL.start(metric=metric.name)


_begin_overflows()
