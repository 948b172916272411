"""The edge as a process on a real Kafka: keys followed live, events to the shared truth, Kafka away, the end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from edge.documented import EVENT, OIN, REMOVAL
from samenloop.errors import Retry
from samenloop.kafka import Publisher, read_topic
from samenloop.localstack import LocalStack
from samenloop.partners import add_key, add_partner, key_id, revoke_key
from samenloop.stage import Output
from tests.edge.processes import Play, Process, Sender, run_example, wait
from tests.edge.scenes import event, feature

OTHER = "00000099000000001003"


def test_events_become_the_shared_truth(play: Play, edge: Process, sender: Sender) -> None:
    """Repeats, in one request, in another, at another process: the plan has one state, and one revision per change.

    A batch with a bad event yields the good ones and a dead letter; a removal takes the plan away.
    """
    later = event(id="later", time="2026-01-13T09:15:00Z", data=feature(title="Sewer and paving"))
    bad = event(id="bad", data=feature(title=None))
    with play.process("edge") as second, play.process("stream", "consolidate"):
        answers = [sender.post(url, [event(), event(), bad, later]) for url in (edge.url, second.url, edge.url)]
        answers.append(sender.post(second.url, event()))
        answers.append(sender.post(edge.url, REMOVAL))
        wait(lambda: None in sender.values("plan-states"), "the end of the plan")
        counted = edge.metrics

    *states, end = sender.values("plan-states")
    letters = sender.values("dead-letters")
    assert [answer.status_code for answer in answers] == [207, 207, 207, 202, 202]
    assert [(state.revision, state.event_id) for state in states] == [(1, EVENT["id"]), (2, "later")]
    assert end is None
    assert [letter.code for letter in letters] == ["record.missing"] * 3
    assert len({letter.id for letter in letters}) == 1
    assert 'samenloop_http_requests_total{route="/v1/events",status_class="2xx"}' in counted


def test_keys_come_and_go_without_a_restart(play: Play, edge: Process, sender: Sender) -> None:
    """A new key works and a revoked one is refused within seconds; another partner cannot speak for this one."""
    now = datetime.now(UTC)
    made, key = add_key(play.hub, play.codec, sender.oin, scopes=["plans:write"], now=now)
    _, stranger = add_partner(play.hub, play.codec, OTHER, "Gemeente", now=now)
    wait(lambda: sender.post(edge.url, event(), key).status_code == 202, "the new key", seconds=10)
    wait(lambda: sender.post(edge.url, event(), stranger).status_code == 403, "the stranger", seconds=10)
    revoke_key(play.hub, play.codec, sender.oin, key_id(made.hash), now=now)
    wait(lambda: sender.post(edge.url, event(), key).status_code == 401, "the revoked key", seconds=10)

    assert sender.post(edge.url, event()).status_code == 202


PAGE = (Path(__file__).parents[2] / "docs" / "partners" / "send-plans.md").read_text(encoding="utf-8")


def test_the_examples_of_the_page(edge: Process, sender: Sender, tmp_path: Path) -> None:
    """Every example of *Send your plans* runs as it stands, and the hub takes what it sends."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    env = {"HUB": edge.url, "KEY": sender.key, "PATH": os.environ["PATH"]}
    own = PAGE.replace(OIN, sender.oin)
    shell, python = (re.findall(rf"```{language}\n(.*?)```", own, re.DOTALL) for language in ("sh", "python"))

    said = [run_example(["sh", "-ec", text], tmp_path, env) for text in shell]
    printed = [run_example([sys.executable, "-c", text], tmp_path, env) for text in python]

    assert [json.loads(text)["refused"] for text in said] == [0, 0, 0, 0]
    assert printed[0].splitlines() == [
        "accepted 2027-0070-1 []",
        "refused 2027-0071-1 ['this key is missing', 'this key is not known; did you mean title?']",
    ]
    assert printed[1] == "202\n"
    assert len(sender.values("plan-changes")) == 6
    assert len(sender.values("restriction-reports")) == 1
    assert len(sender.values("dead-letters")) == 1


def test_the_end_finishes_what_is_under_way(play: Play, sender: Sender) -> None:
    """SIGTERM: a request under way is answered, then the process ends with code 0."""
    batch = [event(id=f"e{n}", subject=f"{EVENT['source']}:plan:{n}") for n in range(1000)]
    answers: list[httpx.Response] = []
    with play.process("edge") as ending:
        url = ending.url
        sending = threading.Thread(target=lambda: answers.append(sender.post(url, batch)))
        sending.start()
        wait(lambda: sender.values("plan-changes"), "the first events of the batch")
        ending.process.send_signal(signal.SIGTERM)
        sending.join(30)
        code = ending.process.wait(30)

    assert (code, [answer.status_code for answer in answers]) == (0, [202]), ending.said()
    assert len(sender.values("plan-changes")) == 1000


def test_a_port_that_is_taken(play: Play, edge: Process) -> None:
    """The process refuses to start and names the setting."""
    port = edge.url.rpartition(":")[2]
    command = [sys.executable, "-m", "samenloop.cli", "run", "edge", "--config", str(play.path)]
    env = {**os.environ, "SAMENLOOP_EDGE__PORT": port}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "edge.port" in done.stderr


def test_a_publisher_tells_what_was_not_taken(play: Play) -> None:
    """The future fails with Retry when one record of a call cannot be taken, and is done when all are."""
    publisher = Publisher(play.hub.kafka, acknowledge_seconds=5)
    try:
        publisher.send([Output("polls", "a", b"x"), Output("polls", "b", b"y")]).result(10)
        publisher.send([]).result(1)
        with pytest.raises(Retry):
            publisher.send([Output("polls", "a", b"x" * 2_000_000), Output("polls", "b", b"z")]).result(10)
        there = (publisher.answers("polls", 5), publisher.answers("nothing", 5))
    finally:
        publisher.close()

    assert there == (True, False)
    assert {record.value for record in read_topic(play.hub.kafka, "polls")} == {b"x", b"y", b"z"}


def test_kafka_away(edge: Process, sender: Sender, local_stack: LocalStack) -> None:
    """503 with Retry-After while the broker is gone, not ready after a while, and the same events work afterwards."""
    both = [event(), event(id="b")]
    local_stack.stop_broker()
    try:
        answer = sender.post(edge.url, both)
        wait(lambda: httpx.get(f"{edge.url}/health/ready").status_code == 503, "not ready", seconds=40)
    finally:
        local_stack.start_broker()
    wait(lambda: httpx.get(f"{edge.url}/health/ready").status_code == 200, "ready again")
    wait(lambda: sender.post(edge.url, both).status_code == 202, "the same events are taken")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] in ("2", "5")  # known to be away, or found out with these very events
    sent = [change.origin.event_id for change in sender.values("plan-changes")]
    assert list(dict.fromkeys(sent)) == [EVENT["id"], "b"]  # what was not acknowledged in time may be there twice
