"""Reading on a real Kafka: what is pushed is seen, on every way out; the file is made anew; pages' examples run."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.documented import EVENT, OIN, REMOVAL
from samenloop.partners import add_partner
from tests.edge.processes import Play, Process, Sender, run_example, wait
from tests.edge.scenes import event, feature

DOCS = Path(__file__).parents[2] / "docs" / "partners"
ITEMS = "/v1/collections/plans/items"


def get(sender: Sender, address: str, **query: str) -> Any:
    """Ask as this partner."""
    headers = {"authorization": f"Bearer {sender.key}"}
    answer = httpx.get(address, params=query or None, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def titles(sender: Sender, url: str) -> list[str]:
    """The titles of this partner's plans."""
    found = get(sender, f"{url}{ITEMS}", limit="1000")["features"]
    return [one["properties"]["title"] for one in found if sender.oin in one["id"]]


def listening(sender: Sender, url: str, heard: list[str]) -> threading.Thread:
    """Listen to the stream until the end of a plan of this partner, or of the stream; returns once it is open."""
    opened = threading.Event()

    def listen() -> None:
        headers = {"authorization": f"Bearer {sender.key}"}
        with httpx.stream("GET", f"{url}/v1/changes/stream", headers=headers, timeout=60) as answer:
            for line in answer.iter_lines():
                opened.set()
                if line.startswith("data: ") and sender.oin in line:
                    heard.append(json.loads(line.removeprefix("data: "))["type"])
                    if heard[-1].endswith("plan-removed.v1"):
                        return
            heard.append("the end")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert opened.wait(30)
    return thread


def test_what_is_pushed_is_seen(play: Play, edge: Process, sender: Sender) -> None:
    """Through consolidation to the collection, the changes and the stream; the public sees what is PUBLIC; a second
    process with a file of its own answers the same, from the same cursor."""
    heard: list[str] = []
    cursor = get(sender, f"{edge.url}/v1/changes/cursor")["next"]
    stream = listening(sender, edge.url, heard)
    public = event(id="public", subject=f"{EVENT['source']}:plan:2", data=feature(visibility="PUBLIC", title="Open"))
    with play.process("stream", "consolidate"):
        sender.post(edge.url, [event(), public])
        wait(lambda: len(titles(sender, edge.url)) == 2, "the plans in the collection")
        with play.process("edge") as second:
            same = titles(sender, second.url)
            ended: list[str] = []
            until_the_end = listening(sender, second.url, ended)
            told = [get(sender, f"{url}/v1/changes", after=cursor) for url in (edge.url, second.url)]
        until_the_end.join(30)
        public_page = httpx.get(f"{edge.url}{ITEMS}", params={"limit": "1000"}).json()["features"]
        sender.post(edge.url, REMOVAL)
        stream.join(60)

    assert (ended, second.process.returncode) == (["the end"], 0)
    assert sorted(same) == ["Open", "Renewal of the sewer in the Lindelaan"]
    for page in told:
        assert sorted(one["data"]["properties"]["title"] for one in page["events"] if sender.oin in one["subject"]) == [
            "Open", "Renewal of the sewer in the Lindelaan",
        ]  # fmt: skip
    assert [one["properties"]["title"] for one in public_page if sender.oin in one["id"]] == ["Open"]
    assert heard == ["nl.samenloop.plan-state-changed.v1"] * 2 + ["nl.samenloop.plan-removed.v1"]


def test_logs_and_metrics_of_all_processes_tell_nothing(play: Play, edge: Process, sender: Sender) -> None:
    """From the push to an opened conflict, and what is refused on the way: no word, id or coordinate of a plan is in
    what any process logs, at the level DEBUG, or shows as a metric."""
    other = Sender(play, f"00000099{secrets.randbelow(10**12):012d}", "")
    _, other.key = add_partner(play.hub, play.codec, other.oin, "Netbeheerder", now=datetime.now(UTC))
    wait(lambda: other.post(edge.url, {}).status_code == 400, "the edge knows the other partner")
    secret = {"title": "TITLE-secret", "visibility": "RESTRICTED", "contact": {"unit": "CONTACT-secret"},
              "source_fields": {"f": "FIELD-secret"}, "ground_disturbing": True}  # fmt: skip
    zone = {"title": "TITLE-zone", "geometry": {"type": "Point", "coordinates": [5.3872, 52.1552]}}
    pushed = [
        event(id="leak", data=feature(**secret)),
        event(id="poor", data=feature(**secret, period={"start": "TITLE-bad"})),
        event(id="zone", subject=f"{EVENT['source']}:restriction:TITLE-1", datacontenttype="application/json",
              type="nl.samenloop.restriction-reported.v1", data={"restriction": zone}),
    ]  # fmt: skip
    env = {**os.environ, "SAMENLOOP_LOGS__LEVEL": "DEBUG"}
    with ExitStack() as stack:
        stages = [
            stack.enter_context(play.process("stream", name, env=env)) for name in ("consolidate", "detect", "notify")
        ]
        for one in (sender, other):
            assert one.post(edge.url, pushed).status_code == 207
        conflicts = f"{edge.url}/v1/collections/conflicts/items"
        wait(lambda: get(sender, conflicts, limit="1000")["features"], "the conflict, masked")
        text = "".join(one.said() + one.metrics for one in (*stages, edge))

    assert "record.rejected" in text
    assert [word for word in ("TITLE-", "CONTACT-", "FIELD-", "5.3872", "52.155") if word in text] == []
    for one in (sender, other):
        assert one.own(EVENT["subject"]) not in text


def test_a_file_of_its_own(play: Play, edge: Process) -> None:
    """A named file stays and is gone on with; a second process cannot have it; gone, it is made anew from Kafka."""
    path = play.path.parent / "named" / "read-model.sqlite"
    env = {**os.environ, "SAMENLOOP_EDGE__READ_MODEL": str(path)}
    command = [sys.executable, "-m", "samenloop.cli", "run", "edge", "--config", str(play.path)]
    for turn in range(2):
        with play.process("edge", env=env) as named:
            anew = httpx.get(f"{named.url}/health/ready").status_code
            if turn == 0:
                refused = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
                assert refused.returncode == 2
                assert "edge.read_model" in refused.stderr
        assert (anew, path.exists(), named.process.returncode) == (200, True, 0)
        path.unlink()
    assert list((play.path.parent / "build" / "data" / "edge").glob("*.sqlite"))


@pytest.mark.parametrize("page", ["read-plans.md", "catch-up.md"])
def test_the_examples_of_the_pages(play: Play, edge: Process, sender: Sender, tmp_path: Path, page: str) -> None:
    """Every example runs as it stands, and answers what the page says."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not on this machine")
    with play.process("stream", "consolidate"):
        assert sender.post(edge.url, event()).status_code == 202
        wait(lambda: titles(sender, edge.url), "the plan in the collection")
    env = {"HUB": edge.url, "KEY": sender.key, "PATH": os.environ["PATH"]}
    own = (DOCS / page).read_text(encoding="utf-8").replace(OIN, sender.oin)
    shell, python = (re.findall(rf"```{language}\n(.*?)```", own, re.DOTALL) for language in ("sh", "python"))

    said = [run_example(["sh", "-ec", text], tmp_path, env) for text in shell]
    printed = [run_example([sys.executable, "-c", text], tmp_path, env) for text in python * 2]

    told = [json.loads(text) for text in said if not text.startswith("retry:")]
    if page == "read-plans.md":
        assert [one["id"] for one in told[0]["collections"]] == [
            "plans", "restrictions", "conflicts", "opportunities",
        ]  # fmt: skip
        assert any(sender.oin in one["id"] for one in told[1]["features"])
        assert told[2]["properties"]["title"] == EVENT["data"]["properties"]["title"]  # type: ignore[index, call-overload]
        assert f"{sender.oin}:systeem:works-register:plan:2027-0042 Renewal" in printed[0]
    else:
        assert set(told[0]) == {"next"}
        assert [set(one) for one in told[1:]] == [{"events", "next", "at_end"}] * 2
        assert any(sender.oin in one["subject"] for one in told[1]["events"])
        assert printed[0] == printed[1]
        assert re.fullmatch(r"[1-9]\d* plans\n", printed[0])
        assert said[-1].startswith("retry: 3000\nid: ")
