"""Partners send plans: `POST /v1/events`, CloudEvents in binary or structured mode, single or in a batch.

202 is said only when Kafka has acknowledged every event that was taken, and every dead letter of one that was not.
Of a batch with some bad events the good ones are taken: 207, with what became of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request, Response

from edge.access import needs
from edge.documented import EVENTS
from edge.intake import Judged
from edge.keyring import Caller
from edge.messages import Incoming, read_body, read_events
from edge.problems import Fault, Problem
from edge.services import EdgeServices, Services
from samenloop import clock, metrics
from samenloop.errors import Retry
from samenloop.logs import get_logger

router = APIRouter(prefix="/v1", tags=["events"])
_AT_ONCE = 200
"""Events that are judged in one go; between two goes others get their turn."""
_MEGABYTE = 1_000_000
_log = get_logger("edge")


@router.post("/events", status_code=202, summary="Send plans", **EVENTS)
async def send_events(
    request: Request, services: Services, caller: Annotated[Caller, needs("plans:write")]
) -> Response:
    """Take changes of plans as CloudEvents.

    An event's `id` is unique within its `source`: sent again it has no second effect. `time` says when your system
    recorded the change; of two changes of one plan the later one counts, whatever order they arrive in.
    """
    settings = services.settings
    loop = asyncio.get_running_loop()
    async with services.turns:
        body = await read_body(request, int(settings.max_body_megabytes * _MEGABYTE))
        events = await loop.run_in_executor(services.worker, read_events, request.headers.raw, body, settings)
        judged = await _taken(services, events, caller)
    _count(judged)
    return _answer(judged)


async def _taken(services: EdgeServices, events: Sequence[Incoming], caller: Caller) -> list[Judged]:
    """Judge *events* and wait until Kafka has what follows. Raises Problem("unavailable")."""
    loop = asyncio.get_running_loop()
    judged: list[Judged] = []
    sending = []
    seen: set[bytes] = set()
    for start in range(0, len(events), _AT_ONCE):
        part = events[start : start + _AT_ONCE]
        found = await loop.run_in_executor(services.worker, services.intake.judge, part, caller, clock.now())
        outputs = [output for one in found for output in one.outputs if not _again(one, seen)]
        if outputs:
            sending.append(asyncio.ensure_future(services.sent(outputs)))
        judged += found
    failed = [error for error in await asyncio.gather(*sending, return_exceptions=True) if error is not None]
    for error in failed:
        if not isinstance(error, Retry):
            raise error
    if failed:
        _log.warning("edge.not_acknowledged", "Kafka did not take everything in time; the sender is told to repeat.",
                     partner=caller.oin, detail=str(failed[0]))  # fmt: skip
        detail = "Kafka did not acknowledge everything in time. Send the same events again: nothing is taken twice."
        raise Problem("unavailable", detail, headers={"Retry-After": "5"})
    return judged


def _again(one: Judged, seen: set[bytes]) -> bool:
    """Say whether the same event stood earlier in this request; it has the same outcome and no effect of its own."""
    if one.change is None or one.faults:
        return False
    key = f"{one.head.source}\n{one.head.id}\n{one.head.key}".encode() + (one.change.content_hash or b"")
    there = key in seen
    seen.add(key)
    return there


def _count(judged: Sequence[Judged]) -> None:
    for one in judged:
        if one.letter is not None:
            metrics.DLQ_RECORDS_TOTAL.labels(topic="events", reason=one.letter.reason.lower()).inc()
        if one.faults:
            first = one.faults[0]
            _log.warning("record.rejected", "An event was refused.", code=first.code, detail=first.detail,
                         source=one.head.source if one.head.own else None,
                         letter=str(one.letter.id) if one.letter else None)  # fmt: skip


def _answer(judged: Sequence[Judged]) -> Response:
    refused = [one for one in judged if one.faults]
    told = {
        "accepted": len(judged) - len(refused),
        "refused": len(refused),
        "events": [_told(one) for one in judged],
    }
    if not refused or len(refused) < len(judged):
        return Response(orjson.dumps(told), 207 if refused else 202, media_type="application/json")
    code = "not-yours" if all(one.not_yours for one in refused) else "events-refused"
    errors = [fault for one in refused for fault in one.faults]
    events = "The event was" if len(refused) == 1 else f"All {len(refused)} events were"
    raise Problem(code, f"{events} refused; `errors` says why.", _bounded(errors), more=told)


def _bounded(faults: list[Fault]) -> list[Fault]:
    return faults[:1000]


def _told(one: Judged) -> dict[str, Any]:
    told: dict[str, Any] = {"outcome": "refused" if one.faults else "accepted"}
    if one.head.id:
        told["id"] = one.head.id
    if not one.faults:
        told["subject"] = one.head.key
    if one.notes:
        told["notes"] = [note.form() for note in one.notes]
    if one.faults:
        told["errors"] = [fault.form() for fault in one.faults]
    if one.letter is not None:
        told["dead_letter"] = str(one.letter.id)
    return told
