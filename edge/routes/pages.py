"""What the interface says of itself: its description for machines and for people, and a page for every problem."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from edge import description as descriptions
from edge import pages
from edge.problems import KINDS, Problem

router = APIRouter(tags=["about"], include_in_schema=False)


@router.get("/")
async def root() -> RedirectResponse:
    """Lead people to the documentation."""
    return RedirectResponse("docs")


@router.get("/openapi.json")
async def description(request: Request) -> dict[str, Any]:
    """Return the description of the interface, OpenAPI 3.1."""
    found: dict[str, Any] = request.app.openapi_schema
    return found


@router.get("/asyncapi.yaml")
def events() -> Response:
    """Return the description of the events, AsyncAPI 3."""
    return Response(descriptions.events(), media_type="application/yaml")


@router.get("/docs")
async def documentation(request: Request) -> HTMLResponse:
    """Return the description as a page."""
    return HTMLResponse(pages.documentation(request.app.openapi_schema), headers=pages.HEADERS)


@router.get("/problems")
async def problems() -> HTMLResponse:
    """Return the list of problems."""
    return HTMLResponse(pages.problems_page(), headers=pages.HEADERS)


@router.get("/problems/{code}")
async def problem(code: str) -> HTMLResponse:
    """Return the page of one kind of problem: its `type`."""
    if code not in KINDS:
        raise Problem("not-found", KINDS["not-found"].meaning)
    return HTMLResponse(pages.problem_page(code), headers=pages.HEADERS)
