"""Conservation: whatever went into the hub is accounted for, record by record, by id. Pure: values in, accounts out.

Five accounts, one for each place where a record could get lost. Each is an identity between topics, never a counter
of a process, because counters vanish with their process:

* *read*: of each poll, read = created + updated + removed + unchanged + rejected;
* *publish*: the changes that the polls of a snapshot say they wrote = the changes of that snapshot in `plan-changes`
  (of a source of restrictions: its reports in `restriction-reports`);
* *consolidate*: `plan-changes` = revisions in `plan-states` + duplicates + stale + dead letters. Of each change it is
  known by which id its state, or its dead letter, would be called; that it was a repeat or too late is judged again;
* *restrictions*: `restriction-reports` = revisions in `restrictions` + the same;
* *deliver*: alerts = delivered + accepted + refused + given up + expired + withheld + still due.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from samenloop.consolidate import Claim, Known, Ruling, accept, check, judge
from samenloop.errors import Reject
from samenloop.identity import uuid_text
from samenloop.model import Outcome, PollOutcome, SourcePoll

PIPELINES: Final = ("read", "publish", "consolidate", "restrictions", "deliver")
MOST_SHOWN: Final = 100
"""Differences that an account names; it counts all of them."""
_OUTCOMES: Final = ("created", "updated", "removed", "unchanged", "rejected")
Told = tuple[str, datetime]
"""A snapshot as its changes name it: the system that speaks, and the moment that it recorded."""


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that does not add up. *id* is an event, poll, alert or plan; *place* is ``topic partition@offset``."""

    what: str
    id: str
    place: str
    detail: str


@dataclass(slots=True)
class Account:
    """One identity over a window: what went in, what became of it, and what is not accounted for (*missing*)."""

    pipeline: str
    went_in: int = 0
    became: Counter[str] = field(default_factory=Counter)
    missing: int = 0
    differences: list[Difference] = field(default_factory=list)

    def differs(self, difference: Difference, records: int = 1) -> None:
        """Note a difference of so many *records*."""
        self.missing += records
        if len(self.differences) < MOST_SHOWN:
            self.differences.append(difference)


@dataclass(frozen=True, slots=True)
class Poll:
    """A poll, the system it read, its place; *snapshot* is when the page was taken, None where there was none."""

    poll: SourcePoll
    system: str
    place: str
    snapshot: datetime | None


def read_account(polls: Iterable[Poll]) -> Account:
    """Judge for each poll whether read = created + updated + removed + unchanged + rejected."""
    account = Account("read")
    for found in polls:
        poll = found.poll
        account.went_in += poll.read
        counts = {name: getattr(poll, name) for name in _OUTCOMES}
        account.became.update(counts)
        if off := poll.read - sum(counts.values()):
            words = " + ".join(f"{count} {name}" for name, count in counts.items())
            detail = f"{poll.source} read {poll.read} records, but {words} make {sum(counts.values())}"
            account.differs(Difference("poll does not add up", str(poll.id), found.place, detail), abs(off))
    account.became = +account.became
    return account


def publish_account(
    polls: Sequence[Poll], changes: Mapping[Told, int], judged: Container[str], *, fresh: Mapping[Told, str]
) -> Account:
    """Judge whether the changes that polls say they wrote are those that are there.

    *polls* are all that are known, *judged* the ids of those to judge; *changes* counts changes by snapshot, replays
    left out. *fresh* are the snapshots whose changes fall into the window, with one place each: they need a poll,
    unless they are newer than every poll of their system (a source that is at it, or died half-way and will be back).
    """
    account = Account("publish")
    told: dict[Told, list[Poll]] = {}
    newest: dict[str, datetime] = {}
    for found in polls:
        if found.snapshot is None:
            continue
        if found.poll.outcome is PollOutcome.OK:
            told.setdefault((found.system, found.snapshot), []).append(found)
        newest[found.system] = max(newest.get(found.system, found.snapshot), found.snapshot)
    for key, those in told.items():
        if any(str(found.poll.id) in judged for found in those):
            _judge_snapshot(account, those, changes.get(key, 0))
    for key, place in fresh.items():
        system, snapshot = key
        if key not in told and system in newest and snapshot <= newest[system]:
            detail = f"{changes[key]} changes of {system}, recorded {snapshot:%Y-%m-%d %H:%M:%S} UTC, belong to no poll"
            account.differs(Difference("changes without a poll", system, place, detail), changes[key])
    return account


def _judge_snapshot(account: Account, those: Sequence[Poll], there: int) -> None:
    """A poll of a version that does not say what it wrote gives bounds: some plans are removed without a word."""
    least = sum(_least(found.poll) for found in those)
    most = sum(_most(found.poll) for found in those)
    account.went_in += most if least == most else min(max(there, least), most)
    account.became["changes"] += there
    if off := max(least - there, there - most, 0):
        poll = those[-1].poll
        said = str(most) if least == most else f"{least} to {most}"
        detail = f"{poll.source} wrote {said} changes of {poll.snapshot_id}, {there} are there"
        account.differs(Difference("polls and changes differ", str(poll.id), those[-1].place, detail), off)


def _least(poll: SourcePoll) -> int:
    return poll.created + poll.updated if poll.published is None else poll.published


def _most(poll: SourcePoll) -> int:
    return poll.created + poll.updated + poll.removed if poll.published is None else poll.published


_STATE_OF: Final = {"plan-changes": "plan-state", "restriction-reports": "restriction-state"}
"""What the id of a state is made of, by the topic of the change that leads to it."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a plan, or a report of a restriction, as it lies in *topic*.

    *claim* is what it says, or why it cannot be read. None: it was not looked at.
    """

    partition: int
    offset: int
    key: str
    event_id: str
    claim: Claim | Reject | None = None
    topic: str = "plan-changes"

    @property
    def place(self) -> str:
        """Where it is."""
        return f"{self.topic} {self.partition}@{self.offset}"

    @property
    def state_id(self) -> str:
        """The event id of the state that it leads to when it is taken."""
        return uuid_text(_STATE_OF[self.topic], self.key, str(self.offset + 1))

    @property
    def letter_id(self) -> str:
        """The id of the dead letter that it leads to when it is set aside."""
        return uuid_text("dead-letter", self.topic, str(self.partition), str(self.offset), "consolidate")


@dataclass(frozen=True, slots=True)
class Seen:
    """A state of a plan or restriction: its event id, and what the stage remembers by it."""

    id: str
    known: Known


def ruling(known: Known | None, change: Change, *, allow_test_oin: bool = True) -> Ruling | Reject:
    """Judge a change again by the pure rules. Raises ValueError for one that was not looked at."""
    if change.claim is None:
        raise ValueError(f"{change.place} was not read")
    if isinstance(change.claim, Reject):
        return change.claim
    try:
        check(change.claim, allow_test_oin=allow_test_oin)
        return judge(known, change.claim)
    except Reject as error:
        return error


def before(changes: Iterable[Change], states: Sequence[Seen]) -> Known | None:
    """Return what was known before the first of the *changes* of one key: the last state that none of them led to."""
    ids = {change.state_id for change in changes}
    return next((seen.known for seen in reversed(states) if seen.id not in ids), None)


@dataclass(frozen=True, slots=True)
class Log:
    """What there is to know about one partition of changes.

    *states* by key in log order, *letters* are ids of dead letters; *committed* is the position of `consolidate`.
    *forgotten* says of an offset that a state of that age may have been compacted away under a later one.
    """

    letters: Container[str]
    committed: int
    states: Mapping[str, Sequence[Seen]] = field(default_factory=dict)
    forgotten: Callable[[int], bool] = lambda _: False
    allow_test_oin: bool = True


def consolidate_account(
    account: Account, changes: Iterable[Change], log: Log, *, judged: Callable[[int], bool] = lambda _: True
) -> None:
    """Add to *account* what became of each of the *changes*, which are all of some plans or restrictions, in log order.

    Only offsets that are *judged* are counted; the others lead up to them.
    """
    by_key: dict[str, list[Change]] = {}
    for change in changes:
        by_key.setdefault(change.key, []).append(change)
    for key, those in by_key.items():
        states = log.states.get(key, ())
        known = before(those, states)
        for change in those:
            counted = account if judged(change.offset) else Account(account.pipeline)
            counted.went_in += 1
            known = _follow(counted, change, known, states, log)


def _follow(account: Account, change: Change, known: Known | None, states: Sequence[Seen], log: Log) -> Known | None:
    """Count one change by what came of it, or else by what the rules say; return what is known after it."""
    taken = next((seen.known for seen in states if seen.id == change.state_id), None)
    if taken is not None:
        account.became["revisions"] += 1
        return taken
    if change.letter_id in log.letters:
        account.became["dead letters"] += 1
    elif change.offset >= log.committed:
        account.became["still to be read"] += 1
    else:
        return _judged(account, change, known, states, log)
    return known


def _judged(account: Account, change: Change, known: Known | None, states: Sequence[Seen], log: Log) -> Known | None:
    said = ruling(known, change, allow_test_oin=log.allow_test_oin)
    forgotten = log.forgotten(change.offset)
    if isinstance(said, Reject) and forgotten:
        account.became["refused, its dead letter no longer kept"] += 1
    elif isinstance(said, Reject):
        detail = f"{change.key}: {said.detail} ({said.code}), but there is no dead letter"
        account.differs(Difference("refused without a dead letter", change.event_id, change.place, detail))
    elif said is not Ruling.ACCEPTED:
        account.became["duplicates" if said is Ruling.DUPLICATE else "stale"] += 1
    elif isinstance(change.claim, Claim):
        after = accept(known, change.claim)
        if forgotten and states and states[-1].known.revision >= after.revision:
            account.became["revisions"] += 1
        else:
            detail = f"{change.key}: the rules take this change, but no state and no dead letter came of it"
            account.differs(Difference("change without a state", change.event_id, change.place, detail))
        return after
    return known


@dataclass(frozen=True, slots=True)
class AlertSeen:
    """An alert in the log: its sink has *passed* it, or it is still due. *elsewhere*: another channel carries it.

    *offered* is the number of the attempt, above 1 for a replay; the same offer made twice may be one or two sendings.
    """

    id: UUID
    place: str
    letter_id: str
    passed: bool
    elsewhere: bool = False
    offered: int = 1


FINAL: Final = {
    Outcome.DELIVERED: "delivered",
    Outcome.ACCEPTED: "accepted",
    Outcome.REFUSED: "refused",
    Outcome.GIVEN_UP: "given up",
    Outcome.EXPIRED: "expired",
    Outcome.WITHHELD: "withheld",
    Outcome.ECHO: "echo",
}
"""Outcomes that end an alert, in words."""


def deliver_account(
    alerts: Iterable[AlertSeen], finals: Mapping[UUID, Sequence[Outcome]], letters: Container[str]
) -> Account:
    """Judge whether each alert ended exactly once or is still due.

    An alert that is offered again stands in the log as often as it ended: it is judged once, with all its records.
    """
    account = Account("deliver")
    by_id: dict[UUID, list[AlertSeen]] = {}
    for alert in alerts:
        by_id.setdefault(alert.id, []).append(alert)
    for alert_id, those in by_id.items():
        ends = finals.get(alert_id, ())
        account.went_in += len(those)
        account.became.update(FINAL[outcome] for outcome in ends[: len(those)])
        if (surplus := len(ends) - len(those)) > 0:
            detail = f"alert {alert_id} has {len(ends)} final receipts, it was sent out {len(those)} times"
            account.differs(Difference("alert ended twice", str(alert_id), those[-1].place, detail), surplus)
        repeats = len(those) - len({alert.offered for alert in those})
        left = max(len(those) - len(ends), 0)
        for name, count in (
            ("still due", sum(not alert.passed for alert in those)),
            ("another channel", sum(alert.passed and alert.elsewhere for alert in those)),
            ("dead letters", sum(alert.passed and alert.letter_id in letters for alert in those)),
            ("the same offer again", repeats),
        ):
            account.became[name] += min(left, count)
            left -= min(left, count)
        if left:
            detail = f"alert {alert_id} was passed by, but has no final receipt and no dead letter"
            account.differs(Difference("alert without an end", str(alert_id), those[-1].place, detail), left)
    account.became = +account.became
    return account
