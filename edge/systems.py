"""The overview of IT systems in use: those that are read, kept live from the topic `sources`, and those that send."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from edge.read_model import SystemSeen
from samenloop.contract import Codec
from samenloop.identity import system_oin
from samenloop.model import Direction, Organisation, SourceStatus, SystemState
from samenloop.source_health import Letters, System, statuses
from samenloop.stage import Record
from samenloop.systems import heard

SENDS_WITHIN = timedelta(days=31)
"""Who sends by itself owes nobody a rhythm; after so long without a word it is called late."""
TOLD_AFTER_READ = timedelta(hours=1)
"""How long after the last poll of a source the hub may still be at work on what that brought."""


class Systems:
    """The last status of every system. Written by the thread that follows, read by many.

    *configured* are the sources of the settings, as far as they can be read here: they are polled, also where no view
    of health has told of them yet. *unlisted* is a system of the hub itself, that of its probe.
    """

    def __init__(self, codec: Codec, unlisted: str | None = None, configured: Sequence[System] = ()) -> None:
        self._codec = codec
        self._configured = configured
        self._unlisted = unlisted
        self._last: dict[str, SourceStatus] = {}

    def hear(self, records: Iterable[Record]) -> None:
        """Take over statuses as `samenloop.systems.heard` does."""
        self._last = heard(self._last, records, self._codec)

    def statuses(
        self, seen: Iterable[SystemSeen], name_of: Callable[[str], str | None], now: datetime
    ) -> list[SourceStatus]:
        """Return the systems that are read as the view last told, and of those *seen* in the read model the others.

        Nobody polls these, so that they send is known by what they sent, also of a system that was read once. *name_of*
        gives the name of a partner by OIN.
        """
        told = {one.system: one for one in seen if one.system != self._unlisted}
        read = {**self._untold(told, now), **self._last}
        sends = {urn: one for urn, one in told.items() if urn not in read or _turned(read[urn], one)}
        return [
            *(status for urn, status in read.items() if urn not in sends),
            *(_sender(one, read.get(urn), name_of, now) for urn, one in sends.items()),
        ]

    def _untold(self, told: Mapping[str, SystemSeen], now: datetime) -> dict[str, SourceStatus]:
        """What is polled and nobody tells the health of: UNKNOWN, with what is known of its plans."""
        found: dict[str, SourceStatus] = {}
        silent = [one for one in self._configured if one.system not in self._last]
        for urn, status in statuses(silent, {}, Letters(), {}, now).items():
            if status is not None:
                found[urn] = replace(status, plans=told[urn].plans) if urn in told else status
        return found


def _turned(read: SourceStatus, seen: SystemSeen) -> bool:
    """Whether a system that is no longer read has sent since."""
    last = read.last_success_at
    return read.state is SystemState.RETIRED and (last is None or seen.newest_at > last + TOLD_AFTER_READ)


def _sender(
    seen: SystemSeen, before: SourceStatus | None, name_of: Callable[[str], str | None], now: datetime
) -> SourceStatus:
    """Return the status of a system that sends; what it was called when it was still read stays."""
    oin = system_oin(seen.system)
    return SourceStatus(
        system=seen.system,
        owner=before.owner if before else Organisation(oin, name_of(oin)),
        name=before.name if before else seen.system.rpartition(":")[2],
        product=before.product if before else None,
        licence=before.licence if before else None,
        contact=before.contact if before else None,
        connector="push",
        protocol="CloudEvents over HTTP",
        freshness_objective_s=int(SENDS_WITHIN.total_seconds()),
        observed_at=now,
        standards=("CloudEvents",),
        direction=Direction.READ,
        state=SystemState.RUNNING,
        last_success_at=seen.newest_at,
        newest_record_at=seen.newest_at,
        plans=seen.plans,
    )
