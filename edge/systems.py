"""The overview of IT systems in use, kept live from the topic `sources`."""

from __future__ import annotations

from collections.abc import Iterable

from samenloop.contract import Codec
from samenloop.errors import Reject
from samenloop.logs import get_logger
from samenloop.model import SourceStatus
from samenloop.stage import Record

_log = get_logger("edge")


class Systems:
    """The last status of every system. Written by the thread that follows, read by many."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._last: dict[str, SourceStatus] = {}

    def hear(self, records: Iterable[Record]) -> None:
        """Take over statuses; null is a system that is forgotten, and one that cannot be read is left out."""
        last = dict(self._last)
        for record in records:
            last.pop(record.key, None)
            if record.value is None:
                continue
            try:
                last[record.key] = self._codec.decode("sources", record.value, record.headers)
            except Reject as error:
                _log.warning("view.unreadable", "A record cannot be read and is not counted.", topic="sources",
                             offset=record.offset, code=error.code)  # fmt: skip
        self._last = last

    def statuses(self) -> list[SourceStatus]:
        """Return them as they are now."""
        return list(self._last.values())
