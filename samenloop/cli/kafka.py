"""`samenloop topics apply` and `samenloop schemas check|register`."""

from __future__ import annotations

from samenloop.cli.options import Config, hub_of
from samenloop.cli.output import say


def apply(*, config: Config = None) -> None:
    """Create the topics that are missing, correct settings that differ, and start each group at offset 0.

    Partitions are never added: keys would move.
    """
    from samenloop.kafka import apply_topics

    hub = hub_of(config)
    lines = apply_topics(hub.kafka)
    for line in lines:
        say(line)
    if not lines:
        say("Every topic exists with the settings it should have.")
