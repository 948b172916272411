"""Who may do what on Kafka: one principal for each process of the hub, in one table, and nothing that is not in it.

The authorizer of a broker, the users of a Strimzi cluster and the tests derive from it. A row names what a process
really uses; Kafka then implies *Describe* where something may be read or written. No name is a wildcard: only
transactional ids end in a stem, because every worker has a slot behind it. Topic rights cannot tell owners apart inside
a topic: whose plan it is, is checked by the gate of `consolidate` and the edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final

from samenloop.contract.topics import INTERNAL, TOPICS
from samenloop.credentials import OPERATOR, SETUP, source_principal
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.value import value


class Resource(StrEnum):
    """What a right is about, as Kafka calls it."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactionalId"
    CLUSTER = "cluster"


class Operation(StrEnum):
    """What may be done with it, as Kafka calls it."""

    READ = "Read"
    WRITE = "Write"
    DESCRIBE = "Describe"
    DELETE = "Delete"
    CREATE = "Create"
    DESCRIBE_CONFIGS = "DescribeConfigs"
    ALTER_CONFIGS = "AlterConfigs"


@value
class Right:
    """One right on the wire; *prefixed*: of every name that begins with *name*."""

    resource: Resource
    name: str
    operation: Operation
    prefixed: bool = False


@value
class Access:
    """What one process uses; topics and groups by their names in the catalogue.

    *slots* are stems of transactional ids (`detect-`), whole ids where they have no slot behind them. *looks_at* are
    topics whose ends it asks for, *looks_at_groups* groups whose positions it asks for without being a member,
    *inspects* topics whose settings it looks at, *looks_at_brokers*: it asks for their clock and disks,
    *inspects_brokers*: it looks at their settings as well.
    *makes* are topics it creates and configures, *empties* topics whose start it moves. *at_setup*: nobody runs as it
    while the hub is at work.
    """

    principal: str
    what: str
    writes: Sequence[str] = ()
    reads: Sequence[str] = ()
    joins: Sequence[str] = ()
    slots: Sequence[str] = ()
    looks_at: Sequence[str] = ()
    looks_at_groups: Sequence[str] = ()
    inspects: Sequence[str] = ()
    looks_at_brokers: bool = False
    inspects_brokers: bool = False
    makes: Sequence[str] = ()
    empties: Sequence[str] = ()
    at_setup: bool = False


CLUSTER: Final = "kafka-cluster"
"""The one name that Kafka has for a cluster as a resource."""
READER: Final = "reader"
"""The group that readers outside every group name to librdkafka, which asks for its coordinator. None ever joins it."""
GROUPS: Final = ("consolidate", "detect", "notify", "webhook", "health")
"""Every consumer group of the hub."""
_ALL: Final = tuple(TOPICS)
_KEPT: Final = tuple(INTERNAL)
_RESTART: Final = ("plan-changes", "restriction-reports", "alerts")
"""Topics whose dead letters belong to a partner: where the edge may offer one again."""
_REPLAYED: Final = (*_RESTART, "plan-regions", "conflicts", "opportunities", "subscriptions")
"""Topics that any stage may set a record aside from: where an operator may offer one again."""
_REPLAY_SLOT: Final = "source-dead-letters-"
_SUBSCRIPTIONS_SLOT: Final = "subscriptions"
"""One id for all who change a subscription, so that of two at once one is refused."""

_SOURCE: Final = Access(
    "source",
    "A source connector: what its system says, its own memory, its polls.",
    writes=("plan-changes", "restriction-reports", "polls", "source-states", "dead-letters"),
    reads=("source-states",),
)
_PROCESSES: Final = (
    Access(
        "consolidate",
        "The stage that keeps one state per plan and per restriction.",
        writes=("plan-states", "restrictions", "plan-regions", "dead-letters"),
        reads=("plan-changes", "restriction-reports", "plan-states", "restrictions"),
        joins=("consolidate",),
        slots=("consolidate-",),
    ),
    Access(
        "detect",
        "The stage that finds conflicts and opportunities.",
        writes=("conflicts", "opportunities", "dead-letters"),
        reads=("plan-regions", "conflicts", "opportunities"),
        joins=("detect",),
        slots=("detect-",),
    ),
    Access(
        "notify",
        "The stage that says who is told what.",
        writes=("alerts", "alert-states", "dead-letters"),
        reads=("plan-regions", "conflicts", "opportunities", "subscriptions", "partners", "alert-states"),
        joins=("notify",),
        slots=("notify-",),
    ),
    Access(
        "webhook",
        "The sink that delivers alerts; it pauses a subscription whose receiver is gone.",
        writes=("receipts", "subscriptions", "dead-letters"),
        reads=("alerts", "receipts", "subscriptions", "partners"),
        joins=("webhook",),
        slots=("webhook-",),
    ),
    Access(
        "health",
        "The view of the state of every source system, with the topics that Faust keeps for it.",
        writes=("sources", *_KEPT),
        reads=("polls", "dead-letters", "sources", *_KEPT),
        joins=("health",),
    ),
    Access(
        "edge",
        "The hub's HTTP side: takes what partners push, answers what they ask.",
        writes=(*_RESTART, "subscriptions", "dead-letters", "dead-letter-states"),
        reads=(
            *_RESTART, "plan-states", "restrictions", "conflicts", "opportunities", "subscriptions", "partners",
            "sources", "dead-letters", "dead-letter-states",
        ),
        slots=(_REPLAY_SLOT, _SUBSCRIPTIONS_SLOT),
        looks_at_groups=("consolidate", "webhook"),
    ),
    Access(
        "conservation",
        "The account of every record, hour by hour.",
        reads=(
            "plan-changes", "restriction-reports", "plan-states", "restrictions", "polls", "alerts", "receipts",
            "subscriptions", "dead-letters", "dead-letter-states",
        ),
        looks_at_groups=("consolidate", "webhook"),
    ),
    Access(
        "lag-exporter",
        "How far every group is, the age of what waits (the time of the record at its position), the brokers' disks.",
        reads=(
            "plan-changes", "restriction-reports", "plan-regions", "conflicts", "opportunities", "subscriptions",
            "partners", "alerts", "polls", "dead-letters", "dead-letter-states", "health-facts",
        ),
        looks_at=(*_ALL, *_KEPT),
        looks_at_groups=GROUPS,
        looks_at_brokers=True,
    ),
    Access(
        "probe",
        "The synthetic plan that walks the whole road.",
        writes=("plan-changes",),
        reads=("plan-states", "plan-regions"),
        looks_at_groups=("detect", "notify"),
    ),
    Access(
        OPERATOR,
        "A person at the command line: partners, subscriptions, held snapshots, dead letters, verify, status, doctor.",
        writes=(*_REPLAYED, "partners", "source-states", "dead-letter-states"),
        reads=(*_ALL, "health-facts"),
        slots=(_REPLAY_SLOT, _SUBSCRIPTIONS_SLOT),
        looks_at=_KEPT,
        looks_at_groups=GROUPS,
        inspects=(*_ALL, *_KEPT),
        looks_at_brokers=True,
        inspects_brokers=True,
    ),
    Access(
        "backup",
        "`samenloop backup`: reads every topic and every position, changes nothing.",
        reads=_ALL,
        looks_at_groups=GROUPS,
    ),
    Access(
        SETUP,
        "`samenloop topics apply`: topics, their settings, the first position of each group.",
        reads=(*_ALL, *_KEPT),  # Kafka wants Read of a topic from whoever commits a position in it
        joins=GROUPS,
        makes=(*_ALL, *_KEPT),
        at_setup=True,
    ),
    Access(
        "restore",
        "`samenloop restore`: fills empty topics and sets the positions of the groups.",
        writes=_ALL,
        reads=(*_ALL, *_KEPT),
        joins=GROUPS,
        slots=("restore-",),
        empties=[topic.name for topic in TOPICS.values() if topic.cleanup == "delete"],
        at_setup=True,
    ),
)  # fmt: skip


def accesses(sources: Iterable[str]) -> dict[str, Access]:
    """Return what each process may do, by its principal; *sources* are the names in the settings."""
    named = [source_principal(source) for source in sources]
    rows = [*(replace(_SOURCE, principal=name, slots=(name,)) for name in named), *_PROCESSES]
    return {row.principal: row for row in rows}


def rights(access: Access, prefix: str) -> list[Right]:
    """Return the rights of *access* on the wire, each once, in a stable order."""
    return list(dict.fromkeys(_rights(access, prefix)))


def _rights(access: Access, prefix: str) -> Iterator[Right]:
    for operation, topics in (
        (Operation.WRITE, access.writes),
        (Operation.READ, access.reads),
        (Operation.DESCRIBE, access.looks_at),
        (Operation.CREATE, access.makes),
        (Operation.DESCRIBE_CONFIGS, (*access.makes, *access.inspects)),
        (Operation.ALTER_CONFIGS, access.makes),
        (Operation.DELETE, access.empties),
    ):
        for topic in topics:
            yield Right(Resource.TOPIC, topic_on_wire(prefix, topic), operation)
    for group in access.joins:
        yield Right(Resource.GROUP, group_on_wire(prefix, group), Operation.READ)
    for group in (*access.looks_at_groups, *((READER,) if access.reads else ())):
        yield Right(Resource.GROUP, group_on_wire(prefix, group), Operation.DESCRIBE)
    if access.looks_at_brokers:
        yield Right(Resource.CLUSTER, CLUSTER, Operation.DESCRIBE)
    if access.inspects_brokers:
        yield Right(Resource.CLUSTER, CLUSTER, Operation.DESCRIBE_CONFIGS)
    for slot in access.slots:
        yield Right(Resource.TRANSACTIONAL_ID, f"{prefix}{slot}", Operation.WRITE, prefixed=slot.endswith("-"))
