"""Yields the shared truth: one state per plan and per restriction, and a row of `plan-regions` for detection.

Lead: plan-changes. Any number of workers share its partitions; a plan's state lies in the partition of the same
number. Each accepted change gives one state and one row, never fewer: nothing is folded. A removed plan is a null value
on both, whose headers carry `revision` and `version`; a row that is there says all in its value, since headers cost the
reader as much again and the topic is the hub's own. What cannot be taken becomes a dead letter with its original bytes.
The owner of partition 0 writes the tick of the day; with the clock `event` whoever sees a newer day does. It also takes
all reports of restrictions (`restriction-reports`): they are few, and one writer gives the revisions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Self

from samenloop import contract, metrics
from samenloop.consolidate import Known, Ruling, accept, check, claim_of, judge
from samenloop.content_hash import content_hash
from samenloop.contract import Codec, Envelope, cloudevents, read_envelope
from samenloop.contract.codec import tell_unreadable
from samenloop.contract.splice import UNREAD, PlanSplicer, ReadChange
from samenloop.errors import Reject
from samenloop.identity import system_urn, uuid_text
from samenloop.letters import letter_output
from samenloop.localday import local_day
from samenloop.logs import get_logger
from samenloop.model import ChangeKind, FieldOrigin, Phase, PlanRegion, PlanState
from samenloop.restriction_states import REPORTS, STATES, Report, RestrictionStates
from samenloop.settings import Hub
from samenloop.stage import Assignment, Headers, Output, Partition, Record

log = get_logger("consolidate")
STATE_TYPE = "nl.samenloop.plan-state-changed.v1"
REMOVED_TYPE = "nl.samenloop.plan-removed.v1"
TICK_TYPE = "nl.samenloop.day.v1"
_OUTCOMES = {Ruling.ACCEPTED: "emitted", Ruling.DUPLICATE: "duplicate", Ruling.STALE: "late"}
_Read = tuple[Envelope, ReadChange]


class Consolidate:
    """The stage: topics around `samenloop.consolidate`."""

    name = "consolidate"
    lead = "plan-changes"
    follows: Sequence[str] = (REPORTS,)
    writes: Sequence[str] = ("plan-states", "plan-regions", STATES, "dead-letters")

    def __init__(self, codec: Codec, *, source: str, clock: str, allow_test_oin: bool = True) -> None:
        self._codec, self._splicer = codec, PlanSplicer(codec)
        self._source, self._clock, self._allow_test_oin = source, clock, allow_test_oin
        self._of_states, self._of_regions = (codec.wires[name].dataschema for name in ("plan-states", "plan-regions"))
        self._known: dict[int, dict[str, Known]] = {}
        self._day: date | None = None
        self._phases: Counter[Phase] = Counter()
        self._outcomes: Counter[str] = Counter()
        self._letters: Counter[tuple[str, str]] = Counter()
        self._restrictions = self._no_restrictions()
        metrics.at_scrape(self._show)

    @classmethod
    def from_hub(cls, hub: Hub, codec: Codec) -> Self:
        """Return the stage for *hub*."""
        source = system_urn(hub.hub.oin, "samenloop")
        return cls(codec, source=source, clock=hub.hub.clock, allow_test_oin=hub.hub.allow_test_oin)

    def assign(self, assignment: Assignment) -> Sequence[Output]:
        """Rebuild what is known of the plans in the new partitions from our own states, to the very end of the log."""
        self.revoke(assignment.partitions)
        for number in assignment.partitions:
            self._known[number] = {}
        for record in assignment.read("plan-states", assignment.partitions, until="end"):
            self._remember(record)
        for record in assignment.read(STATES, until="end") if 0 in self._known else ():
            self._remember_restriction(record)
        self._day = None  # a tick too many does no harm, one too few does
        return ()

    def revoke(self, partitions: Collection[int]) -> None:
        """Forget the plans of these partitions, and with partition 0 the restrictions."""
        if 0 in partitions:
            self._restrictions = self._no_restrictions()
        for number in partitions:
            for known in self._known.pop(number, {}).values():
                self._count_phase(known, -1)

    def process(self, batch: Sequence[Record], now: datetime) -> Sequence[Output]:
        """Take changes in order. All are read before any is taken: only reading can fail for want of the registry."""
        self._succeeded()
        outputs = self._tick(now)
        reports = [(record, self._restrictions.read(record)) for record in batch if record.topic == REPORTS]
        if reports:
            batch = [record for record in batch if record.topic != REPORTS]
        for record, read in [(record, self._read(record)) for record in batch]:
            try:
                if isinstance(read, Reject):
                    raise read
                self._take(record, *read, now, outputs)
            except Reject as error:
                outputs.append(self._set_aside(record, error, now))
        for record, report in reports:
            try:
                if isinstance(report, Reject):
                    raise report
                self._take_report(record, report, now, outputs)
            except Reject as error:
                outputs.append(self._set_aside(record, error, now))
        return outputs

    def idle(self, now: datetime) -> Sequence[Output]:
        """Say that a new day began."""
        self._succeeded()
        return self._tick(now)

    def held(self) -> Mapping[Partition, int]:
        """Nothing waits here."""
        return {}

    def _read(self, record: Record) -> _Read | Reject:
        try:
            if record.value is None:
                raise Reject("record.null", "a change is never a null value")
            return read_envelope(record.headers), self._splicer.read_change(record.value, record.headers)
        except Reject as error:
            tell_unreadable(record.topic, error)
            return error

    def _take(self, record: Record, envelope: Envelope, read: ReadChange, now: datetime, out: list[Output]) -> None:
        read = self._hashed(read, record)
        change = read.change
        claim = claim_of(
            change,
            read.facts,
            key=record.key,
            source=envelope.source,
            event_id=envelope.id,
            content_hash=change.content_hash,
        )
        check(claim, allow_test_oin=self._allow_test_oin)
        plans = self._known.setdefault(record.partition, {})
        known = plans.get(record.key)
        ruling = judge(known, claim)
        self._outcomes[_OUTCOMES[ruling]] += 1
        if ruling is not Ruling.ACCEPTED:
            return
        taken = plans[record.key] = accept(known, claim)
        if known is not None:
            self._count_phase(known, -1)
        self._count_phase(taken, 1)
        if self._clock == "event":
            out += self._tick_to(local_day(claim.recorded_at), now)
        out += self._outputs(record, envelope, read, taken, now)

    def _take_report(self, record: Record, report: Report, now: datetime, out: list[Output]) -> None:
        ruling, outputs = self._restrictions.take(record, report, now)
        self._outcomes[_OUTCOMES[ruling]] += 1
        if outputs and self._clock == "event":
            out += self._tick_to(local_day(report.said.recorded_at), now)
        out += outputs

    def _no_restrictions(self) -> RestrictionStates:
        return RestrictionStates(self._codec, source=self._source, allow_test_oin=self._allow_test_oin)

    def _hashed(self, read: ReadChange, record: Record) -> ReadChange:
        """A source may leave the content hash to us."""
        if read.plan is None or read.change.content_hash is not None:
            return read
        plan = self._codec.decode("plan-changes", record.value or b"", record.headers).plan
        return replace(read, change=replace(read.change, content_hash=content_hash(plan)))

    def _outputs(
        self, record: Record, envelope: Envelope, read: ReadChange, taken: Known, now: datetime
    ) -> tuple[Output, Output]:
        version = record.offset + 1
        headers = self._headers(envelope, read, taken, version, record.key)
        of_state = (*headers, self._of_states, ("revision", b"%d" % taken.revision))
        if read.plan is None:
            state = region = None
            of_region: Headers = (*headers, self._of_regions, ("version", b"%d" % version))
        else:
            state = self._splicer.state_value(_state(read, taken, now), read.plan)
            row = PlanRegion(
                plan_id=record.key,
                version=version,
                revision=taken.revision,
                accepted_at=now,
                cause_id=taken.event_id,
                first_load=read.change.change is ChangeKind.SNAPSHOT,
            )
            region = self._splicer.region_value(row, read.plan)
            of_region = (("ce_correlationid", envelope.correlationid.encode()), self._of_regions)
        return (
            Output("plan-states", record.key, state, of_state, record.partition),
            Output("plan-regions", record.key, region, of_region, 0),
        )

    def _headers(self, envelope: Envelope, read: ReadChange, taken: Known, version: int, key: str) -> Headers:
        """Return the headers of what one accepted change leads to, but for the schema of the topic."""
        removed = read.plan is None
        derived = Envelope(
            id=uuid_text("plan-state", key, str(version)),
            source=self._source,
            type=REMOVED_TYPE if removed else STATE_TYPE,
            time=taken.recorded_at,
            subject=key,
            partitionkey=key,
            correlationid=envelope.correlationid,
            causationid=taken.event_id,
            classification=envelope.classification
            if read.facts is None
            else cloudevents.CLASSIFICATION[read.facts.visibility],
            hubmode=envelope.hubmode,
            traceparent=envelope.traceparent,
        )
        return cloudevents.headers(derived, tombstone=removed)

    def _tick(self, now: datetime) -> list[Output]:
        if self._clock == "event" or 0 not in self._known:
            return []
        return self._tick_to(local_day(now) if self._clock == "wall" else date.fromisoformat(self._clock), now)

    def _tick_to(self, day: date, now: datetime) -> list[Output]:
        """Return the tick of *day*, unless a day as late was told already."""
        if self._day is not None and day <= self._day:
            return []
        self._day = day
        key = f"day:{day}"
        event_id = uuid_text("day", str(day))
        row = PlanRegion(plan_id=key, version=0, revision=0, accepted_at=now, cause_id=event_id, day=day)
        envelope = Envelope(
            id=event_id,
            source=self._source,
            type=TICK_TYPE,
            time=now,
            subject=key,
            partitionkey=key,
            correlationid=event_id,
            classification="public",
        )
        value = self._codec.encode("plan-regions", row)
        return [Output("plan-regions", key, value, self._codec.headers("plan-regions", envelope), 0)]

    def _set_aside(self, record: Record, error: Reject, now: datetime) -> Output:
        letter = contract.rejected(record, error, stage=self.name, now=now)
        self._outcomes["dead_lettered"] += 1
        self._letters[record.topic, letter.reason.value] += 1
        fields = {"code": error.code, "detail": error.detail, "topic": record.topic, "partition": record.partition,
                  "offset": record.offset, "plan_id": record.key, "letter": str(letter.id)}  # fmt: skip
        match error.code.partition(".")[0]:
            case "mandate":
                log.error("principal.mismatch", "A source spoke for another; its change was set aside.", **fields)
            case "loop":
                log.error("loop.detected", "A change goes in circles between hubs; it was set aside.", **fields)
            case _:
                log.warning("record.rejected", "A change was set aside.", **fields)
        return letter_output(self._codec, self._source, letter)

    def _remember(self, record: Record) -> None:
        try:
            known = self._recalled(record)
        except Reject as error:
            log.error("state.unreadable", "A plan state cannot be read; its revision starts again.", code=error.code,
                      partition=record.partition, offset=record.offset)  # fmt: skip
            return
        plans = self._known[record.partition]
        if record.key in plans:
            self._count_phase(plans[record.key], -1)
        plans[record.key] = known
        self._count_phase(known, 1)

    def _remember_restriction(self, record: Record) -> None:
        try:
            self._restrictions.remember(record)
        except Reject as error:
            log.error("state.unreadable", "The state of a restriction cannot be read; its revision starts again.",
                      code=error.code, partition=record.partition, offset=record.offset)  # fmt: skip

    def _recalled(self, record: Record) -> Known:
        envelope = read_envelope(record.headers)
        if record.value is None:
            revision = int(dict(record.headers).get("revision", b"1"))
            return Known(revision, None, Phase.UNKNOWN, envelope.causationid or "", envelope.time, 0, None)
        state = self._splicer.read_state(record.value, record.headers)
        return Known(
            revision=state.revision,
            content_hash=state.content_hash,
            phase=state.plan.phase,
            event_id=state.event_id,
            recorded_at=envelope.time,
            sequence=state.sequence,
            owner_oin=state.plan.owner.oin,
        )

    def _count_phase(self, known: Known, step: int) -> None:
        if known.content_hash is not None:
            self._phases[known.phase] += step

    def _succeeded(self) -> None:
        """Count what the last batch brought: being called again says that it was committed."""
        for outcome, count in self._outcomes.items():
            metrics.PROCESSOR_EVENTS_TOTAL.labels(processor=self.name, outcome=outcome).inc(count)
        for (topic, reason), count in self._letters.items():
            metrics.DLQ_RECORDS_TOTAL.labels(topic=topic, reason=reason).inc(count)
        if late := self._outcomes["late"]:
            log.warning("record.late", "Changes were older than the state they speak of, and changed nothing.",
                        records=late)  # fmt: skip
        self._outcomes.clear()
        self._letters.clear()

    def _show(self) -> None:
        for phase in Phase:
            metrics.PLANS_BY_PHASE.labels(phase=phase).set(self._phases[phase])
        metrics.TABLE_KEYS.labels(table="plan-states").set(sum(map(len, list(self._known.values()))))
        metrics.TABLE_KEYS.labels(table="restrictions").set(len(self._restrictions))


def _state(read: ReadChange, taken: Known, now: datetime) -> PlanState:
    """Return the state of an accepted change; its plan travels beside it as bytes."""
    change = read.change
    origin = FieldOrigin(system=change.origin.system, event_id=taken.event_id, recorded_at=change.recorded_at)
    return PlanState(
        plan_id=change.plan_id,
        revision=taken.revision,
        validity=change.validity,
        registered_at=now,
        sequence=change.sequence,
        event_id=taken.event_id,
        content_hash=taken.content_hash or b"",
        provenance={"": origin},
        plan=UNREAD,
    )
