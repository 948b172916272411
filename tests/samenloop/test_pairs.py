"""Pair counts, on drawn examples and on the real exports of Brussels and Karlsruhe."""

from __future__ import annotations

import gzip
import json
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import shapely
from shapely import Point, box

from samenloop.geometry import repair_many, transform
from samenloop.pairs import PairCounts, count_pairs, pairs_within

YEAR_3000 = date(3000, 1, 1)


class Works(NamedTuple):
    """What one export holds, in metres."""

    shapes: np.ndarray
    starts: list[date | None]
    ends: list[date | None]
    owners: np.ndarray


def in_metres(geometries: list[Any], crs: str) -> np.ndarray:
    """GeoJSON geometries as repaired shapely geometries in *crs*."""
    shapes, _ = repair_many(transform(shapely.from_geojson([json.dumps(one) for one in geometries]), "EPSG:4326", crs))
    return shapes


def day(text: str) -> date | None:
    """A date as the Brussels export writes it."""
    return datetime.strptime(text, "%d/%m/%Y").date() if text else None  # noqa: DTZ007


def worksites(shared_data: Path, week: str) -> Works:
    """One weekly file of Brussels worksites with their planned dates, in Belgian Lambert."""
    (path,) = (shared_data / "be-brussels-osiris-schaerbeek" / "worksites").glob(f"{week}_*.geojson.gz")
    features = json.loads(gzip.decompress(path.read_bytes()))["features"]
    found = [feature["properties"] for feature in features]
    return Works(
        in_metres([feature["geometry"] for feature in features], "EPSG:31370"),
        [day(one["DateDebut"]) for one in found],
        [day(one["DateFin"]) for one in found],
        np.array([one["Organisation"] for one in found]),
    )


BRUSSELS = {  # intersect, in time, within 50 m, touch; without year 3000: works, intersect, in time, within 50 m
    "2025-12-01": (4562, 4456, 9094, 32, 1033, 3496, 3390, 6065),
    "2025-12-08": (4918, 4745, 9556, 34, 1028, 3761, 3588, 6409),
    "2025-12-15": (4867, 4711, 9356, 37, 1010, 3711, 3555, 6256),
    "2025-12-22": (4490, 4404, 8788, 40, 917, 3370, 3284, 5763),
    "2026-01-05": (4542, 4495, 8648, 39, 873, 3337, 3290, 5660),
    "2026-01-12": (5152, 5062, 9727, 40, 956, 3857, 3767, 6587),
}


@pytest.mark.parametrize(("week", "expected"), BRUSSELS.items())
def test_brussels_worksites(shared_data: Path, week: str, expected: tuple[int, ...]) -> None:
    """Intersecting, in time, within 50 m and touching pairs of each weekly file, with and without endless works."""
    works = worksites(shared_data, week)
    some = np.array([end != YEAR_3000 for end in works.ends])
    starts = [start for start, keep in zip(works.starts, some, strict=True) if keep]
    ends = [end for end, keep in zip(works.ends, some, strict=True) if keep]

    meeting = count_pairs(works.shapes, works.starts, works.ends, metres=0)
    near = count_pairs(works.shapes, works.starts, works.ends, metres=50)
    pairs = pairs_within(works.shapes, metres=0)
    touching = np.count_nonzero(shapely.touches(works.shapes[pairs[:, 0]], works.shapes[pairs[:, 1]]))
    bounded = count_pairs(works.shapes[some], starts, ends, metres=0)
    bounded_near = count_pairs(works.shapes[some], starts, ends, metres=50)

    found = (meeting.pairs, meeting.pairs_in_time, near.pairs, touching)
    assert (*found, some.sum(), bounded.pairs, bounded.pairs_in_time, bounded_near.pairs) == expected


def test_karlsruhe_last_export(shared_data: Path) -> None:
    """Intersecting pairs, within 10 m and within 50 m, all also in time; and those of other owner classes."""
    path = max((shared_data / "de-karlsruhe-baustellen" / "snapshots").glob("*.geojson.gz"))
    found = [feature["properties"] for feature in json.loads(gzip.decompress(path.read_bytes()))["features"]]
    shapes = in_metres([one["area"] for one in found], "EPSG:25832")
    starts = [date.fromisoformat(one["von"]) for one in found]
    ends = [date.fromisoformat(one["bis"]) for one in found]
    owners = np.array([one["verursacher"] for one in found])

    counts = [count_pairs(shapes, starts, ends, metres=metres) for metres in (0, 10, 50)]
    pairs = [pairs_within(shapes, metres=metres) for metres in (0, 10, 50)]

    assert counts == [PairCounts(29, 29), PairCounts(43, 43), PairCounts(69, 69)]
    assert [np.count_nonzero(owners[found[:, 0]] != owners[found[:, 1]]) for found in pairs] == [4, 10, 25]


def test_missing_dates_and_places() -> None:
    """An open end shares every day from its start; no start, no place or an end before the start shares none."""
    here = box(0, 0, 10, 10)
    starts = [date(2027, 1, 1), date(2027, 6, 1), None, date(2027, 6, 1), date(2027, 6, 1)]
    ends = [None, date(2027, 6, 1), None, date(2027, 5, 1), None]

    counts = count_pairs([here, here, here, here, None], starts, ends, metres=0)

    assert counts == PairCounts(6, 1)


def test_days_are_closed() -> None:
    """Works that end on the day on which others start share that day; a day later they do not."""
    shapes = [Point(0, 0), Point(0, 4), Point(4, 0)]
    starts = [date(2027, 1, 1), date(2027, 1, 31), date(2027, 2, 1)]
    ends = [date(2027, 1, 31), date(2027, 1, 31), date(2027, 2, 9)]

    counts = count_pairs(shapes, starts, ends, metres=4)

    assert counts == PairCounts(2, 1)


def test_nothing_to_pair() -> None:
    """No plans, or none with a place, have no pairs."""
    assert count_pairs([], [], [], metres=5) == PairCounts(0, 0)
    assert count_pairs([None], [None], [None], metres=0) == PairCounts(0, 0)
