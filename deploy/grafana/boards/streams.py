"""Does every stage and sink keep up, and does Kafka keep what they need?"""

from deploy.grafana.panels import GOOD_BELOW, Board, Panel, Query, Row, Variable

_LAG = Row(
    "Lag",
    [
        Panel(
            "Lag in time",
            "timeseries",
            "Age of the oldest record that a group has not handled. Rising by a second a second: it stands still.",
            [
                Query(
                    'max by (group) (samenloop_consumer_lag_seconds{job=~"$job",group=~"$group"})',
                    "{{group}}",
                )
            ],
            "s",
            steps=((None, "green"), (300, "red")),
        ),
        Panel(
            "Lag in records",
            "timeseries",
            "Records that wait for a group. A backfill makes a hill that goes down again.",
            [
                Query(
                    'sum by (group) (samenloop_consumer_lag_records{job=~"$job",group=~"$group"})',
                    "{{group}}",
                )
            ],
            "short",
        ),
        Panel(
            "Lag by partition",
            "bargauge",
            "The twenty partitions with the most records waiting. One alone: a poison record or a partition nobody "
            "owns. All of a topic: the process is down or slow.",
            [
                Query(
                    'topk(20, samenloop_consumer_lag_records{job=~"$job",group=~"$group"})',
                    "{{group}} {{topic}}/{{partition}}",
                )
            ],
            "short",
            steps=((None, "green"), (100, "orange"), (10000, "red")),
        ),
        Panel(
            "Progress and growth",
            "timeseries",
            "Offsets a second that groups pass, beside those that topics grow by. Below the growth for long: it needs "
            "more room than it has.",
            [
                Query(
                    'sum by (group) (samenloop:consumer_progress:rate5m{job=~"$job",group=~"$group"})',
                    "{{group}} passes",
                ),
                Query('sum by (topic) (samenloop:topic_growth:rate5m{job=~"$job"})', "{{topic}} grows"),
            ],
            "ops",
            12,
        ),
        Panel(
            "Distance to retention",
            "bargauge",
            "Share of what a topic keeps that lies between what a group has read and what Kafka will delete next. "
            "100 % is up to date; near 0 % on a topic that deletes, records are about to be lost.",
            [
                Query(
                    'min by (group, topic) (samenloop:consumer_retention_left:ratio{job=~"$job",group=~"$group"})',
                    "{{group}} {{topic}}",
                )
            ],
            "percentunit",
            12,
            steps=((None, "red"), (0.1, "orange"), (0.5, "green")),
            share=True,
        ),
    ],
)
_WORKERS = Row(
    "Workers",
    [
        Panel(
            "Rebalances an hour",
            "timeseries",
            "How often the work of a group was divided anew in an hour. A deploy makes a few; many mean that a worker "
            "restarts again and again.",
            [
                Query(
                    'sum by (group) (increase(samenloop_consumer_rebalances_total{job=~"$job",group=~"$group"}[1h]))',
                    "{{group}}",
                )
            ],
            "short",
        ),
        Panel(
            "Workers of a group",
            "timeseries",
            "Workers that Kafka knows of, standbys included. 0: nobody does this work.",
            [
                Query(
                    'max by (group) (samenloop_consumer_members{job=~"$job",group=~"$group"})',
                    "{{group}}",
                )
            ],
            "short",
        ),
        Panel(
            "Partitions that nobody owns",
            "bargauge",
            "Partitions of a group's input that no worker holds: what falls into them waits.",
            [
                Query(
                    'max by (group) (samenloop_consumer_unowned_partitions{job=~"$job",group=~"$group"})',
                    "{{group}}",
                )
            ],
            "short",
            steps=GOOD_BELOW,
        ),
        Panel(
            "Events by outcome",
            "timeseries",
            "Events that stages and sinks handled. duplicate after a restart or a replay is right; error is not.",
            [
                Query(
                    "sum by (processor, outcome) "
                    '(rate(samenloop_processor_events_total{job=~"$job"}[$__rate_interval]))',
                    "{{processor}} {{outcome}}",
                )
            ],
            "ops",
            12,
        ),
        Panel(
            "Time for one event, p99",
            "timeseries",
            "An event's share of its batch, 99th percentile. It leaves out the wait in Kafka, which is the lag.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (le, processor) "
                    '(rate(samenloop_processor_duration_seconds_bucket{job=~"$job"}[10m])))',
                    "{{processor}}",
                )
            ],
            "s",
            12,
        ),
    ],
)
_STATE = Row(
    "State",
    [
        Panel(
            "Keys of tables",
            "timeseries",
            "Keys that stages and views hold. A table that shrinks by itself has lost something.",
            [Query('max by (table) (samenloop_table_keys{job=~"$job"})', "{{table}}")],
            "short",
        ),
        Panel(
            "Tables on disk",
            "timeseries",
            "Size of the tables that are kept on disk, such as the edge's read model.",
            [Query('max by (table) (samenloop_table_size_bytes{job=~"$job"})', "{{table}}")],
            "bytes",
            empty="all in memory",
        ),
        Panel(
            "Recovery left",
            "timeseries",
            "Records left to read until a process has its state again after a start. It is ready at 0.",
            [Query('max by (table) (samenloop_table_recovery_remaining_records{job=~"$job"})', "{{table}}")],
            "short",
        ),
    ],
)
_KAFKA = Row(
    "Kafka and Avro",
    [
        Panel(
            "Open transactions",
            "bargauge",
            "How long a transaction has been open in each topic; nothing behind it can be read. More than a few "
            "seconds: it hangs.",
            [
                Query(
                    'max by (topic) ((time() - samenloop_transaction_open_since_timestamp_seconds{job=~"$job"}) * '
                    '(samenloop_transaction_open_since_timestamp_seconds{job=~"$job"} > bool 0))',
                    "{{topic}}",
                )
            ],
            "s",
            6,
            steps=((None, "green"), (10, "orange"), (20, "red")),
        ),
        Panel(
            "Free room of brokers",
            "timeseries",
            "Free share of each volume that brokers keep their logs on. A broker whose disk is full stops. Nothing "
            "here: they do not tell, or the lag exporter may not ask (Describe on the cluster); watch them otherwise.",
            [
                Query(
                    'min by (broker, folder) (samenloop:broker_disk_free:ratio{job=~"$job"})',
                    "{{broker}} {{folder}}",
                )
            ],
            "percentunit",
            6,
            steps=((None, "red"), (0.05, "orange"), (0.15, "green")),
            share=True,
            empty="not told",
        ),
        Panel(
            "Records produced",
            "timeseries",
            "Records that Kafka acknowledged or refused. failed is never right.",
            [
                Query(
                    'sum by (outcome) (rate(samenloop_producer_records_total{job=~"$job"}[$__rate_interval]))',
                    "{{outcome}}",
                )
            ],
            "ops",
            6,
        ),
        Panel(
            "Avro errors",
            "bars",
            "Values that could not be read or written, by operation and reason. unknown_id: a producer used a schema "
            "that the registry does not have.",
            [
                Query(
                    "sum by (operation, reason) "
                    '(increase(samenloop_schema_errors_total{job=~"$job"}[$__rate_interval]))',
                    "{{operation}} {{reason}}",
                ),
                Query(
                    'sum(increase(samenloop_schema_fallback_total{job=~"$job"}[$__rate_interval]))',
                    "read by ce_dataschema instead",
                ),
            ],
            "short",
            6,
        ),
    ],
)
_LETTERS = Row(
    "Dead letters",
    [
        Panel(
            "Dead letters waiting, by origin",
            "timeseries",
            "Records that wait for a decision, by the topic or source they came from.",
            [Query('sum by (topic) (samenloop_dlq_depth_records{job=~"$job"})', "{{topic}}")],
            "short",
            empty="none",
        ),
        Panel(
            "Oldest dead letter",
            "bargauge",
            "How long the oldest one of each origin has waited. After 30 days Kafka forgets it.",
            [
                Query(
                    'max by (topic) ((time() - samenloop_dlq_oldest_record_timestamp_seconds{job=~"$job"}) * '
                    '(samenloop_dlq_oldest_record_timestamp_seconds{job=~"$job"} > bool 0))',
                    "{{topic}}",
                )
            ],
            "s",
            steps=((None, "green"), (86400, "orange"), (1209600, "red")),
            empty="none",
        ),
        Panel(
            "Dead letters coming in",
            "timeseries",
            "Records set aside an hour: the ten origins and reasons with the most.",
            [
                Query(
                    'topk(10, sum by (topic, reason) (increase(samenloop_dlq_records_total{job=~"$job"}[1h])))',
                    "{{topic}} {{reason}}",
                )
            ],
            "short",
        ),
    ],
)

STREAMS = Board(
    "streams",
    "Samenloop / Streams",
    "Does every stage and sink keep up, and does Kafka keep what they need?",
    [_LAG, _WORKERS, _STATE, _KAFKA, _LETTERS],
    [Variable("group", "samenloop_consumer_lag_records")],
    "now-3h",
)
