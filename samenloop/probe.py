"""A synthetic plan that walks the whole way, so that the hub is known to work when no partner says anything.

One plan, always the same: `<hub's system probe>:plan:probe`. It is of a kind that is never matched, has no place, is
RESTRICTED and belongs to an organisation that nobody is: no partner can see it, no finding and no alert comes of it,
and state holds it once. Each probe is a change of it like any other, so every account holds with it too.

A stage is done with a probe when its output is there (`consolidate`: the plan's state) or, where there is none, when it
has committed the position behind the plan's row (`detect`, `notify`). What a stage is not done with in time is lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import Final

from samenloop import clock, identity, metrics
from samenloop.content_hash import content_hash
from samenloop.contract import Codec
from samenloop.errors import BadSettings, Reject, Retry
from samenloop.kafka import Publisher
from samenloop.kafka.follow import Follow
from samenloop.kafka.onlooker import Onlooker
from samenloop.logs import get_logger
from samenloop.model import (
    ChangeKind,
    Organisation,
    Origin,
    Plan,
    PlanChanged,
    PlanKind,
    Validity,
    Visibility,
)
from samenloop.settings import Hub
from samenloop.source_account import change_output
from samenloop.stage import Partition, Record

OWNER: Final = Organisation("urn:samenloop:org:samenloop-probe", "Samenloop probe")
RECORDED_AT: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Of every probe: with the clock `event` the newest recorded day is today, and a probe must not move it."""
STAGES: Final = ("detect", "notify")
ROWS: Final[Partition] = ("plan-regions", 0)
_LOOK_SECONDS, _CLOSE_SECONDS, _AT_ONCE = 0.02, 2.0, 500
_log = get_logger("probe")


def probe_system(oin: str) -> str:
    """Return the system that probes of the hub of *oin* come from."""
    return identity.system_urn(oin, "probe")


def probe_id(oin: str) -> str:
    """Return the id of the probe's plan."""
    return identity.plan_id(probe_system(oin), "probe")


def probe_change(oin: str, now: datetime) -> PlanChanged:
    """Return the probe of *now*: a change that no other probe repeats."""
    plan = Plan(
        id=probe_id(oin),
        system=probe_system(oin),
        local_id="probe",
        owner=OWNER,
        title=f"Probe of {now.isoformat()}",
        kind=PlanKind.OBSERVATION,
        visibility=Visibility.RESTRICTED,
    )
    event_id = identity.uuid_text("probe", plan.id, now.isoformat())
    return PlanChanged(
        plan_id=plan.id,
        change=ChangeKind.UPDATED,
        validity=Validity(RECORDED_AT),
        recorded_at=RECORDED_AT,
        ingested_at=now,
        origin=Origin(oin, plan.system, event_id),
        changed_fields=("/title",),
        content_hash=content_hash(plan),
        plan=plan,
    )


def run_probe(hub: Hub, codec: Codec, stop: threading.Event, *, on_ready: Callable[[], object]) -> None:
    """Send a probe every so many seconds until *stop* is set. Raises BadSettings for a hub that may not speak itself.

    While Kafka is away probes are lost, which is what they are for.
    """
    try:
        identity.check_oin(hub.hub.oin, allow_test=hub.hub.allow_test_oin)
    except Reject as error:
        raise BadSettings([f"hub.oin: {error.detail}"]) from error
    publisher = Publisher(hub.kafka, acknowledge_seconds=hub.probe.lost_after_seconds)
    metrics.PRODUCER_RECORDS_TOTAL.start(topic="plan-changes")
    walk = Walk(hub, codec, publisher)
    try:
        while not stop.is_set():
            began = time.monotonic()
            if walk.once(stop):
                on_ready()
            stop.wait(max(hub.probe.every_seconds - (time.monotonic() - began), 0.0))
    finally:
        publisher.close(_CLOSE_SECONDS)


class Walk:
    """One probe after the other; called from one thread."""

    def __init__(self, hub: Hub, codec: Codec, publisher: Publisher) -> None:
        self._hub, self._codec, self._publisher = hub, codec, publisher
        self._plan_id = probe_id(hub.hub.oin)

    def once(self, stop: threading.Event) -> bool:
        """Send one probe and count for each stage how long it took; say whether Kafka took part.

        A probe that is under way when *stop* is set is neither seen nor lost.
        """
        change = probe_change(self._hub.hub.oin, clock.now())
        began, answered, seen = time.monotonic(), True, dict[str, float]()
        try:
            with ExitStack() as opened:
                self._walk(change, began, seen, opened, stop)
        except Retry as error:
            answered = False
            _log.warning("probe.waiting", "Kafka does not answer; the probe is lost.", detail=error.detail)
        for stage, seconds in seen.items():
            metrics.PROBE_ROUNDTRIP_SECONDS.labels(pipeline=stage).observe(seconds)
        lost = [stage for stage in metrics.PROBE_PIPELINE if stage not in seen]
        if lost and not stop.is_set():
            for stage in lost:
                metrics.PROBE_LOST_TOTAL.labels(pipeline=stage).inc()
            _log.warning("probe.lost", "A stage was not done with the probe in time.", stages=lost,
                         event_id=change.origin.event_id, plan_id=self._plan_id)  # fmt: skip
        return answered

    def _walk(
        self, change: PlanChanged, began: float, seen: dict[str, float], opened: ExitStack, stop: threading.Event
    ) -> None:
        until = began + self._hub.probe.lost_after_seconds
        kafka = self._hub.kafka
        onlookers = {name: opened.enter_context(closing(Onlooker(kafka, name, ROWS))) for name in STAGES}
        follow = opened.enter_context(closing(Follow(kafka, ("plan-states", ROWS[0]))))
        follow.begin({place: extent.end for place, extent in follow.extents().items()})
        sent = time.monotonic()
        taken = self._publisher.send([change_output(self._codec, change)])
        while not (taken.done() or stop.is_set()):
            stop.wait(_LOOK_SECONDS)
        if stop.is_set():
            return
        taken.result()
        behind: int | None = None
        while len(seen) < len(metrics.PROBE_PIPELINE) and time.monotonic() < until and not stop.is_set():
            for record in follow.poll(_AT_ONCE, _LOOK_SECONDS):
                if self._caused(record, change):
                    if record.topic == ROWS[0]:
                        behind = record.offset + 1
                    else:
                        seen["consolidate"] = time.monotonic() - sent
            if behind is not None:
                self._ask(onlookers, behind, sent, seen)

    def _ask(self, onlookers: Mapping[str, Onlooker], behind: int, sent: float, seen: dict[str, float]) -> None:
        for stage, onlooker in onlookers.items():
            if stage not in seen and onlooker.committed() >= behind:
                seen[stage] = time.monotonic() - sent

    def _caused(self, record: Record, change: PlanChanged) -> bool:
        """Whether a state or row is what became of *change*."""
        if record.key != self._plan_id or record.value is None:
            return False
        value = self._codec.decode(record.topic, record.value, record.headers)
        cause = value.cause_id if record.topic == ROWS[0] else value.event_id
        return bool(cause == change.origin.event_id)
