"""Judges events that partners send: what is taken becomes a change for Kafka, what is refused a dead letter.

A function of its arguments: no clock, no Kafka. What it takes, `consolidate` takes as well, but for what only the
present state of a plan can tell. All findings about an event are told at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from edge.changes import Head, Reading, read_change, read_head
from edge.keyring import Caller
from edge.letters import is_attributable, letter_of
from edge.messages import Incoming
from edge.places import Place, read_places
from edge.plans import Draft
from edge.problems import Fault
from edge.restrictions import Remarks, read_report
from samenloop.consolidate import Claim, check, claim_of
from samenloop.content_hash import content_hashes
from samenloop.contract import Codec, Envelope, classification, read_envelope
from samenloop.errors import Reject
from samenloop.identity import system_urn
from samenloop.letters import letter_output
from samenloop.model import DeadLetter, Geometry, Organisation, Plan, PlanChanged, RestrictionReport, Visibility
from samenloop.restriction_states import REPORTED, Report, report_output
from samenloop.restriction_states import claim_of as zone_claim
from samenloop.settings import Hub
from samenloop.stage import Output

PLAN_CHANGED = "nl.samenloop.plan-changed.v1"
NOT_YOURS = ("mandate.caller", "owner.not-mandated")
"""Codes of events that speak for somebody else."""


@dataclass(slots=True)
class Judged:
    """What became of one event: *faults* empty means taken. *outputs* is what Kafka must have before that is said."""

    incoming: Incoming
    head: Head
    faults: list[Fault] = field(default_factory=list)
    notes: list[Fault] = field(default_factory=list)
    reading: Reading | None = None
    plan: Plan | None = None
    change: PlanChanged | None = None
    report: RestrictionReport | None = None
    outputs: list[Output] = field(default_factory=list)
    letter: DeadLetter | None = None

    @property
    def not_yours(self) -> bool:
        """Whether it was refused because it speaks for somebody else."""
        return any(fault.code in NOT_YOURS for fault in self.faults)


class Intake:
    """The rules of one hub. Not shared between threads, as its codec is not."""

    def __init__(self, codec: Codec, *, hub_urn: str, metric_crs: str, allow_test_oin: bool) -> None:
        self._codec = codec
        self._hub_urn, self._metric_crs, self._allow_test_oin = hub_urn, metric_crs, allow_test_oin

    @classmethod
    def from_hub(cls, hub: Hub, codec: Codec) -> Intake:
        """Return the intake of *hub*."""
        identity = hub.hub
        urn = system_urn(identity.oin, "samenloop")
        return cls(codec, hub_urn=urn, metric_crs=identity.metric_crs, allow_test_oin=identity.allow_test_oin)

    def judge(self, events: Sequence[Incoming], caller: Caller, now: datetime) -> list[Judged]:
        """Judge *events* in their order; several hundred at once cost much less than one by one."""
        judged = [self._read(event, caller, now) for event in events]
        self._located(judged, caller)
        self._finish([one for one in judged if one.reading is not None and not one.faults], now)
        for one in judged:
            if one.faults and is_attributable(one.head):
                one.letter = letter_of(one.incoming, one.head, one.faults, now)
                one.outputs.append(letter_output(self._codec, self._hub_urn, one.letter))
        return judged

    def _read(self, event: Incoming, caller: Caller, now: datetime) -> Judged:
        faults = list(event.faults)
        head = read_head(event, caller, now, faults)
        if head.type == REPORTED and not event.faults:
            return self._report(event, head, caller, now, faults)
        reading = None if event.faults else read_change(event, head, faults)
        return Judged(event, head, faults, reading=reading)

    def _report(self, event: Incoming, head: Head, caller: Caller, now: datetime, faults: list[Fault]) -> Judged:
        """Read a report of a restriction and hold it against the rules of the stream."""
        one = Judged(event, head, faults)
        remarks = Remarks(faults, one.notes)
        report = read_report(event, head, remarks, now=now, metric_crs=self._metric_crs)
        if report is None:
            return one
        zone = report.restriction
        if head.own and zone is not None and not caller.speaks_for(zone.owner.oin):
            detail = "the restriction's authority is neither you nor in your mandate"
            faults.append(Fault(f"{event.data_pointer}/restriction/owner/oin", "owner.not-mandated", detail))
        if faults:
            return one
        output = report_output(self._codec, report)
        claim = zone_claim(output.key, Report(read_envelope(output.headers), report, None))
        try:
            check(claim, allow_test_oin=self._allow_test_oin)
        except Reject as error:
            faults.append(Fault(event.data_pointer, error.code, error.detail))
        if not faults:
            one.report = report
            one.outputs.append(output)
        return one

    def _located(self, judged: Sequence[Judged], caller: Caller) -> None:
        """Read all places in one go, and make the plans."""
        asked = [one for one in judged if one.reading is not None and one.reading.place is not None]
        places: list[Place] = [one.reading.place for one in asked if one.reading and one.reading.place]
        geometries: dict[int, Geometry] = {}
        for one, found in zip(asked, read_places(places, self._metric_crs) if places else (), strict=True):
            if isinstance(found, Geometry):
                geometries[id(one)] = found
            else:
                one.faults += found
        for one in judged:
            if one.reading is not None and one.reading.draft is not None:
                _draw(one, one.reading.draft, geometries.get(id(one)), caller)

    def _finish(self, whole: Sequence[Judged], now: datetime) -> None:
        """Make the changes of what is whole so far, hold them against the rules of the stream, and encode them."""
        plans = [one.plan for one in whole if one.plan is not None]
        hashes = iter(content_hashes(plans))
        for one in whole:
            assert one.reading is not None
            change = one.reading.change(one.head, one.plan, next(hashes) if one.plan is not None else None, now)
            if (given := one.reading.content_hash) is not None and given != change.content_hash:
                detail = "it is not the hash of this plan; it may be left out"
                one.faults.append(Fault(f"{one.incoming.data_pointer}/content_hash", "record.content-hash", detail))
            try:
                check(
                    _claim(one.head, change),
                    allow_test_oin=self._allow_test_oin,
                )
            except Reject as error:
                one.faults.append(Fault(one.incoming.data_pointer, error.code, error.detail))
            if not one.faults:
                one.change = change
                one.outputs.append(self._output(one.head, change))

    def _output(self, head: Head, change: PlanChanged) -> Output:
        envelope = Envelope(
            id=head.id,
            source=head.source,
            type=PLAN_CHANGED,
            time=change.recorded_at,
            subject=change.plan_id,
            partitionkey=change.plan_id,
            correlationid=head.correlation or head.id,
            causationid=head.causation,
            classification=classification(change.plan.visibility if change.plan else Visibility.RESTRICTED),
            hubmode=head.mode,
            traceparent=head.traceparent,
        )
        value = self._codec.encode("plan-changes", change)
        return Output("plan-changes", change.plan_id, value, self._codec.headers("plan-changes", envelope))


def _draw(one: Judged, draft: Draft, geometry: Geometry | None, caller: Caller) -> None:
    """Make the plan of one event, and note what is wrong or odd with it."""
    head = one.head
    own = Organisation(head.oin, caller.name if head.oin == caller.oin else None)
    plan = one.plan = draft.plan(head.key, head.source, own, geometry)
    one.faults += draft.faults
    one.notes += draft.notes
    if head.own and not caller.speaks_for(plan.owner.oin):
        detail = "the plan's owner is neither you nor in your mandate"
        one.faults.append(Fault(f"{draft.pointer}/owner/oin", "owner.not-mandated", detail))


def _claim(head: Head, change: PlanChanged) -> Claim:
    """Return what `consolidate` will read in this change."""
    return claim_of(change, change.plan, key=change.plan_id, source=head.source, event_id=head.id, content_hash=None)
