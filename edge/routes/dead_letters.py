"""Partners' own records that were set aside: `/v1/dead-letters`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query, Request, Response

from edge import documented_exchange as documented
from edge.access import needs
from edge.checked import checked
from edge.desk import Desk, outcome, view
from edge.documented_exchange import DiscardForm
from edge.keyring import Caller
from edge.messages import read_json
from edge.paging import page_of
from edge.problems import Fault, Problem
from edge.services import EdgeServices, Services
from samenloop import clock

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])
SCOPE = "dead-letters"
_MOST_BYTES = 10_000


@router.get("", summary="Your dead letters", **documented.LETTERS)
async def listed(
    services: Services,
    caller: Annotated[Caller, needs(SCOPE)],
    status: Annotated[Literal["open", "all"], Query(description="`all`: also those that were dealt with")] = "open",
    limit: Annotated[int, Query(ge=1, le=1000, description="most in one answer")] = 100,
    after: Annotated[str | None, Query(max_length=100, description="what `next` says; opaque")] = None,
) -> Response:
    """List your own records that were set aside, oldest first, and alerts to you that were given up."""
    own = await _desk(services).of(caller)
    page, _ = page_of([(str(one.letter.id), one) for one in own], after, len(own) or 1)
    found = [one for one in page if status == "all" or one.open]
    more = len(found) > limit
    told: dict[str, Any] = {"dead_letters": [view(one) for one in found[:limit]]}
    if more:
        last = found[limit - 1].letter.id
        told["next"] = f"{services.base_url}/v1/dead-letters?status={status}&limit={limit}&after={last}"
    return _json(told)


@router.get("/{letter_id}", summary="One dead letter", **documented.LETTER)
async def one(services: Services, caller: Annotated[Caller, needs(SCOPE)], letter_id: str) -> Response:
    """Return one of your dead letters with the record's own bytes, in base64; those of an alert are not shown."""
    return _json(view(await _desk(services).whole(caller, letter_id), whole=True))


@router.post("/{letter_id}/replay", summary="Offer a record again", **documented.REPLAY)
async def replay(services: Services, caller: Annotated[Caller, needs(SCOPE)], letter_id: str) -> Response:
    """Write the record to its topic again, and say what came of it within ten seconds.

    `FAILED_AGAIN`: it is a new dead letter, which `successor` names. What was refused before it was on Kafka cannot be
    offered again: correct it and send it again.
    """
    return _json(outcome(await _desk(services).replay(caller, letter_id, clock.now())))


@router.post("/{letter_id}/discard", summary="Discard a record", **documented.DISCARD)
async def discard(
    request: Request, services: Services, caller: Annotated[Caller, needs(SCOPE)], letter_id: str
) -> Response:
    """Note that a record needs nothing more, and why. Its bytes stay until Kafka forgets them."""
    faults: list[Fault] = []
    form = checked(DiscardForm, await read_json(request, services.settings, _MOST_BYTES), "", faults)
    if form is None:
        raise Problem("malformed", 'Say why: {"reason": "…"}.', faults)
    return _json(outcome(await _desk(services).discard(caller, letter_id, form.reason, clock.now())))


def _desk(services: EdgeServices) -> Desk:
    if services.desk is None:
        raise Problem("not-offered", "This process does not show dead letters.")
    return services.desk


def _json(told: dict[str, Any]) -> Response:
    return Response(orjson.dumps(told), media_type="application/json")
