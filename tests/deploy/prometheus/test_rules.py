"""The alert rules: sound, tried, and each with a page that says what to do."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import DOCS
from samenloop.localstack.prometheus import program
from tests.deploy.promql import RULES, labels_of, problems, rules, selectors

FOLDER = RULES.parent
RUNBOOKS = Path(__file__).parents[3] / "docs" / "operators" / "runbooks"
ALERTS = [rule for rule in rules() if "alert" in rule]
NAMES = sorted({rule["alert"] for rule in ALERTS})
TRIED = ("rules_test.yaml", "rules_test_days.yaml")
TESTS = [test for name in TRIED for test in yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))["tests"]]
HEADINGS = ["Meaning", "Effect on partners", "First three checks", "What to do", "When to call whom", "How to verify"]
ALWAYS = {"SamenloopWatchdog"}
"""Fires always, so there is nothing in which it stays silent."""


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `promtool` or `amtool`; the test is skipped where it is not."""
    binary = program(name)
    if binary is None:
        pytest.skip(f"no {name} on this machine: `make prometheus` fetches Debian's")
    return subprocess.run([str(binary), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)


def named(expr: str) -> set[str]:
    """Return the alerts that a trial asks about."""
    found = re.search(r'alertname=~?"([^"]+)"', expr)
    return set(found[1].split("|")) if found else set()


def test_promtool_finds_nothing() -> None:
    """Prometheus takes the rules, and none is there twice."""
    said = run("promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")

    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("name", TRIED)
def test_alerts_fire_and_stay_silent_as_tried(name: str) -> None:
    """Every trial of the rules comes out as written."""
    said = run("promtool", "test", "rules", name)

    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_alert_is_tried_both_ways(name: str) -> None:
    """For each alert there is something that fires it, and a time or a neighbour for which it stays silent."""
    mine = [(test, trial) for test in TESTS for trial in test["promql_expr_test"] if name in named(trial["expr"])]

    assert any(trial["exp_samples"] for _, trial in mine)
    assert name in ALWAYS or any(not trial["exp_samples"] or _has_more(test, trial) for test, trial in mine)


def _has_more(test: dict[str, Any], trial: dict[str, Any]) -> bool:
    """Whether the input has values of the label that is counted by which must not fire."""
    label = re.findall(r"by \((\w+)", trial["expr"])[0]
    there, expected = (
        set(re.findall(rf'{label}="([^"]+)"', " ".join(texts)))
        for texts in (
            [series["series"] for series in test["input_series"]],
            [sample["labels"] for sample in trial["exp_samples"]],
        )
    )
    return bool(there - expected)


def test_rules_ask_for_what_exists() -> None:
    """Every metric, label and value in a rule is in the catalogue, recorded, or Prometheus' or the broker's own."""
    wrong = [f"{rule.get('alert') or rule['record']}: {p}" for rule in rules() for p in problems(rule["expr"])]

    assert wrong == []


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels'].get('window', '')}")
def test_every_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """It has a severity, its words, a page with all its parts, and a panel of a dashboard that exists."""
    words = rule["annotations"]
    name, page = rule["alert"], (RUNBOOKS / f"{rule['alert']}.md")
    uid = words["dashboard"].removeprefix("/d/").partition("?")[0]
    titles = {board.uid: {panel.title for panel in board.panels} for board in BOARDS}

    assert re.fullmatch(r"Samenloop[A-Z][A-Za-z]+", name)
    assert rule["labels"]["severity"] in ("critical", "warning", "none")
    assert words.keys() == {"summary", "description", "runbook_url", "dashboard", "panel"}
    assert len(words["summary"]) < 120 < len(words["description"])
    assert words["runbook_url"] == f"{DOCS}/operators/runbooks/{name}/"
    assert words["panel"] in titles[uid]
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == HEADINGS
    checks = text.partition("## First three checks")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\d\. ", checks, re.MULTILINE)) == 3
    assert set(re.findall(r"\*\*([^*]+)\*\*", checks)) & {title for board in titles.values() for title in board}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: f"{rule['alert']}-{rule['labels'].get('window', '')}")
def test_words_name_only_labels_of_the_result(rule: dict[str, Any]) -> None:
    """Prometheus shows nothing for a label that the rule itself adds, or that its result does not have."""
    asked = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
    kept = set().union(*[labels_of(selector.name) for selector in selectors(rule["expr"])])
    replaced = set(re.findall(r', "(\w+)", "\w+", "", ""', rule["expr"]))

    assert asked <= (kept | replaced)
    assert not (asked & rule["labels"].keys()) - replaced


def test_no_page_is_of_an_alert_that_is_not() -> None:
    """Runbooks and alerts are the same names, and the list of alerts has them all."""
    page = (RUNBOOKS.parent / "alerts.md").read_text(encoding="utf-8")

    assert sorted(path.stem for path in RUNBOOKS.glob("*.md")) == NAMES
    assert [name for name in NAMES if f"(runbooks/{name}.md)" not in page] == []


def test_routing_sends_each_severity_where_it_belongs() -> None:
    """Alertmanager takes the example; critical wakes, warnings wait for the day, the watchdog goes to its switch."""
    said = run("amtool", "check-config", "alertmanager.yaml")
    assert said.returncode == 0, said.stdout + said.stderr
    for labels, receiver in {
        "severity=critical alertname=SamenloopSourceStale job=samenloop": "wake",
        "severity=warning alertname=SamenloopFalseAlarms job=samenloop": "working-hours",
        "severity=none alertname=SamenloopWatchdog job=samenloop": "dead-mans-switch",
    }.items():
        routed = run("amtool", "config", "routes", "test", "--config.file=alertmanager.yaml", *labels.split())

        assert routed.stdout.split() == [receiver], routed.stderr
