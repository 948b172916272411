"""What Kafka says of every log and every group, asked from outside: for the lag exporter.

No group is ever joined and nothing is committed. A round asks a bounded number of things: three offsets of every
partition in one request each, the positions of each group, its workers, and the timestamp of the first record that a
group has not read, for those partitions where it is not known yet.

Topics that are written in transactions end in a marker, which is an offset and no record. Whether there is a record
behind a group's position is therefore found out by reading there: a group that is done has a lag of 0, however many
markers follow.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from samenloop.contract.topics import Topic
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import group_on_wire, topic_in_catalogue, topic_on_wire
from samenloop.kafka.reader import NO_LEADER_YET
from samenloop.kafka.records import Message
from samenloop.settings import Kafka
from samenloop.stage import Partition

_OffsetSpec: Any = OffsetSpec  # its methods have no types
_ASK_SECONDS = 5.0
_READ_SECONDS = 5.0
"""How long a round reads for timestamps; what was not reached keeps the timestamp it had."""
_AT_ONCE = 100
_FETCH_BYTES = 16_384
_Read = tuple[Partition, int]


@dataclass(frozen=True, slots=True)
class Log:
    """One partition: its first offset, up to where transactions have ended, and its end."""

    start: int
    stable: int
    end: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a group is in one partition: *records* behind, the oldest of them written at *oldest* (seconds).

    *committed* None: it has no position. *oldest* None: nothing is left to read, or it was not found out in time.
    """

    committed: int | None
    records: int
    oldest: float | None


@dataclass(frozen=True, slots=True)
class Members:
    """Who works in a group: how many workers, and how many partitions of its lead topic nobody holds."""

    workers: int
    unowned: int


@dataclass(slots=True)
class Sight:
    """One round: every log, every reading by group and partition, the workers of every group."""

    logs: dict[Partition, Log] = field(default_factory=dict)
    readings: dict[tuple[str, Partition], Reading] = field(default_factory=dict)
    members: dict[str, Members] = field(default_factory=dict)


class Survey:
    """Asks about *topics* and about *groups*, the inputs of each by its name; called from one thread."""

    def __init__(self, kafka: Kafka, topics: Collection[Topic], groups: Mapping[str, Sequence[str]]) -> None:
        self._kafka, self._prefix, self._topics, self._groups = kafka, kafka.prefix, topics, groups
        self._admin = clients.administrator(kafka)
        self._onlookers = {name: clients.onlooker(kafka, group_on_wire(kafka.prefix, name)) for name in groups}
        self._committed_only = clients.reader(kafka, fetch_bytes=_FETCH_BYTES)
        self._all = clients.reader(kafka, committed_only=False, fetch_bytes=_FETCH_BYTES)
        self._first: dict[_Read, tuple[int, float | None]] = {}
        """When the first record at or after a position was written, None: there was none up to so far an end."""
        self._kept_back: set[_Read] = set()
        """Where only an open transaction follows: it may still be aborted, so what is there is asked for anew."""

    def look(self) -> Sight:
        """Ask everything once; a topic that is missing and a partition without a leader are left out.

        Raises Retry when Kafka does not answer.
        """
        try:
            logs = self._logs()
            committed = {group: self._committed(group, inputs, logs) for group, inputs in self._groups.items()}
            members = {group: self._members(group, inputs) for group, inputs in self._groups.items()}
        except (KafkaException, TimeoutError) as error:
            # An administrator goes on with leaders as they were before a broker's restart, for ever.
            self._admin = clients.administrator(self._kafka)
            raise Retry("kafka.unavailable", f"Kafka could not be asked how far groups are: {error}") from error
        behind = {
            (place, max(offset or 0, logs[place].start))
            for known in committed.values()
            for place, offset in known.items()
            if (offset or 0) < logs[place].end
        }
        self._find_first(behind, logs)
        return Sight(
            logs,
            {
                (group, place): self._reading(place, offset, logs[place])
                for group, known in committed.items()
                for place, offset in known.items()
            },
            members,
        )

    def close(self) -> None:
        """Give the connections back."""
        for consumer in (*self._onlookers.values(), self._committed_only, self._all):
            consumer.close()

    def _logs(self) -> dict[Partition, Log]:
        wanted = [
            TopicPartition(topic_on_wire(self._prefix, topic.name), number)
            for topic in self._topics
            for number in range(topic.partitions)
        ]
        starts = self._offsets(wanted, _OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)
        ends = self._offsets(wanted, _OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)
        # After the ends, which move on: what is below them now was kept back by a transaction, not written meanwhile.
        stable = self._offsets(wanted, _OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)
        there = starts.keys() & stable.keys() & ends.keys()
        return {place: Log(starts[place], min(stable[place], ends[place]), ends[place]) for place in sorted(there)}

    def _offsets(self, wanted: list[TopicPartition], which: Any, level: IsolationLevel) -> dict[Partition, int]:
        asked = self._admin.list_offsets(
            dict.fromkeys(wanted, which), isolation_level=level, request_timeout=_ASK_SECONDS
        )
        found: dict[Partition, int] = {}
        for partition, future in asked.items():
            try:
                found[self._place(partition)] = future.result(_ASK_SECONDS).offset
            except KafkaException as error:
                if error.args[0].code() not in NO_LEADER_YET:
                    raise
        return found

    def _committed(
        self, group: str, inputs: Iterable[str], logs: Mapping[Partition, Log]
    ) -> dict[Partition, int | None]:
        """Explicit partitions: without them some brokers answer with none."""
        asked = [TopicPartition(topic_on_wire(self._prefix, name), n) for name, n in logs if name in inputs]
        if not asked:
            return {}
        answered: list[TopicPartition] = self._onlookers[group].committed(asked, _ASK_SECONDS)
        for partition in answered:
            if partition.error is not None:
                raise KafkaException(partition.error)
        return {self._place(p): p.offset if p.offset >= 0 else None for p in answered}

    def _members(self, group: str, inputs: Sequence[str]) -> Members:
        """Asked after the positions: the coordinator is there. Only the lead's partitions are given out by Kafka."""
        name, lead = group_on_wire(self._prefix, group), topic_on_wire(self._prefix, inputs[0])
        asked = self._admin.describe_consumer_groups([name], request_timeout=_ASK_SECONDS)
        members = asked[name].result(_ASK_SECONDS).members
        held = {
            partition.partition
            for member in members
            for partition in (member.assignment.topic_partitions if member.assignment else ())
            if partition.topic == lead
        }
        wanted = next((topic.partitions for topic in self._topics if topic.name == inputs[0]), 0)
        return Members(len(members), wanted - len(held))

    def _reading(self, place: Partition, committed: int | None, log: Log) -> Reading:
        position = max(committed or 0, log.start)
        found = self._first.get((place, position))
        if position >= log.end or (found is not None and found[1] is None):
            return Reading(committed, 0, None)
        return Reading(committed, log.end - position, found[1] if found else None)

    def _find_first(self, behind: set[_Read], logs: Mapping[Partition, Log]) -> None:
        """Find the first record at or after each position, as far as it is not known; None: markers only."""
        known = {
            read: found
            for read, found in self._first.items()
            if read in behind - self._kept_back and (found[1] is not None or found[0] >= logs[read[0]].end)
        }
        until = time.monotonic() + _READ_SECONDS
        found = self._read(self._committed_only, behind - known.keys(), until)
        at_end = {read for read, oldest in found.items() if oldest is None}
        self._kept_back = {read for read in at_end if logs[read[0]].stable < logs[read[0]].end}
        found |= self._read(self._all, self._kept_back, until)
        self._first = known | {read: (logs[read[0]].end, oldest) for read, oldest in found.items()}

    def _read(self, consumer: Consumer, wanted: Collection[_Read], until: float) -> dict[_Read, float | None]:
        found: dict[_Read, float | None] = {}
        left = set(wanted)
        while left and time.monotonic() < until:
            at_once = dict(sorted(left, reverse=True))  # one position of each partition: the lowest
            places = [TopicPartition(topic_on_wire(self._prefix, t), n, offset) for (t, n), offset in at_once.items()]
            consumer.assign(places)
            consumer.resume(places)  # a pause outlives the assignment it was made in
            open_places = set(at_once)
            while open_places and time.monotonic() < until:
                messages: list[Message] = consumer.consume(_AT_ONCE, 0.05)
                for message in messages:
                    place = (topic_in_catalogue(self._prefix, message.topic() or ""), message.partition())
                    if place in open_places and self._take(message, (place, at_once[place]), found):
                        open_places.discard(place)
                        consumer.pause([TopicPartition(message.topic(), message.partition())])
            consumer.unassign()
            left -= set(at_once.items())
        return found

    def _take(self, message: Message, read: _Read, found: dict[_Read, float | None]) -> bool:
        """Take a record or the end of a partition; say whether that settles it."""
        error: KafkaError | None = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            return False
        found[read] = None if error is not None else message.timestamp()[1] / 1000
        return True

    def _place(self, partition: TopicPartition) -> Partition:
        return topic_in_catalogue(self._prefix, partition.topic), partition.partition
