"""The application: routers, problems, description. A function of its services, so that tests bring their own."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from edge.description import describe
from edge.heads import Heads
from edge.problems import Problem
from edge.routes import ROUTERS
from edge.services import EdgeServices
from edge.telemetry import Telemetry, on_http_error, on_invalid, on_mistake, on_problem
from samenloop import metrics


def create_app(services: EdgeServices) -> ASGIApp:
    """Return the application over *services*."""
    app = build(services)
    return Telemetry(app, base_url=services.base_url)


def build(services: EdgeServices) -> FastAPI:
    """Return the application without what stands around every request."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.services = services
    app.add_middleware(Heads)
    app.add_exception_handler(Problem, on_problem)
    app.add_exception_handler(Exception, on_mistake)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    for router in ROUTERS:
        app.include_router(router)
    for route in [*app.routes, *(route for router in ROUTERS for route in router.routes)]:
        metrics.start(route=getattr(route, "path", metrics.OTHER))
    app.openapi_schema = describe(app, services.base_url)
    return app
