"""What the kernel does per event, counted: figures that no busy machine moves. Times are in benchmarks/."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import shapely

from benchmarks.load import Batch, Nation
from samenloop.kernel import Kernel

DISTANCE_M = 25.0
PLANS, CHANGES = 20_000, 10_000


class Counters(NamedTuple):
    """Per event, or per plan."""

    candidates: float
    exact: float
    entries: float
    bytes: float


def apply(kernel: Kernel, batch: Batch) -> None:
    """Hand a batch to the kernel."""
    start, end = batch.start.astype(np.int32), batch.end.astype(np.int32)
    kernel.apply(batch.slots, batch.shapes, start, end, batch.owner)


def play(gap_days: int, *, one_city: bool = False) -> tuple[Kernel, Batch, Counters]:
    """Load a nation, play changes, and return the kernel, the plans that stand and what was counted."""
    nation, kernel = Nation(PLANS, one_city=one_city), Kernel(DISTANCE_M, gap_days)
    apply(kernel, nation.everything())
    kernel.candidates = kernel.exact = 0
    for batch in nation.changes(CHANGES):
        apply(kernel, batch)
    standing = nation.everything()
    per_plan = kernel.entries / len(standing.slots), kernel.nbytes / len(standing.slots)
    return kernel, standing, Counters(kernel.candidates / CHANGES, kernel.exact / CHANGES, *per_plan)


def pairs_by_tree(plans: Batch, gap_days: int) -> np.ndarray:
    """All pairs by an STRtree and nothing of the kernel."""
    a, b = shapely.STRtree(plans.shapes).query(plans.shapes, predicate="dwithin", distance=DISTANCE_M + 0.0005)
    gap = np.maximum(plans.start[a], plans.start[b]) - np.minimum(plans.end[a], plans.end[b]) - 1
    holds = (a < b) & (plans.owner[a] != plans.owner[b]) & (gap <= gap_days)
    return np.unique(np.column_stack([plans.slots[a[holds]], plans.slots[b[holds]]]), axis=0)


@pytest.mark.parametrize(
    ("gap_days", "one_city", "most"),
    [
        (90, False, Counters(2.8, 0.041, 2.2, 180)),
        (365, False, Counters(4.1, 0.082, 2.2, 180)),
        (90, True, Counters(15, 0.37, 2.2, 190)),
        (365, True, Counters(26, 0.79, 2.2, 195)),
    ],
)
def test_work_per_event_stays_small(gap_days: int, one_city: bool, most: Counters) -> None:
    """Candidates and exact tests per event, entries and bytes per plan; and the pairs are those of an STRtree.

    The limits lie 15 % above what was counted when they were set.
    """
    kernel, standing, counted = play(gap_days, one_city=one_city)

    assert all(found <= limit for found, limit in zip(counted, most, strict=True)), counted
    assert np.array_equal(kernel.pairs(), pairs_by_tree(standing, gap_days))


def test_corridors_do_not_multiply_the_work() -> None:
    """A pipeline of 30 km costs as many entries as it crosses cells, and asks no plan that lies off its course."""
    kernel = Kernel(DISTANCE_M, 90)
    x, y = np.meshgrid(np.arange(120) * 250.0, np.arange(80) * 250.0)
    sites = shapely.box(x.ravel(), y.ravel(), x.ravel() + 20, y.ravel() + 20)
    days, none = np.zeros(len(sites) + 1, dtype=np.int32), np.full(len(sites) + 1, -1, dtype=np.int64)
    kernel.apply(np.arange(len(sites)), sites, days[1:], days[1:], none[1:])
    before, kernel.candidates, kernel.exact = kernel.entries, 0, 0

    pipeline = np.array([shapely.LineString([(0, 0), (15_000, 9_000), (30_000, 20_000)])], dtype=object)
    pairs = kernel.apply(np.array([len(sites)]), pipeline, days[:1], days[:1], none[:1])

    near = np.flatnonzero(shapely.dwithin(sites, pipeline[0], DISTANCE_M))
    assert pairs.started[:, 0].tolist() == near.tolist()
    assert kernel.entries - before < 600
    assert kernel.candidates < 2_000
    assert kernel.exact < 600
