"""The schemas of Strimzi's resources, made by the generator that the Strimzi project publishes beside its model.

Fetched once by Maven into the user's cache, as the programs of the local stack are.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from samenloop.localstack import programs
from samenloop.localstack.artefacts import located

VERSION = "1.2.0"
"""Of the operator, which brings Kafka 4.3.1."""
KINDS = {
    "Kafka": "kafka.Kafka",
    "KafkaNodePool": "nodepool.KafkaNodePool",
    "KafkaTopic": "topic.KafkaTopic",
    "KafkaUser": "user.KafkaUser",
}
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"


def schemas() -> dict[str, dict[str, Any]]:
    """Return the strict JSON Schema of each kind's `spec`; the test is skipped where Maven is not."""
    folder = located().folder.parent / f"strimzi-{VERSION}"
    if not folder.is_dir():
        _make(folder)
    found = {}
    for kind in KINDS:
        definition = yaml.safe_load((folder / f"{kind}.yaml").read_text())
        (version,) = (one for one in definition["spec"]["versions"] if one["name"] == "v1")
        found[kind] = _strict(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    return found


def _make(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        pytest.skip("Maven is not on this machine; it fetches the generator of Strimzi's schemas")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        jars, made = Path(name) / "jars", Path(name) / "made"
        made.mkdir()
        for artefact in ("api", "crd-generator"):
            wanted = [f"-Dartifact=io.strimzi:{artefact}:{VERSION}", f"-DoutputDirectory={jars}"]
            subprocess.run([maven, "--batch-mode", "--quiet", _COPY, *wanted], check=True, cwd=name)
        kinds = [f"io.strimzi.api.kafka.model.{model}={made / kind}.yaml" for kind, model in KINDS.items()]
        path = ":".join(str(jar) for jar in sorted(jars.iterdir()))
        java = [str(programs.java()), "-XX:TieredStopAtLevel=1", "-cp", path, "io.strimzi.crdgenerator.CrdGenerator"]
        subprocess.run([*java, "--yaml", *kinds], check=True, cwd=name)
        if not folder.is_dir():
            made.rename(folder)


def _strict(schema: Any) -> Any:
    """Refuse what the schema does not name: Kubernetes would drop it without a word."""
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(one) for key, one in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        strict.setdefault("additionalProperties", False)
    return strict
