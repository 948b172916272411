"""From a checked form to the domain's plan; what looks like personal data is withheld on the way, and said."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from edge.forms import ContactForm, FeatureForm, PeriodForm, PlanForm, PropertiesForm
from edge.places import Place
from edge.problems import Fault
from samenloop.errors import Reject
from samenloop.identity import plan_id
from samenloop.model import (
    NOTHING,
    Contact,
    EndKind,
    Geometry,
    Organisation,
    Party,
    Period,
    Plan,
    Precision,
    Reference,
    Relation,
)
from samenloop.personal_data import is_personal, names_a_person
from samenloop.rules.work_kinds import work_kinds

NO_PERIOD = Period()
OUR_KINDS = "urn:samenloop:work-kind:"


class Draft:
    """A plan on its way: its form, where it stands in the body, and what was found out about it."""

    def __init__(self, form: PlanForm | PropertiesForm, pointer: str) -> None:
        self.form, self.pointer = form, pointer
        self.notes: list[Fault] = []
        self.faults: list[Fault] = []

    def plan(self, id_: str, system: str, own: Organisation, geometry: Geometry | None) -> Plan:
        """Return the plan called *id_* of *system*; its owner is *own* unless it names another."""
        form = self.form
        local_id = self._local_id(id_, system)
        owner = Organisation(form.owner.oin, form.owner.name) if form.owner else own
        return Plan(
            id=id_,
            system=system,
            local_id=local_id,
            owner=own if owner == Organisation(own.oin) else owner,
            title=self._text(form.title, "title") or local_id,
            source_version=form.source_version,
            parties=tuple(Party(one.role, one.oin, one.name) for one in form.parties),
            description=self._text(form.description, "description") if form.description else None,
            kind=form.kind,
            phase=form.phase,
            certainty=form.certainty,
            visibility=form.visibility,
            audience=form.audience,
            period=self._period(form.period, "period") if form.period else NO_PERIOD,
            work_periods=tuple(self._period(one, f"work_periods/{n}") for n, one in enumerate(form.work_periods)),
            geometry=geometry,
            work_kinds=self._work_kinds(),
            assets=form.assets,
            ground_disturbing=form.ground_disturbing,
            max_depth_m=form.max_depth_m,
            traffic_impact=form.traffic_impact,
            permit_submission=form.permit_submission,
            cooperation=form.cooperation,
            relations=tuple(Relation(one.plan_id, one.kind) for one in form.relations),
            references=tuple(Reference(one.scheme, one.value) for one in form.references),
            contact=_contact(form.contact),
            confirmed_at=form.confirmed_at,
            source_fields=self._source_fields(form.source_fields) if form.source_fields else NOTHING,
        )

    def _local_id(self, id_: str, system: str) -> str:
        """Return the id in the source, which the URN holds; the two may not differ."""
        given = self.form.local_id
        local_id = given or unquote(id_.removeprefix(f"{system}:plan:"))
        try:
            same = plan_id(system, local_id) == id_
        except Reject as error:
            self.fault("local_id", error.code, error.detail)
            return local_id
        if not same:
            self.fault("local_id" if given else "id", "identity.plan-id", f"expected {system}:plan:<local id, encoded>")
        return local_id

    def _period(self, form: PeriodForm, place: str) -> Period:
        start, end = form.start, form.end
        if start and end and end < start:
            self.fault(f"{place}/end", "period.end-before-start", "the end lies before the start")
        first, last = form.earliest_start, form.latest_end
        if (first and start and first > start) or (last and end and last < end):
            self.fault(place, "period.window", "the window is smaller than the period inside it")
        precision = form.precision or (Precision.DAY if start or end else Precision.UNKNOWN)
        end_kind = form.end_kind or (EndKind.GIVEN if end else EndKind.UNKNOWN)
        return Period(start, end, precision, end_kind, first, last, form.duration_days)

    def _work_kinds(self) -> tuple[str, ...]:
        for number, uri in enumerate(self.form.work_kinds):
            if uri.startswith(OUR_KINDS) and uri.removeprefix(OUR_KINDS) not in work_kinds():
                self.fault(f"work_kinds/{number}", "record.work-kind", "a kind of work that is not in the list")
        return tuple(sorted(set(self.form.work_kinds)))

    def _text(self, text: str, place: str) -> str | None:
        if not is_personal(text):
            return text
        self.notes.append(
            Fault(f"{self.pointer}/{place}", "personal.text-withheld", "it looks like personal data and is left out")
        )
        return None

    def _source_fields(self, fields: Mapping[str, str]) -> Mapping[str, str]:
        kept: dict[str, str] = {}
        for name, text in fields.items():
            place = f"source_fields/{name.replace('~', '~0').replace('/', '~1')}"
            if names_a_person(name):
                detail = "its name says that it holds a person, and it is left out"
                self.notes.append(Fault(f"{self.pointer}/{place}", "personal.dropped", detail))
            elif text.isdigit() or self._text(text, place) is not None:
                kept[name] = text
        return MappingProxyType(kept)

    def fault(self, place: str, code: str, detail: str) -> None:
        """Note what makes the plan one that cannot be taken."""
        self.faults.append(Fault(f"{self.pointer}/{place}", code, detail))


def _contact(form: ContactForm | None) -> Contact | None:
    return Contact(form.unit, form.email, form.phone, form.url) if form else None


def place_of(form: PlanForm | FeatureForm, pointer: str) -> Place | None:
    """Return where the plan is, if it says so; *pointer* is that of *form*."""
    geometry = form.geometry
    if geometry is None:
        return None
    pointer = f"{pointer}/geometry"
    if isinstance(form, FeatureForm):
        properties = form.properties
        crs, accuracy = properties.crs or geometry.crs, properties.accuracy_m
        return Place(geometry, crs, geometry.accuracy_m if accuracy is None else accuracy, pointer)
    return Place(geometry, geometry.crs, geometry.accuracy_m, pointer)


def without_nulls(value: Any) -> Any:
    """Return an object without the keys that say nothing: in JSON null and absent mean the same here."""
    return {key: part for key, part in value.items() if part is not None} if isinstance(value, dict) else value
