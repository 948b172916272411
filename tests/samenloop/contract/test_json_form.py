"""The contract's JSON form."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop.contract import from_json, to_feature, to_json
from samenloop.model import (
    Alert,
    DeliveryReceipt,
    Geometry,
    Organisation,
    Period,
    Plan,
    PlanChanged,
    SourcePoll,
    Validity,
)

RD = "http://www.opengis.net/def/crs/EPSG/0/28992"


def test_plan_as_feature(make_change: Callable[[], PlanChanged]) -> None:
    """A GeoJSON Feature: the geometry in its own CRS, named in the properties; nulls left out."""
    plan = make_change().plan
    assert plan is not None

    feature = to_feature(plan)

    assert feature["type"] == "Feature"
    assert feature["id"] == plan.id
    assert feature["geometry"] == json.loads(shapely.to_geojson(shapely.box(155000, 463000, 155010, 463010)))
    assert feature["properties"]["crs"] == RD
    assert feature["properties"]["period"]["start"] == "2027-03-01"
    assert "description" not in feature["properties"]
    assert "geometry" not in feature["properties"]
    json.dumps(feature, allow_nan=False)


def test_plan_without_geometry() -> None:
    """Its feature has a null geometry, as GeoJSON wants."""
    assert to_feature(Plan(**_least()))["geometry"] is None


def _least() -> dict[str, Any]:
    return {"id": "i", "system": "s", "local_id": "l", "owner": Organisation("o"), "title": "t"}


@pytest.mark.parametrize(
    ("value", "form"),
    [
        (date(2027, 3, 1), "2027-03-01"),
        (datetime(2027, 3, 28, 2, tzinfo=timezone(timedelta(hours=2))), "2027-03-28T00:00:00Z"),
        (datetime(2026, 10, 25, 0, 30, 0, 5, tzinfo=UTC), "2026-10-25T00:30:00.000005Z"),
        (b"\x01\xff", "01ff"),
        (2**53, 2**53),
        (2**53 + 1, "9007199254740993"),
        (True, True),
        (Period(date(2027, 1, 1)), {"start": "2027-01-01", "precision": "UNKNOWN", "end_kind": "UNKNOWN"}),
        (Geometry(shapely.to_wkb(shapely.Point(1, 2)), RD), {"type": "Point", "coordinates": [1.0, 2.0], "crs": RD}),
    ],
)
def test_values(value: Any, form: Any) -> None:
    """Days and instants are ISO text in UTC, hashes hex, integers beyond 2^53 text."""
    assert to_json(value) == form


@settings(max_examples=40)
@given(data=st.data())
@pytest.mark.parametrize("record", [Alert, DeliveryReceipt, SourcePoll, Validity])
def test_there_and_back(any_value: Callable[[Any], Any], record: type[Any], data: st.DataObject) -> None:
    """What is written is read again as the same value."""
    value = data.draw(any_value(record))

    assert from_json(record, json.loads(json.dumps(to_json(value)))) == value
