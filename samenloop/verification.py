"""Is the truth true? States and findings worked out again from what sources said, compared with what the stages wrote.

States: the pure rules over the logs, plan by plan and restriction by restriction, with every record decoded whole.
Findings: the batch oracle over what this gives, on the same day, with the same rules. Neither shares code with the
stages beyond the rules.

A hub at work is looked at from outside. First it is asked how far `consolidate` and `detect` are, then the findings
are read, then the states, then the changes to their end. So of a plan or restriction whose last change and row lie
below those positions everything is told, and it is compared; one that moves meanwhile is left out and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Final

from samenloop import conservation
from samenloop.changes_log import PLANS, RESTRICTIONS, WAYS, Way, header, read_change, read_state
from samenloop.conservation import Change, Difference, Seen
from samenloop.consolidate import Claim, Known, Ruling, accept
from samenloop.contract import Codec
from samenloop.errors import Reject
from samenloop.kafka.window import Offsets, Window
from samenloop.model import Finding, FindingStatus, PlanRegion, Restriction
from samenloop.model import Subject as Thing
from samenloop.oracle import Expected, differences, findings_among
from samenloop.rules import Gone, Rules, Subject, Zone, subject_of, zone_subject
from samenloop.settings import Hub
from samenloop.stage import Record

FINDINGS: Final = ("conflicts", "opportunities")


@dataclass(slots=True)
class Compared:
    """What one look at the hub found. *waiting* changes lie before the ends asked for and are not read yet.

    *moving* plans and restrictions changed meanwhile, *given* ones rest on changes that the log no longer has.
    *unjudged* ones have a geometry that cannot be read. *notes* say in words what could not be verified.
    """

    today: date | None = None
    plans: int = 0
    restrictions: int = 0
    findings: int = 0
    states: list[Difference] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    waiting: int = 0
    moving: set[str] = field(default_factory=set)
    given: int = 0
    unjudged: int = 0
    notes: list[str] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether the hub stood still enough to say something: nothing waits, and few plans moved."""
        compared = self.plans + self.restrictions
        return not self.waiting and len(self.moving) * 20 <= compared + len(self.moving)


class Verifier:
    """Looks at one hub. Calls raise Retry when Kafka does not answer."""

    def __init__(self, hub: Hub, codec: Codec, rules: Rules, window: Window) -> None:
        self._hub, self._codec, self._rules, self._window = hub, codec, rules, window

    def ends(self) -> dict[str, Offsets]:
        """Return how far what sources said reaches now, by topic and partition."""
        return {way.changes: self._window.ends(way.changes) for way in WAYS}

    def look(self, ends: Mapping[str, Offsets]) -> Compared:
        """Compare once; *ends* are those up to which nothing may be waiting."""
        found = Compared()
        read = {way.changes: self._window.committed("consolidate", way.changes) for way in WAYS}
        judged = self._window.committed("detect", "plan-regions")[0]
        held = self._findings(found)
        letters = frozenset(header(record, "ce_id") for record in self._window.read("dead-letters"))
        subjects: list[Subject] = []
        zones: list[Zone] = []
        cut = False
        for way in WAYS:
            starts = self._window.starts(way.changes)
            cut |= any(starts.values())
            for number, committed in read[way.changes].items():
                part = _Part(self._codec, self._window, way, number, start=starts[number], letters=letters)
                part.allow_test_oin = self._hub.hub.allow_test_oin
                part.fold(committed, ends[way.changes][number])
                found.waiting += part.waiting
                found.moving |= part.moving
                self._judge(part.compare(found), subjects, zones, found)
        self._rows(judged, found)
        self._compare_findings(held, subjects, zones, found)
        self._note(found, cut=cut)
        return found

    def _judge(
        self, things: Iterable[tuple[Thing, int]], subjects: list[Subject], zones: list[Zone], found: Compared
    ) -> None:
        """Add what the rules see of each plan and restriction, which come with their revision."""
        rules, crs = self._rules, self._hub.hub.metric_crs
        for thing, revision in things:
            try:
                if isinstance(thing, Restriction):
                    zone = zone_subject(thing, revision, rules, crs)
                    zones += [] if isinstance(zone, Gone) else [zone]
                else:
                    subject = subject_of(thing, revision, rules, crs)
                    subjects += [] if isinstance(subject, Gone) else [subject]
            except Reject:
                found.unjudged += 1  # `detect` counts it as without geometry too

    def _findings(self, found: Compared) -> dict[str, Finding]:
        """Return the findings that are open."""
        held: dict[str, Finding] = {}
        unreadable = 0
        for topic in FINDINGS:
            for record in self._window.read(topic):
                held.pop(record.key, None)
                if record.value is None:
                    continue
                try:
                    finding: Finding = self._codec.decode(topic, record.value, record.headers)
                except Reject:
                    unreadable += 1
                    continue
                if finding.status is FindingStatus.OPEN:
                    held[record.key] = finding
        if unreadable:
            found.notes.append(f"{unreadable} records of conflicts and opportunities cannot be read and were left out")
        return held

    def _rows(self, judged: int, found: Compared) -> None:
        """Find the day that `detect` judges by, and the plans with rows that it has not judged yet."""
        for record in self._window.read("plan-regions"):
            if record.key.startswith("day:") and record.value is not None:
                day = self._day(record)
                if day is not None and record.offset < judged:
                    found.today = max(day, found.today or day)
            elif record.offset >= judged:
                found.moving.add(record.key)

    def _day(self, record: Record) -> date | None:
        try:
            row: PlanRegion = self._codec.decode("plan-regions", record.value or b"", record.headers)
        except Reject:
            return None
        return row.day

    def _compare_findings(
        self, held: Mapping[str, Finding], subjects: list[Subject], zones: list[Zone], found: Compared
    ) -> None:
        if found.today is None:
            if held or subjects:
                found.notes.append("findings were not compared: no day was told yet, so `detect` has judged nothing")
            return
        subjects.sort(key=lambda subject: subject.plan_id)
        crs = self._hub.hub.metric_crs
        expected = findings_among(subjects, self._rules, found.today, zones=zones, metric_crs=crs)
        still = {key: value for key, value in expected.items() if _still(value, found.moving)}
        open_ = [f for f in held.values() if found.moving.isdisjoint(participant.id for participant in f.participants)]
        found.findings = len(still.keys() | {str(finding.id) for finding in open_})
        found.judged = differences(open_, still)

    def _note(self, found: Compared, *, cut: bool) -> None:
        if found.given:
            found.notes.append(
                f"{found.given} plans and restrictions rest on changes older than Kafka keeps (400 days): their "
                "states were taken as they stand, and only findings about them were verified"
            )
        elif cut:
            found.notes.append(
                "the oldest changes are no longer kept; what came of them was verified by the changes after them"
            )
        if found.moving:
            found.notes.append(
                f"{len(found.moving)} plans and restrictions changed while this ran and were left out: run it again"
            )


def _still(expected: Expected, moving: set[str]) -> bool:
    return moving.isdisjoint(plan_id for plan_id, _ in expected.revisions)


class _Part:
    """One partition of changes with the states in the partition of the same number."""

    def __init__(
        self, codec: Codec, window: Window, way: Way, number: int, *, start: int, letters: frozenset[str]
    ) -> None:
        self._codec, self._window, self._way, self._number, self._start = codec, window, way, number, start
        self._letters, self.allow_test_oin = letters, True
        self._seen: dict[str, list[Seen]] = {}
        self._last: dict[str, tuple[str, Known, Thing | None]] = {}
        self._known: dict[str, Known] = {}
        self._value: dict[str, tuple[str, Thing | None]] = {}
        self._loose: set[str] = set()
        self._before: dict[str, Known] = {}
        self.moving: set[str] = set()
        self.waiting = 0

    def fold(self, committed: int, end: int) -> None:
        """Work out everything in the partition, from the changes below *committed*."""
        self._read_states()
        if self._start:
            self._read_before()
        for record in self._window.read(self._way.changes, [self._number]):
            if record.offset >= committed:
                self.moving.add(record.key)
                self.waiting += record.offset < end
            else:
                self._take(record)

    def compare(self, found: Compared) -> Iterator[tuple[Thing, int]]:
        """Compare with the states; yield each plan or restriction that there is, with its revision, as worked out."""
        for key in sorted(self._known.keys() | self._last.keys()):
            known, state = self._known.get(key), self._state(key)
            if known is None and self._start and key in self._last:
                if state is not None:
                    found.given += 1
                    yield state, self._last[key][1].revision
                continue
            thing = self._thing(key)
            if key not in self.moving:
                found.plans += self._way is PLANS
                found.restrictions += self._way is RESTRICTIONS
                found.states += self._differences(key, known, thing, state)
            if thing is not None and known is not None:
                loose = key in self._loose and state is not None
                yield thing, self._last[key][1].revision if loose else known.revision

    def _read_states(self) -> None:
        for record in self._window.read(self._way.states, [self._number]):
            try:
                seen, state = read_state(self._codec, record)
            except Reject:
                continue  # nobody could read it: what it ought to say is found missing
            self._seen.setdefault(record.key, []).append(seen)
            self._last[record.key] = f"{record.topic} {record.partition}@{record.offset}", seen.known, state

    def _read_before(self) -> None:
        """Retention took changes away: what was known before those that are left, the states of then say."""
        ids = {
            Change(self._number, record.offset, record.key, "", topic=self._way.changes).state_id
            for record in self._window.read(self._way.changes, [self._number])
        }
        for key, states in self._seen.items():
            old = next((seen.known for seen in reversed(states) if seen.id not in ids), None)
            if old is not None:
                self._before[key] = old

    def _take(self, record: Record) -> None:
        change, thing = read_change(self._codec, record)
        if change.letter_id in self._letters:
            return
        key = change.key
        known = self._known.get(key) or self._before.get(key)
        ruling = conservation.ruling(known, change, allow_test_oin=self.allow_test_oin)
        if ruling is not Ruling.ACCEPTED or not isinstance(change.claim, Claim):
            if known is not None:
                self._known.setdefault(key, known)
            return
        taken = accept(known, change.claim)
        if known is None or known.content_hash is None:
            self._begin(change, taken, known)
        self._known[key], self._value[key] = taken, (change.place, thing)

    def _begin(self, change: Change, taken: Known, known: Known | None) -> None:
        """A first revision: 1, unless older changes are gone. A return goes on, unless the removal was forgotten."""
        seen = next((seen.known for seen in self._seen.get(change.key, ()) if seen.id == change.state_id), None)
        if known is None and self._start:
            self._loose.add(change.key)
        if seen is not None and (change.key in self._loose or seen.revision == 1):
            taken.revision = seen.revision

    def _state(self, key: str) -> Thing | None:
        return self._last[key][2] if key in self._last else None

    def _thing(self, key: str) -> Thing | None:
        """Return the plan or restriction as its last change gave it, else as the state before the log gave it."""
        return self._value[key][1] if key in self._value else self._state(key)

    def _differences(
        self, key: str, known: Known | None, thing: Thing | None, state: Thing | None
    ) -> Iterator[Difference]:
        place = self._last[key][0] if key in self._last else f"{self._way.states} {self._number}"
        cause = self._value[key][0] if key in self._value else "no change"
        have = self._last[key][1] if key in self._last else None
        if known is None or thing is None:
            if state is not None and have is not None:
                why = "no change led to it" if known is None else f"{cause} removed it"
                yield Difference("state that should not be there", key, place, f"revision {have.revision}, but {why}")
            return
        if state is None or have is None:
            yield Difference("missing state", key, place, f"{cause} gave revision {known.revision}, but there is none")
            return
        pairs = {
            "revision": (have.revision, have.revision if key in self._loose else known.revision),
            "event_id": (have.event_id, known.event_id),
            "content_hash": ((have.content_hash or b"").hex(), (known.content_hash or b"").hex()),
        }
        for name, (found, wanted) in pairs.items():
            if found != wanted:
                yield Difference("wrong state", key, place, f"{name} is {found}, {cause} makes it {wanted}")
        if state != thing:
            differ = [f.name for f in fields(thing) if getattr(state, f.name) != getattr(thing, f.name)]
            yield Difference("wrong state", key, place, f"{', '.join(differ)} are not as {cause} says")
