"""`python -m tests.chaos --rounds N`: the same troubles in random order and company, for as long as wanted."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.chaos import troubles
from tests.chaos.feeds import Feed, burst, worksites
from tests.chaos.fleet import Fleet
from tests.chaos.scenario import delivered, logs_of, run
from tests.chaos.troubles import Trouble
from tests.chaos.world import world

REPOSITORY = Path(__file__).parents[2]
HEAD = ("round", "plans", "findings", "alerts", "seconds", "healed", "result")
WIDTHS = (58, 6, 9, 7, 8, 7, 6)


def main() -> int:
    """Play the rounds, print a row for each; 1 when something was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    arguments = parser.parse_args()
    say(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="samenloop-chaos-") as folder:
        return play(Path(folder), arguments.rounds, random.Random(arguments.seed))


def play(folder: Path, rounds: int, chance: random.Random) -> int:
    """Play *rounds* in *folder*."""
    logs = folder / "logs"
    logs.mkdir()
    feeds = [*real(folder), burst(folder / "burst", 4 * rounds + 4, seed=chance.randrange(10_000))]
    failed = False
    with world(folder, feeds) as hub, Fleet(hub.config, logs, [feed.name for feed in feeds]) as fleet:
        row(*HEAD)
        for done in run(hub, fleet, [("first load", ()), *drawn(chance, rounds)]):
            failed |= bool(done.problems)
            result = "WRONG" if done.problems else "equal"
            seconds, healed = f"{done.seconds:.0f}", f"{done.healed_seconds:.0f}"
            row(done.name, done.plans, done.findings, done.alerts, seconds, healed, result)
            for problem in done.problems[:5]:
                say(f"    {problem}")
        lost = delivered(hub)
        failed |= bool(lost)
        say(f"alerts: {len(hub.receiver.ids)} delivered, {len(hub.receiver.messages)} sent")
        say(f"alerts that went wrong: {lost[:5] or 'none'}")
        say("ends: " + ", ".join(f"{end} ({count})" for end, count in sorted(fleet.exits.items())))
        if failed:
            say(logs_of(logs))
    return int(failed)


def real(folder: Path) -> list[Feed]:
    """Return the feed of real exports where they are on this machine."""
    data = REPOSITORY.parent / "shared" / "data"
    profiles = REPOSITORY / "tests" / "connectors" / "profiles"
    return [worksites(folder / "worksites", profiles, data)] if data.is_dir() else []


def drawn(chance: random.Random, rounds: int) -> list[tuple[str, Sequence[Trouble]]]:
    """Draw one to three troubles for each round; after other rules the old ones come back."""
    ordinary: list[Trouble] = [
        troubles.kill_each,
        troubles.kill_all,
        troubles.end_each,
        troubles.freeze_each,
        troubles.receiver_down,
        troubles.restart_broker,
        troubles.kill_broker,
        troubles.poison,
        troubles.registry_away,
        troubles.compaction_without_detect,
    ]
    drawn: list[tuple[str, Sequence[Trouble]]] = []
    for _ in range(rounds):
        chosen = chance.sample(ordinary, chance.randint(1, 3))
        if troubles.compaction_without_detect in chosen and chance.random() < 0.5:
            chosen.append(troubles.rules_back)
        drawn.append((", ".join(trouble.__name__.replace("_", " ") for trouble in chosen), chosen))
    return drawn


def row(*cells: object) -> None:
    """Print one row of the table."""
    say("  ".join(f"{cell!s:<{width}}" if not index else f"{cell!s:>{width}}"
                  for index, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))))  # fmt: skip


def say(text: str) -> None:
    """Print one line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
