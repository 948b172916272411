"""The detection kernel alone: changes a CPU-second with the difference of pairs, beside an STRtree and PostGIS."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np

from benchmarks.load import Batch, Nation
from benchmarks.peers import TreePeer, checksum
from benchmarks.postgis import PostgisPeer, missing
from benchmarks.row import Meter, Row
from samenloop.kernel import Kernel

DISTANCE_M, GAP_DAYS = 25.0, 90
SIZES = {"200k": 200_000, "1m": 1_000_000}
CHANGES, PEER_CHANGES = 50_000, 20_000
NAMES = (
    *(f"detect.kernel.{size}" for size in SIZES),
    *(f"detect.kernel.{size}.from_scratch" for size in SIZES),
    "detect.kernel.200k.vs_postgis_batched",
    "detect.kernel.200k.gap_365",
    "detect.kernel.200k.one_city",
    *(f"detect.kernel.200k.{what}" for what in ("candidates", "exact_tests", "index_entries", "bytes")),
)
UNIT = "events/CPU-s"


def run(wanted: set[str]) -> Iterator[Row]:
    """Yield the rows of the kernel."""
    for size, plans in SIZES.items():
        name = f"detect.kernel.{size}"
        if any(row == name or (row.startswith(f"{name}.") and "." in row) for row in wanted):
            yield from (row for row in _national(name, plans, wanted) if row.name in wanted)
    if "detect.kernel.200k.gap_365" in wanted:
        rate = _rate(Nation(SIZES["200k"]), 365)[1]
        yield Row("detect.kernel.200k.gap_365", rate, UNIT, note="the default rules look a year ahead")
    if "detect.kernel.200k.one_city" in wanted:
        spread, city = (_rate(Nation(SIZES["200k"], one_city=one_city), GAP_DAYS)[1] for one_city in (False, True))
        peer = "the national spread, µs per event"
        yield Row("detect.kernel.200k.one_city", city, UNIT, peer, spread / city)


def _rate(nation: Nation, gap_days: int) -> tuple[Kernel, float, Meter]:
    kernel, loading, running = Kernel(DISTANCE_M, gap_days), Meter(), Meter()
    first = nation.everything()
    with loading.running():
        _apply(kernel, first)
    kernel.candidates = kernel.exact = 0
    for batch in nation.changes(CHANGES):
        with running.running():
            _apply(kernel, batch)
    return kernel, CHANGES / running.cpu_s, loading


def _apply(kernel: Kernel, batch: Batch) -> None:
    start, end = batch.start.astype(np.int32), batch.end.astype(np.int32)
    kernel.apply(batch.slots, batch.shapes, start, end, batch.owner)


def _national(name: str, plans: int, wanted: set[str]) -> Iterator[Row]:
    tree_rate = _tree(plans) if name in wanted else None
    kernel, rate, loading = _rate(Nation(plans), GAP_DAYS)
    if tree_rate:
        yield Row(name, rate, UNIT, f"STRtree rebuilt each 20k, {tree_rate:,.0f}", rate / tree_rate)
    yield Row(f"{name}.from_scratch", loading.cpu_s, "CPU-s")
    yield Row(f"{name}.candidates", kernel.candidates / CHANGES, "per event")
    yield Row(f"{name}.exact_tests", kernel.exact / CHANGES, "per event")
    yield Row(f"{name}.index_entries", kernel.entries / plans, "per plan")
    if f"{name}.bytes" in wanted:
        yield Row(f"{name}.bytes", _bytes(plans), "per plan", note="without the geometries")
    if f"{name}.vs_postgis_batched" in wanted:
        yield _postgis(name, plans)


def _tree(plans: int) -> float:
    """Return the STRtree's events per CPU-second, after checking that both find the same pairs."""
    nation, meter, peer, kernel = Nation(plans), Meter(), TreePeer(DISTANCE_M, GAP_DAYS), Kernel(DISTANCE_M, GAP_DAYS)
    first = nation.everything()
    peer.load(first)
    _apply(kernel, first)
    for batch in nation.changes(PEER_CHANGES):
        with meter.running():
            peer.apply(batch)
        _apply(kernel, batch)
    _agree(kernel, checksum(peer.pairs()))
    return PEER_CHANGES / meter.cpu_s


def _postgis(name: str, plans: int) -> Row:
    row = f"{name}.vs_postgis_batched"
    if why := missing():
        return Row(row, None, UNIT, "PostGIS, batches of 500", note=why)
    nation, kernel, ours = Nation(plans), Kernel(DISTANCE_M, GAP_DAYS), Meter()
    first = nation.everything()
    with PostgisPeer(DISTANCE_M, GAP_DAYS) as peer:
        peer.load(first)
        _apply(kernel, first)
        before = peer.cpu_s()
        for batch in islice(nation.changes(PEER_CHANGES), PEER_CHANGES // 500):
            peer.apply(batch)
            with ours.running():
                _apply(kernel, batch)
        theirs = PEER_CHANGES / (peer.cpu_s() - before)
        _agree(kernel, checksum(peer.pairs()))
    rate = PEER_CHANGES / ours.cpu_s
    return Row(row, rate, UNIT, f"PostGIS, batches of 500, {theirs:,.0f}", rate / theirs)


def _agree(kernel: Kernel, other: int) -> None:
    if checksum(kernel.pairs()) != other:
        raise SystemExit("the kernel and its peer do not find the same pairs")


def _bytes(plans: int) -> float:
    kernel = Kernel(DISTANCE_M, GAP_DAYS)
    _apply(kernel, Nation(plans).everything())
    return kernel.nbytes / plans
