"""A process of its own that shows how far every group is, so that it speaks when the workers are dead.

It joins no group and commits nothing. It asks Kafka every few seconds (`samenloop.kafka.survey`); a scrape is answered
from what was last heard, with ages computed at that moment, so that a figure which no longer moves keeps ageing.
`samenloop_lag_last_refresh_timestamp_seconds` says when all of it was heard last.

The room on the brokers' disks is shown too, where they tell it, and so are dead letters that wait. The letters
need the registry to be read; lag does not, and goes on without it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from samenloop import clock, dead_letters, metrics
from samenloop.contract import INTERNAL, TOPICS, Codec
from samenloop.errors import Retry
from samenloop.kafka.brokers import Said, Volume, ask_brokers
from samenloop.kafka.survey import Reading, Sight, Survey
from samenloop.kafka.tail import Tail
from samenloop.kafka.topics import inputs_of_groups
from samenloop.letters_watch import Letters
from samenloop.logs import get_logger
from samenloop.settings import Hub
from samenloop.stage import Partition

_DISKS_SECONDS = 60.0
_log = get_logger("lag-exporter")


def run_lag_exporter(
    hub: Hub, codec: Callable[[], Codec], stop: threading.Event, *, on_ready: Callable[[], object]
) -> None:
    """Ask and show until *stop* is set. Waits for Kafka, and for the registry, for as long as they are away."""
    groups = inputs_of_groups()
    survey = Survey(hub.kafka, [*TOPICS.values(), *INTERNAL.values()], groups)
    shown, disks, letters = Shown(), Disks(partial(ask_brokers, hub.kafka)), _Waiting(hub, codec, groups)
    metrics.at_scrape(shown.age)
    try:
        while not stop.is_set():
            try:
                shown.take(survey.look())
                on_ready()
                disks.look()
            except Retry as error:
                _log.warning("lag.waiting", "Kafka does not answer; the figures stand still.", detail=error.detail)
            letters.look()
            stop.wait(hub.lag_exporter.refresh_seconds)
    finally:
        survey.close()
        letters.close()


class Shown:
    """What is on the gauges. Taken by one thread, aged by the one that serves a scrape."""

    def __init__(self, now: Callable[[], float] = lambda: clock.now().timestamp()) -> None:
        self._now = now
        self._readings: dict[tuple[str, Partition], Reading] = {}
        self._open: dict[Partition, tuple[int, float]] = {}

    def take(self, sight: Sight) -> None:
        """Show a round that is complete."""
        now = self._now()
        for (topic, number), log in sight.logs.items():
            place = {"topic": topic, "partition": str(number)}
            metrics.TOPIC_START_OFFSET.labels(**place).set(log.start)
            metrics.TOPIC_STABLE_OFFSET.labels(**place).set(log.stable)
            metrics.TOPIC_END_OFFSET.labels(**place).set(log.end)
            since = self._open_since((topic, number), log.stable, now) if log.stable < log.end else 0.0
            if not since:
                self._open.pop((topic, number), None)
            metrics.TRANSACTION_OPEN_SINCE_TIMESTAMP_SECONDS.labels(**place).set(since)
        for group, members in sight.members.items():
            metrics.CONSUMER_MEMBERS.labels(group=group).set(members.workers)
            metrics.CONSUMER_UNOWNED_PARTITIONS.labels(group=group).set(members.unowned)
        for (group, (topic, number)), reading in sight.readings.items():
            place = {"group": group, "topic": topic, "partition": str(number)}
            metrics.CONSUMER_LAG_RECORDS.labels(**place).set(reading.records)
            if reading.committed is not None:
                metrics.CONSUMER_COMMITTED_OFFSET.labels(**place).set(reading.committed)
        self._readings = {key: self._aged(key, reading) for key, reading in sight.readings.items()}
        metrics.LAG_LAST_REFRESH_TIMESTAMP_SECONDS.labels().set(now)
        self.age()

    def age(self) -> None:
        """Show how old the oldest unprocessed record of each group is now."""
        now = self._now()
        for (group, (topic, number)), reading in self._readings.items():
            seconds = 0.0 if reading.oldest is None else max(now - reading.oldest, 0.0)
            metrics.CONSUMER_LAG_SECONDS.labels(group=group, topic=topic, partition=str(number)).set(seconds)

    def _aged(self, key: tuple[str, Partition], reading: Reading) -> Reading:
        """What was not found out in time is at least as new as what was known before."""
        before = self._readings.get(key)
        if reading.records and reading.oldest is None and before is not None:
            return Reading(reading.committed, reading.records, before.oldest)
        return reading

    def _open_since(self, place: Partition, stable: int, now: float) -> float:
        """A transaction is the same one for as long as the stable offset stands still."""
        before = self._open.get(place)
        if before is None or before[0] != stable:
            before = self._open[place] = (stable, now)
        return before[1]


class Disks:
    """The volumes of the brokers' logs, asked for once a minute. What was told last stays no longer than it is told."""

    def __init__(self, ask: Callable[[], Said], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask, self._monotonic = ask, monotonic
        self._next = monotonic()
        self._known: set[tuple[str, str]] = set()
        self._told = True

    def look(self) -> None:
        """Ask again when it is time. A broker that does not tell is no reason to show no lag."""
        if self._monotonic() < self._next:
            return
        self._next = self._monotonic() + _DISKS_SECONDS
        try:
            volumes = self._ask().volumes
        except Retry as error:
            volumes, detail = (), error.detail
        else:
            detail = "this principal lacks Describe on the cluster, or the broker is older than Kafka 3.3"
        if self._told and not volumes:
            _log.warning("lag.disks_unknown", "The brokers do not tell how full their disks are.", detail=detail)
        self._told = bool(volumes)
        self._show(volumes)

    def _show(self, volumes: Sequence[Volume]) -> None:
        for volume in volumes:
            place = {"broker": str(volume.broker), "folder": volume.path}
            metrics.BROKER_DISK_SIZE_BYTES.labels(**place).set(volume.total)
            metrics.BROKER_DISK_FREE_BYTES.labels(**place).set(volume.usable)
        known = {(str(volume.broker), volume.path) for volume in volumes}
        for broker, folder in self._known - known:
            metrics.BROKER_DISK_SIZE_BYTES.forget(broker=broker, folder=folder)
            metrics.BROKER_DISK_FREE_BYTES.forget(broker=broker, folder=folder)
        self._known = known


class _Waiting:
    """The dead letters, followed from when the registry and Kafka can first be asked."""

    def __init__(self, hub: Hub, codec: Callable[[], Codec], groups: Mapping[str, Sequence[str]]) -> None:
        self._hub, self._codec = hub, codec
        self._known = {*hub.sources, *(topic for inputs in groups.values() for topic in inputs if topic in TOPICS)}
        self._since = clock.now()
        self._tail: Tail | None = None
        self._letters: Letters | None = None

    def look(self) -> None:
        """Take in what is new."""
        try:
            if self._letters is None:
                self._begin()
            elif self._tail is not None:
                self._letters.take(self._tail.poll())
        except Retry as error:
            _log.warning("lag.letters_waiting", "Dead letters cannot be counted yet.", code=error.code,
                         detail=error.detail)  # fmt: skip

    def close(self) -> None:
        """Give the connection back."""
        if self._tail is not None:
            self._tail.close()

    def _begin(self) -> None:
        letters = Letters(self._codec(), since=self._since, known=self._known)
        tail = Tail(self._hub.kafka, ("dead-letters", dead_letters.TOPIC))
        try:
            letters.take(tail.catch_up())
        except Retry:
            tail.close()
            raise
        self._letters, self._tail = letters, tail
        metrics.at_scrape(letters.show)
        for topic in self._known:
            metrics.DLQ_REPLAYED_TOTAL.start(topic=topic)
