"""How the view shows itself to Kafka, and that Faust costs nobody else a thing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from pydantic import SecretStr

from samenloop.contract import INTERNAL, Codec
from samenloop.errors import BadSettings
from samenloop.kafka.topics import inputs_of_groups
from samenloop.settings import Hub, Kafka, Views
from streams.health.application import Application, _CommittedThread, credentials
from streams.health.view import View


def application(hub: Hub) -> Application:
    return Application(hub, Codec.offline(), "urn:nld:oin:00000099000000000001:systeem:samenloop", View([]), bool)


def test_everything_faust_makes_is_named_and_in_the_catalogue(tmp_path: Path) -> None:
    """No topic name derives from a module's path, and none has to be created by Faust."""
    made = application(Hub(data_dir=tmp_path, kafka=Kafka(prefix="x.")))
    tables = [made.accounts, made.letters]
    changelogs = {table.changelog_topic.get_topic_name() for table in tables}

    assert sorted(made.app.agents) == ["health-dead-letters", "health-facts", "health-polls"]
    assert {table.name for table in tables} == {"health-accounts", "health-letters"}
    assert changelogs | {"x.health-facts.v1"} == {topic.full_name("x.") for topic in INTERNAL.values()}
    assert (made.app.conf.topic_allow_declare, made.app.conf.topic_disable_leader) == (False, True)
    assert made.app.conf.id == "x.health"
    assert inputs_of_groups()["health"] == ["polls", "dead-letters", "health-facts"]


def test_a_changelog_is_no_stream_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust looks whether every partition of a stream moves; that of a table is written only, and not looked at."""
    made = application(Hub(data_dir=tmp_path, kafka=Kafka(prefix="x.")))
    looked: list[str] = []
    thread = object.__new__(_CommittedThread)  # a thread that is made opens an event loop
    thread.consumer = SimpleNamespace(app=made.app)
    monkeypatch.setattr(AIOKafkaConsumerThread, "verify_event_path", lambda _, __, tp: looked.append(tp.topic))

    for topic in ("x.polls.v1", *(topic.full_name("x.") for topic in INTERNAL.values())):
        thread.verify_event_path(0.0, TP(topic, 0))

    assert looked == ["x.polls.v1", "x.health-facts.v1"]


@pytest.mark.parametrize(
    ("protocol", "shown"),
    [("PLAINTEXT", None), ("SSL", "SSL"), ("SASL_SSL", "SASL_SSL"), ("SASL_PLAINTEXT", "SASL_PLAINTEXT")],
)
def test_the_connection_is_that_of_the_settings(protocol: str, shown: str | None) -> None:
    """TLS and SASL reach Faust as they reach every other client; the password does not show."""
    kafka = Kafka(
        security_protocol=protocol,  # type: ignore[arg-type]
        sasl_mechanism="SCRAM-SHA-512",
        sasl_username="health",
        sasl_password=SecretStr("hush-hush"),
    )

    found = credentials(kafka)

    assert (found.protocol.value if found else None) == shown
    assert "hush-hush" not in repr(found)
    if protocol.startswith("SASL"):
        assert (found.username, found.password) == ("health", "hush-hush")  # type: ignore[union-attr]
        assert found.mechanism.value == "SCRAM-SHA-512"  # type: ignore[union-attr]


def test_a_store_that_is_not_installed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of what is missing, before anything starts."""
    monkeypatch.setitem(sys.modules, "rocksdict", None)

    with pytest.raises(BadSettings, match="rocksdict"):
        application(Hub(data_dir=tmp_path, views=Views(store="rocksdb")))


def test_faust_is_imported_by_a_running_view_only() -> None:
    """Neither the command line nor `topics apply`, which asks the view for its inputs, waits for it."""
    program = (
        "import sys; from samenloop.cli.tree import build; build(); "
        "from samenloop.kafka.topics import inputs_of_groups; inputs_of_groups(); "
        "print('faust' in sys.modules or 'aiokafka' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert said.strip() == "False"
