"""Dead letters offered again on a real Kafka, with `consolidate` at work: it helps, fails again, or changes nothing."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from samenloop import model
from samenloop.cli.tree import run
from samenloop.content_hash import content_hash
from samenloop.contract import Codec, dead_letter
from samenloop.identity import change_event_id, plan_id, system_oin
from samenloop.kafka import publish, read_topic
from samenloop.letters import letter_output
from samenloop.localstack import LocalStack
from samenloop.settings import Hub, load_hub
from samenloop.snapshots import Speaker
from samenloop.snapshots import dead_letter as refused
from samenloop.source import Rejected
from samenloop.source_account import change_output
from samenloop.stage import Output, Record

SYSTEM = "urn:nld:oin:00000099000000001001:systeem:works"
HUB = "urn:nld:oin:00000099000000000001:systeem:samenloop"
NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
Samenloop = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def hub_file(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A hub of its own prefix in which `consolidate` runs."""
    path = tmp_path_factory.mktemp("hub") / "hub.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '{local_stack.bootstrap}', prefix: 'd{secrets.token_hex(4)}.'}}\n"
        f"registry: {{url: '{local_stack.registry_url}'}}\nhub: {{clock: '2027-01-04'}}\n"
    )
    assert run(["schemas", "register", "--config", str(path)]) == 0
    assert run(["topics", "apply", "--config", str(path)]) == 0
    command = [sys.executable, "-m", "samenloop.cli", "run", "stream", "consolidate", "--config", str(path)]
    with path.with_suffix(".log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ})
    yield path
    process.kill()
    process.wait()


@pytest.fixture
def hub(hub_file: Path) -> Hub:
    return load_hub(hub_file, {})


@pytest.fixture
def codec(hub: Hub) -> Codec:
    return Codec.from_registry(hub.registry.url, hub.kafka.prefix)


@pytest.fixture
def samenloop(hub_file: Path, capfd: pytest.CaptureFixture[str]) -> Samenloop:
    """Run a `dead-letters` command; returns its exit code and what it says as JSON."""

    def command(*arguments: str) -> tuple[int, Any]:
        capfd.readouterr()
        code = run(["dead-letters", *arguments, "--json", "--config", str(hub_file)])
        said = capfd.readouterr()
        return code, json.loads(said.out) if said.out else said.err

    return command


def change(name: str) -> model.PlanChanged:
    plan = model.Plan(
        id=plan_id(SYSTEM, name), system=SYSTEM, local_id=name, owner=model.Organisation(system_oin(SYSTEM), "Town"),
        title=name, visibility=model.Visibility.PUBLIC,
    )  # fmt: skip
    hashed = content_hash(plan)
    event_id = change_event_id(plan.id, "s:1", model.ChangeKind.CREATED, hashed)
    return model.PlanChanged(
        plan_id=plan.id, change=model.ChangeKind.CREATED, validity=model.Validity(NOW), recorded_at=NOW,
        ingested_at=NOW, origin=model.Origin(system_oin(SYSTEM), SYSTEM, event_id), content_hash=hashed, plan=plan,
    )  # fmt: skip


def letters(hub: Hub, codec: Codec) -> list[model.DeadLetter]:
    return [codec.decode("dead-letters", r.value or b"", r.headers) for r in read_topic(hub.kafka, "dead-letters")]


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


def set_aside(hub: Hub, codec: Codec, output: Output) -> model.DeadLetter:
    """Put a letter in place as if `consolidate` had set *output* aside before it was mended."""
    record = Record("plan-changes", 0, 10**6 + secrets.randbelow(10**6), output.key, output.value, output.headers, 0)
    letter = dead_letter(
        record, reason=model.DeadReason.SCHEMA, code="schema.unknown-id", detail="nobody knew the schema then",
        stage="consolidate", now=NOW, retryable=True,
    )  # fmt: skip
    publish(hub.kafka, [letter_output(codec, HUB, letter)])
    return letter


def states(hub: Hub, key: str) -> list[Record]:
    return [record for record in read_topic(hub.kafka, "plan-states") if record.key == key]


def test_a_replay_that_helps_and_a_second_one_that_changes_nothing(
    samenloop: Samenloop, hub: Hub, codec: Codec
) -> None:
    """The record becomes a plan state, in mode replay; the letter leaves the list; once more is a repeat."""
    said = change("helps")
    letter = set_aside(hub, codec, change_output(codec, said))
    code, (result,) = samenloop(
        "replay", str(letter.id), "--by", "anna", "--because", "schema registered", "--wait", "60"
    )
    refused_now = samenloop("replay", str(letter.id))
    again = samenloop("replay", str(letter.id), "--again", "--wait", "60")
    _, shown = samenloop("show", str(letter.id))
    listed = samenloop("list")[1]

    (state,) = states(hub, said.plan_id)
    assert (code, result["status"]) == (0, "TAKEN"), result
    assert dict(state.headers)["ce_hubmode"] == b"replay"
    assert refused_now[0] == 2
    assert "taken; nothing is done" in refused_now[1]
    assert (again[0], again[1][0]["status"]) == (0, "TAKEN")
    assert [(x["status"], x["by"]) for x in shown["done"]][:2] == [("REPLAYED", "anna"), ("TAKEN", "anna")]
    assert shown["done"][0]["reason"] == "schema registered"
    assert str(letter.id) not in [x["id"] for x in listed]
    assert str(letter.id) in [x["id"] for x in samenloop("list", "--all")[1]]


def test_a_replay_that_fails_again_is_linked(samenloop: Samenloop, hub: Hub, codec: Codec) -> None:
    """A real poison record: its replay becomes a letter of attempt 2 that names the first; only that one waits."""
    publish(hub.kafka, [Output("plan-changes", "poison", b"not avro", (("ce_id", b"1"), ("ce_id", b"2")))])
    first = until(lambda: [x for x in letters(hub, codec) if x.key == b"poison"])[0]
    code, (result,) = samenloop("replay", str(first.id), "--wait", "60")
    listed = samenloop("list", "--code", "envelope")[1]
    second = next(x for x in letters(hub, codec) if str(x.id) == result["successor"])
    samenloop("replay", str(second.id), "--wait", "60")
    third = letters(hub, codec)[-1] if len(letters(hub, codec)) > 2 else second

    assert (code, result["status"]) == (1, "FAILED_AGAIN")
    assert "it failed again" in result["detail"]
    assert [(x["id"], x["replay_of"], x["attempts"]) for x in listed] == [(str(second.id), str(first.id), 2)]
    assert [h for h in second.headers if h.name == "ce_id"] == [
        model.Header("ce_id", b"1"),
        model.Header("ce_id", b"2"),
    ]
    assert max(x.attempts for x in letters(hub, codec)) == 3
    assert third.value == b"not avro"


def test_order_is_kept_for_many(samenloop: Samenloop, hub: Hub, codec: Codec) -> None:
    """Records go out in the order in which they stood in their topic, whatever the order of the letters."""
    names = [f"many-{n}" for n in range(6)]
    outputs = [change_output(codec, change(name)) for name in names]
    records = [Record("plan-changes", 0, 10 + n, o.key, o.value, o.headers, 0) for n, o in enumerate(outputs)]
    for record in reversed(records):
        letter = dead_letter(
            record, reason=model.DeadReason.INTERNAL, code="internal.test", detail="d", stage="consolidate", now=NOW
        )
        publish(hub.kafka, [letter_output(codec, HUB, letter)])
    code, results = samenloop("replay", "--code", "internal.test", "--wait", "60")
    mine = [r.key for r in read_topic(hub.kafka, "plan-changes") if ":plan:many-" in r.key]
    by_partition = {key: r for r in read_topic(hub.kafka, "plan-changes") for key in [r.key] if ":plan:many-" in key}

    assert (code, [x["status"] for x in results]) == (0, ["TAKEN"] * 6)
    assert len(mine) == 6
    for partition in {r.partition for r in by_partition.values()}:
        inside = sorted((r for r in by_partition.values() if r.partition == partition), key=lambda r: r.offset)
        assert [r.key for r in inside] == sorted(r.key for r in inside)


def test_discard_is_recorded(samenloop: Samenloop, hub: Hub, codec: Codec) -> None:
    """Who and why are kept; the letter leaves the list, not the topic. Without a reason nothing is done."""
    letter = set_aside(hub, codec, Output("plan-changes", "gone", b"?"))
    without = samenloop("discard", str(letter.id), "--because", " ")
    code, (result,) = samenloop("discard", str(letter.id)[:13], "--because", "a test record", "--by", "bert")
    _, shown = samenloop("show", str(letter.id))

    assert without[0] == 2
    assert (code, result["status"]) == (0, "DISCARDED")
    assert [(x["by"], x["reason"]) for x in shown["done"]] == [("bert", "a test record")]
    assert shown["status"] == "DISCARDED"
    assert str(letter.id) not in [x["id"] for x in samenloop("list")[1]]


def test_what_a_source_refused_is_mended_there(samenloop: Samenloop, hub: Hub, codec: Codec) -> None:
    """A record that never was on Kafka is not written; the answer says what to do, and the list shows it."""
    letter = refused(Rejected("date.unparseable", "a date", 3, b"{}", "W3"), Speaker("town", SYSTEM, "x"), NOW)
    publish(hub.kafka, [letter_output(codec, SYSTEM, letter)])
    before = len(list(read_topic(hub.kafka, "plan-changes")))
    code, (result,) = samenloop("replay", str(letter.id))
    listed = [x for x in samenloop("list", "--source", "town")[1] if x["id"] == str(letter.id)]

    assert (code, result["status"]) == (1, None)
    assert "samenloop run source town" in result["detail"]
    assert listed[0]["replay"] == "AT_SOURCE"
    assert len(list(read_topic(hub.kafka, "plan-changes"))) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["replay"], "no record is named"),
        (["replay", "abc", "--all"], "expected one or the other"),
        (["discard", "zz", "--because", "x"], "zz: no records"),
    ],
)
def test_what_is_not_clear_is_not_done(samenloop: Samenloop, arguments: list[str], words: str) -> None:
    """Which letters are meant must be said; exit code 2."""
    code, said = samenloop(*arguments)

    assert code == 2
    assert words in said
