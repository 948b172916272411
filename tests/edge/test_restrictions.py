"""Authorities push restrictions as they push plans: one event type more, the same rules about who may say it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from edge.documented import OIN, SYSTEM
from samenloop.contract import read_envelope
from samenloop.model import ChangeKind, Force, RestrictionKind, RestrictionStatus
from samenloop.restriction_states import REPORTED
from tests.edge.scenes import KEY, STRUCTURED, Scene

URN = f"{SYSTEM}:restriction:2027-7"
ZONE: dict[str, Any] = {
    "title": "Moratorium Lindelaan",
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[121000, 486990], [121200, 486990], [121200, 487005], [121000, 487005], [121000, 486990]]],
        "crs": "EPSG:28992",
    },
    "period": {"start": "2026-07-01", "end": "2031-06-30"},
    "exempt_work_kinds": ["urn:samenloop:work-kind:emergency"],
    "visibility": "PARTNERS",
}
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "r-1", "source": SYSTEM, "type": REPORTED, "subject": URN,
    "time": "2026-11-23T09:15:00Z", "datacontenttype": "application/json", "data": {"restriction": ZONE},
}  # fmt: skip


def sent(scene: Scene, event: dict[str, Any]) -> Any:
    """Push one event with the partner's key."""
    return scene.client.post(
        "/v1/events", json=event, headers={"Authorization": f"Bearer {KEY}", "Content-Type": STRUCTURED}
    )


def changed(**data: Any) -> dict[str, Any]:
    """Return the event with other keys in its restriction."""
    made = copy.deepcopy(EVENT)
    made["data"]["restriction"] |= data
    return made


def test_a_restriction_is_reported(scene: Scene) -> None:
    """It goes to `restriction-reports` under its own id, whole, with what was left out as the contract has it."""
    answer = sent(scene, EVENT)

    (output,) = scene.kafka.outputs
    report = scene.codec.decode(output.topic, output.value or b"", output.headers)
    assert (answer.status_code, answer.json()["events"][0]["subject"]) == (202, URN)
    assert (output.topic, output.key, read_envelope(output.headers).type) == ("restriction-reports", URN, REPORTED)
    zone = report.restriction
    assert (report.change, zone.owner.oin, zone.local_id) == (ChangeKind.UPDATED, OIN, "2027-7")
    assert (zone.kind, zone.status, zone.force) == (
        RestrictionKind.MORATORIUM, RestrictionStatus.IN_FORCE, Force.BINDING,
    )  # fmt: skip
    assert zone.geometry.crs.endswith("28992")


def test_a_restriction_ends(scene: Scene) -> None:
    """DELETED carries nothing but the id."""
    answer = sent(scene, EVENT | {"data": {"change": "DELETED"}})

    (output,) = scene.kafka.outputs
    report = scene.codec.decode(output.topic, output.value or b"", output.headers)
    assert answer.status_code == 202
    assert (report.restriction_id, report.change, report.restriction) == (URN, ChangeKind.DELETED, None)


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        (EVENT | {"subject": f"{SYSTEM}:plan:2027-7"}, 400, "identity.restriction-id"),
        (EVENT | {"subject": None}, 400, "identity.restriction-id"),
        (EVENT | {"datacontenttype": "application/geo+json"}, 400, "envelope.content-type"),
        (EVENT | {"data": {}}, 400, "record.restriction"),
        (EVENT | {"data": {"change": "DELETED", "restriction": ZONE}}, 400, "record.restriction"),
        (changed(period={"start": "2031-01-01", "end": "2026-01-01"}), 400, "period.end-before-start"),
        (changed(geometry={"type": "Polygon", "coordinates": [[[1]]], "crs": "EPSG:28992"}), 400, None),
        (changed(statuss="x"), 400, "record.unknown-key"),
        (changed(owner={"oin": "00000099000000001009"}), 403, "owner.not-mandated"),
        (EVENT | {"source": "urn:nld:oin:00000099000000001009:systeem:x"}, 403, "mandate.caller"),
    ],
)
def test_what_cannot_be_taken_says_why(scene: Scene, event: dict[str, Any], status: int, code: str | None) -> None:
    """Who speaks for another gets 403, all else 400, with the place and the fix; nothing reaches the stream."""
    answer = sent(scene, {name: value for name, value in event.items() if value is not None})

    assert answer.status_code == status, answer.text
    if code is not None:
        assert code in [error["code"] for error in answer.json()["errors"]]
    assert [output.topic for output in scene.kafka.outputs if output.topic != "dead-letters"] == []


def test_personal_data_stays_outside(scene: Scene) -> None:
    """A title that looks like personal data is left out, and said."""
    answer = sent(scene, changed(title="Bel jan@voorbeeld.example"))

    (output,) = scene.kafka.outputs
    assert answer.json()["events"][0]["notes"][0]["code"] == "personal.text-withheld"
    assert scene.codec.decode(output.topic, output.value or b"", output.headers).restriction.title == "2027-7"
