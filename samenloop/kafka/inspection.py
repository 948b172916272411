"""Looks at a cluster without changing it: brokers, topics that differ, what a principal may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from samenloop.contract.topics import INTERNAL, TOPICS, Topic
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.groups import committed_offsets
from samenloop.kafka.names import group_on_wire
from samenloop.kafka.topics import inputs_of_groups, settings_that_differ
from samenloop.settings import Kafka

_ASK_SECONDS = 10.0
_APPLY = "samenloop topics apply"
_WANTED: Mapping[str, str] = {
    "auto.create.topics.enable": "false",
    "unclean.leader.election.enable": "false",
    "offsets.retention.minutes": "43200",
}
"""Settings of every broker that the hub counts on; numbers are the least that will do."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Brokers by number with the address they advertise, and settings with what is wanted in their place.

    *unwanted* None: this principal may not look at the brokers' settings.
    """

    brokers: Sequence[tuple[int, str, int]]
    unwanted: Sequence[tuple[str, str, str]] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as wanted. *grave*: something does not work because of it."""

    words: str
    mend: str
    grave: bool = False


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a principal may do with each topic and group, in Kafka's words; nothing where it may not even look."""

    topics: Mapping[str, frozenset[str]]
    groups: Mapping[str, frozenset[str]]

    def count(self, operation: str) -> int:
        """Return with how many topics it may do so."""
        return sum(operation in operations for operations in self.topics.values())


def cluster(kafka: Kafka) -> Cluster:
    """Return the brokers of a cluster. Raises Retry when it does not answer in the way the settings say."""
    admin = clients.administrator(kafka)
    try:
        found = sorted(admin.list_topics(timeout=_ASK_SECONDS).brokers.items())
    except KafkaException as error:
        raise Retry("kafka.unavailable", error.args[0].str()) from error
    brokers = [(number, str(broker.host), broker.port) for number, broker in found]
    return Cluster(brokers, _unwanted(admin, found[0][0]))


def differences(kafka: Kafka) -> list[Difference]:
    """Return what `topics apply` would do, and what it cannot do. Raises Retry."""
    admin = clients.administrator(kafka)
    wanted = {topic.full_name(kafka.prefix): topic for topic in {**TOPICS, **INTERNAL}.values()}
    try:
        there = admin.list_topics(timeout=_ASK_SECONDS).topics
        present = {name: topic for name, topic in wanted.items() if name in there}
        found = [Difference(f"{name}: is missing", _APPLY, grave=True) for name in wanted if name not in there]
        found += [diff for name, topic in present.items() for diff in _shape(there[name], topic, kafka)]
        found += [
            Difference(f"{name}: {key} is {value}, wanted {other}", _APPLY)
            for name, key, value, other in settings_that_differ(admin, present)
        ]
        if len(present) == len(wanted):
            found += _positions(kafka)
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"topics could not be described: {error}") from error
    strange = sorted(name for name in there if kafka.prefix and name.startswith(kafka.prefix) and name not in wanted)
    return found + [Difference(f"{name}: is no topic of this hub", "is it of an older version?") for name in strange]


def allowed(kafka: Kafka) -> Allowed:
    """Return what this principal may do with the hub's topics and groups. Raises Retry."""
    admin = clients.administrator(kafka)
    names = {topic.full_name(kafka.prefix): topic.name for topic in TOPICS.values()}
    groups = {group_on_wire(kafka.prefix, group): group for group in inputs_of_groups()}
    try:
        described = admin.describe_topics(
            TopicCollection(list(names)), include_authorized_operations=True, request_timeout=_ASK_SECONDS
        )
        topics = {names[name]: _operations(future) for name, future in described.items()}
        asked = admin.describe_consumer_groups(
            list(groups), include_authorized_operations=True, request_timeout=_ASK_SECONDS
        )
        return Allowed(topics, {groups[name]: _operations(future) for name, future in asked.items()})
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"rights could not be asked: {error}") from error


def _operations(future: Any) -> frozenset[str]:
    try:
        return frozenset(one.name for one in future.result(_ASK_SECONDS).authorized_operations or ())
    except KafkaException:
        return frozenset()


def _unwanted(admin: AdminClient, broker: int) -> list[tuple[str, str, str]] | None:
    try:
        (future,) = admin.describe_configs([ConfigResource(ResourceType.BROKER, str(broker))]).values()
        current: Any = future.result(_ASK_SECONDS)
    except (KafkaException, TimeoutError):
        return None
    values = {name: str(current[name].value) for name in _WANTED if name in current}
    return [(name, value, _WANTED[name]) for name, value in values.items() if not _suffices(value, _WANTED[name])]


def _suffices(value: str, wanted: str) -> bool:
    return int(value) >= int(wanted) if wanted.isdigit() and value.isdigit() else value == wanted


def _shape(there: Any, topic: Topic, kafka: Kafka) -> list[Difference]:
    name, found = topic.full_name(kafka.prefix), len(there.partitions)
    said = []
    if found != topic.partitions:
        words = f"{name}: has {found} partitions, wanted {topic.partitions}; keys would move"
        said.append(Difference(words, "use another kafka.prefix, or make the topic anew", grave=True))
    copies = min((len(partition.replicas) for partition in there.partitions.values()), default=0)
    if copies < kafka.replication_factor:
        words = f"{name}: is kept {copies} times, wanted {kafka.replication_factor}"
        said.append(Difference(words, "kafka-reassign-partitions.sh"))
    short = sum(len(partition.isrs) < len(partition.replicas) for partition in there.partitions.values())
    if short:
        said.append(
            Difference(f"{name}: {short} partitions lack an up-to-date copy", "is a broker down, or its disk full?")
        )
    return said


def _positions(kafka: Kafka) -> list[Difference]:
    """A group without a position does not start: nothing is read from a place that nobody chose."""
    found = []
    for group, inputs in inputs_of_groups().items():
        topics = [{**TOPICS, **INTERNAL}[name] for name in inputs]
        partitions = [
            TopicPartition(topic.full_name(kafka.prefix), number)
            for topic in topics
            for number in range(topic.partitions)
        ]
        known = committed_offsets(kafka, group_on_wire(kafka.prefix, group), partitions)
        if lacking := sum(offset < 0 for offset in known.values()):
            words = f"group {group}: has no position in {lacking} partitions, so it will not start"
            found.append(Difference(words, f"stop its workers, then {_APPLY}", grave=True))
    return found
