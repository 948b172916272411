"""The Kafka edge: the only place, beside the registry client, that knows confluent-kafka.

`run_stage` drives a stage; `Writer` and `publish` write; `read_topic` reads a topic whole; `apply_topics` makes topics.
"""

from samenloop.kafka.loop import run_stage
from samenloop.kafka.reader import read_topic
from samenloop.kafka.topics import apply_topics
from samenloop.kafka.writer import Writer, publish

__all__ = ["Writer", "apply_topics", "publish", "read_topic", "run_stage"]
