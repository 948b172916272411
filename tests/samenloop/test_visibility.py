"""Who may see what of a plan and of a finding, in every combination."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, cast
from uuid import UUID

import pytest

from samenloop.model import (
    Clearance,
    Conflict,
    Contact,
    Evidence,
    FindingStatus,
    Organisation,
    Participant,
    Plan,
    Severity,
    Visibility,
)
from samenloop.visibility import (
    CLEARANCES,
    PUBLIC,
    FindingSight,
    Guarded,
    Sight,
    Viewer,
    classification,
    finding_sight,
    guarded,
    levels,
    lower,
    mask,
    may_receive,
    may_see_all,
    show,
    sight,
    strictest,
)

OWNER, OTHER, THIRD = "00000099000000001001", "00000099000000001002", "00000099000000001003"
GROUP = "urn:samenloop:group:ring-road"
NOW = datetime(2027, 1, 4, tzinfo=UTC)

TABLE = """
                        RESTRICTED  GROUP      PARTNERS   PUBLIC
owner                   ALL         ALL        ALL        ALL
owner-cleared-public    ALL         ALL        ALL        ALL
mandated                ALL         ALL        ALL        ALL
mandated-by-another     NOTHING     NOTHING    SHARED     SHARED
named                   NOTHING     SHARED     SHARED     SHARED
in-group                NOTHING     SHARED     SHARED     SHARED
named-cleared-public    NOTHING     NOTHING    NOTHING    PUBLISHED
partner                 NOTHING     NOTHING    SHARED     SHARED
cleared-group           NOTHING     NOTHING    SHARED     SHARED
cleared-restricted      NOTHING     NOTHING    SHARED     SHARED
cleared-public          NOTHING     NOTHING    NOTHING    PUBLISHED
public                  NOTHING     NOTHING    NOTHING    PUBLISHED
unreadable-clearance    NOTHING     NOTHING    NOTHING    PUBLISHED
"""
NAMED = "00000099000000001009"
VIEWERS = {
    "owner": Viewer(OWNER, Clearance.PARTNERS),
    "owner-cleared-public": Viewer(OWNER, Clearance.PUBLIC),
    "mandated": Viewer(OTHER, Clearance.PARTNERS, mandated=frozenset({OWNER})),
    "mandated-by-another": Viewer(OTHER, Clearance.PARTNERS, mandated=frozenset({THIRD})),
    "named": Viewer(NAMED, Clearance.PARTNERS),
    "in-group": Viewer(OTHER, Clearance.PARTNERS, groups=frozenset({GROUP})),
    "named-cleared-public": Viewer(NAMED, Clearance.PUBLIC),
    "partner": Viewer(OTHER, Clearance.PARTNERS),
    "cleared-group": Viewer(OTHER, Clearance.GROUP),
    "cleared-restricted": Viewer(OTHER, Clearance.RESTRICTED),
    "cleared-public": Viewer(OTHER, Clearance.PUBLIC),
    "public": PUBLIC,
    "unreadable-clearance": Viewer(OTHER, cast(Clearance, "TOP")),
}
LEVELS = [Visibility(name) for name in TABLE.split("\n")[1].split()]
CELLS = [
    (name, level, Sight[cell])
    for name, *cells in (line.split() for line in TABLE.strip().split("\n")[1:])
    for level, cell in zip(LEVELS, cells, strict=True)
]


def plan(visibility: Visibility = Visibility.PUBLIC, owner: str = OWNER, **other: Any) -> Plan:
    """A plan of *owner* with a contact and a source field."""
    given: dict[str, Any] = {
        "id": "urn:plan:1",
        "system": "urn:system",
        "local_id": "1",
        "owner": Organisation(owner),
        "title": "Riool",
        "visibility": visibility,
        "audience": (NAMED, GROUP),
        "contact": Contact(f"Loket {owner}"),
        "source_fields": {"project_leader": "x"},
    }
    return Plan(**given | other)


def test_the_table_is_whole() -> None:
    """Every viewer of the test has a row, every level a column."""
    assert {name for name, _, _ in CELLS} == set(VIEWERS)
    assert set(LEVELS) == set(Visibility)


@pytest.mark.parametrize(("name", "level", "expected"), CELLS, ids=str)
def test_what_is_seen_of_a_plan(name: str, level: Visibility, expected: Sight) -> None:
    """Each cell of contract.md 10: all, all but source fields, all but those and the contact, nothing."""
    full = plan(level)
    shown = {
        Sight.ALL: full,
        Sight.SHARED: replace(full, source_fields={}),
        Sight.PUBLISHED: replace(full, source_fields={}, contact=None),
        Sight.NOTHING: None,
    }[expected]

    assert sight(guarded(full), VIEWERS[name]) is expected
    assert show(full, VIEWERS[name]) == shown


@pytest.mark.parametrize("name", VIEWERS)
def test_an_unreadable_level_counts_as_restricted(name: str) -> None:
    """What nobody understands is the owner's only."""
    strange = guarded(plan(cast(Visibility, "SECRETISH")))

    assert sight(strange, VIEWERS[name]) is sight(guarded(plan(Visibility.RESTRICTED)), VIEWERS[name])


def test_nobody_owns_what_has_no_owner() -> None:
    """An empty OIN never equals an empty OIN: the public is not the owner of plans without one."""
    nobodys = guarded(plan(Visibility.RESTRICTED, owner="", audience=("",)))

    assert [sight(nobodys, viewer) for viewer in (PUBLIC, Viewer("", Clearance.PARTNERS))] == [Sight.NOTHING] * 2


PAIRS = list(product(VIEWERS, LEVELS, LEVELS, (OWNER, THIRD)))


@pytest.mark.parametrize(("name", "first", "second", "second_owner"), PAIRS, ids=str)
def test_what_is_seen_of_a_finding(name: str, first: Visibility, second: Visibility, second_owner: str) -> None:
    """Whole for who may see every plan, masked for who owns one of them, nothing for everyone else."""
    viewer, plans = VIEWERS[name], [guarded(plan(first)), guarded(plan(second, second_owner))]
    seen = [sight(one, viewer) for one in plans]
    owns = any(viewer.owns(one.owner_oin) for one in plans)

    result = finding_sight(plans, viewer)

    expected = FindingSight.WHOLE if all(seen) else FindingSight.MASKED if owns else FindingSight.NOTHING
    assert result is expected


def test_a_finding_without_known_plans_is_not_seen() -> None:
    """What cannot be judged is not shown."""
    assert finding_sight([], VIEWERS["cleared-restricted"]) is FindingSight.NOTHING


def test_a_masked_finding_says_whom_to_call_and_nothing_else() -> None:
    """Id, kind, status, severity, and the contact of the owner of the hidden plan; not of those that are seen."""
    finding = Conflict(
        id=UUID(int=1),
        revision=4,
        kind="urn:samenloop:kind:clash",
        status=FindingStatus.OPEN,
        severity=Severity.BLOCKING,
        participants=(Participant("urn:plan:1", 1, OWNER), Participant("urn:plan:2", 1, THIRD)),
        evidence=Evidence(rule_id="CLASH.WORKS", rule_version="a@1", metric_crs="EPSG:28992", distance_m=0.0),
        detected_at=NOW,
        updated_at=NOW,
        cause_id="cause",
    )
    plans = [guarded(plan(Visibility.PUBLIC)), guarded(plan(Visibility.RESTRICTED, THIRD))]

    masked = mask(finding, plans, VIEWERS["owner"])

    assert {item.name: getattr(masked, item.name) for item in fields(masked)} == {
        "id": UUID(int=1),
        "kind": "urn:samenloop:kind:clash",
        "status": FindingStatus.OPEN,
        "severity": Severity.BLOCKING,
        "contacts": (Contact(f"Loket {THIRD}"),),
    }


@pytest.mark.parametrize(("name", "first", "second"), list(product(VIEWERS, LEVELS, LEVELS)), ids=str)
def test_all_of_several_plans(name: str, first: Visibility, second: Visibility) -> None:
    """All are seen when each is."""
    plans = [plan(first), plan(second, THIRD)]

    assert may_see_all(plans, VIEWERS[name]) is all(sight(guarded(one), VIEWERS[name]) for one in plans)


@pytest.mark.parametrize("name", VIEWERS)
def test_levels_leave_out_only_what_is_never_seen(name: str) -> None:
    """A store may skip plans of others at the levels that are not listed, and no others."""
    viewer = VIEWERS[name]
    whoever = [Guarded(level, THIRD, (viewer.oin, *viewer.groups)) for level in Visibility]
    others = replace(viewer, mandated=frozenset())

    assert list(levels(viewer)) == [one.visibility for one in whoever if sight(one, others)]


@pytest.mark.parametrize(("partner", "subscription"), list(product(Clearance, Clearance)), ids=str)
def test_a_subscription_never_raises_the_clearance(partner: Clearance, subscription: Clearance) -> None:
    """The lower of the two counts."""
    result = lower(partner, subscription)

    assert CLEARANCES.index(result) == min(CLEARANCES.index(partner), CLEARANCES.index(subscription))


def test_strictest_level_classifies() -> None:
    """A finding takes the strictest level of its plans; without plans it is restricted."""
    assert strictest([plan(Visibility.PUBLIC), plan(Visibility.PARTNERS)]) is Visibility.PARTNERS
    assert strictest([plan(Visibility.GROUP), plan(Visibility.RESTRICTED)]) is Visibility.RESTRICTED
    assert strictest([]) is Visibility.RESTRICTED
    assert [classification(v) for v in Visibility] == ["restricted", "confidential", "internal", "public"]


@pytest.mark.parametrize(
    ("label", "clearance", "own", "expected"),
    [
        ("public", Clearance.PUBLIC, False, True),
        ("internal", Clearance.PUBLIC, False, False),
        ("internal", Clearance.PARTNERS, False, True),
        ("confidential", Clearance.PUBLIC, False, False),
        ("confidential", Clearance.PARTNERS, False, True),
        ("restricted", Clearance.RESTRICTED, False, False),
        ("restricted", Clearance.PUBLIC, True, True),
        ("something-new", Clearance.RESTRICTED, False, False),
    ],
)
def test_labels(label: str, clearance: Clearance, own: bool, expected: bool) -> None:
    """What was made for one level is not sent on at another; an unknown label is refused."""
    assert may_receive(label, clearance, own=own) is expected
