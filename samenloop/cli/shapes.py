"""Bare geometries of GeoJSON files, for counting pairs without a profile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from samenloop.errors import BadSettings, Reject
from samenloop.geometry import CRS84, Shapes, repair_many, transform


def read_shapes(files: Sequence[Path], crs: str) -> Shapes:
    """Return the geometries of GeoJSON files in metres of *crs*, repaired; None where a feature has none.

    Raises BadSettings with every file that is no GeoJSON.
    """
    problems: list[str] = []
    shapes: list[Any] = []
    for path in files:
        try:
            shapes += list(transform(_parse(path), _crs_of(path), crs))
        except (OSError, ValueError, Reject, shapely.errors.GEOSException) as error:
            problems.append(f"{path}: is no GeoJSON whose places can be read: {error}")
    if problems:
        raise BadSettings(problems)
    result: Shapes = np.full(len(shapes), None, dtype=object)
    result[:] = shapes
    return repair_many(result)[0]


def _parse(path: Path) -> Shapes:
    geometries = list(_geometries(json.loads(path.read_text(encoding="utf-8-sig"))))
    result: Shapes = np.full(len(geometries), None, dtype=object)
    for index, found in enumerate(geometries):
        if found:
            result[index] = shapely.force_2d(shapely.from_geojson(json.dumps(found)))
    return result


def _geometries(document: Any) -> Iterator[Any]:
    if not isinstance(document, dict) or not isinstance(document.get("features"), list):
        raise ValueError("expected a FeatureCollection")
    yield from (feature.get("geometry") for feature in document["features"] if isinstance(feature, dict))


def _crs_of(path: Path) -> str:
    """Return the CRS the file names, else CRS84, as GeoJSON has it."""
    named = json.loads(path.read_text(encoding="utf-8-sig")).get("crs")
    return str(named["properties"]["name"]) if isinstance(named, dict) and "properties" in named else CRS84
