"""The stage that keeps the shared truth: topics around `samenloop.consolidate`."""

import copy
import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from io import BytesIO
from typing import Any, Literal

import fastavro
import pytest
import shapely

from samenloop import identity, metrics, model
from samenloop.content_hash import content_hash
from samenloop.contract import TOPICS, Codec, Envelope, avro, files, read_envelope, records
from samenloop.errors import Reject, Retry
from samenloop.settings import Hub
from samenloop.stage import Headers, Output, Partition, Record
from streams.consolidate import Consolidate

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
OIN = "00000099123456780000"
SYSTEM = identity.system_urn(OIN, "works-register")
HUB = identity.system_urn("00000099000000000001", "samenloop")
RD = "http://www.opengis.net/def/crs/EPSG/0/28992"
CODEC = Codec.offline()


def plan(name: str = "A", **other: Any) -> model.Plan:
    given: dict[str, Any] = {
        "id": identity.plan_id(SYSTEM, name), "system": SYSTEM, "local_id": name,
        "owner": model.Organisation(OIN, "Gemeente Voorbeeld"), "title": f"Riool {name}",
        "visibility": model.Visibility.PUBLIC, "phase": model.Phase.DESIGN,
        "geometry": model.Geometry(shapely.to_wkb(shapely.box(0, 0, 9, 9)), RD),
    }  # fmt: skip
    return model.Plan(**given | other)


def change(of: model.Plan | str, hour: int = 0, **other: Any) -> model.PlanChanged:
    """Return a change at some hour; a name alone is a deletion."""
    whole = of if isinstance(of, model.Plan) else None
    plan_id = whole.id if whole else identity.plan_id(SYSTEM, str(of))
    kind = model.ChangeKind.UPDATED if whole else model.ChangeKind.DELETED
    hashed = content_hash(whole) if whole else None
    event_id = identity.change_event_id(plan_id, f"s:{hour}", kind, hashed)
    at = NOW + timedelta(hours=hour)
    given: dict[str, Any] = {
        "plan_id": plan_id, "change": kind, "validity": model.Validity(at), "recorded_at": at, "ingested_at": at,
        "origin": model.Origin(OIN, SYSTEM, event_id), "sequence": hour, "content_hash": hashed, "plan": whole,
    }  # fmt: skip
    return model.PlanChanged(**given | other)


def record(said: model.PlanChanged, offset: int = 0, partition: int = 0, **other: Any) -> Record:
    """Return the record in which a change travels."""
    envelope = Envelope(
        id=said.origin.event_id, source=SYSTEM, type="nl.samenloop.plan-changed.v1", time=said.recorded_at,
        subject=said.plan_id, partitionkey=said.plan_id, correlationid="chain", classification="internal",
    )  # fmt: skip
    given: dict[str, Any] = {
        "topic": "plan-changes", "partition": partition, "offset": offset, "key": said.plan_id, "timestamp_ms": 0,
        "value": CODEC.encode("plan-changes", said), "headers": CODEC.headers("plan-changes", envelope),
    }  # fmt: skip
    return Record(**given | other)


def without_schema(of: Record) -> Headers:
    """Return the headers of a record with a ce_dataschema that says nothing."""
    return tuple((name, b"?" if name == "ce_dataschema" else value) for name, value in of.headers)


class Log:
    """What a stage is assigned: the outputs of an earlier one, as a log to read."""

    def __init__(self, outputs: Sequence[Output] = (), partitions: Collection[int] = range(12)) -> None:
        self.partitions, self.committed = partitions, dict[Partition, int]()
        self._outputs = outputs

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        assert topic in ("plan-states", "restrictions")
        assert until == "end"
        for offset, found in enumerate(self._outputs):
            if found.topic == topic and (partitions is None or found.partition in partitions):
                yield Record(topic, found.partition or 0, offset, found.key, found.value, found.headers, 0)


def stage(outputs: Sequence[Output] = (), *, clock: str = "2027-01-04", **more: Any) -> Consolidate:
    partitions = more.pop("partitions", range(12))
    made = Consolidate(more.pop("codec", CODEC), source=HUB, clock=clock, **more)
    made.assign(Log(outputs, partitions))
    return made


def of_topic(outputs: Sequence[Output], topic: str) -> list[Output]:
    return [found for found in outputs if found.topic == topic and not found.key.startswith("day:")]


def header(output: Output, name: str) -> bytes:
    return dict(output.headers)[name]


def test_accepted_change() -> None:
    """One state in the partition of the change and one row of plan-regions, with revision, version and provenance."""
    said = change(plan(), change=model.ChangeKind.SNAPSHOT)

    outputs = stage().process([record(said, offset=41, partition=5)], NOW)

    (state,), (row,) = of_topic(outputs, "plan-states"), of_topic(outputs, "plan-regions")
    event_id = said.origin.event_id
    assert CODEC.decode("plan-states", state.value or b"") == model.PlanState(
        plan_id=said.plan_id, revision=1, validity=said.validity, registered_at=NOW, sequence=0, event_id=event_id,
        content_hash=said.content_hash or b"", plan=plan(),
        provenance={"": model.FieldOrigin(system=SYSTEM, event_id=event_id, recorded_at=said.recorded_at)},
    )  # fmt: skip
    assert CODEC.decode("plan-regions", row.value or b"") == model.PlanRegion(
        plan_id=said.plan_id, version=42, revision=1, accepted_at=NOW, cause_id=event_id, first_load=True, plan=plan()
    )
    assert (state.partition, row.partition, state.key, row.key) == (5, 0, said.plan_id, said.plan_id)


def test_envelope_of_a_state() -> None:
    """The hub speaks; cause and chain are kept; the label follows the plan's own visibility, the time its recording."""
    outputs = stage().process([record(change(plan(), hour=2))], NOW)

    envelope = read_envelope(of_topic(outputs, "plan-states")[0].headers)

    assert envelope.source == HUB
    assert envelope.type == "nl.samenloop.plan-state-changed.v1"
    assert (envelope.correlationid, envelope.causationid) == ("chain", change(plan(), hour=2).origin.event_id)
    assert envelope.classification == "public"
    assert envelope.time == NOW + timedelta(hours=2)
    assert envelope.id != envelope.causationid


def test_removal_and_return() -> None:
    """A removed plan is a null value on both topics, never `b""`; its revision goes on when it returns."""
    said = [record(change(plan())), record(change("A", hour=1), 1), record(change(plan(), hour=2), 2)]

    outputs = stage().process(said, NOW)

    states, rows = of_topic(outputs, "plan-states"), of_topic(outputs, "plan-regions")
    assert [found.value is None for found in states] == [found.value is None for found in rows] == [False, True, False]
    assert read_envelope(states[1].headers).type == "nl.samenloop.plan-removed.v1"
    assert "content-type" not in dict(states[1].headers)
    assert (header(states[1], "revision"), header(rows[1], "version")) == (b"2", b"2")
    assert CODEC.decode("plan-states", states[2].value or b"").revision == 3


def test_repeats_and_late_ones_are_counted() -> None:
    """The same event, the same content, an earlier recording: counted, no output, whatever the sequence says."""
    first, changed = change(plan(), hour=1), change(plan(title="other"), hour=2)
    late = change(plan(title="late"), hour=0)
    same = change(plan(title="other"), hour=3)
    made = stage()
    before = {name: _events(name) for name in ("emitted", "duplicate", "late")}

    outputs = [made.process([record(said, offset)], NOW) for offset, said in enumerate((first, changed, first))]
    outputs += [made.process([record(said)], NOW) for said in (late, same)]
    made.idle(NOW)

    assert [len(of_topic(found, "plan-states")) for found in outputs] == [1, 1, 0, 0, 0]
    counted = {name: _events(name) - before[name] for name in before}
    assert counted == {"emitted": 2, "duplicate": 1, "late": 2}


def _events(outcome: str) -> float:
    series = metrics.PROCESSOR_EVENTS_TOTAL.labels(processor="consolidate", outcome=outcome)
    return float(next(iter(series.collect())).samples[0].value)


def test_there_and_back_again() -> None:
    """A, B, A within one batch are three states: nothing is folded."""
    plans = [plan(), plan(title="B"), plan()]

    outputs = stage().process([record(change(one, hour), hour) for hour, one in enumerate(plans)], NOW)

    assert [CODEC.decode("plan-states", found.value or b"").plan for found in of_topic(outputs, "plan-states")] == plans


def test_rebuild() -> None:
    """A new worker knows what the old one wrote: replaying yields nothing, and revisions go on."""
    said = [record(change(plan()), 0), record(change(plan("B")), 1), record(change("B", hour=1), 2)]
    written = stage().process(said, NOW)

    made = stage(written)
    replayed = made.process(said, NOW)
    after = made.process([record(change(plan(title="n"), hour=5)), record(change(plan("B"), hour=5))], NOW)

    assert of_topic(replayed, "plan-states") == []
    revisions = [header(found, "revision") for found in of_topic(after, "plan-states")]
    assert revisions == [b"2", b"3"]


def test_partitions_come_and_go() -> None:
    """What is given later is added; what is taken away is forgotten, and the rest stays known."""
    said = {number: record(change(plan(str(number))), 0, number) for number in (1, 2)}
    made = stage(partitions=())
    made.assign(Log((), [1]))
    first = made.process([said[1]], NOW)
    made.assign(Log((), [2]))

    assert of_topic(first, "plan-states")
    assert of_topic(made.process([said[1]], NOW), "plan-states") == []
    made.revoke([1])
    assert of_topic(made.process([said[1]], NOW), "plan-states")


@pytest.mark.parametrize(
    ("other", "code", "reason"),
    [
        ({"value": b"garbage"}, "schema.framing", model.DeadReason.SCHEMA),
        ({"value": None}, "record.null", model.DeadReason.VALIDATION),
        ({"headers": ()}, "envelope.missing", model.DeadReason.MALFORMED),
        ({"key": "x"}, "identity.plan-id", model.DeadReason.VALIDATION),
        ({"value": avro.frame(999) + b"x", "headers": None}, "schema.unknown-id", model.DeadReason.SCHEMA),
    ],
)
def test_poison(other: dict[str, Any], code: str, reason: model.DeadReason) -> None:
    """What cannot be taken becomes a dead letter with its original bytes, key, headers and place; the rest goes on."""
    good = record(change(plan("B")), 1)
    bad = record(change(plan()), 0, 3)
    if "headers" in other and other["headers"] is None:
        other = other | {"headers": tuple(item for item in bad.headers if item[0] != "ce_dataschema")}
        other["headers"] += (("ce_dataschema", b"https://x.example/unknown"),)
    bad = dataclasses.replace(bad, **other)

    outputs = stage().process([bad, good], NOW)

    (found,) = of_topic(outputs, "dead-letters")
    letter = CODEC.decode("dead-letters", found.value or b"")
    assert (letter.code, letter.reason, letter.stage) == (code, reason, "consolidate")
    assert (letter.key, letter.value) == (bad.key.encode(), bad.value)
    assert letter.headers == tuple(model.Header(name, value) for name, value in bad.headers)
    assert (letter.topic, letter.partition, letter.offset) == ("plan-changes", 3, 0)
    assert [item.key for item in of_topic(outputs, "plan-states")] == [good.key]


def test_repeated_header_and_broken_tail() -> None:
    """A repeated ce_* header is malformed; a plan cut short is found although only its head is needed."""
    bad = record(change(plan()))
    repeated = dataclasses.replace(bad, headers=(*bad.headers, ("ce_id", b"2")))
    cut = dataclasses.replace(bad, value=(bad.value or b"")[:-20])

    outputs = stage().process([repeated, cut], NOW)

    letters = [CODEC.decode("dead-letters", found.value or b"") for found in of_topic(outputs, "dead-letters")]
    assert [letter.code for letter in letters] == ["envelope.repeated-header", "schema.unreadable"]
    assert of_topic(outputs, "plan-states") == []


def test_poison_is_counted_once_it_is_safe() -> None:
    """Counters move when the stage is called again, for then the batch was committed."""
    made = stage()
    series = metrics.DLQ_RECORDS_TOTAL.labels(topic="plan-changes", reason="schema")
    before = series._value.get()

    made.process([dataclasses.replace(record(change(plan())), value=b"")], NOW)
    during = series._value.get()
    made.idle(NOW)

    assert (during - before, series._value.get() - before) == (0, 1)


class Away:
    """A registry that does not answer."""

    def schema(self, schema_id: int) -> dict[str, Any]:
        raise Retry("registry.away", "no answer")


def test_registry_away() -> None:
    """A schema that would have to be asked for stops the process before anything is taken."""
    codec = Codec({name: number for number, name in enumerate(TOPICS, start=1)}, Away())
    good, bad = record(change(plan())), record(change(plan("B")), 1)
    headers = without_schema(bad)
    made = stage(codec=codec)

    with pytest.raises(Retry):
        made.process([good, dataclasses.replace(bad, value=avro.frame(999), headers=headers)], NOW)

    assert of_topic(made.process([good], NOW), "plan-states")


def test_other_writers_schema() -> None:
    """A change by a newer writer gives the very states and rows that our own bytes give."""
    said = change(plan())
    schema = copy.deepcopy(files.current("PlanChanged"))
    schema["fields"].insert(0, {"name": "later", "type": "string", "doc": "(nl: later)", "default": ""})
    body = BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), records.to_plain(model.PlanChanged)(said))

    class Books:
        def schema(self, schema_id: int) -> dict[str, Any]:
            return schema

    codec = Codec({name: number for number, name in enumerate(TOPICS, start=1)}, Books())
    ours = record(said)
    headers = without_schema(ours)
    theirs = dataclasses.replace(ours, value=avro.frame(999) + body.getvalue(), headers=headers)

    assert stage(codec=codec).process([theirs], NOW) == stage(codec=codec).process([ours], NOW)


def test_hash_is_made_where_a_source_gives_none() -> None:
    """A source may leave the content hash to the hub."""
    outputs = stage().process([record(change(plan(), content_hash=None))], NOW)

    state = CODEC.decode("plan-states", of_topic(outputs, "plan-states")[0].value or b"")

    assert state.content_hash == content_hash(plan())


def test_test_range_is_refused_in_production() -> None:
    """The setting allow_test_oin false turns changes of the test range into dead letters."""
    made = Consolidate.from_hub(Hub.model_validate({"hub": {"allow_test_oin": False}}), CODEC)
    made.assign(Log())

    outputs = made.process([record(change(plan()))], NOW)

    letter = CODEC.decode("dead-letters", of_topic(outputs, "dead-letters")[0].value or b"")
    assert letter.code == "identity.test-oin"


def ticks(outputs: Sequence[Output]) -> list[date]:
    rows = [CODEC.decode("plan-regions", found.value or b"") for found in outputs if found.key.startswith("day:")]
    assert all(row.plan_id == f"day:{row.day}" for row in rows)
    return [row.day for row in rows]


@pytest.mark.parametrize(
    ("instant", "before", "after"),
    [
        ("2026-10-24T22:00:00", "2026-10-24", "2026-10-25"),
        ("2026-10-25T23:00:00", "2026-10-25", "2026-10-26"),
        ("2027-03-27T23:00:00", "2027-03-27", "2027-03-28"),
        ("2027-03-28T22:00:00", "2027-03-28", "2027-03-29"),
    ],
)
def test_wall_clock(instant: str, before: str, after: str) -> None:
    """A day begins at midnight in Amsterdam, also in the nights when the clock changes; each is told once."""
    midnight = datetime.fromisoformat(instant).replace(tzinfo=UTC)
    made = stage(clock="wall")

    told = [ticks(made.idle(midnight + timedelta(seconds=second))) for second in (-2, -1, 0, 1)]

    assert told == [[date.fromisoformat(before)], [], [date.fromisoformat(after)], []]


def test_one_worker_tells_the_day() -> None:
    """By the wall clock or a fixed date, the owner of partition 0 tells it, before any row."""
    first, second = Consolidate(CODEC, source=HUB, clock="2027-01-04"), Consolidate(CODEC, source=HUB, clock="wall")
    first.assign(Log((), [0, 1]))
    second.assign(Log((), [2, 3]))

    outputs = first.process([record(change(plan()))], NOW)

    assert ticks(outputs[:1]) == [date(2027, 1, 4)]
    assert ticks(second.idle(NOW)) == []


def test_event_clock() -> None:
    """With the clock `event` a change of a newer day is preceded by its tick; older days never return."""
    made = stage(clock="event")
    said = [record(change(plan(str(hour)), hour), hour) for hour in (0, 1, 30, 5, 31)]

    outputs = made.process(said, NOW)

    assert ticks(outputs) == [date(2026, 11, 23), date(2026, 11, 24)]
    place = [found.key for found in outputs].index("day:2026-11-24")
    assert outputs[place + 1].key == said[2].key
    assert ticks(made.idle(NOW + timedelta(days=9))) == []


def test_nothing_is_held() -> None:
    """Every position may be committed at once."""
    held: Mapping[Partition, int] = stage().held()

    assert held == {}


def test_an_unreadable_state_does_not_stop_the_rest() -> None:
    """A state that cannot be read is told as an error; its plan starts again and the others are known."""
    written = [found for found in stage().process([record(change(plan())), record(change(plan("B")), 1)], NOW)
               if found.topic == "plan-states"]  # fmt: skip
    broken = dataclasses.replace(written[0], value=b"\x00")

    made = stage([broken, written[1]])

    after = made.process([record(change(plan())), record(change(plan("B")), 1)], NOW)
    assert [found.key for found in of_topic(after, "plan-states")] == [written[0].key]
    with pytest.raises(Reject):
        CODEC.decode("plan-states", broken.value or b"")
