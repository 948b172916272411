"""Partners' own subscriptions: `/v1/subscriptions`, in the shape of the CloudEvents Subscriptions API."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Query, Request, Response

from edge import documented_exchange as documented
from edge.access import needs
from edge.checked import checked
from edge.keyring import Caller
from edge.messages import read_json
from edge.paging import page_of
from edge.problems import Fault, Problem
from edge.services import EdgeServices, Services
from edge.subscribing import Subscribing
from edge.subscription_forms import SET_BY_THE_HUB, SubscriptionForm, view
from samenloop import clock
from samenloop.model import Subscription, SubscriptionStatus
from samenloop.subscription_life import Step

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])
SCOPE = "subscriptions"
MOST_BYTES = 500_000
Limit = Annotated[int, Query(ge=1, le=1000, description="most in one answer")]
After = Annotated[str | None, Query(max_length=100, description="what `next` says; opaque")]


@router.post("", status_code=201, summary="Subscribe", **documented.BEGIN)
async def begin(request: Request, services: Services, caller: Annotated[Caller, needs(SCOPE)]) -> Response:
    """Subscribe an address of yours: it is asked for its consent, and told what happens once it gave it.

    The answer holds the secret that deliveries are signed with; it is not shown a second time, only rotated.
    """
    office = _office(services)
    made, secret = await office.begin(caller, await _form(request, services), clock.now())
    location = f"{services.base_url}/v1/subscriptions/{made.id}"
    return _answer(made, 201, secret=secret, Location=location)


@router.get("", summary="Your subscriptions", **documented.SUBSCRIPTIONS)
async def listed(
    services: Services, caller: Annotated[Caller, needs(SCOPE)], limit: Limit = 100, after: After = None
) -> Response:
    """List your own subscriptions, oldest first, those that ended too."""
    own = _office(services).book.of(caller.oin)
    page, more = page_of([(str(one.id), one) for one in own], after, limit)
    told: dict[str, Any] = {"subscriptions": [view(one) for one in page]}
    if more:
        told["next"] = f"{services.base_url}/v1/subscriptions?limit={limit}&after={page[-1].id}"
    return Response(orjson.dumps(told), media_type="application/json")


@router.get("/{subscription_id}", summary="One subscription", **documented.SUBSCRIPTION)
async def one(services: Services, caller: Annotated[Caller, needs(SCOPE)], subscription_id: str) -> Response:
    """Return one of your subscriptions; `ETag` is its revision."""
    return _answer(_office(services).find(caller, subscription_id))


@router.put("/{subscription_id}", summary="Change a subscription", **documented.CHANGE)
async def change(
    request: Request,
    services: Services,
    caller: Annotated[Caller, needs(SCOPE)],
    subscription_id: str,
    if_match: Annotated[str | None, Header(max_length=100, description='the revision you saw: `"3"`')] = None,
) -> Response:
    """Replace what a subscription asks for: what is left out goes back to its default.

    A new sink, or a new rate, is asked for consent again; a new sink gets a new secret, which is in the answer.
    """
    office = _office(services)
    before = office.find(caller, subscription_id)
    if if_match is None:
        raise Problem("precondition-missing", "Expected the header If-Match with the revision that you saw.")
    if if_match.strip() not in (f'"{before.revision}"', "*"):
        raise Problem("stale", "The subscription has another revision than the one in If-Match.")
    after, secret = await office.change(caller, before, await _form(request, services), clock.now())
    return _answer(after, secret=secret)


@router.delete("/{subscription_id}", status_code=204, summary="End a subscription", **documented.END)
async def end(services: Services, caller: Annotated[Caller, needs(SCOPE)], subscription_id: str) -> Response:
    """End a subscription for good; what is not sent yet is not sent any more."""
    office = _office(services)
    before = office.find(caller, subscription_id)
    if before.status is not SubscriptionStatus.ENDED:
        await office.step(caller, before, "end", clock.now())
    return Response(status_code=204)


def _step(path: str, step: Step, summary: str, meaning: str) -> None:
    @router.post(f"/{{subscription_id}}/{path}", summary=summary, description=meaning, name=path, **documented.STEP)
    async def take(services: Services, caller: Annotated[Caller, needs(SCOPE)], subscription_id: str) -> Response:
        office = _office(services)
        after = await office.step(caller, office.find(caller, subscription_id), step, clock.now())
        return _answer(after, secret=office.secret(after) if step == "rotate" else None)


_step("pause", "pause", "Pause", "Alerts wait, for 29 days at most; nothing is lost.")
_step("resume", "resume", "Resume", "Ask the sink for its consent again, and go on when it gives it.")
_step("test", "test", "Send a test alert", "Send an alert with reason TEST, which takes the road that any alert takes.")
_step("rotate-secret", "rotate", "Rotate the secret", "Make a new secret, which is in the answer once. The one before"
      " signs as well until the next rotation.")  # fmt: skip


async def _form(request: Request, services: EdgeServices) -> SubscriptionForm:
    found = await read_json(request, services.settings, MOST_BYTES)
    faults: list[Fault] = []
    if isinstance(found, dict):
        found = {name: value for name, value in found.items() if name not in SET_BY_THE_HUB}
    form = await asyncio.to_thread(checked, SubscriptionForm, found, "", faults)
    if form is None:
        raise Problem("malformed", "The subscription is not as it should be.", faults)
    return form


def _office(services: EdgeServices) -> Subscribing:
    if services.subscribing is None:
        raise Problem("not-offered", "This hub has no master key, so it signs no webhooks.")
    return services.subscribing


def _answer(one: Subscription, status: int = 200, *, secret: str | None = None, **headers: str) -> Response:
    given = {"ETag": f'"{one.revision}"', **headers}
    return Response(orjson.dumps(view(one, secret)), status, headers=given, media_type="application/json")
