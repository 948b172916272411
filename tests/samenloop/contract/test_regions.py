"""Rows as detection reads them say the same as rows read whole."""

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from samenloop.contract import Codec
from samenloop.contract.regions import RegionReader
from samenloop.errors import Reject
from samenloop.model import Geometry, Organisation, Party, Period, Plan, PlanRegion, Reference, Relation, Visibility

CODEC = Codec.offline()
SYSTEM = "urn:nld:oin:00000099000000001001:systeem:register"
PLAN = Plan(
    id=f"{SYSTEM}:plan:A",
    system=SYSTEM,
    local_id="A",
    owner=Organisation("00000099000000001001", "Owner"),
    title="Works",
    parties=(Party(oin="00000099000000001002", name="Client"),),
    description="long",
    visibility=Visibility.GROUP,
    audience=("x", "y"),
    period=Period(date(2027, 1, 1), date(2027, 2, 1)),
    work_periods=(Period(date(2027, 1, 1)),),
    geometry=Geometry(b"wkb", "EPSG:28992", 0.5),
    work_kinds=("urn:samenloop:work-kind:sewer",),
    ground_disturbing=False,
    relations=(Relation("urn:x"),),
    references=(Reference("urn:scheme", "1"),),
    source_fields={"a": "b"},
)
ROW = PlanRegion(
    plan_id=PLAN.id,
    version=9,
    revision=3,
    accepted_at=datetime(2027, 1, 4, tzinfo=UTC),
    cause_id="change",
    first_load=True,
    plan=PLAN,
)


def test_a_row_is_read_as_by_the_codec() -> None:
    """Every field that is built has the value that the codec gives."""
    row = RegionReader(CODEC).read(CODEC.encode("plan-regions", ROW))

    assert (row.revision, row.accepted_at, row.cause_id, row.first_load, row.day) == (
        ROW.revision, ROW.accepted_at, ROW.cause_id, ROW.first_load, None,
    )  # fmt: skip
    assert row.plan is not None
    assert row.plan.owner.oin == PLAN.owner.oin
    for name in row.plan._fields:
        if name != "owner":
            assert getattr(row.plan, name) == getattr(PLAN, name)


def test_a_tick_has_a_day_and_no_plan() -> None:
    """The row that begins a day carries nothing else."""
    tick = replace(ROW, plan=None, day=date(2027, 1, 5))

    row = RegionReader(CODEC).read(CODEC.encode("plan-regions", tick))

    assert (row.day, row.plan) == (date(2027, 1, 5), None)


@pytest.mark.parametrize("cut", [6, 40, 200])
def test_torn_bytes_are_rejected(cut: int) -> None:
    """Bytes that end too early are set aside, never half understood."""
    with pytest.raises(Reject, match=r"schema\."):
        RegionReader(CODEC).read(CODEC.encode("plan-regions", ROW)[:cut])
