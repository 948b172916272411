"""The manifests: valid by the schemas of Kubernetes and Strimzi, hardened, whole, and the same topics and rights."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.kubernetes import __main__ as generator
from samenloop.contract.topics import INTERNAL, TOPICS
from samenloop.kafka.access import CLUSTER, accesses, rights
from samenloop.kafka.topics import settings_of
from samenloop.settings import load_hub
from samenloop.supervisor import STOP_SECONDS
from tests.deploy import strimzi
from tests.deploy.composed import DEPLOY, document, processes

FOLDER = DEPLOY / "kubernetes"
EXAMPLE = FOLDER / "overlays" / "example"
KUBERNETES = "1.32"
"""The oldest version that the page for operators promises; the newest that the validator knows is tried as well."""
WORKLOADS = ("Deployment", "StatefulSet", "Job")
Resource = dict[str, Any]


@cache
def rendered(folder: Path) -> list[Resource]:
    """Return what Kustomize makes of *folder*; the test is skipped where there is none."""
    kustomize = ["kustomize", "build"] if shutil.which("kustomize") else ["kubectl", "kustomize"]
    if not shutil.which(kustomize[0]):
        pytest.skip("neither kustomize nor kubectl is on this machine")
    made = subprocess.run([*kustomize, str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return list(yaml.safe_load_all(made.stdout))


def of_kind(*kinds: str, folder: Path = EXAMPLE) -> list[Resource]:
    """Return the resources of these kinds."""
    return [one for one in rendered(folder) if one["kind"] in kinds]


def named(kind: str, name: str) -> Resource:
    """Return one resource."""
    (found,) = (one for one in of_kind(kind) if one["metadata"]["name"] == name)
    return found


def pods() -> Iterator[tuple[str, Resource]]:
    """Yield the pod of every workload, with its name."""
    for workload in of_kind(*WORKLOADS):
        yield workload["metadata"]["name"], workload["spec"]["template"]


def containers(pod: Resource) -> list[Resource]:
    """Return all containers of a pod."""
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


@pytest.mark.parametrize("path", generator.pages(), ids=lambda path: path.name)
def test_topics_and_users_are_as_committed(path: Path) -> None:
    """They follow from the catalogue and the table of principals: run `python -m deploy.kubernetes`."""
    assert path.read_text() == generator.pages()[path]


@pytest.mark.parametrize("version", [KUBERNETES, kubernetes_validate.latest_version()])
def test_kubernetes_knows_every_field(version: str) -> None:
    """Every resource of Kubernetes itself is valid, strictly: an unknown field would be dropped without a word."""
    own = [one for one in rendered(EXAMPLE) if "strimzi" not in one["apiVersion"] and "coreos" not in one["apiVersion"]]

    assert len(own) > 20
    for resource in own:
        kubernetes_validate.validate(resource, version, strict=True)


def test_strimzi_knows_every_field() -> None:
    """Every resource of Strimzi is valid by the schema of its version, strictly."""
    schemas = strimzi.schemas()
    own = of_kind(*schemas)

    assert {one["kind"] for one in own} == schemas.keys()
    for resource in own:
        assert resource["apiVersion"] == "kafka.strimzi.io/v1"
        jsonschema.validate(resource["spec"], schemas[resource["kind"]])


def test_topics_are_those_of_the_catalogue() -> None:
    """Partitions and settings are what `topics apply` would make, on three brokers; partitions are never changed."""
    found = {one["metadata"]["name"]: one["spec"] for one in of_kind("KafkaTopic")}

    for topic in {**TOPICS, **INTERNAL}.values():
        spec = found[topic.full_name("samenloop.")]
        config = {key: str(text) for key, text in spec["config"].items()}
        assert spec["partitions"] == topic.partitions
        assert spec["replicas"] == 3
        assert config == {**settings_of(topic), "min.insync.replicas": "2"}
    assert found.keys() - {topic.full_name("samenloop.") for topic in {**TOPICS, **INTERNAL}.values()} == {
        "samenloop.registry",
        "samenloop.registry-snapshots",
        "samenloop.registry-events",
    }


def test_rights_are_those_of_the_table() -> None:
    """Each principal has exactly its rights; there is no super user, and nobody keeps the right to write everything."""
    found = {one["metadata"]["name"]: one["spec"] for one in of_kind("KafkaUser")}
    registry = found.pop("samenloop.registry")

    for principal, access in accesses(["town"]).items():
        if principal in generator.AT_NEED:
            continue
        granted = {
            (resource["type"], resource.get("name", CLUSTER), operation, resource.get("patternType") == "prefix")
            for acl in found.pop(f"samenloop.{principal}")["authorization"]["acls"]
            for resource in [acl["resource"]]
            for operation in acl["operations"]
        }
        wanted = {(r.resource.value, r.name, r.operation.value, r.prefixed) for r in rights(access, "samenloop.")}
        assert granted == wanted, principal
    assert found == {}
    assert all(acl["resource"]["name"].startswith("samenloop.registry") for acl in registry["authorization"]["acls"])
    assert "superUsers" not in named("Kafka", "samenloop")["spec"]["kafka"]["authorization"]


def test_kafka_loses_nothing_with_one_broker() -> None:
    """Three brokers over zones, three replicas, two that acknowledge; disks stay when the cluster is deleted."""
    kafka = named("Kafka", "samenloop")["spec"]["kafka"]
    pools = [pool["spec"] for pool in of_kind("KafkaNodePool")]
    replication = [value for key, value in kafka["config"].items() if key.endswith("replication.factor")]
    compose = document()["services"]["kafka"]["environment"]
    shared = {key: kafka["config"].get(key.removeprefix("KAFKA_").lower().replace("_", ".")) for key in compose}

    assert replication == [3, 3, 3, 3]
    assert kafka["config"]["min.insync.replicas"] == kafka["config"]["transaction.state.log.min.isr"] == 2
    assert kafka["config"]["unclean.leader.election.enable"] is False
    assert all(listener["tls"] and listener["authentication"] for listener in kafka["listeners"])
    assert all(pool["replicas"] == 3 for pool in pools)
    assert all(not volume["deleteClaim"] for pool in pools for volume in pool["storage"]["volumes"])
    assert f"apache/kafka:{kafka['version']}" == document()["services"]["kafka"]["image"]
    for key in ("KAFKA_OFFSETS_RETENTION_MINUTES", "KAFKA_AUTO_CREATE_TOPICS_ENABLE"):
        assert str(shared[key]).lower() == compose[key]


@pytest.mark.parametrize("name", ["consolidate", "detect", "edge", "webhook", "registry", "prepare", "operator"])
def test_pods_meet_the_restricted_standard(name: str) -> None:
    """No root, no privilege to gain, no capability, a read-only root, no token of the cluster, bounded memory."""
    (pod,) = (pod for found, pod in pods() if found == name)
    spec = pod["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    assert all("hostPath" not in volume for volume in spec["volumes"])
    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+", container["image"])


def test_kubernetes_puts_no_variable_of_ours_into_the_environment() -> None:
    """A service called samenloop-… would become SAMENLOOP_…, which the hub refuses as a setting that does not exist."""
    for name, pod in pods():
        assert pod["spec"]["enableServiceLinks"] is False, name


def test_every_process_of_compose_is_here_with_the_same_command() -> None:
    """The two ways to run the hub run the same; detect has its standby by a number of its own."""
    here = {tuple(c["args"]) for _, pod in pods() for c in containers(pod) if "args" in c}
    there = {tuple(service["command"]) for service in processes(document()).values()}
    slots = {("run", "stream", "detect", "--slot", slot) for slot in ("0", "1")}
    detect = named("StatefulSet", "detect")["spec"]

    assert here - {("run", "stream", "detect", "--slot", "$(SLOT)")} == there - slots
    assert detect["replicas"] == len(slots)
    assert "pod-index" in str(detect["template"]["spec"]["containers"][0]["env"])


def test_processes_are_asked_and_ended_as_they_need() -> None:
    """Each that stays has the three probes on the port of the image and time to write what is in flight."""
    for workload in of_kind("Deployment", "StatefulSet"):
        if workload["metadata"]["name"] == "operator":
            continue  # nothing runs there but a person's commands
        pod, name = workload["spec"]["template"]["spec"], workload["metadata"]["name"]
        (container,) = pod["containers"]
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys(), name
        if name != "registry":
            assert {"name": "metrics", "containerPort": 9100} in container["ports"]
            assert pod["terminationGracePeriodSeconds"] > STOP_SECONDS
    for name in ("consolidate", "notify", "webhook"):
        assert named("Deployment", name)["spec"]["strategy"] == {"type": "Recreate"}, "two would fight for one slot"


def test_budgets_leave_one_at_work() -> None:
    """Whatever has a standby or a twin loses one at a time to a drain."""
    budgets = {one["metadata"]["name"]: one["spec"] for one in of_kind("PodDisruptionBudget")}
    twins = {one["metadata"]["name"] for one in of_kind("Deployment", "StatefulSet") if one["spec"]["replicas"] > 1}

    assert budgets.keys() == twins
    assert all(spec["maxUnavailable"] == 1 for spec in budgets.values())


def test_secrets_are_named_and_never_contained() -> None:
    """Each process is given its own password and no other, and the master key only where it is used."""
    assert of_kind("Secret") == []
    for name, pod in pods():
        given = {volume["secret"]["secretName"] for volume in pod["spec"]["volumes"] if "secret" in volume}
        own = {"prepare": "samenloop.setup"}.get(name, f"samenloop.{name}")
        key = {"master-key"} if name in ("webhook", "edge", "operator") else set()
        assert given == {"samenloop-cluster-ca-cert", own} | key


def test_only_who_must_leaves_the_cluster() -> None:
    """Sinks, the edge's question for consent, and sources with an https address; by https, to no internal address."""
    outside = {name for name, pod in pods() if "samenloop.example/egress" in pod["metadata"]["labels"]}
    (to,) = named("NetworkPolicy", "internet")["spec"]["egress"]

    assert outside == {"webhook", "edge", "source-town"}
    assert to["ports"] == [{"port": 443, "protocol": "TCP"}]
    blocks = [peer["ipBlock"] for peer in to["to"]]
    assert {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"} <= set(blocks[0]["except"])
    assert named("NetworkPolicy", "nothing-else")["spec"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "samenloop"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    for name, pod in pods():
        assert pod["metadata"]["labels"]["app.kubernetes.io/part-of"] == "samenloop", name


def test_the_settings_are_settings_and_find_what_is_mounted(tmp_path: Path) -> None:
    """The hub reads the file without complaint, and every path in it is one that the pods mount."""
    hub = load_hub(EXAMPLE / "hub.yaml", {})
    base = load_hub(FOLDER / "base" / "hub.yaml", {})
    mounted = {mount["mountPath"] for _, pod in pods() for c in containers(pod) for mount in c["volumeMounts"]}
    paths = (hub.kafka.ssl_ca_location, hub.kafka.credentials_dir, hub.delivery.master_key_file)

    assert hub.kafka == base.kafka
    assert all(path and any(str(path).startswith(one) for one in mounted) for path in paths)
    assert hub.kafka.replication_factor == 3
    (settings,) = of_kind("ConfigMap")
    assert settings["data"].keys() == {"hub.yaml", *(Path(s.profile).name for s in hub.sources.values())}


def test_prometheus_asks_every_process() -> None:
    """The monitor selects each pod that serves metrics, by labels and a port that it has, under the hub's job."""
    monitor = named("PodMonitor", "samenloop")["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    chosen = monitor["selector"]["matchLabels"].items()

    for name, pod in pods():
        ports = {port["name"] for c in containers(pod) for port in c.get("ports", ())}
        if endpoint["port"] in ports:
            assert chosen <= pod["metadata"]["labels"].items(), name
            assert pod["metadata"]["labels"][monitor["jobLabel"]] == "samenloop"
        else:
            assert name in ("registry", "prepare", "operator")
