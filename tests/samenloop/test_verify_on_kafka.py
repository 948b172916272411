"""`samenloop verify` and the accounts against a real Kafka: what is taken away, added or forged is found."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import shapely
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from samenloop import clock, geometry, metrics, model
from samenloop.cli.tree import run
from samenloop.conservation import Account
from samenloop.conservation_watch import Hours
from samenloop.content_hash import content_hash
from samenloop.contract import Codec, Envelope, dead_letter
from samenloop.identity import change_event_id, plan_id, system_oin, uuid_of
from samenloop.kafka import clients, publish, read_topic
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.kafka.window import Window
from samenloop.letters import letter_output
from samenloop.letters_watch import Letters
from samenloop.localstack import LocalStack
from samenloop.reconcile import Reconciler
from samenloop.settings import Hub, load_hub
from samenloop.source import snapshot_id
from samenloop.source_account import change_output, poll_output
from samenloop.stage import Output, Record
from streams.consolidate import Consolidate
from streams.detect import Detect

SYSTEMS = tuple(f"urn:nld:oin:0000009900000000100{n}:systeem:works" for n in (1, 2))
HUB = "urn:nld:oin:00000099000000000001:systeem:samenloop"
TAKEN = datetime(2027, 1, 4, 6, tzinfo=UTC)
DAY = "2027-01-04"


@dataclass
class Paper:
    """A hub whose stages run here, record by record, so that a test can take away or add what it likes."""

    hub: Hub
    codec: Codec
    file: Path
    began: datetime = field(default_factory=lambda: clock.now() - timedelta(seconds=5))

    def write(self, *outputs: Output) -> None:
        publish(self.hub.kafka, outputs)

    def records(self, topic: str) -> list[Record]:
        return list(read_topic(self.hub.kafka, topic))

    def deliver(self, system: str, numbers: Sequence[int], week: int = 0, **counts: int) -> None:
        """Let a source publish works: its changes, and the poll that tells of them."""
        at = TAKEN + timedelta(days=7 * week)
        plans = [works(system, number, week) for number in numbers]
        self.write(*(change_output(self.codec, change(of, at)) for of in plans))
        known: dict[str, Any] = {"read": len(plans), "created": len(plans), "published": len(plans)}
        poll = model.SourcePoll(
            id=uuid4(), source=system_oin(system), connector="test", started_at=clock.now(), duration_ms=1,
            outcome=model.PollOutcome.OK, snapshot_id=snapshot_id(at, "0" * 16), **{**known, **counts},
        )  # fmt: skip
        self.write(poll_output(self.codec, poll, hub_urn=HUB, system=system))

    def work(self, *, lose: Callable[[Output], bool] = lambda _: False) -> None:
        """Let `consolidate` and `detect` read everything; outputs to *lose* are never written."""
        consolidate = Consolidate(self.codec, source=HUB, clock=DAY)
        consolidate._known = {number: {} for number in range(12)}
        outputs = consolidate.process(self.records("plan-changes"), clock.now())
        self.write(*(output for output in outputs if not lose(output)))
        detect = Detect.from_hub(self.hub, self.codec)
        outputs = detect.process(self.records("plan-regions"), clock.now())
        self.write(*(output for output in outputs if not lose(output)))
        self.passed("consolidate", "plan-changes")
        self.passed("detect", "plan-regions")

    def passed(self, group: str, topic: str) -> None:
        """Say that *group* has read all of *topic*."""
        with Window(self.hub.kafka) as window:
            ends = window.ends(topic)
        name = topic_on_wire(self.hub.kafka.prefix, topic)
        places = [TopicPartition(name, number, end) for number, end in ends.items()]
        request = ConsumerGroupTopicPartitions(group_on_wire(self.hub.kafka.prefix, group), places)
        admin = clients.administrator(self.hub.kafka)  # must live until it has answered
        for future in admin.alter_consumer_group_offsets([request]).values():
            future.result(30)

    def accounts(self) -> dict[str, Account]:
        now = clock.now() + timedelta(seconds=1)
        with Window(self.hub.kafka) as window:
            found = Reconciler(self.hub, self.codec, window).accounts(self.began, now, now=now)
        return {account.pipeline: account for account in found}


def works(system: str, number: int, week: int = 0) -> model.Plan:
    """Return works number *number*; those of two systems with one number overlap, a week later they are elsewhere."""
    west = 121000 + 200 * number + 5 * week
    shape = shapely.box(west, 487000, west + 20, 487010)
    return model.Plan(
        id=plan_id(system, str(number)), system=system, local_id=str(number),
        owner=model.Organisation(system_oin(system), "Owner"), title=f"Works {number}", kind=model.PlanKind.WORKS,
        phase=model.Phase.PREPARATION, certainty=model.Certainty.FIXED, visibility=model.Visibility.PUBLIC,
        ground_disturbing=True, period=model.Period(date(2027, 3, 1), date(2027, 4, 30), model.Precision.DAY),
        geometry=geometry.to_model(shape, "EPSG:28992"),
    )  # fmt: skip


def change(of: model.Plan, at: datetime) -> model.PlanChanged:
    hashed = content_hash(of)
    event_id = change_event_id(of.id, f"s:{at.isoformat()}", model.ChangeKind.UPDATED, hashed)
    return model.PlanChanged(
        plan_id=of.id, change=model.ChangeKind.UPDATED, validity=model.Validity(at), recorded_at=at,
        ingested_at=clock.now(), origin=model.Origin(system_oin(of.system), of.system, event_id), content_hash=hashed,
        plan=of,
    )  # fmt: skip


def fresh(stack: LocalStack, folder: Path) -> Paper:
    """Return a hub with topics and schemas of its own; no process runs."""
    path = folder / "hub.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '{stack.bootstrap}', prefix: 'v{secrets.token_hex(4)}.'}}\n"
        f"registry: {{url: '{stack.registry_url}'}}\nhub: {{clock: '{DAY}'}}\n"
    )
    assert run(["schemas", "register", "--config", str(path)]) == 0
    assert run(["topics", "apply", "--config", str(path)]) == 0
    hub = load_hub(path, {})
    return Paper(hub, Codec.from_registry(hub.registry.url, hub.kafka.prefix), path)


@pytest.fixture
def paper(local_stack: LocalStack, tmp_path: Path) -> Paper:
    """A hub of this test alone."""
    return fresh(local_stack, tmp_path)


@pytest.fixture(scope="module")
def played(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """A hub where all is well: two systems whose works meet, a change, a repeat, a poison record. Left as it was."""
    paper = fresh(local_stack, tmp_path_factory.mktemp("hub"))
    paper.deliver(SYSTEMS[0], range(4))
    paper.deliver(SYSTEMS[1], range(3))
    paper.deliver(SYSTEMS[0], [1], week=1)
    again = paper.records("plan-changes")[0]
    headers = [("ce_hubmode", b"replay"), *(header for header in again.headers if header[0] != "ce_hubmode")]
    paper.write(Output("plan-changes", again.key, again.value, tuple(headers)))
    paper.write(Output("plan-changes", "poison", b"?"))
    paper.work()
    return paper


Said = tuple[int, dict[str, Any]]
Verify = Callable[[Paper], Said]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str]) -> Verify:
    """Run the command with little patience; returns its exit code and what it says as JSON."""

    def command(paper: Paper) -> Said:
        capsys.readouterr()
        code = run(["verify", "--config", str(paper.file), "--patience", "0.1", "--json"])
        return code, json.loads(capsys.readouterr().out)

    return command


def test_all_holds(played: Paper, verify: Verify, capsys: pytest.CaptureFixture[str]) -> None:
    """Repeats and poison among the records: exit code 0, every record accounted for, and words that say so."""
    code, said = verify(played)
    capsys.readouterr()
    words = run(["verify", "--config", str(played.file), "--patience", "0"]), capsys.readouterr().out

    accounts = {account["pipeline"]: account for account in said["accounts"]}
    assert (code, said["holds"], said["states"]["compared"]) == (0, True, 7), said
    assert said["findings"]["compared"] > 0
    assert accounts["publish"]["went_in"] == 8
    assert accounts["consolidate"]["became"] == {"revisions": 8, "duplicates": 1, "dead letters": 1} or (
        accounts["consolidate"]["became"] == {"revisions": 8, "stale": 1, "dead letters": 1}
    )
    assert words[0] == 0
    assert "all accounted for" in words[1]
    assert "The truth is true" in words[1]


def test_a_missing_state_and_its_change_are_named(paper: Paper, verify: Verify) -> None:
    """A state that was never written: the account names the change, the comparison the plan, the finding is wrong."""
    lost = plan_id(SYSTEMS[0], "2")
    paper.deliver(SYSTEMS[0], range(4))
    paper.deliver(SYSTEMS[1], range(3))
    paper.work(lose=lambda output: output.key == lost)
    code, said = verify(paper)

    account = next(account for account in said["accounts"] if account["pipeline"] == "consolidate")
    assert code == 3
    assert [lost in difference["detail"] for difference in account["differences"]] == [True]
    assert [(x["what"], x["id"]) for x in said["states"]["differences"]] == [("missing state", lost)]
    assert said["findings"]["differences"]
    assert all("is missing" in line for line in said["findings"]["differences"])


def test_wrong_findings_are_named(played: Paper, verify: Verify) -> None:
    """A finding that nobody could judge so, one with a changed measure, and one that was removed."""
    paper = played
    held = {record.key: record for record in paper.records("conflicts")}
    (first, second, *_), conflicts = sorted(held), paper.codec
    told = conflicts.decode("conflicts", held[first].value or b"", held[first].headers)
    invented = replace(told, id=UUID(int=1))
    changed = replace(told, evidence=replace(told.evidence, overlap_days=1))
    paper.write(
        Output("conflicts", str(invented.id), conflicts.encode("conflicts", invented), held[first].headers),
        Output("conflicts", first, conflicts.encode("conflicts", changed), held[first].headers),
        Output("conflicts", second, None),
    )
    code, said = verify(paper)
    paper.write(Output("conflicts", str(invented.id), None))
    paper.write(*(Output("conflicts", key, held[key].value, held[key].headers) for key in (first, second)))
    mended, _ = verify(paper)

    lines = "\n".join(said["findings"]["differences"])
    assert code == 3
    assert f"{invented.id} CLASH.WORKS: is open, but nothing holds" in lines
    assert f"{first} CLASH.WORKS: overlap_days is 1" in lines
    assert f"{second} CLASH.WORKS: is missing between" in lines
    assert said["states"]["differences"] == []
    assert mended == 0


def test_wrong_states_are_named(played: Paper, verify: Verify) -> None:
    """A state that no change led to, and one that says something else than its change."""
    paper = played
    record = {record.key: record for record in paper.records("plan-states")}[plan_id(SYSTEMS[0], "1")]
    state: model.PlanState = paper.codec.decode("plan-states", record.value or b"", record.headers)
    other = replace(state, plan=replace(state.plan, title="Forged"))
    strange = replace(state, plan_id=f"{state.plan_id}9")
    paper.write(
        Output("plan-states", record.key, paper.codec.encode("plan-states", other), record.headers, record.partition),
        Output("plan-states", strange.plan_id, paper.codec.encode("plan-states", strange), record.headers),
    )
    code, said = verify(paper)
    paper.write(
        Output("plan-states", record.key, record.value, record.headers, record.partition),
        Output("plan-states", strange.plan_id, None, record.headers),
    )
    mended, _ = verify(paper)

    assert code == 3
    assert {(x["what"], x["id"]) for x in said["states"]["differences"]} == {
        ("wrong state", record.key), ("state that should not be there", strange.plan_id),
    }  # fmt: skip
    assert mended == 0


def test_a_forged_poll_and_a_change_that_nobody_told_of(paper: Paper) -> None:
    """A poll that does not add up, one that wrote more than is there, and a change more than was told."""
    paper.deliver(SYSTEMS[0], range(4), read=9)
    paper.deliver(SYSTEMS[1], range(3), published=5)
    paper.deliver(SYSTEMS[1], [3], week=2)
    paper.write(change_output(paper.codec, change(works(SYSTEMS[1], 7), TAKEN + timedelta(days=3))))
    paper.work()
    accounts = paper.accounts()

    assert accounts["read"].missing == 5
    assert {x.what: x.detail for x in accounts["publish"].differences} == {
        "polls and changes differ": f"{system_oin(SYSTEMS[1])} wrote 5 changes of "
        f"{snapshot_id(TAKEN, '0' * 16)}, 3 are there",
        "changes without a poll": f"1 changes of {SYSTEMS[1]}, recorded 2027-01-07 06:00:00 UTC, belong to no poll",
    }
    assert accounts["consolidate"].missing == 0


def test_what_waits_is_not_verified(paper: Paper, verify: Verify) -> None:
    """An empty hub is true. Changes that `consolidate` has not read are neither right nor wrong: exit code 4."""
    empty, _ = verify(paper)
    paper.deliver(SYSTEMS[0], range(2))
    code, said = verify(paper)

    assert empty == 0
    assert (code, said["waiting"], said["verified"]) == (4, 2, False)
    assert not any(account["missing"] for account in said["accounts"])


def test_alerts_without_an_end(paper: Paper) -> None:
    """One delivered, one passed by in silence, one that ended twice, one that cannot be read, one still due."""
    subscription = uuid4()

    def sent(number: int) -> Output:
        alert = model.Alert(
            id=UUID(int=number), subscription_id=subscription, sequence=number, event_id="e", event_type="t",
            subject_id="s", subject_revision=1, accepted_at=TAKEN, created_at=TAKEN, due_at=TAKEN,
        )  # fmt: skip
        envelope = Envelope(
            id=str(alert.id), source=HUB, type="t", time=TAKEN, subject="s", partitionkey="k", correlationid="c"
        )
        value = paper.codec.encode("alerts", alert)
        return Output("alerts", str(subscription), value, paper.codec.headers("alerts", envelope))

    def receipt(number: int, attempt: int = 1) -> Output:
        said = model.DeliveryReceipt(
            id=uuid_of("r", str(number), str(attempt)), alert_id=UUID(int=number), subscription_id=subscription,
            subscriber_oin="x", subject_id="s", attempt=attempt, attempted_at=TAKEN, outcome=model.Outcome.DELIVERED,
        )  # fmt: skip
        return Output("receipts", str(subscription), paper.codec.encode("receipts", said))

    paper.write(*map(sent, (1, 2, 3)), Output("alerts", str(subscription), b"?"))
    paper.write(receipt(1), receipt(3), receipt(3, 2))
    bad = next(record for record in paper.records("alerts") if record.value == b"?")
    letter = dead_letter(
        bad, reason=model.DeadReason.SCHEMA, code="schema.framing", detail="d", stage="webhook", now=clock.now()
    )
    paper.write(letter_output(paper.codec, HUB, letter))
    paper.passed("webhook", "alerts")
    paper.write(sent(4))
    account = paper.accounts()["deliver"]

    assert {(x.what, x.id) for x in account.differences} == {
        ("alert without an end", str(UUID(int=2))), ("alert ended twice", str(UUID(int=3))),
    }  # fmt: skip
    assert account.missing == 2
    assert account.became == {"delivered": 2, "dead letters": 1, "still due": 1}


def test_the_watch_judges_an_hour_when_it_is_due() -> None:
    """A day at the start, then each hour half an hour after its end; what does not add up is judged again."""
    asked: list[tuple[int, int]] = []
    missing = [3]

    def judge(start: datetime, end: datetime, now: datetime) -> list[Account]:
        asked.append((int(start.timestamp() // 3600), int(end.timestamp() // 3600)))
        return [Account("consolidate", missing=missing[0])]

    start = datetime(2027, 1, 4, 12, 0, tzinfo=UTC)
    noon = int(start.timestamp() // 3600)
    gauge = metrics.RECONCILIATION_DIFFERENCE_RECORDS.labels(pipeline="consolidate")
    hours = Hours(judge)
    hours.turn(start + timedelta(minutes=31))
    hours.turn(start + timedelta(minutes=59))
    first = gauge._value.get()
    missing[0] = 0
    hours.turn(start + timedelta(minutes=91))
    hours.turn(start + timedelta(minutes=151))

    day = (noon - 24, noon)
    assert asked == [day, day, (noon, noon + 1), (noon + 1, noon + 2)]
    assert (first, gauge._value.get()) == (3, 0)


def test_the_watch_shows_what_waits() -> None:
    """Depth and age of the letters that wait, by origin; what was dealt with is counted and waits no more."""
    now, codec = clock.now(), Codec.offline()
    letters = Letters(codec, since=now - timedelta(minutes=1))

    def take(topic: str, value: Any) -> None:
        letters.take([Record(topic, 0, 0, "k", codec.encode(topic, value), (), 0)])
        letters.show()

    def letter(number: int) -> model.DeadLetter:
        record = Record("plan-changes", 0, number, "k", b"x", (), 0)
        at = now - timedelta(minutes=number)
        return dead_letter(record, reason=model.DeadReason.SCHEMA, code="c", detail="d", stage="consolidate", now=at)

    depth = metrics.DLQ_DEPTH_RECORDS.labels(topic="plan-changes")
    oldest = metrics.DLQ_OLDEST_RECORD_TIMESTAMP_SECONDS.labels(topic="plan-changes")
    first, second = letter(1), letter(2)
    for value in (first, second, second):
        take("dead-letters", value)
    before = depth._value.get(), oldest._value.get()
    done = model.DeadLetterState(letter_id=second.id, status=model.DeadLetterStatus.DISCARDED, at=now, by="me")
    take("dead-letter-states", done)
    take("dead-letters", second)

    assert before == (2, pytest.approx(second.failed_at.timestamp()))
    assert (depth._value.get(), oldest._value.get()) == (1, pytest.approx(first.failed_at.timestamp()))
    assert metrics.DLQ_REPLAYED_TOTAL.labels(topic="plan-changes", outcome="discarded")._value.get() == 1
