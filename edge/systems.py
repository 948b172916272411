"""The overview of IT systems in use: those that are read, kept live from the topic `sources`, and those that send."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from edge.read_model import SystemSeen
from samenloop.contract import Codec
from samenloop.identity import system_oin
from samenloop.model import Direction, Organisation, SourceStatus, SystemState
from samenloop.stage import Record
from samenloop.systems import heard

SENDS_WITHIN = timedelta(days=31)
"""Who sends by itself owes nobody a rhythm; after so long without a word it is called late."""


class Systems:
    """The last status of every system. Written by the thread that follows, read by many.

    *unlisted* is a system of the hub itself, that of its probe.
    """

    def __init__(self, codec: Codec, unlisted: str | None = None) -> None:
        self._codec = codec
        self._unlisted = unlisted
        self._last: dict[str, SourceStatus] = {}

    def hear(self, records: Iterable[Record]) -> None:
        """Take over statuses as `samenloop.systems.heard` does."""
        self._last = heard(self._last, records, self._codec)

    def statuses(
        self, seen: Iterable[SystemSeen], name_of: Callable[[str], str | None], now: datetime
    ) -> list[SourceStatus]:
        """Return the systems that are read as the view last told, and of those *seen* in the read model the others.

        Nobody polls these, so that they send is known by what they sent. *name_of* gives the name of a partner by OIN.
        """
        read = self._last
        others = (one for one in seen if one.system not in read and one.system != self._unlisted)
        return [*read.values(), *(_sender(one, name_of, now) for one in others)]


def _sender(seen: SystemSeen, name_of: Callable[[str], str | None], now: datetime) -> SourceStatus:
    oin = system_oin(seen.system)
    return SourceStatus(
        system=seen.system,
        owner=Organisation(oin, name_of(oin)),
        name=seen.system.rpartition(":")[2],
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
