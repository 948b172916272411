"""Brings a backup back: into new topics and an empty registry, before any process of the hub is started."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from samenloop.backup.containers import read_records
from samenloop.backup.manifest import REGISTRY, Manifest, Part, Position, read_backup
from samenloop.backup.schemas import Export, differing
from samenloop.contract.topics import TOPICS, Topic
from samenloop.errors import BadSettings
from samenloop.kafka import clients
from samenloop.kafka.groups import groups_at_work, set_positions
from samenloop.kafka.layout import Run, packed, packed_end, packed_offset, runs
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.reader import partitions_of
from samenloop.kafka.refill import Refill
from samenloop.kafka.window import Window
from samenloop.settings import Hub, Kafka
from samenloop.stage import Partition, Record

EXACT: Final = (
    "plan-changes", "restriction-reports", "plan-regions", "conflicts", "opportunities", "subscriptions", "alerts",
)  # fmt: skip
"""Topics whose offsets mean something: a version, or the name of a dead letter. Other logs are brought back packed."""


def restore(hub: Hub, folder: Path, *, tell: Callable[[str], object] = bool) -> Manifest:
    """Bring the backup in *folder* back: topics, registry, positions, in this order; then the hub may be started.

    Nothing is written before all of the backup was checked, and topics, groups and registry were found fit for it.
    Raises BadSettings for a backup that is damaged or of another hub, topics that are not new, a registry that holds
    something else, groups with members; Retry when Kafka or the registry is away.
    """
    manifest = read_backup(folder)
    problems = [*_of_another_hub(manifest, hub), *_not_new(hub.kafka), *_busy(hub.kafka, manifest)]
    with Export(hub.registry) as registry:
        there = registry.ids()
        fill = bool(manifest.schemas) and not there
        if not fill:
            problems += [f"registry {hub.registry.url}: {line}" for line in differing(there, manifest.schemas)]
        if problems:
            raise BadSettings(problems)
        refill = Refill(hub.kafka)
        for topic in TOPICS.values():
            parts = manifest.topics.get(topic.name, [])
            marks = _marks(manifest, topic.name)
            _topic(refill, folder, topic, parts, marks)
            tell(f"{topic.name}: {sum(part.records for part in parts)} records")
        if fill:
            registry.fill(folder / REGISTRY)
        if wrong := differing(registry.ids(), manifest.schemas):
            raise BadSettings([f"registry {hub.registry.url}: {line}" for line in wrong])
        tell(f"registry: {len(manifest.schemas)} schemas, each with the id it had")
    for group, topics in manifest.groups.items():
        set_positions(hub.kafka, group, _offsets(manifest, topics))
    tell(f"positions: of {', '.join(manifest.groups)}")
    return manifest


def _topic(refill: Refill, folder: Path, topic: Topic, parts: list[Part], marks: Mapping[int, list[Position]]) -> None:
    partitions: dict[int, Iterator[Run]] = {}
    for number, part in enumerate(parts):
        records = _counted(folder, topic.name, number, part, marks.get(number, []))
        if topic.name not in EXACT:
            records = packed(records, _end(topic.name, part), part.records)
        partitions[number] = runs(records, _end(topic.name, part), compacted=topic.cleanup == "compact")
    refill.refill(topic, partitions, {number: _end(topic.name, part) for number, part in enumerate(parts)})


def _end(topic: str, part: Part) -> int:
    return part.end if topic in EXACT else packed_end(part.end, part.records)


def _marks(manifest: Manifest, topic: str) -> dict[int, list[Position]]:
    """Return the positions that groups have in each partition of *topic*."""
    found: dict[int, list[Position]] = {}
    for topics in manifest.groups.values():
        for number, position in enumerate(topics.get(topic, ())):
            found.setdefault(number, []).append(position)
    return found


def _counted(folder: Path, topic: str, number: int, part: Part, marks: list[Position]) -> Iterator[Record]:
    """Yield the records of a partition, and see that as many are behind each position as it says."""
    count = 0
    behind = [0] * len(marks)
    for record in read_records(folder / part.file, topic, number):
        count += 1
        for index, mark in enumerate(marks):
            behind[index] += record.offset < mark.offset
        yield record
    if behind != [mark.records_before for mark in marks]:
        raise BadSettings([f"{folder / part.file}: the positions of groups in it do not fit its records"])
    if count != part.records:
        raise BadSettings([f"{folder / part.file}: found {count} records, expected {part.records}"])


def _offsets(manifest: Manifest, topics: Mapping[str, list[Position]]) -> dict[Partition, int]:
    """Return where a group goes on: behind as many records as it was."""
    found: dict[Partition, int] = {}
    for topic, positions in topics.items():
        for number, position in enumerate(positions):
            part = manifest.topics[topic][number]
            packed_to = packed_offset(_end(topic, part), part.records, position.records_before)
            found[topic, number] = position.offset if topic in EXACT else packed_to
    return found


def _of_another_hub(manifest: Manifest, hub: Hub) -> Iterable[str]:
    if manifest.prefix != hub.kafka.prefix:
        yield f"kafka.prefix: found {hub.kafka.prefix!r}, but the backup is of a hub with {manifest.prefix!r}"
    for name, parts in manifest.topics.items():
        topic = TOPICS.get(name)
        if topic is None:
            yield f"{name}: the backup has this topic, but this version of the hub does not"
        elif len(parts) != topic.partitions:
            yield f"{name}: the backup has {len(parts)} partitions, this version of the hub {topic.partitions}"


def _busy(kafka: Kafka, manifest: Manifest) -> Iterable[str]:
    return (f"group {group}: has workers; stop the hub, then again" for group in groups_at_work(kafka, manifest.groups))


def _not_new(kafka: Kafka) -> Iterable[str]:
    """A topic that was emptied is not new: its next record would not be number 0."""
    admin = clients.administrator(kafka)
    for name in TOPICS:
        partitions_of(admin, topic_on_wire(kafka.prefix, name))  # raises when one is missing, with what to do
    with Window(kafka) as window:
        logs = {topic_on_wire(kafka.prefix, name): window.ends(name) for name in TOPICS}
    for name, ends in logs.items():
        if any(ends.values()):
            yield f"{name}: is not new, its log ends at {sum(ends.values())}; delete it, then `samenloop topics apply`"
