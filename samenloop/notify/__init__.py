"""Who is told what, and when again: subscriptions, materiality, baselines and the text of alerts. Pure."""

from samenloop.notify.interest import FIRST_LOAD, PLAN_CHANGED, PLAN_REMOVED, PLAN_WITHDRAWN
from samenloop.notify.ledger import Event, Forgotten, Labelled, Outgoing
from samenloop.notify.notifier import Notifier, state_key

__all__ = [
    "FIRST_LOAD",
    "PLAN_CHANGED",
    "PLAN_REMOVED",
    "PLAN_WITHDRAWN",
    "Event",
    "Forgotten",
    "Labelled",
    "Notifier",
    "Outgoing",
    "state_key",
]
