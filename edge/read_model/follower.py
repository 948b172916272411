"""Fills the file from Kafka: committed records only, positions in the transaction of the rows, anew when in doubt.

A file is made anew when its layout is another, its topics were made anew, a position is no longer in the log, or it was
away for so long that deletions may have been compacted away. Every process has a file and a follower of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from edge.read_model.layout import ALERTS, COLLECTIONS, LAYOUT, TOPIC_OF, check_sqlite, layout_of, remove
from edge.read_model.news import News
from edge.read_model.writing import Keep, Writer
from samenloop import clock
from samenloop.contract import Codec
from samenloop.errors import Retry
from samenloop.kafka.follow import Extent, Follow
from samenloop.logs import get_logger
from samenloop.settings import Kafka
from samenloop.stage import Partition

log = get_logger("edge")
T = TypeVar("T")

FOLLOWED = (*(TOPIC_OF[collection] for collection in COLLECTIONS), "subscriptions", ALERTS)
LONGEST_AWAY_SECONDS = 20 * 86_400.0
"""Kafka keeps deletions for 30 days; with a margin for slow cleaning."""
_AT_ONCE, _WAIT_SECONDS, _PRUNE_SECONDS, _AGAIN_SECONDS = 2000, 0.1, 60.0, 1.0


@dataclass(slots=True)
class _Progress:
    """How far the first reading is: *starts* and *ends* as they were at the start, *positions* as they are."""

    starts: dict[Partition, int] = field(default_factory=dict)
    ends: dict[Partition, int] = field(default_factory=dict)
    positions: Mapping[Partition, int] = field(default_factory=dict)
    caught_up: bool = False

    def remaining(self) -> int:
        """Return how many offsets are left; 0 once it was caught up."""
        left = (end - self.positions.get(place, self.starts[place]) for place, end in self.ends.items())
        return 0 if self.caught_up else sum(max(one, 0) for one in left)

    def told(self) -> str:
        """Return in words how far it is."""
        if not self.positions:
            return "the read model waits for Kafka or the registry"
        done = sum(min(self.positions[place], end) - self.starts[place] for place, end in self.ends.items())
        whole = sum(end - self.starts[place] for place, end in self.ends.items())
        return f"the read model is catching up: {done} of {whole}"


class Follower:
    """Follows the topics of the read model into the file at *path*. `run` belongs to one thread.

    *source* is the hub's URN. *turned* is called at every turn of the loop: a sign of life.
    """

    def __init__(
        self,
        kafka: Kafka,
        codec: Codec,
        path: Path,
        *,
        source: str,
        metric_crs: str,
        keep: Keep | None = None,
        news: News | None = None,
        turned: Callable[[], object] = bool,
    ) -> None:
        check_sqlite()
        self._kafka, self._codec, self._path = kafka, codec, path
        self._source, self._crs, self._keep = source, metric_crs, keep or Keep()
        self.news, self._turned = news or News(), turned
        self._progress = _Progress()

    def caught_up(self) -> bool:
        """Say whether the ends have been reached as they were at the start: the edge may then say that it is ready."""
        return self._progress.caught_up

    def awaited(self) -> str | None:
        """Return in words what is still awaited: `catching up: n of m` records; None once caught up."""
        return None if self._progress.caught_up else self._progress.told()

    def remaining(self) -> int:
        """Return how many offsets are left until what there was at the start is taken."""
        return self._progress.remaining()

    def run(self, stop: threading.Event) -> None:
        """Follow until *stop* is set. Waits for Kafka and the registry as long as they are away.

        Raises Retry("kafka.position-lost") when a topic was made anew meanwhile: the process starts again.
        """
        follow = Follow(self._kafka, FOLLOWED)
        try:
            writer = self._ready(follow, stop)
            if writer is not None:
                try:
                    self._follow(follow, writer, stop)
                finally:
                    writer.close()
        finally:
            follow.close()

    def _ready(self, follow: Follow, stop: threading.Event) -> Writer | None:
        """Open the file and begin where it stands, from empty when it cannot be gone on with."""
        extents = self._patiently(follow.extents, stop)
        if extents is None:
            return None
        self._progress.ends = {partition: extent.end for partition, extent in extents.items()}
        self._progress.starts = {partition: extent.start for partition, extent in extents.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        layout = layout_of(self._path)
        if layout != LAYOUT:
            self._anew("there is none yet" if layout is None else "it has another layout")
        writer = self._writer()
        why = _unfit(writer, extents, clock.now().timestamp())
        if why is not None:
            writer.close()
            self._anew(why)
            writer = self._writer()
        if not writer.positions():
            starts = {partition: extent.start for partition, extent in extents.items()}
            epochs = {partition: extent.epoch for partition, extent in extents.items()}
            writer.begin(epochs, starts, clock.now().timestamp())
        follow.begin({partition: position for partition, (_, position) in writer.positions().items()})
        self._progress.positions = follow.positions
        return writer

    def _follow(self, follow: Follow, writer: Writer, stop: threading.Event) -> None:
        pruned = time.monotonic()
        known = dict(follow.positions)
        while not stop.is_set():
            records = follow.poll(_AT_ONCE, _WAIT_SECONDS)
            positions = {place: at for place, at in follow.positions.items() if known[place] != at}
            if positions:
                now = clock.now().timestamp()
                if self._patiently(partial(writer.apply, records, positions, now), stop) is None:
                    return
                known |= positions
                self.news.tell()
            self._arrive(follow.positions)
            if time.monotonic() - pruned > _PRUNE_SECONDS and not writer.prune(clock.now().timestamp()):
                pruned = time.monotonic()
            self._turned()

    def _arrive(self, positions: Mapping[Partition, int]) -> None:
        progress = self._progress
        if not progress.caught_up and all(positions[place] >= end for place, end in progress.ends.items()):
            progress.caught_up = True
            log.info("edge.caught_up", "The read model has caught up with the topics.")

    def _patiently(self, do: Callable[[], T], stop: threading.Event) -> T | None:
        """Do it again for as long as the other side is away; None when told to stop."""
        while not stop.is_set():
            try:
                return do()
            except Retry as error:
                log.warning("edge.waiting", "The read model waits for Kafka or the registry.", code=error.code)
                self._turned()
                stop.wait(error.after_seconds or _AGAIN_SECONDS)
        return None

    def _anew(self, why: str) -> None:
        log.info("edge.rebuild", "The read model is made anew from the topics.", why=why)
        remove(self._path)

    def _writer(self) -> Writer:
        return Writer(self._path, self._codec, self._source, self._crs, self._keep)


def _unfit(writer: Writer, extents: Mapping[Partition, Extent], now: float) -> str | None:
    """Return why the file cannot be gone on with; None when it can, or is empty."""
    positions = writer.positions()
    if not positions:
        return None
    if positions.keys() != extents.keys():
        return "the topics have other partitions"
    if any(positions[place][0] != extent.epoch for place, extent in extents.items()):
        return "a topic was made anew"
    if any(not extent.start <= positions[place][1] <= extent.end for place, extent in extents.items()):
        return "a position is no longer in the log"
    if now - writer.fact("written", now) > LONGEST_AWAY_SECONDS:
        return "it was away for too long to have heard of every deletion"
    return None
