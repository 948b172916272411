"""One region, four partners and the public: nobody finds in any answer what it may not see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import product
from typing import Any

import pytest
import shapely

from edge.read_model import CRS_URIS, ReadModel
from edge.read_model.layout import COLLECTIONS
from samenloop.geometry import to_model
from samenloop.model import Clearance, Contact, Period, Plan, Restriction, Visibility
from samenloop.visibility import PUBLIC, Sight, Viewer, guarded, sight
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

VIEWERS = {
    "municipality": partner(MUNICIPALITY),
    "water board": partner(WATER_BOARD),
    "network": partner(NETWORK),
    "builder": partner(BUILDER),
    "network, cleared for public": Viewer(NETWORK, Clearance.PUBLIC),
    "public": PUBLIC,
}
OWNERS = (MUNICIPALITY, WATER_BOARD, NETWORK, BUILDER)


def plan_of(owner: str, level: Visibility, number: int) -> Plan:
    """A plan in which every part that may be hidden is a word of its own."""
    name = f"{owner[-1]}-{level.value}-{number}"
    return make_plan(
        f"ID-{name}",
        owner,
        title=f"TITLE-{name}-",
        description=f"TEXT-{name}-",
        contact=Contact(f"CONTACT-{name}-"),
        source_fields={"f": f"FIELD-{name}-"},
        visibility=level,
        audience=(BUILDER,) if level is Visibility.GROUP else (),
        geometry=to_model(shapely.Point(150_000 + number * 37.125, 460_000 + number * 11.5), RD),
        period=Period(date(2027, 1, 1), date(2027, 1, 1 + number % 28)),
    )


def zone_of(owner: str, level: Visibility, number: int) -> Restriction:
    """A restriction whose name is a word of its own."""
    name = f"{owner[-1]}-{level.value}-zone-{number}"
    return make_restriction(
        f"ID-{name}", owner, title=f"TITLE-{name}-", visibility=level,
        audience=(BUILDER,) if level is Visibility.GROUP else (),
    )  # fmt: skip


def answers(model: ReadModel, viewer: Viewer, things: list[Plan | Restriction], then: datetime) -> Iterator[bytes]:
    """Everything that a viewer can be given, in every form."""
    located: list[dict[str, Any]] = [
        {}, {"bbox": (3, 50, 8, 54)}, {"period": (date(2027, 1, 1), None)}, {"as_of": then},
    ]  # fmt: skip
    for collection in COLLECTIONS:
        for question, crs in product(located, CRS_URIS[:2]):
            after = None
            while True:
                page = model.items(collection, viewer, limit=7, after=after, crs=crs, **question)  # type: ignore[arg-type]
                yield from (item.feature for item in page.items)
                after = page.next
                if after is None:
                    break
    for thing, as_of in product(things, (None, then)):
        item = model.item("plans" if isinstance(thing, Plan) else "restrictions", viewer, thing.id, as_of=as_of)
        yield b"" if item is None else item.feature
    cursor = None
    while True:
        events = model.changes(viewer, after=cursor, limit=11)
        yield from events.events
        cursor = events.next
        if events.at_end:
            break
    alerts = model.alerts(viewer)
    yield from alerts.events if alerts else ()


def hidden_words(plan: Plan | Restriction, viewer: Viewer, ever: Visibility) -> list[str]:
    """The words of it that *viewer* may not have; its id too, unless it could see it at some time (*ever*)."""
    name = plan.title.removeprefix("TITLE-")
    seen = sight(guarded(plan), viewer)
    then = sight(guarded(make_plan("x", plan.owner.oin, visibility=ever)), viewer)
    words = [f"FIELD-{name}"] if seen is not Sight.ALL else []
    words += [f"TEXT-{name}", f"TITLE-{name}"] if not seen else []
    words += [f'{plan.id}"'] if not seen and not then else []
    return words


@pytest.fixture
def region(log: Log) -> tuple[Log, dict[str, tuple[Plan | Restriction, Visibility]]]:
    """Plans and restrictions of every owner at every level; two thirds were PUBLIC or RESTRICTED before; findings and
    alerts among them."""
    now: dict[str, tuple[Plan | Restriction, Visibility]] = {}
    made = product(OWNERS, Visibility, (None, Visibility.PUBLIC, Visibility.RESTRICTED))
    for number, (owner, level, before) in enumerate(made, start=1):
        plan = plan_of(owner, level, number)
        if before is not None:
            log.plan(make_plan(plan.local_id, owner, visibility=before, title=plan.title, description=plan.description,
                               contact=plan.contact, source_fields=plan.source_fields))  # fmt: skip
            log.write()
            log.now += 0.001
        log.plan(plan)
        zone = zone_of(owner, level, number)
        if before is not None:
            log.restriction(replace(zone, visibility=before))
            log.write()
            log.now += 0.001
        log.restriction(zone)
        # restrictions have no feed that tells of what could be seen once
        now |= {plan.id: (plan, before or level), zone.id: (zone, level)}
    log.write()
    everyone = [plan for plan, _ in now.values()]
    for n, (one, other) in enumerate(zip(everyone, everyone[25:] + everyone[:25], strict=True)):
        log.finding([one, other], number=n + 1, chance=bool(n % 2))
    for n, owner in enumerate(OWNERS):
        log.subscription(n + 1, owner)
        for sequence, plan in enumerate(everyone):
            if plan.owner.oin != owner:
                log.alert(n + 1, sequence + 1, plan.id, {"title": plan.title}, label="internal")
    log.write()
    return log, now


@pytest.mark.parametrize("name", VIEWERS)
def test_nobody_finds_what_is_hidden(
    region: tuple[Log, dict[str, tuple[Plan | Restriction, Visibility]]],
    model_of: Callable[[Log], ReadModel],
    name: str,
) -> None:
    """Collections, items, the past, changes and alerts are searched for every word of every hidden plan.

    A contact of a hidden plan stands in the masked finding of the owner of the other one, and nowhere else.
    """
    log, now = region
    viewer, plans = VIEWERS[name], [plan for plan, _ in now.values()]
    then = datetime.fromtimestamp(log.now - 0.004, UTC)
    found = list(answers(model_of(log), viewer, plans, then))
    text = b"\n".join(found).decode()

    assert [word for plan, ever in now.values() for word in hidden_words(plan, viewer, ever) if word in text] == []
    for plan in plans:
        seen = sight(guarded(plan), viewer)
        contact = plan.contact.unit if isinstance(plan, Plan) and plan.contact else "no contact"
        holders = [json.loads(answer) for answer in found if contact.encode() in answer]
        if seen is Sight.PUBLISHED:
            assert holders == []
        if not seen:
            assert all(set(h["properties"]) == {"id", "kind", "status", "severity", "contacts"} for h in holders)
        if seen:
            assert plan.title in text


def test_the_region_has_something_to_hide(
    region: tuple[Log, dict[str, tuple[Plan | Restriction, Visibility]]], model_of: Callable[[Log], ReadModel]
) -> None:
    """The search can fail: each owner finds its own words, and masked findings exist."""
    log, now = region
    text = b"\n".join(
        answers(model_of(log), partner(MUNICIPALITY), [plan for plan, _ in now.values()], datetime.now(UTC))
    ).decode()

    own = [plan for plan, _ in now.values() if plan.owner.oin == MUNICIPALITY]
    assert all(f"FIELD-{plan.title.removeprefix('TITLE-')}" in text for plan in own if isinstance(plan, Plan))
    assert all(plan.title in text for plan in own)
    assert '"geometry":null' in text
