"""The content hash: its vector, and what it must not notice."""

import dataclasses
import unicodedata
from datetime import UTC, date, datetime
from hashlib import sha256
from typing import Any

import orjson
import pytest
import rfc8785
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry.base import BaseGeometry

from samenloop.content_hash import canonical_fields, canonical_text, content_hash, content_hashes
from samenloop.errors import Reject
from samenloop.model import Geometry, Organisation, Party, PartyRole, Period, Plan, Precision, Reference

RD = "http://www.opengis.net/def/crs/EPSG/0/28992"
CRS84 = "http://www.opengis.net/def/crs/OGC/1.3/CRS84"
SYSTEM = "urn:nld:oin:00000099123456780000:systeem:works-register"
PLAN_ID = f"{SYSTEM}:plan:2027%2F0042%20B"


def plan(shape: BaseGeometry | None = None, *, crs: str = RD, **other: Any) -> Plan:
    geometry = Geometry(shapely.to_wkb(shape), crs) if shape is not None else None
    given_: dict[str, Any] = {
        "id": PLAN_ID,
        "system": SYSTEM,
        "local_id": "x",
        "owner": Organisation("o"),
        "title": "t",
    }
    return Plan(**given_ | {"owner": Organisation("o"), "geometry": geometry} | other)


def test_vector() -> None:
    """The canonical text and hash of the contract's own example."""
    line = Geometry(shapely.to_wkb(shapely.LineString([(155000, 463000), (155010.5, 463000)])), RD)
    fields = {
        "id": PLAN_ID,
        "title": "Cafe\u0301plein",
        "max_depth_m": 3.0,
        "period": Period(date(2027, 3, 1), precision=Precision.DAY),
        "geometry": line,
    }

    text = canonical_fields(fields)

    assert text == (
        f'{{"geometry":{{"crs":"{RD}","type":"LineString","xy":[[155000000,463000000],[155010500,463000000]]}},'
        f'"id":"{PLAN_ID}","max_depth_m":3,"period":{{"precision":"DAY","start":"2027-03-01"}},"title":"Caféplein"}}'
    )
    assert sha256(text.encode()).hexdigest() == "d88e83c3fb70d9a7d88cf7bd77c876f3770677f0b84fbce1b23ae8d6839f93bd"


def test_defaults_and_bookkeeping_are_left_out() -> None:
    """Nulls, empty arrays, defaults and bookkeeping do not count; accuracy of a geometry is not its shape."""
    bare = plan(shapely.Point(155000, 463000))
    noted = dataclasses.replace(
        bare, confirmed_at=datetime(2026, 1, 1, tzinfo=UTC), source_version="9", source_fields={"a": "b"}
    )

    assert content_hash(noted) == content_hash(bare)
    assert set(orjson.loads(canonical_text(bare))) == {"id", "system", "local_id", "owner", "title", "geometry"}
    assert content_hash(dataclasses.replace(bare, ground_disturbing=False)) != content_hash(bare)
    assert content_hash(dataclasses.replace(bare, max_depth_m=0.0)) != content_hash(bare)


def test_order_of_sets_and_spelling() -> None:
    """Set-like arrays in any order, and NFD for NFC, are the same plan."""
    parties = (Party(PartyRole.LEAD, "a", "É"), Party(PartyRole.CLIENT, "b"), Party(name="c"))
    references = (Reference("u", "1"), Reference("u", "2"))
    one = plan(parties=parties, references=references, audience=("x", "y"), work_kinds=("p", "q"))
    other = plan(
        parties=(parties[2], parties[1], Party(PartyRole.LEAD, "a", unicodedata.normalize("NFD", "É"))),
        references=references[::-1],
        audience=("y", "x"),
        work_kinds=("q", "p"),
    )

    assert content_hash(one) == content_hash(other)


coordinates = st.integers(-500_000, 500_000)
boxes = st.tuples(coordinates, coordinates, st.integers(1, 500), st.integers(1, 500)).map(
    lambda found: shapely.box(found[0], found[1], found[0] + found[2], found[1] + found[3])
)


def with_hole(box: BaseGeometry) -> BaseGeometry:
    x1, y1, x2, y2 = box.bounds
    inner = [(x1 + (x2 - x1) * fx, y1 + (y2 - y1) * fy) for fx, fy in ((0.2, 0.2), (0.4, 0.2), (0.4, 0.4))]
    other = [(x1 + (x2 - x1) * fx, y1 + (y2 - y1) * fy) for fx, fy in ((0.6, 0.6), (0.8, 0.6), (0.8, 0.8), (0.6, 0.8))]
    return shapely.Polygon(list(box.exterior.coords), [inner, other])


def turned(shape: BaseGeometry, start: int, *, back: bool) -> BaseGeometry:
    """Start every ring elsewhere, and run it the other way round."""

    def ring(points: Any) -> list[Any]:
        opened = list(points)[:-1]
        at = start % len(opened)
        opened = opened[at:] + opened[:at]
        return opened[::-1] if back else opened

    holes = [ring(hole.coords) for hole in shape.interiors]
    return shapely.Polygon(ring(shape.exterior.coords), holes[::-1] if back else holes)


@settings(max_examples=150)
@given(st.lists(boxes.map(with_hole), min_size=1, max_size=3), st.integers(0, 9), st.booleans())
def test_rings_parts_and_byte_order(shapes: list[BaseGeometry], start: int, back: bool) -> None:
    """Where a ring starts, which way it runs, the order of holes and parts, and the byte order do not matter."""
    one = shapely.MultiPolygon(shapes)
    other = shapely.MultiPolygon([turned(shape, start, back=back) for shape in shapes[::-1]])
    big_endian = Geometry(shapely.to_wkb(other, byte_order=0), RD)

    assert content_hash(plan(one)) == content_hash(plan(other)) == content_hash(plan(geometry=big_endian))


@settings(max_examples=150)
@given(boxes.map(with_hole), st.data())
def test_jitter(shape: BaseGeometry, data: st.DataObject) -> None:
    """0.2 mm of noise does not matter, away from the border of a millimetre cell; 2 mm does."""
    whole = shapely.transform(shape, lambda xy: (xy * 1000).round() / 1000)
    noise = data.draw(st.floats(-0.0002, 0.0002))

    moved = shapely.transform(whole, lambda xy: xy + noise)

    assert content_hash(plan(moved)) == content_hash(plan(whole))
    assert content_hash(plan(shapely.transform(whole, lambda xy: xy + 0.002))) != content_hash(plan(whole))


def test_degrees_are_rounded_finer() -> None:
    """In a geographic CRS the unit is 1e-8 degrees, about a millimetre; the CRS itself is part of the text."""
    point = shapely.Point(4.9, 52.3)

    assert '"xy":[490000000,5230000000]' in canonical_text(plan(point, crs=CRS84))
    assert content_hash(plan(point, crs=CRS84)) != content_hash(plan(point, crs=RD))


@pytest.mark.parametrize(
    ("wkt", "xy"),
    [
        ("POINT (1 2)", [1000, 2000]),
        ("LINESTRING (3 4, 1 2)", [[3000, 4000], [1000, 2000]]),
        ("MULTIPOINT (3 4, 1 2)", [[1000, 2000], [3000, 4000]]),
        ("MULTILINESTRING ((3 4, 5 6), (1 2, 3 4))", [[[1000, 2000], [3000, 4000]], [[3000, 4000], [5000, 6000]]]),
        ("POLYGON ((0 0, 0 1, 1 1, 0 0))", [[[0, 0], [1000, 1000], [0, 1000]]]),
        ("POLYGON EMPTY", []),
        ("POINT EMPTY", []),
        ("GEOMETRYCOLLECTION (POINT (3 4), GEOMETRYCOLLECTION (POINT (1 2)))",
         [{"type": "GeometryCollection", "xy": [{"type": "Point", "xy": [1000, 2000]}]},
          {"type": "Point", "xy": [3000, 4000]}]),
        ("POLYGON ((0 0, 5 5, 5 5, 0 0))", [[[0, 0], [5000, 5000], [5000, 5000]]]),
    ],
)  # fmt: skip
def test_every_type(wkt: str, xy: Any) -> None:
    """Every type of geometry has one form; lines keep their direction, flat rings have a smallest order."""
    assert orjson.loads(canonical_text(plan(shapely.from_wkt(wkt))))["geometry"]["xy"] == xy


def test_many_equal_one_by_one() -> None:
    """Hashing many plans at once gives the same as hashing each."""
    shapes = [None, shapely.Point(1, 2), with_hole(shapely.box(0, 0, 9, 9)), shapely.LineString([(0, 0), (1, 1)]), None]
    plans = [plan(shape, crs=CRS84 if number % 2 else RD) for number, shape in enumerate(shapes)]

    assert content_hashes(plans) == [content_hash(one) for one in plans]
    assert content_hashes([]) == []


@settings(max_examples=300)
@given(st.floats(allow_nan=False, allow_infinity=False), st.text())
def test_text_is_rfc_8785(depth: float, title: str) -> None:
    """The fast way writes what the RFC 8785 library writes, whatever the number and the text."""
    written = canonical_text(plan(max_depth_m=depth, title=title))

    assert written.encode() == rfc8785.dumps(orjson.loads(written) | {"max_depth_m": depth})


@pytest.mark.parametrize("depth", [float("nan"), float("inf")])
def test_not_a_number(depth: float) -> None:
    """NaN and infinity have no canonical text."""
    with pytest.raises(Reject, match=r"record\.not-a-number"):
        content_hash(plan(max_depth_m=depth))


@pytest.mark.parametrize(
    ("geometry", "code"),
    [
        (Geometry(b"nonsense", RD), "geometry.unparseable"),
        (Geometry(shapely.to_wkb(shapely.Point(float("inf"), 1)), RD), "geometry.not-finite"),
        (Geometry(shapely.to_wkb(shapely.Point(1, 1)), "EPSG:1"), "geometry.crs-unknown"),
        (Geometry(shapely.to_wkb(shapely.Point(1, 1)), "here"), "geometry.crs-unknown"),
    ],
)
def test_bad_geometry(geometry: Geometry, code: str) -> None:
    """A geometry that cannot be read, or has no place, is refused with its field."""
    with pytest.raises(Reject) as caught:
        content_hash(plan(geometry=geometry))

    assert caught.value.code == code


def test_half_characters() -> None:
    """Text that is not Unicode is refused."""
    with pytest.raises(Reject, match=r"record\.text"):
        content_hash(plan(title="\ud800"))
