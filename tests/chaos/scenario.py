"""Rounds: exports are delivered, troubles happen, and then everything must be as if nothing had."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samenloop.errors import Retry
from tests.chaos.fleet import Fleet
from tests.chaos.troubles import Trouble
from tests.chaos.world import World

HEAL_SECONDS = 120.0
_LOOK_EVERY_SECONDS = 1.0
_NEARLY_DONE = 40
"""Offsets that a reader never reaches: markers at the ends of 13 partitions. Aborted records may be many more."""


@dataclass(frozen=True)
class Round:
    """What happened in one round. *problems* is empty when all was well in the end."""

    name: str
    plans: int
    findings: int
    alerts: int
    seconds: float
    healed_seconds: float
    problems: list[str]


def run(world: World, fleet: Fleet, rounds: Sequence[tuple[str, Sequence[Trouble]]]) -> Iterator[Round]:
    """Play *rounds*: in each the next exports are delivered while its troubles happen; yields after each."""
    for name, troubles in rounds:
        began = time.monotonic()
        feeding = threading.Thread(target=_feed, args=(world,), daemon=True)
        feeding.start()
        for trouble in troubles:
            trouble(world, fleet)
        feeding.join()
        calm = time.monotonic()
        problems = heal(world, fleet)
        now = time.monotonic()
        found = [finding for finding in world.findings() if finding.status == "OPEN"]
        plans = sum(len(feed.plans()) for feed in world.feeds)
        yield Round(name, plans, len(found), len(world.receiver.ids), now - began, now - calm, problems)


def heal(world: World, fleet: Fleet) -> list[str]:
    """Wait until nothing differs from what the batch differ and the batch oracle say; return what still does."""
    expected = world.expected_plans()

    before: list[int] = []

    def problems() -> list[str]:
        """The whole comparison is dear: it waits until reading has come to rest, at the end or elsewhere."""
        before.append(world.behind)
        if before[-1] > _NEARLY_DONE and before[-1] != before[0]:
            before[:] = before[-1:]
            return [f"{before[-1]} are not read yet"]
        return world.problems(expected)

    left = _until_none(problems)
    fleet.bury()
    return left


def delivered(world: World) -> list[str]:
    """Wait until every alert has exactly one final receipt and the receiver has it; return what is not so."""
    return _until_none(world.undelivered)


def _until_none(problems: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + HEAL_SECONDS
    while True:
        try:
            left = problems()
        except Retry as error:
            left = [str(error)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(_LOOK_EVERY_SECONDS)


def _feed(world: World) -> None:
    """One real export, and a burst of invented ones."""
    for feed in world.feeds:
        feed.deliver()
    for _ in range(2):
        time.sleep(1.5)
        world.feeds[-1].deliver()


def logs_of(folder: Path, lines: int = 15) -> str:
    """Return the last *lines* of what each process said."""
    tails = []
    for log in sorted(folder.glob("*.log")):
        last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        tails.append("\n".join([f"== {log.stem}", *(line[:600] for line in last)]))
    return "\n".join(tails)
