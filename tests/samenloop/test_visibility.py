"""Who may see a plan, in every combination."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from samenloop.model import Clearance, Contact, Organisation, Plan, Visibility
from samenloop.visibility import (
    CLEARANCES,
    classification,
    for_viewer,
    lower,
    may_receive,
    may_see,
    may_see_all,
    strictest,
)

OWNER, OTHER = "00000099000000001001", "00000099000000001002"
OPEN_TO_OTHERS = {
    (Visibility.PUBLIC, Clearance.PUBLIC),
    (Visibility.PUBLIC, Clearance.PARTNERS),
    (Visibility.PUBLIC, Clearance.GROUP),
    (Visibility.PUBLIC, Clearance.RESTRICTED),
    (Visibility.PARTNERS, Clearance.PARTNERS),
    (Visibility.PARTNERS, Clearance.GROUP),
    (Visibility.PARTNERS, Clearance.RESTRICTED),
}


def plan(visibility: Visibility = Visibility.PUBLIC, owner: str = OWNER) -> Plan:
    """A plan of *owner* with a contact and a source field."""
    return Plan(
        id="urn:plan:1",
        system="urn:system",
        local_id="1",
        owner=Organisation(owner),
        title="Riool",
        visibility=visibility,
        contact=Contact("Loket"),
        source_fields={"project_leader": "x"},
    )


@pytest.mark.parametrize(
    ("visibility", "clearance", "viewer"), list(product(Visibility, Clearance, (OWNER, OTHER))), ids=str
)
def test_table(visibility: Visibility, clearance: Clearance, viewer: str) -> None:
    """The owner sees its own; others see PUBLIC, and PARTNERS when cleared; GROUP and RESTRICTED go to nobody else."""
    seen = may_see(visibility, OWNER, (OTHER,), viewer, clearance)

    assert seen is (viewer == OWNER or (visibility, clearance) in OPEN_TO_OTHERS)


@pytest.mark.parametrize(("first", "second"), list(product(Visibility, Visibility)), ids=str)
def test_a_finding_needs_every_plan(first: Visibility, second: Visibility) -> None:
    """A finding is visible only if each of its plans is."""
    plans = [plan(first, OTHER), plan(second, "00000099000000001003")]

    seen = may_see_all(plans, OWNER, Clearance.PARTNERS)

    assert seen is all((v, Clearance.PARTNERS) in OPEN_TO_OTHERS for v in (first, second))


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
        ("confidential", Clearance.RESTRICTED, False, False),
        ("restricted", Clearance.RESTRICTED, False, False),
        ("restricted", Clearance.PUBLIC, True, True),
        ("something-new", Clearance.RESTRICTED, False, False),
    ],
)
def test_labels(label: str, clearance: Clearance, own: bool, expected: bool) -> None:
    """What was made for one level is not sent on at another; an unknown label is refused."""
    assert may_receive(label, clearance, own=own) is expected


def test_fields_of_the_owner() -> None:
    """Source fields go to the owner only, contacts to partners."""
    mine = plan()

    assert for_viewer(mine, OWNER, Clearance.PUBLIC) == mine
    assert for_viewer(mine, OTHER, Clearance.PARTNERS) == replace(mine, source_fields={})
    assert for_viewer(mine, OTHER, Clearance.PUBLIC) == replace(mine, source_fields={}, contact=None)
