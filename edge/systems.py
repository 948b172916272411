"""The overview of IT systems in use, kept live from the topic `sources`."""

from __future__ import annotations

from collections.abc import Iterable

from samenloop.contract import Codec
from samenloop.model import SourceStatus
from samenloop.stage import Record
from samenloop.systems import heard


class Systems:
    """The last status of every system. Written by the thread that follows, read by many."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._last: dict[str, SourceStatus] = {}

    def hear(self, records: Iterable[Record]) -> None:
        """Take over statuses as `samenloop.systems.heard` does."""
        self._last = heard(self._last, records, self._codec)

    def statuses(self) -> list[SourceStatus]:
        """Return them as they are now."""
        return list(self._last.values())
