"""`samenloop topics apply` and `samenloop schemas check|register`."""

from __future__ import annotations

from samenloop.cli.options import Config, Json, hub_of, reaching
from samenloop.cli.output import emit, say
from samenloop.credentials import SETUP


def apply(*, config: Config = None) -> None:
    """Create the topics that are missing, correct settings that differ, and start each group at offset 0.

    Partitions are never added: keys would move.
    """
    from samenloop.kafka import apply_topics

    hub = hub_of(config, SETUP)
    with reaching(hub):
        lines = apply_topics(hub.kafka)
    for line in lines:
        say(line)
    if not lines:
        say("Every topic exists with the settings it should have.")


def check(*, registry: bool = False, config: Config = None, json: Json = False) -> int:
    """Check that every schema reads its earlier versions and is read by them (FULL_TRANSITIVE), and its form.

    Parameters
    ----------
    registry
        Ask the registry too whether it would take them.
    """
    from samenloop.contract.gate import check_schemas

    problems = check_schemas()
    if registry:
        problems += _refused(config)
    if json:
        emit({"problems": problems})
    else:
        for problem in problems:
            say(problem)
        say(f"{len(problems)} problems." if problems else "Every schema fits its earlier versions.")
    return 1 if problems else 0


def register(*, config: Config = None) -> None:
    """Register the schemas in the registry, under FULL_TRANSITIVE. Schemas that are there keep their ids."""
    from samenloop.contract.registry import register_schemas

    hub = hub_of(config, SETUP)
    with reaching(hub):
        for line in register_schemas(hub.registry, hub.kafka.prefix):
            say(line)


def _refused(config: Config) -> list[str]:
    from samenloop.contract import TOPICS
    from samenloop.contract.registry import Registry

    hub = hub_of(config)
    with reaching(hub):
        registry = Registry(hub.registry)
        return [
            f"{topic.subject(hub.kafka.prefix)}: the registry would refuse it"
            for topic in TOPICS.values()
            if not registry.fits(topic, hub.kafka.prefix)
        ]
