"""What a soak found, as the Markdown of docs/operators/capacity.md."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.soak_watch import Watch

if TYPE_CHECKING:
    from benchmarks.soak import Course

SIGHTS = ("finding", "webhook")
HEAD = ("While", *(f"{sight} {percentile}, ms" for sight in SIGHTS for percentile in ("p50", "p99")),
        "records behind at most", "caught up after")  # fmt: skip


def text(asked: argparse.Namespace, course: Course, watch: Watch) -> str:
    """Return all tables and the verdict."""
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {asked.minutes:g} minutes."
    held = table(("Process", "MB after the first load", "MB at the end", "MB at most"), _memory(watch))
    return "\n\n".join(
        (machine, table(("", "Figure"), _figures(asked, course, watch)), table(HEAD, _parts(course, watch)), held)
    )


def _figures(asked: argparse.Namespace, course: Course, watch: Watch) -> Iterator[Sequence[str]]:
    sent = len(course.sent)
    yield "First load", f"{asked.plans:,} plans in {_seconds(course.loaded_seconds)}"
    yield "Held", f"{sent:,} changes, {sent / course.seconds:,.0f} a second"
    yield "Bulk load beside it", f"{asked.bulk:,} plans, caught up after {_seconds(watch.caught_up.get('bulk load'))}"
    yield "Nothing left to read after the last change", _seconds(course.caught_up)
    yield "Lost", "; ".join(course.problems) or "nothing"


def _parts(course: Course, watch: Watch) -> Iterator[Sequence[str]]:
    for part, behind in watch.most_behind.items():
        waited = (_percentiles(course.waited.get(sight, {}).get(part, ())) for sight in SIGHTS)
        yield (
            part,
            *(cell for cells in waited for cell in cells),
            f"{behind:,}",
            _seconds(watch.caught_up.get(part, 0.0)),
        )


def _memory(watch: Watch) -> Iterator[Sequence[str]]:
    for name, before in sorted(watch.memory_before.items()):
        yield (
            name,
            *(f"{megabytes:,.0f}" for megabytes in (before, watch.memory.get(name, 0), watch.memory_most.get(name, 0))),
        )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _percentiles(waited: Sequence[float]) -> tuple[str, str]:
    if not waited:
        return "–", "–"
    return f"{np.percentile(waited, 50):,.0f}", f"{np.percentile(waited, 99):,.0f}"


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:,.0f} s"
