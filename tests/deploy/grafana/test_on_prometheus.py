"""Every query of every panel, asked of a Prometheus that scraped the hub while the demonstration played."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from deploy.grafana.__main__ import FOLDER
from samenloop.localstack.prometheus import Prometheus, program
from tests.deploy.promql import ask

pytestmark = pytest.mark.timeout(450)
OF_ANOTHER_DAY = "samenloop-sources / Publication to hub, p90:"
"""The demonstration plays in a year of its own, so nothing in it was published before it came; the drills show it."""


class Past(NamedTuple):
    """A Prometheus over what was scraped, and when the last process began to end (seconds)."""

    url: str
    end: float


@pytest.fixture(scope="module")
def past(played_demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    """What Prometheus kept of the demonstration, served again; nothing is scraped any more."""
    binary = program("prometheus")
    if binary is None:
        pytest.skip("no Prometheus on this machine: `make prometheus` fetches Debian's")
    folder: Path = tmp_path_factory.mktemp("past")
    shutil.copytree(played_demo.folder / "prometheus" / "data", folder / "data")
    with Prometheus(binary, folder) as prometheus:
        last = ask(prometheus.url, "status/tsdb")["headStats"]["maxTime"] / 1000
        span = {"start": last - 120, "end": last, "step": 1}
        (whole,) = ask(prometheus.url, "query_range", query="sum(up) == count(up)", **span)["result"]
        yield Past(prometheus.url, float(whole["values"][-1][0]))


def asked(target: dict[str, Any]) -> str:
    """Return a query as Grafana sends it when everything is chosen."""
    expr = target["expr"].replace("$__rate_interval", "1m")
    return re.sub(r"\$[a-z]+", ".+", expr)


def test_every_process_was_scraped(past: Past) -> None:
    """Every part of the hub is a target under its own name."""
    found = ask(
        past.url, "query", query='group by (instance) (max_over_time(up{job="samenloop"}[10m]) == 1)', time=past.end
    )
    parts = {row["metric"]["instance"] for row in found["result"]}

    assert parts >= {"stream consolidate", "stream detect", "stream notify", "sink webhook", "edge", "conservation"}
    assert any(part.startswith("source ") for part in parts)


def test_no_query_errs_and_none_is_empty(past: Past) -> None:
    """Every panel shows something of a hub that works, over the time it worked."""
    empty, nameless = [], []
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel.get("targets", []):
                expr = asked(target)
                span = {"start": past.end - 600, "end": past.end, "step": 2}
                found = ask(past.url, "query_range", query=expr, **span)["result"]
                shown = [
                    row for row in found if any(value not in ("NaN", "+Inf", "-Inf") for _, value in row["values"])
                ]
                if not shown:
                    empty.append(f"{path.stem} / {panel['title']}: {expr}")
                wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                if any(wanted - row["metric"].keys() for row in found):
                    nameless.append(f"{path.stem} / {panel['title']}: {target['legendFormat']}")

    assert [line for line in empty if not line.startswith(OF_ANOTHER_DAY)] == []
    assert nameless == []


def test_nothing_critical_fires_on_a_hub_that_works(past: Past) -> None:
    """The rules are judged in the demonstration as for an operator: nobody is woken, the watchdog barks."""
    found = ask(past.url, "query", query='ALERTS{alertstate="firing"}', time=past.end)["result"]
    firing = {row["metric"]["alertname"] for row in found if row["metric"]["severity"] != "warning"}

    assert firing == {"SamenloopWatchdog"}
