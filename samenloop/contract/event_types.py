"""The catalogue of CloudEvents types: what each one means, and where it is met.

A type is reverse DNS with one number behind `v`. A test holds this table and the code against each other.
"""

from __future__ import annotations

from dataclasses import field
from typing import Literal

from samenloop.value import value

Way = Literal["webhook", "push"]
"""How an event travels beside Kafka: the hub sends it to a subscriber, or takes it from a partner over HTTP."""


@value
class EventType:
    """One type. *meaning* is one sentence, *when* says what makes somebody send it.

    *topic* is by name, without prefix and version; None where the type never stands on Kafka. *tombstone* says that
    its value there is null: the subject is gone.
    """

    type: str
    topic: str | None
    meaning: str
    when: str
    ways: tuple[Way, ...] = field(default=())
    tombstone: bool = False


EVENT_TYPES: dict[str, EventType] = {
    event.type: event
    for event in (
        EventType(
            "nl.samenloop.plan-changed.v1", "plan-changes",
            "A source says how one plan is now, or that it is gone.",
            "A connector found a plan new, different or missing; a partner pushed it.",
            ("push",),
        ),
        EventType(
            "nl.samenloop.plan-state-changed.v1", "plan-states",
            "The shared truth of one plan has a new revision.",
            "The hub accepted a change of the plan; to a subscriber: a plan of another in its area is new or differs.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.plan-removed.v1", "plan-states",
            "A plan is gone.",
            "Its owner removed it, or its source no longer has it; what is pushed goes on as plan-changed.",
            ("webhook", "push"),
            tombstone=True,
        ),
        EventType(
            "nl.samenloop.plan-withdrawn.v1", None,
            "You may no longer see this plan, and must delete what you have of it.",
            "Its visibility was narrowed. Only the id is told.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.conflict-opened.v1", "conflicts",
            "Plans are in each other's way.",
            "Detection found it, or found it again; to a subscriber: it is new to that subscriber.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.conflict-changed.v1", "conflicts",
            "A conflict is judged otherwise than before.",
            "Measures, severity, remedies or status changed; to a subscriber: enough to be told again.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.conflict-closed.v1", "conflicts",
            "Plans are no longer in each other's way.",
            "A plan moved, ended or went; to a subscriber: also when it may no longer see the conflict.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.opportunity-opened.v1", "opportunities",
            "Plans would gain by being done together or in a certain order.",
            "Detection found it, or found it again; to a subscriber: it is new to that subscriber.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.opportunity-changed.v1", "opportunities",
            "An opportunity is judged otherwise than before.",
            "Measures, score, remedies or status changed; to a subscriber: enough to be told again.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.opportunity-closed.v1", "opportunities",
            "The opportunity has passed.",
            "A plan moved, ended or went; to a subscriber: also when it may no longer see the opportunity.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.first-load-summary.v1", None,
            "How things stand for a subscription to begin with, in counts and the worst findings.",
            "The first load of a source came to rest, or a subscription began.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.subscription-test.v1", None,
            "Alerts of this subscription arrive.",
            "Somebody asked for a test alert.",
            ("webhook",),
        ),
        EventType(
            "nl.samenloop.alert.v1", "alerts",
            "One message to one subscriber is due.",
            "Something happened that the subscription asks for; the webhook carries the event that it tells of.",
        ),
        EventType(
            "nl.samenloop.delivery.v1", "receipts",
            "What one attempt to deliver an alert led to.",
            "A partner's system answered or did not, or the hub decided not to send.",
        ),
        EventType(
            "nl.samenloop.subscription-changed.v1", "subscriptions",
            "A subscription is new, or differs in what it asks for, where it goes or its status.",
            "Somebody added, paused, resumed, rotated or ended it; the partner refused or gave its consent.",
        ),
        EventType(
            "nl.samenloop.partner-changed.v1", "partners",
            "What the hub knows of an organisation that takes part is new or differs.",
            "The operator admitted it, gave or took a key, or recorded a mandate.",
        ),
        EventType(
            "nl.samenloop.restriction-reported.v1", "restriction-reports",
            "A source says how one restriction is now, or that it is gone.",
            "A connector found a restriction new, different or missing.",
        ),
        EventType(
            "nl.samenloop.restriction-changed.v1", "restrictions",
            "A restriction has a new revision.",
            "The hub accepted what its authority reported.",
        ),
        EventType(
            "nl.samenloop.restriction-removed.v1", "restrictions",
            "A restriction is gone.",
            "Its authority removed it, or its source no longer has it.",
            tombstone=True,
        ),
        EventType(
            "nl.samenloop.source-polled.v1", "polls",
            "What one poll of a source read, and what became of it.",
            "A poll ended, well or not.",
        ),
        EventType(
            "nl.samenloop.source-status.v1", "sources",
            "How the feed of one IT system is doing.",
            "The health view saw it change.",
        ),
        EventType(
            "nl.samenloop.dead-letter.v1", "dead-letters",
            "A record was set aside, byte for byte, with the reason.",
            "It could not be read or may not be taken; an alert was refused or given up.",
        ),
        EventType(
            "nl.samenloop.dead-letter-state.v1", "dead-letter-states",
            "What was done about a dead letter.",
            "Somebody offered it again or discarded it.",
        ),
        EventType(
            "nl.samenloop.day.v1", "plan-regions",
            "A new day began, by which findings are judged.",
            "Midnight, by the hub's clock (`hub.clock`).",
        ),
    )
}  # fmt: skip
"""Every type by its text."""
