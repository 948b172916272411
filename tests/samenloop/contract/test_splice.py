"""Plans carried as bytes: the same states and rows as when every plan is decoded and written again."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samenloop.contract import Codec
from samenloop.contract.splice import UNREAD, PlanFacts, PlanSplicer
from samenloop.errors import Reject
from samenloop.model import FieldOrigin, PlanChanged, PlanRegion, PlanState

OFFLINE = Codec.offline()
SPLICER = PlanSplicer(OFFLINE)
Draw = Callable[[Any], st.SearchStrategy[Any]]


@settings(max_examples=80)
@given(data=st.data())
def test_spliced_equals_encoded(any_value: Draw, data: st.DataObject) -> None:
    """Copying a plan's bytes gives what decoding and encoding gives, for a state and for a row."""
    change: PlanChanged = data.draw(any_value(PlanChanged))
    origin = FieldOrigin(system="s", event_id="e", recorded_at=change.recorded_at)
    state = PlanState(
        plan_id=change.plan_id,
        revision=change.sequence,
        validity=change.validity,
        registered_at=change.ingested_at,
        sequence=change.sequence,
        event_id=change.origin.event_id,
        content_hash=bytes(32),
        provenance={"": origin},
        plan=UNREAD,
    )
    row = PlanRegion(plan_id="p", version=1, revision=2, accepted_at=change.recorded_at, cause_id="c", first_load=True)

    read = SPLICER.read_change(OFFLINE.encode("plan-changes", change))

    assert read == SPLICER.split(change)
    assert read.change == replace(change, plan=None)
    spliced = SPLICER.region_value(row, read.plan)
    assert spliced == OFFLINE.encode("plan-regions", replace(row, plan=change.plan))
    if read.plan is not None:
        whole = replace(state, plan=change.plan)
        assert SPLICER.state_value(state, read.plan) == OFFLINE.encode("plan-states", whole)


@settings(max_examples=50)
@given(data=st.data())
def test_what_is_remembered(any_value: Draw, data: st.DataObject) -> None:
    """A state read back without its plan says what the whole says."""
    state = data.draw(any_value(PlanState))

    head = SPLICER.read_state(OFFLINE.encode("plan-states", state))

    plan = state.plan
    assert (head.plan_id, head.revision, head.content_hash) == (state.plan_id, state.revision, state.content_hash)
    assert head.plan == PlanFacts(plan.id, plan.system, plan.owner, plan.phase, plan.visibility)


@settings(max_examples=80)
@given(data=st.data())
def test_broken_plans_are_never_copied(make_change: Callable[[], PlanChanged], data: st.DataObject) -> None:
    """Altered bytes are refused, or give a plan that every reader can read: the copy is checked to its last byte."""
    value = bytearray(OFFLINE.encode("plan-changes", make_change()))
    place = data.draw(st.integers(5, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    row = PlanRegion(plan_id="x", version=1, revision=1, accepted_at=make_change().recorded_at, cause_id="e")

    try:
        read = SPLICER.read_change(bytes(value))
    except Reject:
        return

    assert OFFLINE.decode("plan-regions", SPLICER.region_value(row, read.plan)).plan is not None or read.plan is None


@pytest.mark.parametrize("cut", [1, 10, 100, 300])
def test_cut_short(make_change: Callable[[], PlanChanged], cut: int) -> None:
    """A value that ends too early is refused, wherever it was cut."""
    with pytest.raises(Reject, match=r"schema\.unreadable"):
        SPLICER.read_change(OFFLINE.encode("plan-changes", make_change())[:-cut])
