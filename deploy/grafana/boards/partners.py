"""Does every partner get what it should, and does the hub answer when asked?"""

from deploy.grafana.panels import Board, Panel, Query, Row, Variable

_NOW = Row(
    "Now",
    [
        Panel(
            "Accepted share, last day",
            "bargauge",
            "Share of a partner's alerts that ended in the last day and were accepted. The objective is 99 %.",
            [
                Query(
                    '1 - max by (partner) (samenloop:sink_deliveries_failed:ratio1d{job=~"$job",partner=~"$partner"})',
                    "{{partner}}",
                )
            ],
            "percentunit",
            steps=((None, "red"), (0.95, "orange"), (0.99, "green")),
            share=True,
            empty="none ended",
        ),
        Panel(
            "Since the last acceptance",
            "bargauge",
            "Time since a partner's receiver last accepted something. Long is right for one that is told little.",
            [
                Query(
                    "min by (partner) (time() - "
                    'samenloop_sink_last_success_timestamp_seconds{job=~"$job",partner=~"$partner"})',
                    "{{partner}}",
                )
            ],
            "s",
        ),
        Panel(
            "Circuits",
            "table",
            "closed is well; open means that the receiver failed several times in a row and is called less often; "
            "half_open tries one alert.",
            [Query('samenloop_sink_circuit_state{job=~"$job",partner=~"$partner"} == 1')],
            "short",
            hidden=("Time", "Value", "__name__", "instance", "job"),
        ),
        Panel(
            "Alerts that wait",
            "timeseries",
            "Alerts due or in retry, by partner. A hill while a receiver is down, down to 0 when it is back.",
            [
                Query(
                    'sum by (partner) (samenloop_sink_pending_deliveries{job=~"$job",partner=~"$partner"})',
                    "{{partner}}",
                )
            ],
            "short",
            12,
        ),
        Panel(
            "Oldest alert that waits",
            "timeseries",
            "How long ago the oldest alert that waits was due, 0 when none waits.",
            [
                Query(
                    "max by (partner) ((time() - "
                    'samenloop_sink_oldest_pending_timestamp_seconds{job=~"$job",partner=~"$partner"}) * '
                    '(samenloop_sink_oldest_pending_timestamp_seconds{job=~"$job",partner=~"$partner"} > bool 0))',
                    "{{partner}}",
                )
            ],
            "s",
            12,
            steps=((None, "green"), (3600, "red")),
        ),
        Panel(
            "Due and not sent",
            "timeseries",
            "How long ago an alert could have been sent, with no retry, tempo or pause before it. Seconds are right, "
            "minutes while a hill is worked through; rising with no attempt that ends, the sink itself does not move.",
            [
                Query(
                    "max by (instance, partner) ((time() - "
                    'samenloop_sink_due_since_timestamp_seconds{job=~"$job",partner=~"$partner"}) * '
                    '(samenloop_sink_due_since_timestamp_seconds{job=~"$job",partner=~"$partner"} > bool 0))',
                    "{{instance}} {{partner}}",
                )
            ],
            "s",
            12,
            steps=((None, "green"), (300, "red")),
        ),
        Panel(
            "Paused for",
            "timeseries",
            "How long a subscription of a partner has been paused, 0 while it is not. failing: the hub paused it "
            "after an alert was given up, and somebody must resume it; "
            "asked: the partner or an operator did. Its alerts wait, 29 days at most.",
            [
                Query(
                    "max by (partner, reason) ((time() - "
                    'samenloop_sink_paused_since_timestamp_seconds{job=~"$job",partner=~"$partner"}) * '
                    '(samenloop_sink_paused_since_timestamp_seconds{job=~"$job",partner=~"$partner"} > bool 0))',
                    "{{partner}} {{reason}}",
                )
            ],
            "s",
            12,
            steps=((None, "green"), (3600, "orange"), (1814400, "red")),
        ),
    ],
)
_ATTEMPTS = Row(
    "Attempts",
    [
        Panel(
            "Attempts by result",
            "bars",
            "What receivers answered. 4xx: they do not accept it; 429: not so fast; 5xx, timeout, connect: their "
            "trouble; tls: a certificate.",
            [
                Query(
                    "sum by (result) (increase("
                    'samenloop_sink_attempts_total{job=~"$job",partner=~"$partner"}[$__rate_interval]))',
                    "{{result}}",
                )
            ],
            "short",
        ),
        Panel(
            "Attempts that failed, worst ten",
            "timeseries",
            "Attempts an hour that were not accepted: the ten partners and results with the most.",
            [
                Query(
                    "topk(10, sum by (partner, result) (increase("
                    'samenloop_sink_attempts_total{job=~"$job",partner=~"$partner",result!="2xx"}[1h])))',
                    "{{partner}} {{result}}",
                )
            ],
            "short",
        ),
        Panel(
            "Duration of an attempt, p95",
            "timeseries",
            "Time until a receiver had answered, 95th percentile of an hour, the ten slowest. The hub waits 20 s.",
            [
                Query(
                    "topk(10, histogram_quantile(0.95, sum by (le, partner) (rate("
                    'samenloop_sink_request_duration_seconds_bucket{job=~"$job",partner=~"$partner"}[1h]))))',
                    "{{partner}}",
                )
            ],
            "s",
        ),
    ],
)
_ENDS = Row(
    "What was not delivered, and why",
    [
        Panel(
            "Ended without delivery, last day",
            "bargauge",
            "Alerts of a day that ended otherwise: failed (refused or given up), expired (a newer one came, or "
            "the subscription ended) or withheld (the partner may no longer see it).",
            [
                Query(
                    "sum by (partner, outcome) (increase(samenloop_sink_deliveries_total"
                    '{job=~"$job",partner=~"$partner",outcome!="delivered"}[1d]))',
                    "{{partner}} {{outcome}}",
                )
            ],
            "short",
            12,
        ),
        Panel(
            "Not told on purpose",
            "bars",
            "What notify held back: immaterial (too small a change to be told), or first_load, which is summed up.",
            [
                Query(
                    "sum by (reason) (increase("
                    'samenloop_notifications_suppressed_total{job=~"$job"}[$__rate_interval]))',
                    "{{reason}}",
                )
            ],
            "short",
            12,
        ),
    ],
)
_ASKING = Row(
    "Partners that ask",
    [
        Panel(
            "Requests to the edge",
            "timeseries",
            "Requests that the hub's HTTP side answered. 5xx is ours; 4xx the caller's.",
            [
                Query(
                    'sum by (status_class) (rate(samenloop_http_requests_total{job=~"$job"}[$__rate_interval]))',
                    "{{status_class}}",
                )
            ],
            "reqps",
        ),
        Panel(
            "Answers with a fault of ours",
            "timeseries",
            "Requests that were answered with 5xx, an hour: the ten routes with the most. 503 while the edge reads "
            "itself in, or Kafka is away; "
            "500 is a mistake of ours, and its log has it. A health check that says not ready is one as well.",
            [
                Query(
                    "topk(10, sum by (route) (increase("
                    'samenloop_http_requests_total{job=~"$job",status_class="5xx"}[1h])))',
                    "{{route}}",
                )
            ],
            "short",
        ),
        Panel(
            "Answers without fault, last hour",
            "stat",
            "Share of the requests of an hour that were not answered by 5xx. The objective is 99.9 %.",
            [
                Query(
                    '1 - sum(increase(samenloop_http_requests_total{job=~"$job",status_class="5xx"}[1h])) / '
                    '(sum(increase(samenloop_http_requests_total{job=~"$job"}[1h])) > 0)'
                )
            ],
            "percentunit",
            steps=((None, "red"), (0.99, "orange"), (0.999, "green")),
            share=True,
            empty="no requests",
        ),
    ],
)

PARTNERS = Board(
    "partners",
    "Samenloop / Partners",
    "Does every partner get what it should, and does the hub answer when asked?",
    [_NOW, _ATTEMPTS, _ENDS, _ASKING],
    [Variable("partner", "samenloop_sink_circuit_state")],
)
