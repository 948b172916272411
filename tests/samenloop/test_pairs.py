"""Pair counts against the figures published for two cities, and against counting by hand."""

import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely

from samenloop.geometry import repair_many
from samenloop.pairs import PairCounts, count_pairs

SENTINEL = date(3000, 1, 1)


def _features(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path) as stream:
        return json.load(stream)["features"]  # type: ignore[no-any-return]


def _metric(shapes: Any, crs: str) -> Any:
    change = pyproj.Transformer.from_crs("OGC:CRS84", crs, always_xy=True).transform
    return repair_many(shapely.transform(shapes, lambda xy: np.column_stack(change(xy[:, 0], xy[:, 1]))))[0]


def _day(text: str) -> date:
    day, month, year = text.replace("-", "/").split("/")
    return date(int(year), int(month), int(day))


class Worksites:
    """One Brussels file: its shapes in EPSG:31370 and its planned days, year 3000 and ghosts included."""

    def __init__(self, folder: Path, day: str) -> None:
        (path,) = folder.glob(f"{day}_*.geojson.gz")
        features = _features(path)
        raw = np.array([shapely.from_geojson(json.dumps(f["geometry"])) for f in features])
        self.shapes = _metric(raw, "EPSG:31370")
        self.starts = [_day(f["properties"]["DateDebut"]) for f in features]
        self.ends = [_day(f["properties"]["DateFin"]) for f in features]

    def without_sentinels(self) -> "Worksites":
        """The works with an end before the year 3000."""
        kept = [i for i, end in enumerate(self.ends) if end != SENTINEL]
        other = object.__new__(Worksites)
        other.shapes = self.shapes[kept]
        other.starts, other.ends = [self.starts[i] for i in kept], [self.ends[i] for i in kept]
        return other

    def count(self, metres: float) -> PairCounts:
        """Pairs within *metres*."""
        return count_pairs(self.shapes, self.starts, self.ends, metres=metres)

    def touching(self) -> int:
        """Pairs of which only the borders meet."""
        tree = shapely.STRtree(self.shapes)
        a, b = tree.query(self.shapes, predicate="touches")
        return int((a < b).sum())


BRUSSELS = {  # file: (intersect, in time), 50 m, touch, then without year-3000 ends: works, (intersect, in time), 50 m
    "2025-12-01": ((4562, 4456), 9094, 32, 1033, (3496, 3390), 6065),
    "2025-12-08": ((4918, 4745), 9556, 34, 1028, (3761, 3588), 6409),
    "2025-12-15": ((4867, 4711), 9356, 37, 1010, (3711, 3555), 6256),
    "2025-12-22": ((4490, 4404), 8788, 40, 917, (3370, 3284), 5763),
    "2026-01-05": ((4542, 4495), 8648, 39, 873, (3337, 3290), 5660),
    "2026-01-12": ((5152, 5062), 9727, 40, 956, (3857, 3767), 6587),
}


@pytest.mark.parametrize("day", BRUSSELS)
def test_brussels_pairs_are_the_published_ones(shared_data: Path, day: str) -> None:
    """Six weeks of worksites give exactly the published pairs: meeting, in time, within 50 m, touching."""
    meet, near, touch, works, meet_known, near_known = BRUSSELS[day]

    every = Worksites(shared_data / "be-brussels-osiris-schaerbeek" / "worksites", day)
    known = every.without_sentinels()

    assert every.count(0) == PairCounts(*meet)
    assert every.count(50).pairs == near
    assert every.touching() == touch
    assert len(known.starts) == works
    assert known.count(0) == PairCounts(*meet_known)
    assert known.count(50).pairs == near_known


@pytest.mark.parametrize(("metres", "pairs", "other_class"), [(0, 29, 4), (10, 43, 10), (50, 69, 25)])
def test_karlsruhe_pairs_are_the_published_ones(shared_data: Path, metres: float, pairs: int, other_class: int) -> None:
    """The last Karlsruhe file gives exactly the published pairs, all of them in time, also between owner classes."""
    path = max((shared_data / "de-karlsruhe-baustellen" / "snapshots").glob("*.geojson.gz"))
    rows = [f["properties"] | {"geometry": f["geometry"]} for f in _features(path)]
    raw = np.array([shapely.from_geojson(json.dumps(row.get("area") or row["geometry"])) for row in rows])
    shapes = _metric(raw, "EPSG:25832")
    days = [[date.fromisoformat(row[name]) for row in rows] for name in ("von", "bis")]

    found = count_pairs(shapes, *days, metres=metres)

    assert found == PairCounts(pairs, pairs)
    within_class = 0
    for owner in {row["verursacher"] for row in rows}:
        own = [i for i, row in enumerate(rows) if row["verursacher"] == owner]
        within_class += count_pairs(shapes[own], *([column[i] for i in own] for column in days), metres=metres).pairs
    assert pairs - within_class == other_class


def test_open_ends_and_missing_starts() -> None:
    """A period without an end never ends; without a start it shares no day with any; no place, no pair."""
    here = shapely.box(0, 0, 10, 10)
    shapes = [here, here, here, None]
    starts = [date(2027, 1, 1), date(2030, 1, 1), None, date(2027, 1, 1)]
    ends = [None, date(2030, 2, 1), date(2031, 1, 1), date(2027, 2, 1)]

    found = count_pairs(shapes, starts, ends, metres=0)

    assert found == PairCounts(pairs=3, pairs_in_time=1)
