"""Metrics: declared once, bounded, begun at 0."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from prometheus_client import generate_latest

from samenloop import metrics


def series() -> dict[str, float]:
    text = generate_latest(metrics.REGISTRY).decode()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    }


def test_constants_are_named_after_their_metric() -> None:
    """The constant is the full name in capitals without the prefix, so nobody has to look it up."""
    named = {name: value.name for name, value in vars(metrics).items() if isinstance(value, metrics.Labelled)}

    assert named
    for constant, name in named.items():
        assert name == f"samenloop_{constant.lower()}"


def test_names_follow_the_rules() -> None:
    """Prefix, base units, `_total` on counters and on nothing else, a help sentence."""
    for name, metric in metrics.CATALOGUE.items():
        assert re.fullmatch(r"samenloop_[a-z0-9_]+", name)
        assert name.endswith("_total") == (metric.kind.__name__ == "Counter")
        assert not name.endswith(("_ms", "_minutes", "_kb"))
        assert metric.help.endswith(".")


def test_known_series_begin_at_0() -> None:
    """A series that is known from the settings exists before its first event, or its first error would be invisible."""
    metrics.start(connector="file-snapshots", source="begun")

    found = series()
    polls = [name for name in found if name.startswith("samenloop_source_polls_total{") and 'source="begun"' in name]
    assert len(polls) == 8
    assert {found[name] for name in polls} == {0}
    assert 'samenloop_label_overflow_total{metric="samenloop_source_polls_total"}' in found
    assert not any("_created" in name for name in found)


def test_closed_labels_fold_what_they_do_not_know() -> None:
    """A value outside the closed set becomes `other` and is counted; capitals are the domain's, not ours."""
    before = metrics.LABEL_OVERFLOW_TOTAL.labels(metric="samenloop_detection_pairs_total")._value.get()
    kept = metrics.DETECTION_PAIRS_TOTAL.labels(stage="kept")._value.get()

    metrics.DETECTION_PAIRS_TOTAL.labels(stage="KEPT").inc()
    metrics.DETECTION_PAIRS_TOTAL.labels(stage="imagined").inc()

    found = series()
    assert found['samenloop_detection_pairs_total{stage="kept"}'] == kept + 1
    assert found['samenloop_detection_pairs_total{stage="other"}'] == 1
    assert found['samenloop_label_overflow_total{metric="samenloop_detection_pairs_total"}'] == before + 1


def test_open_labels_are_bounded() -> None:
    """However many names turn up, a label never takes more values than its bound."""
    for number in range(50):
        metrics.TABLE_KEYS.labels(table=f"table-{number}").set(number)

    tables = [name for name in series() if name.startswith("samenloop_table_keys{")]
    assert len(tables) == metrics.TABLE + 1
    assert 'samenloop_table_keys{table="other"}' in tables


def test_labels_must_all_be_given() -> None:
    """A forgotten or misspelt label is a bug that shows at once."""
    with pytest.raises(ValueError, match="has the labels"):
        metrics.SOURCE_POLLS_TOTAL.labels(source="a", outcome="ok")


def test_gauges_may_be_set_when_asked() -> None:
    """What is only known at a scrape is asked for at a scrape."""
    script = (
        "from samenloop import metrics\nfrom prometheus_client import generate_latest\n"
        "metrics.at_scrape(lambda: metrics.TABLE_KEYS.labels(table='plans').set(7))\n"
        "print(generate_latest(metrics.REGISTRY).decode())"
    )

    text = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert 'samenloop_table_keys{table="plans"} 7.0' in text


def test_a_closed_label_may_be_begun_alone() -> None:
    """A process that speaks of one channel begins the series of that channel only, and none it half knows."""
    metrics.start(partner="00000099000000001077", channel="webhook")

    found = [name for name in series() if 'partner="00000099000000001077"' in name]
    attempts = [name for name in found if name.startswith("samenloop_sink_attempts_total{")]
    assert len(attempts) == 8
    assert all('channel="webhook"' in name for name in attempts)
    assert any(name.startswith("samenloop_sink_request_duration_seconds_count{") for name in found)


def test_counts_wait_for_the_commit() -> None:
    """What a stage returned is counted when its loop calls again, once; what went with its partitions never is."""
    counted: list[str] = []
    after = metrics.AfterCommit()
    after.add(lambda: counted.append("a"))
    before = list(counted)
    after.now()
    after.now()
    after.add(lambda: counted.append("b"))
    after.drop()
    after.now()

    assert (before, counted) == ([], ["a"])


def test_an_overflow_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A label that has too many values is one line in the log, however often it is folded."""
    for number in range(metrics.VIEW + 3):
        metrics.VIEW_RECOUNTED_TIMESTAMP_SECONDS.labels(view=f"view-{number}").set(1)

    assert capsys.readouterr().err.count('"label.overflow"') == 1


def test_an_instant_that_nobody_set_is_not_shown() -> None:
    """A process that never judges, or never asks, does not say that it did so in 1970."""
    script = (
        "from samenloop import metrics\nfrom prometheus_client import generate_latest\n"
        "before = generate_latest(metrics.REGISTRY).decode()\n"
        "metrics.LAG_LAST_REFRESH_TIMESTAMP_SECONDS.labels().set(5)\n"
        "after = generate_latest(metrics.REGISTRY).decode()\n"
        "print('lag_last_refresh' in before, 'samenloop_lag_last_refresh_timestamp_seconds 5.0' in after)"
    )

    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout

    assert said.split() == ["False", "True"]
