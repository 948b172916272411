"""`samenloop source list|check|release|discard`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table
from samenloop.errors import BadSettings
from samenloop.model import SourcePoll
from samenloop.settings import Hub

if TYPE_CHECKING:
    from samenloop.source_memory import Decision

Name = Annotated[str, Parameter(name="NAME")]


def list_(*, config: Config = None, json: Json = False) -> None:
    """Show the configured sources, how their last poll ended, how they are doing, and what is held."""
    hub = hub_of(config)
    if not hub.sources:
        say("[]" if json else "No source is configured. Add one under `sources` in hub.yaml.")
        return
    polls, held, health = _last_polls(hub), _held(hub), _health(hub)
    if json:
        emit([_fields(name, hub, polls.get(name), held.get(name), health.get(name)) for name in hub.sources])
        return
    rows: list[tuple[object, ...]] = []
    for name, source in hub.sources.items():
        poll = polls.get(name)
        if poll is None:
            rows.append((name, source.connector, "never", "", "", health.get(name), ""))
            continue
        outcome = poll.outcome.lower() + (f" ({poll.error_code})" if poll.error_code else "")
        counts = " ".join(f"{kind} {getattr(poll, kind)}" for kind in _COUNTS if getattr(poll, kind))
        at = f"{poll.started_at:%Y-%m-%d %H:%M:%S}"
        rows.append((name, source.connector, at, outcome, counts, health.get(name), held.get(name)))
    table(("SOURCE", "CONNECTOR", "LAST POLL (UTC)", "OUTCOME", "RECORDS", "HEALTH", "HELD"), rows)
    if held:
        say("`samenloop source release NAME` applies what is held, `samenloop source discard NAME` drops it.")


def check(
    profile: Annotated[Path, Parameter(name="PROFILE")],
    /,
    *files: Annotated[Path, Parameter(name="FILES")],
    connector: str = "file-snapshots",
    json: Json = False,
) -> int:
    """Show how the records of a source map to plans: what is unmapped, rejected, missing or personal. No Kafka.

    Ends with 1 when a file would not be used or a record is refused.

    Parameters
    ----------
    profile
        The connector's profile, YAML.
    files
        Exports to read; without, the newest one that the profile points to.
    connector
        The connector that the profile is for.
    """
    from samenloop import plugins

    report = plugins.load("sources", connector)().check(profile, list(files) or None)
    if json:
        emit(report.to_dict())
    else:
        say(report.text())
    return 0 if report.ok else 1


def release(name: Name, /, *, config: Config = None) -> None:
    """Apply the delivery that a source holds back; its process does it at its next poll.

    Parameters
    ----------
    name
        Name of the source in the settings.
    """
    _decide(name, config, "release", "applies the held delivery at its next poll")


def discard(name: Name, /, *, config: Config = None) -> None:
    """Drop the delivery that a source holds back; the next one is compared with what was last applied.

    Parameters
    ----------
    name
        Name of the source in the settings.
    """
    _decide(name, config, "discard", "drops the held delivery at its next poll")


_COUNTS = ("read", "created", "updated", "removed", "unchanged", "rejected")


def _decide(name: str, config: Path | None, decision: Decision, words: str) -> None:
    from samenloop.source_memory import decide

    hub = hub_of(config)
    if name not in hub.sources:
        raise BadSettings([f"{name}: is none of the sources of the settings: {', '.join(hub.sources) or 'none'}"])
    with reaching(hub):
        cursor = decide(hub.kafka, codec_of(hub), name, decision)
    say(f"{name} {words}: {cursor.held}.")


def _last_polls(hub: Hub) -> dict[str, SourcePoll]:
    from samenloop.kafka import read_topic

    with reaching(hub):
        codec = codec_of(hub)
        polls: dict[str, SourcePoll] = {}
        for record in read_topic(hub.kafka, "polls"):
            if record.value is not None and record.key in hub.sources:
                polls[record.key] = codec.decode("polls", record.value, record.headers)
    return polls


def _held(hub: Hub) -> dict[str, str]:
    """Return what is held, by source."""
    from samenloop.kafka import read_topic

    with reaching(hub):
        codec = codec_of(hub)
        values = {x.key: x.value for x in read_topic(hub.kafka, "source-states") if x.key in hub.sources}
    cursors = {name: codec.decode("source-states", value) for name, value in values.items() if value is not None}
    return {name: cursor.held for name, cursor in cursors.items() if cursor.held}


def _health(hub: Hub) -> dict[str, str]:
    """Return the state and the freshness of each source, as far as the view `health` has told them."""
    from samenloop.clock import now
    from samenloop.systems import published
    from samenloop.systems_overview import freshness_of

    with reaching(hub):
        found = published(hub.kafka, codec_of(hub)).values()
    statuses = sorted(found, key=lambda status: status.state != "RETIRED")  # a name may live on in another system
    words = {status.system: f"{status.state.lower()}, {freshness_of(status, now())}" for status in statuses}
    return {source: words[status.system] for status in statuses for source in status.sources}


def _fields(name: str, hub: Hub, poll: SourcePoll | None, held: str | None, health: str | None) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "source": name, "connector": hub.sources[name].connector, "held": held, "health": health
    }  # fmt: skip
    if poll is None:
        return {**fields, "last_poll": None}
    last = {kind: getattr(poll, kind) for kind in ("started_at", "outcome", "error_code", "detail", *_COUNTS)}
    return {**fields, "last_poll": last}
