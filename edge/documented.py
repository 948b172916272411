"""What the description of the interface (OpenAPI) says beside what follows from the code: bodies, answers, examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from edge.forms import ChangeForm, FeatureForm
from edge.messages import BATCH, GEO_JSON, JSON, STRUCTURED
from edge.problems import KINDS, MEDIA_TYPE
from edge.restrictions import ReportForm

OIN = "00000099000000001002"
SYSTEM = f"urn:nld:oin:{OIN}:systeem:works-register"
_PLACE = {"type": "LineString", "coordinates": [[5.3872, 52.1552], [5.3881, 52.1557]]}
_PLAN = {
    "title": "Renewal of the sewer in the Lindelaan",
    "phase": "PREPARATION",
    "certainty": "INTENDED",
    "visibility": "PARTNERS",
    "period": {"start": "2027-03-01", "end": "2027-04-16"},
    "work_kinds": ["urn:samenloop:work-kind:sewer"],
    "traffic_impact": "CLOSED",
}
FEATURE = {"type": "Feature", "geometry": _PLACE, "properties": _PLAN}
CHANGE = {"change": "UPDATED", "plan": {**_PLAN, "geometry": {**_PLACE, "crs": "OGC:CRS84"}}}
EVENT = {
    "specversion": "1.0",
    "id": "2027-0042-7",
    "source": SYSTEM,
    "type": "nl.samenloop.plan-changed.v1",
    "time": "2026-01-12T09:15:00Z",
    "subject": f"{SYSTEM}:plan:2027-0042",
    "datacontenttype": GEO_JSON,
    "data": FEATURE,
}
REMOVAL = {
    **{name: EVENT[name] for name in ("specversion", "source", "subject")},
    "id": "2027-0042-8",
    "type": "nl.samenloop.plan-removed.v1",
    "time": "2026-01-19T08:00:00Z",
}


class CloudEvent(BaseModel):
    """A CloudEvent 1.0 in structured mode (JSON)."""

    specversion: str = Field(pattern=r"^1\.0$")
    id: str = Field(description="unique within source; a repeat has no second effect", min_length=1, max_length=255)
    source: str = Field(description="your system: urn:nld:oin:<OIN>:systeem:<name>")
    type: str = Field(description="nl.samenloop.plan-changed.v1, plan-removed.v1 or restriction-reported.v1")
    time: str = Field(description="when your system recorded the change, with Z or an offset")
    subject: str | None = Field(None, description="the plan: <source>:plan:<local id, percent-encoded>")
    datacontenttype: str = Field(JSON, description=f"{JSON} or {GEO_JSON}")
    data: ChangeForm | FeatureForm | ReportForm | None = None


class Finding(BaseModel):
    """One thing that is wrong or odd: where, a stable code, a sentence."""

    pointer: str | None = Field(None, description="place in the body that was sent (RFC 6901)")
    header: str | None = Field(None, description="the header, where it stands in one")
    code: str
    detail: str


class EventOutcome(BaseModel):
    """What became of one event."""

    outcome: str = Field(description="accepted or refused")
    id: str | None = None
    subject: str | None = Field(None, description="the plan, where the event was accepted")
    notes: list[Finding] | None = Field(None, description="what was left out of an accepted event")
    errors: list[Finding] | None = Field(None, description="why it was refused")
    dead_letter: str | None = Field(None, description="under which id the refused event is kept")


class Outcomes(BaseModel):
    """What became of each event, in the order they were sent."""

    accepted: int
    refused: int
    events: list[EventOutcome]


class ProblemForm(BaseModel):
    """RFC 9457. `type` is the address of a page that says what to do."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = Field(description="trace id of the request: the hub's operator finds it in the log")
    errors: list[Finding] | None = None


MODELS: tuple[type[BaseModel], ...] = (CloudEvent, Outcomes, ProblemForm)
"""Forms that stand in the description though no route has them as a parameter."""


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Return a reference to the form in the description."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Return the answers of a route that may have these problems."""
    found: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        example = {
            "type": f"https://hub.example/problems/{code}",
            "title": kind.title,
            "status": kind.status,
            "detail": kind.meaning,
            "instance": "4bf92f3577b34da6a3ce929d0e0e4736",
        }
        one = found.setdefault(
            kind.status,
            {"description": kind.title, "content": {MEDIA_TYPE: {"schema": reference(ProblemForm), "examples": {}}}},
        )
        one["content"][MEDIA_TYPE]["examples"][code] = {"value": example}
    return found


FOR_PARTNERS = ("not-authenticated", "scope-missing", "too-many-requests", "internal", "unavailable")
"""Problems that every route for partners may have."""


def _outcomes(description: str, example: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": reference(Outcomes), "example": example}},
    }


_ACCEPTED = {"outcome": "accepted", "id": EVENT["id"], "subject": EVENT["subject"]}
_REFUSED = {
    "outcome": "refused",
    "id": "2027-0043-1",
    "errors": [
        {"pointer": "/1/data/properties/title", "code": "record.missing", "detail": "this key is missing"},
    ],
    "dead_letter": "1f7b1a0e-5a0c-5d0e-9a8e-0d7d3c0b6a11",
}
_BINARY = [
    {
        "name": f"ce-{name}",
        "in": "header",
        "required": False,
        "description": f"in binary mode: the attribute `{name}`",
        "schema": {"type": "string"},
        "example": EVENT[name],
    }
    for name in ("specversion", "id", "source", "type", "time", "subject")
]
EVENTS: dict[str, Any] = {
    "openapi_extra": {
        "parameters": _BINARY,
        "requestBody": {
            "required": True,
            "content": {
                STRUCTURED: {
                    "schema": reference(CloudEvent),
                    "examples": {"change": {"value": EVENT}, "removal": {"value": REMOVAL}},
                },
                BATCH: {"schema": {"type": "array", "items": reference(CloudEvent)}, "example": [EVENT, REMOVAL]},
                JSON: {"schema": reference(ChangeForm), "example": CHANGE},
                GEO_JSON: {"schema": reference(FeatureForm), "example": FEATURE},
            },
        },
    },
    "responses": {
        202: _outcomes(
            "Kafka has every event. `notes` say what was left out of one.",
            {"accepted": 1, "refused": 0, "events": [_ACCEPTED]},
        ),
        207: _outcomes(
            "Some events were refused: Kafka has the others, and the refused ones as your dead letters.",
            {"accepted": 1, "refused": 1, "events": [_ACCEPTED, _REFUSED]},
        ),
        **problems(
            "malformed", "events-refused", "not-yours", "too-slow", "too-large", "unsupported-media-type", *FOR_PARTNERS
        ),
    },
}  # fmt: skip
