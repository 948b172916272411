"""The routers, one file per concern. A new one is a file here with `router`, and its line in this table."""

from __future__ import annotations

from fastapi import APIRouter

from edge.routes import alerts, changes, collections, events, health, pages

ROUTERS: tuple[APIRouter, ...] = (
    events.router,
    collections.router,
    changes.router,
    alerts.router,
    health.router,
    pages.router,
)
"""In the order in which they stand in the documentation."""
