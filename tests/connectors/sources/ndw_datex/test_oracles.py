"""Real publications of four countries give exactly what the oracle of the guides counts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from samenloop.model import Plan
from samenloop.source import Snapshot

DATA = Path(__file__).parents[5] / "shared" / "data" / "eu-datex2-situation"
Read = Callable[..., Snapshot]

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"needs the published data in {DATA.name}")


def plans(snapshot: Snapshot) -> dict[str, Plan]:
    return {record.local_id: record.plan for record in snapshot.records}


def days(plan: Plan) -> tuple[str, str]:
    return str(plan.period.start), str(plan.period.end)


def test_the_dutch_planning_feed(read: Read) -> None:
    """Three works of three systems behind one feed, with their status, and one measure that is none of them."""
    snapshot = read((DATA / "ndw_planningsfeed_excerpt_2026-09.xml").read_bytes())
    haarlem, utrecht, rws = plans(snapshot).values()

    assert (len(snapshot.records), len(snapshot.rejected)) == (3, 0)
    assert (snapshot.measures, snapshot.measures_only) == (1, 0)
    assert (haarlem.phase, *days(haarlem)) == ("EXECUTION", "2026-09-07", "2026-09-25")
    assert (utrecht.phase, utrecht.certainty, *days(utrecht)) == (
        "PREPARATION",
        "PERMITTED",
        "2026-09-24",
        "2026-09-25",
    )
    assert (rws.phase, *days(rws)) == ("EXECUTION", "2026-08-28", "2026-09-18")
    assert [plan.owner.name for plan in (haarlem, utrecht)] == ["Gemeente Haarlem", "Gemeente Utrecht"]
    assert rws.title == "Resurfacing work, NN-W [RWS Noord-Nederland District West]"
    assert [plan.source_version for plan in (haarlem, utrecht, rws)] == ["3", "2", "17"]


def test_places_of_the_dutch_feed_are_longitude_before_latitude(read: Read) -> None:
    """The works' own place, never that of a measure: a line near Harlingen, a point in Haarlem."""
    from samenloop.geometry import read_wkb

    found = plans(read((DATA / "ndw_planningsfeed_excerpt_2026-09.xml").read_bytes()))
    shapes = {name: read_wkb(plan.geometry.wkb) for name, plan in found.items() if plan.geometry}

    assert [shape.geom_type for shape in shapes.values()] == ["Point", "Point", "LineString"]
    assert shapes["RWS01_SM1172098_D2"].coords[0] == (5.429029, 53.091851)
    assert (shapes["AND01_979B12F30EB043D585E9927DF116F78D"].x) == 4.6755357


def test_nothing_personal_of_the_dutch_feed_leaves_the_connector(read: Read) -> None:
    """Contacts and internal notes stay behind; the link to a document goes along as a reference."""
    found = plans(read((DATA / "ndw_planningsfeed_excerpt_2026-09.xml").read_bytes()))
    said = repr(found)

    assert "redacted" not in said
    assert "Fase 1\n" not in said and "K&L werkzaamheden" not in said
    assert {r.scheme.rpartition(":")[2] for r in found["NDW03_606942"].references} == {"link", "melvin"}


def test_a_feed_of_measures_alone(read: Read) -> None:
    """The actual traffic picture: two situations, eleven measures, not one plan, and nothing refused."""
    snapshot = read((DATA / "nl_ndw_actueel_beeld_v3.7_2situations.xml").read_bytes())

    assert (len(snapshot.records), len(snapshot.rejected)) == (0, 0)
    assert (snapshot.measures, snapshot.measures_only) == (11, 2)


def test_luxembourg_in_version_2(read: Read) -> None:
    """Default namespace, offsets, works as the second record, a situation that only manages, ends of stretches."""
    snapshot = read((DATA / "luxembourg_chantiers.xml").read_bytes(), zone="Europe/Luxembourg")

    assert list(plans(snapshot)) == ["34246", "65473"]
    assert (snapshot.measures, snapshot.measures_only) == (2, 1)
    assert days(plans(snapshot)["34246"]) == ("2020-05-29", "2029-05-29")
    assert plans(snapshot)["34246"].source_version == "616234"


def test_finland_in_version_2(read: Read) -> None:
    """Alert-C only: a plan without a place, flagged; its comment holds an operator's telephone and is withheld."""
    snapshot = read((DATA / "fi_digitraffic_roadworks_v2.3.xml").read_bytes(), zone="Europe/Helsinki")
    (record,) = snapshot.records

    assert days(record.plan) == ("2026-07-20", "2026-07-31")
    assert record.plan.geometry is None
    assert {"geometry.reference-only", "geometry.missing", "personal.text-withheld"} <= {n.code for n in record.notes}
    assert "fintraffic" not in repr(record.plan).lower()
    assert snapshot.measures == 2
