"""Who may see what: two tables, asked on every way out.

rule: contract.md 10. The owner, and who is mandated to speak for it, sees all of its own. Of the others PUBLIC is for
everyone, PARTNERS for partners, GROUP for partners in the audience, RESTRICTED for nobody. Source fields are the
owner's only, contact points not the public's. Who owns a plan in a finding and may not see another plan in it gets the
finding masked. A level that cannot be read counts as RESTRICTED.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum
from uuid import UUID

from samenloop.model import Clearance, Contact, Finding, FindingStatus, Plan, Severity, Subject, Visibility

CLEARANCES: tuple[Clearance, ...] = (Clearance.PUBLIC, Clearance.PARTNERS, Clearance.GROUP, Clearance.RESTRICTED)
"""From the least to the most that may be seen."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: its OIN (empty: the public), what it is cleared for, for whom else it speaks, and its groups.

    A clearance above PARTNERS opens nothing by itself: GROUP asks for the audience, RESTRICTED for the owner.
    """

    oin: str = ""
    clearance: Clearance = Clearance.PUBLIC
    mandated: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def owns(self, oin: str) -> bool:
        """Say whether a plan of *oin* is the viewer's own, or of one it speaks for; nobody owns what has no owner."""
        return bool(oin) and (oin == self.oin or oin in self.mandated)


PUBLIC = Viewer()
"""Anyone, without a key."""


class Standing(StrEnum):
    """What a viewer is to a plan."""

    OWNER = "OWNER"
    AUDIENCE = "AUDIENCE"
    PARTNER = "PARTNER"
    PUBLIC = "PUBLIC"


class Sight(IntEnum):
    """What may be seen of a plan, from nothing to all."""

    NOTHING = 0
    PUBLISHED = 1
    """All but contact and source fields."""
    SHARED = 2
    """All but source fields."""
    ALL = 3


class FindingSight(IntEnum):
    """What may be seen of a finding."""

    NOTHING = 0
    MASKED = 1
    """See `MaskedFinding`."""
    WHOLE = 2


_SIGHT: dict[Visibility, dict[Standing, Sight]] = {
    Visibility.RESTRICTED: {Standing.OWNER: Sight.ALL},
    Visibility.GROUP: {Standing.OWNER: Sight.ALL, Standing.AUDIENCE: Sight.SHARED},
    Visibility.PARTNERS: {
        Standing.OWNER: Sight.ALL,
        Standing.AUDIENCE: Sight.SHARED,
        Standing.PARTNER: Sight.SHARED,
    },
    Visibility.PUBLIC: {
        Standing.OWNER: Sight.ALL,
        Standing.AUDIENCE: Sight.SHARED,
        Standing.PARTNER: Sight.SHARED,
        Standing.PUBLIC: Sight.PUBLISHED,
    },
}
"""What is not here is not seen."""

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


@dataclass(frozen=True, slots=True)
class Guarded:
    """What decides about a plan: its level, whose it is, and for whom. *contact* is for the mask of a finding."""

    visibility: Visibility
    owner_oin: str
    audience: Collection[str] = ()
    contact: Contact | None = None


@dataclass(frozen=True, slots=True)
class MaskedFinding:
    """All that an owner learns of a finding with a plan it may not see; *contacts* of the owners of those plans."""

    id: UUID
    kind: str
    status: FindingStatus
    severity: Severity
    contacts: tuple[Contact, ...] = ()


def standing(plan: Guarded, viewer: Viewer) -> Standing:
    """Return what *viewer* is to *plan*."""
    if viewer.owns(plan.owner_oin):
        return Standing.OWNER
    if viewer.clearance not in CLEARANCES[1:]:
        return Standing.PUBLIC
    named = viewer.oin in plan.audience or not viewer.groups.isdisjoint(plan.audience)
    return Standing.AUDIENCE if viewer.oin and named else Standing.PARTNER


def sight(plan: Guarded, viewer: Viewer) -> Sight:
    """Return what *viewer* may see of *plan*."""
    return _SIGHT.get(plan.visibility, _SIGHT[Visibility.RESTRICTED]).get(standing(plan, viewer), Sight.NOTHING)


def finding_sight(plans: Iterable[Guarded], viewer: Viewer) -> FindingSight:
    """Return what *viewer* may see of a finding between *plans*; nothing where none is known."""
    seen = [sight(plan, viewer) for plan in plans]
    if seen and all(seen):
        return FindingSight.WHOLE
    return FindingSight.MASKED if Sight.ALL in seen else FindingSight.NOTHING


def guarded(plan: Subject) -> Guarded:
    """Return what decides about *plan*, or about a restriction, which has no contact point."""
    contact = plan.contact if isinstance(plan, Plan) else None
    return Guarded(plan.visibility, plan.owner.oin, plan.audience, contact)


def show(plan: Plan, viewer: Viewer) -> Plan | None:
    """Return *plan* as *viewer* may see it; None where it may not."""
    seen = sight(guarded(plan), viewer)
    if seen is Sight.NOTHING or seen is Sight.ALL:
        return plan if seen else None
    return replace(plan, source_fields={}, contact=plan.contact if seen is Sight.SHARED else None)


def mask(finding: Finding, plans: Iterable[Guarded], viewer: Viewer) -> MaskedFinding:
    """Return *finding* as it is told to the owner of one of *plans* that may not see another of them.

    No title, plan id, zone, period, distance or remedy: an overlap zone gives away the hidden geometry.
    """
    hidden = [plan for plan in plans if not sight(plan, viewer)]
    contacts = dict.fromkeys(plan.contact for plan in hidden if plan.contact is not None)
    return MaskedFinding(finding.id, finding.kind, finding.status, finding.severity, tuple(contacts))


def may_see_all(plans: Iterable[Subject], viewer: Viewer) -> bool:
    """Say whether *viewer* may see every one of *plans*; so it may when there is none."""
    return all(sight(guarded(plan), viewer) for plan in plans)


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
    """Say whether content labelled *label* that was made for a subscriber may still go out to it.

    *own*: it owns a part of it. A label does not name an audience: who is in it was decided when the content was made.
    """
    return own or label == "public" or (label in ("internal", "confidential") and clearance in CLEARANCES[1:])


def levels(viewer: Viewer) -> Sequence[Visibility]:
    """Return the levels of others' plans of which *viewer* may see any: what a store may leave out unread."""
    names = viewer.groups | {viewer.oin}
    return [level for level in Visibility if sight(Guarded(level, "", names), viewer)]
