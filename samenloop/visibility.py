"""Who may see what. One table, asked on every way out.

rule: contract.md 10. The owner sees all of its own. PUBLIC is for everyone, PARTNERS for those who are cleared for it.
GROUP and RESTRICTED are never sent to others, and a level that cannot be read counts as RESTRICTED.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from samenloop.model import Clearance, Plan, Subject, Visibility

CLEARANCES: tuple[Clearance, ...] = (Clearance.PUBLIC, Clearance.PARTNERS, Clearance.GROUP, Clearance.RESTRICTED)
"""From the least to the most that may be seen."""

_OTHERS: dict[Visibility, frozenset[Clearance]] = {
    Visibility.PUBLIC: frozenset(CLEARANCES),
    Visibility.PARTNERS: frozenset(CLEARANCES[1:]),
    Visibility.GROUP: frozenset(),
    Visibility.RESTRICTED: frozenset(),
}
_STRICTEST_FIRST: tuple[Visibility, ...] = (
    Visibility.RESTRICTED,
    Visibility.GROUP,
    Visibility.PARTNERS,
    Visibility.PUBLIC,
)
_CLASSIFICATION: dict[Visibility, str] = {
    Visibility.RESTRICTED: "restricted",
    Visibility.GROUP: "confidential",
    Visibility.PARTNERS: "internal",
    Visibility.PUBLIC: "public",
}


def may_see(
    plan_visibility: Visibility, owner_oin: str, audience: Iterable[str], viewer_oin: str, clearance: Clearance
) -> bool:
    """Say whether *viewer_oin*, cleared for *clearance*, may see a plan of *owner_oin*.

    *audience* is not looked at yet: a GROUP plan is for its owner only until groups are exchanged.
    """
    return viewer_oin == owner_oin or clearance in _OTHERS.get(plan_visibility, frozenset())


def may_see_plan(plan: Subject, viewer_oin: str, clearance: Clearance) -> bool:
    """Say whether the viewer may see *plan*, or a restriction."""
    return may_see(plan.visibility, plan.owner.oin, plan.audience, viewer_oin, clearance)


def may_see_all(plans: Iterable[Subject], viewer_oin: str, clearance: Clearance) -> bool:
    """Say whether the viewer may see a finding between *plans*: only one who may see every one of them."""
    return all(may_see_plan(plan, viewer_oin, clearance) for plan in plans)


def lower(one: Clearance, other: Clearance) -> Clearance:
    """Return the lower of two clearances: a subscription can lower its partner's own, never raise it."""
    return min(one, other, key=CLEARANCES.index)


def strictest(plans: Iterable[Subject]) -> Visibility:
    """Return the strictest visibility among *plans*; RESTRICTED when there is none."""
    return min((plan.visibility for plan in plans), key=_STRICTEST_FIRST.index, default=Visibility.RESTRICTED)


def classification(visibility: Visibility) -> str:
    """Return the label `ce_dataclassification` for a visibility."""
    return _CLASSIFICATION.get(visibility, "restricted")


def may_receive(label: str, clearance: Clearance, *, own: bool) -> bool:
    """Say whether content labelled *label* may still go out to a subscriber; *own*: it owns a part of it."""
    return own or label == "public" or (label == "internal" and clearance is not Clearance.PUBLIC)


def for_viewer(plan: Plan, viewer_oin: str, clearance: Clearance) -> Plan:
    """Return *plan* without what this viewer may not have: source fields are the owner's, contacts not the public's."""
    if viewer_oin == plan.owner.oin:
        return plan
    contact = None if clearance is Clearance.PUBLIC else plan.contact
    return replace(plan, source_fields={}, contact=contact)
