"""What there is now, as OGC API Features (parts 1 and 2): plans, restrictions and findings, each for who asks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
import pyproj
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse

from edge.access import Reader, may_read
from edge.documented_reading import COLLECTION, COLLECTIONS, CONFORMANCE, ITEM, ITEMS, LANDING
from edge.problems import KINDS, Problem
from edge.queries import read_query
from edge.read_model import CRS_URIS, Collection, Page, ReadModel
from edge.services import EdgeServices, Services
from samenloop import clock
from samenloop.contract.cloudevents import timestamp
from samenloop.geometry import CRS84
from samenloop.visibility import Viewer

router = APIRouter(prefix="/v1", tags=["collections"])
GEO_JSON = "application/geo+json"
MayRead = Annotated[Reader, may_read()]
TITLES: dict[Collection, tuple[str, str]] = {
    "plans": ("Plans", "Plans of works as they are now."),
    "restrictions": (
        "Restrictions",
        "Zones and periods in which breaking ground is forbidden or advised against.",
    ),
    "conflicts": ("Conflicts", "Plans that are in each other's way; the place is where."),
    "opportunities": ("Opportunities", "Plans that could be carried out together; the place is where."),
}
_SPEC = "http://www.opengis.net/spec"
CLASSES = (
    f"{_SPEC}/ogcapi-features-1/1.0/conf/core",
    f"{_SPEC}/ogcapi-features-1/1.0/conf/geojson",
    f"{_SPEC}/ogcapi-features-2/1.0/conf/crs",
)
Named = Annotated[str, Path(description="which collection", json_schema_extra={"enum": list(TITLES)}, max_length=40)]
ItemId = Annotated[str, Path(description="the id of a plan, restriction or finding, percent-encoded", max_length=2048)]


@router.get("/", include_in_schema=False)
@router.get("", summary="Where everything is", **LANDING)
async def landing(request: Request, services: Services) -> Response:
    """Return links to the description, the collections and what this interface conforms to."""
    read_query(request)
    base = services.base_url
    links = [
        _link(f"{base}/v1/", "self", "this page"),
        _link(f"{base}/openapi.json", "service-desc", "OpenAPI", "application/vnd.oai.openapi+json;version=3.1"),
        _link(f"{base}/docs", "service-doc", "Documentation", "text/html"),
        _link(f"{base}/v1/conformance", "conformance", "What this conforms to"),
        _link(f"{base}/v1/collections", "data", "Collections"),
    ]
    return JSONResponse({"title": "Samenloop", "description": "Plans of works, and what they mean to each other.",
                         "links": links})  # fmt: skip


@router.get("/conformance", summary="What this conforms to", **CONFORMANCE)
async def conformance(request: Request) -> Response:
    """Return the classes of OGC API Features that this interface conforms to."""
    read_query(request)
    return JSONResponse({"conformsTo": list(CLASSES)})


@router.get("/collections", summary="The collections", **COLLECTIONS)
async def collections(request: Request, services: Services, _: MayRead) -> Response:
    """Return the collections that there are; they are the same for everyone."""
    read_query(request)
    described = [_described(services, name) for name in TITLES]
    return JSONResponse(
        {"links": [_link(f"{services.base_url}/v1/collections", "self", "this page")], "collections": described}
    )


@router.get("/collections/{collection}", summary="One collection", **COLLECTION)
async def collection(request: Request, services: Services, _: MayRead, collection: Named) -> Response:
    """Return what a collection is. The extent is that of the hub's area, whatever is in it."""
    read_query(request)
    return JSONResponse(_described(services, _known(collection)))


@router.get("/collections/{collection}/items", summary="Things of a collection", **ITEMS)
async def items(request: Request, services: Services, reader: MayRead, collection: Named) -> Response:
    """Return what you may see, as GeoJSON, page by page: follow the link `next` until there is none.

    A page may hold fewer than `limit` and still have a `next`. Who owns a plan in a finding with a plan that it may not
    see gets the finding masked, without place; a question by area or period does not find it.
    """
    name = _known(collection)
    asked = read_query(request, "bbox", "bbox-crs", "datetime", "crs", "limit", "next", "asOf")
    page = await services.reads.ask(lambda model: _page(model, name, reader.viewer, asked))
    here = f"{services.base_url}/v1/collections/{name}/items"
    given = dict(request.query_params)
    links = [_link(_address(here, given), "self", "this page", GEO_JSON)]
    if page.next is not None:
        links.append(_link(_address(here, {**given, "next": page.next}), "next", "the next page", GEO_JSON))
    links.append(_link(here.removesuffix("/items"), "collection", TITLES[name][0]))
    tail = {"links": links, "numberReturned": len(page.items), "timeStamp": timestamp(clock.now()).decode()}
    features = b",".join(item.feature for item in page.items)
    body = b'{"type":"FeatureCollection","features":[' + features + b"]," + orjson.dumps(tail)[1:]
    return Response(body, media_type=GEO_JSON, headers=_content_crs(asked))


@router.get("/collections/{collection}/items/{item_id}", summary="One thing", **ITEM)
async def item(request: Request, services: Services, reader: MayRead, collection: Named, item_id: ItemId) -> Response:
    """Return one of them. Its revision is the `ETag`: with `If-None-Match`, 304 while it is unchanged.

    Whether there is one that you may not see cannot be told from the answer.
    """
    name = _known(collection)
    asked = read_query(request, "crs", "asOf")
    crs, as_of = asked.get("crs", CRS84), asked.get("asOf")
    found = await services.reads.ask(lambda model: model.item(name, reader.viewer, item_id, crs=crs, as_of=as_of))
    if found is None:
        raise Problem("not-found", KINDS["not-found"].meaning)
    headers = _content_crs(asked)
    if found.revision is not None:
        headers["ETag"] = f'"{found.revision}"'
        if _matches(request, str(found.revision)):
            return Response(status_code=304, headers=headers)
    here = f"{services.base_url}/v1/collections/{name}"
    itself = _address(f"{here}/items/{quote(item_id, safe='')}", dict(request.query_params))
    links = [_link(itself, "self", "this", GEO_JSON), _link(here, "collection", TITLES[name][0])]
    body = found.feature[:-1] + b',"links":' + orjson.dumps(links) + b"}"
    return Response(body, media_type=GEO_JSON, headers=headers)


def _page(model: ReadModel, name: Collection, viewer: Viewer, asked: Mapping[str, Any]) -> Page:
    return model.items(
        name,
        viewer,
        bbox=asked.get("bbox"),
        bbox_crs=asked.get("bbox-crs", CRS84),
        period=asked.get("datetime"),
        limit=asked.get("limit", 100),
        after=asked.get("next"),
        crs=asked.get("crs", CRS84),
        as_of=asked.get("asOf"),
    )


def _known(collection: str) -> Collection:
    if collection not in TITLES:
        raise Problem("not-found", KINDS["not-found"].meaning)
    return collection


def _described(services: EdgeServices, name: Collection) -> dict[str, Any]:
    title, description = TITLES[name]
    here = f"{services.base_url}/v1/collections/{name}"
    return {
        "id": name,
        "title": title,
        "description": description,
        "itemType": "feature",
        "extent": {
            "spatial": {"bbox": [_extent(services.reads.metric_crs)], "crs": CRS84},
            "temporal": {"interval": [[None, None]]},
        },
        "crs": list(CRS_URIS),
        "storageCrs": CRS84,
        "links": [
            _link(here, "self", title),
            _link(f"{here}/items", "items", title, GEO_JSON),
        ],
    }


@lru_cache(maxsize=4)
def _extent(metric_crs: str) -> list[float]:
    use = pyproj.CRS(metric_crs).area_of_use
    return list(use.bounds) if use is not None else [-180.0, -90.0, 180.0, 90.0]


def _link(href: str, rel: str, title: str, media_type: str = "application/json") -> dict[str, str]:
    return {"href": href, "rel": rel, "type": media_type, "title": title}


def _address(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _content_crs(asked: Mapping[str, Any]) -> dict[str, str]:
    return {"Content-Crs": f"<{asked.get('crs', CRS84)}>"}


def _matches(request: Request, revision: str) -> bool:
    given = ",".join(request.headers.getlist("if-none-match"))
    return any(one.strip().removeprefix("W/") in ("*", f'"{revision}"') for one in given.split(","))
