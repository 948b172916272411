"""From what sources report of restrictions to the one state of each: what `consolidate` keeps beside the plans.

The judgement is that of plans (`samenloop.consolidate`). One process at a time writes `restrictions`, so it alone gives
the revisions. The row of a restriction in `plan-regions` is the very record of `restrictions`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from samenloop.consolidate import Claim, Known, Ruling, accept, check, judge
from samenloop.content_hash import restriction_hash
from samenloop.contract import Codec, Envelope, classification, read_envelope
from samenloop.contract.regions import zone_headers
from samenloop.errors import Reject
from samenloop.identity import uuid_text
from samenloop.model import ChangeKind, Phase, RestrictionReport
from samenloop.stage import Output, Record
from samenloop.value import value

REPORTS, STATES = "restriction-reports", "restrictions"
REPORTED = "nl.samenloop.restriction-reported.v1"
CHANGED = "nl.samenloop.restriction-changed.v1"
REMOVED = "nl.samenloop.restriction-removed.v1"


@value
class Report:
    """A report as it was read, with its envelope and the fingerprint of its restriction (None when it has none)."""

    envelope: Envelope
    said: RestrictionReport
    content_hash: bytes | None


class RestrictionStates:
    """What is remembered of every restriction, and what a report of one leads to."""

    def __init__(self, codec: Codec, *, source: str, allow_test_oin: bool = True) -> None:
        self._codec, self._source, self._allow_test_oin = codec, source, allow_test_oin
        self._known: dict[str, Known] = {}

    def __len__(self) -> int:
        """Return how many are known, removed ones included."""
        return len(self._known)

    def remember(self, record: Record) -> None:
        """Take over a record of `restrictions`. Raises Reject for one that cannot be read."""
        envelope = read_envelope(record.headers)
        said = dict(record.headers)
        if record.value is None:
            revision = int(said.get("revision", b"1"))
            cause = envelope.causationid or ""
            self._known[record.key] = Known(revision, None, Phase.UNKNOWN, cause, envelope.time, 0, None)
            return
        held = self._codec.decode(STATES, record.value, record.headers)
        self._known[record.key] = Known(
            revision=held.revision,
            content_hash=held.content_hash,
            phase=Phase.UNKNOWN,
            event_id=envelope.causationid or "",
            recorded_at=envelope.time,
            sequence=0,
            owner_oin=held.owner.oin,
        )

    def read(self, record: Record) -> Report | Reject:
        """Read a report, or say why it cannot be. Raises Retry when the registry would have to be asked."""
        try:
            if record.value is None:
                raise Reject("record.null", "a report is never a null value")
            envelope = read_envelope(record.headers)
            said: RestrictionReport = self._codec.decode(REPORTS, record.value, record.headers)
            return Report(envelope, said, restriction_hash(said.restriction) if said.restriction else None)
        except Reject as error:
            return error

    def take(self, record: Record, report: Report, now: datetime) -> tuple[Ruling, list[Output]]:
        """Judge a report and return what it leads to: a state and a row, or nothing. Raises Reject."""
        claim = claim_of(record.key, report)
        check(claim, allow_test_oin=self._allow_test_oin)
        known = self._known.get(record.key)
        ruling = judge(known, claim)
        if ruling is not Ruling.ACCEPTED:
            return ruling, []
        taken = self._known[record.key] = accept(known, claim)
        return ruling, self._outputs(record, report, taken, now)

    def _outputs(self, record: Record, report: Report, taken: Known, now: datetime) -> list[Output]:
        said, key = report.said, record.key
        removed = said.restriction is None
        envelope = Envelope(
            id=uuid_text("restriction-state", key, str(record.offset + 1)),
            source=self._source,
            type=REMOVED if removed else CHANGED,
            time=taken.recorded_at,
            subject=key,
            partitionkey=key,
            correlationid=report.envelope.correlationid,
            causationid=taken.event_id,
            classification=classification(said.restriction.visibility)
            if said.restriction
            else report.envelope.classification,
            hubmode=report.envelope.hubmode,
            traceparent=report.envelope.traceparent,
        )
        headers = (
            *self._codec.headers(STATES, envelope, tombstone=removed),
            ("revision", b"%d" % taken.revision),
        )
        if said.restriction is None:
            return [Output(STATES, key, None, headers), Output("plan-regions", key, None, headers, 0)]
        state = replace(
            said.restriction,
            revision=taken.revision,
            content_hash=taken.content_hash,
            recorded_at=said.recorded_at,
        )
        encoded = self._codec.encode(STATES, state)
        first = said.change is ChangeKind.SNAPSHOT
        of_row = zone_headers(self._codec, envelope, accepted_at=now, first_load=first)
        return [Output(STATES, key, encoded, headers), Output("plan-regions", key, encoded, of_row, 0)]


def claim_of(key: str, report: Report) -> Claim:
    """Return what a report says as a change is judged; whoever accepts reports over HTTP asks `check` the same."""
    said, inside = report.said, report.said.restriction
    return Claim(
        key=key,
        source=report.envelope.source,
        event_id=report.envelope.id,
        subject_id=said.restriction_id,
        change=said.change,
        system=said.origin.system,
        oin=said.origin.oin,
        hops=said.origin.hops,
        recorded_at=said.recorded_at,
        sequence=said.sequence,
        content_hash=report.content_hash,
        phase=Phase.UNKNOWN,
        plan_id=inside.id if inside else None,
        plan_system=inside.system if inside else None,
        owner_oin=inside.owner.oin if inside else None,
        changed_fields=said.changed_fields,
        kind="restriction",
    )


def report_output(codec: Codec, said: RestrictionReport) -> Output:
    """Return the record to write for a report; its event id is `origin.event_id`."""
    inside = said.restriction
    envelope = Envelope(
        id=said.origin.event_id,
        source=said.origin.system,
        type=REPORTED,
        time=said.recorded_at,
        subject=said.restriction_id,
        partitionkey=said.restriction_id,
        correlationid=said.origin.event_id,
        classification=classification(inside.visibility) if inside else "restricted",
    )
    return Output(REPORTS, said.restriction_id, codec.encode(REPORTS, said), codec.headers(REPORTS, envelope))
