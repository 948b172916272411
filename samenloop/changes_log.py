"""What `plan-changes` and `plan-states` say, read for judging again: in another way than `consolidate` reads them."""

from __future__ import annotations

from datetime import timedelta

from samenloop.conservation import Change, Seen
from samenloop.consolidate import Claim, Known, claim_of
from samenloop.content_hash import content_hash
from samenloop.contract import Codec, Envelope, read_envelope
from samenloop.errors import Reject
from samenloop.model import Phase, PlanChanged, PlanState
from samenloop.stage import Record


def header(record: Record, name: str) -> str:
    """Return a header's text, empty where it is missing or no text."""
    return next((value for key, value in record.headers if key == name), b"").decode("utf-8", "replace")


def read_change(codec: Codec, record: Record) -> tuple[Change, PlanChanged | None]:
    """Return a record of `plan-changes` as a claim, and the change itself where it can be read."""
    try:
        if record.value is None:
            raise Reject("record.null", "a change is never a null value")
        envelope = read_envelope(record.headers)
        said: PlanChanged = codec.decode("plan-changes", record.value, record.headers)
    except Reject as error:
        return Change(record.partition, record.offset, record.key, header(record, "ce_id"), error), None
    return Change(record.partition, record.offset, record.key, envelope.id, _claim(record, envelope, said)), said


def _claim(record: Record, envelope: Envelope, said: PlanChanged) -> Claim:
    hashed = said.content_hash
    if said.plan is not None and hashed is None:
        hashed = content_hash(said.plan)
    return claim_of(said, said.plan, key=record.key, source=envelope.source, event_id=envelope.id, content_hash=hashed)


def read_state(codec: Codec, record: Record) -> tuple[Seen, PlanState | None]:
    """Return a record of `plan-states` as what is remembered by it; the state is None for a removal.

    Raises Reject("envelope.…") and Reject("schema.…") for what cannot be read.
    """
    envelope = read_envelope(record.headers)
    if record.value is None:
        text = header(record, "revision")
        revision = int(text) if text.isdigit() else 1
        known = Known(revision, None, Phase.UNKNOWN, envelope.causationid or "", envelope.time, 0, None)
        return Seen(envelope.id, known), None
    state: PlanState = codec.decode("plan-states", record.value, record.headers)
    plan = state.plan
    known = Known(
        revision=state.revision,
        content_hash=state.content_hash,
        phase=plan.phase,
        event_id=state.event_id,
        recorded_at=envelope.time,
        sequence=state.sequence,
        owner_oin=plan.owner.oin,
    )
    return Seen(envelope.id, known), state


COMPACTION_LAG = timedelta(days=7)
"""A superseded plan state younger than this is still there (`min.compaction.lag.ms` of `plan-states`)."""
LETTERS_KEPT = timedelta(days=30)
"""A dead letter younger than this is still there (`retention.ms` of `dead-letters`)."""
