"""Subscriptions and dead letters over HTTP on a real Kafka: from the request to the partner's sink and back."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from samenloop import subscription_life
from samenloop.errors import BadSettings
from samenloop.handshake import AGREED
from samenloop.kafka import publish
from samenloop.localstack import LocalStack
from samenloop.partners import add_partner
from samenloop.receiver import Answer, Receiver
from samenloop.stage import Output
from samenloop.subscriptions import wish_of
from samenloop.webhooks import derive_secret
from tests.edge.processes import Play, Process, Sender, make_play, wait
from tests.edge.scenes import event, feature

MASTER_KEY = bytes(range(32))
PAGE = (Path(__file__).parents[2] / "docs" / "partners" / "webhooks.md").read_text(encoding="utf-8")
SECTION = PAGE.split("## Subscribe over HTTP")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def play(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Play:
    """A hub that signs webhooks and may call this machine."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "master.key").write_bytes(MASTER_KEY)
    return make_play(
        local_stack,
        folder,
        "delivery: {master_key_file: master.key, allow_http: true, allow_destinations: ['127.0.0.0/8'],"
        " retry_seconds: [0, 1, 1, 1]}\n"
        "edge: {port: 0, requests_at_once: 1000}\nlogs: {form: json}\n",
    )


@dataclass
class Partner:
    """A partner that asks."""

    edge: Process
    oin: str
    key: str

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.request(method, f"{self.edge.url}{path}", json=body, headers=headers, timeout=30)


@pytest.fixture
def partner(play: Play, edge: Process) -> Partner:
    """A partner that nobody else is; the edge knows it."""
    oin = f"00000099{secrets.randbelow(10**12):012d}"
    _, key = add_partner(play.hub, play.codec, oin, "Waterschap", now=datetime.now(UTC))
    made = Partner(edge, oin, key)
    wait(lambda: made.ask("GET", "/v1/subscriptions").status_code == 200, "the edge knows the partner")
    return made


def test_a_subscription_from_its_first_request_to_its_end(play: Play, partner: Partner, tmp_path: Path) -> None:
    """The examples of the page run as they stand: subscribed, tested, paused, resumed, changed, rotated.

    Test alerts arrive signed; during a rotation with both secrets. 410 ends it, and the edge says so.
    """
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    env = {"HUB": partner.edge.url, "KEY": partner.key, "PATH": os.environ["PATH"]}
    shell, python = (re.findall(rf"```{language}\n(.*?)```", SECTION, re.DOTALL) for language in ("sh", "python"))
    with Receiver() as receiver, play.process("stream", "notify"), play.process("sink", "webhook"):
        _run(
            ["sh", "-ec", shell[0].replace("https://planning.wetering.example/samenloop", receiver.url)], tmp_path, env
        )
        made = json.loads((tmp_path / "subscription.json").read_bytes())
        path, receiver.secret = f"/v1/subscriptions/{made['id']}", made["secret"]
        _run(["sh", "-ec", shell[1]], tmp_path, env)
        wait(lambda: len(receiver.messages) == 1, "the first test alert")

        printed = _run([sys.executable, "-c", python[0]], tmp_path, env)
        assert partner.ask("POST", f"{path}/test").status_code == 200
        wait(lambda: len(receiver.messages) == 2, "a test alert that the secret before signs as well")
        receiver.secret = derive_secret(MASTER_KEY, UUID(made["id"]), 1)
        assert partner.ask("POST", f"{path}/test").status_code == 200
        wait(lambda: len(receiver.messages) == 3, "a test alert that the new secret signs")

        assert partner.ask("POST", f"{path}/pause").json()["status"] == "paused"
        assert partner.ask("POST", f"{path}/test").status_code == 409
        assert partner.ask("POST", f"{path}/resume").json()["status"] == "active"
        receiver.answers.append(Answer(410))
        assert partner.ask("POST", f"{path}/test").status_code == 200
        wait(lambda: partner.ask("GET", path).json()["status"] == "ended", "the end")
        ended = partner.ask("GET", path).json()

    assert made["status"] == "active"
    assert printed == "5 THIN whsec_\n"
    assert [message.event["alertreason"] for message in receiver.messages] == ["TEST"] * 4
    assert receiver.refused == 0
    assert ended["status_reason"] == "gone"
    assert partner.ask("POST", f"{path}/resume").status_code == 409


def test_dead_letters_from_refusal_to_replay(play: Play, partner: Partner) -> None:
    """What the edge refuses is mended by sending it again; what a stage refused is offered again, and fails again."""
    system = f"urn:nld:oin:{partner.oin}:systeem:works-register"
    bad = event(data=feature(title=None))
    answer = Sender(play, partner.oin, partner.key).post(partner.edge.url, bad)
    (refused,) = _listed(partner)
    told = partner.ask("POST", f"/v1/dead-letters/{refused['id']}/replay")
    discarded = partner.ask("POST", f"/v1/dead-letters/{refused['id']}/discard", {"reason": "sent again"}).json()

    headers = (("ce_source", system.encode()), ("ce_specversion", b"1.0"))
    publish(play.hub.kafka, [Output("plan-changes", f"{system}:plan:1", b"\x00no record", headers)])
    with play.process("stream", "consolidate"):
        wait(lambda: _listed(partner), "the letter of consolidate", seconds=30)
        (found,) = _listed(partner)
        outcome = partner.ask("POST", f"/v1/dead-letters/{found['id']}/replay").json()
        wait(lambda: [one["id"] for one in _listed(partner)] != [found["id"]], "the letter that it became", seconds=30)
        (again,) = _listed(partner)

    assert answer.json()["events"][0]["dead_letter"] == refused["id"]
    assert (told.status_code, "send it again" in told.json()["detail"]) == (409, True)
    assert discarded["status"] == "DISCARDED"
    assert (found["stage"], found["replayable"]) == ("consolidate", True)
    assert (outcome["status"], outcome["successor"]) == ("FAILED_AGAIN", again["id"])
    assert again["attempts"] == 2


def _listed(partner: Partner) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = partner.ask("GET", "/v1/dead-letters").json()["dead_letters"]
    return found


def _run(command: list[str], folder: Path, env: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_edge_does_not_start_without_the_key_it_names(play: Play) -> None:
    """Exit code 2 and the setting's name."""
    env = {**os.environ, "SAMENLOOP_DELIVERY__MASTER_KEY_FILE": "/nowhere/master.key"}
    command = [sys.executable, "-m", "samenloop.cli", "run", "edge", "--config", str(play.path)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 2
    assert "delivery.master_key_file" in done.stderr


def test_no_change_of_a_subscription_is_lost(play: Play) -> None:
    """Several processes change one at the same moment: each change is in the end there, or was refused."""
    oin = f"00000099{secrets.randbelow(10**12):012d}"
    add_partner(play.hub, play.codec, oin, "Builder", now=datetime.now(UTC))
    wanted = wish_of({"subscriber": oin, "sink": "http://127.0.0.1:9/hook"})
    made, _ = subscription_life.begin(play.hub, play.codec, wanted, AGREED, now=datetime.now(UTC))

    def ask_for_a_test(_: int) -> bool:
        try:
            subscription_life.change(play.hub, play.codec, made.id, "test", now=datetime.now(UTC))
        except BadSettings as error:
            assert "changed meanwhile" in str(error)
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        taken = sum(pool.map(ask_for_a_test, range(6)))
    after = subscription_life.find(play.hub, play.codec, made.id)

    assert taken >= 1
    assert (after.tests_asked, after.revision) == (taken, 1 + taken)
