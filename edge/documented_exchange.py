"""What the description says of subscriptions and dead letters: bodies, answers, examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from edge.documented import FOR_PARTNERS, SYSTEM, problems, reference
from edge.forms import Form, Title
from edge.subscription_forms import SubscriptionForm, SubscriptionList, SubscriptionView

ID = "6f1a3c7e-6b0f-4a0e-9f43-0d6f6a9b6c11"
SUBSCRIBE: dict[str, Any] = {
    "sink": "https://planning.wetering.example/samenloop",
    "types": ["nl.samenloop.conflict-opened.v1", "nl.samenloop.conflict-changed.v1", "nl.samenloop.conflict-closed.v1"],
    "filters": [{"prefix": {"type": "nl.samenloop.conflict-"}}],
    "protocol": "HTTP",
    "protocolsettings": {"method": "POST", "rate_per_minute": 120},
    "config": {
        "area": {
            "type": "Polygon",
            "coordinates": [[[5.38, 52.15], [5.40, 52.15], [5.40, 52.16], [5.38, 52.16], [5.38, 52.15]]],
        },
        "roles": ["OWNER", "PARTICIPANT"],
        "materiality": {"min_severity": "WARNING"},
        "language": "nl",
    },
}
SUBSCRIBED: dict[str, Any] = {
    "id": ID,
    "revision": 1,
    "status": "active",
    "created_at": "2026-11-24T09:00:00Z",
    "updated_at": "2026-11-24T09:00:00Z",
    **SUBSCRIBE,
}
_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class DiscardForm(Form):
    """Why a record needs nothing more."""

    reason: Title = Field(description="for those who look at it later")


class Done(BaseModel):
    """Something that was done about a dead letter."""

    status: str
    at: str
    by: str = Field(description="you or operator")
    reason: str | None = None


class DeadLetterView(BaseModel):
    """A record of yours that was set aside, or an alert to you that was given up."""

    id: str
    status: str = Field(description="OPEN, REPLAYED, TAKEN, FAILED_AGAIN, DISCARDED")
    failed_at: str
    code: str
    detail: str
    reason: str
    stage: str = Field(description="who set it aside")
    attempts: int
    replayable: bool = Field(description="whether it can be offered again now")
    system: str | None = None
    topic: str | None = Field(None, description="left out: it never was on Kafka")
    subscription: str | None = Field(None, description="of an alert")
    successor: str | None = Field(None, description="the dead letter that it became when it was offered again")
    done: list[Done] = []
    key: str | None = None
    headers: dict[str, str] | None = None
    value_base64: str | None = Field(None, description="the record's own bytes")
    value_sha256: str | None = None


class DeadLetterList(BaseModel):
    """Dead letters of the caller's, oldest first, without their bytes."""

    dead_letters: list[DeadLetterView]
    next: str | None = Field(None, description="address of what follows; left out at the end")


class DeadLetterOutcome(BaseModel):
    """What became of a dead letter."""

    id: str
    status: str = Field(description="TAKEN, FAILED_AGAIN, REPLAYED (not known yet), DISCARDED")
    detail: str
    successor: str | None = None


MODELS: tuple[type[BaseModel], ...] = (
    SubscriptionForm, SubscriptionView, SubscriptionList,
    DiscardForm, DeadLetterView, DeadLetterList, DeadLetterOutcome,
)  # fmt: skip

_LETTER: dict[str, Any] = {
    "id": "1f7b1a0e-5a0c-5d0e-9a8e-0d7d3c0b6a11",
    "status": "OPEN",
    "failed_at": "2026-11-24T09:00:00Z",
    "code": "record.missing",
    "detail": "/data/properties/title: this key is missing",
    "reason": "VALIDATION",
    "stage": "edge",
    "attempts": 1,
    "replayable": False,
    "system": SYSTEM,
    "done": [],
}
_ETAG = {"ETag": {"description": "the revision", "schema": {"type": "string"}, "example": '"1"'}}
_BODY = ("malformed", "too-slow", "too-large", "unsupported-media-type")


def _answer(model: type[BaseModel], description: str, example: dict[str, Any], **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": reference(model), "example": example}}
    return {"description": description, "content": content, **more}


def _takes(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": reference(model), "example": example}}
    return {"requestBody": {"required": True, "content": content}}


def _route(answers: dict[int | str, Any], *codes: str, **extra: Any) -> dict[str, Any]:
    return {"responses": {**answers, **problems(*codes, *FOR_PARTNERS)}, **extra}


_SHOWN = _answer(SubscriptionView, "As it stands.", SUBSCRIBED, headers=_ETAG)
BEGIN = _route(
    {
        201: _answer(
            SubscriptionView,
            "Made: `active`, or `requested` with the reason why the sink did not consent.",
            {**SUBSCRIBED, "secret": _SECRET},
            headers={**_ETAG, "Location": {"description": "its address", "schema": {"type": "string"}}},
        )
    },
    *_BODY, "not-offered", "too-many-subscriptions",
    openapi_extra=_takes(SubscriptionForm, SUBSCRIBE),
)  # fmt: skip
SUBSCRIPTIONS = _route(
    {200: _answer(SubscriptionList, "Your own.", {"subscriptions": [SUBSCRIBED]})}, "malformed", "not-offered"
)
SUBSCRIPTION = _route({200: _SHOWN}, "malformed", "not-found", "not-offered")
CHANGE = _route(
    {200: _answer(SubscriptionView, "As it stands now.", {**SUBSCRIBED, "revision": 2}, headers=_ETAG)},
    *_BODY, "not-found", "not-offered", "not-now", "stale", "precondition-missing",
    openapi_extra=_takes(SubscriptionForm, SUBSCRIBE),
)  # fmt: skip
END = _route({204: {"description": "Ended, now or before."}}, "malformed", "not-found", "not-offered", "not-now")
STEP = _route({200: _SHOWN}, "malformed", "not-found", "not-offered", "not-now")

_DEALT = {"id": _LETTER["id"], "status": "DISCARDED", "detail": "noted: it needs nothing more"}
_TAKEN = {"id": _LETTER["id"], "status": "TAKEN", "detail": "the hub took it"}
LETTERS = _route({200: _answer(DeadLetterList, "Your own.", {"dead_letters": [_LETTER]})}, "malformed", "not-offered")
LETTER = _route(
    {200: _answer(DeadLetterView, "With its bytes.", {**_LETTER, "value_base64": "eyJpZCI6ICIyMDI3LTAwNDMtMSJ9"})},
    "malformed", "not-found", "not-offered",
)  # fmt: skip
REPLAY = _route(
    {200: _answer(DeadLetterOutcome, "What came of it.", _TAKEN)}, "malformed", "not-found", "not-offered", "not-now"
)
DISCARD = _route(
    {200: _answer(DeadLetterOutcome, "Noted.", _DEALT)}, *_BODY, "not-found", "not-offered", "not-now",
    openapi_extra=_takes(DiscardForm, {"reason": "a test record of our supplier"}),
)  # fmt: skip
