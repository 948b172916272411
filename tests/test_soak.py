"""What a soak tells: which change waited how long in which part of the day, and the verdict."""

from __future__ import annotations

from argparse import Namespace
from types import SimpleNamespace
from typing import Any

from benchmarks.soak import PARTS, Course
from benchmarks.soak_report import text

ASKED = Namespace(minutes=1, plans=10, bulk=5, changes=4)


def course(**other: Any) -> Course:
    made = Course(loaded_seconds=2.0, seconds=2.0, caught_up=3.0, **other)
    made.sent = {"a": ("quiet", 0.0), "b": ("quiet", 1.0), "c": ("bulk load", 1.0)}
    return made


def watch() -> Any:
    behind = {name: 7 for name, _ in PARTS[:2]}
    return SimpleNamespace(
        most_behind=behind,
        caught_up={"bulk load": 9.0},
        memory_before={"detect-0": 100.0},
        memory={"detect-0": 130.0},
        memory_most={"detect-0": 150.0},
    )


def test_the_first_sight_of_a_change_counts() -> None:
    """A finding that is told again, or of a change of somebody else, adds nothing."""
    made = course()

    made.see("finding", iter([("a", 0.5), ("a", 0.9), ("elsewhere", 1.0), ("c", 3.0)]))

    assert made.waited == {"finding": {"quiet": [500.0], "bulk load": [2000.0]}}


def test_the_tables_say_what_was_held_and_that_nothing_was_lost() -> None:
    """Rate, waiting times by part, memory by process; a dash where nothing was seen."""
    made = course()
    made.see("finding", iter([("a", 0.5), ("c", 3.0)]))

    said = text(ASKED, made, watch())

    assert "| Held | 3 changes, 2 a second |" in said
    assert "| Lost | nothing |" in said
    assert "| quiet | 500 | 500 | – | – | 7 | 0 s |" in said
    assert "| bulk load | 2,000 | 2,000 | – | – | 7 | 9 s |" in said
    assert "| detect-0 | 100 | 130 | 150 |" in said


def test_what_was_lost_is_told() -> None:
    """Problems stand in the table, and what never came about is called so."""
    made = course(problems=["1 plans are not at their last change"])
    made.caught_up = None

    said = text(ASKED, made, watch())

    assert "| Lost | 1 plans are not at their last change |" in said
    assert "| Nothing left to read after the last change | never |" in said
