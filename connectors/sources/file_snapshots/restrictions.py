"""From a row in the source's words to a restriction: a zone, its authority, and what it is about."""

from __future__ import annotations

from connectors.sources.file_snapshots.profile import RestrictionProfile
from connectors.sources.file_snapshots.translation import LONGEST_TITLE, Translation, readable_id
from connectors.sources.file_snapshots.works import Work
from samenloop.errors import Reject
from samenloop.identity import plan_id, restriction_id
from samenloop.model import Force, Restriction, RestrictionKind, RestrictionStatus, Visibility
from samenloop.source import Note, SourceRecord


def translate_restriction(profile: RestrictionProfile, work: Work) -> SourceRecord:
    """Return the restriction of *work* with its fingerprint and what was odd.

    Raises Reject as `translate` does, and `geometry.missing`: a zone without a place restricts nothing.
    """
    local_id = readable_id(work)
    t = Translation(profile, work, restriction_id(profile.urn, local_id))
    owner, (period, _) = t.owner(), t.period()
    geometry = t.geometry()
    if geometry is None:
        raise Reject(
            "geometry.missing", "found no usable place, expected the zone of the restriction", field="geometry"
        )
    status = t.code("status", profile.status, RestrictionStatus.UNKNOWN)
    if status is RestrictionStatus.UNKNOWN:
        t.notes.append(Note("status.unknown"))
    return t.record(
        Restriction(
            id=t.id,
            system=profile.urn,
            local_id=local_id,
            owner=owner,
            title=t.text(profile.title, LONGEST_TITLE) or local_id,
            geometry=geometry,
            kind=t.code("kind", profile.kind, RestrictionKind.UNKNOWN),
            status=status,
            force=t.code("force", profile.force, Force.UNKNOWN),
            period=period,
            work_kinds=t.work_kinds("work_kinds", profile.work_kinds),
            exempt_work_kinds=t.work_kinds("exempt_work_kinds", profile.exempt_work_kinds),
            for_plan_id=_for_plan(profile, t),
            legal_basis=t.text([profile.legal_basis], LONGEST_TITLE) if profile.legal_basis else None,
            visibility=t.code("visibility", profile.visibility, Visibility.RESTRICTED),
            audience=profile.audience,
        )
    )


def _for_plan(profile: RestrictionProfile, t: Translation) -> str | None:
    """The URN of the plan that caused it; a bare id is one of the same system."""
    text = t.row.text(profile.for_plan) if profile.for_plan else None
    return text if text is None or text.startswith("urn:") else plan_id(profile.urn, text)
