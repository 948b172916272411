"""One picture of a hub: sources, stages, partners, findings, and what of it needs somebody. Pure: `now` is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta

from samenloop.model import DeliveryReceipt, Outcome, PollOutcome, SourcePoll, SourceStatus, SystemState
from samenloop.systems_overview import OBSERVED_WITHIN, STALE_FACTOR, Freshness
from samenloop.value import value

SLOW = timedelta(minutes=5)
"""A record that waits longer for a stage needs somebody: the threshold of the alert ConsumerLagTime."""
BACKLOG = timedelta(hours=1)
"""The same of an alert that is due: the threshold of the alert PartnerBacklogOld."""
_SOURCES, _PARTNERS = {"sources", "polls"}, {"subscriptions", "alerts", "receipts"}
_GOOD = (Outcome.DELIVERED, Outcome.ACCEPTED)
_STATES = {
    PollOutcome.OK: SystemState.RUNNING,
    PollOutcome.UNCHANGED: SystemState.RUNNING,
    PollOutcome.HELD: SystemState.PAUSED,
}


@value
class SourceLine:
    """One source: its status as the health view published it, and its last poll; None where there is none yet.

    *good_at* is the last poll that succeeded, by either. So a source is judged by its polls when the view is down.
    """

    name: str
    objective_seconds: float
    status: SourceStatus | None = None
    poll: SourcePoll | None = None
    good_at: datetime | None = None

    @property
    def state(self) -> SystemState:
        """The state it is in: what the view said, or what a newer poll says."""
        status, poll = self.status, self.poll
        if poll is None or (status is not None and status.observed_at >= poll.started_at):
            return SystemState.UNKNOWN if status is None else status.state
        return _STATES.get(poll.outcome, SystemState.FAILED)

    @property
    def error_code(self) -> str | None:
        """Why it is in that state, where something is wrong."""
        told = self.status.error_code if self.status else None
        return told or (self.poll.error_code if self.poll else None)


@value
class Place:
    """How far a group is in one partition. *waiting* are records, *oldest_at* is when the first of them was written.

    *committed* None: the group has no position there.
    """

    topic: str
    partition: int
    committed: int | None
    end: int
    waiting: int = 0
    oldest_at: datetime | None = None


@value
class Worker:
    """One member of a group and the partitions of the lead topic that it holds; none: it stands by."""

    name: str
    host: str
    partitions: tuple[int, ...] = ()


@value
class StageLine:
    """One stage, view or sink. *rate* is offsets a second since the last look; None before there were two."""

    group: str
    places: tuple[Place, ...] = ()
    workers: tuple[Worker, ...] = ()
    partitions: int = 0
    rate: float | None = None
    vital: bool = True

    @property
    def waiting(self) -> int:
        """Records that it has not read yet."""
        return sum(place.waiting for place in self.places)

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest of them was written."""
        return min((place.oldest_at for place in self.places if place.oldest_at is not None), default=None)

    @property
    def unowned(self) -> int:
        """Partitions of its lead topic that nobody works on."""
        return self.partitions - sum(len(worker.partitions) for worker in self.workers)


@value
class PartnerLine:
    """One partner that is told things. *oldest_at*: since when the oldest alert that waits is due."""

    oin: str
    name: str
    subscriptions: Mapping[str, int] = field(default_factory=dict)
    """How many, by status in lower case; ended ones are not counted."""
    reasons: tuple[str, ...] = ()
    """Why subscriptions are paused."""
    pending: int = 0
    oldest_at: datetime | None = None
    answer: DeliveryReceipt | None = None
    """The last attempt, within what was read."""


@value
class Letters:
    """Dead letters that wait for a decision, by the topic or source they came from."""

    waiting: Mapping[str, int] = field(default_factory=dict)
    oldest_at: datetime | None = None


@value(kw_only=True)
class Picture:
    """All of it. *reading*: topics that are not read to their end yet, so what is counted from them is too small.

    *at_least*: topics of which only the newest part was read, for there is much of it. *trouble*: why this is not what
    is now, in a sentence; None when it is.
    """

    at: datetime
    kafka: str
    prefix: str
    sources: tuple[SourceLine, ...] = ()
    stages: tuple[StageLine, ...] = ()
    partners: tuple[PartnerLine, ...] = ()
    conflicts: Mapping[str, int] = field(default_factory=dict)
    """Open ones, by severity in lower case."""
    opportunities: int = 0
    letters: Letters = Letters()
    reading: tuple[str, ...] = ()
    at_least: tuple[str, ...] = ()
    trouble: str | None = None


@value
class Concern:
    """Something that needs somebody: a stable code, whom it is about, and a sentence that says what to do."""

    code: str
    subject: str
    words: str


def concerns(picture: Picture) -> list[Concern]:
    """Return what needs somebody, the worst kinds first. What is not read to its end yet is not judged."""
    found = list(_of_stages(picture.stages, picture.at))
    if not _SOURCES & set(picture.reading):
        found += [concern for line in picture.sources for concern in _of_source(line, picture.at)]
        found += _of_view(picture)
    if not _PARTNERS & set(picture.reading):
        found += [concern for line in picture.partners for concern in _of_partner(line, picture.at)]
    if picture.letters.waiting:
        count = sum(picture.letters.waiting.values())
        words = f"{count} records were set aside and wait for a decision: samenloop dead-letters list"
        found.append(Concern("letters.waiting", "dead-letters", words))
    return found


def freshness(line: SourceLine, now: datetime) -> Freshness:
    """Return how fresh a source is now, by its own objective: as the overview of systems judges it."""
    if line.good_at is None:
        return Freshness.NEVER
    age = (now - line.good_at).total_seconds() / line.objective_seconds
    return Freshness.FRESH if age <= 1 else Freshness.LATE if age <= STALE_FACTOR else Freshness.STALE


def answered_well(receipt: DeliveryReceipt) -> bool:
    """Whether the partner took the alert."""
    return receipt.outcome in _GOOD


def ago(instant: datetime, now: datetime) -> str:
    """Return an age in its largest unit, as short as a table wants it: `12 s`, `3 min`, `5 h`, `2 d`."""
    return span(max(0.0, (now - instant).total_seconds()))


def span(seconds: float) -> str:
    """Return a length of time as short as `ago` does."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{int(seconds) // size} {unit}"
    return f"{int(seconds)} s"


def _of_stages(lines: Sequence[StageLine], now: datetime) -> Iterator[Concern]:
    if lines and not any(line.workers for line in lines):
        yield Concern("hub.down", "hub", "No stage is at work: samenloop up, or start its processes")
        return
    for line in lines:
        yield from _of_stage(line, now)


def _of_view(picture: Picture) -> Iterator[Concern]:
    """A state that is told by nobody any more is worse than none."""
    observed = [line.status.observed_at for line in picture.sources if line.status is not None]
    if observed and picture.at - max(observed) > OBSERVED_WITHIN:
        age = ago(max(observed), picture.at)
        yield Concern("view.silent", "health", f"health: sources were last observed {age} ago; is the view running?")


def _of_stage(line: StageLine, now: datetime) -> Iterator[Concern]:
    name, oldest = line.group, line.oldest_at
    if not line.workers:
        effect = "nothing passes it" if line.vital else "what it shows stands still"
        yield Concern("stage.nobody", name, f"{name}: nobody is at work, {effect}; start it, or end it if it hangs")
    elif line.unowned > 0:
        yield Concern("stage.unowned", name, f"{name}: {line.unowned} partitions have no worker; see its log")
    if any(place.committed is None for place in line.places):
        yield Concern("stage.no-position", name, f"{name}: has no position in some partition: samenloop topics apply")
    if line.vital and oldest is not None and now - oldest > SLOW:
        words = f"{name}: {line.waiting} records wait, the oldest for {ago(oldest, now)}"
        yield Concern("stage.behind", name, words)


def _of_source(line: SourceLine, now: datetime) -> Iterator[Concern]:
    name = line.name
    if line.state is SystemState.UNKNOWN:
        yield Concern("source.never", name, f"{name}: was never read; is its process running?")
        return
    code = f" ({line.error_code})" if line.error_code else ""
    if line.state is SystemState.PAUSED:
        words = f"{name}: a delivery is held{code}: samenloop source release {name}, or discard"
        yield Concern("source.held", name, words)
    elif line.state is SystemState.FAILED:
        yield Concern("source.failed", name, f"{name}: cannot be read{code}")
    if line.good_at is not None and freshness(line, now) is Freshness.STALE:
        age, wanted = ago(line.good_at, now), span(line.objective_seconds)
        words = f"{name}: last good poll {age} ago, wanted every {wanted}; call its owner"
        yield Concern("source.stale", name, words)


def _of_partner(line: PartnerLine, now: datetime) -> Iterator[Concern]:
    paused = line.subscriptions.get("paused", 0)
    if paused and {"failing", "gone"} & set(line.reasons):
        words = f"{line.name}: paused because its receiver does not take alerts: samenloop subscriptions resume ID"
        yield Concern("partner.paused", line.oin, words)
    if line.oldest_at is not None and now - line.oldest_at > BACKLOG:
        words = f"{line.name}: {line.pending} alerts wait, the oldest for {ago(line.oldest_at, now)}"
        yield Concern("partner.backlog", line.oin, words)
    elif line.pending and line.answer is not None and line.answer.outcome is Outcome.RETRY:
        words = f"{line.name}: does not take alerts ({answer_words(line.answer)}); they are tried again"
        yield Concern("partner.failing", line.oin, words)


def answer_words(receipt: DeliveryReceipt) -> str:
    """Return what an attempt came to: the HTTP status or the problem, and the outcome where that says more."""
    said = str(receipt.http_status or receipt.problem or "")
    outcome = receipt.outcome.lower().replace("_", " ")
    return said if said and receipt.outcome in (*_GOOD, Outcome.RETRY) else f"{outcome} {said}".strip()
