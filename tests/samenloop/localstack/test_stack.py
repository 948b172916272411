"""The local stack: a real Kafka and registry that are only here, and only while they are wanted."""

import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from samenloop.errors import BadSettings
from samenloop.localstack import LocalStack, ports

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def kept(local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack of this module's own: it is stopped, killed, started again; its first port is taken.

    An earlier start in its folder was cut off while the registry made its tables.
    """
    folder = tmp_path_factory.mktemp("kept")
    (folder / "local-stack.json").touch()
    (folder / "registry").mkdir()
    (folder / "registry" / "registry.mv.db").write_bytes(b"half a database")
    taken = int(local_stack.bootstrap.rpartition(":")[2])
    choices = iter([[taken, *ports.free_ports(3)], ports.free_ports(4)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("samenloop.localstack.stack.free_ports", lambda count, *, wanted=(): next(choices))
        stack = LocalStack(folder, keep=True, brief=True).start()
    yield stack
    stack.stop()


def test_everything_listens_on_loopback_only(local_stack: LocalStack) -> None:
    """No port of the stack, the registry's management port included, can be reached from another machine."""
    broker, registry = (_listening(pid) for pid in local_stack.pids)

    assert broker == ["127.0.0.1"] * 2
    assert registry == ["127.0.0.1"] * 2


def test_data_survive_a_restart_when_they_are_kept(kept: LocalStack) -> None:
    """Topics, records and schema ids are the same after stop and start, on the same addresses."""
    addresses = kept.bootstrap, kept.registry_url
    _write(kept, "kept.things", b"one")
    schema_id = _register(kept, "kept-value")
    kept.stop()

    kept.start()

    assert (kept.bootstrap, kept.registry_url) == addresses
    assert _read(kept, "kept.things") == [b"one"]
    assert _register(kept, "kept-value") == schema_id


def test_a_killed_broker_comes_back_after_ten_seconds(kept: LocalStack) -> None:
    """A lone broker that was killed waits out its session before it starts again; nothing acknowledged is lost."""
    _write(kept, "killed.things", b"two")
    began = time.monotonic()
    kept.stop_broker(kill=True)

    kept.start_broker()

    assert time.monotonic() - began >= 10
    assert _read(kept, "killed.things") == [b"two"]


def test_a_folder_serves_one_stack_at_a_time(kept: LocalStack) -> None:
    """A second stack on the same data is refused with a sentence."""
    folder = kept.logs.parent

    with pytest.raises(BadSettings, match="another local stack is running"):
        LocalStack(folder, keep=True).start()


def test_a_folder_with_other_files_is_left_alone(tmp_path: Path) -> None:
    """A data folder that holds something of somebody else is refused, and nothing in it is touched."""
    (tmp_path / "kafka").mkdir()
    (tmp_path / "kafka" / "letters.txt").write_text("dear aunt")

    with pytest.raises(BadSettings, match="holds other files"):
        LocalStack(tmp_path).start()

    assert (tmp_path / "kafka" / "letters.txt").read_text() == "dear aunt"


def test_a_taken_port_leads_to_another(kept: LocalStack, local_stack: LocalStack) -> None:
    """A port that was taken between choosing and starting costs a second try, not the start."""
    assert len(kept.pids) == 2
    assert kept.bootstrap != local_stack.bootstrap


OWNER = """
import signal, threading, time
from pathlib import Path
from samenloop.localstack import LocalStack
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell that runs the tests in its background ignores it
stack = LocalStack(Path({folder!r}), brief=True)
starting = threading.Thread(target=stack.start)   # a thread that has ended must not take the stack with it
starting.start(); starting.join(); time.sleep(0.5)
print(*stack.pids, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_the_owner(tmp_path: Path, number: signal.Signals) -> None:
    """Whatever ends the process that started the stack, kill -9 included, its programs end with it."""
    code = OWNER.format(folder=str(tmp_path / "data"))
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert owner.stdout is not None
    pids = [int(word) for word in owner.stdout.readline().split()]
    running_before = [_runs(pid) for pid in pids]

    owner.send_signal(number)
    owner.communicate(timeout=20)

    assert running_before == [True, True]
    assert _gone(pids)


def _listening(pid: int) -> list[str]:
    """IPv4 addresses on which *pid* listens, one for each port."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()]
    listening = [row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in sockets]
    return [".".join(str(byte) for byte in reversed(bytes.fromhex(address[-8:]))) for address in listening]


def _write(stack: LocalStack, topic: str, value: bytes) -> None:
    admin = AdminClient({"bootstrap.servers": stack.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    producer = Producer({"bootstrap.servers": stack.bootstrap, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(20) == 0


def _read(stack: LocalStack, topic: str) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "test", "enable.auto.commit": False})
    consumer.assign([TopicPartition(topic, 0, 0)])
    values = [message.value() for message in consumer.consume(1, 20)]
    consumer.close()
    return values


def _register(stack: LocalStack, subject: str) -> bytes:
    request = urllib.request.Request(
        f"{stack.registry_url}/subjects/{subject}/versions",
        data=b'{"schema": "\\"string\\""}',
        headers={"content-type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def _gone(pids: list[int]) -> bool:
    deadline = time.monotonic() + 10
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(_runs(pid) for pid in pids)
