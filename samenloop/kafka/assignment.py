"""What a stage is given when partitions become its own: where it stands, and the means to rebuild its state."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Literal

from samenloop.kafka.reader import TopicReader
from samenloop.stage import Partition, Record


class Given:
    """An `Assignment` on a real Kafka."""

    def __init__(self, partitions: Collection[int], committed: Mapping[Partition, int], reader: TopicReader) -> None:
        self.partitions = partitions
        self.committed = committed
        self._reader = reader

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Yield the committed records of *topic* from its start; see `samenloop.stage.Assignment`."""
        if until == "end":
            return self._reader.read(topic, partitions)
        ends = {number: offset for (name, number), offset in self.committed.items() if name == topic}
        if not ends:
            raise ValueError(f"{topic} is not among the inputs that were assigned")
        return self._reader.read(topic, sorted(ends) if partitions is None else partitions, ends=ends)
