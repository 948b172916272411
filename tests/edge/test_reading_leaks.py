"""One region, four partners and the public over HTTP: every answer is searched for what its reader may not see."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import date
from itertools import product
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import shapely
from prometheus_client import generate_latest

from edge.read_model.layout import COLLECTIONS, rid_of
from samenloop import logs, metrics
from samenloop.geometry import to_model
from samenloop.model import Contact, Period, Plan, Restriction, Visibility
from samenloop.visibility import PUBLIC, Sight, Viewer, guarded, sight
from tests.edge.read_model.conftest import BUILDER, NETWORK, RD, make_plan, make_restriction, partner
from tests.edge.regions import PARTNERS, Region, close, make_region
from tests.edge.scenes import event, feature

Played = tuple[Region, list[Plan | Restriction]]
READERS = [*PARTNERS, None]


def viewer_of(who: str | None) -> Viewer:
    return PUBLIC if who is None else partner(PARTNERS[who])


def plan_of(owner: str, level: Visibility, number: int) -> Plan:
    """A plan in which every part that may be hidden is a word of its own, on a place of its own."""
    name = f"{owner[-1]}-{level.value}-{number}-"
    return make_plan(
        f"ID-{name}",
        owner,
        title=f"TITLE-{name}",
        contact=Contact(f"CONTACT-{name}"),
        source_fields={"f": f"FIELD-{name}"},
        visibility=level,
        audience=(BUILDER,) if level is Visibility.GROUP else (),
        geometry=to_model(shapely.Point(150_000 + number * 1000, 460_000), RD),
        period=Period(date(2027, 1, number % 28 + 1), date(2027, 1, number % 28 + 1)),
    )


def zone_of(owner: str, level: Visibility, number: int) -> Restriction:
    """A restriction whose name is a word of its own, on the place of the plan with that number."""
    name = f"{owner[-1]}-{level.value}-zone-{number}-"
    return make_restriction(
        f"ID-{name}", owner, title=f"TITLE-{name}", visibility=level,
        audience=(BUILDER,) if level is Visibility.GROUP else (),
        geometry=to_model(shapely.Point(150_000 + number * 1000, 460_000).buffer(5), RD),
        period=Period(date(2027, 1, number % 28 + 1), date(2027, 1, number % 28 + 1)),
    )  # fmt: skip


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Plans and zones of everyone at every level, findings between neighbours, alerts to everyone of everything."""
    region = make_region(
        tmp_path_factory.mktemp("leaks") / "read-model.sqlite", public=True, stream_minutes=0.002,
        streams_per_partner=10,
    )  # fmt: skip
    log = region.log
    plans = [plan_of(owner, level, n) for n, (owner, level) in enumerate(product(PARTNERS.values(), Visibility))]
    zones = [zone_of(owner, level, n) for n, (owner, level) in enumerate(product(PARTNERS.values(), Visibility))]
    for plan in plans:
        log.plan(plan)
    for zone in zones:
        log.restriction(zone)
    log.write()
    for n, (one, other) in enumerate(zip(plans, plans[5:] + plans[:5], strict=True)):
        log.finding([one, other], number=n + 1, chance=bool(n % 2))
    for n, (plan, zone) in enumerate(zip(plans, zones[5:] + zones[:5], strict=True)):
        log.finding([plan, zone], number=len(plans) + n + 1)
    for n, owner in enumerate(PARTNERS.values()):
        log.subscription(n + 1, owner)
        for sequence, plan in enumerate(plans):
            log.alert(n + 1, sequence + 1, plan.id, {"title": plan.title}, label="internal")
    log.write()
    yield region, [*plans, *zones]
    close(region)


def beginning(region: Region, who: str | None, path: str) -> str:
    """A cursor of this reader before everything: what a client that was away since would come with."""
    raw = bytearray(base64.urlsafe_b64decode(region.get(f"{path}/cursor", who).json()["next"] + "=="))
    head, offsets = raw[:13], sum(byte < 128 for byte in raw[13:])
    return base64.urlsafe_b64encode(bytes(head) + bytes(offsets)).rstrip(b"=").decode()


def pages(region: Region, who: str | None, path: str) -> Iterator[str]:
    """Every page of a collection."""
    while path:
        answer = region.get(path, who)
        assert answer.status_code == 200, answer.text
        yield answer.text
        following = [link["href"] for link in answer.json()["links"] if link["rel"] == "next"]
        path = following[0].removeprefix("https://hub.example") if following else ""


def answers(region: Region, who: str | None, things: list[Plan | Restriction]) -> Iterator[str]:
    """Everything that a reader can be told, errors included."""
    questions = ("limit=3", "bbox=3,50,8,54&limit=4", "datetime=2027-01-01/..", "crs=EPSG:28992")
    for name, query in product(COLLECTIONS, questions):
        yield from pages(region, who, f"/v1/collections/{name}/items?{query}")
    for name, thing in product(("plans", "restrictions"), things):
        yield region.get(f"/v1/collections/{name}/items/{quote(thing.id, safe='')}", who).text
    feeds = ["/v1/changes"] if who is None else ["/v1/changes", "/v1/alerts"]
    for path in feeds:
        after = beginning(region, who, path)
        yield region.get(f"{path}/stream", who, after=after).text
        at_end = False
        while not at_end:
            answer = region.get(path, who, after=after, limit=7)
            yield answer.text
            after, at_end = answer.json()["next"], answer.json()["at_end"]
    yield from (region.get(path, who).text for path in ("/v1/collections", "/v1/collections/plans", "/v1/alerts"))


@pytest.mark.parametrize("who", READERS)
def test_nobody_is_told_what_is_hidden(played: Played, who: str | None) -> None:
    """Titles, ids, fields and contacts of what is hidden stand in no answer, but a contact in a masked finding.

    What may be seen is there, so the search can fail.
    """
    region, plans = played
    viewer = viewer_of(who)
    told = list(answers(region, who, plans))
    text = "\n".join(told)
    masked = re.findall(r'"properties":\{"id":"[^"]+","kind":[^{}]*"contacts":\[[^\]]*\]\}', text)
    plain = "".join(re.split("|".join(map(re.escape, masked)), text)) if masked else text

    for plan in plans:
        name, seen = plan.title.removeprefix("TITLE-"), sight(guarded(plan), viewer)
        if seen is not Sight.ALL:
            assert f"FIELD-{name}" not in text
        if seen:
            assert f"TITLE-{name}" in text
        else:
            assert f"TITLE-{name}" not in text
            assert quote(plan.id) not in text
            assert plan.id not in text
        if not seen or seen is Sight.PUBLISHED:
            assert f"CONTACT-{name}" not in plain
    assert bool(masked) == (who is not None)


@pytest.mark.parametrize("who", ["network", None])
def test_asking_around_gives_nothing_away(tmp_path: Path, who: str | None) -> None:
    """With a hidden plan and its findings every answer is as without: boxes around it, days, pages of one, counts."""
    told: list[list[str]] = []
    for hidden in (False, True):
        region = make_region(tmp_path / f"{hidden}.sqlite", public=True)
        seen = [plan_of(NETWORK, Visibility.PUBLIC, n) for n in range(1, 6)]
        for plan in seen:
            region.log.plan(plan)
        if hidden:
            secret = [plan_of(BUILDER, Visibility.RESTRICTED, n) for n in range(2, 30)]
            for plan in secret:
                region.log.plan(plan)
            region.log.finding(secret[:2])
        region.log.write()
        questions = [
            "limit=1", "limit=2&datetime=2027-01-03", "datetime=2027-01-20/..", "crs=EPSG:28992&limit=1",
            *(f"bbox={x},459990,{x + 500},460010&bbox-crs=EPSG:28992" for x in range(151_000, 165_000, 500)),
        ]  # fmt: skip
        told.append([
            re.sub(r'"timeStamp":"[^"]*"', "", page)
            for name, query in product(COLLECTIONS, questions)
            for page in pages(region, who, f"/v1/collections/{name}/items?{query}")
        ])  # fmt: skip
        close(region)

    assert told[0] == told[1]


def test_a_next_names_nothing_hidden(played: Played) -> None:
    """The `next` of a page is the key of what was shown last, never that of something hidden."""
    region, plans = played
    hidden = {rid_of(plan.id) for plan in plans if not sight(guarded(plan), PUBLIC)}
    for page in pages(region, None, "/v1/collections/plans/items?limit=1"):
        for link in json.loads(page)["links"]:
            if link["rel"] == "next":
                token = parse_qs(urlsplit(link["href"]).query)["next"][0]
                key = int.from_bytes(base64.urlsafe_b64decode(token + "==")[1:9], "big")
                assert key not in hidden
                assert key == rid_of(json.loads(page)["features"][-1]["id"])


def test_logs_and_metrics_tell_nothing(played: Played, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is asked, pushed or refused: no word, id or place of a plan or restriction is in a log or a metric, not
    even at the level DEBUG: both leave the hub by other doors."""
    region, things = played
    logs.configure("DEBUG", "json")
    hidden = quote(things[0].id, safe="")
    try:
        for who in READERS:
            for _ in answers(region, who, things):
                pass
            region.get(f"/v1/collections/plans/items/{hidden}%00", who)
            region.get("/v1/changes", who, after=things[0].title, unknown=things[0].id)
            region.get("/v1/collections/plans", headers={"authorization": f"Bearer {things[0].title}"}, who=None)
        said = feature(title=things[0].title, contact={"unit": "CONTACT-1"}, period={"start": "TITLE-"})
        refused = region.scene.post(event(subject=things[0].id, data=said), key="samenloop_network")
    finally:
        logs.configure()
    written = capsys.readouterr().err
    text = written + generate_latest(metrics.REGISTRY).decode()

    assert refused.status_code in (400, 403)
    assert "record.rejected" in written
    assert [word for word in ("TITLE-", "FIELD-", "CONTACT-") if word in text] == []
    assert [thing.id for thing in things if thing.id in text or quote(thing.id) in text] == []
