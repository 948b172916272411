"""From an event to a change: the envelope's attributes, and the data by its content type. No side effects."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from edge.checked import checked_in_part
from edge.forms import ChangeForm, FeatureForm
from edge.keyring import Caller
from edge.messages import GEO_JSON, JSON, Incoming
from edge.places import Place
from edge.plans import Draft, place_of, without_nulls
from edge.problems import Fault
from samenloop.contract.cloudevents import HUB_MODES, read_timestamp
from samenloop.errors import Reject
from samenloop.identity import LONGEST, system_oin
from samenloop.model import ChangeKind, ChangeReason, Origin, Phase, Plan, PlanChanged, Validity
from samenloop.restriction_states import REPORTED

CHANGED, REMOVED = "nl.samenloop.plan-changed.v1", "nl.samenloop.plan-removed.v1"
TYPES = (CHANGED, REMOVED, REPORTED)
"""What may be sent."""
_AHEAD = timedelta(minutes=5)
"""What clocks may differ. A time far ahead would make everything after it look late."""
_MUST = ("id", "source", "type", "time")


@dataclass(slots=True)
class Head:
    """What the attributes of an event say; what could not be read is empty."""

    id: str = ""
    source: str = ""
    oin: str = ""
    own: bool = False
    type: str = ""
    time: datetime | None = None
    subject: str | None = None
    key: str = ""
    """The id of the plan or restriction, which is its key on Kafka."""
    mode: str = "live"
    correlation: str | None = None
    causation: str | None = None
    traceparent: str | None = None


def read_head(event: Incoming, caller: Caller, now: datetime, faults: list[Fault]) -> Head:
    """Return what the attributes say and append to *faults* what is wrong with them."""
    found = event.attributes
    if not found and event.faults:
        return Head()
    if found.get("specversion") != "1.0":
        faults.append(event.at("specversion", "envelope.specversion", "expected CloudEvents 1.0"))
    texts = {name: _attribute(event, name, faults, must=True) or "" for name in _MUST}
    head = Head(id=texts["id"], source=texts["source"], type=texts["type"])
    for name in ("subject", "correlationid", "causationid", "traceparent", "hubmode"):
        if name in found:
            texts[name] = _attribute(event, name, faults) or ""
    head.subject, head.correlation = texts.get("subject") or None, texts.get("correlationid") or None
    head.causation, head.traceparent = texts.get("causationid") or None, texts.get("traceparent") or None
    head.mode = texts.get("hubmode") or "live"
    if head.mode not in HUB_MODES:
        faults.append(event.at("hubmode", "envelope.label", "expected live or replay"))
    if head.type and head.type not in TYPES:
        faults.append(event.at("type", "envelope.type", f"expected one of {', '.join(TYPES)}"))
    _read_source(event, head, caller, faults)
    _read_time(event, head, texts["time"], now, faults)
    return head


def _attribute(event: Incoming, name: str, faults: list[Fault], *, must: bool = False) -> str | None:
    value = event.attributes.get(name)
    if value is None or value == "":
        if must:
            faults.append(event.at(name, "envelope.missing", f"the attribute {name} is missing or empty"))
        return None
    if not isinstance(value, str) or not value.isprintable() or len(value.encode()) > LONGEST:
        detail = f"expected text of printable characters, at most {LONGEST} bytes"
        faults.append(event.at(name, "envelope.text", detail))
        return None
    return value


def _read_source(event: Incoming, head: Head, caller: Caller, faults: list[Fault]) -> None:
    if not head.source:
        return
    try:
        head.oin = system_oin(head.source)
    except Reject as error:
        faults.append(event.at("source", error.code, error.detail))
        return
    head.own = head.oin == caller.oin
    if not head.own:
        detail = "the event's source belongs to another organisation than the API key"
        faults.append(event.at("source", "mandate.caller", detail))


def _read_time(event: Incoming, head: Head, text: str, now: datetime, faults: list[Fault]) -> None:
    if not text:
        return
    try:
        head.time = read_timestamp(text)
    except Reject as error:
        faults.append(event.at("time", error.code, error.detail))
        return
    if head.time > now + _AHEAD:
        faults.append(event.at("time", "envelope.time-ahead", "the time lies in the future"))


@dataclass(slots=True)
class Reading:
    """The data of an event, read: a plan that is still without its place, or a deletion."""

    form: ChangeForm | None
    draft: Draft | None
    place: Place | None
    kind: ChangeKind

    @property
    def content_hash(self) -> bytes | None:
        """The hash that was sent along."""
        return self.form.content_hash if self.form else None

    def change(self, head: Head, plan: Plan | None, hashed: bytes | None, now: datetime) -> PlanChanged:
        """Return the change; *plan* is None when it ends."""
        form, time = self.form, head.time or now
        origin = form.origin if form else None
        given = form.validity if form else None
        validity = Validity(given.valid_from or time, given.valid_until) if given else Validity(time)
        return PlanChanged(
            plan_id=head.key,
            change=self.kind,
            validity=validity,
            recorded_at=time,
            ingested_at=now,
            origin=Origin(
                oin=head.oin,
                system=head.source,
                event_id=head.id,
                cause_id=(origin.cause_id if origin else None) or head.causation,
                hops=origin.hops if origin else 0,
            ),
            reason=form.reason if form else ChangeReason.REPORTED,
            changed_fields=form.changed_fields if form else (),
            sequence=form.sequence if form else 0,
            content_hash=hashed,
            plan=plan,
        )


def read_change(event: Incoming, head: Head, faults: list[Fault]) -> Reading | None:
    """Return the data of *event*, or None and what is wrong in *faults*. Completes *head* with the plan's id."""
    if head.type == REMOVED:
        return _removal(event, head, faults)
    if event.content_type == GEO_JSON:
        return _feature(event, head, faults)
    if event.content_type == JSON:
        return _change(event, head, faults)
    detail = f"expected {JSON} or {GEO_JSON}"
    faults.append(event.at("datacontenttype", "envelope.content-type", detail))
    return None


def _removal(event: Incoming, head: Head, faults: list[Fault]) -> Reading | None:
    if event.data is not None:
        faults.append(
            Fault(event.data_pointer, "record.plan", "the end of a plan carries no data, its subject says which")
        )
        return None
    if not named(event, head, faults, {}, "plan"):
        return None
    return Reading(None, None, None, ChangeKind.DELETED)


def _feature(event: Incoming, head: Head, faults: list[Fault]) -> Reading | None:
    data = without_nulls(event.data)
    if isinstance(data, dict) and "properties" in data:
        data["properties"] = without_nulls(data["properties"])
    form = checked_in_part(FeatureForm, data, event.data_pointer, faults)
    if form is None:
        return None
    pointer = f"{event.data_pointer}/properties"
    said = {f"{event.data_pointer}/id": form.id, f"{pointer}/id": form.properties.id}
    if not named(event, head, faults, said, "plan"):
        return None
    _system(form.properties.system, pointer, head, faults)
    kind = ChangeKind.CANCELLED if form.properties.phase is Phase.CANCELLED else ChangeKind.UPDATED
    return Reading(None, Draft(form.properties, pointer), place_of(form, event.data_pointer), kind)


def _change(event: Incoming, head: Head, faults: list[Fault]) -> Reading | None:
    data = without_nulls(event.data)
    if isinstance(data, dict) and "plan" in data:
        data["plan"] = without_nulls(data["plan"])
    form = checked_in_part(ChangeForm, data, event.data_pointer, faults)
    if form is None:
        return None
    pointer = f"{event.data_pointer}/plan"
    said = {f"{event.data_pointer}/plan_id": form.plan_id, f"{pointer}/id": form.plan.id if form.plan else None}
    known = named(event, head, faults, said, "plan")
    _repeats(event, form, head, faults)
    if form.plan is None:
        return Reading(form, None, None, form.change) if known else None
    _system(form.plan.system, pointer, head, faults)
    if not known:
        return None
    return Reading(form, Draft(form.plan, pointer), place_of(form.plan, pointer), form.change)


def named(
    event: Incoming, head: Head, faults: list[Fault], given: dict[str, str | None], kind: Literal["plan", "restriction"]
) -> bool:
    """Find the id of a plan or restriction, which the subject and each of *given* (by place) may say, and must say
    alike; completes *head* with it."""
    said = {place: id_ for place, id_ in given.items() if id_}
    head.key = head.subject or next(iter(said.values()), "")
    if not head.key and any(fault.pointer in given for fault in faults):
        return False  # it says which one, in a way that is told already
    for place, id_ in said.items():
        if id_ != head.key:
            faults.append(Fault(place, f"identity.{kind}-id", f"subject, {kind}_id and id name different {kind}s"))
            return False
    if not head.key:
        faults.append(event.at("subject", f"identity.{kind}-id", f"neither subject nor id says which {kind} it is"))
        return False
    if len(head.key) > LONGEST or not head.key.isascii():
        faults.append(event.at("subject", "identity.local-id", f"expected at most {LONGEST} bytes, percent-encoded"))
        return False
    return True


def _system(given: str | None, pointer: str, head: Head, faults: list[Fault]) -> None:
    if given not in (None, head.source):
        detail = "the plan belongs to another system than the event's source"
        faults.append(Fault(f"{pointer}/system", "mandate.system", detail))


def _repeats(event: Incoming, form: ChangeForm, head: Head, faults: list[Fault]) -> None:
    """What the data repeats of the envelope must be the same."""
    origin = form.origin
    pairs: list[tuple[str, Any, Any]] = [("recorded_at", form.recorded_at, head.time)]
    if origin is not None:
        pairs += [
            ("origin/oin", origin.oin, head.oin),
            ("origin/system", origin.system, head.source),
            ("origin/event_id", origin.event_id, head.id),
        ]
    faults += [
        Fault(f"{event.data_pointer}/{place}", "record.envelope", "it differs from the event's attribute, leave it out")
        for place, inside, outside in pairs
        if inside is not None and inside != outside
    ]
