"""The rules of the intake, for whatever may be sent."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.documented import CHANGE, EVENT, OIN, REMOVAL
from edge.intake import Intake
from edge.keyring import Caller
from edge.messages import Incoming
from samenloop.content_hash import content_hash
from samenloop.contract import Codec, read_envelope
from samenloop.model import Clearance
from tests.edge.scenes import HUB_URN, NOW

CODEC = Codec.offline()
INTAKE = Intake(CODEC, hub_urn=HUB_URN, metric_crs="EPSG:28992", allow_test_oin=True)
CALLER = Caller(OIN, "Partner", Clearance.PARTNERS, frozenset(), frozenset(), "key")
ODD = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=8)
    | st.sampled_from(["2027-03-01", "0001-01-01", "9999-12-31", "CANCELLED", "DELETED", "EPSG:28992", "Polygon"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of everything in *value*."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        found += places(part, (*path, key))
    return found


def changed(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """Return *event* with another value at *path*."""
    made = copy.deepcopy(event)
    inside: Any = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return made


FORMS: list[dict[str, Any]] = [EVENT, {**EVENT, "data": CHANGE, "datacontenttype": "application/json"}, REMOVAL]


@given(st.sampled_from(FORMS), st.data(), ODD)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_stands_anywhere(form: dict[str, Any], data: st.DataObject, odd: Any) -> None:
    """An event is taken or refused with reasons, never both, never neither; what is taken can be read and is whole."""
    found = changed(form, data.draw(st.sampled_from(places(form))), odd)
    content = found.pop("data", None)
    (one,) = INTAKE.judge([Incoming(found, content)], CALLER, NOW)

    assert bool(one.faults) != (one.change is not None)
    for output in one.outputs:
        value = CODEC.decode(output.topic, output.value or b"", output.headers)
        assert read_envelope(output.headers).partitionkey == output.key
        if one.change is not None:
            assert value == one.change
            assert value.plan is None or content_hash(value.plan) == value.content_hash
    assert all(fault.code and fault.detail for fault in one.faults)


def incoming(event: dict[str, Any]) -> Incoming:
    """Return *event* as it is read from a batch."""
    made = copy.deepcopy(event)
    return Incoming({name: value for name, value in made.items() if name != "data"}, made.get("data"))


@given(st.permutations(range(4)))
@settings(max_examples=10, deadline=None)
def test_neighbours_do_not_matter(order: list[int]) -> None:
    """What becomes of an event does not depend on what stands beside it in a batch."""
    events = [EVENT, changed(EVENT, ("data", "geometry", "coordinates"), [[1]]), FORMS[1], REMOVAL]
    alone = [INTAKE.judge([incoming(event)], CALLER, NOW)[0] for event in events]

    together = INTAKE.judge([incoming(events[number]) for number in order], CALLER, NOW)

    assert [one.faults for one in together] == [alone[number].faults for number in order]
    assert [one.outputs for one in together] == [alone[number].outputs for number in order]
