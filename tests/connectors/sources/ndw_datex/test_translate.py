"""What a situation becomes: each rule of the mapping by one example."""

from collections.abc import Callable
from typing import Any

import pytest

from samenloop.geometry import read_wkb
from samenloop.model import Plan
from samenloop.source import Snapshot, SourceRecord

Read = Callable[..., Snapshot]
POINT = (
    "<l:pointByCoordinates><l:pointCoordinates><l:latitude>52.1</l:latitude><l:longitude>5.4</l:longitude>"
    "</l:pointCoordinates></l:pointByCoordinates>"
)
LINE = "<l:gmlLineString><l:posList>52.1 5.4 52.2 5.402</l:posList></l:gmlLineString>"
ALERT_C = "<l:alertCPoint><l:alertCLocationTableNumber>6.13</l:alertCLocationTableNumber></l:alertCPoint>"


@pytest.fixture
def record(read: Read, datex: Any) -> Callable[..., SourceRecord]:
    """Read one situation with these records."""

    def run(*records: str, name: str = "a", keys: dict[str, Any] | None = None, **header: Any) -> SourceRecord:
        snapshot = read(datex.publication(datex.situation(name, *records, **header)), **(keys or {}))
        assert snapshot.rejected == []
        return snapshot.records[0]

    return run


@pytest.fixture
def plan(record: Callable[..., SourceRecord]) -> Callable[..., Plan]:
    return lambda *records, **more: record(*records, **more).plan


def codes(found: SourceRecord) -> set[str]:
    return {note.code for note in found.notes}


def status(name: str, code: str) -> str:
    return f"<s:{name}>{code}</s:{name}>"


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ({}, ("UNKNOWN", "UNKNOWN")),
        ({"roadworkStatus": "initial"}, ("PREPARATION", "INTENDED")),
        ({"roadworkStatus": "alignmentFinished"}, ("PREPARATION", "INTENDED")),
        ({"roadworkStatus": "published"}, ("PREPARATION", "FIXED")),
        ({"roadworkStatus": "final"}, ("PREPARATION", "FIXED")),
        ({"roadworkStatus": "running", "probabilityOfOccurrence": "probable"}, ("EXECUTION", "FIXED")),
        ({"operatorActionStatus": "requested"}, ("PREPARATION", "INTENDED")),
        ({"operatorActionStatus": "approved", "roadworkStatus": "initial"}, ("PREPARATION", "PERMITTED")),
        ({"operatorActionStatus": "beingImplemented"}, ("EXECUTION", "UNKNOWN")),
        ({"operatorActionStatus": "beingTerminated"}, ("EXECUTION", "UNKNOWN")),
        ({"operatorActionStatus": "implemented"}, ("UNKNOWN", "UNKNOWN")),
        ({"probabilityOfOccurrence": "riskOf"}, ("UNKNOWN", "INDICATIVE")),
        ({"probabilityOfOccurrence": "certain"}, ("UNKNOWN", "FIXED")),
        ({"cancel": "true", "roadworkStatus": "running"}, ("CANCELLED", "FIXED")),
    ],
)
def test_status(plan: Any, datex: Any, signals: dict[str, str], expected: tuple[str, str]) -> None:
    """The furthest phase and the highest certainty of all signals; "implemented" does not mean done."""
    found = plan(datex.works("".join(status(name, code) for name, code in signals.items())))

    assert (found.phase, found.certainty) == expected


def test_a_code_that_is_not_listed_means_nothing_and_is_reported(record: Any, datex: Any) -> None:
    """It keeps its text in `source_fields`."""
    found = record(datex.works(status("roadworkStatus", "postponed")))

    assert (found.plan.phase, found.plan.source_fields["roadworkStatus"]) == ("UNKNOWN", "postponed")
    assert [(n.field, n.value, n.detail) for n in found.notes] == [("roadworkStatus", "postponed", "phase")]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        ("2027-03-01T06:00:00Z", "2027-03-12T15:00:00Z", ("2027-03-01", "2027-03-12")),
        ("2027-02-28T23:00:00Z", "2027-03-12T22:59:59.999Z", ("2027-03-01", "2027-03-12")),
        ("2027-03-01T00:00:00+01:00", "2027-03-13T00:00:00+01:00", ("2027-03-01", "2027-03-12")),
        ("2027-07-01T00:00:00+02:00", "2027-07-01T00:00:00+02:00", ("2027-07-01", "2027-07-01")),
        ("2027-03-01", "2027-03-12", ("2027-03-01", "2027-03-12")),
        ("2027-03-01T07:00:00", "2027-03-12T23:30:00.1234567", ("2027-03-01", "2027-03-12")),
        ("", "2027-03-12T15:00:00Z", ("None", "2027-03-12")),
        ("2027-03-01T06:00:00Z", "", ("2027-03-01", "None")),
        ("2027-03-01T06:00:00Z", "2999-12-31T23:00:00Z", ("2027-03-01", "None")),
    ],
)
def test_instants_become_local_days(plan: Any, datex: Any, start: str, end: str, expected: tuple[str, str]) -> None:
    """rule: sources.md 0.11: a real end at local midnight is the day before; far ends are no ends."""
    found = plan(datex.works(start=start, end=end)).period

    assert (str(found.start), str(found.end)) == expected


def test_several_periods_are_kept_beside_the_envelope(plan: Any, datex: Any) -> None:
    """The envelope alone would invent conflicts."""
    spans = "".join(
        f"<c:validPeriod><c:startOfPeriod>2027-03-{a}T06:00:00Z</c:startOfPeriod>"
        f"<c:endOfPeriod>2027-03-{b}T15:00:00Z</c:endOfPeriod></c:validPeriod>"
        for a, b in (("08", "09"), ("01", "02"))
    )
    works = datex.works().replace("</c:validityTimeSpecification>", f"{spans}</c:validityTimeSpecification>")
    found = plan(works)

    assert (str(found.period.start), str(found.period.end)) == ("2027-03-01", "2027-03-09")
    assert [str(p.start) for p in found.work_periods] == ["2027-03-01", "2027-03-08"]


def test_several_works_of_a_situation_are_one_plan(record: Any, datex: Any) -> None:
    """With all their places and periods and the highest version; measures give neither place nor period."""
    other = datex.works(where=POINT, start="2027-05-01T06:00:00Z", end="2027-05-02T06:00:00Z", version="12")
    found = record(datex.measure("ReroutingManagement"), datex.works(version="9"), other)

    assert read_wkb(found.plan.geometry.wkb).geom_type == "GeometryCollection"
    assert read_wkb(found.plan.geometry.wkb).bounds[1] == 52.1, "the detour lies elsewhere"
    assert str(found.plan.period.end) == "2027-05-02"
    assert found.plan.source_version == "12"
    assert (found.measures, found.plan.source_fields["measures"]) == (("ReroutingManagement",), "ReroutingManagement 1")


@pytest.mark.parametrize(
    ("where", "sort", "note"),
    [
        ('<l:gmlLineString srsName="WGS 84"><l:posList>52 5 53 6</l:posList></l:gmlLineString>', "LineString", ""),
        ("<l:gmlLineString><l:pos>52.1 5.4</l:pos><l:pos>52.2 5.5</l:pos></l:gmlLineString>", "LineString", ""),
        ('<l:gmlLineString srsDimension="3"><l:posList>52 5 0 53 6 0</l:posList></l:gmlLineString>', "LineString", ""),
        ("<l:gmlLineString><l:posList>52.1 5.4 52.1 5.4</l:posList></l:gmlLineString>", "Point", ""),
        (
            "<l:gmlMultiPolygon><l:gmlPolygon><l:exterior><l:LinearRing><l:posList>52 5 52 6 53 6 52 5</l:posList>"
            "</l:LinearRing></l:exterior></l:gmlPolygon></l:gmlMultiPolygon>",
            "Polygon",
            "",
        ),
        (POINT + ALERT_C, "Point", ""),
        (ALERT_C, None, "geometry.reference-only"),
        (
            f"{ALERT_C}<l:coordinatesForDisplay><l:latitude>52</l:latitude><l:longitude>5</l:longitude>"
            "</l:coordinatesForDisplay>",
            "Point",
            "geometry.display-point",
        ),
        (
            '<l:gmlLineString srsName="local grid"><l:posList>1 2 3 4</l:posList></l:gmlLineString>',
            None,
            "geometry.crs-unexpected",
        ),
        ("", None, "geometry.missing"),
    ],
)  # fmt: skip
def test_places(record: Any, datex: Any, where: str, sort: str | None, note: str) -> None:
    """Lines, areas and points; a reference to a table is no place, and a point for display is the last resort."""
    found = record(datex.works(where=where))
    shape = found.plan.geometry and read_wkb(found.plan.geometry.wkb)

    assert (shape.geom_type if shape else None) == sort
    assert not note or note in codes(found)


@pytest.mark.parametrize(
    ("name", "positions"),
    [
        ("", "52.1552 5.3872 52.1562 5.3892"),
        ("http://www.opengis.net/def/crs/EPSG/0/4326", "52.1552 5.3872 52.1562 5.3892"),
        ("urn:ogc:def:crs:OGC:1.3:CRS84", "5.3872 52.1552 5.3892 52.1562"),
        ("urn:ogc:def:crs:EPSG::28992", "154999.8 463003.1 155136.6 463114.3"),
        ("EPSG:3035", "3237260.7 4005541.4 3237363.1 4005685.1"),
    ],
)
def test_axes_come_in_the_order_of_the_crs(record: Any, datex: Any, name: str, positions: str) -> None:
    """Latitude first in WGS 84, longitude first in CRS84, easting first in RD, northing first in LAEA Europe."""
    named = f' srsName="{name}"' if name else ""
    line = f"<l:gmlLineString{named}><l:posList>{positions}</l:posList></l:gmlLineString>"
    found = record(datex.works(where=line)).plan.geometry

    assert read_wkb(found.wkb).bounds == pytest.approx((5.3872, 52.1552, 5.3892, 52.1562), abs=1e-5)


def test_swapped_axes_are_no_place(record: Any, datex: Any) -> None:
    """A wrong place is worse than none: the box of the profile tells."""
    box = {"bbox": [3.0, 50.6, 7.4, 53.8]}
    swapped = "<l:gmlLineString><l:posList>5.4 52.1 5.5 52.2</l:posList></l:gmlLineString>"
    found = record(datex.works(where=swapped), keys=box)

    assert (found.plan.geometry, "geometry.axes-swapped" in codes(found)) == (None, True)
    assert record(datex.works(where=swapped), keys={**box, "axis_order": "xy"}).plan.geometry is not None


def test_title_and_description(plan: Any, datex: Any) -> None:
    """The cause, else the first publishable comment, else the sort of work and the owner."""
    comment = datex.comment("Weg dicht", "warning") + datex.comment("Fiets ook")
    sort = status("roadMaintenanceType", "resurfacingWork")

    assert plan(datex.works(comment, cause="Asfalt, , km 3")).title == "Asfalt, km 3"
    assert plan(datex.works(comment)).description == "Weg dicht\nFiets ook"
    assert plan(datex.works(comment, cause="")).title == "Weg dicht"
    assert plan(datex.works(sort, cause="")).title == "Resurfacing work, Gemeente Havervoort"
    assert plan(datex.works(cause="", owner="", kind="PublicEvent")).title == "Event a"


def test_contacts_notes_and_persons_stay_behind(record: Any, datex: Any) -> None:
    """rule: sources.md 3: internal notes, other comments, contacts, and whatever holds mail or telephone."""
    secret = "J. Jansen"
    comments = [
        datex.comment(f"{secret} weet ervan", "internalNote"),
        datex.comment(f"Bel {secret}", "other"),
        datex.comment(f"Contactinformatie: {secret}", "warning"),
        datex.comment(f"{secret}, 06-12345678", "warning"),
        datex.comment(f"Mail jansen@bouwer.example, {secret}"),
    ]
    internal = f"<s:nonGeneralPublicComment><s:comment>{datex.text(secret)}</s:comment></s:nonGeneralPublicComment>"
    found = record(datex.works("".join(comments) + internal))

    assert "Jansen" not in repr(found)
    assert found.plan.description is None
    assert {"comment.withheld", "personal.text-withheld"} <= codes(found)


def test_owner_by_name(plan: Any, datex: Any) -> None:
    """The profile's table, also with a *; a name without an OIN has an identity of the hub, no name one of its own."""
    rws = "00000099000000009002"
    keys = {"owners": {"gemeente havervoort": "00000099000000009003", "*[RWS *": rws}}

    assert plan(datex.works(), keys=keys).owner.oin == "00000099000000009003"
    assert plan(datex.works(owner="ON [RWS Oost]"), keys=keys).owner.oin == rws
    assert plan(datex.works()).owner.oin == "urn:samenloop:org:gemeente-havervoort"
    assert plan(datex.works(owner="")).owner != plan(datex.works(owner=""), name="b").owner


@pytest.mark.parametrize(
    ("seen", "keys", "expected"),
    [
        ("noRestriction", {}, "PUBLIC"),
        ("restrictedToAuthorities", {}, "RESTRICTED"),
        ("internalUse", {}, "RESTRICTED"),
        ("newlyInvented", {}, "RESTRICTED"),
        ("", {}, "RESTRICTED"),
        ("", {"unstated_visibility": "PUBLIC"}, "PUBLIC"),
        ("restrictedToAuthorities", {"visibility": {"restrictedToAuthorities": "PARTNERS"}}, "PARTNERS"),
    ],
)
def test_visibility_from_confidentiality(plan: Any, datex: Any, seen: str, keys: dict[str, Any], expected: str) -> None:
    """What is not known to be open is not shown; the profile may say otherwise."""
    assert plan(datex.works(), seen=seen, keys=keys).visibility == expected


def test_a_stricter_record_makes_the_plan_stricter(plan: Any, datex: Any) -> None:
    """`confidentialityOverride` of a record never widens."""
    assert plan(datex.works(status("confidentialityOverride", "internalUse"))).visibility == "RESTRICTED"


def test_kinds_of_work_and_ground(plan: Any, datex: Any) -> None:
    """From subject and maintenance; urgent works are emergencies; the profile's own table goes first."""
    gas = status("subjectTypeOfWorks", "gasMainWork") + status("urgentRoadworks", "true")
    grass = status("roadMaintenanceType", "grassCuttingWork")
    kinds = plan(datex.works(gas)).work_kinds

    assert [kind.rpartition(":")[2] for kind in kinds] == ["emergency", "gas"]
    assert plan(datex.works(gas)).ground_disturbing is True
    assert plan(datex.works(grass)).ground_disturbing is False
    assert plan(datex.works()).ground_disturbing is None
    assert plan(datex.works(grass), keys={"work_kinds": {"grassCuttingWork": "trees"}}).work_kinds[0].endswith(":trees")


def test_hindrance(plan: Any, datex: Any) -> None:
    """The strongest of class, category, delay and constriction of the works' own record."""
    assert plan(datex.works(status("roadworkHindranceClass", "hindranceClass0"))).traffic_impact == "NONE"
    assert plan(datex.works(status("roadworkHindranceCategory", "hindranceCategoryC"))).traffic_impact == "REDUCED"
    both = status("delayBand", "negligible") + status("trafficConstrictionType", "roadBlocked")
    assert plan(datex.works(both)).traffic_impact == "CLOSED"
    assert plan(datex.works(), datex.measure("RoadOrCarriagewayOrLaneManagement")).traffic_impact == "UNKNOWN"


def test_links_and_related_situations(plan: Any, datex: Any) -> None:
    """A link is a reference and nothing else; the number behind NDW03_ is Melvin's; what is related is the parent."""
    link = "<s:urlLink><c:urlLinkAddress>https://files.example/1.pdf</c:urlLinkAddress></s:urlLink>"
    found = plan('<s:relatedSituation id="NDW03_7" version="1"/>', datex.works(link), name="NDW03_606942")

    values = {one.scheme.rpartition(":")[2]: one.value for one in found.references}
    assert values == {"link": "https://files.example/1.pdf", "melvin": "606942"}
    assert [(r.kind, r.plan_id.rpartition(":")[2]) for r in found.relations] == [("PART_OF", "NDW03_7")]


def test_an_event_is_an_event(plan: Any, datex: Any) -> None:
    """Unless there are works as well."""
    event = datex.works(kind="PublicEvent")

    assert (plan(event).kind, plan(event, datex.works()).kind) == ("EVENT", "WORKS")


BAD = {
    "no id": (None, {}, "real", "id.missing", "situation: found no `id`"),
    "a long id": ("x" * 121, {}, "real", "id.unexpected", "121 characters"),
    "a test": ("a", {}, "test", "status.not-real", "situation a: informationStatus: found 'test', expected 'real'"),
    "an exercise": ("a", {}, "securityExercise", "status.not-real", "informationStatus"),
    "a word": ("a", {"start": "soon"}, "real", "date.unparseable", "situation a: overallStartTime: found text like"),
    "no such day": ("a", {"end": "2027-02-30T00:00:00Z"}, "real", "date.unparseable", "overallEndTime"),
    "half a pair": ("a", {"where": LINE.replace("5.402", "")}, "real", "geometry.unparseable", "situation a: posList"),
    "no number": ("a", {"where": POINT.replace("52.1", "n")}, "real", "geometry.unparseable", "pointCoordinates"),
}


@pytest.mark.parametrize("case", BAD)
def test_one_bad_situation_is_set_aside(read: Read, datex: Any, case: str) -> None:
    """With its bytes and a sentence that names situation, element and what is expected; the others go on."""
    name, works, real, code, words = BAD[case]
    bad = datex.situation(name, datex.works(**works), real=real)
    snapshot = read(datex.publication(datex.situation("fine", datex.works()), bad))
    (rejected,) = snapshot.rejected

    assert [record.local_id for record in snapshot.records] == ["fine"]
    assert (rejected.code, rejected.position, rejected.raw.decode()) == (code, 2, bad)
    assert words in rejected.detail


def test_one_id_twice(read: Read, datex: Any) -> None:
    """The very same situation twice is one; another one under the same id is set aside."""
    first, other = datex.situation("a", datex.works()), datex.situation("a", datex.works(cause="Anders"))
    snapshot = read(datex.publication(first, first, other))

    assert len(snapshot.records) == 1
    assert [(one.code, one.position) for one in snapshot.rejected] == [("id.duplicate", 3)]


def test_the_mandate_is_checked(read: Read, datex: Any) -> None:
    """A source that may speak for itself only is refused the works of others, and told which key to change."""
    (rejected,) = read(datex.publication(datex.situation("a", datex.works())), mandate="own").rejected

    assert rejected.code == "owner.not-mandated"
    assert "`mandate: own | [OINs] | any`" in rejected.detail


def test_republishing_is_no_change(record: Any, datex: Any) -> None:
    """Version, time of version, prefixes and white space play no part in the fingerprint; a code does."""
    works = datex.works(status("roadworkStatus", "published"))
    first = record(works)

    assert record(works.replace('version="1"', 'version="2"')).fingerprint == first.fingerprint
    assert record(works.replace("><", ">\n  <")).fingerprint == first.fingerprint
    assert record(works.replace("published", "running")).fingerprint != first.fingerprint
    assert record(works, datex.measure()).fingerprint != first.fingerprint
