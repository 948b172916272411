"""From a row to a plan: places, owners, codes, persons."""

import json
from pathlib import Path
from typing import Any

import pytest
import shapely

from connectors.sources.file_snapshots import Profile, load_profile
from connectors.sources.file_snapshots.connector import unpack
from connectors.sources.file_snapshots.translate import translate
from samenloop import geometry as border
from samenloop.errors import BadSettings, Reject
from samenloop.model import Party, PartyRole, Plan
from samenloop.personal_data import is_personal, names_a_person
from samenloop.source import SourceRecord

BASE: dict[str, Any] = {
    "system": "works",
    "organisation": "Gemeente Voorbeeld",
    "oin": "00000099000000001001",
    "files": "exports",
    "id": "nr",
    "visibility": "PARTNERS",
}


def records(features: list[dict[str, Any]], members: dict[str, Any] | None = None, **keys: Any) -> list[SourceRecord]:
    profile = Profile.model_validate(BASE | keys)
    body = json.dumps({"type": "FeatureCollection", "features": features, **(members or {})}).encode()
    return [translate(profile, work) for work in unpack(profile, body)[1]]


def record(
    properties: dict[str, Any], shape: Any = None, keys: dict[str, Any] | None = None, **more: Any
) -> SourceRecord:
    feature = {"type": "Feature", "id": "f-1", "geometry": shape, "properties": {"nr": 1, **properties}}
    return records([feature], **(keys or {}), **more)[0]


def plan(properties: dict[str, Any], shape: Any = None, keys: dict[str, Any] | None = None, **more: Any) -> Plan:
    return record(properties, shape, keys, **more).plan


def wkt(plan: Plan) -> str | None:
    return border.read_wkb(plan.geometry.wkb).wkt if plan.geometry else None


def codes(found: SourceRecord) -> set[str]:
    return {note.code for note in found.notes}


@pytest.mark.parametrize(
    ("geometry", "kind"),
    [
        ({"type": "Point", "coordinates": [5.1, 52.1, 3.0]}, "POINT (5.1 52.1)"),
        ({"type": "Polygon", "coordinates": [[[5, 52], [6, 52], [6, 53]]]}, "POLYGON ((5 52, 6 52, 6 53, 5 52))"),
        ({"type": "Polygon", "coordinates": [[[5, 52], [5.1, 52]]]}, "POLYGON ((5 52, 5.1 52, 5 52, 5 52))"),
        ({"type": "LineString", "coordinates": [[5, 52]]}, "LINESTRING (5 52, 5 52)"),
        (
            {"type": "GeometryCollection", "geometries": [{"type": "Point", "coordinates": [5, 52]}, None]},
            "GEOMETRYCOLLECTION (POINT (5 52))",
        ),
        (None, None),
        ({"type": "Point", "coordinates": []}, None),
        ({"type": "Polygon", "coordinates": []}, None),
    ],
)  # fmt: skip
def test_shapes_as_they_come(geometry: Any, kind: str | None) -> None:
    """Heights left out, rings closed, nothing where there is nothing; the shape itself is kept."""
    assert wkt(plan({}, geometry)) == kind


@pytest.mark.parametrize(
    "geometry",
    [
        {"type": "Point", "coordinates": ["a", "b"]},
        {"type": "Point", "coordinates": [5.1]},
        {"type": "Polygon", "coordinates": [5.1, 52.1]},
        {"type": "Circle", "coordinates": [5.1, 52.1]},
        {"coordinates": [5.1, 52.1]},
        {"type": "Polygon", "coordinates": [[None]]},
    ],
)
def test_a_shape_that_cannot_be_read_is_refused(geometry: Any) -> None:
    """What is missing refuses nothing; what is there and unreadable does."""
    with pytest.raises(Reject, match=r"geometry.unparseable"):
        plan({}, geometry)


@pytest.mark.parametrize(
    ("coordinates", "keys", "code"),
    [
        ([0, 0], {}, "geometry.zero-coordinate"),
        ([155000, 463000], {}, "geometry.outside-area"),
        ([5.1, 52.1], {"crs": "EPSG:28992"}, "geometry.outside-area"),
        ([463000, 155000], {"crs": "EPSG:28992"}, "geometry.axes-swapped"),
        ([52.1, 5.1], {"bbox": [4, 51, 6, 53]}, "geometry.axes-swapped"),
        ([4.9, 45.7], {"bbox": [4, 51, 6, 53]}, "geometry.outside-area"),
    ],
)
def test_a_place_that_cannot_be_gives_no_location(coordinates: list[float], keys: Any, code: str) -> None:
    """The plan stays, without a location, and the report says why."""
    found = record({}, {"type": "Point", "coordinates": coordinates}, **keys)

    assert found.plan.geometry is None
    assert code in codes(found)


def test_the_crs_is_the_profiles_then_the_files_then_wgs84() -> None:
    """A GeoJSON of 2008 may name its CRS; a name that nobody knows refuses the file."""
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [155000, 463000]},
        "properties": {"nr": 1},
    }
    named = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::28992"}}}
    found = records([feature], named)[0].plan.geometry

    assert found is not None and found.crs.endswith("EPSG/0/28992")
    old = {"crs": {"properties": {"name": "http://www.opengis.net/gml/srs/epsg.xml#28992"}}}
    assert records([feature], old)[0].plan.geometry == found
    with pytest.raises(Reject, match=r"envelope.unexpected.*'local grid'"):
        records([feature], {"crs": {"properties": {"name": "local grid"}}})


def test_places_in_fields() -> None:
    """WKT, GeoJSON in a text, two columns with decimal commas, WKB, northing first, one field after the other."""
    rd = {"crs": "EPSG:28992"}

    for text in ("SRID=28992;POINT Z (155000 463000 1)", '{"type": "Point", "coordinates": [155000, 463000]}'):
        assert wkt(plan({"g": text}, None, keys=rd | {"geometry": "g"})) == "POINT (155000 463000)"
    both = {"geometry": {"x": "X", "y": "Y"}}
    assert wkt(plan({"X": "155.000,5", "Y": "463000,25"}, None, rd | both)) == "POINT (155000.5 463000.25)"
    ewkb = shapely.to_wkb(shapely.set_srid(shapely.Point(155000, 463000), 28992), hex=True, include_srid=True)
    assert wkt(plan({"g": ewkb}, None, keys=rd | {"geometry": "g"})) == "POINT (155000 463000)"
    turned = {"geometry": {"field": ["g", "h"], "axis_order": "yx"}}
    assert wkt(plan({"g": "", "h": [463000, 155000]}, None, rd | turned)) == "POINT (155000 463000)"
    assert wkt(plan({"g": "", "h": "463000 155000"}, None, rd | turned)) == "POINT (155000 463000)"


def test_rows_of_one_id_are_one_work() -> None:
    """Their shapes are collected, their periods listed; the order of the rows plays no part."""

    def feature(x: float, day: str) -> dict[str, Any]:
        shape = {"type": "Point", "coordinates": [x, 52.1]}
        return {"type": "Feature", "geometry": shape, "properties": {"nr": "7", "v": day, "t": day}}

    rows = [feature(5.1, "2027-01-01"), feature(5.2, "2027-02-01"), feature(5.1, "2027-01-01")]
    (found,), (turned,) = records(rows, period=["v", "t"]), records(rows[::-1], period=["v", "t"])

    assert wkt(found.plan) == "MULTIPOINT ((5.1 52.1), (5.2 52.1))"
    assert [str(part.start) for part in found.plan.work_periods] == ["2027-01-01", "2027-02-01"]
    assert (found.plan, found.fingerprint) == (turned.plan, turned.fingerprint)


@pytest.mark.parametrize("value", [None, "", "  ", "-", "n/a"])
def test_only_an_id_is_needed(value: Any) -> None:
    """An id that says nothing refuses the record; nothing else that is missing does."""
    with pytest.raises(Reject, match=r"id.missing"):
        record({"nr": value})
    assert plan({}).title == "1"


def test_ids_are_text_whatever_they_were() -> None:
    """7, 7.0 and "7" are one id; a template joins fields; `feature.id` is the feature's own."""
    assert [plan({"nr": value}).local_id for value in (7, 7.0, "7", " 7 ")] == ["7"] * 4
    assert plan({"a": "x", "b": 2}, id="{a}/{b}").id.endswith(":plan:x%2F2")
    assert plan({}, id="feature.id").local_id == "f-1"
    with pytest.raises(Reject, match=r"id.unexpected"):
        plan({}, id={"field": "nr", "pattern": r"\d{4}"})


def test_an_owner_without_oin_gets_an_identity_that_does_not_look_like_one() -> None:
    """By the table, else by name."""
    keys = {"owner": {"field": "o", "map": {"Waterschap": "00000099000000001002"}}, "mandate": "any"}

    assert plan({"o": "waterschap"}, **keys).owner.oin == "00000099000000001002"
    assert plan({"o": "Bouwbedrijf Jansen & Zn."}, **keys).owner.oin.startswith("urn:samenloop:org:bouwbedrijf")
    assert plan({"o": "Gemeente Voorbeeld"}, **keys).owner.oin == BASE["oin"]


def test_unknown_never_equals_unknown() -> None:
    """A class, a natural person and a missing name are of one plan alone; a person's name is not kept."""
    keys = {"owner": {"field": "o", "classes": ["particulier"], "persons": ["^(De heer|Mevrouw) "]}, "mandate": "any"}
    owners = [
        plan({"nr": n, "o": o}, **keys).owner for n, o in enumerate(("particulier", "particulier", "Mevrouw X", None))
    ]

    assert len({owner.oin for owner in owners}) == 4
    assert [owner.name for owner in owners] == ["particulier", "particulier", None, None]


def test_a_source_speaks_for_itself_unless_it_may_for_others() -> None:
    """mandate: own, a list, any."""
    keys = {"owner": {"field": "o", "map": {"A": "00000099000000001002"}}}

    with pytest.raises(Reject, match=r"owner.not-mandated"):
        plan({"o": "A"}, **keys)
    assert plan({"o": "A"}, mandate=["00000099000000001002"], **keys)
    assert plan({"o": "A"}, mandate="any", **keys)


def test_codes_are_data() -> None:
    """Rules before the map, a suffix cut off, two fields joined, the default for the rest, which is reported."""
    table = {
        "field": ["s", "k"],
        "when": [{"field": "s", "ends_with": "(bezig)", "is": "execution"}],
        "ignore_suffix": "!",
        "map": {"concept + asfalt": "INITIATIVE", "concept + *": "DESIGN", 1: "COMPLETED"},
        "default": "UNKNOWN",
    }

    def phase(**fields: Any) -> str:
        return str(plan(fields, phase=table).phase)

    assert phase(s="concept (bezig)", k="asfalt") == "EXECUTION"
    assert phase(s="Concept", k="asfalt!") == "INITIATIVE"
    assert phase(s="concept", k="gas") == "DESIGN"
    assert phase() == "UNKNOWN"
    found = record({"s": "nieuw", "k": "gas"}, phase=table)
    assert [(n.code, n.field, n.value, n.detail) for n in found.notes][:1] == [
        ("code.unmapped", "s + k", "nieuw + gas", "phase")
    ]
    assert found.plan.source_fields["s"] == "nieuw"
    assert str(plan({"s": True}, phase={"field": "s", "map": {True: "COMPLETED"}}).phase) == "COMPLETED"


def test_kinds_of_work_may_be_several() -> None:
    """One word of the source, two trades; several words in a list or a text; a code that is not ours is refused."""
    found = plan({"k": "combi"}, work_kinds={"field": "k", "map": {"combi": ["gas", "water"]}})

    assert found.work_kinds == ("urn:samenloop:work-kind:gas", "urn:samenloop:work-kind:water")
    table = {"field": "k", "map": {"gas": "gas", "w*": "water"}}
    for value, keys in ((["Gas", "waterleiding"], table), ("gas | water", table | {"split": "|"})):
        assert plan({"k": value}, work_kinds=keys).work_kinds == found.work_kinds
    notes = record({"k": ["gas", "lucht"]}, work_kinds=table).notes
    assert [note.value for note in notes if note.code == "code.unmapped"] == ["lucht"]
    with pytest.raises(ValueError, match="sewer"):
        Profile.model_validate(BASE | {"work_kinds": "sewre"})


def test_parties_are_organisations() -> None:
    """Split at a comma; natural persons are left out."""
    keys = {
        "owner": {"field": "o", "persons": ["^person-"]},
        "mandate": "any",
        "parties": [{"role": "lead", "field": "p", "split": ","}],
    }

    assert plan({"o": "A", "p": "Sibelga, person-12"}, **keys).parties == (Party(PartyRole.LEAD, None, "Sibelga"),)


def test_personal_data_stays_behind() -> None:
    """Dropped by the profile, dropped by the field's name, withheld by what the text holds."""
    fields = {
        "naam": "Bel 06-12345678 voor toegang",
        "reserve": "Kabels Dorpsstraat",
        "aanvrager": "J. Jansen",
        "contactpersoon": "K. Klaassen",
        "notitie": "mail j.jansen@example.org",
        "code": "A7",
    }
    found = record(fields, title=["naam", "reserve"], drop=["aanvrager"])

    assert found.plan.title == "Kabels Dorpsstraat"
    assert dict(found.plan.source_fields) == {"code": "A7"}
    assert {(n.code, n.field) for n in found.notes if n.code.startswith("personal")} == {
        ("personal.dropped", "aanvrager"),
        ("personal.dropped", "contactpersoon"),
        ("personal.text-withheld", "naam"),
        ("personal.text-withheld", "notitie"),
    }


def test_a_field_can_be_personal_for_some_rows_only() -> None:
    """The name of a removal is a person's; that of road works is not."""
    keys = {"title": ["naam", "soort"], "drop": [{"field": "naam", "when": {"field": "soort", "equals": "verhuizing"}}]}

    assert plan({"naam": "Fam. Jansen", "soort": "verhuizing"}, **keys).title == "verhuizing"
    assert plan({"naam": "Riool", "soort": "weg"}, **keys).title == "Riool"


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("a.b@example.nl", True),
        ("0612345678", True),
        ("tel. 020-123 45 67", True),
        ("+32 2 204 19 99", True),
        ("BSN 111222333", True),
        ("2026V0051", False),
        ("van 24-08-2026 tot 11-09-2026", False),
        ("zaak 123456789", False),
        ("N200 km 12,5", False),
        ("KP2100964-112", False),
        ("MULTIPOINT (155000 463000)", False),
    ],
)
def test_what_looks_like_a_person(text: str, personal: bool) -> None:
    """Mail, telephone, BSN by its eleven test; not dates, case numbers or coordinates."""
    assert is_personal(text) is personal


@pytest.mark.parametrize(
    ("name", "personal"),
    [("ANSPRECHPERSON_TEL", True), ("contactPersoon", True), ("e_mail", True), ("Telefoonnummer", True),
     ("hotel", False), ("naam", False), ("mailbox_soort", False), ("datum", False)],
)  # fmt: skip
def test_names_of_fields_that_hold_a_person(name: str, personal: bool) -> None:
    """Left out even where a profile forgets them."""
    assert names_a_person(name) is personal


def test_a_shape_with_too_many_points_is_simplified() -> None:
    """At most 20,000 vertices travel; the accuracy says by how much."""
    ring = [[5 + i / 1e5, 52 + (i % 7) / 1e6] for i in range(30_000)]
    found = record({}, {"type": "LineString", "coordinates": ring}).plan.geometry

    assert found is not None and found.accuracy_m
    assert len(border.read_wkb(found.wkb).coords) <= 20_000


def test_all_mistakes_of_a_profile_at_once_with_their_lines(tmp_path: Path) -> None:
    """Unknown keys are refused, with the one that was meant."""
    path = tmp_path / "p.yaml"
    text = (
        'system: Works\norganisation: X\noin: "1"\nfiles: x\nid: nr\n'
        "tittle: naam\nphase: EXECUTING\nperiod: {fields: [a], formats: [mm/dd]}\nzone: Europe/Nowhere\n"
        "contact: {unit: Wegen, email: jan.jansen@example.nl}\n"
    )
    path.write_text(text, encoding="utf-8")

    with pytest.raises(BadSettings) as found:
        load_profile(path)
    problems = found.value.problems
    for line, words in ((1, "system"), (3, "20 letters or digits"), (6, "did you mean title?"), (7, "EXECUTION"),
                        (8, "dd, mm and yyyy"), (9, "time zone"), (10, "functional mailbox")):  # fmt: skip
        assert any(p.startswith(f"{path}:{line}:") and words in p for p in problems), (line, problems)
