"""The invented region: exports that read without a remark, and a scenario in which everything happens."""

from pathlib import Path

import pytest

from samenloop.demo import expected, workplace
from samenloop.demo.region import BROKEN_WEEK, GEMEENTE, SOURCES, WEEKS, exports, street_at
from samenloop.model import AlertReason
from samenloop.rules import load_rules


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's folder, furnished."""
    folder = tmp_path_factory.mktemp("demo")
    workplace.furnish(
        folder,
        bootstrap="127.0.0.1:9092",
        registry_url="http://127.0.0.1:8081",
        feed_url="http://127.0.0.1:8082/planning.xml",
        edge_port=8083,
    )
    return folder


def test_the_same_week_gives_the_same_bytes() -> None:
    """Exports depend on the week alone, and every organisation delivers every week."""
    assert [exports(week) for week in range(1, WEEKS + 1)] == [exports(week) for week in range(1, WEEKS + 1)]
    assert all([export.source for export in exports(week)] == list(SOURCES) for week in range(1, WEEKS + 1))


def test_the_broken_export_removes_nothing(folder: Path) -> None:
    """The error page of week 5 leaves the municipality's plans as they were."""
    weeks = [plans for plans, _ in expected.truth(folder, load_rules(None))]
    of_town = [{key for key, plan in plans.items() if plan.owner.oin == GEMEENTE[0]} for plans in weeks]

    assert of_town[BROKEN_WEEK - 1] == of_town[BROKEN_WEEK - 2]


def test_everything_happens_in_twelve_weeks(folder: Path) -> None:
    """Conflicts open and dissolve by shift, by reroute and by cancellation; a work that was absent a week stays."""
    found = [findings for _, findings in expected.truth(folder, load_rules(None))]
    conflicts = [{key for key, one in week.items() if one.ruling.rule_id == "CLASH.WORKS"} for week in found]

    assert len(conflicts[0]) == 4
    assert len(set.union(*conflicts)) == 8
    assert len(conflicts[-1]) == 2
    assert all(len(week) > len(clashes) for week, clashes in zip(found, conflicts, strict=True))


def test_a_subscriber_hears_of_what_begins_and_ends(folder: Path) -> None:
    """Nothing is expected twice in a row for one subject, and an end only after a beginning or the first summary."""
    told = expected.expected_alerts(folder, load_rules(None), GEMEENTE[0])
    by_subject = {subject: [reason for s, reason in told if s == subject] for subject, _ in told}

    assert len(told) > 30
    assert all(
        reasons in ([AlertReason.NEW], [AlertReason.ENDED], [AlertReason.NEW, AlertReason.ENDED])
        for reasons in by_subject.values()
    )


def test_what_was_told_in_another_order_is_missing() -> None:
    """For one subject the order counts; more than was wanted may be told."""
    new, ended = ("a", AlertReason.NEW), ("a", AlertReason.ENDED)

    assert expected.missing([new, ended], [new, ended, new]) == []
    assert expected.missing([new, ended], [ended, new]) == [ended]


def test_a_place_has_its_street() -> None:
    """The middle of the Lindelaan lies in the Lindelaan."""
    assert street_at(181_110, 434_004) == "Lindelaan"
