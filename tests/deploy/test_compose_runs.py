"""What compose.yaml declares, run as processes on the real Kafka and registry of this machine.

The commands, the environment, the settings, the mounts and the health checks are those of compose.yaml and the image.
The demonstration plays through them, and its own check says whether everything came as the batch oracle expects.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml

from samenloop.cli import COMMANDS
from samenloop.contract.registry import register_schemas
from samenloop.contract.topics import INTERNAL, TOPICS
from samenloop.demo.play import play
from samenloop.localstack import LocalStack, programs
from samenloop.localstack.artefacts import fetched
from samenloop.localstack.ports import free_ports
from samenloop.localstack.process import Process
from samenloop.settings import Hub
from samenloop.supervisor import Part
from tests.deploy.composed import (
    DEPLOY,
    Place,
    document,
    image_environment,
    image_healthcheck,
    mounts,
    processes,
)

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]
EXAMPLE = "town"
"""The source of compose.yaml that an operator replaces by its own."""


class Composed:
    """The services of compose.yaml as parts of a hub; *healthy* fills with the names of those whose check passed."""

    def __init__(self, hub: Hub, settings: Path) -> None:
        self.found = document()
        self.hub, self.given = hub, yaml.safe_load(settings.read_text())
        self.services = self._with_sources(processes(self.found))
        folder = settings.parent
        for volume in self.found["volumes"]:
            (folder / "volumes" / volume).mkdir(parents=True)
        registry = hub.registry.url.removesuffix("/apis/ccompat/v7")
        self.place = Place(
            folder,
            {"kafka:9092": hub.kafka.bootstrap_servers, "http://registry:8080": registry, "0.0.0.0": "127.0.0.1"},
            {
                "./hub.yaml": self._own_settings(folder),
                "./sources": folder,
                "./secrets/master.key": folder / "master.key",
                **{volume: folder / "volumes" / volume for volume in self.found["volumes"]},
            },
        )
        self.mounts = {name: mounts(service, self.found) for name, service in self.services.items()}
        for name, mounted in self.mounts.items():
            self.place.furnish(name, mounted)
        self.ports = dict(zip(self.services, free_ports(len(self.services)), strict=True))
        self.healthy: set[str] = set()

    def _with_sources(self, services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """Give each source of the play the service of the example, as the page for operators says."""
        kept = {name: service for name, service in services.items() if _exists(service["command"])}
        example = kept.pop(f"source-{EXAMPLE}")
        for name in self.given["sources"]:
            command = [name if word == EXAMPLE else word for word in example["command"]]
            kept[f"source-{name}"] = {**example, "command": command}
        return kept

    def _own_settings(self, folder: Path) -> Path:
        """The settings of compose.yaml with the sources of the play, as an operator would write them."""
        settings = yaml.safe_load((DEPLOY / "hub.yaml").read_text())
        sources = self.given["sources"].items()
        settings["sources"] = {name: {**one, "profile": f"sources/{one['profile']}"} for name, one in sources}
        own = folder / "compose-hub.yaml"
        own.write_text(yaml.safe_dump(settings, sort_keys=False))
        return own

    def _overrides(self) -> dict[str, str]:
        """What an operator would put into hub.env to be in the invented town: a quick, local hub of another name."""
        own = {
            "kafka": ["prefix"],
            "hub": self.given["hub"],
            "delivery": self.given["delivery"].keys() - {"master_key_file"},
            "edge": ["public"],
        }
        return {
            f"SAMENLOOP_{section}__{key}".upper(): yaml.safe_dump(self.given[section][key], default_flow_style=True)
            .removesuffix("\n...\n")
            .strip()
            for section, keys in own.items()
            for key in keys
        }

    def environment(self, name: str) -> dict[str, str]:
        """Image, then hub.env, then the service itself; ports are this machine's, because nobody has a network."""
        paths = {**self.mounts[name], "/var/lib/samenloop": "", "/etc/samenloop/hub.yaml": ""}
        declared = {**image_environment(), **self._overrides(), **self.services[name].get("environment", {})}
        mapped = {key: self.place.text(name, text, paths) for key, text in declared.items()}
        ports = {"SAMENLOOP_METRICS__PORT": str(self.ports[name]), "SAMENLOOP_EDGE__PORT": str(self.hub.edge.port)}
        return mapped | ports

    def part(self, name: str) -> Part:
        """The service *name*, started by the image's entry point."""
        return Part(name, [str(Path(sys.executable).parent / "samenloop"), *self.services[name]["command"]],
                    self.environment(name))  # fmt: skip

    def run_job(self, name: str, prefix: str) -> str:
        """Run a job to its end under another prefix and return what it said."""
        part = self.part(name)
        env = {**os.environ, **part.env, "SAMENLOOP_KAFKA__PREFIX": prefix}
        return subprocess.run(part.command, env=env, check=True, capture_output=True, text=True).stdout

    def check_health(self, over: Event) -> None:
        """Run the image's health check against each process until each has passed."""
        command = [sys.executable, *image_healthcheck()[1:-1], str(DEPLOY / Path(image_healthcheck()[-1]).name)]
        while self.stays - self.healthy and not over.wait(2):
            for name in self.stays - self.healthy:
                env = {"SAMENLOOP_METRICS__PORT": str(self.ports[name])}
                if subprocess.run(command, env=env, check=False).returncode == 0:
                    self.healthy.add(name)

    @property
    def stays(self) -> set[str]:
        """Names of the services that are no jobs."""
        return {name for name, service in self.services.items() if service["restart"] != "no"}


def _exists(command: Sequence[str]) -> bool:
    """Whether this hub has the command; that it has every one of compose.yaml is a test of its own."""
    return " ".join(command[:2]) in {known.words for known in COMMANDS}


def test_the_demonstration_passes_through_what_compose_declares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Jobs make every topic and schema; every process becomes healthy; every expected alert has its receipt.

    No process writes outside its mounts, and each finds what it needs in them: its secrets and its settings.
    """
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_")]:
        monkeypatch.delenv(name)
    seen: list[Composed] = []
    said: dict[str, str] = {}
    over = Event()

    def parts_of(hub: Hub, settings: Path) -> list[Part]:
        composed = Composed(hub, settings)
        seen.append(composed)
        said.update({name: composed.run_job(name, "compose.") for name in ("schemas", "topics")})
        checking.start()
        return [composed.part(name) for name in sorted(composed.stays)]

    checking = Thread(target=lambda: seen[0].check_health(over), daemon=True)
    code = play(tmp_path, parts_of, once=True, language="en")
    over.set()
    checking.join(30)
    (composed,) = seen

    assert code == 0, capsys.readouterr().out
    assert all(f"compose.{name}.v1: created" in said["topics"] for name in {**TOPICS, **INTERNAL})
    assert len(re.findall(r"^compose\..+: id \d+$", said["schemas"], re.MULTILINE)) == len(TOPICS)
    # The view of health is the last to be ready, and the demonstration does not wait for it.
    assert composed.stays - composed.healthy <= {"health"}
    strangers = {name: composed.place.strangers(name, mounted) for name, mounted in composed.mounts.items()}
    assert {name: paths for name, paths in strangers.items() if paths} == {}


@contextmanager
def registry(stack: LocalStack, folder: Path, ports: Sequence[int]) -> Iterator[Process]:
    """The registry with the environment of compose.yaml on the local Kafka; killed in the end."""
    declared: dict[str, str] = document()["services"]["registry"]["environment"]
    here = {"QUARKUS_HTTP_HOST": "127.0.0.1", "QUARKUS_HTTP_PORT": str(ports[0])}
    here |= {"QUARKUS_MANAGEMENT_HOST": "127.0.0.1", "QUARKUS_MANAGEMENT_PORT": str(ports[1])}
    environment = {key: text.replace("kafka:9092", stack.bootstrap) for key, text in declared.items()} | here
    assignments = [f"{key}={text}" for key, text in environment.items()]
    options = [*declared["JAVA_OPTS_APPEND"].split(), "-Djava.util.logging.manager=org.jboss.logmanager.LogManager"]
    options += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # it lives for seconds
    command = ["/usr/bin/env", *assignments, str(programs.java()), *options, "-jar", str(fetched(print).registry)]
    process = Process("The schema registry", command, folder=folder, log=folder / "registry.log")
    *shell, script = document()["services"]["registry"]["healthcheck"]["test"][1:]
    check = [*shell, script.replace("/9000", f"/{ports[1]}")]

    def healthy() -> bool:
        time.sleep(0.5)  # a shell each time
        return subprocess.run(check, check=False, stderr=subprocess.DEVNULL).returncode == 0

    try:
        assert process.wait_until(healthy, seconds=180), process.said()
        yield process
    finally:
        process.stop(kill=True)


def test_the_registry_of_compose_keeps_its_ids(local_stack: LocalStack, tmp_path: Path) -> None:
    """Its schemas are on Kafka: after a kill -9 the same schemas have the same ids, and its health check says so.

    A registry that forgot them would give other ids, and bytes already written could not be read.
    """
    ports = free_ports(2)
    url = f"http://127.0.0.1:{ports[0]}/apis/ccompat/v7"
    with registry(local_stack, tmp_path, ports):
        before = register_schemas(url, "kept.")
    with registry(local_stack, tmp_path, ports):
        after = register_schemas(url, "kept.")

    assert len(before) == len(TOPICS)
    assert after == before
