"""The follower on the real broker: committed records only, resumed where it stood, made anew when in doubt."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from edge.read_model import Follower, News, ReadModel
from edge.read_model.follower import FOLLOWED
from samenloop.contract import TOPICS, Codec
from samenloop.kafka import Writer, apply_topics, publish
from samenloop.kafka.clients import administrator
from samenloop.localstack import LocalStack
from samenloop.model import Visibility
from samenloop.settings import Kafka
from samenloop.stage import Output, Record
from samenloop.visibility import PUBLIC
from tests.edge.read_model.conftest import HUB, MUNICIPALITY, NETWORK, RD, Log, make_plan, partner


class Edge:
    """Topics of its own on the broker, a file, and followers that come and go."""

    def __init__(self, kafka: Kafka, path: Path, log: Log) -> None:
        self.kafka, self.path, self.log = kafka, path, log
        self.news = News()
        self.model = ReadModel(path, metric_crs=RD, news=self.news)
        self._stop, self._thread = threading.Event(), threading.Thread()
        self.failed: list[BaseException] = []

    def start(self) -> Follower:
        """Start a follower and wait until it has caught up."""
        follower = Follower(self.kafka, Codec.offline(), self.path, source=HUB, metric_crs=RD, news=self.news)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(follower, self._stop), daemon=True)
        self._thread.start()
        self.until(follower.caught_up)
        return follower

    def _run(self, follower: Follower, stop: threading.Event) -> None:
        try:
            follower.run(stop)
        except BaseException as error:
            self.failed.append(error)
            raise

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def until(self, done: Callable[[], object], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert not self.failed
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.05)

    def send(self, *records: Record) -> None:
        """Write records to the broker, which gives them places of its own."""
        publish(self.kafka, [output(record) for record in records])
        self.log.pending.clear()

    def titles(self) -> list[str]:
        found = self.model.items("plans", partner(NETWORK), limit=1000).items
        return sorted(item.id.rpartition(":")[2] for item in found)


def output(record: Record) -> Output:
    return Output(record.topic, record.key, record.value, record.headers)


@pytest.fixture
def edge(local_stack: LocalStack, tmp_path: Path, log: Log) -> Iterator[Edge]:
    """An edge whose topics are empty."""
    kafka = Kafka(bootstrap_servers=local_stack.bootstrap, prefix=f"e{uuid4().hex[:8]}.")
    apply_topics(kafka, {name: TOPICS[name] for name in FOLLOWED}, {})
    made = Edge(kafka, tmp_path / "edge" / "read-model.sqlite", log)
    yield made
    made.stop()
    made.model.close()


def test_it_follows_resumes_and_forgets(edge: Edge) -> None:
    """Rows come as records do, a restart goes on where it stood, and a null value removes."""
    a, b = make_plan("A"), make_plan("B")
    edge.send(edge.log.plan(a), edge.log.plan(b))
    edge.start()
    assert edge.titles() == ["A", "B"]
    cursor = edge.model.cursor(partner(NETWORK))
    seen = edge.news.number
    edge.stop()

    edge.send(edge.log.removed(a.id), edge.log.plan(make_plan("C")))
    inode = edge.path.stat().st_ino
    edge.start()
    edge.until(lambda: edge.titles() == ["B", "C"])

    assert edge.path.stat().st_ino == inode
    assert edge.news.wait(seen, 5) > seen
    events = b"".join(edge.model.changes(partner(NETWORK), after=cursor).events)
    assert events.count(b"nl.samenloop.plan-removed.v1") == 1
    assert events.count(b"nl.samenloop.plan-state-changed.v1") == 1


def test_what_was_never_committed_is_never_shown(edge: Edge) -> None:
    """Records of an aborted transaction are skipped, and the follower is ready although no record follows them."""
    writer = Writer(edge.kafka, "w")
    with writer.transaction():
        writer.write(output(edge.log.plan(make_plan("kept"))))
    dropped = output(edge.log.plan(make_plan("dropped", visibility=Visibility.PUBLIC)))
    producer = writer._transactions._producer
    producer.begin_transaction()
    producer.produce(f"{edge.kafka.prefix}plan-states.v1", dropped.value, dropped.key, headers=list(dropped.headers))
    producer.flush(5)
    producer.abort_transaction()
    edge.start()

    assert edge.titles() == ["kept"]
    assert edge.model.items("plans", PUBLIC).items == []
    edge.send(edge.log.plan(make_plan("later")))
    edge.until(lambda: edge.titles() == ["kept", "later"])


def _another_layout(edge: Edge) -> None:
    with sqlite3.connect(edge.path) as db:
        db.execute("update facts set value = 'another' where name = 'layout'")
    db.close()


def _no_file(edge: Edge) -> None:
    edge.path.unlink()


def _no_database(edge: Edge) -> None:
    for path in edge.path.parent.iterdir():
        path.unlink()
    edge.path.write_bytes(b"this is no database at all" * 100)


def _away_for_long(edge: Edge) -> None:
    with sqlite3.connect(edge.path) as db:
        db.execute("update facts set value = value - 30 * 86400 where name = 'written'")
    db.close()


def _position_gone(edge: Edge) -> None:
    with sqlite3.connect(edge.path) as db:
        db.execute("update positions set position = 1000000 where topic = 'plan-states' and partition = 3")
    db.close()


def _topics_anew(edge: Edge) -> None:
    admin, prefix = administrator(edge.kafka), edge.kafka.prefix
    for future in admin.delete_topics([f"{prefix}{name}.v1" for name in FOLLOWED]).values():
        future.result(20)
    time.sleep(1)
    apply_topics(edge.kafka, {name: TOPICS[name] for name in FOLLOWED}, {})
    edge.send(*(edge.log.plan(make_plan(name)) for name in ("A", "B")))


@pytest.mark.parametrize(
    "trouble", [_another_layout, _no_file, _no_database, _away_for_long, _position_gone, _topics_anew]
)
def test_it_is_made_anew(edge: Edge, trouble: Callable[[Edge], None]) -> None:
    """Whatever makes the file unfit to go on with, the answer afterwards is that of the topics."""
    edge.send(edge.log.plan(make_plan("A")), edge.log.plan(make_plan("B")), edge.log.plan(make_plan("gone")))
    edge.send(edge.log.removed(make_plan("gone").id))
    edge.start()
    edge.stop()
    with sqlite3.connect(edge.path) as db:  # a row that only a file made anew lacks
        db.execute("update plans set level = 1, owner = 'nobody' where id like '%:A'")
    db.close()
    assert edge.titles() == ["B"]

    trouble(edge)
    edge.start()

    edge.until(lambda: edge.titles() == ["A", "B"])
    assert [item.revision is not None for item in edge.model.items("plans", partner(MUNICIPALITY)).items] == [True] * 2
