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
from tests.edge.scenes import HUB_URN, NOW, OTHER

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


WRONG_KIND = "urn:samenloop:work-kind:castle"


@given(st.data(), ODD)
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_faults_of_form_and_of_content_are_told_at_once(data: st.DataObject, odd: Any) -> None:
    """Whatever is wrong with one field, what is wrong with the others is told beside it, at the same places."""
    event = changed(
        EVENT, ("data", "properties", "work_kinds"), [EVENT["data"]["properties"]["work_kinds"][0], WRONG_KIND]
    )
    path = data.draw(st.sampled_from([p for p in places(event) if p[:2] == ("data", "properties") and len(p) > 2]))
    if path[2] == "work_kinds":
        return
    (one,) = INTAKE.judge([incoming(changed(event, path, odd))], CALLER, NOW)

    assert ("/data/properties/work_kinds/1", "record.work-kind") in {(f.pointer, f.code) for f in one.faults}


def test_every_fault_of_a_plan_and_none_that_is_guessed() -> None:
    """Nothing is said of what a field that could not be read might have held."""
    event = copy.deepcopy(EVENT)
    plan = event["data"]["properties"]
    del plan["title"]
    plan |= {
        "tilte": "x",
        "owner": {"oin": OTHER},
        "period": {"start": "2027-03-01", "end": "2027-02-01", "precision": "CENTURY"},
        "work_periods": [{"start": "soon", "end": "2027-02-01"}, {"start": "2027-03-01", "end": "2027-02-01"}],
        "work_kinds": [7, WRONG_KIND],
    }
    event["data"]["geometry"] = {"type": "Point", "coordinates": [5.0, 95.0]}
    (one,) = INTAKE.judge([incoming(event)], CALLER, NOW)
    told = {(fault.pointer.removeprefix("/data/"), fault.code) for fault in one.faults}

    assert told >= {
        ("properties/title", "record.missing"), ("properties/tilte", "record.unknown-key"),
        ("properties/period/precision", "record.value"), ("properties/period/end", "period.end-before-start"),
        ("properties/work_periods/0/start", "date.unparseable"),
        ("properties/work_periods/1/end", "period.end-before-start"), ("properties/work_kinds/0", "record.value"),
        ("properties/owner/oin", "owner.not-mandated"),
    }  # fmt: skip
    assert any(place.startswith("geometry") for place, _ in told)
    assert not any(place == "properties/work_kinds/1" for place, _ in told)  # that list could not be read


def test_an_id_that_cannot_be_read_is_told_as_that_alone() -> None:
    """That neither subject nor id says which plan it is would be untrue."""
    event = {name: value for name, value in copy.deepcopy(EVENT).items() if name != "subject"}
    event["data"]["id"] = 7
    event["data"]["properties"].pop("id", None)
    (one,) = INTAKE.judge([incoming(event)], CALLER, NOW)

    assert [fault.pointer for fault in one.faults] == ["/data/id"]
