"""The hub on a Kafka with TLS, SCRAM and an authorizer: what is needed works, all else is refused; and backup."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from pydantic import SecretStr

from samenloop.backup import read_backup
from samenloop.backup.bringing import EXACT
from samenloop.cli.tree import run
from samenloop.contract.registry import Registry
from samenloop.contract.topics import INTERNAL, TOPICS
from samenloop.doctor import hub as doctor
from samenloop.errors import BadSettings
from samenloop.kafka import clients, read_topic
from samenloop.kafka.access import GROUPS, Access, Operation, Resource, Right, accesses, rights
from samenloop.kafka.authorize import Authorizer, binding_of
from samenloop.kafka.brokers import Said
from samenloop.kafka.names import group_on_wire, topic_on_wire, transactional_id
from samenloop.kafka.refusals import NOT_ALLOWED, shake_hands
from samenloop.localstack import LocalStack
from samenloop.localstack.certificates import Authority
from samenloop.receiver import Receiver
from samenloop.settings import Kafka
from tests.samenloop.collector import Collector
from tests.samenloop.front import Front
from tests.samenloop.town import SOURCES, Town

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(900)]
CATALOGUE = {**TOPICS, **INTERNAL}
PREFIX = "town."
_SECONDS = 30.0


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Two weeks of the town, played by processes that each sign in as themselves; they have ended since."""
    folder = tmp_path_factory.mktemp("town")
    with (
        LocalStack(tmp_path_factory.mktemp("secure-stack"), secure=True, brief=True) as stack,
        Front(folder / "front") as front,
        Collector() as collector,
        Receiver() as receiver,
    ):
        town = Town(folder, stack, front, collector, receiver)
        town.settle()
        assert run(["schemas", "register", "--config", str(town.file)]) == 0
        town.subscribe()
        with town.running() as supervisor:
            for week in (1, 2):
                town.week(week)
                town.wait(lambda week=week: sum(town.finals().values()) >= week)  # type: ignore[misc]
            town.wait(lambda: all(status.state == "ready" for status in supervisor.status.values()))
            town.wait(lambda: list(read_topic(town.hub().kafka, "sources")))
            town.restarts = sum(status.restarts for status in supervisor.status.values())
        yield town


def test_every_process_works_under_its_own_principal(town: Town) -> None:
    """Source to receipt, the edge, the view and the account: none needed more rights than its row has."""
    assert town.finals()
    assert set(town.finals().values()) == {1}
    assert town.restarts == 0
    assert town.receiver.ids >= {str(alert) for alert in town.finals()}


def test_one_trace_from_a_poll_to_the_answer(town: Town) -> None:
    """Six processes, and Kafka between them: each attempt at the receiver is below what led to it, up to the poll."""
    delivered = [span for span in town.collector.spans if span.name == "deliver webhook"]
    roads = [town.collector.road(span) for span in delivered]

    about_a_finding = ("webhook", "notify", "detect", "consolidate")
    between = {tuple(process for process, _ in road[:-1]) for road in roads}
    assert about_a_finding in between, roads
    assert between <= {about_a_finding, ("webhook", "notify", "consolidate")}, "the other is about a plan"
    assert {road[-1] for road in roads} <= {(source, f"poll {source}") for source in SOURCES}


@pytest.mark.parametrize("principal", list(accesses(SOURCES)))
def test_every_principal_is_refused_everything_else(town: Town, principal: str) -> None:
    """Writing and reading each topic, and each group and slot, that its row does not name: Kafka says no to all."""
    row = accesses(SOURCES)[principal]
    kafka = town.hub(principal).kafka

    assert _writes_refused(kafka, [topic for topic in CATALOGUE if topic not in row.writes]) == set()
    assert _reads_refused(kafka, [topic for topic in CATALOGUE if topic not in row.reads]) == set()
    assert _groups_allowed(kafka) == {*row.joins, *row.looks_at_groups}
    assert _slot_refused(kafka, row)


def _writes_refused(kafka: Kafka, topics: list[str]) -> set[str]:
    """Return the topics that were not refused."""
    refused: set[str] = set()
    # Not idempotent: who may write nothing is refused that as well, before any topic is named.
    settings = {**clients._connection(kafka, "stranger"), "message.timeout.ms": int(_SECONDS * 1000)}
    producer = Producer(settings)
    for topic in topics:

        def told(error: KafkaError | None, _: Any, topic: str = topic) -> None:
            if error is not None and error.code() in NOT_ALLOWED:
                refused.add(topic)

        producer.produce(topic_on_wire(PREFIX, topic), b"x", b"x", on_delivery=told)
    producer.flush(_SECONDS)
    return set(topics) - refused


def _reads_refused(kafka: Kafka, topics: list[str]) -> set[str]:
    """Return the topics that were not refused; one that a principal may not even look at is refused at once."""
    names = {topic_on_wire(PREFIX, topic) for topic in topics}
    consumer: Consumer = clients.reader(kafka)
    try:
        found = {name: consumer.list_topics(name, _SECONDS).topics[name].error for name in names}
        left = {name for name, error in found.items() if error is None or error.code() not in NOT_ALLOWED}
        answered: set[str] = set()
        consumer.assign([TopicPartition(name, 0, OFFSET_BEGINNING) for name in left])
        until = time.monotonic() + _SECONDS
        while left - answered and time.monotonic() < until:
            for message in consumer.consume(10, 0.1):
                error = message.error()
                if error is not None and error.code() in NOT_ALLOWED:
                    left.discard(message.topic())
                else:
                    answered.add(message.topic())
    finally:
        consumer.close()
    return left


def _groups_allowed(kafka: Kafka) -> set[str]:
    admin: Any = clients.administrator(kafka)  # must live until it has answered
    asked = admin.describe_consumer_groups([group_on_wire(PREFIX, group) for group in GROUPS], request_timeout=_SECONDS)
    allowed = set()
    for group in GROUPS:
        try:
            asked[group_on_wire(PREFIX, group)].result(_SECONDS)
            allowed.add(group)
        except KafkaException as error:
            assert error.args[0].code() in NOT_ALLOWED
    return allowed


def _slot_refused(kafka: Kafka, row: Access) -> bool:
    """Whether the transactions of another are refused: those of `detect`, for `detect` those of `notify`."""
    other = transactional_id(PREFIX, "notify" if row.principal == "detect" else "detect", "9")
    producer: Producer = clients.transactional_producer(kafka, other)
    try:
        producer.init_transactions(_SECONDS)
    except KafkaException as error:
        return error.args[0].code() in NOT_ALLOWED
    return False


def _wrong(town: Town, folder: Path) -> dict[str, tuple[Kafka, str]]:
    edge, stranger = town.hub("edge").kafka, Authority(folder)
    own = stranger.issue("admin")
    return {
        "wrong password": (
            edge.model_copy(update={"sasl_password": SecretStr("wrong")}),
            "does not know user town.edge with this password",
        ),
        "no TLS": (
            Kafka(bootstrap_servers=edge.bootstrap_servers),
            "Kafka speaks TLS there; expected SASL_SSL or SSL",
        ),
        "a foreign authority": (
            edge.model_copy(update={"ssl_ca_location": stranger.certificate}),
            "the certificate of Kafka is not signed by this authority",
        ),
        "a certificate of a foreign authority": (
            town.admin.model_copy(
                update={"ssl_certificate_location": own / "user.crt", "ssl_key_location": own / "user.key"}
            ),
            "Kafka does not trust who signed our certificate",
        ),
        "no certificate": (
            town.admin.model_copy(update={"ssl_certificate_location": None, "ssl_key_location": None}),
            "Kafka wants a client certificate there",
        ),
    }


def test_strangers_are_told_why(town: Town, tmp_path: Path) -> None:
    """Wrong password, no TLS, foreign authorities, no certificate: each is a sentence that names the setting."""
    for kafka, words in _wrong(town, tmp_path).values():
        with pytest.raises(BadSettings, match=r"^kafka\.") as caught:
            shake_hands(kafka)

        assert words in str(caught.value)
        assert "wrong" not in str(caught.value).replace("wrong version", "")


def test_a_process_with_a_wrong_password_does_not_start(town: Town, tmp_path: Path, capsys: Any) -> None:
    """It ends with code 2, and its command says the sentence; the password is nowhere."""
    shutil.copytree(town.credentials, tmp_path / "credentials")
    (tmp_path / "credentials/operator/password").write_text("geheim-maar-fout")
    settings = town.file.read_text().replace(str(town.credentials), str(tmp_path / "credentials"))
    other = town.file.with_name("wrong.yaml")
    other.write_text(settings)

    code = run(["partners", "list", "--config", str(other)])

    said = capsys.readouterr()
    assert code == 2
    assert "Kafka does not know user town.operator with this password" in said.err
    assert "geheim" not in said.out + said.err


def test_the_registry_is_spoken_to_over_tls_only(town: Town, tmp_path: Path) -> None:
    """Its certificate is checked against the authority of the settings."""
    settings = town.hub().registry
    foreign = settings.model_copy(update={"ssl_ca_location": Authority(tmp_path).certificate})

    assert Registry(settings).level() == "FULL_TRANSITIVE"
    with pytest.raises(BadSettings, match=r"registry\.ssl_ca_location"):
        Registry(foreign).level()


def test_a_registry_that_does_not_know_us_says_so(town: Town, tmp_path: Path, capsys: Any) -> None:
    """Schemas are not registered, no stage starts, no backup is taken: code 2, the sentence, and no password."""
    (tmp_path / "other").write_text("anders-geheim")
    other = town.file.with_name("stranger.yaml")
    other.write_text(town.file.read_text().replace("registry-password", str(tmp_path / "other")))
    stage = [sys.executable, "-m", "samenloop.cli", "run", "stream", "detect", "--config", str(other)]

    codes = [
        run([*words, "--config", str(other)]) for words in (["schemas", "register"], ["backup", str(tmp_path / "b")])
    ]
    ended = subprocess.run(stage, capture_output=True, text=True, timeout=120, check=False)

    said = capsys.readouterr()
    assert (codes, ended.returncode) == ([2, 2], 2)
    assert said.err.count("registry.username: the registry does not") == 2
    assert "registry.username: the registry does not know this user or password" in ended.stderr
    assert "geheim" not in said.out + said.err + ended.stdout + ended.stderr


def test_the_doctor_of_an_operator_is_told_everything(town: Town, capsys: Any) -> None:
    """Settings of topics and brokers, clock, disks, registry: the operator's rights are enough, and nothing is odd."""
    code = run(["doctor", "--json", "--config", str(town.file)])

    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    asked = ("kafka", "brokers", "transactions", "topics", "rights", "broker disk", "registry", "clock", "schemas")
    assert (code, {name: checks[name]["state"] for name in asked}) == (0, dict.fromkeys(asked, "ok"))
    assert "the broker's" in checks["clock"]["found"]


def test_a_refusal_of_the_registry_tells_the_time(town: Town) -> None:
    """Where the broker does not tell it: the front refuses who gives no password, and its answer has a date."""
    clock = doctor._clock(town.hub(), Said(None, ()))

    assert (clock.state, "the registry's" in clock.found) == ("ok", True)


@pytest.fixture
def access(town: Town, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., tuple[int, list[str]]]:
    """`samenloop access apply` as the super user, who signs in by certificate: its code and its lines."""
    shutil.copytree(town.stack.credentials("admin"), town.credentials / "admin", dirs_exist_ok=True)
    monkeypatch.setenv("SAMENLOOP_KAFKA__SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("SAMENLOOP_KAFKA__BOOTSTRAP_SERVERS", town.stack.admin_bootstrap)

    def apply(*words: str, config: Path = town.file) -> tuple[int, list[str]]:
        code = run(["access", "apply", *words, "--config", str(config)])
        return code, capsys.readouterr().out.splitlines()

    return apply


IN_ORDER = (0, ["Every principal has the rights it needs, and no other."])


def test_rights_and_users_are_brought_to_the_table(town: Town, access: Callable[..., tuple[int, list[str]]]) -> None:
    """What somebody took, gave or lost by hand is shown, code 1, and mended; then there is nothing to do."""
    authorizer = Authorizer(town.admin, accesses(SOURCES).values())
    taken = Right(Resource.TOPIC, "town.polls.v1", Operation.WRITE)
    given = Right(Resource.TOPIC, "town.partners.v1", Operation.READ)
    assert access("--check", "--users") == IN_ORDER
    authorizer.withdraw([binding_of(taken, f"User:town.source-{SOURCES[0]}")])
    authorizer.grant([binding_of(given, "User:town.probe")])
    (town.credentials / "probe" / "password").unlink()
    differ = [
        f"+ User:town.source-{SOURCES[0]}: write topic town.polls.v1",
        "- User:town.probe: read topic town.partners.v1",
    ]

    town.wait(lambda: access("--check") == (1, differ))
    assert access("--check", "--users") == (1, [*differ, "+ user town.probe"])
    code, lines = access("--users")

    assert (code, lines[:2]) == (0, differ)
    assert lines[2] == f"+ user town.probe, with the password in {town.credentials}/probe/password"
    town.wait(lambda: access("--check", "--users") == IN_ORDER)
    assert access("--users") == IN_ORDER
    town.wait(lambda: list(read_topic(town.hub("probe").kafka, "plan-states")) or True)


def test_a_source_of_other_settings_keeps_its_rights(town: Town, access: Callable[..., tuple[int, list[str]]]) -> None:
    """They are shown with a question mark; only `--prune` would withdraw them."""
    settings = yaml.safe_load(town.file.read_text())
    del settings["sources"][SOURCES[1]]
    fewer = town.file.with_name("fewer.yaml")
    fewer.write_text(yaml.safe_dump(settings))

    code, lines = access(config=fewer)
    pruned, gone = access("--check", "--prune", config=fewer)

    assert (code, pruned) == (0, 1)
    assert lines[0].startswith(f"? not in these settings, kept: User:town.source-{SOURCES[1]}: ")
    assert [line.partition("kept: ")[2] for line in lines] == [line.removeprefix("- ") for line in gone]
    assert access("--check") == IN_ORDER


def test_a_process_that_lacks_a_right_ends_and_says_so(town: Town) -> None:
    """It does not write the same again for ever: it ends with code 8, and an error that an operator sees."""
    authorizer, source = Authorizer(town.admin, accesses(SOURCES).values()), accesses(SOURCES)[f"source-{SOURCES[0]}"]
    polls = [right for right in rights(source, PREFIX) if right.name == topic_on_wire(PREFIX, "polls")]
    taken = [binding_of(right, f"User:{PREFIX}{source.principal}") for right in polls]
    command = [sys.executable, "-m", "samenloop.cli", "run", "source", SOURCES[0], "--config", str(town.file)]
    authorizer.withdraw(taken)
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    finally:
        authorizer.grant(taken)

    assert ended.returncode == 8, ended.stderr
    assert '"event":"kafka.not_allowed"' in ended.stderr


def test_everything_deleted_and_restored(town: Town, tmp_path: Path, capsys: Any) -> None:
    """Kafka and registry are gone and new; restored, every record is where it was, the hub verifies and goes on.

    Nothing that was told is told again, and a backup is refused by topics that are not new. When it goes on, the view
    on Faust and a source sign in by certificate, under the same principals.
    """
    command = lambda *words: run([*words, "--config", str(town.file)])  # noqa: E731
    backup = str(tmp_path / "backup")
    assert command("backup", backup) == 0
    before, finals, told = _everything(town), town.finals(), len(town.receiver.messages)
    assert command("restore", backup) == 2
    assert "is not new" in capsys.readouterr().err

    town.stack.stop()
    town.stack.start()
    town.settle()
    assert command("restore", backup) == 0

    assert _everything(town) == before
    assert read_backup(Path(backup)).records == sum(map(len, before.values()))
    with town.running(by_certificate={"stream health", f"source {SOURCES[0]}"}) as supervisor:
        town.wait(lambda: supervisor.ready)
        capsys.readouterr()
        assert command("verify", "--json") == 0
        assert json.loads(capsys.readouterr().out)["holds"] is True
        assert town.finals() == finals
        assert len(town.receiver.messages) == told
        for week in (3, 4, 6, 7):  # the third alone is no news to the municipality
            town.week(week)
        town.wait(lambda: len(town.finals()) > len(finals))
        health = supervisor.status["stream health"]
        town.wait(lambda: health.state == "ready")
        town.wait(lambda: len(list(read_topic(town.hub().kafka, "sources"))) > len(before["sources"]))
        assert sum(status.restarts for status in supervisor.status.values()) == 0
    assert set(town.finals().values()) == {1}


def _everything(town: Town) -> dict[str, list[Any]]:
    """All records; what stands twice counts once, as the first of a compacted partition may (see `layout.runs`)."""
    kafka = town.hub().kafka
    everything: dict[str, list[Any]] = {}
    for topic in TOPICS:
        records = sorted(read_topic(kafka, topic), key=lambda record: (record.partition, record.offset))
        rows = (
            (r.partition, r.offset if topic in EXACT else None, r.key, r.value, r.headers, r.timestamp_ms)
            for r in records
        )
        everything[topic] = list(dict.fromkeys(rows))
    return everything
