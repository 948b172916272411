"""The IT systems in use: who runs what, how it is joined, how it is doing. For machines and as a page."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from edge.access import Reader, may_read
from edge.documented_reading import SOURCES
from edge.problems import Problem
from edge.queries import read_query
from edge.read_model import ReadModel
from edge.services import EdgeServices, Services
from samenloop import clock
from samenloop.model import SourceStatus
from samenloop.systems_overview import CONTENT_SECURITY_POLICY, page, rows_json, rows_of
from samenloop.visibility import PUBLIC

router = APIRouter(tags=["systems"])
MayRead = Annotated[Reader, may_read()]


@router.get("/v1/sources", summary="The IT systems in use and how their feeds are doing", **SOURCES)
async def sources(request: Request, services: Services, reader: MayRead) -> JSONResponse:
    """Return every system whose plans the hub reads or is sent, with its health in words and its freshness as of now.

    `lang` is nl or en. Contact points are for partners only.
    """
    language = read_query(request, "lang").get("lang", "nl")
    now = clock.now()
    rows = rows_of(await _statuses(services, now), now, language)
    return JSONResponse({"systems": rows_json(rows, contacts=reader.viewer != PUBLIC)})


@router.get("/systems", include_in_schema=False)
async def overview(request: Request, services: Services, reader: MayRead) -> HTMLResponse:
    """Return the same as a page for people, without scripts and without anything from elsewhere."""
    language, now = read_query(request, "lang").get("lang", "nl"), clock.now()
    rows = rows_of(await _statuses(services, now), now, language)
    headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "X-Content-Type-Options": "nosniff"}
    return HTMLResponse(page(rows, now, language, contacts=reader.viewer != PUBLIC), headers=headers)


async def _statuses(services: EdgeServices, now: datetime) -> list[SourceStatus]:
    """What is read can be told of while the read model is not ready; who sends is known from that."""
    try:
        seen = await services.reads.ask(ReadModel.systems)
    except Problem:
        seen = []
    return services.systems.statuses(seen, services.keyring.name_of, now)
