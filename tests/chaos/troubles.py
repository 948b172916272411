"""What is done to a hub while it works. Each trouble ends with everything back in place; what follows must heal."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable

from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from samenloop.kafka import clients, publish, read_topic
from samenloop.stage import Output
from tests.chaos.fleet import Fleet
from tests.chaos.world import SHIPPED_RULES, World

FREEZE_SECONDS = 8.5
"""Longer than the session (6 s), shorter than the watchdog (12 s): it must be Kafka that refuses the sleeper."""
BROKER_AWAY_SECONDS = 10.0
AGGRESSIVE = {"min.compaction.lag.ms": "0", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
COMPACTED = ("plan-regions", "plan-states", "conflicts", "opportunities", "source-states", "alert-states")
POISONED = ("plan-changes", "plan-regions", "conflicts", "opportunities", "alerts", "subscriptions", "partners")
STRICTER_RULES = SHIPPED_RULES.replace("version: 1\n", "version: 2\n", 1).replace(
    "    distance_m: 25\n", "    distance_m: 12\n", 1
)

Trouble = Callable[[World, Fleet], None]


def kill_each(world: World, fleet: Fleet) -> None:
    """kill -9 every process, one after the other."""
    for name in fleet.members:
        fleet.kill(name)
        time.sleep(0.7)


def kill_all(world: World, fleet: Fleet) -> None:
    """kill -9 every process at once."""
    for name in fleet.members:
        fleet.kill(name)


def end_each(world: World, fleet: Fleet) -> None:
    """Ask every process to stop, one after the other, as a deployment does."""
    for name in fleet.members:
        fleet.end(name)
        time.sleep(0.7)


def freeze_each(world: World, fleet: Fleet) -> None:
    """Freeze every process past its session while a second one takes its slot, then let the first go on."""
    for name in fleet.members:
        fleet.replace(name)
    time.sleep(FREEZE_SECONDS)
    fleet.thaw()


def receiver_down(world: World, fleet: Fleet) -> None:
    """The partner does not answer for a while."""
    world.receiver.down = True
    time.sleep(5)
    world.receiver.down = False


def restart_broker(world: World, fleet: Fleet) -> None:
    """Stop the broker, start it 10 s later."""
    world.stack.stop_broker()
    time.sleep(BROKER_AWAY_SECONDS)
    world.stack.start_broker()


def kill_broker(world: World, fleet: Fleet) -> None:
    """kill -9 the broker, start it when its session is over."""
    world.stack.stop_broker(kill=True)
    world.stack.start_broker()


def poison(world: World, fleet: Fleet) -> None:
    """Put what nobody can read on every input: no Avro, an empty value, a schema that nobody knows."""
    unknown = b"\0" + struct.pack(">I", 999_999) + b"\x02\x04"
    for topic in POISONED:
        headers = (("ce_id", b"\xff\xfe"), ("ce_id", b"again"))
        publish(
            world.hub.kafka,
            [
                Output(topic, "poison", b"not avro at all", headers),
                Output(topic, "poison-empty", b""),
                Output(topic, "poison-schema", unknown, (("ce_dataschema", b"https://nobody.example/unknown"),)),
            ],
        )


def registry_away(world: World, fleet: Fleet) -> None:
    """The registry is away while a process starts again and a record with an unknown schema arrives."""
    world.stack.stop_registry()
    publish(world.hub.kafka, [Output("plan-changes", "poison-later", b"\0" + struct.pack(">I", 888_888) + b"\x02")])
    fleet.kill("detect-0")
    time.sleep(6)
    world.stack.start_registry()


def compaction_without_detect(world: World, fleet: Fleet) -> None:
    """`detect` is away while plans move, and Kafka forgets the rows that justified what it had found.

    The rules change meanwhile too.
    """
    for name in ("detect-0", "detect-1"):
        fleet.take_away(name)
    compact(world)
    before = rows(world)
    for feed in world.feeds:
        feed.deliver()
    world.rules(STRICTER_RULES)
    deadline = time.monotonic() + 60
    while before <= rows(world) and time.monotonic() < deadline:
        time.sleep(1)
    assert not before <= rows(world), "nothing was compacted, so nothing would be shown"
    for name in ("detect-0", "detect-1"):
        fleet.bring_back(name)


def rules_back(world: World, fleet: Fleet) -> None:
    """The rules are as they were, and `detect` is started again."""
    world.rules(SHIPPED_RULES)
    for name in ("detect-0", "detect-1"):
        fleet.end(name)


def compact(world: World) -> None:
    """Let Kafka forget what it may, as soon as it can."""
    admin = clients.administrator(world.hub.kafka)
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in AGGRESSIVE.items()
    ]
    for topic in COMPACTED:
        name = f"{world.hub.kafka.prefix}{topic}.v1"
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        for future in admin.incremental_alter_configs([resource]).values():
            future.result(10)


def rows(world: World) -> set[int]:
    """Return the offsets of the plans' rows that are left; a record of our own makes Kafka begin a new segment."""
    publish(world.hub.kafka, [Output("plan-regions", "poison", b"not avro at all")])
    return {record.offset for record in read_topic(world.hub.kafka, "plan-regions") if record.key != "poison"}
