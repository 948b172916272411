"""Questions to a collection equal brute force over the same plans, and pages give each thing exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.read_model import CRS_URIS, HistoryExpired, ReadModel, items
from edge.read_model.layout import rid_of
from samenloop import model
from samenloop.contract import to_feature, to_json
from samenloop.errors import Reject, Retry
from samenloop.geometry import CRS84, to_model, transform
from samenloop.model import Contact, Period, Visibility
from samenloop.visibility import PUBLIC, show
from tests.edge.read_model.conftest import (
    BUILDER,
    MUNICIPALITY,
    NETWORK,
    RD,
    WATER_BOARD,
    Log,
    make_plan,
    make_restriction,
    partner,
)

RD_URI, ETRS89, ETRF = CRS_URIS[1:]
FEW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
Filled = Callable[[list[model.Plan]], ReadModel]
DAYS = st.integers(0, 400).map(lambda n: date(2027, 1, 1) + timedelta(days=n))
X, Y = st.integers(150_000, 160_000), st.integers(460_000, 470_000)


def read(page_items: Any) -> list[dict[str, Any]]:
    return [json.loads(item.feature) for item in page_items]


@st.composite
def shapes(draw: st.DrawFn) -> Any:
    """A point, a line or a triangle; sometimes none."""
    points = draw(st.lists(st.tuples(X, Y), min_size=1, max_size=3, unique=True))
    kind = (shapely.Point, shapely.LineString, shapely.Polygon)[len(points) - 1]
    shape = kind(points[0]) if len(points) == 1 else kind(points)
    return None if draw(st.integers(0, 9)) == 0 else shape


@st.composite
def plans(draw: st.DrawFn) -> list[model.Plan]:
    """Plans of four owners, anywhere in a region of 10 km, at every level, with open ends."""
    made = []
    for number in range(draw(st.integers(1, 40))):
        shape, start, end = draw(shapes()), draw(DAYS), draw(DAYS)
        period = Period(
            start=None if draw(st.integers(0, 9)) == 0 else min(start, end),
            end=None if draw(st.integers(0, 9)) == 0 else max(start, end),
        )
        made.append(
            make_plan(
                f"P{number}",
                draw(st.sampled_from([MUNICIPALITY, WATER_BOARD, NETWORK])),
                geometry=None if shape is None else to_model(shape, RD),
                period=period,
                visibility=draw(st.sampled_from(Visibility)),
                audience=draw(st.sampled_from([(), (BUILDER,)])),
            )
        )
    return made


@pytest.fixture
def filled(make_log: Callable[..., Log], model_of: Callable[[Log], ReadModel]) -> Filled:
    """Return a maker of models over a fresh file with these plans."""

    def fill(found: list[model.Plan]) -> ReadModel:
        log = make_log()
        for plan in found:
            log.plan(plan)
        log.write()
        return model_of(log)

    return fill


VIEWERS = [partner(MUNICIPALITY), partner(BUILDER), PUBLIC]


@pytest.fixture(params=["places", "tree"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to the same keys: so few plans are all read as places, unless one of them is sample enough."""
    if request.param == "tree":
        monkeypatch.setattr(items, "_SAMPLE", 1)


@pytest.mark.usefixtures("way")
@FEW
@given(found=plans(), box=st.tuples(X, Y, X, Y), days=st.tuples(DAYS, DAYS), data=st.data())
def test_a_page_equals_brute_force(
    filled: Filled, found: list[model.Plan], box: Any, days: Any,
    data: st.DataObject,
) -> None:  # fmt: skip
    """Neither way nor the tree's rounding changes anything: what touches the box, in the period, and may be seen."""
    box = (min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3]))
    area = shapely.box(*box) if data.draw(st.booleans()) else None
    first, last = sorted(days) if data.draw(st.booleans()) else (None, None)
    viewer = data.draw(st.sampled_from(VIEWERS))

    page = filled(found).items(
        "plans", viewer, bbox=None if area is None else box, bbox_crs=RD, period=(first, last), limit=1000
    )

    def wanted(plan: model.Plan) -> bool:
        shape = None if plan.geometry is None else shapely.from_wkb(plan.geometry.wkb)
        where = area is None or (shape is not None and area.intersects(shape))
        after = first is None or plan.period.end is None or plan.period.end >= first
        before = last is None or plan.period.start is None or plan.period.start <= last
        return where and after and before and show(plan, viewer) is not None

    assert [item.id for item in page.items] == sorted((p.id for p in found if wanted(p)), key=rid_of)
    assert page.next is None


@pytest.mark.usefixtures("way")
@FEW
@given(found=plans(), limit=st.integers(1, 7), located=st.booleans(), viewer=st.sampled_from(VIEWERS))
def test_pages_give_each_item_once(
    filled: Filled, found: list[model.Plan], limit: int,
    located: bool, viewer: Any,
) -> None:  # fmt: skip
    """Whatever the page size, following `next` gives what one large page gives, in the same order, full pages first."""
    asked = filled(found)
    question: dict[str, Any] = {"bbox": (150_000, 460_000, 160_000, 470_000), "bbox_crs": RD} if located else {}
    whole = [item.id for item in asked.items("plans", viewer, limit=1000, **question).items]

    pages, after = [], None
    while True:
        page = asked.items("plans", viewer, limit=limit, after=after, **question)
        pages.append([item.id for item in page.items])
        after = page.next
        if after is None:
            break

    assert [one for ids in pages for one in ids] == whole
    assert all(len(ids) == limit for ids in pages[:-1])


@FEW
@given(found=plans(), viewer=st.sampled_from(VIEWERS))
def test_a_feature_is_the_contracts_form(filled: Filled, found: list[model.Plan], viewer: Any) -> None:
    """What stands ready in the file is what `to_feature` says of the plan as this viewer may see it."""

    page = filled(found).items("plans", viewer, limit=1000, crs=RD_URI)

    for feature in read(page.items):
        plan = next(p for p in found if p.id == feature["id"])
        shown = show(plan, viewer)
        assert shown is not None
        expected = to_feature(shown)
        expected["properties"].pop("crs", None)
        if not shown.source_fields:
            expected["properties"].pop("source_fields")
        assert feature == expected


def test_every_crs_has_its_axes(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """RD is east, north with 3 decimals; CRS84 longitude first and 4258, 9067 latitude first with 8; so are boxes."""
    plan = make_plan("A", geometry=to_model(shapely.Point(155000.00049, 463000), RD, 0.5))
    log.plan(plan)
    log.write()
    asked = model_of(log)

    def at(crs: str) -> Any:
        feature = json.loads(asked.item("plans", partner(NETWORK), plan.id, crs=crs).feature)  # type: ignore[union-attr]
        return feature["geometry"]["coordinates"], feature["properties"]["accuracy_m"]

    assert at(RD_URI) == ([155000.0, 463000.0], 0.5)
    assert at("EPSG:28992") == at(RD_URI)
    (longitude, latitude), accuracy = at(CRS84)
    assert (round(longitude, 5), round(latitude, 5), accuracy) == (5.3872, 52.15517, 1.5)
    for crs in (ETRS89, ETRF):
        (north, east), accuracy = at(crs)
        assert (round(north, 5), round(east, 5), accuracy) == (52.15517, 5.3872, 0.75)
        hit = asked.items("plans", partner(NETWORK), bbox=(52.15, 5.38, 52.16, 5.39), bbox_crs=crs)
        assert len(hit.items) == 1
        assert asked.items("plans", partner(NETWORK), bbox=(5.38, 52.15, 5.39, 52.16), bbox_crs=crs).items == []
    assert len(asked.items("plans", partner(NETWORK), bbox=(5.38, 52.15, 5.39, 52.16)).items) == 1


def test_a_box_in_degrees_has_curved_sides(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A wide box in CRS84 finds what lies inside it on the globe, not inside its corners' rectangle in metres."""
    points = [(x, y) for x in range(20_000, 280_000, 20_000) for y in range(310_000, 620_000, 20_000)]
    for number, xy in enumerate(points):
        log.plan(make_plan(f"P{number}", geometry=to_model(shapely.Point(xy), RD)))
    log.write()
    box = (3.5, 51.9995, 7.0, 52.6)
    degrees = shapely.get_coordinates(transform(shapely.points(np.array(points, dtype=float)), RD, CRS84))
    inside = {f"P{n}" for n, (x, y) in enumerate(degrees) if box[0] <= x <= box[2] and box[1] <= y <= box[3]}

    page = model_of(log).items("plans", partner(NETWORK), bbox=box, limit=1000)

    assert {item.id.rpartition(":")[2] for item in page.items} == inside


@pytest.mark.parametrize(
    ("box", "expected"),
    [((-180, -90, 180, 90), 1), ((5, 52, -170, 53), 1), ((100, 10, 120, 20), 0), ((170, 0, -170, 10), 0)],
)
def test_boxes_that_reach_beyond_the_crs(
    log: Log, model_of: Callable[[Log], ReadModel], box: Any, expected: int
) -> None:
    """The whole world, one over the antimeridian, and the other side of the earth have an answer."""
    log.plan(make_plan("A"))
    log.write()

    assert len(model_of(log).items("plans", partner(NETWORK), bbox=box).items) == expected


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ({"bbox": (1, 2, 3)}, "query.bbox"),
        ({"bbox": (1, 5, 3, 4)}, "query.bbox"),
        ({"bbox": (5, 52, float("nan"), 53)}, "query.bbox"),
        ({"bbox": (9, 4, 3, 5), "bbox_crs": RD}, "query.bbox"),
        ({"bbox": (5.6e16, 2.3e162, 1.0e171, 3e170), "bbox_crs": "EPSG:4258"}, "query.bbox"),
        ({"bbox": (-1e9, 4, 3, 5), "bbox_crs": RD}, "query.bbox"),
        ({"bbox": (1, 2, 3, 4), "bbox_crs": "EPSG:31370"}, "query.crs-not-offered"),
        ({"crs": "nonsense"}, "query.crs-not-offered"),
        ({"limit": 0}, "query.limit"),
        ({"limit": 1001}, "query.limit"),
        ({"after": "???"}, "query.next"),
        ({"after": "AAAA"}, "query.next"),
        ({"period": (date(2027, 2, 1), date(2027, 1, 1))}, "query.period"),
        ({"as_of": datetime(2027, 1, 1)}, "query.as-of"),  # noqa: DTZ001 - that is what is wrong with it
    ],
)
def test_questions_that_make_no_sense(
    log: Log, model_of: Callable[[Log], ReadModel], question: dict[str, Any], code: str
) -> None:
    """Each is refused by its code, never answered by something else."""
    with pytest.raises(Reject) as refused:
        model_of(log).items("plans", PUBLIC, **question)

    assert refused.value.code == code


def test_what_may_not_be_seen_is_absent(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A hidden plan answers as one that never was; its owner has it with its revision."""
    plan = make_plan("A", visibility=Visibility.RESTRICTED)
    log.plan(plan)
    log.plan(plan)
    log.write()
    asked = model_of(log)

    assert asked.item("plans", partner(NETWORK), plan.id) is None
    assert asked.item("plans", partner(NETWORK), plan.id + "x") is None
    found = asked.item("plans", partner(MUNICIPALITY), plan.id)
    assert found is not None
    assert found.revision == 2


def test_a_page_of_hidden_plans_ends(
    log: Log, model_of: Callable[[Log], ReadModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading is bounded: a page may be short and go on, and its `next` names no key of a hidden plan."""
    monkeypatch.setattr("edge.read_model.items.MOST_KEYS", 10)
    hidden = [make_plan(f"P{n}", visibility=Visibility.RESTRICTED) for n in range(60)]
    shown = make_plan("Q", WATER_BOARD, visibility=Visibility.PUBLIC)
    for plan in (*hidden, shown):
        log.plan(plan)
    log.write()
    asked, found, tokens, after = model_of(log), [], [], None
    while True:
        page = asked.items("plans", PUBLIC, bbox=(5, 52, 6, 53), limit=1, after=after)
        found += [item.id for item in page.items]
        after = page.next
        if after is None:
            break
        tokens.append(after)

    from edge.read_model.cursors import read_page

    assert found == [shown.id]
    assert tokens
    assert {read_page(token) for token in tokens}.isdisjoint({rid_of(plan.id) for plan in hidden})


@pytest.mark.usefixtures("way")
def test_as_of(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """What was known then: earlier versions, what is removed by now, and not yet what came later."""
    first, later = make_plan("A", title="First"), make_plan("B")
    began = log.now
    log.plan(first)
    log.write()
    log.now = began + 10
    log.plan(make_plan("A", title="Second", geometry=to_model(shapely.Point(200_000, 500_000), RD)))
    log.plan(later)
    log.write()
    log.now = began + 20
    log.removed(first.id)
    log.write()
    asked, viewer = model_of(log), partner(NETWORK)

    def titles(seconds: float, **question: Any) -> list[str]:
        then = datetime.fromtimestamp(began + seconds, UTC)
        return sorted(
            f["properties"]["title"] for f in read(asked.items("plans", viewer, as_of=then, **question).items)
        )

    here = {"bbox": (150_000, 460_000, 160_000, 470_000), "bbox_crs": RD}
    assert [titles(s) for s in (-1, 5, 15, 25)] == [[], ["First"], ["Second", "Works B"], ["Works B"]]
    assert [titles(s, **here) for s in (5, 15)] == [["First"], ["Works B"]]
    item = asked.item("plans", viewer, first.id, as_of=datetime.fromtimestamp(began + 5, UTC))
    assert item is not None
    assert item.revision == 1
    assert asked.item("plans", viewer, first.id) is None


def test_as_of_shows_nothing_that_is_hidden_now(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A plan that was narrowed takes its past with it; one that was widened does not show its hidden past."""
    began = log.now
    for name, levels in {"N": (Visibility.PUBLIC, Visibility.RESTRICTED), "W": ("RESTRICTED", "PUBLIC")}.items():
        for step, level in enumerate(levels):
            log.now = began + step * 10
            log.plan(make_plan(name, visibility=Visibility(level)))
            log.write()
    asked, then = model_of(log), datetime.fromtimestamp(began + 5, UTC)

    assert asked.items("plans", PUBLIC, as_of=then).items == []
    assert len(asked.items("plans", partner(MUNICIPALITY), as_of=then).items) == 2


def test_as_of_ends_where_the_past_is_not_whole(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Before what is kept there is an error that says from when, not half an answer."""
    with pytest.raises(HistoryExpired) as expired:
        model_of(log).items("plans", PUBLIC, as_of=datetime.now(UTC) - timedelta(days=7, minutes=1))
    assert abs(expired.value.oldest - datetime.now(UTC) + timedelta(days=7)) < timedelta(minutes=1)
    with pytest.raises(HistoryExpired):
        model_of(log).item("conflicts", PUBLIC, "x", as_of=datetime.now(UTC) - timedelta(hours=7))


def test_old_versions_are_forgotten(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """What is superseded for longer than it is kept leaves the file; the present stays."""
    log.now -= 8 * 86_400
    log.plan(make_plan("A", title="Old"))
    log.write()
    log.now += 86_000  # superseded a little more than seven days ago, as seen from the end of this test
    log.plan(make_plan("A", title="New"))
    log.write()
    assert log.writer.prune(log.now + 7 * 86_400 + 1000) is False

    kept = log.writer._db.execute("select count(*) from plans").fetchone()[0]
    boxes = log.writer._db.execute("select count(*) from plans_past_box").fetchone()[0]
    assert (kept, boxes) == (1, 0)
    assert [f["properties"]["title"] for f in read(model_of(log).items("plans", partner(NETWORK)).items)] == ["New"]


def test_findings_follow_their_plans(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Whole for who sees both plans, masked for who owns one, absent for others; by area only where it is whole."""
    mine = make_plan("A", visibility=Visibility.PUBLIC)
    theirs = make_plan("B", WATER_BOARD, visibility=Visibility.RESTRICTED, contact=Contact("Desk", "desk@wb.example"))
    log.plan(mine)
    log.plan(theirs)
    log.finding([mine, theirs])
    log.write()
    asked = model_of(log)
    where: dict[str, Any] = {"bbox": (5, 52, 6, 53)}

    (masked,) = read(asked.items("conflicts", partner(MUNICIPALITY)).items)
    assert masked["geometry"] is None
    assert masked["properties"] == {
        "id": masked["id"],
        "kind": "urn:samenloop:finding-kind:clash-works",
        "status": "OPEN",
        "severity": "BLOCKING",
        "contacts": [{"unit": "Desk", "email": "desk@wb.example"}],
    }
    assert asked.item("conflicts", partner(MUNICIPALITY), masked["id"]).revision is None  # type: ignore[union-attr]
    assert asked.items("conflicts", partner(MUNICIPALITY), **where).items == []
    assert len(asked.items("conflicts", partner(WATER_BOARD), **where).items) == 1
    assert asked.items("conflicts", partner(NETWORK)).items == asked.items("conflicts", PUBLIC).items == []

    log.plan(make_plan("B", WATER_BOARD, visibility=Visibility.PUBLIC))
    log.write()
    assert asked.items("conflicts", PUBLIC).items == []  # what was found was found of a hidden shape
    log.finding([mine, make_plan("B", WATER_BOARD, visibility=Visibility.PUBLIC)])
    log.write()
    assert len(asked.items("conflicts", PUBLIC).items) == 1


def test_a_finding_ahead_of_its_plan(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Topics have no order between them: the plan may be narrowed later than its finding says; the record counts."""
    mine, theirs = make_plan("A"), make_plan("B", WATER_BOARD)
    log.plan(mine)
    log.plan(theirs)
    log.write()
    narrowed = make_plan("B", WATER_BOARD, visibility=Visibility.RESTRICTED)
    later = log.plan(narrowed)
    log.pending.remove(later)
    log.finding([mine, narrowed])
    log.write()

    (seen,) = read(model_of(log).items("conflicts", partner(MUNICIPALITY)).items)
    assert seen["geometry"] is None
    assert model_of(log).items("conflicts", partner(NETWORK)).items == []


def test_there_is_no_file_yet(tmp_path: Any) -> None:
    """Before the follower has begun a question is told to come back."""
    with pytest.raises(Retry, match=r"edge\.not-ready"):
        ReadModel(tmp_path / "none.sqlite", metric_crs=RD).items("plans", PUBLIC)


def test_restrictions_are_a_collection(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A zone is found by place and by period, in the contract's JSON form, by who may see it; its end takes it away."""
    log.now = datetime.now(UTC).timestamp()
    zone, hidden = make_restriction("Z"), make_restriction("H", WATER_BOARD, visibility=Visibility.RESTRICTED)
    record = log.restriction(zone)
    log.restriction(hidden)
    log.write()
    asked = model_of(log)
    there: dict[str, Any] = {"bbox": (155_190, 463_000, 155_300, 463_100), "bbox_crs": RD}

    (found,) = read(asked.items("restrictions", partner(MUNICIPALITY), **there).items)
    said = log.codec.decode("restrictions", record.value or b"", record.headers)
    assert found["properties"] == {
        **{k: v for k, v in to_json(said).items() if k != "geometry"}, "accuracy_m": 1.5,
    }  # fmt: skip
    assert [one.id for one in asked.items("restrictions", partner(WATER_BOARD)).items] == sorted(
        [zone.id, hidden.id], key=rid_of
    )
    assert asked.items("restrictions", PUBLIC, **there).items == []
    assert asked.items("restrictions", partner(BUILDER), period=(date(2027, 6, 1), None)).items == []
    item = asked.item("restrictions", partner(BUILDER), zone.id)
    assert item is not None
    assert item.revision == 1
    assert asked.item("restrictions", partner(BUILDER), hidden.id) is None

    log.removed(zone.id, "restrictions")
    log.write()
    assert asked.items("restrictions", partner(MUNICIPALITY)).items == []


def test_a_finding_follows_its_restriction(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """A zone that is narrowed takes the finding with it: masked for the plan's owner, gone for everyone else."""
    plan, zone = make_plan("P"), make_restriction("Z", WATER_BOARD)
    log.plan(plan)
    log.restriction(zone)
    log.write()
    log.finding([plan, zone])
    log.write()
    asked = model_of(log)
    whole = [len(asked.items("conflicts", partner(oin)).items) for oin in (MUNICIPALITY, WATER_BOARD, BUILDER)]
    log.now += 1
    log.restriction(replace(zone, visibility=Visibility.RESTRICTED))
    log.write()

    assert whole == [1, 1, 1]
    (masked,) = read(asked.items("conflicts", partner(MUNICIPALITY)).items)
    assert set(masked["properties"]) == {"id", "kind", "status", "severity", "contacts"}
    assert read(asked.items("conflicts", partner(WATER_BOARD)).items)[0]["properties"]["evidence"]
    assert asked.items("conflicts", partner(BUILDER)).items == []
