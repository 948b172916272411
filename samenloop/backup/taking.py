"""Takes a backup of a hub that may be at work meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from samenloop import clock
from samenloop.backup.containers import write_records
from samenloop.backup.manifest import FORMAT, REGISTRY, Manifest, Part, Position, write_manifest
from samenloop.backup.schemas import Export
from samenloop.contract.topics import TOPICS
from samenloop.errors import BadSettings
from samenloop.kafka.cut import Cut, find_cut
from samenloop.kafka.reader import TopicReader
from samenloop.settings import Hub
from samenloop.stage import Record

_MAGIC, _FRAME = 0, 5


def take_backup(
    hub: Hub, folder: Path, *, patience_seconds: float = 60.0, tell: Callable[[str], object] = bool
) -> Manifest:
    """Write a backup of *hub* into *folder*, which must be new or empty.

    It is of one moment (`samenloop.kafka.cut`), committed records only, and held in memory by the block. Raises Retry
    when Kafka or the registry is away or the hub is never at rest, BadSettings for a folder that is not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadSettings([f"{folder}: is not empty, expected a new folder for each backup"])
    with Export(hub.registry) as export:
        export.ids()  # a registry that refuses us is told before the topics are read, not after
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    cut = find_cut(hub.kafka, patience_seconds=patience_seconds)
    taken_at = clock.now()
    topics: dict[str, list[Part]] = {}
    with TopicReader(hub.kafka) as reader:
        taking = _Taking(reader, folder, cut)
        for topic in TOPICS.values():
            (folder / "topics" / topic.name).mkdir(parents=True)
            topics[topic.name] = [taking.partition(topic.name, number) for number in range(topic.partitions)]
            tell(f"{topic.name}: {sum(part.records for part in topics[topic.name])} records")
    with Export(hub.registry) as export:
        export.save(folder / REGISTRY)
        schemas = export.ids()
    _refuse_unknown(topics, {one.id for one in schemas})
    groups = {group: taking.positions(group) for group in cut.positions}
    manifest = Manifest(FORMAT, hub.kafka.prefix, taken_at, topics, groups, schemas)
    write_manifest(folder, manifest)
    return manifest


@dataclass(slots=True)
class _Counting:
    """Counts what passes by, also below each of the positions that groups have here."""

    marks: list[int]
    records: int = 0
    schema_ids: set[int] = field(default_factory=set)
    below: Counter[int] = field(default_factory=Counter)

    def pass_on(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self.records += 1
            for mark in self.marks:
                self.below[mark] += record.offset < mark
            if record.value is not None and len(record.value) >= _FRAME and record.value[0] == _MAGIC:
                self.schema_ids.add(int.from_bytes(record.value[1:_FRAME], "big"))
            yield record


@dataclass(slots=True)
class _Taking:
    reader: TopicReader
    folder: Path
    cut: Cut
    behind: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """How many records are behind the position of a group, by group, topic and partition."""

    def partition(self, topic: str, number: int) -> Part:
        """Write one partition."""
        here, positions = (topic, number), self.cut.positions
        marks = {group: places[here] for group, places in positions.items() if here in places}
        counting = _Counting(sorted(set(marks.values())))
        file, end = f"topics/{topic}/{number}.avro", self.cut.ends[here]
        write_records(self.folder / file, counting.pass_on(self.reader.read(topic, [number], ends={number: end})))
        self.behind |= {(group, topic, number): counting.below[mark] for group, mark in marks.items()}
        return Part(file, counting.records, end, sorted(counting.schema_ids))

    def positions(self, group: str) -> dict[str, list[Position]]:
        """Return how far *group* is; `topics apply` gave it a position in all partitions of a topic or in none."""
        found: dict[str, list[Position]] = {}
        for (topic, number), offset in sorted(self.cut.positions[group].items()):
            if topic in TOPICS:
                found.setdefault(topic, []).append(Position(offset, self.behind[group, topic, number]))
        return found


def _refuse_unknown(topics: dict[str, list[Part]], known: set[int]) -> None:
    problems = [
        f"{topic}: its records name schema {number}, which the registry does not know; they could not be read again"
        for topic, parts in topics.items()
        for number in sorted({number for part in parts for number in part.schema_ids} - known)
    ]
    if problems:
        raise BadSettings(problems)
