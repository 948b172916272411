"""Makes Kafka agree with the catalogue: topics, their settings, and a first position for every group.

Never adds a partition: keys would move. Groups start at offset 0 by an explicit commit, so that no consumer has to
guess where to begin when its position is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from samenloop import plugins
from samenloop.contract.topics import INTERNAL, TOPICS, Topic
from samenloop.errors import BadSettings, Retry
from samenloop.kafka import clients
from samenloop.kafka.groups import begin_at_zero
from samenloop.settings import Kafka

_ASK_SECONDS = 15.0
_COMPACTED = {"min.cleanable.dirty.ratio": "0.1", "segment.ms": "21600000", "max.compaction.lag.ms": "604800000"}
"""Deleted personal data must really go, also from a quiet partition."""


def apply_topics(
    kafka: Kafka,
    topics: Mapping[str, Topic] = {**TOPICS, **INTERNAL},
    groups: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Create the topics that are missing, correct settings that differ, commit offset 0 where a group has none.

    *groups* are the inputs of each stage and sink by its name; default: of all that are installed. Returns one line
    for each thing done. Raises BadSettings when a topic has another number of partitions than the catalogue says,
    Retry when Kafka does not answer.
    """
    admin = clients.administrator(kafka)
    try:
        there = admin.list_topics(timeout=_ASK_SECONDS).topics
        wanted = {topic.full_name(kafka.prefix): topic for topic in topics.values()}
        missing = {name: topic for name, topic in wanted.items() if name not in there}
        present = {name: topic for name, topic in wanted.items() if name in there}
        _refuse_other_partitions({name: len(there[name].partitions) for name in present}, present)
        lines = _create(admin, missing, kafka.replication_factor)
        lines += _correct(admin, present)
        for group, inputs in (groups if groups is not None else inputs_of_groups()).items():
            lines += begin_at_zero(admin, kafka, group, [topics[name] for name in inputs])
    except (KafkaException, TimeoutError) as error:
        raise Retry("kafka.unavailable", f"topics could not be applied: {error}") from error
    return lines


def inputs_of_groups() -> dict[str, list[str]]:
    """Return what each installed stage, view and sink reads, by its name."""
    kinds: tuple[plugins.Kind, ...] = ("stages", "views", "sinks")
    classes = {name: plugins.load(kind, name) for kind in kinds for name in plugins.names(kind)}
    return {name: [stage.lead, *stage.follows] for name, stage in classes.items()}


def settings_of(topic: Topic) -> dict[str, str]:
    """Return all Kafka settings of *topic*."""
    common = {"max.message.bytes": str(clients.MAX_RECORD_BYTES + 48_576)}  # a batch has a header of its own
    return {**common, **(_COMPACTED if topic.cleanup == "compact" else {}), **topic.config}


def _refuse_other_partitions(found: Mapping[str, int], wanted: Mapping[str, Topic]) -> None:
    problems = [
        f"{name}: found {found[name]} partitions, expected {topic.partitions}; partitions are never changed, "
        "make a new topic or use another prefix"
        for name, topic in wanted.items()
        if found[name] != topic.partitions
    ]
    if problems:
        raise BadSettings(problems)


def _create(admin: AdminClient, missing: Mapping[str, Topic], replication: int) -> list[str]:
    if not missing:
        return []
    new = [
        NewTopic(name, num_partitions=topic.partitions, replication_factor=replication, config=settings_of(topic))
        for name, topic in missing.items()
    ]
    for future in admin.create_topics(new, operation_timeout=_ASK_SECONDS).values():
        future.result(_ASK_SECONDS)
    return [f"{name}: created with {topic.partitions} partitions" for name, topic in missing.items()]


def settings_that_differ(admin: AdminClient, present: Mapping[str, Topic]) -> list[tuple[str, str, str, str]]:
    """Return topic, key, value and wanted value of each setting that is not as wanted. Raises KafkaException."""
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in present]
    if not resources:
        return []
    found = []
    for resource, future in admin.describe_configs(resources).items():
        current: Any = future.result(_ASK_SECONDS)
        for key, wanted in settings_of(present[resource.name]).items():
            if (value := current[key].value) != wanted:
                found.append((resource.name, key, value, wanted))
    return found


def _correct(admin: AdminClient, present: Mapping[str, Topic]) -> list[str]:
    lines: list[str] = []
    changes: list[ConfigResource] = []
    for name, key, found, wanted in settings_that_differ(admin, present):
        lines.append(f"{name}: {key} was {found}, is now {wanted}")
        change = ConfigEntry(key, wanted, incremental_operation=AlterConfigOpType.SET)
        changes.append(ConfigResource(ResourceType.TOPIC, name, incremental_configs=[change]))
    for merged in _merged(changes):
        for future in admin.incremental_alter_configs([merged]).values():
            future.result(_ASK_SECONDS)
    return lines


def _merged(changes: Iterable[ConfigResource]) -> list[ConfigResource]:
    """One resource for each topic: Kafka refuses a topic that is named twice."""
    by_name: dict[str, list[ConfigEntry]] = {}
    for change in changes:
        by_name.setdefault(change.name, []).extend(change.incremental_configs)
    return [ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries) for name, entries in by_name.items()]
