"""A process of its own that watches conservation, so that it speaks when the workers are dead.

It only reads: no group, no commit. What it holds is bounded: the ids of one hour of one partition. A day's hours are
judged at its start, then each hour half an hour after its end; what does not add up is judged again every time until it
does, or is a day old.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from samenloop import clock, metrics
from samenloop.conservation import PIPELINES, Account
from samenloop.contract import Codec
from samenloop.errors import Retry
from samenloop.kafka.window import Window
from samenloop.logs import get_logger
from samenloop.reconcile import Reconciler
from samenloop.settings import Hub

HOUR = timedelta(hours=1)
JUDGED_AFTER = timedelta(minutes=30)
"""How long after its end an hour is judged: what takes longer is for the lag alerts to tell."""
LOOK_BACK = timedelta(hours=24)
LOOK_EVERY_SECONDS = 10.0
_log = get_logger("conservation")


def run_watch(hub: Hub, codec: Codec, stop: threading.Event, *, on_ready: Callable[[], object]) -> None:
    """Watch until *stop* is set; while Kafka is away it waits for it. *on_ready*: the last day is judged."""
    hours = Hours(lambda start, end, now: _judge(hub, codec, start, end, now))
    while not stop.is_set():
        try:
            hours.turn(clock.now())
            on_ready()
        except Retry as error:
            _log.warning("conservation.waiting", "Kafka does not answer; the hour waits.", code=error.code)
        stop.wait(LOOK_EVERY_SECONDS)


def _judge(hub: Hub, codec: Codec, start: datetime, end: datetime, now: datetime) -> list[Account]:
    with Window(hub.kafka) as window:
        return Reconciler(hub, codec, window).accounts(start, end, now=now)


class Hours:
    """Which stretch is judged when. *judge* returns the accounts of what Kafka took from *start* to *end*."""

    def __init__(self, judge: Callable[[datetime, datetime, datetime], list[Account]]) -> None:
        self._judge = judge
        self._judged: datetime | None = None
        self._open: list[tuple[datetime, datetime]] = []

    def turn(self, now: datetime) -> None:
        """Judge the hour that is due, and again what did not add up before."""
        end = (now - JUDGED_AFTER).replace(minute=0, second=0, microsecond=0)
        if self._judged is not None and end <= self._judged:
            return
        start = self._judged or end - LOOK_BACK
        stretches = [*self._open, (start, end)]
        found = [(stretch, self._judge(*stretch, now)) for stretch in stretches]
        self._judged = end
        self._open = [
            stretch
            for stretch, accounts in found
            if any(account.missing for account in accounts) and stretch[1] > end - LOOK_BACK
        ]
        self._show(found, end)

    def _show(self, found: Iterable[tuple[tuple[datetime, datetime], list[Account]]], end: datetime) -> None:
        missing: Counter[str] = Counter()
        for (start, until), accounts in found:
            for account in accounts:
                missing[account.pipeline] += account.missing
                if account.missing:
                    _log.error(
                        "conservation.broken",
                        "Records are not accounted for; `samenloop verify` tells more.",
                        pipeline=account.pipeline,
                        since=start.isoformat(),
                        until=until.isoformat(),
                        records=account.missing,
                        ids=[difference.id for difference in account.differences[:10]],
                    )
        for pipeline in PIPELINES:
            metrics.RECONCILIATION_DIFFERENCE_RECORDS.labels(pipeline=pipeline).set(missing[pipeline])
        metrics.RECONCILIATION_JUDGED_TIMESTAMP_SECONDS.labels().set(end.timestamp())
