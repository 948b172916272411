"""Is this process well: for those who route requests to it."""

from __future__ import annotations

from fastapi import APIRouter

from edge.problems import Problem
from edge.services import Services

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", summary="Whether the process lives")
async def live() -> dict[str, str]:
    """Answer as long as the process can answer at all; it says nothing of Kafka, for a restart would cure nothing."""
    return {"status": "live"}


@router.get("/ready", summary="Whether the process may be sent requests")
async def ready(services: Services) -> dict[str, str]:
    """Answer 200 when Kafka answers and all that must be known is known, else 503.

    While only `reading` is not ready, events are taken all the same.
    """
    sending, unread = services.awaited(), services.unread()
    parts = {"sending": sending or "ready", "reading": sending or unread or "ready"}
    if awaited := sending or unread:
        raise Problem("unavailable", f"Not ready: {awaited}.", headers={"Retry-After": "2"}, more=parts)
    return {"status": "ready", **parts}
