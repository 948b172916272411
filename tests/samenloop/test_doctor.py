"""The doctor: what is there, what is not, and the line that mends it."""

import shutil
from pathlib import Path

import pytest

from samenloop import doctor
from samenloop.localstack import LocalStack
from samenloop.settings import Hub, Kafka, Registry, Source

NOBODY = Hub(
    kafka=Kafka(bootstrap_servers="127.0.0.1:1"),
    registry=Registry(url="http://127.0.0.1:1"),
    sources={"town": Source(connector="file-snapshots", profile=Path("nowhere.yaml"))},
)


def test_everything_that_is_not_well_comes_with_the_line_that_mends_it() -> None:
    """A check that is not ok names what was found and what to do."""
    checks = doctor.run_checks(NOBODY)

    assert all(check.found for check in checks)
    assert all(check.mend for check in checks if check.state != "ok")


def test_a_hub_that_cannot_reach_its_kafka_is_not_healthy() -> None:
    """Kafka, registry and profiles that are not there fail by name; the machine's own checks are not among them."""
    checks = doctor.run_checks(NOBODY)

    assert not doctor.healthy(checks)
    assert [check.name for check in checks if check.state == "fail"] == ["kafka", "registry", "profiles"]


def test_a_missing_maven_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without mvn and without the programs it fetches, the doctor gives the line that installs it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)

    checks = {check.name: check for check in doctor.run_checks()}

    assert (checks["maven"].state, checks["maven"].mend) == ("fail", "sudo apt-get install -y maven")


def test_the_local_stack_is_found_healthy(local_stack: LocalStack) -> None:
    """A hub on the running stack has a registry that answers and a clock that agrees."""
    hub = Hub(kafka=Kafka(bootstrap_servers=local_stack.bootstrap), registry=Registry(url=local_stack.registry_url))

    states = {check.name: check.state for check in doctor.run_checks(hub)}

    assert states["registry"] == states["clock"] == states["profiles"] == "ok"
