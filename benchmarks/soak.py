"""`python -m benchmarks.soak`: a day of a nation's changes in some minutes, and everything that a bad day brings.

A hub with standbys holds `--plans` plans. `--changes` changes of them, a day's worth, are spread over `--minutes`. Into
that come, one after the other: a bulk load of `--bulk` plans, a partner that is away, kill -9 of every process. Printed
in Markdown: the rate that was held, how long changes took in each part of the day, memory per process, how long it took
to catch up, and what was lost. Ends with 1 when something was lost or did not catch up.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks import soak_report
from benchmarks.hub import Measured, Register, event_id_of, running_hub
from benchmarks.load import Nation
from benchmarks.sights import Findings, Webhooks, send
from benchmarks.soak_watch import Watch, lost
from samenloop import clock
from samenloop.handshake import AGREED
from samenloop.kafka.clients import plain_producer
from samenloop.kafka.names import topic_on_wire
from samenloop.model import ChangeKind
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.settings import Kafka
from samenloop.stage import Output
from samenloop.subscription_life import begin
from samenloop.subscriptions import wish_of
from tests.chaos.fleet import Fleet

PARTNER = "00000099000000007001"
QUIET_SECONDS, LINGER_SECONDS = 5.0, 60.0
DELIVERY = {
    "allow_http": True,  # the partner is on this machine
    "allow_destinations": ["127.0.0.0/8"],
    "first_load_quiet_seconds": QUIET_SECONDS,
    "retry_seconds": [0, 1, 1, 2, 2, 5, 5, 5, 10, 10, 10, 20, 20, 60, 60, 60],
}
UPDATED = ChangeKind.UPDATED
KILLED = ("consolidate-0", "detect-0", "notify-0", "webhook-0")
PARTS = (("quiet", 0.0), ("bulk load", 0.2), ("partner away", 0.55), ("processes killed", 0.75))
"""What happens, and after which share of the minutes."""


@dataclass
class Course:
    """How the day went. *sent* says of each change in which part of the day and when, *waited* the milliseconds until
    it was seen, by sight and part; *caught_up* the seconds after the last change, None when it did not come about."""

    loaded_seconds: float | None = None
    sent: dict[str, tuple[str, float]] = field(default_factory=dict)
    waited: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)
    seconds: float = 0.0
    caught_up: float | None = None
    problems: list[str] = field(default_factory=list)

    def see(self, sight: str, seen: Iterator[tuple[str, float]]) -> None:
        """Note what *sight* saw; the first time of each change counts."""
        for event_id, at in seen:
            if event_id in self.sent and (sight, event_id) not in self.seen:
                self.seen.add((sight, event_id))
                part, when = self.sent[event_id]
                self.waited.setdefault(sight, {}).setdefault(part, []).append((at - when) * 1000)


def main() -> int:
    """Play the day, print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--plans", type=int, default=100_000)
    parser.add_argument("--bulk", type=int, default=100_000)
    parser.add_argument("--changes", type=int, default=86_400)
    asked = parser.parse_args()
    with running_hub(**DELIVERY) as measured, Receiver() as receiver:
        logs = measured.folder / "logs"
        logs.mkdir()
        _subscribe(measured, receiver)
        with Fleet(measured.folder / "hub.yaml", logs, []) as fleet:
            return _day(asked, measured, receiver, fleet)


def _day(asked: argparse.Namespace, measured: Measured, receiver: Receiver, fleet: Fleet) -> int:
    """Load, play, catch up, verify, print."""
    nation, register, arriving = Nation(asked.plans), Register(measured.codec), Register(measured.codec, "bulk")
    kafka, course, seconds = measured.hub.kafka, Course(), asked.minutes * 60
    changes = (output for batch in nation.changes(asked.changes) for output in register.outputs(batch, UPDATED))
    with Watch(measured, fleet) as watch:
        _say(f"first load of {asked.plans:,} plans")
        send(kafka, register.outputs(nation.everything(), ChangeKind.SNAPSHOT))
        course.loaded_seconds = watch.until_caught_up()
        time.sleep(2 * QUIET_SECONDS)
        watch.remember()
        bulk = Nation(asked.bulk, seed=2)
        steps: dict[str, Callable[[], None]] = {
            "bulk load": lambda: send(
                kafka, arriving.outputs(bulk.everything(), ChangeKind.SNAPSHOT), per_second=kafka.changes_per_second
            ),
            "partner away": lambda: _away(receiver, seconds * 0.1),
            "processes killed": lambda: _kill(fleet, seconds * 0.05),
        }
        with _Parts(watch, steps, seconds, asked.changes / seconds) as parts:
            _play(kafka, course, {"finding": Findings(kafka), "webhook": Webhooks(receiver)}, parts, changes)
        course.caught_up = watch.until_caught_up()
        _say("comparing with what was sent, and with another computation")
        course.problems = lost(measured, receiver, {**register.last, **arriving.last})
    _say(soak_report.text(asked, course, watch))
    return int(bool(course.problems) or course.caught_up is None)


class _Parts:
    """The parts of a day of so many *seconds*, in which *rate* changes come each second.

    Each part begins in its time, with its step in a thread of its own.
    """

    def __init__(self, watch: Watch, steps: Mapping[str, Callable[[], None]], seconds: float, rate: float) -> None:
        self._watch, self._steps, self.seconds, self.rate = watch, steps, seconds, rate
        self._ahead = list(PARTS)
        self._threads: list[threading.Thread] = []
        self._began = time.perf_counter()
        self.now = ""

    def __enter__(self) -> _Parts:
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join()

    def turn(self) -> float:
        """Begin the part whose time has come; returns the seconds since the day began."""
        passed = time.perf_counter() - self._began
        if self._ahead and passed >= self._ahead[0][1] * self.seconds:
            self.now = self._ahead.pop(0)[0]
            _say(f"{passed / 60:4.1f} min: {self.now}")
            self._watch.begin(self.now)
            if step := self._steps.get(self.now):
                self._threads.append(threading.Thread(target=step, name=self.now))
                self._threads[-1].start()
        return passed


def _play(
    kafka: Kafka, course: Course, sights: Mapping[str, Findings | Webhooks], parts: _Parts, changes: Iterator[Output]
) -> None:
    """Send *changes* evenly over the day, and look a while longer for what comes of the last ones."""
    producer, topic = plain_producer(kafka), topic_on_wire(kafka.prefix, "plan-changes")
    while (passed := parts.turn()) < parts.seconds + LINGER_SECONDS:
        while len(course.sent) < passed * parts.rate and (output := next(changes, None)) is not None:
            producer.produce(topic, output.value, output.key, headers=list(output.headers))
            course.sent[event_id_of(output)] = parts.now, time.perf_counter()
            course.seconds = passed
        producer.poll(0)
        for name, sight in sights.items():
            course.see(name, sight.seen())
        time.sleep(0.002)
    producer.flush(60)


def _subscribe(measured: Measured, receiver: Receiver) -> None:
    """Let a partner follow every plan of the nation."""
    add_partner(measured.hub, measured.codec, PARTNER, "Partner", now=clock.now())
    area = {"bbox": (0, 300_000, 300_000, 620_000), "crs": "EPSG:28992"}
    wish = wish_of({"subscriber": PARTNER, "sink": receiver.url, "area": area, "about": ["plans"]})
    _, receiver.secret = begin(measured.hub, measured.codec, wish, AGREED, now=clock.now())


def _away(receiver: Receiver, seconds: float) -> None:
    receiver.down = True
    time.sleep(seconds)
    receiver.down = False


def _kill(fleet: Fleet, pause_seconds: float) -> None:
    for name in KILLED:
        fleet.kill(name)
        time.sleep(pause_seconds)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
