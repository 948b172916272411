"""The account of a poll: the record that is written, and the metrics that are counted after it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from samenloop import clock, metrics
from samenloop.contract import Codec, Envelope, classification
from samenloop.errors import Held, Reject, Retry
from samenloop.identity import uuid_of
from samenloop.model import Change, DeadLetter, PollOutcome, RestrictionReport, SourcePoll, Visibility
from samenloop.restriction_states import report_output
from samenloop.snapshots import Counts
from samenloop.source import Page
from samenloop.stage import Output

PLAN_CHANGED = "nl.samenloop.plan-changed.v1"
SOURCE_POLLED = "nl.samenloop.source-polled.v1"
_SUCCESS = (PollOutcome.OK, PollOutcome.UNCHANGED)


def poll_of(
    source: str,
    connector: str,
    started: datetime,
    outcome: PollOutcome,
    *,
    error: Retry | Reject | Held | None = None,
    page: Page | None = None,
    counts: Counts | None = None,
) -> SourcePoll:
    """Return the account of a poll that ends now; *page* is the one it took, refused or holds."""
    counts = counts or Counts()
    took = clock.now() - started
    return SourcePoll(
        id=uuid_of("poll", source, started.isoformat(), page.snapshot_id if page else "-"),
        source=source,
        connector=connector,
        started_at=started,
        duration_ms=max(0, int(took.total_seconds() * 1000)),
        outcome=outcome,
        error_code=error.code if error else None,
        detail=error.detail if error else None,
        snapshot_id=page.snapshot_id if page else None,
        read=counts.read,
        created=counts.created,
        updated=counts.updated,
        removed=counts.removed,
        unchanged=counts.unchanged,
        rejected=counts.rejected,
        newest_record_at=page.taken_at if page else None,
        published=counts.published,
    )


def poll_output(codec: Codec, poll: SourcePoll, *, hub_urn: str, system: str) -> Output:
    """Return the record to write for a poll of *system*; the hub is its source."""
    envelope = Envelope(
        id=str(poll.id),
        source=hub_urn,
        type=SOURCE_POLLED,
        time=poll.started_at,
        subject=system,
        partitionkey=poll.source,
        correlationid=str(poll.id),
        classification=classification(Visibility.PARTNERS),
    )
    return Output("polls", poll.source, codec.encode("polls", poll), codec.headers("polls", envelope))


def change_output(codec: Codec, change: Change) -> Output:
    """Return the record to write for a change; its event id is `origin.event_id`."""
    if isinstance(change, RestrictionReport):
        return report_output(codec, change)
    visibility = change.plan.visibility if change.plan else Visibility.RESTRICTED
    envelope = Envelope(
        id=change.origin.event_id,
        source=change.origin.system,
        type=PLAN_CHANGED,
        time=change.recorded_at,
        subject=change.plan_id,
        partitionkey=change.plan_id,
        correlationid=change.origin.event_id,
        classification=classification(visibility),
    )
    value = codec.encode("plan-changes", change)
    return Output("plan-changes", change.plan_id, value, codec.headers("plan-changes", envelope))


def count(labels: Mapping[str, str], poll: SourcePoll, letters: Sequence[DeadLetter]) -> None:
    """Count a poll that is safely on Kafka. *labels* are connector and source."""
    metrics.SOURCE_POLLS_TOTAL.labels(**labels, outcome=poll.outcome.lower()).inc()
    metrics.SOURCE_POLL_DURATION_SECONDS.labels(**labels).observe(poll.duration_ms / 1000)
    metrics.SOURCE_RECORDS_READ_TOTAL.labels(**labels).inc(poll.read)
    for outcome in ("created", "updated", "removed", "unchanged", "rejected"):
        metrics.SOURCE_RECORDS_TOTAL.labels(**labels, outcome=outcome).inc(getattr(poll, outcome))
    if poll.outcome in _SUCCESS:
        metrics.SOURCE_LAST_SUCCESS_TIMESTAMP_SECONDS.labels(**labels).set(clock.now().timestamp())
    if poll.outcome is PollOutcome.OK and poll.newest_record_at:
        newest = metrics.SOURCE_NEWEST_RECORD_TIMESTAMP_SECONDS.labels(**labels)
        newest.set(poll.newest_record_at.timestamp())
    for letter in letters:
        metrics.DLQ_RECORDS_TOTAL.labels(topic=poll.source, reason=letter.reason.lower()).inc()


def show_state(labels: Mapping[str, str], *, held: bool, failed: bool) -> None:
    """Show the state that a source is in, and no other."""
    current = "held" if held else "failed" if failed else "running"
    for state in ("running", "held", "failed"):
        metrics.SOURCE_STATE.labels(**labels, state=state).set(state == current)
