"""Plans in, findings out."""

from collections.abc import Callable
from datetime import date

import shapely

from samenloop import check, model
from samenloop.contract import to_json
from samenloop.geometry import to_model, transform
from samenloop.model import Severity
from samenloop.oracle import batch_findings, differences
from samenloop.rules import Rules

TODAY = date(2027, 1, 4)
PlanMaker = Callable[..., model.Plan]


def base(make_plan: PlanMaker) -> dict[str, model.Plan]:
    """The base of the worked examples."""
    a = make_plan("A", "R(121000 487000,121020 487010)", "2027-03-01", "2027-04-30")
    b = make_plan("B", "R(121015 487004,121035 487014)", "2027-04-12", "2027-05-28")
    return {a.id: a, b.id: b}


def test_conflicts_come_before_opportunities(make_plan: PlanMaker, rules: Rules) -> None:
    """Two plans that overlap far ahead are a conflict and an opportunity, the conflict first."""
    found = check.check(base(make_plan).values(), rules, TODAY)

    assert [type(finding).__name__ for finding in found] == ["Conflict", "Opportunity"]
    assert found[0].severity is Severity.BLOCKING
    assert differences(found, batch_findings(base(make_plan), rules, TODAY)) == []


def test_text_says_who_where_when_and_what_would_help(make_plan: PlanMaker, rules: Rules) -> None:
    """A coordinator reads owners, square metres, days and dates in words, and who would have to move by how much."""
    plans = base(make_plan)

    dutch = check.to_text(check.check(plans.values(), rules, TODAY), plans, rules, "nl")
    english = check.to_text(check.check(plans.values(), rules, TODAY), plans, rules, "en")

    assert (
        "Ernstig: “Works A” van Owner A en “Works B” van Owner B overlappen elkaar op 30 m² en zijn 19 dagen tegelijk "
        "bezig: van 12 april tot en met 30 april 2027." in dutch
    )
    assert (
        "Opgelost als Owner B “Works B” 19 dagen later laat beginnen: 1 mei 2027 in plaats van 12 april 2027." in dutch
    )
    assert "2 plannen: 1 conflicten (1 ernstig, 0 let op, 0 ter informatie) en 1 kansen." in dutch
    assert "overlap by 30 m² and are at work together for 19 days: from 12 April to 30 April 2027" in english
    assert "the ground is opened once instead of twice and 30 m² is reinstated only once" in english


def test_json_is_the_contract_form_with_words(make_plan: PlanMaker, rules: Rules) -> None:
    """JSON carries each finding as the contract has it, and its sentences beside it."""
    plans = base(make_plan)
    found = check.check(plans.values(), rules, TODAY)

    forms = check.to_json_form(found, plans, rules)

    assert {key: value for key, value in forms[0].items() if key != "words"} == to_json(found[0])
    assert forms[0]["words"]["nl"]["remedies"][0].startswith("Opgelost als Owner B")


def test_geojson_shows_where_they_meet_in_degrees(make_plan: PlanMaker, rules: Rules) -> None:
    """Each feature is the place where the two plans meet, in CRS84."""
    plans = base(make_plan)

    collection = check.to_geojson(check.check(plans.values(), rules, TODAY), plans, rules)

    zone = shapely.geometry.shape(collection["features"][0]["geometry"])
    metres = transform(zone, "EPSG:4326", "EPSG:28992")
    assert abs(metres.area - 30) < 0.1
    assert "zone" not in collection["features"][0]["properties"]["evidence"]


def test_other_cities_are_measured_in_their_own_metres(make_plan: PlanMaker, rules: Rules) -> None:
    """Plans in degrees far from the Netherlands are compared in true metres."""
    squares = (shapely.box(453000 + x, 5429000, 453020 + x, 5429010) for x in (0, 24.9))
    a, b = (
        make_plan(
            name,
            None,
            "2027-03-01",
            "2027-04-30",
            geometry=to_model(transform(s, "EPSG:32632", "EPSG:4326"), "EPSG:4326"),
        )
        for name, s in zip("AB", squares, strict=True)
    )

    found = check.check([a, b], rules, TODAY)

    assert found[0].evidence.metric_crs == "EPSG:32632"
    assert found[0].evidence.distance_m == 4.9
