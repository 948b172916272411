"""What happened to plans since: page by page from a cursor, or as a stream. The repair of a push that was missed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from edge.access import Reader, may_read
from edge.documented_reading import CHANGES, CHANGES_CURSOR, CHANGES_STREAM
from edge.queries import read_query
from edge.read_model import Events
from edge.services import Services
from edge.streaming import PER_PAGE, Feed, page_answer, resumed_from
from samenloop.logs import get_logger

_log = get_logger("edge")
router = APIRouter(prefix="/v1/changes", tags=["changes"])
MayRead = Annotated[Reader, may_read()]


@router.get("", summary="Changes of plans since a cursor", **CHANGES)
async def changes(request: Request, services: Services, reader: MayRead) -> Response:
    """Return what happened to plans that you may see, in order per plan, from the start without `after`.

    Keep `next` with what you stored and ask again with it. A page may be empty and still move on; `at_end` says that
    this is all for now. A plan that you may no longer see comes once more as `plan-withdrawn`, its id alone: drop it.
    """
    asked = read_query(request, "after", "limit")
    limit, after = asked.get("limit", 100), asked.get("after")
    if after is None and reader.viewer.oin:
        _log.info("bulk.pulled", "A partner begins with all changes there are.", partner=reader.viewer.oin)
    events = await services.reads.ask(lambda model: model.changes(reader.viewer, after=after, limit=limit))
    return page_answer(events)


@router.get("/cursor", summary="The cursor behind all changes there are", **CHANGES_CURSOR)
async def cursor(request: Request, services: Services, reader: MayRead) -> Response:
    """Take it, read the collection of plans, then go on from it: nothing is missed in between."""
    read_query(request)
    return JSONResponse({"next": await services.reads.ask(lambda model: model.cursor(reader.viewer))})


@router.get("/stream", summary="Changes of plans as they happen", **CHANGES_STREAM)
async def stream(request: Request, services: Services, reader: MayRead) -> Response:
    """Tell changes as server-sent events, from now on without `after`; `data` is the same CloudEvent.

    The `id` is a cursor: a client that comes back with `Last-Event-ID` misses nothing, and may be told some again. A
    stream ends after a while, when the key is revoked, or, after an event `problem`, when it cannot be continued.
    """
    asked = read_query(request, "after")
    after = resumed_from(request, asked.get("after"))

    async def page(since: str) -> Events:
        return await services.reads.ask(lambda model: model.changes(reader.viewer, after=since, limit=PER_PAGE))

    async def newest() -> str:
        return await services.reads.ask(lambda model: model.cursor(reader.viewer))

    return await services.streams.answer(reader.viewer.oin, after, Feed(newest, page), reader.still)
