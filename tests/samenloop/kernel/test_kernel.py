"""The kernel against brute force, at any batch size and order."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from samenloop.kernel import Kernel, Pairs

DISTANCE_M, GAP_DAYS = 25.0, 30
SLOTS = 24


class Place(NamedTuple):
    """Where and when one slot is; *shape* None takes it away."""

    shape: BaseGeometry | None
    start: int
    end: int
    group: int


def _shape(kind: str, x: float, y: float, size: float) -> BaseGeometry:
    return {
        "point": lambda: shapely.Point(x, y),
        "line": lambda: shapely.LineString([(x, y), (x + size, y - size / 2)]),
        "box": lambda: shapely.box(x, y, x + size, y + size / 3),
        "parts": lambda: shapely.MultiPoint([(x, y), (x + 40 * size, y)]),
        "corridor": lambda: shapely.LineString([(x, y), (x + 30_000, y + 20_000)]),
    }[kind]()


# Whole metres, so that distances of exactly the limit occur; cells of 250 m are crossed on both sides of zero.
SHAPES = st.builds(
    _shape,
    st.sampled_from(["point", "line", "box", "box", "parts", "corridor"]),
    st.integers(-520, 520).map(float),
    st.integers(-300, 300).map(float),
    st.sampled_from([1.0, 15.0, 60.0, 700.0]),
)
PLACES = st.builds(
    lambda shape, start, days, group: Place(shape, start, start + days, group),
    st.one_of(SHAPES, SHAPES, SHAPES, st.none()),
    st.integers(-400, 21_000),
    st.sampled_from([0, 1, 30, 300, 355_000]),
    st.integers(-1, 2),
)
BATCHES = st.lists(st.dictionaries(st.integers(0, SLOTS - 1), PLACES, min_size=1, max_size=10), max_size=12)


def _apply(kernel: Kernel, batch: dict[int, Place]) -> Pairs:
    shapes = np.empty(len(batch), dtype=object)
    shapes[:] = [place.shape for place in batch.values()]
    columns = [np.array([place[i] for place in batch.values()], dtype=np.int64) for i in (1, 2, 3)]
    return kernel.apply(np.array(list(batch), dtype=np.int64), shapes, *columns)


def _holds(a: Place, b: Place) -> bool:
    if a.shape is None or b.shape is None or a.group == b.group >= 0:
        return False
    gap = max(a.start, b.start) - min(a.end, b.end) - 1
    return gap <= GAP_DAYS and bool(shapely.distance(a.shape, b.shape) <= DISTANCE_M + 0.0005)


def _brute(state: dict[int, Place]) -> set[tuple[int, int]]:
    return {(a, b) for a, b in combinations(sorted(state), 2) if _holds(state[a], state[b])}


def _set(pairs: Any) -> set[tuple[int, int]]:
    return {(a, b) for a, b in pairs.tolist()}


@given(batches=BATCHES, cell_m=st.sampled_from([50.0, 250.0, 4000.0]))
@settings(max_examples=150, deadline=None)
def test_every_batch_yields_what_brute_force_yields(batches: list[dict[int, Place]], cell_m: float) -> None:
    """Started, kept and ended of each batch, and the pairs after it, are those of comparing all with all."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS, cell_m=cell_m)
    state: dict[int, Place] = {}
    before: set[tuple[int, int]] = set()
    for batch in batches:
        found = _apply(kernel, batch)
        state |= batch
        after = _brute(state)

        assert _set(found.started) == after - before
        assert _set(found.ended) == before - after
        assert _set(found.kept) == {pair for pair in before & after if batch.keys() & set(pair)}
        assert _set(kernel.pairs()) == after
        before = after
    assert all(
        kernel.partners(slot).tolist() == sorted({*sum(((a, b) for a, b in before if slot in (a, b)), ())} - {slot})
        for slot in range(SLOTS)
    )


@given(state=st.dictionaries(st.integers(0, SLOTS - 1), PLACES, min_size=2, max_size=SLOTS), data=st.data())
@settings(max_examples=60, deadline=None)
def test_order_and_batch_size_do_not_matter(state: dict[int, Place], data: st.DataObject) -> None:
    """The same places in any order and any batches end in the same pairs."""
    order = data.draw(st.permutations(list(state)))
    size = data.draw(st.integers(1, len(order)))
    at_once, in_batches = Kernel(DISTANCE_M, GAP_DAYS), Kernel(DISTANCE_M, GAP_DAYS)

    _apply(at_once, state)
    for begin in range(0, len(order), size):
        _apply(in_batches, {slot: state[slot] for slot in order[begin : begin + size]})

    assert _set(at_once.pairs()) == _set(in_batches.pairs()) == _brute(state)


def test_the_limit_belongs_to_the_pair() -> None:
    """25 m and 30 free days are a pair, 25.001 m or 31 days are none."""
    here = Place(shapely.Point(0, 0), 100, 110, 0)
    kernel = Kernel(DISTANCE_M, GAP_DAYS)

    found = _apply(
        kernel,
        {
            0: here,
            1: Place(shapely.Point(15, 20), 141, 150, 1),
            2: Place(shapely.Point(25.001, 0), 100, 110, 1),
            3: Place(shapely.Point(0, 25), 142, 150, 1),
        },
    )

    assert _set(found.started) == {(0, 1)}


def test_a_slot_twice_in_a_batch_is_refused() -> None:
    """A batch holds the last state of each slot: twice the same one is the caller's mistake."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    shapes = np.array([shapely.Point(0, 0), shapely.Point(1, 1)], dtype=object)
    zeros = np.zeros(2, dtype=np.int64)

    with pytest.raises(ValueError, match="twice"):
        kernel.apply(zeros, shapes, zeros, zeros, zeros)


def test_dead_rows_are_shed_and_nothing_changes() -> None:
    """After many updates the living rows are numbered anew; the pairs stay and the index does not grow for ever."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    rng = np.random.default_rng(7)
    slots = np.arange(5000)
    west = south = np.zeros(5000)
    for turn in range(40):
        west = rng.uniform(0, 20_000, 5000) if turn % 4 == 0 else west + 1.0
        south = rng.uniform(0, 20_000, 5000) if turn % 4 == 0 else south
        start = rng.integers(20_000, 20_300, 5000)
        kernel.apply(slots, shapely.box(west, south, west + 12, south + 9), start, start + 20, slots % 7)

    fresh = Kernel(DISTANCE_M, GAP_DAYS)
    fresh.apply(slots, shapely.box(west, south, west + 12, south + 9), start, start + 20, slots % 7)

    assert np.array_equal(kernel.pairs(), fresh.pairs())
    assert kernel.entries < 40 * fresh.entries


def test_what_did_not_move_is_not_measured_again() -> None:
    """A pair that held and whose places are unchanged costs no exact test when only dates change."""
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    state = {slot: Place(shapely.box(slot, 0, slot + 30, 10), 100, 120, slot) for slot in range(20)}
    _apply(kernel, state)
    tests = kernel.exact

    again = _apply(kernel, {slot: place._replace(start=105) for slot, place in state.items()})

    assert len(again.kept) == 190
    assert kernel.exact == tests
