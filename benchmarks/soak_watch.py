"""What is watched while a hub works: how far its stages are behind, the memory of its processes, and what is lost."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from benchmarks.hub import Measured
from samenloop.errors import Retry
from samenloop.kafka import read_topic
from samenloop.kafka.groups import group_lag
from samenloop.model import Outcome
from samenloop.receiver import Receiver
from tests.chaos.fleet import Fleet

READS = {
    "consolidate": ["plan-changes"],
    "detect": ["plan-regions"],
    "notify": ["plan-regions", "conflicts", "opportunities"],
    "webhook": ["alerts"],
}
CATCH_UP_SECONDS = 1800.0
_MARKERS = 2
"""Offsets of a partition that nobody reads: the markers of its last transactions."""
_UNDER_WAY = 1000
"""Records behind that are no delay: they lie in batches that are not committed yet."""
_KILOBYTES = 1024


class Watch:
    """Looks every second; a context manager. Times are seconds of `time.perf_counter`."""

    def __init__(self, measured: Measured, fleet: Fleet) -> None:
        self._measured, self._fleet = measured, fleet
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self.behind = 0
        self.most_behind: dict[str, int] = {}
        self.caught_up: dict[str, float] = {}
        self.memory_before: dict[str, float] = {}
        self.memory: dict[str, float] = {}
        self.memory_most: dict[str, float] = {}
        self._part = ""
        self._began = 0.0
        self.looks = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def begin(self, part: str) -> None:
        """A part of the day begins: from now on count how far behind it gets, and when that is over."""
        self.most_behind[part], self.caught_up[part] = self.behind, 0.0
        self._part, self._began = part, time.perf_counter()

    def remember(self) -> None:
        """Take what processes hold now as what they hold before the day."""
        self.memory_before = self._resident()

    def until_caught_up(self) -> float | None:
        """Wait until every stage has read all there is; the seconds that took, None when it did not come about."""
        began = time.perf_counter()
        while time.perf_counter() - began < CATCH_UP_SECONDS:
            looked = self.looks
            while self.looks < looked + 2:  # the first of them may have begun before now
                if not self._thread.is_alive():
                    raise RuntimeError("nobody watches any more")
                time.sleep(0.1)
            if self.behind == 0:
                return time.perf_counter() - began
        return None

    def _look(self) -> None:
        while not self._over.wait(1):
            try:
                lags = [
                    lag for group, topics in READS.items() for lag in group_lag(self._measured.hub.kafka, group, topics)
                ]
            except Retry:
                continue
            self.behind = sum(max(0, lag.behind - _MARKERS) for lag in lags)
            part, now = self._part, time.perf_counter()
            if part:
                self.most_behind[part] = max(self.most_behind.get(part, 0), self.behind)
                if self.behind > _UNDER_WAY:
                    self.caught_up[part] = now - self._began
            self.memory = self._resident()
            for name, held in self.memory.items():
                self.memory_most[name] = max(self.memory_most.get(name, 0), held)
            self.looks += 1

    def _resident(self) -> dict[str, float]:
        pids = {name: member.process.pid for name, member in self._fleet.members.items() if member.process}
        pids |= dict(zip(("broker", "registry"), self._measured.stack.pids, strict=False))
        return {name: held for name, pid in pids.items() if (held := _resident_megabytes(pid))}


def _resident_megabytes(pid: int) -> float:
    """Resident memory of a process, 0 when it has ended. source: proc(5), VmRSS of status."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / _KILOBYTES for line in lines if line.startswith("VmRSS")), 0.0)


def lost(measured: Measured, receiver: Receiver, last: Mapping[str, tuple[int, bool]]) -> list[str]:
    """Return what is missing: plans by what was sent, findings by `samenloop verify`, alerts by their receipts."""
    return [*_states(measured, last), *_verified(measured), *_alerts(measured, receiver)]


def _states(measured: Measured, last: Mapping[str, tuple[int, bool]]) -> list[str]:
    held: dict[str, int] = {}
    for record in read_topic(measured.hub.kafka, "plan-states"):
        state = record.value and measured.codec.decode("plan-states", record.value, record.headers)
        if state and state.plan is not None:
            held[record.key] = state.sequence
        else:
            held.pop(record.key, None)
    expected = {plan_id: sequence for plan_id, (sequence, there) in last.items() if there}
    wrong = [plan_id for plan_id in expected.keys() | held.keys() if expected.get(plan_id) != held.get(plan_id)]
    return [f"{len(wrong):,} plans are not at their last change, such as {wrong[0]}"] if wrong else []


def _verified(measured: Measured) -> list[str]:
    command = [sys.executable, "-m", "samenloop.cli", "verify", "--json", "--patience", "300"]
    command += ["--config", str(measured.folder / "hub.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return []
    said = json.loads(done.stdout) if done.stdout.startswith("{") else done.stderr
    return [f"samenloop verify ended with {done.returncode}: {str(said)[:1500]}"]


def _alerts(measured: Measured, receiver: Receiver) -> list[str]:
    kafka, codec = measured.hub.kafka, measured.codec
    alerts = {codec.decode("alerts", r.value, r.headers).id for r in read_topic(kafka, "alerts") if r.value}
    receipts = [codec.decode("receipts", r.value, r.headers) for r in read_topic(kafka, "receipts") if r.value]
    final = Counter(receipt.alert_id for receipt in receipts if receipt.outcome is not Outcome.RETRY)
    arrived = receiver.ids
    taken = {r.alert_id for r in receipts if r.outcome in (Outcome.DELIVERED, Outcome.ACCEPTED)}
    found = {
        "alerts without exactly one final receipt": [alert for alert in alerts if final[alert] != 1],
        "alerts delivered by their receipt that the partner lacks": [a for a in taken if str(a) not in arrived],
    }
    if not alerts:
        return ["there is no alert at all"]
    return [f"{len(which):,} {words}" for words, which in found.items() if which]
