"""Do plans flow and arrive? One look, from left to right the way of a record."""

from deploy.grafana.panels import GOOD_BELOW, Board, Panel, Query, Row

_NOW = Row(
    "Now",
    [
        Panel(
            "Sources within their objective",
            "stat",
            "Share of sources whose last good poll is not older than their own freshness objective. Below 100 %: "
            "open Sources. A source that was never read counts as late.",
            [Query('1 - avg(samenloop:source_stale:bool{job=~"$job"})')],
            "percentunit",
            4,
            4,
            ((None, "red"), (0.9, "orange"), (0.98, "green")),
            share=True,
        ),
        Panel(
            "Alerts accepted, last hour",
            "stat",
            "Share of the alerts that came to an end in the last hour and were accepted by their receiver. Alerts "
            "still in retry are not in it. 99 % is the objective of each partner.",
            [
                Query(
                    'sum(increase(samenloop_sink_deliveries_total{job=~"$job",outcome="delivered"}[1h])) / '
                    '(sum(increase(samenloop_sink_deliveries_total{job=~"$job",outcome=~"delivered|failed"}[1h])) > 0)'
                )
            ],
            "percentunit",
            4,
            4,
            ((None, "red"), (0.95, "orange"), (0.99, "green")),
            share=True,
            empty="none ended",
        ),
        Panel(
            "Change to partner, p99",
            "stat",
            "Time from the hub taking a change to the partner accepting the alert about it, 99th percentile of the "
            "last hour, live changes only. The objective is 30 s while the partner is up; a partner that was down "
            "shows here when it catches up.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (le) "
                    '(rate(samenloop_delivery_latency_seconds_bucket{job=~"$job",mode="live"}[1h])))'
                )
            ],
            "s",
            4,
            4,
            ((None, "green"), (30, "orange"), (300, "red")),
            empty="none delivered",
        ),
        Panel(
            "Worst lag",
            "stat",
            "Age of the oldest record that some stage or sink has not handled yet. Open Streams to see which. For "
            "webhook an alert that its partner does not take counts, too.",
            [Query('max(samenloop_consumer_lag_seconds{job=~"$job"})')],
            "s",
            4,
            4,
            ((None, "green"), (30, "orange"), (300, "red")),
        ),
        Panel(
            "Dead letters waiting",
            "stat",
            "Records that were set aside whole and wait for somebody's decision: `samenloop dead-letters list`.",
            [Query('sum(samenloop_dlq_depth_records{job=~"$job"})')],
            "short",
            4,
            4,
            ((None, "green"), (1, "orange"), (1000, "red")),
            empty="none",
        ),
        Panel(
            "Circuits that are open",
            "stat",
            "Partners whose receiver does not answer now, so that it is called less often. Their alerts wait in order.",
            [Query('sum(samenloop_sink_circuit_state{job=~"$job",state=~"open|half_open"})')],
            "short",
            4,
            4,
            GOOD_BELOW,
            empty="no partner yet",
        ),
    ],
)
_TRUTH = Row(
    "Is it true and does it run",
    [
        Panel(
            "Records not accounted for",
            "stat",
            "Difference between what went in and what became of it, over closed hours: 0 or something is wrong. "
            "`samenloop verify` names the records.",
            [Query('sum(abs(samenloop_reconciliation_difference_records{job=~"$job"}))')],
            "short",
            5,
            4,
            GOOD_BELOW,
        ),
        Panel(
            "Since the last account",
            "stat",
            "Time since the end of the last hour whose records were counted. Half an hour to an hour and a half is "
            "right; older, and the figure beside it says nothing.",
            [Query('time() - max(samenloop_reconciliation_judged_timestamp_seconds{job=~"$job"})')],
            "s",
            4,
            4,
            ((None, "green"), (7200, "orange"), (10800, "red")),
            empty="nobody counts",
        ),
        Panel(
            "Probe, p95 by stage",
            "bargauge",
            "A synthetic plan is sent through the hub every minute. Time until each stage was done with it, 95th "
            "percentile of the last ten minutes.",
            [
                Query(
                    "histogram_quantile(0.95, sum by (le, pipeline) "
                    '(rate(samenloop_probe_roundtrip_seconds_bucket{job=~"$job"}[10m])))',
                    "{{pipeline}}",
                )
            ],
            "s",
            6,
            4,
            ((None, "green"), (5, "orange"), (30, "red")),
            empty="no probe yet",
        ),
        Panel(
            "Probes lost",
            "stat",
            "Probes of the last hour that a stage did not handle in time. Real changes were as late.",
            [Query('sum(increase(samenloop_probe_lost_total{job=~"$job"}[1h]))')],
            "short",
            4,
            4,
            GOOD_BELOW,
        ),
        Panel(
            "Processes that do not answer",
            "stat",
            "Processes of the hub that Prometheus cannot ask. Their names stand below, under Processes.",
            [Query('sum(1 - up{job=~"samenloop.*",job=~"$job"})')],
            "short",
            5,
            4,
            GOOD_BELOW,
        ),
        Panel(
            "Processes",
            "table",
            "Every process of the hub that Prometheus knows of; one that does not answer comes first. It ended, "
            "hangs or cannot be reached.",
            [Query('sort(up{job=~"samenloop.*",job=~"$job"})')],
            "short",
            12,
            hidden=("Time", "__name__"),
            words={"0": "does not answer", "1": "answers"},
        ),
        Panel(
            "Series by process",
            "timeseries",
            "Series that each process shows to Prometheus. One that climbs without new sources or partners has a label "
            "that takes too many values.",
            [
                Query(
                    'max by (instance) (scrape_samples_post_metric_relabeling{job=~"samenloop.*",job=~"$job"})',
                    "{{instance}}",
                )
            ],
            "short",
            12,
        ),
    ],
)
_FLOW = Row(
    "Flow",
    [
        Panel(
            "Records by stage",
            "timeseries",
            "Changes that sources publish, and events that each stage handles, per second. All rise together when a "
            "source has news; one that stays flat while the one before it rises is stuck.",
            [
                Query(
                    'sum(rate(samenloop_source_records_total{job=~"$job",outcome=~"created|updated|removed"}'
                    "[$__rate_interval]))",
                    "sources",
                ),
                Query(
                    'sum by (processor) (rate(samenloop_processor_events_total{job=~"$job"}[$__rate_interval]))',
                    "{{processor}}",
                ),
                Query(
                    'sum(rate(samenloop_sink_deliveries_total{job=~"$job",outcome="delivered"}[$__rate_interval]))',
                    "accepted by partners",
                ),
            ],
            "ops",
            12,
        ),
        Panel(
            "Set aside, by reason",
            "bars",
            "Records that became dead letters, by reason. Validation is a source's data; schema is a deploy; "
            "delivery is an alert that was given up; internal is a bug of ours.",
            [
                Query(
                    'sum by (reason) (increase(samenloop_dlq_records_total{job=~"$job"}[$__rate_interval]))',
                    "{{reason}}",
                )
            ],
            "short",
            12,
        ),
        Panel(
            "Change to partner, distribution",
            "heatmap",
            "How long live changes took until the partner had accepted them. A second band far up is one partner "
            "catching up; a band that moves up as a whole is the hub.",
            [
                Query(
                    "sum by (le) (increase("
                    'samenloop_delivery_latency_seconds_bucket{job=~"$job",mode="live"}[$__rate_interval]))',
                    "{{le}}",
                )
            ],
            "s",
            24,
        ),
    ],
)

OVERVIEW = Board(
    "overview",
    "Samenloop / Overview",
    "Do plans flow and arrive? Start here; the other four say why not.",
    [_NOW, _TRUTH, _FLOW],
)
