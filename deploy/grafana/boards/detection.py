"""What is found between plans, by which rules, at what price?"""

from deploy.grafana.panels import Board, Panel, Query, Row

_FINDINGS = Row(
    "Findings",
    [
        Panel(
            "Open conflicts, by severity",
            "timeseries",
            "Works that are in each other's way now. blocking: they cannot both go on as planned.",
            [
                Query(
                    'sum by (severity) (samenloop_findings_open{job=~"$job",record="conflict"})',
                    "{{severity}}",
                )
            ],
            "short",
        ),
        Panel(
            "Open opportunities, by rule",
            "timeseries",
            "Works that could share a trench, a permit or a closure.",
            [
                Query(
                    'sum by (rule) (samenloop_findings_open{job=~"$job",record="opportunity"})',
                    "{{rule}}",
                )
            ],
            "short",
        ),
        Panel(
            "Plans by phase",
            "timeseries",
            "Plans in the shared state. A step down without a reason upstream: a source was applied that should have "
            "been held.",
            [Query('sum by (phase) (samenloop_plans_by_phase{job=~"$job"})', "{{phase}}")],
            "short",
        ),
        Panel(
            "Opened and closed in a day, by rule",
            "timeseries",
            "Findings of the last day. Mass opening or closing at once follows a change of rules or a large import.",
            [
                Query(
                    "sum by (rule, transition) (increase("
                    'samenloop_findings_total{job=~"$job",transition=~"opened|closed"}[1d]))',
                    "{{rule}} {{transition}}",
                )
            ],
            "short",
            12,
        ),
        Panel(
            "Rejected as false, by rule",
            "bargauge",
            "Share of the findings that ended in 28 days because somebody rejected them as false. Above 30 % nobody "
            "believes the rule any more.",
            [
                Query(
                    'sum by (rule) (increase(samenloop_findings_total{job=~"$job",transition="rejected"}[28d])) / '
                    "(sum by (rule) (increase("
                    'samenloop_findings_total{job=~"$job",transition=~"rejected|closed"}[28d])) > 0)',
                    "{{rule}}",
                )
            ],
            "percentunit",
            12,
            steps=((None, "green"), (0.1, "orange"), (0.3, "red")),
            share=True,
            empty="none ended",
        ),
    ],
)
_WORK = Row(
    "Work",
    [
        Panel(
            "Pairs examined",
            "timeseries",
            "Pairs of plans a second: candidate (near in space and time), exact (measured), kept (a finding). Many "
            "candidates for few kept: very large plans.",
            [
                Query(
                    'sum by (stage) (rate(samenloop_detection_pairs_total{job=~"$job"}[$__rate_interval]))',
                    "{{stage}}",
                )
            ],
            "ops",
        ),
        Panel(
            "Time for one batch, p99",
            "timeseries",
            "From decoding a batch to having judged it, 99th percentile.",
            [
                Query(
                    "histogram_quantile(0.99, sum by (le) "
                    '(rate(samenloop_detection_batch_seconds_bucket{job=~"$job"}[10m])))',
                    "p99",
                )
            ],
            "s",
        ),
        Panel(
            "Rules in force",
            "timeseries",
            "Version of the rules that judge. Two at once: workers run with different settings.",
            [Query('max by (version) (samenloop_rules_info{job=~"$job"})', "{{version}}")],
            "short",
        ),
    ],
)

DETECTION = Board(
    "detection",
    "Samenloop / Detection",
    "What is found between plans, by which rules, at what price?",
    [_FINDINGS, _WORK],
    since="now-24h",
)
