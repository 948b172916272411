"""The Kafka edge: the only place, beside the registry client, that knows confluent-kafka.

`run_stage` drives a stage; `Writer`, `Publisher` and `publish` write, `write_unless_changed` if nobody else did;
`read_topic` reads a topic whole, `Tail` follows
it; `apply_topics` makes topics.
"""

from samenloop.kafka.loop import run_stage
from samenloop.kafka.publisher import Publisher
from samenloop.kafka.reader import read_topic
from samenloop.kafka.tail import Tail
from samenloop.kafka.topics import apply_topics
from samenloop.kafka.unless_changed import write_unless_changed
from samenloop.kafka.writer import Writer, publish

__all__ = [
    "Publisher",
    "Tail",
    "Writer",
    "apply_topics",
    "publish",
    "read_topic",
    "run_stage",
    "write_unless_changed",
]
