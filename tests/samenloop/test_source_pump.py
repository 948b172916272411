"""From a folder of exports to Kafka: what is written, in which transactions, and what a crash leaves behind."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors.sources.file_snapshots import FileSnapshots
from samenloop import clock
from samenloop.contract import Codec, read_envelope
from samenloop.errors import BadSettings, Retry
from samenloop.kafka import Writer, apply_topics, read_topic
from samenloop.localstack import LocalStack
from samenloop.model import ChangeKind, ChangeReason, Phase, PlanChanged, PollOutcome, SourcePoll, SourceState
from samenloop.settings import Hub, Kafka
from samenloop.snapshots import Memory
from samenloop.source import Context
from samenloop.source_memory import DECISION, Remembered, decide, load_memory, state_key
from samenloop.source_pump import Pump, open_source
from samenloop.stage import Output

PROFILE = """
system: works-register
organisation: Gemeente Voorbeeld
oin: "00000099000000001001"
files: exports
id: nr
title: naam
period: [van, tot]
visibility: PARTNERS
"""


class Crash(Exception):
    """Stands for a process that dies."""


class Recorder:
    """The other side of a pump: keeps what was committed, and dies before the transaction that it is told."""

    def __init__(self, dies_before: int | None = None) -> None:
        self.transactions: list[list[Output]] = []
        self.dies_before = dies_before

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.open: list[Output] = []
        yield
        if self.dies_before == len(self.transactions):
            raise Crash
        self.transactions.append(self.open)

    def write(self, output: Output) -> None:
        self.open.append(output)

    @property
    def written(self) -> list[Output]:
        return [output for transaction in self.transactions for output in transaction]


class Desk:
    """A source's folder, a hub, and the pump between them."""

    def __init__(
        self, folder: Path, *, batch_records: int = 2000, changes_per_second: int = 2000, profile: str = PROFILE
    ) -> None:
        self.folder, self.codec = folder, Codec.offline()
        (folder / "exports").mkdir(parents=True)
        (folder / "profile.yaml").write_text(profile, encoding="utf-8")
        kafka = Kafka(batch_records=batch_records, changes_per_second=changes_per_second)
        self.hub = Hub(kafka=kafka, data_dir=folder / "data")
        self.recorders: list[Recorder] = []

    def export(self, day: str, numbers: Sequence[int], **changed: Any) -> None:
        """Write an export with these works; *changed* replaces fields of all of them."""
        features = [feature(number, **changed) for number in numbers]
        text = json.dumps({"type": "FeatureCollection", "features": features})
        (self.folder / "exports" / f"{day}.geojson").write_text(text, encoding="utf-8")

    def pump(self, dies_before: int | None = None) -> Pump:
        """A new process: it knows what its predecessors have committed."""
        self.recorders.append(Recorder(dies_before))
        source = FileSnapshots().open(self.folder / "profile.yaml", Context({}))
        writer: Any = self.recorders[-1]
        return Pump("town", source, self.hub, self.codec, writer=writer, known=self.known())

    def known(self) -> Remembered:
        states: dict[str, SourceState | None] = {}
        for output in self.outputs("source-states"):
            states[output.key] = None if output.value is None else self.codec.decode("source-states", output.value)
        found = [state for state in states.values() if state is not None]
        records = {state.record: state for state in found if state.record not in ("", DECISION)}
        return Remembered(Memory(states.get("town"), records), states.get(state_key("town", DECISION)))

    def outputs(self, topic: str) -> list[Output]:
        return [output for recorder in self.recorders for output in recorder.written if output.topic == topic]

    @property
    def changes(self) -> list[PlanChanged]:
        return [self.codec.decode("plan-changes", o.value or b"") for o in self.outputs("plan-changes")]

    @property
    def polls(self) -> list[SourcePoll]:
        return [self.codec.decode("polls", output.value or b"") for output in self.outputs("polls")]


def feature(number: int, **changed: Any) -> dict[str, Any]:
    properties = {"nr": number, "naam": f"Werk {number}", "van": "2027-03-01", "tot": "2027-04-30", **changed}
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [5.4 + number / 10000, 52.1]},
        "properties": properties,
    }


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "desk")


def poll(pump: Pump) -> None:
    pump.poll(threading.Event())


class Waits(threading.Event):
    """A stop that nobody presses before *presses* waits, and that notes how long it was waited for."""

    def __init__(self, presses: int = 1000) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self.presses = presses

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0.0)
        if len(self.seconds) >= self.presses:
            self.set()
        return self.is_set()


def test_a_snapshot_goes_out_whole_with_its_cursor_last(desk: Desk) -> None:
    """Changes, states, cursor and account are one transaction; the second poll finds nothing new."""
    desk.export("2027-01-04", range(3))
    pump = desk.pump()

    poll(pump)
    poll(pump)

    first, second = desk.recorders[0].transactions
    assert [o.topic for o in first] == ["plan-changes", "source-states"] * 3 + ["source-states", "polls"]
    assert [o.topic for o in second] == ["polls"]
    assert [p.outcome for p in desk.polls] == [PollOutcome.OK, PollOutcome.UNCHANGED]
    assert {change.change for change in desk.changes} == {ChangeKind.SNAPSHOT}


def test_the_envelope_of_a_change_is_that_of_its_source(desk: Desk) -> None:
    """`ce_time` is when the source recorded it; the class follows the plan's visibility."""
    desk.export("2027-01-04", [7])
    poll(desk.pump())
    output = desk.outputs("plan-changes")[0]

    envelope = read_envelope(output.headers)

    assert output.key == envelope.partitionkey == desk.changes[0].plan_id
    assert envelope.source == "urn:nld:oin:00000099000000001001:systeem:works-register"
    assert (envelope.id, envelope.type) == (desk.changes[0].origin.event_id, "nl.samenloop.plan-changed.v1")
    assert (envelope.classification, envelope.time) == ("internal", desk.changes[0].recorded_at)


def test_files_are_taken_in_the_order_of_their_dates_each_once(desk: Desk) -> None:
    """An export that comes late is older than what is known: it is passed over."""
    desk.export("2027-01-11", [1, 2])
    pump = desk.pump()
    poll(pump)
    desk.export("2027-01-04", [1, 2, 3])
    desk.export("2027-01-18", [1, 2], naam="Anders")
    poll(pump)

    assert [p.snapshot_id[:10] for p in desk.polls if p.snapshot_id] == ["2027-01-10", "2027-01-17"]
    assert [str(change.change) for change in desk.changes] == ["SNAPSHOT"] * 2 + ["UPDATED"] * 2
    assert desk.changes[-1].changed_fields == ("/title",)


@pytest.mark.parametrize("dies_before", [0, 1, 2, 3])
def test_a_crash_half_way_repeats_no_event_and_loses_none(tmp_path: Path, dies_before: int) -> None:
    """Whole chunks stay; the next process finds them done and writes the rest under the ids it would have had."""
    calm, rough = Desk(tmp_path / "calm", batch_records=4), Desk(tmp_path / "rough", batch_records=4)
    for desk in (calm, rough):
        desk.export("2027-01-04", range(7))
    poll(calm.pump())
    with pytest.raises(Crash):
        poll(rough.pump(dies_before))
    poll(rough.pump())

    ids = [change.origin.event_id for change in rough.changes]
    assert len(ids) == len(set(ids)) == 7
    assert set(ids) == {change.origin.event_id for change in calm.changes}
    assert rough.known().memory.records == calm.known().memory.records
    assert (rough.polls[-1].created, rough.polls[-1].read) == (7, 7)


def test_a_bulk_load_is_spread_so_that_others_pass_it(tmp_path: Path) -> None:
    """A quarter of a second's changes at a time, and a pause after each part that brings it to the rate; none at its
    end, and none for a load that fits in one part."""
    desk = Desk(tmp_path / "desk", changes_per_second=8)
    desk.export("2027-01-04", range(7))
    stop = Waits()
    desk.pump().poll(stop)

    sizes = [sum(o.topic == "plan-changes" for o in part) for part in desk.recorders[-1].transactions]
    assert sizes == [2, 2, 2, 1]
    assert len(stop.seconds) == 3
    assert 0 < sum(stop.seconds) <= 3 * 2 / 8

    small = Desk(tmp_path / "small", changes_per_second=8)
    small.export("2027-01-04", range(2))
    stop = Waits()
    small.pump().poll(stop)
    assert stop.seconds == []


def test_a_stop_amid_a_bulk_load_waits_for_no_more_of_it(tmp_path: Path) -> None:
    """What is out stays, the cursor has not moved, and the next process writes the rest."""
    desk = Desk(tmp_path / "desk", changes_per_second=8)
    desk.export("2027-01-04", range(7))
    desk.pump().poll(Waits(presses=2))

    assert len(desk.changes) == 4
    assert desk.known().memory.cursor is None

    poll(desk.pump())
    assert len(desk.changes) == 7
    assert (desk.polls[-1].created, desk.polls[-1].read) == (7, 7)


def test_a_crash_among_updates_is_counted_once(tmp_path: Path) -> None:
    """The account of the resumed poll is that of the whole snapshot."""
    desk = Desk(tmp_path / "desk", batch_records=4)
    desk.export("2027-01-04", range(7))
    poll(desk.pump())
    desk.export("2027-01-11", range(6), naam="Anders")
    with pytest.raises(Crash):
        poll(desk.pump(dies_before=2))
    poll(desk.pump())
    last = desk.polls[-1]

    assert (last.updated, last.created, last.removed, last.unchanged) == (6, 0, 0, 0)
    assert [change.sequence for change in desk.changes[-6:]] == [2] * 6
    assert desk.known().memory.records["6"].absences == 1


def test_a_broken_export_is_refused_and_passed(desk: Desk) -> None:
    """It removes nothing, says why in the account of the poll, and the next one is compared with the last good one."""
    desk.export("2027-01-04", range(30))
    (desk.folder / "exports" / "2027-01-11.geojson").write_text("<html>Service unavailable</html>")
    desk.export("2027-01-18", range(29))
    poll(desk.pump())

    assert [p.outcome for p in desk.polls] == [PollOutcome.OK, PollOutcome.PARSE_ERROR, PollOutcome.OK]
    assert (desk.polls[1].error_code, desk.polls[1].read) == ("envelope.unexpected", 0)
    assert desk.known().memory.records["29"].absences == 1


def test_a_source_whose_last_export_is_broken_is_not_well(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    """Every poll says so, after a restart too, and the log once; when the broken one is gone, all is well again."""
    desk.export("2027-01-04", range(30))
    broken = desk.folder / "exports" / "2027-01-11.geojson"
    broken.write_text("<html>Service unavailable</html>")
    pump = desk.pump()
    for _ in range(3):
        poll(pump)
    assert [p.outcome for p in desk.polls] == [PollOutcome.OK, *[PollOutcome.PARSE_ERROR] * 3]
    assert capsys.readouterr().err.count("source.refused") == 1

    again = desk.pump()
    poll(again)
    broken.unlink()
    poll(again)
    assert [p.outcome for p in desk.polls[-2:]] == [PollOutcome.PARSE_ERROR, PollOutcome.UNCHANGED]


def test_a_shrunken_snapshot_waits_for_an_operator(desk: Desk) -> None:
    """Held until it is released; then it is applied as it was, from the page that was kept."""
    desk.export("2027-01-04", range(100))
    desk.export("2027-01-11", range(70))
    pump = desk.pump()
    poll(pump)
    held = pump.cursor.held
    assert held is not None and held.endswith("snapshot.shrunk")
    assert desk.polls[-1].outcome is PollOutcome.HELD

    pump.decision = SourceState(source="town", record=DECISION, snapshot_id=held.split()[0], held="release")
    poll(pump)

    assert pump.cursor.held is None
    assert [p.outcome for p in desk.polls[-2:]] == [PollOutcome.OK, PollOutcome.UNCHANGED]
    assert sum(state.absences for state in desk.known().memory.records.values()) == 30


def test_a_discarded_snapshot_is_forgotten(desk: Desk) -> None:
    """Nothing of it is applied, and the source goes on with the next export."""
    desk.export("2027-01-04", range(100))
    desk.export("2027-01-11", range(70))
    pump = desk.pump()
    poll(pump)
    held = pump.cursor.held or ""
    pump.decision = SourceState(source="town", record=DECISION, snapshot_id=held.split()[0], held="discard")
    poll(pump)
    desk.export("2027-01-18", range(99))
    poll(pump)

    assert pump.cursor.held is None
    assert [str(c.change) for c in desk.changes if c.change is not ChangeKind.SNAPSHOT] == []
    assert desk.known().memory.records["99"].absences == 1


def test_a_released_snapshot_whose_page_is_gone_waives_the_next(desk: Desk) -> None:
    """The folder of raw pages is a comfort, not the truth: the next export is then applied without guards."""
    desk.export("2027-01-04", range(100))
    desk.export("2027-01-11", range(70))
    pump = desk.pump()
    poll(pump)
    for path in (desk.folder / "data").rglob("*.gz"):
        path.unlink()
    held = pump.cursor.held or ""
    pump.decision = SourceState(source="town", record=DECISION, snapshot_id=held.split()[0], held="release")
    desk.export("2027-01-18", range(69))
    poll(pump)

    assert desk.polls[-1].outcome is PollOutcome.OK
    assert sum(state.absences for state in desk.known().memory.records.values()) == 31


def test_a_newer_snapshot_that_passes_makes_the_held_one_lapse(desk: Desk) -> None:
    """Last week's broken export heals with this week's good one, without anyone."""
    desk.export("2027-01-04", range(100))
    desk.export("2027-01-11", range(70))
    desk.export("2027-01-18", range(100))
    pump = desk.pump()
    poll(pump)

    assert pump.cursor.held is None
    assert [p.outcome for p in desk.polls] == [PollOutcome.OK, PollOutcome.HELD, PollOutcome.OK]
    assert len(desk.changes) == 100


def test_a_bad_record_goes_to_the_dead_letters_with_its_bytes(desk: Desk) -> None:
    """The rest goes on; the same bad bytes are set aside once."""
    desk.export("2027-01-04", range(3))
    path = desk.folder / "exports" / "2027-01-11.geojson"
    bad = json.dumps(feature(3, van="ooit"))
    good = ", ".join(json.dumps(feature(number)) for number in range(3))
    path.write_text(f'{{"type": "FeatureCollection", "features": [{good}, {bad}]}}')
    pump = desk.pump()
    poll(pump)
    path.with_name("2027-01-18.geojson").write_text(path.read_text() + "\n")
    poll(pump)
    letters = [desk.codec.decode("dead-letters", o.value or b"") for o in desk.outputs("dead-letters")]

    assert [(letter.code, letter.value) for letter in letters] == [("date.unparseable", bad.encode())]
    assert "town, record 4: van: found text like 'aaaa'" in letters[0].detail
    assert [p.rejected for p in desk.polls if p.outcome is PollOutcome.OK] == [0, 1, 1]
    assert all(p.read == p.created + p.updated + p.removed + p.unchanged + p.rejected for p in desk.polls)


@pytest.mark.parametrize("files", ["elsewhere/exports", "elsewhere", "elsewhere/*.geojson", "export.geojson"])
def test_a_missing_folder_is_tried_again(tmp_path: Path, files: str) -> None:
    """An outage is no deletion and no empty delivery: the poll is accounted for as failed and raises Retry."""
    desk = Desk(tmp_path / "desk", profile=PROFILE.replace("exports", files))

    with pytest.raises(Retry, match="file-error"):
        poll(desk.pump())
    assert desk.polls[-1].outcome is PollOutcome.HTTP_ERROR


def test_an_empty_folder_is_a_poll_without_news(desk: Desk) -> None:
    """The export of tonight may still have to come."""
    poll(desk.pump())
    assert desk.polls[-1].outcome is PollOutcome.UNCHANGED


def test_an_oin_of_the_test_range_is_refused_where_the_hub_says_so(desk: Desk) -> None:
    """In production 00000099… is nobody."""
    from samenloop.settings import Identity, Source

    hub = desk.hub.model_copy(update={"hub": Identity(allow_test_oin=False)})
    with pytest.raises(BadSettings, match="test range"):
        open_source(Source(connector="file-snapshots", profile=desk.folder / "profile.yaml"), hub)


# --- on a real Kafka ------------------------------------------------------------------------------------------------


@pytest.fixture
def kafka(local_stack: LocalStack) -> Kafka:
    kafka = Kafka(bootstrap_servers=local_stack.bootstrap, prefix=f"pump-{uuid4().hex[:8]}.", batch_records=4)
    apply_topics(kafka)
    return kafka


def test_the_truth_is_on_kafka_alone(kafka: Kafka, tmp_path: Path) -> None:
    """A pump on another machine goes on where this one stopped; a decision reaches it over the topic."""
    desk = Desk(tmp_path / "desk")
    desk.hub = desk.hub.model_copy(update={"kafka": kafka})
    source = FileSnapshots().open(desk.folder / "profile.yaml", Context({}))

    def pump() -> Pump:
        writer = Writer(kafka, "town")
        known = load_memory(kafka, desk.codec, "town")
        return Pump("town", source, desk.hub, desk.codec, writer=writer, known=known)

    desk.export("2027-01-04", range(60))
    poll(pump())
    desk.export("2027-01-11", range(10), tot="2027-05-31")
    second = pump()
    poll(second)
    decide(kafka, desk.codec, "town", "release")
    poll(second)
    changes = [desk.codec.decode("plan-changes", r.value or b"") for r in read_topic(kafka, "plan-changes")]
    memory = load_memory(kafka, desk.codec, "town")

    assert len(changes) == 70
    assert sorted(c.change for c in changes)[:1] == [ChangeKind.SNAPSHOT]
    assert (memory.memory.cursor or SourceState(source="", record="")).held is None
    assert memory.decision is None
    assert sum(state.absences == 1 for state in memory.memory.records.values()) == 50
    with pytest.raises(BadSettings, match="nothing is held"):
        decide(kafka, desk.codec, "town", "discard")


def test_two_pumps_of_one_source_fence_each_other(kafka: Kafka, tmp_path: Path) -> None:
    """The one that started first ends with code 4 at its next transaction."""
    desk = Desk(tmp_path / "desk")
    desk.export("2027-01-04", range(3))
    script = (
        "import sys, threading\n"
        "from pathlib import Path\n"
        "from samenloop.contract import Codec\n"
        "from samenloop.settings import Hub, Kafka, Source\n"
        "from samenloop.source_pump import run_source\n"
        "kafka, folder = Kafka.model_validate_json(sys.argv[1]), Path(sys.argv[2])\n"
        "hub = Hub(kafka=kafka, data_dir=folder / 'data')\n"
        "source = Source(connector='file-snapshots', profile=folder / 'profile.yaml', poll_every_seconds=0.3)\n"
        "run_source('town', source, hub, Codec.offline(), threading.Event())\n"
    )
    command = [sys.executable, "-c", script, kafka.model_dump_json(), str(desk.folder)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    first = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        until = clock.now().timestamp() + 30
        while not list(read_topic(kafka, "polls")) and clock.now().timestamp() < until:
            threading.Event().wait(0.2)
        Writer(kafka, "town")
        code = first.wait(30)
    finally:
        first.kill()
        first.wait()

    assert code == 4


def test_absent_after_the_grace_is_deleted(desk: Desk) -> None:
    """Two exports without it are forgiven, the third is not; when it comes back it is created under its old id."""
    for week, numbers in enumerate(([1, 2], [1], [1], [1], [1, 2]), start=4):
        desk.export(f"2027-01-{week:02}", numbers)
    poll(desk.pump())
    changes = [c for c in desk.changes if c.plan_id.endswith(":2")]

    assert [(c.change, c.reason) for c in changes] == [
        (ChangeKind.SNAPSHOT, ChangeReason.REPORTED),
        (ChangeKind.DELETED, ChangeReason.ABSENT),
        (ChangeKind.CREATED, ChangeReason.REPORTED),
    ]
    assert [c.sequence for c in changes] == [1, 2, 3]


def test_absent_after_its_end_is_completed(desk: Desk) -> None:
    """A work that leaves the list when its time is over is done; nothing is deleted."""
    desk.export("2027-04-26", [1, 2])
    desk.export("2027-05-03", [1])
    poll(desk.pump())
    last = desk.changes[-1]

    assert (last.change, last.plan and last.plan.phase) == (ChangeKind.UPDATED, Phase.COMPLETED)
    assert last.changed_fields == ("/phase",)


def test_metrics_are_counted_after_success_and_add_up(tmp_path: Path) -> None:
    """read = created + updated + removed + unchanged + rejected; what was not committed is not counted."""
    from samenloop import metrics

    def counted(outcome: str) -> float:
        labels = {"connector": "file-snapshots", "source": "town", "outcome": outcome}
        value: float | None = metrics.REGISTRY.get_sample_value("samenloop_source_records_total", labels)
        return value or 0.0

    def read() -> float:
        labels = {"connector": "file-snapshots", "source": "town"}
        return metrics.REGISTRY.get_sample_value("samenloop_source_records_read_total", labels) or 0.0

    outcomes = ("created", "updated", "removed", "unchanged", "rejected")
    before, was = {outcome: counted(outcome) for outcome in outcomes}, read()
    desk = Desk(tmp_path / "desk")
    desk.export("2027-04-26", range(5))
    with pytest.raises(Crash):
        poll(desk.pump(dies_before=0))
    assert read() == was
    desk.export("2027-05-03", range(4), naam="Anders")
    poll(desk.pump())

    grown = {outcome: counted(outcome) - before[outcome] for outcome in outcomes}
    assert grown == {"created": 5, "updated": 4, "removed": 1, "unchanged": 0, "rejected": 0}
    assert read() - was == sum(grown.values())
