"""Is every source read, and what does it bring?"""

from deploy.grafana.panels import Board, Panel, Query, Row, Variable

_FRESH = Row(
    "Freshness",
    [
        Panel(
            "Since the last success",
            "bargauge",
            "Time since the last poll that succeeded. Grows without end when a source is down, stuck or refused.",
            [
                Query(
                    "min by (source) (time() - "
                    'samenloop_source_last_success_timestamp_seconds{job=~"$job",source=~"$source"})',
                    "{{source}}",
                )
            ],
            "s",
        ),
        Panel(
            "Over its objective",
            "bargauge",
            "Time since the last success as a part of the source's own objective: above 100 % it is "
            "late, above 300 % it wakes somebody.",
            [
                Query(
                    "min by (source) ((time() - "
                    'samenloop_source_last_success_timestamp_seconds{job=~"$job",source=~"$source"}) / '
                    'samenloop_source_freshness_objective_seconds{job=~"$job",source=~"$source"})',
                    "{{source}}",
                )
            ],
            "percentunit",
            steps=((None, "green"), (1, "orange"), (3, "red")),
        ),
        Panel(
            "Since the newest record",
            "bargauge",
            "Age of the newest publication that the source itself names. Old here and fresh on the left: the source is "
            "quiet, not broken. 0 when it names a moment that is yet to come.",
            [
                Query(
                    "clamp_min(min by (source) (time() - "
                    'samenloop_source_newest_record_timestamp_seconds{job=~"$job",source=~"$source"}), 0)',
                    "{{source}}",
                )
            ],
            "s",
        ),
        Panel(
            "State of every source",
            "table",
            "running, held (a delivery waits for an operator's decision) or failed.",
            [Query('samenloop_source_state{job=~"$job",source=~"$source"} == 1')],
            "short",
            12,
            hidden=("Time", "Value", "__name__", "instance", "job"),
        ),
        Panel(
            "Publication to hub, p90",
            "timeseries",
            "Time from publication at the source to the hub having it, 90th percentile of six hours. Most of it is the "
            "source's own delay, so it is not in our objective.",
            [
                Query(
                    "histogram_quantile(0.9, sum by (le, source) (rate("
                    'samenloop_source_record_age_seconds_bucket{job=~"$job",source=~"$source"}[6h])))',
                    "{{source}}",
                )
            ],
            "s",
            12,
        ),
    ],
)
_POLLS = Row(
    "Polls",
    [
        Panel(
            "Polls by outcome",
            "bars",
            "unchanged is a good poll without news. auth: a credential; rate_limited and timeout: the other side; "
            "http_error: its server; parse_error: its export changed; held: an export too odd to believe.",
            [
                Query(
                    "sum by (outcome) (increase("
                    'samenloop_source_polls_total{job=~"$job",source=~"$source"}[$__rate_interval]))',
                    "{{outcome}}",
                )
            ],
            "short",
        ),
        Panel(
            "Polls that failed",
            "timeseries",
            "Polls an hour that did not succeed, by source and what they ran into.",
            [
                Query(
                    "sum by (source, outcome) (increase(samenloop_source_polls_total"
                    '{job=~"$job",source=~"$source",outcome!~"ok|unchanged"}[1h]))',
                    "{{source}} {{outcome}}",
                )
            ],
            "short",
        ),
        Panel(
            "Duration of a poll, p95",
            "timeseries",
            "Fetching, comparing and publishing together, 95th percentile of six hours. A duration near the pause "
            "between polls means that the source is polled too often.",
            [
                Query(
                    "histogram_quantile(0.95, sum by (le, source) (rate("
                    'samenloop_source_poll_duration_seconds_bucket{job=~"$job",source=~"$source"}[6h])))',
                    "{{source}}",
                )
            ],
            "s",
        ),
    ],
)
_RECORDS = Row(
    "Records",
    [
        Panel(
            "Records by outcome",
            "bars",
            "What became of the records read: created, updated, removed, unchanged or rejected; together they are all "
            "that was read.",
            [
                Query(
                    "sum by (outcome) (increase("
                    'samenloop_source_records_total{job=~"$job",source=~"$source"}[$__rate_interval]))',
                    "{{outcome}}",
                )
            ],
            "short",
            12,
        ),
        Panel(
            "Rejected share, last day",
            "bargauge",
            "Share of the records of a day that could not be taken. `samenloop dead-letters list --source` names each "
            "with the field and the fix.",
            [
                Query(
                    "sum by (source) (increase("
                    'samenloop_source_records_total{job=~"$job",source=~"$source",outcome="rejected"}[1d])) / '
                    "(sum by (source) (increase("
                    'samenloop_source_records_total{job=~"$job",source=~"$source"}[1d])) > 0)',
                    "{{source}}",
                )
            ],
            "percentunit",
            12,
            steps=((None, "green"), (0.01, "orange"), (0.05, "red")),
            share=True,
            empty="nothing read",
        ),
    ],
)

SOURCES = Board(
    "sources",
    "Samenloop / Sources",
    "Is every source read in time, and what does it bring? Quiet is not broken: compare the first three panels.",
    [_FRESH, _POLLS, _RECORDS],
    [Variable("source", "samenloop_source_info")],
)
