"""The dashboards as they are committed: whole, importable, and asking only for what exists."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from deploy.grafana.__main__ import FOLDER
from deploy.grafana.panels import DOCS
from deploy.grafana.write import files
from tests.deploy.promql import problems, rules, selectors

ROOT = Path(__file__).parents[3]
NAMES = ("overview", "sources", "streams", "partners", "detection")
KINDS = {"row", "stat", "timeseries", "bargauge", "gauge", "table", "heatmap", "text"}
"""Panels that every Grafana since 8 draws."""
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}


def panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from (panel for panel in board["panels"] if panel["type"] != "row")


def queries(board: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield every query as Prometheus gets it, with the panel's title."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m")


def test_they_are_as_committed() -> None:
    """Dashboards are written by `python -m deploy.grafana` and by nothing else: run `make dashboards`."""
    made = files()

    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.iterdir()} == made
    assert set(BOARDS) == {f"samenloop-{name}" for name in NAMES}


@pytest.mark.parametrize("uid", BOARDS)
def test_grafana_can_import_it(uid: str) -> None:
    """It has its uid and no id of a database; its data source and its job are chosen, and every query follows both."""
    board = BOARDS[uid]
    choices = {choice["name"]: choice for choice in board["templating"]["list"]}

    assert board["uid"] == uid
    assert "id" not in board
    assert board["schemaVersion"] >= 36
    assert board["annotations"] == {"list": []}
    assert choices["datasource"]["type"] == "datasource"
    assert choices["datasource"]["query"] == "prometheus"
    assert list(choices)[:2] == ["datasource", "job"]
    for choice in list(choices.values())[1:]:
        assert (choice["multi"], choice["includeAll"], choice["current"]["value"]) == (True, True, ["$__all"])
    for panel in panels(board):
        for target in panel["targets"]:
            assert target["datasource"] == panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        used = set(re.findall(r"\$([a-z]+)", json.dumps(panel["targets"]))) - {"datasource"}
        assert used <= choices.keys(), panel["title"]


@pytest.mark.parametrize("uid", BOARDS)
def test_every_panel_says_what_it_is(uid: str) -> None:
    """Every panel has an id, a unit, a description and a link to its paragraph; none covers another."""
    page = (ROOT / "docs" / "reference" / "dashboards.md").read_text(encoding="utf-8")
    board = BOARDS[uid]
    ids = [panel["id"] for panel in board["panels"]]
    titles = [panel["title"] for panel in panels(board)]

    assert len(set(ids)) == len(ids)
    assert len(set(titles)) == len(titles)
    for panel in panels(board):
        assert panel["type"] in KINDS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert len(panel["description"]) > 40, panel["title"]
        (link,) = panel["links"]
        assert link["url"].startswith(f"{DOCS}/reference/dashboards/#{board['uid'].removeprefix('samenloop-')}-")
        assert f'<a id="{link["url"].partition("#")[2]}"></a>' in page
    for one, other in combinations([panel["gridPos"] for panel in board["panels"]], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        assert beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])


@pytest.mark.parametrize("uid", BOARDS)
def test_tables_and_bars_show_what_is_now(uid: str) -> None:
    """Stat, bar gauge and table ask for the value of now: else a source that is gone would stay. Shares go to 1."""
    for panel in panels(BOARDS[uid]):
        for target in panel["targets"]:
            assert target["instant"] == (panel["type"] in ("stat", "bargauge", "table")), panel["title"]
            assert (target["format"] == "table") == (panel["type"] == "table")
            assert (target["format"] == "heatmap") == (panel["type"] == "heatmap")
        if "share" in panel["title"].lower():
            assert (panel["fieldConfig"]["defaults"]["min"], panel["fieldConfig"]["defaults"]["max"]) == (0, 1)


@pytest.mark.parametrize("uid", BOARDS)
def test_queries_ask_for_what_exists(uid: str) -> None:
    """Every metric, label and value of a closed label is in the catalogue or a recording rule; `job` is matched."""
    wrong = [f"{title}: {problem}" for title, expr in queries(BOARDS[uid]) for problem in problems(expr)]
    loose = [
        title
        for title, expr in queries(BOARDS[uid])
        if any(("job", "Re", "$job") not in selector.matchers for selector in selectors(expr))
    ]

    assert wrong == []
    assert loose == []


def test_choices_ask_for_what_exists() -> None:
    """What a variable lists is the label of a metric that there is."""
    for board in BOARDS.values():
        for choice in board["templating"]["list"][1:]:
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", choice["definition"])
            assert found is not None
            assert problems(f"count by ({found[2]}) ({found[1]})") == []


def test_wrong_queries_are_noticed() -> None:
    """The check of names is none that always holds."""
    assert problems('sum by (stage) (rate(samenloop_processor_events_total{outcome="lost"}[5m]))') == [
        "samenloop_processor_events_total: outcome is never lost",
        "no selector has the label stage",
    ]
    assert problems("samenloop_processed_total") == ["samenloop_processed_total: no such metric"]


def test_what_is_recorded_is_used() -> None:
    """Every recording rule serves a panel or an alert."""
    asked = {
        selector.name
        for expr in [expr for board in BOARDS.values() for _, expr in queries(board)]
        + [rule["expr"] for rule in rules()]
        for selector in selectors(expr)
    }

    assert [rule["record"] for rule in rules() if "record" in rule and rule["record"] not in asked] == []
