"""Commands against a real Kafka and registry, and against ones that are not there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourceType

from samenloop.cli.tree import run
from samenloop.contract import Codec, Envelope, dead_letter
from samenloop.errors import Held
from samenloop.kafka import clients, publish
from samenloop.localstack import LocalStack
from samenloop.model import DeadReason, PollOutcome
from samenloop.receiver import Receiver
from samenloop.settings import load_hub
from samenloop.source_account import poll_of, poll_output
from samenloop.stage import Output, Record

Samenloop = Callable[..., tuple[int, str, str]]
OIN = "00000099000000001001"


@pytest.fixture(scope="module")
def hub_file(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A settings file of its own prefix, with topics and schemas."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "master.key").write_bytes(secrets.token_bytes(32))
    path = folder / "hub.yaml"
    path.write_text(
        f"kafka: {{bootstrap_servers: '{local_stack.bootstrap}', prefix: 'cli-{secrets.token_hex(4)}.'}}\n"
        f"registry: {{url: '{local_stack.registry_url}'}}\n"
        "delivery: {master_key_file: master.key, allow_http: true, allow_destinations: [127.0.0.0/8]}\n"
    )
    assert run(["schemas", "register", "--config", str(path)]) == 0
    assert run(["topics", "apply", "--config", str(path)]) == 0
    return path


@pytest.fixture
def samenloop(hub_file: Path, capsys: pytest.CaptureFixture[str]) -> Samenloop:
    """Run a command with the settings file; returns exit code, stdout, stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run([*arguments, "--config", str(hub_file)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("partners list", "Nobody takes part yet."),
        ("subscriptions list", "Nobody is subscribed yet."),
        ("dead-letters list", "No record was set aside."),
        ("source list", "No source is configured."),
    ],
)
def test_nothing_is_said_in_words(samenloop: Samenloop, words: str, said: str) -> None:
    """An empty list is a sentence for a person and an empty list for a machine."""
    code, out, err = samenloop(*words.split())

    assert (code, err) == (0, "")
    assert out.startswith(said)
    assert json.loads(samenloop(*words.split(), "--json")[1]) == []


def test_topics_and_schemas_are_there_the_second_time(samenloop: Samenloop) -> None:
    """Applying and registering again changes nothing, and says so."""
    first = samenloop("schemas", "register")
    code, out, _ = samenloop("topics", "apply")

    assert (first[0], code) == (0, 0)
    assert samenloop("schemas", "register")[1] == first[1]
    assert out == "Every topic exists with the settings it should have.\n"
    assert samenloop("schemas", "check", "--registry")[0] == 0


def test_partners_come_and_go(samenloop: Samenloop) -> None:
    """The key is shown once; the list never shows it, nor its hash."""
    code, out, _ = samenloop("partners", "add", OIN, "Gemeente Aalburg", "--json")
    listed = samenloop("partners", "list")[1]
    twice = samenloop("partners", "add", OIN, "Gemeente Aalburg")
    samenloop("partners", "revoke", OIN)

    added = json.loads(out)
    assert (code, added["oin"], added["status"]) == (0, OIN, "ACTIVE")
    assert len(added["api_key"]) > 40
    assert "Gemeente Aalburg" in listed
    assert added["api_key"] not in listed
    assert twice[0] == 2
    assert "is a partner already" in twice[2]
    assert "REVOKED" in samenloop("partners", "list")[1]


def test_keys_come_and_go(samenloop: Samenloop) -> None:
    """A key is made with its scopes, listed without its text, and ended by its name; a mandate is said and unsaid."""
    oin = "00000099000000001005"
    samenloop("partners", "add", oin, "Gemeente Aalburg")
    made = json.loads(
        samenloop("partners", "key", "add", oin, "--scope", "plans:write", "--scope", "read", "--json")[1]
    )
    listed = json.loads(samenloop("partners", "key", "list", oin, "--json")[1])
    shown = samenloop("partners", "key", "list", oin)[1]
    ended = samenloop("partners", "key", "revoke", oin, made["key"])
    again = samenloop("partners", "key", "revoke", oin, made["key"])
    mandated = samenloop("partners", "mandate", oin, "any")[1]

    assert made["scopes"] == ["plans:write", "read"]
    assert [key["scopes"] for key in listed][1] == made["scopes"]
    assert made["api_key"] not in shown
    assert (ended[0], again[0]) == (0, 2)
    assert len(json.loads(samenloop("partners", "key", "list", oin, "--json")[1])) == 1
    assert "itself, any" in mandated
    assert samenloop("partners", "mandate", oin)[1].endswith("may send plans of itself.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["partners", "key", "add", "00000099000000001009"], "is not a partner"),
        (["partners", "key", "add", "00000099000000001005", "--scope", "all"], "--scope: found 'all', expected one of"),
        (["partners", "key", "revoke", "00000099000000001005", "ab"], "names none of the keys"),
        (["partners", "mandate", "00000099000000001005", "x"], "oin: found 'x'"),
    ],
)
def test_keys_that_cannot_be(samenloop: Samenloop, arguments: list[str], words: str) -> None:
    """A mistake is one line with exit code 2."""
    samenloop("partners", "add", "00000099000000001005", "Gemeente Aalburg")
    code, _, err = samenloop(*arguments)

    assert code == 2
    assert words in err


def test_partners_that_cannot_be(samenloop: Samenloop) -> None:
    """A wrong number or an unknown partner is one line, not a traceback."""
    for arguments in (("partners", "add", "123", "X"), ("partners", "revoke", "00000099000000001009")):
        code, _, err = samenloop(*arguments)

        assert code == 2
        assert err.startswith("oin: ")


def test_subscriptions_begin_and_end(samenloop: Samenloop, tmp_path: Path) -> None:
    """A subscription is made from a file or from options, shows its secret, and ends."""
    partner = "00000099000000001002"
    samenloop("partners", "add", partner, "Waterschap De Wetering")
    wish = tmp_path / "wish.yaml"
    wish.write_text(f"subscriber: '{partner}'\nsink: http://127.0.0.1:9/hook\nabout: [conflicts]\n")
    code, out, _ = samenloop("subscriptions", "add", str(wish), "--by-agreement", "--json")
    by_options = samenloop(
        "subscriptions", "add", "--subscriber", partner, "--sink", "http://127.0.0.1:9/b",
        "--bbox", "180000", "433000", "182000", "435000", "--crs", "EPSG:28992", "--about", "conflicts",
        "--by-agreement",
    )  # fmt: skip
    ended = samenloop("subscriptions", "end", json.loads(out)["id"])

    assert (code, by_options[0], ended[0]) == (0, 0, 0)
    assert json.loads(out)["secret"].startswith("whsec_")
    listed = samenloop("subscriptions", "list")[1]
    assert "ended" in listed
    assert "active" in listed
    assert "whsec_" not in listed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--subscriber", OIN], "sink: is missing"),
        (["--subscriber", "x", "--sink", "https://a.example/"], "subscriber: found 'x'"),
        (["--subscriber", OIN, "--sink", "https://a.example/", "--crs", "EPSG:28992"], "--crs: is the CRS of --bbox"),
        (["--subscriber", OIN, "--sink", "https://a.example/", "--about", "all"], "about.0: found 'all'"),
        (["gone.yaml"], "gone.yaml: cannot be read"),
        (["gone.yaml", "--sink", "https://a.example/"], "expected one or the other"),
    ],
)
def test_subscriptions_that_cannot_be(samenloop: Samenloop, arguments: list[str], words: str) -> None:
    """Every mistake is named, with exit code 2, and nothing is written."""
    code, _, err = samenloop("subscriptions", "add", *arguments)

    assert code == 2
    assert words in err


def test_dead_letters_are_listed_and_shown(samenloop: Samenloop, hub_file: Path) -> None:
    """What was set aside is found by source, code, topic and age, and shown with its reason and original bytes."""
    hub = load_hub(hub_file, {})
    codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix)
    record = Record("plan-changes", 3, 7, "plan-1", b"\x00\xffnot avro", (("ce_id", b"1"),), 0)
    letter = dead_letter(
        record, reason=DeadReason.SCHEMA, code="schema.framing", detail="the value has no registry id",
        stage="consolidate", now=datetime.now(UTC),
    )  # fmt: skip
    envelope = Envelope(
        id=str(letter.id), source="urn:x", type="nl.samenloop.dead-letter.v1", time=letter.failed_at,
        subject="plan-1", partitionkey="plan-1", correlationid="1",
    )  # fmt: skip
    value = codec.encode("dead-letters", letter)
    publish(hub.kafka, [Output("dead-letters", "plan-1", value, codec.headers("dead-letters", envelope))])

    listed = samenloop("dead-letters", "list", "--source", "consolidate", "--code", "schema", "--since", "1h")
    shown = samenloop("dead-letters", "show", str(letter.id)[:8])

    assert str(letter.id)[:8] in listed[1]
    assert "the value has no registry id" in listed[1]
    assert samenloop("dead-letters", "list", "--topic", "alerts")[1] == "No such record was set aside.\n"
    assert "plan-changes partition 3 offset 7" in shown[1]
    assert "00 ff 6e 6f 74" in shown[1]
    assert json.loads(samenloop("dead-letters", "list", "--json")[1])[0]["code"] == "schema.framing"
    assert samenloop("dead-letters", "show", "zzzz")[0] == 1


def test_a_wrong_age_is_2(samenloop: Samenloop) -> None:
    """`--since` takes a date or an age, and says so."""
    code, _, err = samenloop("dead-letters", "list", "--since", "yesterday")

    assert code == 2
    assert "expected a date such as 2027-01-31 or an age such as 24h" in err


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        (["topics", "apply"], "127.0.0.1:1"),
        (["schemas", "register"], "http://127.0.0.1:2/apis"),
        (["partners", "list"], "http://127.0.0.1:2/apis"),
        (["up"], "127.0.0.1:"),
    ],
)
def test_what_does_not_answer_is_told_with_its_address(
    arguments: list[str], address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Kafka or registry that is away is one sentence that says where and what to do; exit code 1."""
    path = tmp_path / "hub.yaml"
    path.write_text("kafka: {bootstrap_servers: '127.0.0.1:1'}\nregistry: {url: 'http://127.0.0.1:2/apis'}\n")

    code = run([*arguments, "--config", str(path)])

    said = capsys.readouterr().err
    assert code == 1
    assert address in said
    assert "Traceback" not in said


def test_a_subscription_begins_with_the_consent_of_its_sink(samenloop: Samenloop) -> None:
    """A sink that does not consent leaves it requested, exit code 1; `resume` asks again; then the other steps."""
    partner = "00000099000000001004"
    samenloop("partners", "add", partner, "Netbeheerder")
    with Receiver() as receiver:
        receiver.consent = None
        arguments = ("subscriptions", "add", "--subscriber", partner, "--sink", receiver.url, "--json")
        refused, out, _ = samenloop(*arguments)
        begun = json.loads(out)
        again = samenloop("subscriptions", "resume", begun["id"])
        too_soon = samenloop("subscriptions", "test", begun["id"])
        receiver.consent = ""
        resumed = samenloop("subscriptions", "resume", begun["id"])
        codes = [samenloop("subscriptions", step, begun["id"])[0] for step in ("test", "pause")]
        rotated = samenloop("subscriptions", "rotate", begun["id"], "--json")

    assert (refused, begun["status"], begun["status_reason"]) == (1, "REQUESTED", "handshake-refused")
    assert (again[0], too_soon[0], resumed[0], codes) == (1, 2, 0, [0, 0])
    assert "WebHook-Allowed-Origin" in again[1]
    assert "is requested, expected one that is active to test it" in too_soon[2]
    assert json.loads(rotated[1])["secret"] != begun["secret"]


def test_a_hub_is_seen_from_outside(samenloop: Samenloop, hub_file: Path) -> None:
    """`status` tells from Kafka alone what waits and since when, who works, how sources are polled, what is open."""
    hub = load_hub(hub_file, {})
    codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix)
    poll = poll_of("town", "file-snapshots", datetime.now(UTC), PollOutcome.HELD, error=Held("snapshot.shrunk", "less"))
    publish(
        hub.kafka,
        [
            poll_output(codec, poll, hub_urn="urn:x", system="urn:y"),
            Output("plan-changes", "p", b"not read by anybody here", ()),
        ],
    )
    worker = clients.member(hub.kafka, f"{hub.kafka.prefix}detect", f"{hub.kafka.prefix}detect-0")
    worker.subscribe([f"{hub.kafka.prefix}plan-regions.v1"])
    try:
        while not worker.assignment():
            worker.poll(0.1)
        code, out, _ = samenloop("status", "--json")
        told = samenloop("status", "--once")[1]
    finally:
        worker.close()
    seen = json.loads(out)
    stages = {stage["stage"]: stage for stage in seen["stages"]}

    assert (code, seen["complete"], seen["kafka"]) == (0, True, hub.kafka.bootstrap_servers)
    assert [worker["name"] for worker in stages["detect"]["workers"]] == ["detect-0"]
    assert stages["detect"]["workers"][0]["partitions"] == [0]
    assert stages["detect"]["unowned_partitions"] == 0
    assert (stages["consolidate"]["waiting"], stages["consolidate"]["workers"]) == (1, [])
    assert stages["consolidate"]["oldest_at"] is not None
    assert [(source["source"], source["state"], source["error_code"]) for source in seen["sources"]] == [
        ("town", "PAUSED", "snapshot.shrunk")
    ]
    assert {"stage.nobody", "source.held"} <= {one["code"] for one in seen["concerns"]}
    assert "samenloop source release town" in told


def test_the_doctor_finds_what_differs(samenloop: Samenloop, hub_file: Path) -> None:
    """A hub at work is well; a setting that somebody changed and a topic that is not ours are a line each, with what
    mends it.
    """
    hub = load_hub(hub_file, {})
    well = {one["name"]: one for one in json.loads(samenloop("doctor", "--json")[1])}
    admin, topic = clients.administrator(hub.kafka), f"{hub.kafka.prefix}polls.v1"
    change = ConfigEntry("retention.ms", "1000", incremental_operation=AlterConfigOpType.SET)
    (altered,) = admin.incremental_alter_configs(
        [ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])]
    ).values()
    altered.result(10)
    (made,) = admin.create_topics([NewTopic(f"{hub.kafka.prefix}strange.v1", 1, 1)]).values()
    made.result(10)
    code, out, _ = samenloop("doctor", "--json")
    told = [one for one in json.loads(out) if one["name"] == "topics"]
    samenloop("topics", "apply")
    admin.delete_topics([f"{hub.kafka.prefix}strange.v1"])

    assert {name for name, one in well.items() if one["state"] == "fail"} == set()
    assert (well["topics"]["state"], well["schemas"]["state"], well["transactions"]["state"]) == ("ok", "ok", "ok")
    assert "the broker's" in well["clock"]["found"]
    assert "read 17 and write 17 of 17 topics, look at 5 of 5 groups" in well["rights"]["found"]
    assert code == 0
    assert [(one["state"], one["mend"]) for one in told] == [
        ("warn", "samenloop topics apply"),
        ("warn", "is it of an older version?"),
    ]
    assert "retention.ms is 1000, wanted" in told[0]["found"]


def test_the_doctor_bounds_what_it_says(hub_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hub without topics and schemas fails with ten lines of each, and the command that makes them."""
    path = tmp_path / "empty.yaml"
    path.write_text(hub_file.read_text().replace("prefix: 'cli-", "prefix: 'none-"))
    capsys.readouterr()

    code = run(["doctor", "--config", str(path), "--json"])

    said = json.loads(capsys.readouterr().out)
    topics = [one for one in said if one["name"] == "topics"]
    schemas = [one for one in said if one["name"] == "schemas"]
    assert code == 1
    assert (len(topics), len(schemas)) == (10, 10)
    assert {one["mend"] for one in topics} == {"samenloop topics apply"}
    assert {one["mend"] for one in schemas} == {"samenloop schemas register"}
    assert "more of that kind" in topics[-1]["found"]
