"""Whom we may send to, and what: subscriptions and partners as they stand at this moment."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from samenloop import metrics, visibility
from samenloop.contract import Codec
from samenloop.errors import Reject
from samenloop.logs import get_logger
from samenloop.model import Alert, Partner, PartnerStatus, SubscriberRole, Subscription, SubscriptionStatus
from samenloop.model import Protocol as Channel
from samenloop.stage import Record

log = get_logger("webhook")


class Following(Protocol):
    """The topics `subscriptions` and `partners`: all that is there, then what is new."""

    def catch_up(self) -> Iterable[Record]:
        """Return all there is now."""
        ...

    def poll(self) -> Iterable[Record]:
        """Return what is new, without waiting."""
        ...


class Leave(StrEnum):
    """What may be done with an alert now."""

    SEND = "SEND"
    WAIT = "WAIT"
    ENDED = "ENDED"
    WITHHELD = "WITHHELD"
    OTHER_CHANNEL = "OTHER_CHANNEL"


class Reach:
    """Follows both topics; *follow* opens them when they are first needed."""

    def __init__(self, codec: Codec, follow: Callable[[], Following]) -> None:
        self._codec, self._follow = codec, follow
        self._following: Following | None = None
        self._subscriptions: dict[UUID, Subscription] = {}
        self._partners: dict[str, Partner] = {}
        self._disputed: list[Subscription] = []

    def catch_up(self) -> None:
        """Read all there is; what ended before must be known before the first attempt."""
        if self._following is None:
            self._following = self._follow()
            self._take(self._following.catch_up())

    def poll(self) -> None:
        """Read what is new."""
        if self._following is not None:
            self._take(self._following.poll())

    def subscription(self, subscription_id: UUID) -> Subscription | None:
        """Return a subscription as it stands."""
        return self._subscriptions.get(subscription_id)

    def subscriptions(self) -> list[Subscription]:
        """Return the subscriptions that are told over HTTP and have not ended, of partners that were not revoked."""
        revoked = {one.oin for one in list(self._partners.values()) if one.status is PartnerStatus.REVOKED}
        told = (one for one in list(self._subscriptions.values()) if one.subscriber_oin not in revoked)
        return [one for one in told if one.protocol is Channel.HTTP and not _ended(one)]

    def put(self, subscription: Subscription) -> None:
        """Take over a subscription that is newer than ours."""
        before = self._subscriptions.get(subscription.id)
        if before is None or before.revision < subscription.revision:
            self._subscriptions[subscription.id] = subscription
            if subscription.protocol is Channel.HTTP:
                metrics.start(partner=subscription.subscriber_oin, channel="webhook")
        elif _ended(before) != _ended(subscription):
            self._disputed.append(before if _ended(before) else subscription)

    def disputed(self) -> list[Subscription]:
        """Return, once, what was ended in the same moment in which somebody else wrote the same revision without it."""
        found, self._disputed = self._disputed, []
        return [one for one in found if self._subscriptions[one.id].revision <= one.revision]

    def leave(self, alert: Alert, label: str) -> Leave:
        """Say what may be done with an alert whose content is classified as *label*.

        What is not known (yet) waits. rule: contract.md 9, visibility is checked again before every attempt.
        """
        subscription = self._subscriptions.get(alert.subscription_id)
        partner = None if subscription is None else self._partners.get(subscription.subscriber_oin)
        if subscription is None:
            return Leave.WAIT
        if _ended(subscription):
            return Leave.ENDED
        if subscription.protocol is not Channel.HTTP:
            return Leave.OTHER_CHANNEL
        if partner is None:
            return Leave.WAIT
        clearance = visibility.lower(partner.clearance, subscription.clearance)
        allowed = visibility.may_receive(label, clearance, own=alert.role is SubscriberRole.OWNER)
        if partner.status is PartnerStatus.REVOKED or not allowed:
            return Leave.WITHHELD
        return Leave.SEND if subscription.status is SubscriptionStatus.ACTIVE else Leave.WAIT

    def _take(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.value is None:
                continue
            try:
                value = self._codec.decode(record.topic, record.value, record.headers)
            except Reject as error:
                log.warning("record.rejected", "A record was passed over.", topic=record.topic, code=error.code)
                continue
            if isinstance(value, Subscription):
                self.put(value)
            elif isinstance(value, Partner):
                self._partners[value.oin] = value


def _ended(subscription: Subscription) -> bool:
    return subscription.status is SubscriptionStatus.ENDED
