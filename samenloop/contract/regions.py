"""Rows of `plan-regions` as detection reads them: only what the rules look at is built, the rest is checked."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final, NamedTuple, cast

from samenloop.contract import compiled
from samenloop.contract.codec import Codec, read_whole
from samenloop.contract.files import current
from samenloop.model import (
    Certainty,
    Geometry,
    Period,
    Phase,
    PlanKind,
    PlanRegion,
    Relation,
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
    """A row of `plan-regions` without what detection does not need; a tick has *day* and no plan."""

    revision: int
    accepted_at: datetime
    cause_id: str
    first_load: bool
    day: date | None
    plan: RegionPlan | None


_PLAN: Final = RegionPlan._fields
_OWNER: Final = Owner._fields


class RegionReader:
    """Reads values of `plan-regions`."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._frame = codec.wires["plan-regions"].frame
        parts: dict[str, compiled.Made] = {"Plan": (RegionPlan, _PLAN), "Organisation": (Owner, _OWNER)}
        self._read = compiled.reader(current("PlanRegion"), Region, keep=Region._fields, parts=parts)

    def read(self, value: bytes, headers: Headers = ()) -> Region:
        """Return the row in *value*. Raises Reject("schema.…") and Retry as `Codec.decode` does."""
        if value.startswith(self._frame) or self._codec.writer("plan-regions", value, headers).ours:
            return cast(Region, read_whole(self._read, value))
        row: PlanRegion = self._codec.decode("plan-regions", value, headers)
        plan = row.plan
        slim = None
        if plan is not None:
            slim = RegionPlan(plan.id, Owner(plan.owner.oin), *(getattr(plan, name) for name in _PLAN[2:]))
        return Region(row.revision, row.accepted_at, row.cause_id, row.first_load, row.day, slim)
