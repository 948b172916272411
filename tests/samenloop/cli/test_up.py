"""The whole hub from one settings file: it runs, counts, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from samenloop.cli.tree import run
from samenloop.cli.up import parts_of
from samenloop.localstack import LocalStack
from samenloop.settings import load_hub

PROFILE = """
system: works
organisation: Gemeente Aalburg
oin: "00000099000000001001"
files: exports
id: nr
title: naam
period: [van, tot]
visibility: PARTNERS
"""
PARTS = {
    "stream consolidate", "stream detect", "stream notify", "stream health", "sink webhook", "source town",
    "conservation", "lag-exporter", "probe",
}  # fmt: skip


DISKS = {"disk", "memory", "broker disk", "data folder"}
"""What the doctor says of them is of this machine."""
STAGES = ("consolidate", "detect", "notify", "webhook")


def export(*numbers: int) -> str:
    """Return a GeoJSON export: every work overlaps its neighbour; one of them has a date that nobody can read."""
    features = []
    for number in numbers:
        west, south = 5.1 + number * 0.0005, 51.7
        ring = [
            [west, south],
            [west + 0.001, south],
            [west + 0.001, south + 0.001],
            [west, south + 0.001],
            [west, south],
        ]
        van = "ooit" if number == 13 else "2027-05-03"
        properties = {"nr": f"W{number}", "naam": f"Werk {number}", "van": van, "tot": "2027-05-20"}
        features.append(
            {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}
        )
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.fixture
def bare_file(tmp_path: Path) -> Path:
    """Settings of one source of thirty works, one of them unreadable, and nothing else."""
    (tmp_path / "town.yaml").write_text(PROFILE)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "2027-01-04.geojson").write_text(export(*range(30)))
    path = tmp_path / "hub.yaml"
    path.write_text(
        "hub: {clock: '2027-01-04'}\n"
        "sources: {town: {connector: file-snapshots, profile: town.yaml, poll_every_seconds: 0.5}}\n"
    )
    return path


@pytest.fixture
def hub_file(local_stack: LocalStack, bare_file: Path) -> Path:
    """The same on the Kafka that all tests share."""
    (bare_file.parent / "master.key").write_bytes(secrets.token_bytes(32))
    with bare_file.open("a") as file:
        file.write(
            f"kafka: {{bootstrap_servers: '{local_stack.bootstrap}', prefix: 'up-{secrets.token_hex(4)}.'}}\n"
            f"registry: {{url: '{local_stack.registry_url}'}}\n"
            "delivery: {master_key_file: master.key}\n"
        )
    return bare_file


class Up:
    """A running `samenloop up`, and what it has said so far."""

    def __init__(self, hub_file: Path, *options: str) -> None:
        self.log = hub_file.with_suffix(".log")
        with self.log.open("w") as out:
            command = [sys.executable, "-m", "samenloop.cli", "up", *options, "--config", str(hub_file)]
            self.process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)

    def said(self) -> str:
        return self.log.read_text()

    def addresses(self) -> dict[str, str]:
        """Return where every part that is ready serves."""
        ready = r'^([a-z -]+?) *\| .*"event":"process.ready".*"address":"([^"]+)"'
        return dict(re.findall(ready, self.said(), re.MULTILINE))

    def children(self) -> list[int]:
        """Return the processes it has started."""
        listing = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True).stdout
        rows = [line.split() for line in listing.splitlines()[1:]]
        return [int(pid) for pid, parent in rows if int(parent) == self.process.pid]


@pytest.fixture
def up(hub_file: Path) -> Iterator[Up]:
    assert run(["schemas", "register", "--config", str(hub_file)]) == 0
    running = Up(hub_file)
    yield running
    running.process.kill()
    running.process.wait()


def until(condition: Callable[[], object], up: Up, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert up.process.poll() is None, up.said()
        assert time.monotonic() < deadline, up.said()
        time.sleep(0.2)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def scraped(address: str) -> str:
    with urllib.request.urlopen(f"{address}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def records(address: str) -> dict[str, float]:
    """Return the source's counters of records by outcome, `read` among them."""
    text = scraped(address)
    found = {
        outcome: float(value)
        for outcome, value in re.findall(r'samenloop_source_records_total\{.*outcome="(\w+)".*\} (\S+)', text)
    }
    read = re.search(r"samenloop_source_records_read_total\{.*\} (\S+)", text)
    return {**found, "read": float(read[1]) if read else 0.0}


def probed(address: str) -> dict[str, float]:
    """Return how many probes each stage was done with."""
    found = re.findall(r'samenloop_probe_roundtrip_seconds_count\{pipeline="(\w+)"\} (\S+)', scraped(address))
    return {stage: float(count) for stage, count in found}


def lags(address: str) -> dict[str, float]:
    """Return how many records each group is behind, as far as it is known."""
    found: dict[str, float] = {}
    for group, records in re.findall(r'samenloop_consumer_lag_records\{group="([^"]+)".*\} (\S+)', scraped(address)):
        found[group] = found.get(group, 0.0) + float(records)
    return found


def health_of(hub_file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Return what the list says of the town's health, once the view has told it."""
    run(["source", "list", "--config", str(hub_file), "--json"])
    return str(json.loads(capsys.readouterr().out)[0]["health"])


def worked(up: Up, hub_file: Path) -> dict[str, float]:
    """Wait until two exports were read and all that watches has seen it; return the source's counters."""
    until(lambda: up.addresses().keys() == PARTS, up)
    addresses = up.addresses()
    until(lambda: records(addresses["source town"])["read"] >= 30, up)
    (hub_file.parent / "exports" / "2027-01-11.geojson").write_text(export(*range(28), 40))
    until(lambda: records(addresses["source town"])["read"] > 30, up)
    for address in addresses.values():
        for path in ("live", "ready"):
            with urllib.request.urlopen(f"{address}/health/{path}", timeout=5) as answer:
                assert json.load(answer)["status"] == path
    until(lambda: all(count >= 1 for count in probed(addresses["probe"]).values()), up)
    until(lambda: all(lags(addresses["lag-exporter"])[name] == 0 for name in STAGES), up)
    return records(addresses["source town"])


@pytest.fixture
def secure_up(bare_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Up]]:
    """Start `samenloop up --local --secure`; every other command finds it by the environment."""
    begun: list[Up] = []

    def start() -> Up:
        begun.append(Up(bare_file, "--local", "--secure"))
        return begun[-1]

    for name in ("LOCAL", "LOCAL_SECURE"):
        monkeypatch.setenv(f"SAMENLOOP_{name}", "true")
    yield start
    for up in begun:
        up.process.kill()
        up.process.wait()


@pytest.mark.timeout(900)
def test_the_whole_secure_hub_runs_counts_and_leaves_nothing(
    secure_up: Callable[[], Up], bare_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From an empty folder: every part becomes ready; read = created + updated + removed + unchanged + rejected.

    An operator's commands work while it runs; who would come without TLS is told so. The probe was seen by every stage,
    and the lag exporter sees that no stage is behind. Ctrl-C is 0 and complete; a second start finds all data again.
    """

    def command(*words: str) -> tuple[int, str]:
        code = run([*words, "--config", str(bare_file)])
        said = capsys.readouterr()
        return code, said.out + said.err

    def told(*words: str) -> Any:
        code, said = command(*words, "--json")
        assert said[:1] in ("[", "{"), (words, code, said)
        return json.loads(said)

    up = secure_up()
    until(lambda: "Kafka at" in up.said(), up)
    counted = worked(up, bare_file)
    until(lambda: "running" in health_of(bare_file, capsys), up)
    listed = told("source", "list")
    letters = told("dead-letters", "list", "--source", "town")
    verdict = told("verify")
    status = told("status")
    doctor = {check["name"]: check["state"] for check in told("doctor")}
    added = command("partners", "add", "00000099000000001002", "Waterschap")
    access = command("access", "apply", "--check", "--users")
    with monkeypatch.context() as plain:
        plain.setenv("SAMENLOOP_LOCAL_SECURE", "false")
        refused = command("dead-letters", "list")
    children = up.children()
    up.process.send_signal(signal.SIGINT)
    code = up.process.wait(60)

    outcomes = ("created", "updated", "removed", "unchanged", "rejected")
    assert counted["read"] == sum(counted[outcome] for outcome in outcomes)
    assert counted["created"] == 30
    assert counted["rejected"] >= 1
    assert listed[0]["last_poll"]["outcome"] in ("OK", "UNCHANGED")
    assert listed[0]["health"] == "running, fresh"
    assert [letter["code"] for letter in letters][:1] == ["date.unparseable"]
    assert verdict["holds"] is True, verdict
    assert {account["pipeline"]: account["went_in"] > 0 for account in verdict["accounts"]}["consolidate"]
    assert verdict["states"]["compared"] >= 30
    assert [stage["stage"] for stage in status["stages"]][:3] == ["consolidate", "detect", "notify"]
    assert {name for name, state in doctor.items() if state != "ok"} <= {"transactions", *DISKS}
    assert (added[0], access) == (0, (0, "Every principal has the rights it needs, and no other.\n"))
    assert (refused[0], "was started with --secure" in refused[1]) == (2, True), refused
    assert code == 0, up.said()
    assert len(children) == len(PARTS) + len(("Kafka", "registry"))
    assert not any(alive(pid) for pid in children)

    again = secure_up()
    until(lambda: "Kafka at" in again.said(), again)
    assert "Waterschap" in command("partners", "list")[1]


def test_a_killed_part_comes_back_and_a_killed_hub_leaves_nothing(up: Up) -> None:
    """kill -9 of a part is followed by a new one; kill -9 of the supervisor ends every part."""
    until(lambda: up.addresses().keys() == PARTS, up)
    first = up.children()
    os.kill(first[0], signal.SIGKILL)
    until(lambda: len(up.children()) == len(PARTS) and set(up.children()) != set(first), up)
    children = up.children()
    up.process.kill()
    up.process.wait()

    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in children)


def test_parts_count_up_from_the_port(hub_file: Path) -> None:
    """With a metrics port every part has its own, in a fixed order, so that a scraper can be configured."""
    hub = load_hub(hub_file, {"SAMENLOOP_METRICS__PORT": "9100"})

    ports = {part.name: part.env["SAMENLOOP_METRICS__PORT"] for part in parts_of(hub, hub_file)}

    with_edge = load_hub(hub_file, {"SAMENLOOP_EDGE__PORT": "8080"})

    assert ports.keys() == PARTS
    assert {part.name for part in parts_of(with_edge, hub_file)} == PARTS | {"edge"}
    quiet = {"SAMENLOOP_PROBE__ENABLED": "false", "SAMENLOOP_LAG_EXPORTER__ENABLED": "false"}
    without = {part.name for part in parts_of(load_hub(hub_file, quiet), hub_file)}
    assert without == PARTS - {"probe", "lag-exporter"}
    assert ports["stream consolidate"] == "9100"
    assert ports["source town"] == "9104"
    assert ports["stream health"] == "9105"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "stream", "detekt"], "detekt: is none of the stages and views: consolidate, detect, notify, health"),
        (["run", "source", "city"], "city: is none of the sources of the settings: town"),
        (["run", "sink", "fax"], "fax: is none of the sinks: webhook"),
        (["source", "release", "city"], "city: is none of the sources of the settings: town"),
    ],
)
def test_names_that_are_none(
    arguments: list[str], words: str, hub_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is not there is refused with those that are; exit code 2."""
    code = run([*arguments, "--config", str(hub_file)])

    assert code == 2
    assert words in capsys.readouterr().err
