"""Plans to judge, made in one line."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import shapely

from samenloop import geometry, model
from samenloop.rules import Rules, load_rules

SYSTEM = "urn:nld:oin:00000099000000000009:systeem:register"
PlanMaker = Callable[..., model.Plan]
ZoneMaker = Callable[..., model.Restriction]


@pytest.fixture(scope="session")
def rules() -> Rules:
    """The shipped configuration."""
    return load_rules()


@pytest.fixture(scope="session")
def changed_rules(rules: Rules) -> Callable[..., Rules]:
    """Return a maker of other configurations: `changed_rules(2, {"CLASH.WORKS": {"distance_m": 2}})`."""

    def make(version: int, changes: dict[str, dict[str, Any]]) -> Rules:
        data = rules.model_dump(by_alias=True)
        data["version"] = version
        for rule_id, values in changes.items():
            data["rules"][rule_id] |= values
        return Rules.model_validate(data)

    return make


@pytest.fixture(scope="session")
def make_plan() -> PlanMaker:
    """Return a maker of plans: `make_plan("A", "R(121000 487000,121020 487010)", "2027-03-01", "2027-04-30", …)`.

    `R(x1 y1,x2 y2)` stands for a rectangle in RD metres; any other text is WKT. Other keywords are fields of Plan;
    *precision*, *earliest_start* and the like go to its period.
    """

    def make(
        name: str,
        where: str | None,
        start: str | None = None,
        end: str | None = None,
        *,
        owner: str | None = None,
        precision: model.Precision = model.Precision.DAY,
        earliest_start: date | None = None,
        latest_end: date | None = None,
        duration_days: int | None = None,
        **fields: Any,
    ) -> model.Plan:
        period = model.Period(
            start=date.fromisoformat(start) if start else None,
            end=date.fromisoformat(end) if end else None,
            precision=precision,
            earliest_start=earliest_start,
            latest_end=latest_end,
            duration_days=duration_days,
        )
        defaults: dict[str, Any] = {
            "id": f"{SYSTEM}:plan:{name}",
            "system": SYSTEM,
            "local_id": name,
            "owner": model.Organisation(
                f"0000009900000000000{ord(name[0]) % 10}" if owner is None else owner, f"Owner {name}"
            ),
            "title": f"Works {name}",
            "kind": model.PlanKind.WORKS,
            "phase": model.Phase.PREPARATION,
            "certainty": model.Certainty.FIXED,
            "visibility": model.Visibility.PUBLIC,
            "ground_disturbing": True,
            "period": period,
            "geometry": None if where is None else geometry.to_model(_shape(where), "EPSG:28992"),
        }
        return model.Plan(**(defaults | fields))

    return make


@pytest.fixture(scope="session")
def make_zone() -> ZoneMaker:
    """Return a maker of restrictions: `make_zone("Z", "R(0 0,9 9)", "2026-07-01", "2031-06-30", …)`.

    A binding moratorium in force, of an owner of its own; *where* as for plans, other keywords are its fields.
    """

    def make(name: str, where: str, start: str | None, end: str | None, **fields: Any) -> model.Restriction:
        period = model.Period(
            start=date.fromisoformat(start) if start else None,
            end=date.fromisoformat(end) if end else None,
            precision=model.Precision.DAY,
        )
        defaults: dict[str, Any] = {
            "id": f"{SYSTEM}:restriction:{name}",
            "system": SYSTEM,
            "local_id": name,
            "owner": model.Organisation("00000099000000000077", f"Authority {name}"),
            "title": f"Zone {name}",
            "kind": model.RestrictionKind.MORATORIUM,
            "status": model.RestrictionStatus.IN_FORCE,
            "force": model.Force.BINDING,
            "visibility": model.Visibility.PUBLIC,
            "period": period,
            "geometry": geometry.to_model(_shape(where), "EPSG:28992"),
        }
        return model.Restriction(**(defaults | fields))

    return make


def _shape(where: str) -> shapely.Geometry:
    if where.startswith("R("):
        low, high = where[2:-1].split(",")
        (x1, y1), (x2, y2) = low.split(), high.split()
        return shapely.from_wkt(f"POLYGON(({x1} {y1},{x2} {y1},{x2} {y2},{x1} {y2},{x1} {y1}))")
    return shapely.from_wkt(where)
