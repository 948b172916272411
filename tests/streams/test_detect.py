"""The detect stage, driven by hand: what it writes, sets aside and brings back after a restart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import pytest
import shapely

from samenloop.contract import Codec, Envelope, read_envelope
from samenloop.errors import BadSettings
from samenloop.geometry import to_model
from samenloop.model import (
    Certainty,
    DeadLetter,
    Finding,
    FindingStatus,
    Geometry,
    Organisation,
    Period,
    Phase,
    Plan,
    PlanKind,
    PlanRegion,
    Precision,
    Relation,
    RelationKind,
    Visibility,
)
from samenloop.rules import CLASH_WORKS, NEAR, SAME_TRENCH, load_rules
from samenloop.settings import Hub
from samenloop.stage import Output, Partition, Record
from streams.detect import Detect

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
TODAY = date(2027, 1, 4)
SYSTEM = "urn:nld:oin:00000099000000001001:systeem:register"
CODEC = Codec.offline()
CRS = "EPSG:28992"


def plan(name: str, x: float, start: date, end: date | None, **fields: Any) -> Plan:
    """A sure groundwork of its own owner: 20 by 10 m, its corner *x* m east of the base."""
    defaults: dict[str, Any] = {
        "kind": PlanKind.WORKS,
        "phase": Phase.PREPARATION,
        "certainty": Certainty.FIXED,
        "visibility": Visibility.PUBLIC,
        "ground_disturbing": True,
        "geometry": to_model(shapely.box(121000 + x, 487000, 121020 + x, 487010), CRS),
    }
    return Plan(
        id=f"{SYSTEM}:plan:{name}",
        system=SYSTEM,
        local_id=name,
        owner=Organisation(f"0000009900000000000{ord(name[0]) % 10}", name),
        title=name,
        period=Period(start, end, Precision.DAY),
        **(defaults | fields),
    )


A = plan("A", 0, date(2027, 3, 1), date(2027, 4, 30))
B = plan("B", 15, date(2027, 4, 12), date(2027, 5, 28))


@dataclass
class Log:
    """Topics in memory: it plays Kafka and the loop, one transaction per call."""

    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    committed: Mapping[Partition, int] = field(default_factory=dict)
    partitions: Collection[int] = (0,)
    changes: int = 0

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Yield records up to the position committed, or all."""
        end = self.committed.get((topic, 0), 0)
        return iter([r for r in self.records[topic] if until == "end" or r.offset < end])

    def append(self, topic: str, key: str, value: bytes | None, headers: Any = ()) -> Record:
        """Write one record."""
        offset = self.records[topic][-1].offset + 1 if self.records[topic] else 0
        record = Record(topic, 0, offset, key, value, tuple(headers), 1_800_000_000_000)
        self.records[topic].append(record)
        return record

    def day(self, day: date) -> Record:
        """Write a tick."""
        row = PlanRegion(plan_id=f"day:{day}", version=0, revision=0, accepted_at=NOW, cause_id=f"tick-{day}", day=day)
        return self.append("plan-regions", row.plan_id, CODEC.encode("plan-regions", row))

    def row(self, plan: Plan | None, plan_id: str | None = None, *, first_load: bool = False) -> Record:
        """Write a version of a plan, or its removal."""
        self.changes += 1
        key = plan.id if plan else plan_id or ""
        envelope = Envelope(
            id=f"state-{self.changes}",
            source=SYSTEM,
            type="nl.samenloop.plan-state-changed.v1",
            time=NOW,
            subject=key,
            partitionkey=key,
            correlationid=f"first-{self.changes}",
            causationid=f"change-{self.changes}",
        )
        if plan is None:
            return self.append("plan-regions", key, None, CODEC.headers("plan-regions", envelope, tombstone=True))
        row = PlanRegion(
            plan_id=key,
            version=self.changes,
            revision=self.changes,
            accepted_at=NOW,
            cause_id=f"change-{self.changes}",
            first_load=first_load,
            plan=plan,
        )
        return self.append(
            "plan-regions", key, CODEC.encode("plan-regions", row), CODEC.headers("plan-regions", envelope)
        )

    def take(self, outputs: Sequence[Output], position: int) -> list[Output]:
        """Commit outputs and position."""
        for output in outputs:
            self.append(output.topic, output.key, output.value, output.headers)
        self.committed = {("plan-regions", 0): position}
        return list(outputs)

    def run(self, stage: Detect, *batch: Record) -> list[Output]:
        """Hand a batch to the stage, then let it catch up."""
        outputs = self.take(stage.process(batch, NOW), batch[-1].offset + 1)
        while more := stage.idle(NOW):
            outputs += self.take(more, batch[-1].offset + 1)
        return outputs

    def start(self) -> tuple[Detect, list[Output]]:
        """Start a stage over this log; return it with what it wrote in its first transactions."""
        stage = Detect.from_hub(Hub(), CODEC)
        position = self.committed.get(("plan-regions", 0), 0)
        outputs = self.take(stage.assign(self), position)
        while more := stage.idle(NOW):
            outputs += self.take(more, position)
        return stage, outputs


def findings(outputs: Sequence[Output]) -> dict[str, Finding]:
    """Return the last version of each finding written, by rule."""
    decoded = [
        CODEC.decode(o.topic, o.value, o.headers)
        for o in outputs
        if o.topic in ("conflicts", "opportunities") and o.value is not None
    ]
    return {finding.evidence.rule_id: finding for finding in decoded}


def types(outputs: Sequence[Output]) -> list[str]:
    """Return the event types written."""
    return [read_envelope(o.headers).type.split(".")[2] for o in outputs if o.headers]


def test_an_overlap_opens_a_conflict_and_an_opportunity() -> None:
    """Both carry the participants at the revision judged, the cause, and say so in their envelopes."""
    log = Log()
    stage, _ = log.start()

    outputs = log.run(stage, log.day(TODAY), log.row(A), log.row(B))

    found = findings(outputs)
    assert types(outputs) == ["conflict-opened", "opportunity-opened"]
    assert [(p.id, p.revision) for p in found[CLASH_WORKS].participants] == [(A.id, 1), (B.id, 2)]
    assert found[CLASH_WORKS].cause_id == "change-2"
    envelope = read_envelope(outputs[0].headers)
    assert (envelope.causationid, envelope.correlationid) == ("change-2", "first-2")
    assert envelope.subject == envelope.partitionkey == outputs[0].key == str(found[CLASH_WORKS].id)
    assert envelope.classification == "public"


def test_rows_before_the_first_day_wait_for_it() -> None:
    """Nothing is judged until the day is known; then everything is, a first load still marked as one."""
    log = Log()
    stage, _ = log.start()

    before = log.run(stage, log.row(A, first_load=True), log.row(B, first_load=True))
    after = log.run(stage, log.day(TODAY))

    assert before == []
    assert {finding.status_reason for finding in findings(after).values()} == {"FIRST_LOAD"}


def test_each_change_says_its_findings_again() -> None:
    """A change that leaves the pair as it was writes both findings again, at the new revision."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B))

    outputs = log.run(stage, log.row(replace(B, title="renamed")))

    assert types(outputs) == ["conflict-changed", "opportunity-changed"]
    assert {finding.revision for finding in findings(outputs).values()} == {2}
    assert findings(outputs)[CLASH_WORKS].participants[1].revision == 3


MOVED = replace(B, period=Period(date(2027, 5, 1), date(2027, 6, 16), Precision.DAY))
AWAY = plan("B", 500, date(2027, 4, 12), date(2027, 5, 28))
AT_7_M = plan("B", 27, date(2027, 4, 12), date(2027, 5, 28))
CLOSINGS = {
    "moved in time": (MOVED, "RESOLVED", "NO_OVERLAP"),
    "moved away": (AWAY, "RESOLVED", "NOT_NEAR"),
    "cancelled": (replace(B, phase=Phase.CANCELLED), "WITHDRAWN", "PLAN_CANCELLED"),
    "completed": (replace(B, phase=Phase.COMPLETED), "EXPIRED", "OVER"),
    "geometry lost": (replace(B, geometry=None), "WITHDRAWN", "GEOMETRY_LOST"),
    "linked": (replace(B, relations=(Relation(A.id, RelationKind.SAME_WORKS),)), "WITHDRAWN", "LINKED_SAME_WORKS"),
    "deleted": (None, "WITHDRAWN", "PLAN_DELETED"),
}


@pytest.mark.parametrize("name", CLOSINGS)
def test_a_conflict_closes_with_its_reason_and_reopens(name: str) -> None:
    """What no longer holds closes with status and reason; what holds again re-opens under the same id."""
    changed, status, reason = CLOSINGS[name]
    log = Log()
    stage, _ = log.start()
    opened = findings(log.run(stage, log.day(TODAY), log.row(A), log.row(B)))[CLASH_WORKS]

    closed = findings(log.run(stage, log.row(changed, B.id)))[CLASH_WORKS]
    again = findings(log.run(stage, log.row(B)))[CLASH_WORKS]

    assert (closed.id, closed.status, closed.status_reason) == (opened.id, FindingStatus(status), reason)
    assert closed.closed_at is not None
    assert (again.id, again.status, again.closed_at) == (opened.id, FindingStatus.OPEN, None)
    assert [opened.revision, closed.revision, again.revision] == [1, 2, 3]
    assert (reason == "GEOMETRY_LOST") == bool(closed.evidence.remedies)


def test_another_rule_takes_over() -> None:
    """An opportunity that no longer shares a trench but is still near is superseded, and says by what."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B))

    found = findings(log.run(stage, log.row(AT_7_M)))

    assert found[SAME_TRENCH].status_reason == "SUPERSEDED"
    assert found[SAME_TRENCH].superseded_by == str(found[NEAR].id)


def test_a_day_changes_what_is_said() -> None:
    """The freeze ends the opportunity, the end of the works the conflict; 30 days later it is gone."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B))

    frozen = log.run(stage, log.day(date(2027, 1, 5)))
    over = log.run(stage, log.day(date(2027, 5, 1)))
    still = log.run(stage, log.day(date(2027, 5, 30)))
    gone = log.run(stage, log.day(date(2027, 5, 31)))

    assert findings(frozen)[SAME_TRENCH].status_reason == "FROZEN"
    assert findings(frozen)[CLASH_WORKS].evidence.lead_days == 55
    assert findings(over)[CLASH_WORKS].status_reason == "OVER"
    assert [(output.topic, output.value) for output in still] == []
    assert [(output.topic, output.value) for output in gone] == [("conflicts", None)]


def test_an_open_end_moves_with_the_day() -> None:
    """Works in execution without a known end last at least until today: they meet what starts then."""
    log = Log()
    stage, _ = log.start()
    running = replace(A, phase=Phase.EXECUTION, period=Period(date(2026, 1, 1), None, Precision.DAY, duration_days=30))
    later = plan("B", 15, date(2027, 2, 1), date(2027, 3, 1))

    before = log.run(stage, log.day(TODAY), log.row(running), log.row(later))
    after = log.run(stage, log.day(date(2027, 2, 1)))

    assert before == []
    assert findings(after)[CLASH_WORKS].evidence.overlap_days == 1
    assert "assumed_end" in findings(after)[CLASH_WORKS].evidence.flags


def test_a_batch_is_folded_but_names_every_cause() -> None:
    """Of several versions of a plan in one batch only the last is judged."""
    log = Log()
    stage, _ = log.start()

    outputs = log.run(stage, log.day(TODAY), log.row(A), log.row(AWAY), log.row(B))

    assert types(outputs) == ["conflict-opened", "opportunity-opened"]
    assert findings(outputs)[CLASH_WORKS].cause_id == "change-3"


def test_a_poison_row_becomes_a_dead_letter() -> None:
    """Bytes that are no row, and a geometry that is none, are set aside with a code; the batch goes on."""
    log = Log()
    stage, _ = log.start()
    torn = log.append("plan-regions", "torn", b"\x00\x00\x00\x00\x03\xff")
    lost = log.row(replace(plan("C", 0, TODAY, None), geometry=Geometry(b"no wkb", "EPSG:28992")))

    outputs = log.run(stage, log.day(TODAY), torn, lost, log.row(A), log.row(B))

    letters: list[DeadLetter] = [
        CODEC.decode("dead-letters", o.value, o.headers) for o in outputs if o.topic == "dead-letters" and o.value
    ]
    assert [letter.code for letter in letters] == ["schema.unreadable", "geometry.unparseable"]
    assert letters[0].value == torn.value
    assert CLASH_WORKS in findings(outputs)


def test_a_restart_has_nothing_to_say() -> None:
    """Rebuilt from its topics the stage holds what it held."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B), log.row(AT_7_M), log.row(None, A.id), log.row(A))

    _, outputs = log.start()

    assert outputs == []


def test_a_restart_closes_what_compaction_ate() -> None:
    """The row that justified a finding is gone, the plan moved while the stage was away: the finding closes."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B))
    log.row(AWAY)
    log.records["plan-regions"] = [r for r in log.records["plan-regions"] if r.key != B.id or r.offset > 2]

    second, outputs = log.start()
    log.run(second, log.records["plan-regions"][-1])
    _, third = log.start()

    assert set(types(outputs)) == {"conflict-closed", "opportunity-closed"}
    assert third == []


def test_a_restart_writes_what_was_lost() -> None:
    """A finding that is held but not in the topic is written."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B))
    log.records["conflicts"].clear()

    _, outputs = log.start()

    assert types(outputs) == ["conflict-opened"]


def test_a_rule_change_is_a_restart(tmp_path: Path) -> None:
    """Other rules judge anew at the start: what no longer holds closes with RULE_CHANGED, what holds names them."""
    log = Log()
    stage, _ = log.start()
    log.run(stage, log.day(TODAY), log.row(A), log.row(B))
    other = tmp_path / "rules.yaml"
    other.write_text("authority: x\nversion: 7\nrules: {CLASH.WORKS: {enabled: false}}\n")
    source = "urn:nld:oin:00000099000000000001:systeem:samenloop"
    second = Detect(CODEC, source, load_rules(other), CRS)

    outputs = list(second.assign(log))

    found = findings(outputs)
    assert (found[CLASH_WORKS].status, found[CLASH_WORKS].status_reason) == (FindingStatus.WITHDRAWN, "RULE_CHANGED")
    assert found[SAME_TRENCH].evidence.rule_version == "x@7"


def test_a_draft_does_not_judge_for_a_hub(tmp_path: Path) -> None:
    """Only an ACTIVE configuration is taken; the message names file and key."""
    draft = tmp_path / "rules.yaml"
    draft.write_text("authority: x\nversion: 1\nstate: DRAFT\n")

    with pytest.raises(BadSettings, match=r"rules\.yaml: state: found DRAFT"):
        Detect.from_hub(Hub.model_validate({"hub": {"rules": draft}}), CODEC)
