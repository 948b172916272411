"""Rows of `plan-regions` as detection reads them: only what the rules look at is built, the rest is checked.

A restriction travels there as the very bytes of its record in `restrictions`; what a row says besides stands in its
headers. So the rows of plans are laid out as if there were no restrictions.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, NamedTuple, cast

from samenloop.contract import compiled
from samenloop.contract.cloudevents import Envelope
from samenloop.contract.codec import Codec, read_whole
from samenloop.contract.files import current
from samenloop.errors import Reject
from samenloop.model import (
    Certainty,
    Geometry,
    Period,
    Phase,
    PlanKind,
    PlanRegion,
    Relation,
    Restriction,
    TrafficImpact,
    Visibility,
)
from samenloop.stage import Headers


class Owner(NamedTuple):
    """The owner of a plan, without its name."""

    oin: str


class RegionPlan(NamedTuple):
    """What the rules look at in a plan; attributes as in `model.Plan`."""

    id: str
    owner: Owner
    kind: PlanKind
    phase: Phase
    certainty: Certainty
    visibility: Visibility
    audience: tuple[str, ...]
    period: Period
    work_periods: tuple[Period, ...]
    geometry: Geometry | None
    work_kinds: tuple[str, ...]
    ground_disturbing: bool | None
    traffic_impact: TrafficImpact
    relations: tuple[Relation, ...]


class Region(NamedTuple):
    """A row of `plan-regions` without what detection does not need; a tick has *day* and no plan.

    *plan* is a whole `model.Restriction` in the row of one.
    """

    revision: int
    accepted_at: datetime
    cause_id: str
    first_load: bool
    day: date | None
    plan: RegionPlan | Restriction | None


_PLAN: Final = RegionPlan._fields
_OWNER: Final = Owner._fields


def zone_headers(codec: Codec, envelope: Envelope, *, accepted_at: datetime, first_load: bool) -> Headers:
    """Return the headers of the row of a restriction; *envelope* is that of its record in `restrictions`."""
    return (
        ("ce_correlationid", envelope.correlationid.encode()),
        ("ce_causationid", (envelope.causationid or envelope.id).encode()),
        ("accepted_at", accepted_at.isoformat().encode()),
        *((("first_load", b"true"),) if first_load else ()),
        codec.wires["restrictions"].dataschema,
    )


def read_zone(codec: Codec, value: bytes, headers: Headers) -> Region:
    """Return the row of a restriction. Raises Reject("schema.…"), Reject("envelope.missing") and Retry."""
    restriction: Restriction = codec.decode("restrictions", value, headers)
    said = dict(headers)
    try:
        at = datetime.fromisoformat(said["accepted_at"].decode())
        cause = said["ce_causationid"].decode()
    except (KeyError, ValueError) as error:
        raise Reject("envelope.missing", "the row of a restriction lacks its headers", field="accepted_at") from error
    return Region(restriction.revision, at, cause, "first_load" in said, None, restriction)


class RegionReader:
    """Reads values of `plan-regions`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._frame = codec.wires["plan-regions"].frame
        parts: dict[str, compiled.Made] = {"Plan": (RegionPlan, _PLAN), "Organisation": (Owner, _OWNER)}
        self._read = compiled.reader(current("PlanRegion"), Region, keep=Region._fields, parts=parts)

    def read(self, value: bytes, headers: Headers = ()) -> Region:
        """Return the row in *value*. Raises Reject("schema.…") and Retry as `Codec.decode` does."""
        if value.startswith(self._frame):
            return cast(Region, read_whole(self._read, value))
        writer = self._codec.writer_of("plan-regions", value, headers)
        if writer.record == Restriction.__name__:
            return read_zone(self._codec, value, headers)
        if writer.ours and writer.record == PlanRegion.__name__:
            return cast(Region, read_whole(self._read, value))
        row: PlanRegion = self._codec.decode("plan-regions", value, headers)
        plan = row.plan
        slim = None
        if plan is not None:
            slim = RegionPlan(plan.id, Owner(plan.owner.oin), *(getattr(plan, name) for name in _PLAN[2:]))
        return Region(row.revision, row.accepted_at, row.cause_id, row.first_load, row.day, slim)
