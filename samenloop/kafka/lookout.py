"""Looks at groups at work, again and again: how far they are, since when what waits is there, and who works.

Joins none of them and commits nothing. Keeps its connections, so that a look every second costs little.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from samenloop.contract.topics import INTERNAL, TOPICS
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.groups import Lag
from samenloop.kafka.names import group_on_wire, topic_in_catalogue, topic_on_wire
from samenloop.kafka.reader import log_ends, partitions_of
from samenloop.kafka.records import Message
from samenloop.settings import Kafka

_ASK_SECONDS = 5.0
_READ_SECONDS = 0.5
_AT_ONCE = 200
_AWAY = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT)
_Place = tuple[str, int, int]
"""Topic by its name in the catalogue, partition, offset."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a group: its client id without the prefix, its host, and its partitions by topic."""

    client: str
    host: str
    partitions: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A lag, and the records behind it. *since_ms*: when the first that waits was written; None when none waits."""

    lag: Lag
    records: int
    since_ms: int | None


class Lookout:
    """Looks at *groups*: for each its inputs. Called from one thread; every call may raise Retry."""

    def __init__(self, kafka: Kafka, groups: Mapping[str, Sequence[str]]) -> None:
        self._kafka, self._groups = kafka, groups
        self._admin = clients.administrator(kafka)
        self._reader: Consumer = clients.reader(kafka)
        self._onlookers = {group: clients.onlooker(kafka, group_on_wire(kafka.prefix, group)) for group in groups}
        self._partitions = {
            topic: [TopicPartition(topic_on_wire(kafka.prefix, topic), number) for number in range(_count(topic))]
            for topic in sorted({topic for inputs in groups.values() for topic in inputs})
        }
        for partitions in self._partitions.values():  # asking tells the client where to fetch: 0.5 s sooner
            partitions_of(self._reader, partitions[0].topic)
        self._written: dict[_Place, int | None] = {}
        """When the first record behind a position was written, by topic, partition and offset; None: there is none."""
        self._ends: dict[_Place, int] = {}
        """The end of the partition when that was seen: what is empty may fill."""

    def close(self) -> None:
        """Give the connections back."""
        for consumer in (self._reader, *self._onlookers.values()):
            consumer.close()

    def lags(self) -> dict[str, list[Lag]]:
        """Return how far each group is in every partition of its inputs."""
        ends = {topic: log_ends(self._admin, partitions) for topic, partitions in self._partitions.items()}
        return {
            group: [
                Lag(group, topic, number, known if known >= 0 else None, ends[topic][number])
                for (topic, number), known in self._committed(group, inputs).items()
            ]
            for group, inputs in self._groups.items()
        }

    def waiting(self) -> dict[str, list[Waiting]]:
        """Return what really waits for each group: a transaction's end marker counts as an offset, but is no record."""
        lags = self.lags()
        self._read_behind([lag for found in lags.values() for lag in found])
        return {group: [self._waiting(lag) for lag in found] for group, found in lags.items()}

    def _waiting(self, lag: Lag) -> Waiting:
        since = self._written.get(_place(lag)) if lag.behind else None
        return Waiting(lag, lag.behind if since is not None else 0, since)

    def _read_behind(self, lags: Sequence[Lag]) -> None:
        """See to it that of every position it is known when the first record behind it was written."""
        behind = {_place(lag): lag for lag in lags if lag.behind and lag.committed is not None}
        self._written = {
            place: at
            for place, at in self._written.items()
            if place in behind and (at is not None or self._ends[place] == behind[place].end)
        }
        self._ends = {place: self._ends[place] for place in self._written}
        left = {place: lag for place, lag in behind.items() if place not in self._written}
        while left:
            at_once = {place[:2]: place for place in left}  # a partition is read from one position at a time
            self._written |= self._first_behind(list(at_once.values()))
            for place in at_once.values():
                self._ends[place] = left.pop(place).end

    def members(self) -> dict[str, list[Member]]:
        """Return who works in each group; a group that nobody ever joined has no members."""
        names = {group_on_wire(self._kafka.prefix, group): group for group in self._groups}
        try:
            asked = self._admin.describe_consumer_groups(list(names), request_timeout=_ASK_SECONDS)
            return {names[full_name]: self._described(future) for full_name, future in asked.items()}
        except (KafkaException, TimeoutError) as error:
            raise Retry("kafka.unavailable", f"groups could not be described: {error}") from error

    def _described(self, future: Any) -> list[Member]:
        try:
            return [self._member(member) for member in future.result(_ASK_SECONDS).members]
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                return []
            raise

    def _member(self, member: Any) -> Member:
        topics: dict[str, list[int]] = {}
        for partition in member.assignment.topic_partitions if member.assignment else ():
            name = topic_in_catalogue(self._kafka.prefix, partition.topic)
            topics.setdefault(name, []).append(partition.partition)
        client = member.client_id.removeprefix(self._kafka.prefix)
        return Member(client, member.host.lstrip("/"), {name: tuple(sorted(held)) for name, held in topics.items()})

    def _committed(self, group: str, inputs: Sequence[str]) -> dict[tuple[str, int], int]:
        wanted = [partition for topic in inputs for partition in self._partitions[topic]]
        try:
            answered = self._onlookers[group].committed(wanted, _ASK_SECONDS)
        except KafkaException as error:
            raise Retry("kafka.unavailable", f"the positions of {group} could not be read: {error}") from error
        refused = [str(one.error) for one in answered if one.error is not None]
        if refused:
            raise Retry("kafka.unavailable", f"the positions of {group} could not be read: {refused[0]}")
        return {(topic_in_catalogue(self._kafka.prefix, p.topic), p.partition): p.offset for p in answered}

    def _first_behind(self, places: Sequence[_Place]) -> dict[_Place, int | None]:
        """Read the first record at or behind each position; one that does not answer in time is left out."""
        prefix = self._kafka.prefix
        left = {(topic_on_wire(prefix, topic), number): (topic, number, offset) for topic, number, offset in places}
        self._reader.assign([TopicPartition(name, number, place[2]) for (name, number), place in left.items()])
        found: dict[_Place, int | None] = {}
        until = time.monotonic() + _READ_SECONDS
        while left and time.monotonic() < until:
            messages: list[Message] = self._reader.consume(_AT_ONCE, 0.05)
            for message in messages:
                place = left.get((message.topic(), message.partition()))
                if place is not None and _told(message):
                    found[place] = None if message.error() is not None else message.timestamp()[1]
                    del left[message.topic(), message.partition()]
        self._reader.unassign()
        return found


def _told(message: Message) -> bool:
    """Whether *message* says what is at a position: a record, or that there is none."""
    error: KafkaError | None = message.error()
    if error is None or error.code() == KafkaError._PARTITION_EOF:
        return True
    if error.code() not in _AWAY and not error.retriable():
        raise Retry("kafka.unavailable", error.str())
    return False


def _place(lag: Lag) -> _Place:
    return lag.topic, lag.partition, lag.committed or 0


def _count(topic: str) -> int:
    return {**TOPICS, **INTERNAL}[topic].partitions
