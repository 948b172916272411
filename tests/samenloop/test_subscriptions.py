"""Subscriptions and partners as they are asked for: what is read, and what is said of bad input."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from samenloop.contract import Codec
from samenloop.errors import BadSettings
from samenloop.geometry import to_metric
from samenloop.model import Clearance, Severity, SubscriberRole, SubscriptionStatus
from samenloop.partners import key_hash, new_key
from samenloop.settings import Delivery, Hub
from samenloop.subscriptions import (
    load_wish,
    subscription_of,
    subscription_output,
    wish_of,
    with_status,
)

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
OIN = "00000099000000001002"
DEMO = Hub(delivery=Delivery(allow_http=True, allow_destinations=["127.0.0.0/8"]))


def test_file_with_everything(tmp_path: Path) -> None:
    """Every key of the file finds its place; a GeoJSON file is looked for beside it."""
    (tmp_path / "area.geojson").write_text(
        json.dumps(
            {
                "type": "FeatureCollection",
                "features": [
                    {
                        "type": "Feature",
                        "properties": {},
                        "geometry": {"type": "Polygon", "coordinates": [[[5, 52], [5.1, 52], [5.1, 52.1], [5, 52]]]},
                    }
                ],
            }
        )
    )
    path = tmp_path / "subscription.yaml"
    path.write_text(
        f"""
subscriber: "{OIN}"
sink: http://127.0.0.1:8080/in
area: {{geojson: area.geojson}}
about: [plans, conflicts]
roles: [OWNER, AUTHORITY]
min_severity: INFO
min_score: 0.5
rate_per_minute: 60
"""
    )

    found = subscription_of(load_wish(path), DEMO, subscription_id=UUID(int=1), now=NOW)

    assert found.types[0] == "nl.samenloop.conflict-opened.v1"
    assert found.types[-1] == "nl.samenloop.plan-removed.v1"
    assert found.roles == (SubscriberRole.OWNER, SubscriberRole.AUTHORITY)
    assert found.materiality.min_severity is Severity.INFO
    assert found.clearance is Clearance.PARTNERS
    assert found.status is SubscriptionStatus.ACTIVE
    assert found.area is not None
    assert to_metric(found.area, "EPSG:28992").area == pytest.approx(3.8e7, rel=0.1)


def test_arguments_are_enough() -> None:
    """The same from arguments; what is left out has its default, and about nothing in particular means all."""
    wish = wish_of(
        {"subscriber": OIN, "sink": "http://127.0.0.1:1/", "area": {"bbox": [1, 2, 3, 4], "crs": "EPSG:28992"}}
    )

    found = subscription_of(wish, DEMO, subscription_id=UUID(int=1), now=NOW)

    assert (found.types, found.kinds, found.roles) == ((), (), ())


def test_all_problems_at_once(tmp_path: Path) -> None:
    """A bad file is told with file, line, key, what was found and what is expected; unknown keys are refused."""
    path = tmp_path / "bad.yaml"
    path.write_text(
        """subscriber: "12"
sink: https://partner.example/in
area: {bbox: [3, 2, 1, 4]}
about: [everything]
min_severity: SERIOUS
colour: red
rate_per_minute: 0
"""
    )

    with pytest.raises(BadSettings) as found:
        load_wish(path)

    text = str(found.value)
    assert f"{path}:1: subscriber" in text and "20 letters or digits" in text
    assert f"{path}:3: area" in text and "min x, min y, max x, max y" in text
    assert f"{path}:4: about" in text
    assert f"{path}:5: min_severity: found 'SERIOUS'" in text
    assert f"{path}:6: colour: is not a known key" in text
    assert f"{path}:7: rate_per_minute" in text


@pytest.mark.parametrize(
    ("area", "message"),
    [
        ({"geojson": {"type": "Point", "coordinates": [5, 52]}}, "expected a polygon"),
        ({"geojson": {"type": "Nothing"}}, "is not GeoJSON"),
        ({"geojson": "missing.geojson"}, "cannot be read"),
        (
            {"geojson": {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}},
            "is not a valid polygon",
        ),
    ],
)
def test_areas_that_will_not_do(area: dict[str, object], message: str) -> None:
    """An area is one or more valid polygons."""
    wish = wish_of({"subscriber": OIN, "sink": "http://127.0.0.1:1/", "area": area})

    with pytest.raises(BadSettings, match=message):
        subscription_of(wish, DEMO, subscription_id=UUID(int=1), now=NOW)


def test_sinks_that_will_not_do() -> None:
    """A sink is a public https address unless an operator allows more; area and sink are told together."""
    wish = wish_of({"subscriber": OIN, "sink": "http://10.0.0.1/", "area": {"geojson": {"type": "Nothing"}}})

    with pytest.raises(BadSettings) as found:
        subscription_of(wish, Hub(), subscription_id=UUID(int=1), now=NOW)

    assert [problem.split(":")[0] for problem in found.value.problems] == ["area", "sink"]


@pytest.mark.parametrize("crs", ["EPSG:nothing", "RD"])
def test_unknown_crs(crs: str) -> None:
    """A CRS is an EPSG code or CRS84."""
    with pytest.raises(BadSettings, match="EPSG:28992 or OGC:CRS84"):
        wish_of({"subscriber": OIN, "sink": "https://p.example/", "area": {"bbox": [1, 2, 3, 4], "crs": crs}})


def test_revision_rises() -> None:
    """Every change of a subscription is its next revision, keyed by its id; the record survives the wire."""
    codec = Codec.offline()
    wish = wish_of({"subscriber": OIN, "sink": "http://127.0.0.1:1/"})
    before = subscription_of(wish, DEMO, subscription_id=UUID(int=1), now=NOW)

    after = with_status(before, SubscriptionStatus.ENDED, "gone", NOW)

    output = subscription_output(codec, "urn:hub", after)
    assert (after.revision, after.status_reason) == (2, "gone")
    assert output.key == str(UUID(int=1))
    assert codec.decode("subscriptions", output.value or b"", output.headers) == after


def test_keys_are_random_and_kept_as_a_digest() -> None:
    """256 random bits; only the SHA-256 is kept."""
    first, second = new_key(), new_key()

    assert first != second
    assert len(first) >= 43
    assert len(key_hash(first)) == 32
