"""The alerts of a partner's subscriptions since: what its webhook was told, or should have been."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from edge.access import Reader, may_read
from edge.documented_reading import ALERTS, ALERTS_CURSOR, ALERTS_STREAM
from edge.problems import KINDS, Problem
from edge.queries import read_query
from edge.read_model import Events
from edge.services import EdgeServices, Services
from edge.streaming import PER_PAGE, Feed, page_answer, resumed_from
from samenloop.visibility import Viewer

router = APIRouter(prefix="/v1/alerts", tags=["alerts"])
MayRead = Annotated[Reader, may_read(public=False)]


@router.get("", summary="Alerts since a cursor", **ALERTS)
async def alerts(request: Request, services: Services, reader: MayRead) -> Response:
    """Return the alerts of your subscriptions, or of one of them, in order per subscription; from the start without
    `after`.

    An alert has the id of its webhook in `alertid` and the place in its subscription in `alertsequence`. What you may
    no longer see is left out.
    """
    asked = read_query(request, "after", "subscription", "limit")
    return page_answer(
        await _page(services, reader.viewer, asked.get("subscription"), asked.get("after"), asked.get("limit", 100))
    )


@router.get("/cursor", summary="The cursor behind all alerts there are", **ALERTS_CURSOR)
async def cursor(request: Request, services: Services, reader: MayRead) -> Response:
    """Take it before you read the collections of findings, then go on from it."""
    read_query(request)
    return JSONResponse({"next": await services.reads.ask(lambda model: model.alerts_cursor(reader.viewer))})


@router.get("/stream", summary="Alerts as they come", **ALERTS_STREAM)
async def stream(request: Request, services: Services, reader: MayRead) -> Response:
    """Tell alerts as server-sent events, from now on without `after`; it goes and ends as the stream of changes."""
    asked = read_query(request, "after", "subscription")
    after, subscription = resumed_from(request, asked.get("after")), asked.get("subscription")

    async def page(since: str) -> Events:
        return await _page(services, reader.viewer, subscription, since, PER_PAGE)

    async def newest() -> str:
        return await services.reads.ask(lambda model: model.alerts_cursor(reader.viewer))

    return await services.streams.answer(reader.viewer.oin, after, Feed(newest, page), reader.still)


async def _page(
    services: EdgeServices, viewer: Viewer, subscription: UUID | None, after: str | None, limit: int
) -> Events:
    """Return a page of alerts. Raises Problem("not-found") where the subscription is not one of the viewer's."""
    found = await services.reads.ask(
        lambda model: model.alerts(viewer, subscription=subscription, after=after, limit=limit)
    )
    if found is None:
        raise Problem("not-found", KINDS["not-found"].meaning)
    return found
