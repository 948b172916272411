"""What the description of the interface says of reading: parameters, answers, examples."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from edge.documented import EVENT, FOR_PARTNERS, SYSTEM, problems, reference
from edge.queries import documented
from edge.read_model import CRS_URIS

_HUB = "https://hub.example"
_GEO_JSON = "application/geo+json"
_CURSOR = "AXN0b3BzOG1lAAAAAAUHCQ"
_PLAN = f"{SYSTEM}:plan:2027-0042"
_PROPERTIES = {
    "id": _PLAN,
    "title": "Renewal of the sewer in the Lindelaan",
    "phase": "PREPARATION",
    "visibility": "PARTNERS",
    "period": {"start": "2027-03-01", "end": "2027-04-16", "precision": "DAY", "end_kind": "GIVEN"},
}
_FEATURE = {
    "type": "Feature",
    "id": _PLAN,
    "geometry": {"type": "LineString", "coordinates": [[5.3872, 52.1552], [5.3881, 52.1557]]},
    "properties": _PROPERTIES,
}


_ZONE = {
    "type": "Feature",
    "id": f"{SYSTEM}:restriction:2027-7",
    "geometry": {
        "type": "Polygon",
        "coordinates": [
            [[5.3872, 52.1552], [5.3901, 52.1552], [5.3901, 52.1553], [5.3872, 52.1553], [5.3872, 52.1552]]
        ],
    },
    "properties": {
        "id": f"{SYSTEM}:restriction:2027-7",
        "title": "New paving in the Lindelaan",
        "kind": "MORATORIUM",
        "status": "IN_FORCE",
        "force": "BINDING",
        "visibility": "PARTNERS",
        "period": {"start": "2026-07-01", "end": "2031-06-30", "precision": "DAY", "end_kind": "GIVEN"},
        "exempt_work_kinds": ["urn:samenloop:work-kind:emergency"],
    },
}


class Link(BaseModel):
    """A link (RFC 8288)."""

    href: str
    rel: str
    type: str | None = None
    title: str | None = None


class Landing(BaseModel):
    """Where everything is."""

    title: str
    description: str
    links: list[Link]


class Conformance(BaseModel):
    """The conformance classes of OGC API Features."""

    conformsTo: list[str]


class CollectionForm(BaseModel):
    """One collection as OGC API Features describes it."""

    id: str
    title: str
    description: str
    itemType: str
    extent: dict[str, Any] = Field(description="the hub's area, not that of what is in it")
    crs: list[str] = Field(description="what can be asked for with `crs` and `bbox-crs`")
    storageCrs: str
    links: list[Link]


class CollectionsForm(BaseModel):
    """The collections that there are."""

    links: list[Link]
    collections: list[CollectionForm]


class ItemForm(BaseModel):
    """A GeoJSON feature; `properties` are the fields of the contract that you may see."""

    type: str
    id: str
    geometry: dict[str, Any] | None = Field(description="null where there is none, or it is hidden from you")
    properties: dict[str, Any]
    links: list[Link] | None = None


class ItemsForm(BaseModel):
    """A page of a collection, as GeoJSON."""

    type: str
    features: list[ItemForm]
    links: list[Link] = Field(description="`next` leads to the next page; without it this is the last")
    numberReturned: int
    timeStamp: str


class EventsForm(BaseModel):
    """A page of events and the cursor behind them."""

    events: list[dict[str, Any]] = Field(description="CloudEvents in structured mode")
    next: str = Field(description="the cursor for `after`; opaque, always there")
    at_end: bool = Field(description="whether that is all for now")


class CursorForm(BaseModel):
    """A cursor."""

    next: str = Field(description="the cursor for `after`; opaque")


class SystemsForm(BaseModel):
    """The IT systems in use."""

    systems: list[dict[str, Any]] = Field(description="each as the record SourceStatus, and what is judged about it")


MODELS: tuple[type[BaseModel], ...] = (
    Landing, Conformance, CollectionForm, CollectionsForm, ItemForm, ItemsForm, EventsForm, CursorForm, SystemsForm,
)  # fmt: skip


def _json(model: type[BaseModel], description: str, example: Any) -> Any:
    return {
        "description": description,
        "content": {"application/json": {"schema": reference(model), "example": example}},
    }


def _geo_json(model: type[BaseModel], description: str, **examples: Any) -> Any:
    """As `_json`, with an example of each collection that has one."""
    named = {name: {"value": example} for name, example in examples.items()}
    return {"description": description, "content": {_GEO_JSON: {"schema": reference(model), "examples": named}}}


def _route(answers: dict[int | str, Any], *codes: str, parameters: tuple[str, ...] = (), more: Any = ()) -> Any:
    """Return what a route for readers says: 400 for parameters, and what every route for partners may answer."""
    return {
        "openapi_extra": {"parameters": [*documented(*parameters), *more]} if parameters or more else None,
        "responses": {**answers, **problems("malformed", *codes)},
    }


def _link(path: str, rel: str, media_type: str = "application/json") -> dict[str, str]:
    return {"href": f"{_HUB}{path}", "rel": rel, "type": media_type, "title": rel}


_DESCRIBED = {
    "id": "plans",
    "title": "Plans",
    "description": "Plans of works as they are now.",
    "itemType": "feature",
    "extent": {
        "spatial": {"bbox": [[3.2, 50.75, 7.22, 53.7]], "crs": CRS_URIS[0]},
        "temporal": {"interval": [[None, None]]},
    },
    "crs": list(CRS_URIS),
    "storageCrs": CRS_URIS[0],
    "links": [_link("/v1/collections/plans/items", "items", _GEO_JSON)],
}
_READING = ("not-found", *FOR_PARTNERS)
LANDING = _route(
    {200: _json(Landing, "Links", {"title": "Samenloop", "description": "Plans of works, and what they mean to each"
                " other.", "links": [_link("/v1/collections", "data")]})},
    "internal",
)  # fmt: skip
CONFORMANCE = _route(
    {200: _json(Conformance, "Classes",
                {"conformsTo": ["http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"]})},
    "internal",
)  # fmt: skip
COLLECTIONS = _route(
    {200: _json(CollectionsForm, "The collections", {"links": [_link("/v1/collections", "self")],
                "collections": [_DESCRIBED]})},
    *FOR_PARTNERS,
)  # fmt: skip
COLLECTION = _route({200: _json(CollectionForm, "The collection", _DESCRIBED)}, *_READING)
_CONTENT_CRS = {
    "Content-Crs": {"description": "the CRS of the coordinates, as `<URI>`", "schema": {"type": "string"}},
}


def _page(collection: str, feature: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "FeatureCollection",
        "features": [feature],
        "links": [_link(f"/v1/collections/{collection}/items?limit=1", "self", _GEO_JSON)],
        "numberReturned": 1,
        "timeStamp": "2026-01-12T09:15:01.000000Z",
    }


_PAGES = {"plans": _page("plans", _FEATURE), "restrictions": _page("restrictions", _ZONE)}
ITEMS = _route(
    {200: {**_geo_json(ItemsForm, "A page", **_PAGES), "headers": _CONTENT_CRS}},
    "history-expired", *_READING,
    parameters=("bbox", "bbox-crs", "datetime", "crs", "limit", "next", "asOf"),
)  # fmt: skip
_ETAG = {"ETag": {"description": "the revision; none for a masked finding", "schema": {"type": "string"}}}
ITEM = _route(
    {
        200: {
            **_geo_json(ItemForm, "The thing", plans=_FEATURE, restrictions=_ZONE),
            "headers": {**_CONTENT_CRS, **_ETAG},
        },
        304: {"description": "It is as it was in the revision that `If-None-Match` names."},
    },
    "history-expired", *_READING,
    parameters=("crs", "asOf"),
    more=[
        {"name": "If-None-Match", "in": "header", "required": False, "schema": {"type": "string"},
         "description": "an `ETag`: answer only when it is another one", "example": '"7"'}
    ],
)  # fmt: skip
_CHANGE = {
    **EVENT,
    "id": "5c1fd0a3-7f8e-5d44-9d51-6c2b1f0f8d77",
    "source": "urn:nld:oin:00000099000000000001:systeem:samenloop",
    "type": "nl.samenloop.plan-state-changed.v1",
    "dataclassification": "internal",
    "data": _FEATURE,
}
_ALERT = {
    **_CHANGE,
    "datacontenttype": "application/json",
    "alertid": "0b9f6a52-9d1e-5a77-8a53-3f2f1d6f1a10",
    "alertsubscription": "7d3c0a5e-3a0b-4c1c-8f8e-0d2a4b6c8e10",
    "alertsequence": 42,
    "alertreason": "OPENED",
    "alertrole": "OWNER",
    "data": {"title": "Renewal of the sewer in the Lindelaan"},
}
_NEXT = {"next": _CURSOR}
_RESUME = {
    "name": "Last-Event-ID", "in": "header", "required": False, "schema": {"type": "string"},
    "description": "the `id` of the last event that arrived; clients send it by themselves, it goes before `after`",
}  # fmt: skip
_STREAM = {
    "description": "Server-sent events: `data` is a CloudEvent, `id` a cursor; comments keep the connection open.",
    "content": {
        "text/event-stream": {
            "schema": {"type": "string"},
            "example": f'retry: 3000\nid: {_CURSOR}\n\nid: {_CURSOR}\ndata: {{"specversion":"1.0"}}\n\n',
        }
    },
}


def _feed(event: dict[str, Any]) -> Any:
    return {200: _json(EventsForm, "A page", {"events": [event], "next": _CURSOR, "at_end": True})}


CHANGES = _route(_feed(_CHANGE), "cursor-expired", *FOR_PARTNERS, parameters=("after", "limit"))
CHANGES_CURSOR = _route({200: _json(CursorForm, "The cursor", _NEXT)}, *FOR_PARTNERS)
CHANGES_STREAM = _route(
    {200: _STREAM}, "cursor-expired", "too-many-streams", *FOR_PARTNERS, parameters=("after",), more=[_RESUME]
)
ALERTS = _route(_feed(_ALERT), "cursor-expired", *_READING, parameters=("after", "subscription", "limit"))
ALERTS_CURSOR = _route({200: _json(CursorForm, "The cursor", _NEXT)}, *FOR_PARTNERS)
ALERTS_STREAM = _route(
    {200: _STREAM}, "cursor-expired", "too-many-streams", *_READING, parameters=("after", "subscription"),
    more=[_RESUME],
)  # fmt: skip


_STATUS = {
    "system": SYSTEM,
    "owner": {"oin": "00000099000000001002", "name": "Waterschap De Wetering"},
    "name": "Projectenlijst",
    "connector": "file-snapshots",
    "protocol": "HTTPS",
    "standards": ["CSV"],
    "direction": "READ",
    "state": "RUNNING",
    "health": "Werkt",
    "freshness": "fresh",
}
SOURCES = _route({200: _json(SystemsForm, "The systems", {"systems": [_STATUS]})}, *_READING, parameters=("lang",))
