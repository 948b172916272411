"""A plan and everything that is made of it, and strategies that draw any record of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
import shapely
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from samenloop import identity, model
from samenloop.content_hash import content_hash
from samenloop.contract import TOPICS, Codec
from samenloop.contract.records import optional

# Whole records are large to draw, and a busy machine is no reason to fail.
settings.register_profile("records", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("records")

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
OIN = "00000099123456780000"
SYSTEM = identity.system_urn(OIN, "works-register")
PLAN_ID = identity.plan_id(SYSTEM, "2027/0042 B")
RD = "http://www.opengis.net/def/crs/EPSG/0/28992"
SQUARE = shapely.to_wkb(shapely.box(155000, 463000, 155010, 463010), byte_order=1)
_SIZED = {"content_hash": 32, "sent_hash": 32, "value_sha256": 32, "key_hashes": 32}


def sample_plan(**other: Any) -> model.Plan:
    """Return a plan with something in every kind of field."""
    given: dict[str, Any] = {
        "id": PLAN_ID,
        "system": SYSTEM,
        "local_id": "2027/0042 B",
        "owner": model.Organisation(OIN, "Gemeente Voorbeeld"),
        "title": "Caféplein",
        "source_version": "7",
        "parties": (model.Party(model.PartyRole.CONTRACTOR, None, "Aannemer BV"),),
        "kind": model.PlanKind.WORKS,
        "phase": model.Phase.DESIGN,
        "certainty": model.Certainty.INTENDED,
        "visibility": model.Visibility.PARTNERS,
        "period": model.Period(date(2027, 3, 1), date(2027, 5, 14), model.Precision.DAY, model.EndKind.GIVEN),
        "geometry": model.Geometry(SQUARE, RD, 0.5),
        "work_kinds": ("urn:samenloop:work-kind:sewer",),
        "ground_disturbing": True,
        "max_depth_m": 3.25,
        "references": (model.Reference("urn:samenloop:scheme:permit", "Z-2027-1"),),
        "contact": model.Contact("Projectbureau", "projecten@gemeente.example"),
        "confirmed_at": NOW,
        "source_fields": {"wijk": "Centrum"},
    }
    return model.Plan(**given | other)


def sample_change(**other: Any) -> model.PlanChanged:
    """Return the change that brought `sample_plan`."""
    plan = other.get("plan", sample_plan())
    hashed = other.get("content_hash", content_hash(sample_plan()) if plan else None)
    event_id = identity.change_event_id(PLAN_ID, "s:17", model.ChangeKind.UPDATED, hashed)
    given: dict[str, Any] = {
        "plan_id": PLAN_ID,
        "change": model.ChangeKind.UPDATED,
        "validity": model.Validity(NOW),
        "recorded_at": NOW,
        "ingested_at": NOW,
        "origin": model.Origin(OIN, SYSTEM, event_id),
        "changed_fields": ("/title",),
        "sequence": 3,
        "content_hash": hashed,
        "plan": plan,
    }
    return model.PlanChanged(**given | other)


@pytest.fixture(scope="session")
def make_plan() -> Callable[..., model.Plan]:
    """Return a maker of plans; keywords are fields of Plan."""
    return sample_plan


@pytest.fixture(scope="session")
def make_change() -> Callable[..., model.PlanChanged]:
    """Return a maker of changes; keywords are fields of PlanChanged."""
    return sample_change


@pytest.fixture(scope="session")
def any_record() -> st.SearchStrategy[tuple[str, Any]]:
    """A strategy for a topic and a value that it may carry."""
    return st.sampled_from(sorted(TOPICS)).flatmap(lambda name: st.tuples(st.just(name), any_of(TOPICS[name].record)))


@pytest.fixture(scope="session")
def any_value() -> Callable[[Any], st.SearchStrategy[Any]]:
    """Return what makes a strategy for the values of a class."""
    return any_of


@pytest.fixture(scope="session")
def codec() -> Codec:
    """A codec without a registry."""
    return Codec.offline()


def _naive(year: int) -> datetime:
    return NOW.replace(year=year, tzinfo=None)


def any_of(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Draw a value of a type hint; *name* is the field it is for."""
    hint, nullable = optional(hint)
    drawn = _not_null(hint, name)
    return st.none() | drawn if nullable else drawn


def _not_null(hint: Any, name: str) -> st.SearchStrategy[Any]:
    if is_dataclass(hint):
        hints = get_type_hints(hint)
        return st.builds(hint, **{item.name: any_of(hints[item.name], item.name) for item in fields(hint)})
    if get_origin(hint) is tuple:
        return st.lists(any_of(get_args(hint)[0], name), max_size=2).map(tuple)
    if get_origin(hint) is Mapping:
        return st.dictionaries(st.text(max_size=5), any_of(get_args(hint)[1]), max_size=2)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    if hint is bytes:
        size = _SIZED.get(name)
        return st.binary(min_size=size or 0, max_size=size or 20)
    instants = st.datetimes(_naive(1), _naive(9998), timezones=st.just(UTC))
    return {
        str: st.text(max_size=80),
        bool: st.booleans(),
        int: st.integers(-(2**31), 2**31 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        date: st.dates(),
        datetime: instants,
        UUID: st.uuids(),
    }[hint]
