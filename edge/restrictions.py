"""From an event to a report of a restriction: one zone, in JSON. No side effects."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, NamedTuple
from urllib.parse import unquote

from pydantic import Field, Strict

from edge.changes import Head, named
from edge.checked import checked_in_part
from edge.forms import Day, Form, GeometryForm, Instant, Name, OrganisationForm, Title, Uri
from edge.messages import JSON, Incoming
from edge.places import Place, read_places
from edge.plans import without_nulls
from edge.problems import Fault
from samenloop.errors import Reject
from samenloop.identity import restriction_id
from samenloop.model import (
    ChangeKind,
    ChangeReason,
    EndKind,
    Force,
    Geometry,
    Organisation,
    Origin,
    Period,
    Precision,
    Restriction,
    RestrictionKind,
    RestrictionReport,
    RestrictionStatus,
    Visibility,
)
from samenloop.personal_data import is_personal


class ZonePeriodForm(Form):
    """When a restriction holds: local days, ends inclusive (nl: periode)."""

    start: Day = None
    end: Day = None


class RestrictionForm(Form):
    """A restriction (nl: beperking) in the contract's JSON form: where and when breaking ground is restricted."""

    id: Uri | None = Field(None, description="its URN; may be left out where the event's subject says it")
    owner: OrganisationForm | None = Field(None, description="the authority; left out: the event's organisation")
    title: Title
    geometry: GeometryForm
    kind: RestrictionKind = RestrictionKind.MORATORIUM
    status: RestrictionStatus = RestrictionStatus.IN_FORCE
    force: Force = Force.BINDING
    period: ZonePeriodForm = ZonePeriodForm()
    work_kinds: tuple[Uri, ...] = Field((), max_length=50, description="what it is about; empty: everything")
    exempt_work_kinds: tuple[Uri, ...] = Field((), max_length=50)
    for_plan_id: Uri | None = Field(None, description="the plan that causes it")
    legal_basis: Uri | None = Field(None, description="the decision")
    visibility: Visibility = Field(Visibility.RESTRICTED, description="left out: for the owner and the hub only")
    audience: tuple[Name, ...] = Field((), max_length=100)


class ReportForm(Form):
    """What is reported of one restriction: its whole new state, or DELETED without it."""

    restriction_id: Uri | None = Field(None, description="left out: the event's subject, or the restriction's id")
    change: ChangeKind = ChangeKind.UPDATED
    reason: ChangeReason = ChangeReason.REPORTED
    restriction: RestrictionForm | None = None
    changed_fields: tuple[Name, ...] = Field((), max_length=100)
    sequence: Annotated[int, Strict(), Field(ge=0, le=2**53)] = 0
    recorded_at: Instant = Field(None, description="must equal the event's time, where both are given")


class Remarks(NamedTuple):
    """What is wrong with an event, and what is odd."""

    faults: list[Fault]
    notes: list[Fault]


def read_report(
    event: Incoming, head: Head, remarks: Remarks, *, now: datetime, metric_crs: str
) -> RestrictionReport | None:
    """Return the report in *event* as far as it can be read, and in *remarks* what is wrong with it.

    Completes *head* with the restriction's id.
    """
    faults = remarks.faults
    if event.content_type != JSON:
        faults.append(event.at("datacontenttype", "envelope.content-type", f"expected {JSON}"))
        return None
    data = without_nulls(event.data)
    if isinstance(data, dict) and "restriction" in data:
        data["restriction"] = without_nulls(data["restriction"])
    form = checked_in_part(ReportForm, data, event.data_pointer, faults)
    if form is None or not _named(event, head, form, faults):
        return None
    if form.recorded_at is not None and form.recorded_at != head.time:
        detail = "it differs from the event's attribute, leave it out"
        faults.append(Fault(f"{event.data_pointer}/recorded_at", "record.envelope", detail))
    pointer = f"{event.data_pointer}/restriction"
    zone = None
    if form.restriction is not None:
        zone = _restriction(form.restriction, head, metric_crs, pointer, remarks)
    time = head.time or now
    return RestrictionReport(
        restriction_id=head.key,
        change=form.change,
        recorded_at=time,
        ingested_at=now,
        origin=Origin(head.oin, head.source, head.id, head.causation),
        reason=form.reason,
        changed_fields=form.changed_fields,
        sequence=form.sequence,
        restriction=zone,
    )


def _named(event: Incoming, head: Head, form: ReportForm, faults: list[Fault]) -> bool:
    """Find the restriction's id, and see that it is one of the event's system."""
    given = {
        f"{event.data_pointer}/restriction_id": form.restriction_id,
        f"{event.data_pointer}/restriction/id": form.restriction.id if form.restriction else None,
    }
    if not named(event, head, faults, given, "restriction"):
        return False
    local_id = unquote(head.key.removeprefix(f"{head.source}:restriction:"))
    try:
        same, detail = (
            restriction_id(head.source, local_id) == head.key,
            f"expected {head.source}:restriction:<local id, encoded>",
        )
    except Reject as error:
        same, detail = False, error.detail
    if not same:
        faults.append(event.at("subject", "identity.restriction-id", detail))
    return same


def _restriction(
    form: RestrictionForm, head: Head, metric_crs: str, pointer: str, remarks: Remarks
) -> Restriction | None:
    place = form.geometry
    (found,) = read_places([Place(place, place.crs, place.accuracy_m, f"{pointer}/geometry")], metric_crs)
    if not isinstance(found, Geometry):
        remarks.faults.extend(found)
        return None
    period = form.period
    if period.start and period.end and period.end < period.start:
        remarks.faults.append(
            Fault(f"{pointer}/period/end", "period.end-before-start", "the end lies before the start")
        )
    local_id = unquote(head.key.removeprefix(f"{head.source}:restriction:"))
    title = form.title
    if is_personal(title):
        detail = "it looks like personal data and is left out"
        remarks.notes.append(Fault(f"{pointer}/title", "personal.text-withheld", detail))
        title = local_id
    return Restriction(
        id=head.key,
        system=head.source,
        local_id=local_id,
        owner=Organisation(form.owner.oin, form.owner.name) if form.owner else Organisation(head.oin),
        title=title,
        geometry=found,
        kind=form.kind,
        status=form.status,
        force=form.force,
        period=Period(
            period.start,
            period.end,
            Precision.DAY if period.start or period.end else Precision.UNKNOWN,
            EndKind.GIVEN if period.end else EndKind.UNKNOWN,
        ),
        work_kinds=tuple(sorted(set(form.work_kinds))),
        exempt_work_kinds=tuple(sorted(set(form.exempt_work_kinds))),
        for_plan_id=form.for_plan_id,
        legal_basis=form.legal_basis,
        visibility=form.visibility,
        audience=form.audience,
    )
