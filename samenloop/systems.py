"""What is known of the systems that the hub reads: what the settings say, and what the health view published.

The facts come from the settings and the profile, not from the polls: so a source that was never read is shown as
well, a poll stays small, and a correction in the settings shows at the next start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from samenloop import settings
from samenloop.contract import Codec
from samenloop.errors import BadSettings, Reject
from samenloop.kafka import read_topic
from samenloop.logs import get_logger
from samenloop.model import Contact, Direction, Organisation, SourceStatus
from samenloop.source_health import System
from samenloop.source_pump import open_source
from samenloop.stage import Record

MISSED_POLLS, LEAST_SILENCE_SECONDS = 3.0, 900.0
"""A source is silent after so many polls that did not come, but never sooner than this."""
_log = get_logger("health")


def described(hub: settings.Hub) -> list[System]:
    """Return every source of the settings. One whose profile cannot be read here is told in the log and marked.

    A connector may say more of its sources than it must: `organisation` (name of the owner), `protocol`, `standards`.
    """
    return [_described(name, source, hub) for name, source in hub.sources.items()]


def readable(hub: settings.Hub) -> list[System]:
    """Return the sources of the settings whose profile can be read here, for those who must not poll any of them."""
    found = []
    for name, source in hub.sources.items():
        try:
            found.append(_system(name, source, hub, open_source(source, hub)))
        except BadSettings:
            continue
    return found


def published(kafka: settings.Kafka, codec: Codec) -> dict[str, SourceStatus]:
    """Return the last status of every system on the topic `sources`, by its URN. Raises Retry when Kafka is away."""
    return heard({}, read_topic(kafka, "sources"), codec)


def heard(last: Mapping[str, SourceStatus], records: Iterable[Record], codec: Codec) -> dict[str, SourceStatus]:
    """Return the last statuses after *records* of `sources`; null is a system that is forgotten.

    One that cannot be read is told in the log and left out: the view will write it again.
    """
    found = dict(last)
    for record in records:
        found.pop(record.key, None)
        if record.value is not None:
            try:
                found[record.key] = codec.decode("sources", record.value, record.headers)
            except Reject as error:
                _log.warning(
                    "view.unreadable",
                    "A record cannot be read and is not counted.",
                    topic="sources",
                    offset=record.offset,
                    code=error.code,
                )
    return found


def _described(name: str, source: settings.Source, hub: settings.Hub) -> System:
    opened: Any = None
    try:
        opened = open_source(source, hub)
    except BadSettings as error:
        _log.warning(
            "source.profile_unreadable", "A source is shown without what its profile says.", source=name, why=str(error)
        )
    return _system(name, source, hub, opened)


def _system(name: str, source: settings.Source, hub: settings.Hub, opened: Any) -> System:
    contact = source.contact
    return System(
        source=name,
        system=opened.system if opened else f"urn:samenloop:source:{name}",
        owner=Organisation(opened.oin, getattr(opened, "organisation", None)) if opened else Organisation(hub.hub.oin),
        name=source.title or name,
        connector=source.connector,
        protocol=source.protocol or getattr(opened, "protocol", None) or source.connector,
        freshness_objective_s=max(1, round(source.freshness_seconds)),
        silent_seconds=max(MISSED_POLLS * source.poll_every_seconds, LEAST_SILENCE_SECONDS),
        product=source.product,
        standards=tuple(source.standards or getattr(opened, "standards", ())),
        direction=Direction(source.direction.upper()),
        licence=source.licence,
        contact=Contact(**contact.model_dump()) if contact else None,
        unreadable=opened is None,
    )
