"""compose.yaml: valid by the published schema, hardened throughout, and whole: nothing it names is missing."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from samenloop import plugins
from samenloop.cli import COMMANDS
from samenloop.cli.up import parts_of
from samenloop.settings import Hub, load_hub, variables
from samenloop.source import Context
from samenloop.supervisor import STOP_SECONDS
from tests.deploy.composed import COMPOSE, DEPLOY, document, mounts, processes

SCRIPTS = Path(sys.executable).parent
FOUND = document()
SERVICES: dict[str, Any] = FOUND["services"]
PROCESSES = processes(FOUND)
JOBS = {name for name, service in PROCESSES.items() if service["restart"] == "no"}
HUB: Hub = load_hub(DEPLOY / "hub.yaml", {})


def seconds(text: str) -> float:
    """Return how many seconds a time such as 30s is."""
    return float(re.fullmatch(r"(\d+)s", text)[1])  # type: ignore[index]


def mib(text: str) -> int:
    """Return how many MiB a size such as 512m is."""
    number, unit = re.fullmatch(r"(\d+)([mg])", text).groups()  # type: ignore[union-attr]
    return int(number) * {"m": 1, "g": 1024}[unit]


def test_it_is_a_compose_file() -> None:
    """The schema of the Compose specification accepts it, and yamllint finds nothing in what we deploy."""
    command = [SCRIPTS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE]
    valid = subprocess.run(command, capture_output=True, text=True, check=False)
    tidy = subprocess.run(
        [SCRIPTS / "yamllint", "--strict", "--config-file", DEPLOY.parent / ".yamllint", DEPLOY],
        capture_output=True,
        text=True,
        check=False,
    )

    assert valid.returncode == 0, valid.stdout
    assert tidy.returncode == 0, tidy.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened_and_bounded(name: str) -> None:
    """No capability, no new privilege, bounded memory, processes and logs, a fixed version, a restart policy."""
    service = SERVICES[name]

    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "user"}
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert service["logging"]["options"]["max-size"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", service["image"])
    assert service["restart"] == ("no" if name in JOBS else "unless-stopped")
    assert "healthcheck" in service or name in PROCESSES, "the image of the hub has one of its own"


def test_only_kafka_may_write_its_root() -> None:
    """Kafka's image makes its configuration from its environment when it starts; everything else is read-only."""
    assert [name for name, service in SERVICES.items() if not service.get("read_only")] == ["kafka"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_on_loopback_only(name: str) -> None:
    """Strangers on the network get nothing: a proxy with TLS is put in front on purpose."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_who_has_no_business_outside_has_no_way_out() -> None:
    """The network all are in leads nowhere; besides it, one is in the other for a reason only."""
    outside = {name for name, service in SERVICES.items() if "outside" in service["networks"]}

    assert FOUND["networks"]["inside"] == {"internal": True}
    assert all("inside" in service["networks"] for service in SERVICES.values())
    assert outside & PROCESSES.keys() == {"source-town", "webhook", "edge"}


def test_secrets_are_files_that_git_and_images_never_see() -> None:
    """The key goes to those who use it; no environment holds a secret."""
    for secret in FOUND["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    ignored = (DEPLOY / ".gitignore").read_text().split()
    holders = {name for name, service in PROCESSES.items() if "master-key" in service.get("secrets", ())}

    assert {"secrets/", ".env", "hub.env"} <= set(ignored)
    assert holders == {"webhook", "edge"}
    assert not re.search(r"(?i)(password|secret|token|key)\s*:\s*['\"]?[\w+/=-]{12,}", COMPOSE.read_text())
    assert str(HUB.delivery.master_key_file) == "/run/secrets/master-key"
    makes = set(re.findall(r"^make (\S+)", (DEPLOY / "make-secrets.sh").read_text(), re.MULTILINE))
    assert makes == {Path(secret["file"]).name for secret in FOUND["secrets"].values()}


def test_every_process_of_the_hub_is_there() -> None:
    """What `samenloop up` runs of these settings, compose runs; and detect has a standby in a slot of its own."""
    wanted = [part.command[part.command.index("run") :] for part in parts_of(HUB, None)]
    commands = [service["command"] for name, service in PROCESSES.items() if name not in JOBS]
    slots = [command[-1] for command in commands if command[:3] == ["run", "stream", "detect"]]
    bare = [[word for word in command if word not in ("--slot", "0", "1")] for command in commands]

    assert [words for words in wanted if [w for w in words if w not in ("--slot", "0")] not in bare] == []
    assert slots == ["0", "1"]


@pytest.mark.parametrize("name", PROCESSES)
def test_every_command_is_one_of_the_hub(name: str) -> None:
    """A container runs a command that exists."""
    words = " ".join(PROCESSES[name]["command"])

    assert any(words == known.words or words.startswith(f"{known.words} ") for known in COMMANDS)


def test_nothing_starts_before_what_it_needs() -> None:
    """The jobs wait until Kafka and the registry are healthy, every process until both jobs are done."""
    assert SERVICES["registry"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["topics"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert SERVICES["schemas"]["depends_on"] == {"registry": {"condition": "service_healthy"}}
    for name in PROCESSES.keys() - JOBS:
        assert PROCESSES[name]["depends_on"] == {job: {"condition": "service_completed_successfully"} for job in JOBS}


def test_an_orderly_end_has_the_time_it_takes() -> None:
    """The engine kills nobody who is still writing what is in flight."""
    for name in PROCESSES:
        assert seconds(PROCESSES[name]["stop_grace_period"]) > max(STOP_SECONDS, HUB.edge.shutdown_seconds)


def test_heaps_fit_into_their_containers() -> None:
    """A JVM that may take more than its container has would be killed by the kernel."""
    for name, variable in (("kafka", "KAFKA_HEAP_OPTS"), ("registry", "JAVA_OPTS_APPEND")):
        heap = re.search(r"-Xmx(\d+[mg])", SERVICES[name]["environment"][variable])
        assert heap
        assert mib(heap[1]) * 1.5 <= mib(SERVICES[name]["deploy"]["resources"]["limits"]["memory"])


def test_what_is_mounted_exists_and_volumes_are_declared() -> None:
    """Every path beside the file is in the repository, secrets and what an operator makes excepted."""
    for service in SERVICES.values():
        for source in mounts(service, FOUND).values():
            if source.startswith("./secrets/"):
                continue
            assert (DEPLOY / source).exists() if source.startswith("./") else source in FOUND["volumes"], source


def test_kafka_is_set_as_the_one_the_tests_run_on() -> None:
    """The settings of the local stack that decide about losing records hold here as well."""
    local = dict(
        line.split("=", 1)
        for line in (DEPLOY / "local" / "kafka.properties").read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    given = SERVICES["kafka"]["environment"]
    here = {name.removeprefix("KAFKA_").lower().replace("_", "."): text for name, text in given.items()}
    words = (
        "replication.factor",
        "min.isr",
        "insync",
        "auto.create",
        "rebalance.delay",
        "session.timeout",
        "abort.timed",
    )
    decisive = re.compile("|".join(map(re.escape, words)))
    version = re.search(r"kafka_2.13</artifactId>\s*<version>([^<]+)", (DEPLOY / "local" / "pom.xml").read_text())
    registry = re.search(r"<registry.version>([^<]+)", (DEPLOY / "local" / "pom.xml").read_text())

    assert {key: here[key] for key in here.keys() & local.keys() if decisive.search(key)} == {
        key: local[key] for key in local if decisive.search(key) and key in here
    }
    assert {key for key in local if decisive.search(key) and "consumer" not in key} <= here.keys()
    assert version
    assert registry
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{version[1]}"
    assert SERVICES["registry"]["image"] == f"apicurio/apicurio-registry:{registry[1]}"


def test_both_listeners_are_announced_as_they_are_reached() -> None:
    """Containers come by the service's name, programs of this machine by loopback and the published port."""
    kafka = document({"KAFKA_PORT": "19092"})["services"]["kafka"]
    listens = dict(one.split("://") for one in kafka["environment"]["KAFKA_LISTENERS"].split(","))
    announced = dict(one.split("://") for one in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(","))

    assert announced == {"INSIDE": "kafka:9092", "HOST": "127.0.0.1:19092"}
    assert kafka["ports"] == [f"127.0.0.1:19092{listens['HOST']}"]
    assert HUB.kafka.bootstrap_servers == announced["INSIDE"] == f"kafka{listens['INSIDE']}"
    assert listens["CONTROLLER"].startswith("localhost:")


def test_prometheus_asks_every_process() -> None:
    """Each process that stays has its line among the targets, on the port the image serves."""
    targets = yaml.safe_load((DEPLOY / "prometheus" / "targets" / "compose.yaml").read_text())

    assert sorted(targets[0]["targets"]) == sorted(f"{name}:9100" for name in PROCESSES.keys() - JOBS)


def test_the_example_source_is_readable_and_has_its_service() -> None:
    """Section, profile, export and service of the example belong together."""
    for name, source in HUB.sources.items():
        opened = plugins.load("sources", source.connector)().open(source.profile, Context({}))

        assert opened.system
        assert any((source.profile.parent / "exports").iterdir())
        assert SERVICES[f"source-{name}"]["command"] == ["run", "source", name]


def test_examples_of_variables_are_those_that_are_read() -> None:
    """.env.example lists every variable of compose.yaml with its default; hub.env.example names settings only."""
    lines = [line for line in (DEPLOY / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    read = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", COMPOSE.read_text()))
    named = re.findall(r"^#? ?(SAMENLOOP_\w+)=", (DEPLOY / "hub.env.example").read_text(), re.MULTILINE)

    assert dict(line.split("=", 1) for line in lines) == read
    assert named
    assert set(named) <= variables().keys()
