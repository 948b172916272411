"""What a stage is: state, a batch of records, outputs. The loop in `samenloop.kafka` drives it.

Topics are named as in the catalogue (`plan-changes`), without prefix and version. A stage does no I/O of its own:
it is told its assignment, rebuilds its state from the topics it may read, and turns batches into outputs. The loop
commits outputs and input positions in one Kafka transaction; on any doubt the process ends and rebuilds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

from samenloop.value import value

Headers = tuple[tuple[str, bytes], ...]
Partition = tuple[str, int]


@value
class Record:
    """One record read from Kafka; *value* None is a tombstone (``b""`` is not)."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@value
class Output:
    """One record to write; without *partition* the key decides (murmur2)."""

    topic: str
    key: str
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


class Assignment(Protocol):
    """What a stage was given, and the means to rebuild its state."""

    partitions: Collection[int]
    """Partitions of the lead topic that are ours."""
    committed: Mapping[Partition, int]
    """Next offset to be read, for each partition of the lead topic that is ours and of the topics that follow."""

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Yield the committed records of *topic* from its start.

        ``until="committed"``: up to our own committed input offset (for an input topic). ``until="end"``: up to the
        log end as it is now, open transactions included (for our own outputs).
        """
        ...


class Stage(Protocol):
    """A stage of the truth. One instance lives in one loop, called from one thread."""

    name: str
    lead: str
    """Input topic whose partitions the consumer group shares out. One partition = one worker, others stand by."""
    follows: Sequence[str]
    """Input topics read whole (all partitions) by whoever holds partition 0 of the lead topic."""
    writes: Sequence[str]
    """Topics its outputs go to."""

    def assign(self, assignment: Assignment) -> Sequence[Output]:
        """Rebuild the state for *assignment*; the outputs go out in a first transaction with unchanged offsets."""
        ...

    def revoke(self, partitions: Collection[int]) -> None:
        """Forget the state of these partitions of the lead topic."""
        ...

    def process(self, batch: Sequence[Record], now: datetime) -> Sequence[Output]:
        """Turn a batch into outputs. Called once per batch: the state is then ahead of the log until the commit."""
        ...

    def idle(self, now: datetime) -> Sequence[Output]:
        """Say what time alone brings (ticks, due alerts, finished deliveries); called about every 20 ms."""
        ...

    def held(self) -> Mapping[Partition, int]:
        """Lowest offset to read again after a restart, for partitions whose position must not be committed."""
        ...
