"""The life of a subscription: begun, paused, resumed, tested, its secret rotated, ended.

Which step is allowed where is a table. A sink that did not consent leaves a subscription REQUESTED: it is told nothing
until `resume` asks again and the sink says yes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

from samenloop import handshake, identity, webhooks
from samenloop.contract import Codec
from samenloop.errors import BadSettings, Reject
from samenloop.handshake import Consent
from samenloop.kafka import publish, write_unless_changed
from samenloop.model import Partner, PartnerStatus, Subscription
from samenloop.model import SubscriptionStatus as Status
from samenloop.partners import read_partners
from samenloop.settings import Hub
from samenloop.stage import Output
from samenloop.subscriptions import Wish, read_subscriptions, subscription_of, subscription_output, with_status

Step = Literal["pause", "resume", "test", "rotate", "end"]

ALLOWED: Mapping[Step, frozenset[Status]] = {
    "pause": frozenset({Status.ACTIVE}),
    "resume": frozenset({Status.PAUSED, Status.REQUESTED}),
    "test": frozenset({Status.ACTIVE}),
    "rotate": frozenset({Status.REQUESTED, Status.ACTIVE, Status.PAUSED}),
    "end": frozenset({Status.REQUESTED, Status.ACTIVE, Status.PAUSED}),
}
"""From which status a step may be taken; ENDED is for good."""
_AFTER: Mapping[Step, Status] = {"pause": Status.PAUSED, "resume": Status.ACTIVE, "end": Status.ENDED}


def ask_now(hub: Hub, sink: str, rate_per_minute: int | None = None) -> Consent:
    """Ask the sink for its consent and wait for the answer. Raises BadSettings for an address that is not called."""
    destinations = webhooks.Destinations(hub.delivery)
    asking = handshake.ask(sink, origin=hub.hub.schema_host, rate_per_minute=rate_per_minute, destinations=destinations)
    try:
        return asyncio.run(asking)
    except Reject as error:
        raise BadSettings([f"sink: {error.detail}, expected https://<public host>/…"]) from error


def begin(hub: Hub, codec: Codec, wish: Wish, consent: Consent, *, now: datetime) -> tuple[Subscription, str]:
    """Begin a subscription of an active partner; returns it and its webhook secret.

    Raises BadSettings when the wish will not do, the subscriber is not a partner, or the hub has no master key.
    """
    key = webhooks.read_master_key(hub.delivery)
    wanted = subscription_of(wish, hub, subscription_id=uuid4(), now=now)
    check_subscriber(read_partners(hub, codec), wish.subscriber)
    subscription = agreed(replace(wanted, status=Status.REQUESTED), consent)
    publish(hub.kafka, [_output(hub, codec, subscription)])
    return subscription, webhooks.derive_secret(key, subscription.id)


def change(
    hub: Hub, codec: Codec, subscription_id: UUID, step: Step, *, now: datetime, consent: Consent | None = None
) -> Subscription:
    """Take a step and return the subscription after it; *consent* is what the sink answered, for `resume`.

    Raises BadSettings when there is no such subscription, the step is not allowed from where it stands, or somebody
    else changed it at the same moment.
    """
    before = find(hub, codec, subscription_id)
    after = taken(before, step, now=now, consent=consent or handshake.AGREED)
    if not follow(hub, codec, before, after):
        raise BadSettings([f"id: subscription {before.id} changed meanwhile; look at it and try again"])
    return after


def follow(hub: Hub, codec: Codec, before: Subscription, after: Subscription) -> bool:
    """Write *after* if the subscription still stands as *before*, whichever process changes it; says whether it did.

    Raises Retry when Kafka does not answer: it may be written then.
    """

    def look() -> list[Output] | None:
        return [_output(hub, codec, after)] if read_subscriptions(hub, codec).get(before.id) == before else None

    return write_unless_changed(hub.kafka, "subscriptions", look)


def find(hub: Hub, codec: Codec, subscription_id: UUID) -> Subscription:
    """Return a subscription. Raises BadSettings when there is none of that id."""
    found = read_subscriptions(hub, codec).get(subscription_id)
    if found is None:
        raise BadSettings([f"id: there is no subscription {subscription_id}; `subscriptions list` shows them"])
    return found


def taken(before: Subscription, step: Step, *, now: datetime, consent: Consent = handshake.AGREED) -> Subscription:
    """Return the next revision of a subscription after *step*. Raises BadSettings when the table forbids it."""
    if before.status not in ALLOWED[step]:
        wanted = ", ".join(sorted(status.lower() for status in ALLOWED[step]))
        found = "has ended" if before.status is Status.ENDED else f"is {before.status.lower()}"
        raise BadSettings([f"id: subscription {before.id} {found}, expected one that is {wanted} to {step} it"])
    after = with_status(before, _AFTER.get(step, before.status), None if step in _AFTER else before.status_reason, now)
    if step == "resume":
        return agreed(replace(after, status=Status.REQUESTED), consent)
    if step == "test":
        return replace(after, tests_asked=before.tests_asked + 1)
    if step == "rotate":
        return replace(after, secret_ref=webhooks.next_secret_ref(before.secret_ref))
    return after


def agreed(subscription: Subscription, consent: Consent) -> Subscription:
    """Return *subscription* as it stands once its sink answered: active at no more than the rate it allows, or not."""
    if not consent.granted:
        return replace(subscription, status=Status.REQUESTED, status_reason=consent.reason)
    rates = [rate for rate in (subscription.rate_per_minute, consent.rate_per_minute) if rate is not None]
    return replace(subscription, status=Status.ACTIVE, status_reason=None, rate_per_minute=min(rates, default=None))


def check_subscriber(partners: Mapping[str, Partner], oin: str) -> None:
    """Raise BadSettings unless *oin* is an active partner."""
    partner = partners.get(oin)
    if partner is None:
        raise BadSettings([f"subscriber: {oin} is not a partner; `samenloop partners add` admits one"])
    if partner.status is not PartnerStatus.ACTIVE:
        raise BadSettings([f"subscriber: {oin} was revoked; `samenloop partners add` admits it again"])


def _output(hub: Hub, codec: Codec, subscription: Subscription) -> Output:
    return subscription_output(codec, identity.system_urn(hub.hub.oin, "samenloop"), subscription)
