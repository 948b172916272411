"""What the lag exporter shows: figures that age, transactions that hang, nothing that jumps."""

from __future__ import annotations

import pytest

from samenloop import metrics
from samenloop.errors import Retry
from samenloop.kafka.brokers import Said, Volume
from samenloop.kafka.survey import Log, Members, Reading, Sight
from samenloop.lag_exporter import Disks, Shown

PLACE = ("plan-regions", 0)
LABELS = {"topic": "plan-regions", "partition": "0"}


class Clock:
    """A clock that stands still until it is moved."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def sight(*, stable: int = 9, committed: int | None = 4, records: int = 5, oldest: float | None = 990.0) -> Sight:
    return Sight(
        {PLACE: Log(0, stable, 9)},
        {("detect", PLACE): Reading(committed, records, oldest)},
        {"detect": Members(2, 1)},
    )


def lag() -> float:
    return float(metrics.CONSUMER_LAG_SECONDS.labels(group="detect", **LABELS)._value.get())


def open_since() -> float:
    return float(metrics.TRANSACTION_OPEN_SINCE_TIMESTAMP_SECONDS.labels(**LABELS)._value.get())


def test_ages_go_on_when_nothing_is_heard() -> None:
    """A figure that no longer moves keeps ageing at each scrape, and the last refresh says since when."""
    clock = Clock()
    shown = Shown(clock)
    shown.take(sight())
    first = lag()
    clock.seconds = 1060.0
    shown.age()

    assert (first, lag()) == (10.0, 70.0)
    assert metrics.LAG_LAST_REFRESH_TIMESTAMP_SECONDS.labels()._value.get() == 1000.0
    assert metrics.CONSUMER_UNOWNED_PARTITIONS.labels(group="detect")._value.get() == 1
    assert metrics.CONSUMER_COMMITTED_OFFSET.labels(group="detect", **LABELS)._value.get() == 4


def test_what_was_not_found_out_in_time_keeps_its_age() -> None:
    """Who is behind never looks done for want of a timestamp; who is done has no lag."""
    clock = Clock()
    shown = Shown(clock)
    shown.take(sight())
    shown.take(sight(committed=6, records=3, oldest=None))
    unknown = lag()
    shown.take(sight(committed=9, records=0, oldest=None))

    assert (unknown, lag()) == (10.0, 0.0)


def test_a_transaction_hangs_while_its_offset_stands_still() -> None:
    """Since when it is open is known while the stable offset does not move; one that follows another is a new one."""
    clock = Clock()
    shown = Shown(clock)
    seen = []
    for seconds, stable in ((1000.0, 5), (1030.0, 5), (1040.0, 7), (1050.0, 9), (1060.0, 5)):
        clock.seconds = seconds
        shown.take(sight(stable=stable))
        seen.append(open_since())

    assert seen == [1000.0, 1000.0, 1040.0, 0.0, 1060.0]


class Brokers:
    """Brokers that tell their volumes, or refuse."""

    volumes: tuple[Volume, ...] | None = None
    asked = 0

    def __call__(self) -> Said:
        self.asked += 1
        if self.volumes is None:
            raise Retry("kafka.unavailable", "not now")
        return Said(None, self.volumes)


def test_disks_are_asked_for_once_a_minute_and_what_is_not_told_any_more_is_gone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A figure of a disk never outlives the answer that it came from, and no answer is said once, not every minute."""
    brokers, clock = Brokers(), Clock()
    disks, seen = Disks(brokers, clock), []
    here, there = Volume(1, "/kafka", 1000, 300), Volume(2, "/kafka", 1000, 50)
    for volumes in ((here, there), (here,), None, None):
        brokers.volumes = volumes
        disks.look()
        clock.seconds += 59.0
        disks.look()
        clock.seconds += 1.0
        families = metrics.REGISTRY.collect()
        free = next(one for one in families if one.name == "samenloop_broker_disk_free_bytes")
        seen.append({sample.labels["broker"]: sample.value for sample in free.samples})

    assert seen == [{"1": 300, "2": 50}, {"1": 300}, {}, {}]
    assert brokers.asked == 4
    assert capsys.readouterr().err.count("lag.disks_unknown") == 1
