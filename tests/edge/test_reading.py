"""Collections, changes and alerts over HTTP: what is asked, what is answered, what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import shapely

from edge.access import viewer_of
from edge.keyring import Caller
from samenloop.geometry import to_model
from samenloop.model import Clearance, Visibility
from samenloop.partners import ANY
from samenloop.visibility import Viewer
from tests.edge.read_model.conftest import MUNICIPALITY, NETWORK, RD, make_plan
from tests.edge.regions import Region, admit, close, key_of, make_region
from tests.edge.scenes import codes, make_scene

ITEMS = "/v1/collections/plans/items"


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    """A region of one's own."""
    made = filled(tmp_path / "read-model.sqlite")
    yield made
    close(made)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Region]:
    """A region in which nothing happens, for tests that only ask."""
    made = filled(tmp_path_factory.mktemp("quiet") / "read-model.sqlite")
    yield made
    close(made)


def filled(path: Path) -> Region:
    """Five plans, a conflict between two of them, alerts of one subscription."""
    made = make_region(path, public=True)
    log = made.log
    plans = [
        make_plan(f"P{n}", geometry=to_model(shapely.Point(155_000 + n * 1000, 463_000), RD, 0.5)) for n in range(5)
    ]
    for plan in plans:
        log.plan(plan)
    log.write()
    log.finding(plans[:2])
    log.subscription(1, NETWORK)
    for sequence in (1, 2, 3):
        log.alert(1, sequence, plans[0].id, {"title": "x"})
    log.write()
    return made


def ids(answer: Any) -> list[str]:
    """The ends of the ids of a page."""
    return sorted(feature["id"].rpartition(":")[2] for feature in answer.json()["features"])


def test_a_page_is_as_the_standard_says(quiet: Region) -> None:
    """GeoJSON, the CRS named, counted as returned, links that lead on until there is none."""
    first = quiet.get(ITEMS, limit=2)
    found, answer = ids(first), first
    while following := [link["href"] for link in answer.json()["links"] if link["rel"] == "next"]:
        parts = urlsplit(following[0])
        assert parts.netloc == "hub.example"
        answer = quiet.get(f"{parts.path}?{parts.query}")
        found += ids(answer)

    assert first.headers["content-type"] == "application/geo+json"
    assert first.headers["content-crs"] == "<http://www.opengis.net/def/crs/OGC/1.3/CRS84>"
    assert first.json()["numberReturned"] == 2
    assert "numberMatched" not in first.json()
    assert first.json()["timeStamp"].endswith("Z")
    assert sorted(found) == ["P0", "P1", "P2", "P3", "P4"]


def test_collections_say_what_they_are(quiet: Region) -> None:
    """Landing, conformance, collections and one of them lead to each other; addresses are those partners use."""
    seen, todo = set(), ["/v1/"]
    while todo:
        path = todo.pop()
        answer = quiet.get(path)
        assert answer.status_code == 200, path
        seen.add(path)
        if "json" in answer.headers["content-type"] and "openapi" not in path:
            found = answer.json()
            links = [*found.get("links", ()), *(one for c in found.get("collections", ()) for one in c["links"])]
            paths = {link["href"].removeprefix("https://hub.example") for link in links}
            todo += [path for path in paths if path not in seen and path not in todo]

    described = quiet.get("/v1/collections/plans").json()
    assert {"/openapi.json", "/docs", "/v1/conformance", ITEMS, "/v1/collections/conflicts/items"} <= seen
    assert described["extent"]["spatial"]["bbox"][0][:2] == [3.2, 50.75]
    assert len(described["crs"]) == 4
    assert quiet.get("/v1").status_code == 200


ASKED: list[tuple[dict[str, str], list[str]]] = [
    ({"bbox": "154990,462990,156010,463010", "bbox_crs": "EPSG:28992"}, ["P0", "P1"]),
    ({"bbox": "5.387,52.155,5.388,52.156"}, ["P0"]),
    ({"bbox": "5.387,52.155,0,5.388,52.156,9"}, ["P0"]),
    ({"bbox": "52.155,5.387,52.156,5.388", "bbox_crs": "http://www.opengis.net/def/crs/EPSG/0/4258"}, ["P0"]),
    ({"bbox": "10,10,11,11"}, []),
    ({"datetime": "2027-03-01"}, ["P0", "P1", "P2", "P3", "P4"]),
    ({"datetime": "2027-05-14T23:59:59+02:00"}, ["P0", "P1", "P2", "P3", "P4"]),
    ({"datetime": "2027-05-15/.."}, []),
    ({"datetime": "../2027-02-28"}, []),
    ({"datetime": "2027-05-14/"}, ["P0", "P1", "P2", "P3", "P4"]),
    ({"limit": "5000"}, ["P0", "P1", "P2", "P3", "P4"]),
]


@pytest.mark.parametrize(("query", "expected"), ASKED)
def test_what_is_asked_for(quiet: Region, query: dict[str, str], expected: list[str]) -> None:
    """Boxes in every CRS in its own order of axes, days with both ends, open ends; a large limit is the most."""
    assert ids(quiet.get(ITEMS, **query)) == expected


def test_another_crs(quiet: Region) -> None:
    """Coordinates in RD on request, and the header says so."""
    answer = quiet.get(f"{ITEMS}?crs=EPSG:28992&limit=1000")

    assert answer.headers["content-crs"] == "<http://www.opengis.net/def/crs/EPSG/0/28992>"
    assert [155_000, 463_000] in [feature["geometry"]["coordinates"] for feature in answer.json()["features"]]


REFUSED: list[tuple[str, dict[str, str]]] = [
    (f"{ITEMS}?bbox=1,2,3&datetime=x&crs=EPSG:1&limit=0&next=!&asOf=now&colour=red",
     {"/query/bbox": "query.bbox", "/query/datetime": "query.datetime", "/query/crs": "query.crs-not-offered",
      "/query/limit": "query.limit", "/query/next": "query.next", "/query/asOf": "query.as-of",
      "/query": "query.unknown"}),
    (f"{ITEMS}?bbox=5,53,6,52&limit=x", {"/query/bbox": "query.bbox", "/query/limit": "query.limit"}),
    (f"{ITEMS}?bbox=nan,1,2,3", {"/query/bbox": "query.bbox"}),
    (f"{ITEMS}?bbox=1,2,3,4&bbox-crs=http://www.opengis.net/def/crs/EPSG/0/4326",
     {"/query/bbox-crs": "query.crs-not-offered"}),
    (f"{ITEMS}?limit=1&limit=2", {"/query/limit": "query.repeated"}),
    (f"{ITEMS}?datetime=2027-03-02/2027-03-01", {"/query/datetime": "query.period"}),
    (f"{ITEMS}?datetime=../..", {"/query/datetime": "query.datetime"}),
    (f"{ITEMS}?datetime=2027-02-30", {"/query/datetime": "query.datetime"}),
    (f"{ITEMS}?asOf=2027-03-01T00:00:00", {"/query/asOf": "query.as-of"}),
    (f"{ITEMS}/x?limit=1", {"/query": "query.unknown"}),
    ("/v1/changes?after=x&limit=-1", {"/query/after": "query.cursor", "/query/limit": "query.limit"}),
    ("/v1/changes/cursor?after=x", {"/query": "query.unknown"}),
    ("/v1/alerts?subscription=x", {"/query/subscription": "query.subscription"}),
    ("/v1/collections?f=json", {"/query": "query.unknown"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "expected"), REFUSED)
def test_what_is_refused(quiet: Region, path: str, expected: dict[str, str]) -> None:
    """400 with everything that is wrong at once, and nothing of what was sent."""
    answer = quiet.get(path)

    assert answer.status_code == 400
    assert codes(answer) == expected
    assert "colour" not in answer.text


def test_one_thing(region: Region) -> None:
    """The revision is the ETag; who has it gets 304; the address is the id, percent-encoded, and links say so."""
    plan = make_plan("2027/42 B")
    region.log.plan(plan)
    region.write()
    path = f"{ITEMS}/{quote(plan.id, safe='')}"
    with region.serving() as url:
        answer, changed, *unchanged = [
            httpx.get(f"{url}{path}", headers={**key_of("network"), "if-none-match": text})
            for text in ("", '"2"', '"1"', '"9", W/"1"', "*")
        ]
    itself = next(link["href"] for link in answer.json()["links"] if link["rel"] == "self")

    assert answer.headers["etag"] == '"1"'
    assert answer.json()["properties"]["title"] == "Works 2027/42 B"
    assert [one.status_code for one in unchanged] == [304] * 3
    assert [one.content for one in unchanged] == [b""] * 3
    assert changed.status_code == 200
    assert itself == f"https://hub.example{path}"


def test_what_is_hidden_is_as_what_is_not_there(region: Region) -> None:
    """404, the same to the last byte but for the trace, whatever is asked of it."""
    hidden = make_plan("hidden", visibility=Visibility.RESTRICTED)
    region.log.plan(hidden)
    region.write()
    for query in ("", "?crs=EPSG:28992"):
        answers = [region.get(f"{ITEMS}/{quote(i, safe='')}{query}", headers={"if-none-match": '"1"'})
                   for i in (hidden.id, make_plan("never").id)]  # fmt: skip
        told = [{**answer.json(), "instance": ""} for answer in answers]

        assert [answer.status_code for answer in answers] == [404, 404]
        assert told[0] == told[1]
    assert region.get(f"{ITEMS}/{quote(hidden.id, safe='')}", "municipality").status_code == 200
    assert region.get("/v1/collections/secrets/items").status_code == 404


def test_the_past(quiet: Region) -> None:
    """`asOf` before what is kept is a problem that names the first instant that can be asked for."""
    answer = quiet.get(ITEMS, asOf="2020-01-01T00:00:00Z")
    oldest = answer.json()["oldest"]

    assert answer.status_code == 410
    assert answer.json()["type"].endswith("/problems/history-expired")
    assert oldest in answer.json()["detail"]


def test_changes_go_on_from_a_cursor(region: Region) -> None:
    """Page by page to the end; then nothing, but always a `next`; what comes later is found behind it."""
    seen, after, at_end = [], None, False
    while not at_end:
        page = region.get("/v1/changes", limit=2, **({"after": after} if after else {})).json()
        seen += [event["subject"].rpartition(":")[2] for event in page["events"]]
        after, at_end = page["next"], page["at_end"]
    cursor = region.get("/v1/changes/cursor").json()["next"]
    region.log.plan(make_plan("later"))
    region.write()
    later = [region.get("/v1/changes", after=one).json() for one in (after, cursor)]

    assert sorted(seen) == ["P0", "P1", "P2", "P3", "P4"]
    assert [[event["data"]["properties"]["title"] for event in page["events"]] for page in later] == [
        ["Works later"]
    ] * 2
    assert all(event["specversion"] == "1.0" for page in later for event in page["events"])


def test_a_cursor_of_another(quiet: Region) -> None:
    """A cursor is of who got it: for somebody else it is 410, with what to do on the problem's page."""
    cursor = quiet.get("/v1/changes/cursor", "municipality").json()["next"]
    answers = [quiet.get(path, after=cursor) for path in ("/v1/changes", "/v1/changes/stream")]

    assert [answer.status_code for answer in answers] == [410, 410]
    assert answers[0].json()["type"] == "https://hub.example/problems/cursor-expired"
    assert "/v1/changes/cursor" in quiet.get("/problems/cursor-expired").text


def test_alerts_are_of_their_subscriber(quiet: Region) -> None:
    """In order, from a cursor; another's subscription is as one that does not exist; the public has none."""
    own = quiet.get("/v1/alerts", limit=2).json()
    rest = quiet.get("/v1/alerts", after=own["next"], subscription="00000000-0000-0000-0000-000000000001").json()
    others = quiet.get("/v1/alerts", "builder").json()
    wrong = [quiet.get("/v1/alerts", "builder", subscription=f"00000000-0000-0000-0000-00000000000{n}")
             for n in (1, 7)]  # fmt: skip

    assert [event["alertsequence"] for page in (own, rest) for event in page["events"]] == [1, 2, 3]
    assert others["events"] == []
    assert [answer.status_code for answer in wrong] == [404, 404]
    assert [quiet.get(path, None).status_code for path in ("/v1/alerts", "/v1/alerts/stream")] == [401, 401]


def test_strangers(region: Region, tmp_path: Path) -> None:
    """Without a key: what is PUBLIC where the operator says so, else nothing. A wrong key is never the public."""
    region.log.plan(make_plan("open", visibility=Visibility.PUBLIC))
    region.write()
    closed = make_scene(region.log.path)
    paths = ["/v1/collections", ITEMS, f"{ITEMS}/x", "/v1/changes", "/v1/changes/cursor", "/v1/changes/stream"]

    assert ids(region.get(ITEMS, None)) == ["open"]
    assert [closed.client.get(path).status_code for path in paths] == [401] * len(paths)
    wrong = {"authorization": "Bearer samenloop_wrong"}
    assert [region.get(path, None, headers=wrong).status_code for path in paths] == [401] * len(paths)


def test_a_scope_to_read(region: Region) -> None:
    """A key that may only send does not read."""
    admit(region.scene, "builder", scopes=("plans:write",))

    assert region.get(ITEMS, "builder").status_code == 403


def test_before_there_is_a_file(tmp_path: Path) -> None:
    """503 and when to come back, while the model has not begun."""
    region = make_region(tmp_path / "other.sqlite")
    region.scene.services.reads.model._path = tmp_path / "none.sqlite"
    answers = [region.get(path) for path in (ITEMS, "/v1/changes", "/v1/alerts", "/v1/changes/stream")]
    close(region)

    assert [(answer.status_code, answer.headers["retry-after"]) for answer in answers] == [(503, "2")] * 4


def test_a_mandate_to_see() -> None:
    """Who speaks for an owner sees what it sees; who may send for any owner sees no more for it."""
    caller = Caller(NETWORK, "n", Clearance.PARTNERS, frozenset(), frozenset({ANY, MUNICIPALITY}), "k")

    assert viewer_of(caller) == Viewer(NETWORK, Clearance.PARTNERS, frozenset({MUNICIPALITY}))
