"""The kernel against brute force: any batches, any order, any place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPoint, MultiPolygon, Point, Polygon, box

from samenloop.kernel import Kernel, Pairs, grid

DISTANCE_M, GAP_DAYS = 25.0, 90


class Plan(NamedTuple):
    """What one slot holds."""

    shape: Any
    start: int
    end: int
    group: int = -1


GONE = Plan(None, 0, 0)
Batch = Sequence[tuple[int, Plan]]
CodeSet = set[tuple[int, int]]


def apply(kernel: Kernel, batch: Batch) -> Pairs:
    """Hand a batch of (slot, plan) to the kernel."""
    plans = [plan for _, plan in batch]
    shapes = np.empty(len(batch), dtype=object)
    shapes[:] = [plan.shape for plan in plans]
    return kernel.apply(
        np.array([slot for slot, _ in batch], dtype=np.int64),
        shapes,
        np.array([plan.start for plan in plans], dtype=np.int32),
        np.array([plan.end for plan in plans], dtype=np.int32),
        np.array([plan.group for plan in plans], dtype=np.int64),
    )


def as_set(pairs: np.ndarray) -> CodeSet:
    """Pairs as Python tuples; each may occur once only."""
    found = [tuple(pair) for pair in pairs.tolist()]
    assert len(found) == len(set(found))
    return set(found)


def brute_force(plans: dict[int, Plan], distance_m: float = DISTANCE_M, gap_days: int = GAP_DAYS) -> CodeSet:
    """All pairs that hold, each compared with each."""
    return {
        (a, b)
        for (a, one), (b, other) in combinations(sorted(plans.items()), 2)
        if one.shape is not None and other.shape is not None
        and one.start <= one.end and other.start <= other.end
        and (one.group < 0 or one.group != other.group)
        and max(one.start, other.start) - min(one.end, other.end) - 1 <= gap_days
        and shapely.distance(one.shape, other.shape) <= distance_m + 0.0005
    }  # fmt: skip


def play(batches: Iterable[Batch], kernel: Kernel) -> dict[int, Plan]:
    """Apply batches and check after each that what was told leads exactly to what holds."""
    plans: dict[int, Plan] = {}
    told: CodeSet = set()
    for batch in batches:
        pairs = apply(kernel, batch)
        plans.update(batch)
        started, kept, ended = as_set(pairs.started), as_set(pairs.kept), as_set(pairs.ended)
        assert not started & told and kept <= told and ended <= told and not kept & ended
        told = (told | started) - ended
        touched = {slot for slot, _ in batch}
        assert told == brute_force(plans)
        assert started | kept == {pair for pair in told if touched & set(pair)}
    assert as_set(kernel.pairs()) == told
    for slot in plans:
        assert kernel.partners(slot).tolist() == sorted(sum(pair) - slot for pair in told if slot in pair)
    return plans


def _shape(kind: int, x: float, y: float, size: float) -> Any:
    return (
        Point(x, y),
        LineString([(x, y), (x + size, y + size / 3)]),
        box(x, y, x + size, y + size / 2),
        Polygon([(x, y), (x + size, y), (x, y + size)]),
        MultiPoint([(x, y), (x + 3 * size, y - size)]),
        MultiPolygon([box(x, y, x + 1, y + 1), box(x + 2 * size, y, x + 2 * size + 1, y + 9)]),
        LineString([(x, y), (x, y)]),
        Point(),
        box(x, y, x + 60 * size, y + 40 * size),
        LineString([(x, y), (x + 150 * size, y + 100 * size), (x - 20 * size, y)]),
    )[kind]


places = st.one_of(st.integers(-60, 60).map(lambda n: n * 12.5), st.floats(-700, 700, allow_nan=False))
days = st.integers(-400, 400)
shapes = st.builds(_shape, st.integers(0, 9), places, places, st.sampled_from([0.0, 5.0, 30.0, 260.0]))
plans = st.builds(
    lambda shape, start, length, group: Plan(shape, start, start + length, group),
    shapes,
    days,
    st.sampled_from([0, 1, 30, 400, 9000, 376_000, -1]),
    st.sampled_from([-1, -1, 0, 1]),
)
batches = st.lists(
    st.dictionaries(st.integers(0, 11), st.one_of(plans, plans, plans, st.just(GONE)), min_size=1, max_size=12).map(
        lambda some: list(some.items())
    ),
    max_size=8,
)


@settings(max_examples=80, deadline=None)
@given(batches=batches, cell_m=st.sampled_from([250.0, 10.0, 3000.0]), bucket_days=st.sampled_from([256, 20]))
def test_what_is_told_adds_up_to_brute_force(batches: list[Batch], cell_m: float, bucket_days: int) -> None:
    """After every batch, started minus ended is exactly the set that comparing each with each gives."""
    play(batches, Kernel(DISTANCE_M, GAP_DAYS, cell_m, bucket_days))


@settings(max_examples=40, deadline=None)
@given(some=st.lists(plans, min_size=1, max_size=14), order=st.randoms(use_true_random=False), size=st.integers(1, 14))
def test_order_and_batches_do_not_matter(some: list[Plan], order: Any, size: int) -> None:
    """The same plans in any order and any batches give the same pairs."""
    numbered = list(enumerate(some))
    order.shuffle(numbered)
    kernel = Kernel(DISTANCE_M, GAP_DAYS)

    play([numbered[i : i + size] for i in range(0, len(numbered), size)], kernel)

    assert as_set(kernel.pairs()) == brute_force(dict(enumerate(some)))


MILLIMETRES = [(25.0, True), (25.0004, True), (25.0006, False)]
METRES = [(24.0, True), (26.0, False)]


@pytest.mark.parametrize(
    ("offset", "gap", "holds"),
    [(offset, *case) for offset in (0.0, -1_000_000.0, 155_000.123, 6_600_000.7) for case in MILLIMETRES]
    + [(offset, *case) for offset in (2e9, -3e12) for case in METRES],
)
def test_the_limit_is_inclusive_to_the_millimetre(offset: float, gap: float, holds: bool) -> None:
    """25.0004 m rounds to 25.000 and holds; 25.0006 m does not: wherever it is, as far as the numbers resolve it."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)

    pairs = apply(kernel, [(0, Plan(Point(offset, 5), 0, 0)), (1, Plan(Point(offset + gap, 5), 0, 0))])

    assert len(pairs.started) == holds


@pytest.mark.parametrize(("free_days", "holds"), [(0, True), (90, True), (91, False)])
def test_the_gap_counts_free_days(free_days: int, holds: bool) -> None:
    """Periods with as many free days between them as the gap still pair, one more and they do not."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)

    pairs = apply(kernel, [(0, Plan(Point(0, 0), 10, 20)), (1, Plan(Point(0, 0), 21 + free_days, 500))])

    assert len(pairs.started) == holds


def test_a_plan_that_goes_and_returns() -> None:
    """Removing a plan ends its pairs; the same plan again starts them again; a second removal says nothing."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    plan = Plan(box(0, 0, 10, 10), 0, 10)
    apply(kernel, [(3, plan), (7, plan)])

    gone = apply(kernel, [(3, GONE)])
    again_gone = apply(kernel, [(3, GONE)])
    back = apply(kernel, [(3, plan)])

    assert gone.ended.tolist() == [[3, 7]]
    assert not len(again_gone.ended) and not len(again_gone.kept)
    assert back.started.tolist() == [[3, 7]]


def test_known_pairs_of_unchanged_shapes_need_no_exact_test() -> None:
    """A plan that only moves in time asks for no distance that is known already; one that stays asks nothing."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    apply(kernel, [(0, Plan(box(0, 0, 10, 10), 0, 10)), (1, Plan(box(5, 5, 9, 9), 0, 10))])
    exact, candidates = kernel.exact, kernel.candidates

    later = apply(kernel, [(0, Plan(box(0, 0, 10, 10), 5, 15))])
    looked_at = kernel.candidates
    same = apply(kernel, [(0, Plan(box(0, 0, 10, 10), 5, 15))])

    assert later.kept.tolist() == same.kept.tolist() == [[0, 1]]
    assert kernel.exact == exact
    assert kernel.candidates == looked_at > candidates


def test_a_slot_twice_in_a_batch_is_refused() -> None:
    """A batch holds the last state of each slot: twice the same one is the caller's mistake."""
    plan = Plan(Point(0, 0), 0, 0)

    with pytest.raises(ValueError, match="twice"):
        apply(Kernel(DISTANCE_M, GAP_DAYS), [(0, plan), (0, plan)])


def test_many_moves_equal_a_fresh_start() -> None:
    """Thousands of plans moved dozens of times pair as if they had come where they are at once."""
    kernel, fresh = Kernel(DISTANCE_M, GAP_DAYS), Kernel(DISTANCE_M, GAP_DAYS)
    random, slots = np.random.default_rng(7), np.arange(3000)
    for _ in range(40):
        west, south = random.uniform(0, 20_000, (2, len(slots)))
        start = random.integers(20_000, 20_300, len(slots)).astype(np.int32)
        last = slots, shapely.box(west, south, west + 12, south + 9), start, start + np.int32(20), slots % 7
        kernel.apply(*last)

    fresh.apply(*last)

    assert np.array_equal(kernel.pairs(), fresh.pairs())
    assert kernel.entries < 2 * fresh.entries + grid.DELTA_LEAST


def test_an_empty_batch() -> None:
    """Nothing in, nothing out, in the right shape."""
    pairs = apply(Kernel(DISTANCE_M, GAP_DAYS), [])

    assert pairs.started.shape == pairs.kept.shape == pairs.ended.shape == (0, 2)


def test_a_plan_until_the_year_3000_is_entered_once() -> None:
    """An end far away costs one entry per cell, not one per bucket."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)

    apply(kernel, [(0, Plan(box(10, 10, 20, 20), 20_000, 376_200))])

    assert kernel.entries == 1


def test_coordinates_that_are_no_numbers_pair_with_nothing() -> None:
    """Infinite coordinates take a plan out instead of pairing it with everything."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)

    pairs = apply(kernel, [(0, Plan(Point(float("inf"), 0), 0, 0)), (1, Plan(Point(0, 0), 0, 0))])

    assert not len(pairs.started)


def test_what_moved_plans_leave_behind_is_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans that move away and back, again and again, neither fill the index nor change what holds."""
    monkeypatch.setattr(grid, "DELTA_LEAST", 20)
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    here = [(slot, Plan(Point(slot * 20, 0), 0, 0 if slot % 2 else 400_000)) for slot in range(12)]
    there = [(slot, Plan(Point(slot * 20, 9000), 0, 9)) for slot in range(12)]

    play([here, there] * 30 + [here], kernel)

    assert kernel.entries <= 12 * 4 // 3 + 2 * 20
