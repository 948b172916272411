"""The invented region: exports that read without a remark, and a scenario in which everything happens."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import shapely.geometry

from samenloop.demo import expected, permits, workplace
from samenloop.demo.dispatch import REQUESTS, events
from samenloop.demo.permits import DECIDED
from samenloop.demo.region import BROKEN_WEEK, GEMEENTE, NETBEHEERDER, SOURCES, WATERSCHAP, WEEKS, exports, street_at
from samenloop.demo.roads import PUBLISHED, publication
from samenloop.model import AlertReason, Plan, Visibility
from samenloop.oracle import Expected
from samenloop.rules import load_rules

Weeks = list[tuple[dict[str, Plan], dict[str, Expected]]]


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


@pytest.fixture(scope="module")
def weeks(folder: Path) -> Weeks:
    """The truth of every week: plans and findings by id."""
    return list(expected.truth(folder, load_rules(None)))


@pytest.fixture(scope="module")
def told(folder: Path) -> list[expected.Told]:
    """What the municipality is to be told."""
    return expected.expected_alerts(folder, load_rules(None), GEMEENTE[0])


def test_the_same_week_gives_the_same_bytes() -> None:
    """Exports depend on the week alone, and every organisation delivers every week."""
    assert [exports(week) for week in range(1, WEEKS + 1)] == [exports(week) for week in range(1, WEEKS + 1)]
    assert all([export.source for export in exports(week)] == list(SOURCES) for week in range(1, WEEKS + 1))


def test_the_broken_export_removes_nothing(weeks: Weeks) -> None:
    """The error page of week 5 leaves the municipality's plans as they were."""
    of_town = [{key for key, plan in plans.items() if plan.owner.oin == GEMEENTE[0]} for plans, _ in weeks]

    assert of_town[BROKEN_WEEK - 1] == of_town[BROKEN_WEEK - 2]


def test_everything_happens_in_twelve_weeks(weeks: Weeks) -> None:
    """Conflicts open and dissolve by shift, by reroute and by cancellation; a work that was absent a week stays."""
    found = [findings for _, findings in weeks]
    conflicts = [{key for key, one in week.items() if one.ruling.rule_id == "CLASH.WORKS"} for week in found]

    assert len(conflicts[0]) == 5
    assert len(set.union(*conflicts)) == 10
    assert len(conflicts[-1]) == 2
    assert all(len(week) > len(clashes) for week, clashes in zip(found, conflicts, strict=True))


def test_pushed_and_published_plans_take_part(weeks: Weeks) -> None:
    """Some findings are with urgent works, others with the works of the road register."""
    found = [findings for _, findings in weeks]
    clashing = {key for week in found for one in week.values() for key, _ in one.revisions}

    assert any(":storingen:" in key for key in clashing)
    assert any(":wegenregister:" in key for key in clashing)


def test_a_zone_is_in_the_way_of_works(weeks: Weeks) -> None:
    """From the week in which it is proposed; once it is in force the same finding is told anew."""
    clashes = [
        {key: one for key, one in findings.items() if one.ruling.rule_id == "CLASH.RESTRICTION"}
        for _, findings in weeks
    ]

    assert [bool(found) for found in clashes] == [week >= min(DECIDED) for week in range(1, WEEKS + 1)]
    assert [set(found) for found in clashes[min(DECIDED) - 1 :]] == [set(clashes[-1])] * (WEEKS - min(DECIDED) + 1)
    assert all(one.ruling.evidence.remedies for one in clashes[-1].values())


def test_what_is_pushed_is_the_zone_that_is_expected() -> None:
    """The event of each decision, read as the hub reads it, is the restriction that the oracle is given."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    for week in DECIDED:
        told = permits.event(week, now)
        assert told is not None
        (zone,) = permits.zones(week)
        said = told["data"]["restriction"]
        assert (told["subject"], told["time"]) == (zone.id, "2026-01-01T00:00:00Z")
        assert (said["title"], said["status"], said["kind"]) == (zone.title, zone.status, zone.kind)
        assert shapely.geometry.shape(said["geometry"]).equals(shapely.from_wkb(zone.geometry.wkb))
    assert permits.event(1, now) is None


def test_the_road_register_publishes_now_and_then() -> None:
    """Most weeks have no publication, and no two are the same."""
    published = [body for week in range(1, WEEKS + 1) if (body := publication(week))]

    assert len(published) == len(PUBLISHED) == len(set(published))
    assert published == [publication(week) for week in PUBLISHED]


def test_urgent_works_are_new_changed_and_withdrawn() -> None:
    """Single events and a batch; a repeat says what was said before; no event lies in the future or changes its id."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    sent = [events(request, now) for request in REQUESTS.values()]
    ids = [event["id"] for request in REQUESTS.values() if not request.again for event in events(request, now)]

    assert {event["type"].split(".")[2] for told in sent for event in told} == {"plan-changed", "plan-removed"}
    assert {len(told) for told in sent} > {1}
    repeats = [week for week, request in REQUESTS.items() if request.again]
    assert repeats
    assert all(REQUESTS[REQUESTS[week].recorded].reports == REQUESTS[week].reports for week in repeats)
    assert all(REQUESTS[week].recorded < week for week in repeats)
    assert all(event["time"] == "2026-01-01T00:00:00Z" for told in sent for event in told)
    assert len(set(ids)) == len(ids)


def test_a_restricted_plan_is_for_its_owner_alone(weeks: Weeks, told: list[expected.Told]) -> None:
    """Of all partners only the owner may see it, and nobody is to be told of it."""
    plans, _ = weeks[-1]
    restricted = {key for key, plan in plans.items() if plan.visibility is Visibility.RESTRICTED}

    assert restricted
    assert plans.keys() - expected.visible(plans, NETBEHEERDER[0]).keys() == restricted
    assert expected.visible(plans, WATERSCHAP[0]) == plans
    assert not restricted & {subject for subject, _ in told}


def test_a_subscriber_hears_of_what_begins_and_ends(told: list[expected.Told]) -> None:
    """Nothing is expected twice in a row for one subject, and an end only after a beginning or the first summary."""
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
