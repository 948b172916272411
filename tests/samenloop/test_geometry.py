"""Geometry at the border: CRS names, metres, repair."""

import numpy as np
import pytest
import shapely

from samenloop import geometry, model
from samenloop.errors import Reject

RD = "http://www.opengis.net/def/crs/EPSG/0/28992"


@pytest.mark.parametrize(
    ("name", "uri"),
    [
        ("EPSG:28992", RD),
        (RD, RD),
        ("urn:ogc:def:crs:EPSG::28992", RD),
        ("EPSG:4326", geometry.CRS84),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", geometry.CRS84),
        (geometry.CRS84, geometry.CRS84),
    ],
)
def test_a_crs_has_one_uri(name: str, uri: str) -> None:
    """Code, URN and URI of one CRS give the same URI; what is read x before y is CRS84."""
    assert geometry.crs_uri(name) == uri


@pytest.mark.parametrize("name", ["", "RD", "EPSG:", "EPSG:x", "EPSG:99999"])
def test_an_unknown_crs_is_rejected(name: str) -> None:
    """Text that is no CRS is set aside with a code of its own."""
    with pytest.raises(Reject, match=r"geometry\.crs-unknown"):
        geometry.transformer(name, "EPSG:28992")


def test_check_point_of_the_dutch_grid() -> None:
    """The RD origin lies at 5.38720 E, 52.15517 N, within the metre that PROJ gives without the national grid."""
    point = model.Geometry(shapely.Point(5.38720, 52.15517).wkb, geometry.CRS84)

    metric = geometry.to_metric(point, "EPSG:28992")

    assert metric.distance(shapely.Point(155000, 463000)) < 2


def test_coordinates_without_a_place_are_rejected() -> None:
    """Degrees that are no degrees have no place in metres; many at once give None and go on."""
    bad = model.Geometry(shapely.Point(5000, 90000).wkb, geometry.CRS84)
    good = model.Geometry(shapely.Point(5, 52).wkb, geometry.CRS84)
    torn = model.Geometry(b"\x01\x02", geometry.CRS84)

    with pytest.raises(Reject, match=r"geometry\.outside-crs"):
        geometry.to_metric(bad, "EPSG:28992")
    with pytest.raises(Reject, match=r"geometry\.unparseable"):
        geometry.to_metric(torn, "EPSG:28992")
    many = geometry.to_metric_many([bad, good, None, torn], "EPSG:28992")

    assert [shape is None for shape in many] == [True, False, True, True]


@pytest.mark.parametrize(
    ("where", "crs", "expected"),
    [
        ("POINT (121000 487000)", "EPSG:28992", "EPSG:28992"),
        ("POINT (149000 170000)", "EPSG:31370", "EPSG:31370"),
        ("POINT (4.9 52.37)", "EPSG:4326", "EPSG:28992"),
        ("POINT (8.4 49.0)", "EPSG:4326", "EPSG:32632"),
        ("POINT (935000 6275000)", "EPSG:3857", "EPSG:32632"),
        ("POINT (-70.6 -33.4)", "EPSG:4326", "EPSG:32719"),
        ("POINT (1000000 200000)", "EPSG:2263", "EPSG:32618"),
    ],
)
def test_a_fitting_crs_has_true_metres(where: str, crs: str, expected: str) -> None:
    """Metres of the plans' own CRS are kept; degrees, feet and world maps give way to RD or a UTM zone."""
    found = geometry.fitting_metric_crs([None, geometry.to_model(shapely.from_wkt(where), crs)])

    assert found == expected


def test_a_bow_tie_keeps_both_halves() -> None:
    """rules.md 11, example 13: the repaired area is 195 m2."""
    bow = shapely.from_wkt("POLYGON((121000 487000,121030 487015,121030 487000,121000 487010,121000 487000))")

    repaired, changed = geometry.repair(bow)

    assert changed
    assert repaired is not None
    assert repaired.area == pytest.approx(195)


def test_overlapping_parts_keep_what_they_share() -> None:
    """A multipolygon whose parts overlap covers their union, not their difference."""
    both = shapely.MultiPolygon([shapely.box(0, 0, 2, 2), shapely.box(1, 1, 3, 3)])

    repaired, changed = geometry.repair(both)

    assert changed
    assert repaired is not None
    assert repaired.area == pytest.approx(7)


def test_nothing_left_is_missing() -> None:
    """Empty and not-a-number geometries count as missing; a valid one comes back as it was."""
    fine = shapely.box(0, 0, 1, 1)
    broken = shapely.LineString([(0, 0), (0, 0)])
    with np.errstate(invalid="ignore"):
        nan = shapely.from_wkt("LINESTRING(0 0, nan nan)")
    shapes = np.array([shapely.Polygon(), nan, None, fine, broken], dtype=object)

    result, repaired = geometry.repair_many(shapes)

    assert result[0] is None
    assert result[1] is None
    assert result[2] is None
    assert result[3] is fine
    assert result[4].geom_type == "Point"
    assert repaired.tolist() == [False, True, False, False, True]


def test_wkb_is_flat_and_survives() -> None:
    """What is written has two dimensions and reads back as the same shape."""
    tall = shapely.from_wkt("POINT Z (1 2 3)")

    value = geometry.to_model(tall, "EPSG:28992", 0.5)

    assert value.crs == RD
    assert geometry.read_wkb(value.wkb).equals(shapely.Point(1, 2))
