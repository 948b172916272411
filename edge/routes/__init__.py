"""The routers, one file per concern. A new one is a file here with `router`, and its line in this table."""

from __future__ import annotations

from fastapi import APIRouter

from edge.routes import alerts, changes, collections, dead_letters, events, health, pages, subscriptions, systems

ROUTERS: tuple[APIRouter, ...] = (
    events.router,
    collections.router,
    changes.router,
    alerts.router,
    systems.router,
    subscriptions.router,
    dead_letters.router,
    health.router,
    pages.router,
)
"""In the order in which they stand in the documentation."""
