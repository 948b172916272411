"""What changes and states say, read for judging again: in another way than `consolidate` reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from samenloop import restriction_states
from samenloop.conservation import Change, Seen
from samenloop.consolidate import Claim, Known, claim_of
from samenloop.content_hash import content_hash, restriction_hash
from samenloop.contract import TOPICS, Codec, Envelope, read_envelope
from samenloop.errors import Reject
from samenloop.model import Phase, PlanChanged, PlanState, Restriction, RestrictionReport, Subject
from samenloop.restriction_states import REPORTS, STATES, Report
from samenloop.stage import Record
from samenloop.value import value

LETTERS_KEPT = timedelta(days=30)
"""A dead letter younger than this is still there (`retention.ms` of `dead-letters`)."""


@value
class Way:
    """From what sources say to the one state of each: two topics, whose partitions of one number belong together."""

    pipeline: str
    changes: str
    states: str

    @property
    def compaction_lag(self) -> timedelta:
        """A superseded state younger than this is still there."""
        return timedelta(milliseconds=int(TOPICS[self.states].config["min.compaction.lag.ms"]))


PLANS: Final = Way("consolidate", "plan-changes", "plan-states")
RESTRICTIONS: Final = Way("restrictions", REPORTS, STATES)
WAYS: Final = (PLANS, RESTRICTIONS)


def header(record: Record, name: str) -> str:
    """Return a header's text, empty where it is missing or no text."""
    return next((value for key, value in record.headers if key == name), b"").decode("utf-8", "replace")


def read_change(codec: Codec, record: Record) -> tuple[Change, Subject | None]:
    """Return a change as a claim, and the plan or restriction in it where it brings one that can be read.

    What the hub gives to a restriction is left out of it, but for when it was recorded.
    """
    place = (record.partition, record.offset, record.key)
    try:
        if record.value is None:
            raise Reject("record.null", "a change is never a null value")
        envelope = read_envelope(record.headers)
        said: PlanChanged | RestrictionReport = codec.decode(record.topic, record.value, record.headers)
    except Reject as error:
        return Change(*place, header(record, "ce_id"), error, record.topic), None
    if isinstance(said, PlanChanged):
        return Change(*place, envelope.id, _claim(record, envelope, said), record.topic), said.plan
    zone = said.restriction
    report = Report(envelope, said, restriction_hash(zone) if zone else None)
    bare = replace(zone, revision=0, content_hash=None, recorded_at=said.recorded_at) if zone else None
    return Change(*place, envelope.id, restriction_states.claim_of(record.key, report), record.topic), bare


def _claim(record: Record, envelope: Envelope, said: PlanChanged) -> Claim:
    hashed = said.content_hash
    if said.plan is not None and hashed is None:
        hashed = content_hash(said.plan)
    return claim_of(said, said.plan, key=record.key, source=envelope.source, event_id=envelope.id, content_hash=hashed)


def read_state(codec: Codec, record: Record) -> tuple[Seen, Subject | None]:
    """Return a state as what is remembered by it, and the plan or restriction in it; None for a removal.

    Raises Reject("envelope.…") and Reject("schema.…") for what cannot be read.
    """
    envelope = read_envelope(record.headers)
    if record.value is None:
        text = header(record, "revision")
        revision = int(text) if text.isdigit() else 1
        known = Known(revision, None, Phase.UNKNOWN, envelope.causationid or "", envelope.time, 0, None)
        return Seen(envelope.id, known), None
    state: PlanState | Restriction = codec.decode(record.topic, record.value, record.headers)
    if isinstance(state, PlanState):
        plan, event_id = state.plan, state.event_id
        known = Known(state.revision, state.content_hash, plan.phase, event_id, envelope.time, state.sequence,
                      plan.owner.oin)  # fmt: skip
        return Seen(envelope.id, known), plan
    event_id = envelope.causationid or ""
    known = Known(state.revision, state.content_hash, Phase.UNKNOWN, event_id, envelope.time, 0, state.owner.oin)
    return Seen(envelope.id, known), replace(state, revision=0, content_hash=None)
