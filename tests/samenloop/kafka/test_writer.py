"""Writing: a transaction counts whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samenloop.errors import Retry
from samenloop.kafka import Writer, publish, read_topic
from samenloop.kafka.exits import Exit
from samenloop.settings import Kafka
from samenloop.stage import Output

Hub = Any


def test_a_transaction_is_written_whole(hub: Hub) -> None:
    """Records of several topics become visible together, at the end of the block."""
    writer = Writer(hub.kafka, "w")
    with writer.transaction():
        for number in range(3):
            writer.write(Output("single", f"s{number}", b"1"))
        writer.write(Output("counts", "c", None, partition=2))
        assert list(read_topic(hub.kafka, "single")) == []

    assert [record.key for record in read_topic(hub.kafka, "single")] == ["s0", "s1", "s2"]
    assert [(record.key, record.partition) for record in read_topic(hub.kafka, "counts")] == [("c", 2)]


def test_a_block_that_raises_writes_nothing(hub: Hub) -> None:
    """What went wrong inside the block goes on its way, and nothing is on Kafka."""
    writer = Writer(hub.kafka, "w")

    with pytest.raises(KeyError), writer.transaction():
        writer.write(Output("single", "a", b"1"))
        raise KeyError("a")

    with writer.transaction():
        writer.write(Output("single", "b", b"1"))
    assert [record.key for record in read_topic(hub.kafka, "single")] == ["b"]


def test_writing_outside_a_transaction_is_a_mistake(hub: Hub) -> None:
    """`write` is only for inside the block, and blocks do not nest."""
    writer = Writer(hub.kafka, "w")

    with pytest.raises(RuntimeError):
        writer.write(Output("single", "a", b"1"))
    with writer.transaction(), pytest.raises(RuntimeError), writer.transaction():
        pass


def test_a_writer_that_was_replaced_ends_its_process(hub: Hub) -> None:
    """Two pollers of one source: the newer one works, the older one ends with code 4 and a sentence."""
    script = (
        "import sys; from samenloop.kafka import Writer; from samenloop.settings import Kafka;"
        "from samenloop.stage import Output; kafka = Kafka.model_validate_json(sys.argv[1]);"
        "old, new = Writer(kafka, 'w'), Writer(kafka, 'w');"
        "write = lambda w: (t := w.transaction(), t.__enter__(), w.write(Output('single', 'a', b'1')),"
        " t.__exit__(None, None, None));"
        "write(new); write(old)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, "-c", script, hub.kafka.model_dump_json()]

    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=90, check=False)

    assert ended.returncode == Exit.FENCED, ended.stderr
    assert "Give each process a slot of its own" in ended.stderr
    assert len(list(read_topic(hub.kafka, "single"))) == 1


def test_publishing_to_nobody_is_told() -> None:
    """A command that cannot write says so."""
    kafka = Kafka(bootstrap_servers="127.0.0.1:1")

    with pytest.raises(Retry, match=r"kafka\.unavailable"):
        publish(kafka, [Output("single", "a", b"1")])
