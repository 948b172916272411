"""Who is told what, and when again: plans, findings and subscriptions in, alerts and their baseline out.

Pure: `now` is an argument and everything said is collected until `take`. Each decision compares what is with what the
subscription was last told, so hearing the same thing twice says nothing twice.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Protocol
from uuid import UUID

from samenloop.model import (
    AlertReason,
    AlertState,
    Finding,
    Partner,
    PlanRegion,
    Restriction,
    Subject,
    Subscription,
    SubscriptionStatus,
)
from samenloop.notify import content
from samenloop.notify.interest import FIRST_LOAD, SUBSCRIPTION_TEST, Interest, Known, KnownPlan, Row, interest_of
from samenloop.notify.ledger import Event, Ledger, Outgoing, Saying
from samenloop.notify.telling import OPEN, Heard, Moment, Teller
from samenloop.rules import Rules


class ZoneRow(Row, Protocol):
    """A row of plan-regions with a restriction in it."""

    @property
    def plan(self) -> object: ...


class Notifier:
    """All state of notify, and its decisions."""

    def __init__(
        self, rules: Rules, *, source: str, metric_crs: str, quiet_seconds: float, to_json: content.ToJson
    ) -> None:
        self._source, self._crs, self._quiet = source, metric_crs, quiet_seconds
        self._words = content.Words(rules, to_json)
        self.ledger = Ledger()
        self.plans: dict[str, KnownPlan] = {}
        self.zones: dict[str, Known] = {}
        self._teller = Teller(rules, self._words, self.ledger, plans=self.plans, zones=self.zones)
        self.findings: dict[UUID, Heard] = {}
        self.subscriptions: dict[UUID, Subscription] = {}
        self.partners: dict[str, Partner] = {}
        self.interests: dict[UUID, Interest] = {}

    # Rebuilding, in any order; `ready` ends it.

    def load_plan(self, plan_id: str, row: PlanRegion | None) -> bool:
        """Take over a row of plan-regions (None: removed) without telling anyone; False when it is not newer."""
        known = self.plans.get(plan_id)
        if row is None or row.plan is None:
            self.plans.pop(plan_id, None)
            return row is None
        if known is not None and known.row.version >= row.version:
            return False
        self.plans[plan_id] = KnownPlan(row, row.plan, self._crs)
        return True

    def load_zone(self, restriction_id: str, row: ZoneRow | None) -> None:
        """Take over a row of a restriction (None: removed). It is no news by itself: the findings about it are."""
        if row is None or not isinstance(row.plan, Restriction):
            self.zones.pop(restriction_id, None)
            return
        known = self.zones.get(restriction_id)
        if known is None or known.row.revision < row.revision:
            self.zones[restriction_id] = Known(row, row.plan, self._crs)

    def load_finding(self, finding_id: UUID, finding: Finding | None, event: Event) -> None:
        """Take over a finding (None: forgotten) without telling anyone."""
        if finding is None or finding.status not in OPEN:
            self.findings.pop(finding_id, None)
        else:
            self.findings[finding_id] = Heard(finding, event)

    def ready(self) -> None:
        """Work out what the loaded subscriptions want."""
        self.interests.clear()
        for subscription in self.subscriptions.values():
            self._interest(subscription)

    # Events.

    def hear_plan(self, plan_id: str, row: PlanRegion | None, event: Event, now: datetime) -> None:
        """Tell of a plan that is new, changed or (None) removed."""
        if not self.load_plan(plan_id, row):
            return
        for interest in self.interests.values():
            self._teller.plan(interest, plan_id, event, Moment(now))

    def hear_finding(self, finding_id: UUID, finding: Finding | None, event: Event, now: datetime) -> None:
        """Tell of a finding that is opened, changed or closed; None forgets it and what was told of it."""
        known = self.findings.get(finding_id)
        if finding is not None and known is not None and known.finding.revision >= finding.revision:
            return
        self.load_finding(finding_id, finding, event)
        if finding is None:
            self.ledger.forget_subject(str(finding_id))
            return
        for interest in self.interests.values():
            self._teller.finding(interest, Heard(finding, event), Moment(now))

    def unseen(self, finding: Finding) -> bool:
        """Say whether an open finding cites a plan, or a revision of one, that has not been heard yet."""
        if finding.status not in OPEN:
            return False
        found = ((self._known(p.id), p.revision) for p in finding.participants)
        return any(known is None or known.row.revision < revision for known, revision in found)

    def hear_subscription(self, subscription: Subscription, now: datetime) -> None:
        """Take over a subscription: one that is new, or asks for more, is told the state in one summary."""
        before = self.subscriptions.get(subscription.id)
        if before is not None and before.revision >= subscription.revision:
            return
        self.subscriptions[subscription.id] = subscription
        if subscription.status is SubscriptionStatus.ENDED:
            self.ledger.forget_subscription(subscription.id)
        self._interest(subscription)
        self._review(subscription.id, now)
        if subscription.tests_asked > (before.tests_asked if before is not None else 0):
            self._test(subscription, now)

    def hear_partner(self, partner: Partner, now: datetime) -> None:
        """Take over a partner; what its subscriptions may no longer see is withdrawn."""
        if self.partners.get(partner.oin) == partner:
            return
        self.partners[partner.oin] = partner
        for subscription in list(self.subscriptions.values()):
            if subscription.subscriber_oin == partner.oin:
                self._interest(subscription)
                self._review(subscription.id, now)

    def idle(self, now: datetime) -> None:
        """Send the summaries of a first load that has been quiet for long enough."""
        if not self.ledger.summaries:
            return
        loaded_at = self._teller.loaded_at = self._teller.loaded_at or now
        if (now - loaded_at).total_seconds() < self._quiet:
            return
        self._teller.loaded_at = None
        for subscription_id, event in list(self.ledger.summaries.items()):
            interest = self.interests.get(subscription_id)
            if interest is None:
                continue
            findings, plans = self._told_now(interest)
            masked = self._masked_now(interest)
            shown = [plan for _, by_id in findings for plan in by_id.values()]
            saying = Saying(
                subject_id=str(subscription_id),
                event=event.about(str(subscription_id)),
                event_type=FIRST_LOAD,
                reason=AlertReason.NEW,
                data=self._words.summary(interest, findings, plans=plans, masked=masked),
            )
            self.ledger.summarise(interest, saying, shown, now)

    def suppressed(self) -> Counter[str]:
        """Return how often something was not said on purpose since the last call, by reason."""
        counted, self._teller.suppressed = self._teller.suppressed, Counter()
        return counted

    def take(self) -> list[Outgoing]:
        """Return what was said since the last call, in order, each baseline once."""
        return self.ledger.take()

    # Decisions.

    def _known(self, subject_id: str) -> Known | None:
        return self.plans.get(subject_id) or self.zones.get(subject_id)

    def _interest(self, subscription: Subscription) -> None:
        partner = self.partners.get(subscription.subscriber_oin)
        interest = interest_of(subscription, partner, self._crs, self._source)
        if interest is None:
            self.interests.pop(subscription.id, None)
        else:
            self.interests[subscription.id] = interest

    def _review(self, subscription_id: UUID, now: datetime) -> None:
        """Compare all there is with what a subscription was told; what is new to it goes into one summary."""
        interest, moment = self.interests.get(subscription_id), Moment(now, quietly=True)
        if interest is None:
            return
        for plan_id, known in self.plans.items():
            event = Event(id=known.row.cause_id, at=known.row.accepted_at)
            self._teller.plan(interest, plan_id, event, moment)
        for heard in list(self.findings.values()):
            if not self.unseen(heard.finding):
                self._teller.finding(interest, heard, moment)
        revision = self.subscriptions[subscription_id].revision
        event = Event(id=f"{subscription_id}@{revision}", at=now)
        here = self.plans.keys() | {str(finding_id) for finding_id in self.findings}
        for subject in set(self.ledger.open_subjects(interest)) - here:
            self._teller.vanished(interest, subject, event.about(subject), moment)

    def _test(self, subscription: Subscription, now: datetime) -> None:
        """Send the test alert that was asked for: it takes the road and the number that any alert takes."""
        interest = self.interests.get(subscription.id)
        if interest is None:
            return
        saying = Saying(
            subject_id=str(subscription.id),
            event=Event(id=f"{subscription.id}#test-{subscription.tests_asked}", at=now),
            event_type=SUBSCRIPTION_TEST,
            reason=AlertReason.TEST,
            data=content.TEST,
        )
        self.ledger.say(interest, saying, [], now)

    def _told_now(self, interest: Interest) -> tuple[list[tuple[Finding, dict[str, Subject]]], int]:
        """What a subscription knows to be open, findings with their plans, and how many plans of others."""
        findings: list[tuple[Finding, dict[str, Subject]]] = []
        for heard in self.findings.values():
            known = [k for p in heard.finding.participants if (k := self._known(p.id)) is not None]
            told = self.ledger.open_told(interest, str(heard.finding.id))
            if told is not None and not told.masked and interest.sees(k.plan for k in known):
                findings.append((heard.finding, {k.plan.id: k.plan for k in known}))
        return findings, sum(subject in self.plans for subject in self.ledger.open_subjects(interest))

    def _masked_now(self, interest: Interest) -> int:
        """How many open findings a subscription knows only masked."""
        told = (self.ledger.open_told(interest, str(finding_id)) for finding_id in self.findings)
        return sum(one is not None and one.masked for one in told)


def state_key(state: AlertState) -> str:
    """Return the Kafka key of an alert state."""
    return f"{state.subscription_id}\n{state.subject_id}"
