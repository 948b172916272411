"""Where we stand in each input partition, and what of it may be committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from confluent_kafka import TopicPartition

from samenloop.kafka.names import topic_in_catalogue, topic_on_wire
from samenloop.kafka.records import Message, place
from samenloop.stage import Partition

_Place = tuple[str, int]


class Positions:
    """Next offset to read and last offset committed, by partition, names as on the wire."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._next: dict[_Place, int] = {}
        self._committed: dict[_Place, int] = {}

    @property
    def ours(self) -> bool:
        """Whether we hold any partition."""
        return bool(self._next)

    def begin(self, offsets: Iterable[TopicPartition]) -> dict[Partition, int]:
        """Start at committed *offsets*; returns them by the catalogue's names."""
        told = {}
        for offset in offsets:
            self._next[place(offset)] = self._committed[place(offset)] = offset.offset
            told[topic_in_catalogue(self._prefix, offset.topic), offset.partition] = offset.offset
        return told

    def take(self, message: Message) -> bool:
        """Advance past *message*; False when it is not ours, or was taken before."""
        at = (message.topic(), message.partition())
        expected = self._next.get(at)
        offset = message.offset()
        if expected is None or offset < expected:
            return False
        self._next[at] = offset + 1
        return True

    def end(self, partitions: Iterable[TopicPartition], *, everything_followed: bool) -> list[TopicPartition]:
        """Forget *partitions* of the lead topic, with those followed where their holder goes; returns all of them."""
        lead = {place(partition) for partition in partitions}
        topics = {topic for topic, _ in lead}
        gone = [at for at in self._next if at in lead or (everything_followed and at[0] not in topics)]
        for at in gone:
            del self._next[at], self._committed[at]
        return [TopicPartition(*at) for at in gone]

    def moved(self, held: Mapping[Partition, int]) -> bool:
        """Whether a position may be committed that is not yet."""
        if not held:
            return self._next != self._committed
        return self._wanted(held) != self._committed

    def to_commit(self, held: Mapping[Partition, int]) -> list[TopicPartition]:
        """Return the positions that moved; if none did, one that did not."""
        wanted = self._wanted(held) if held else self._next
        moved = [(at, offset) for at, offset in wanted.items() if offset != self._committed[at]]
        return [TopicPartition(*at, offset) for at, offset in moved or list(wanted.items())[:1]]

    def committed(self, offsets: Iterable[TopicPartition]) -> None:
        """Remember what was committed."""
        for offset in offsets:
            self._committed[place(offset)] = offset.offset

    def _wanted(self, held: Mapping[Partition, int]) -> dict[_Place, int]:
        """A position never goes back: what is held was read after what is committed."""
        wanted = dict(self._next)
        for (topic, number), offset in held.items():
            at = (topic_on_wire(self._prefix, topic), number)
            if at in wanted:
                wanted[at] = max(min(wanted[at], offset), self._committed[at])
        return wanted
