"""The life of a subscription is a table; consent decides whether it begins."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from samenloop import webhooks
from samenloop.errors import BadSettings
from samenloop.handshake import AGREED, REFUSED, Consent
from samenloop.model import Subscription, SubscriptionStatus
from samenloop.subscription_life import ALLOWED, Step, agreed, taken

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def subscription(status: SubscriptionStatus, rate: int | None = None) -> Subscription:
    """Return a subscription that stands at *status*."""
    return Subscription(
        id=UUID(int=7), revision=3, subscriber_oin="00000099000000001002", sink="https://sink.example/",
        created_at=NOW, updated_at=NOW, status=status, rate_per_minute=rate, secret_ref="derived:0",
    )  # fmt: skip


@pytest.mark.parametrize("status", SubscriptionStatus)
@pytest.mark.parametrize("step", get_args(Step))
def test_a_step_is_taken_where_the_table_allows_it(step: Step, status: SubscriptionStatus) -> None:
    """Elsewhere it is refused with where the subscription stands; each step is a new revision."""
    before = subscription(status)
    if status not in ALLOWED[step]:
        with pytest.raises(BadSettings) as refused:
            taken(before, step, now=LATER)
        assert step in refused.value.problems[0]
        return

    after = taken(before, step, now=LATER)

    assert (after.revision, after.updated_at) == (4, LATER)
    assert after != replace(before, revision=4, updated_at=LATER)


def test_ended_is_for_good() -> None:
    """No step leads out of ENDED."""
    assert not any(SubscriptionStatus.ENDED in allowed for allowed in ALLOWED.values())


def test_without_consent_nothing_begins() -> None:
    """A sink that does not consent leaves the subscription REQUESTED with the reason, also when it is resumed."""
    no = Consent(False, reason=REFUSED)

    begun = agreed(subscription(SubscriptionStatus.REQUESTED), no)
    resumed = taken(subscription(SubscriptionStatus.PAUSED), "resume", now=LATER, consent=no)

    assert (begun.status, begun.status_reason) == (SubscriptionStatus.REQUESTED, REFUSED)
    assert (resumed.status, resumed.status_reason) == (SubscriptionStatus.REQUESTED, REFUSED)


@pytest.mark.parametrize(
    ("wanted", "allowed", "then"), [(None, None, None), (60, None, 60), (None, 30, 30), (60, 30, 30), (30, 60, 30)]
)
def test_the_lower_rate_holds(wanted: int | None, allowed: int | None, then: int | None) -> None:
    """Of what was asked for and what the sink allows, the lower one."""
    consent = Consent(True, rate_per_minute=allowed)

    assert agreed(subscription(SubscriptionStatus.REQUESTED, wanted), consent).rate_per_minute == then


def test_after_a_rotation_both_secrets_sign() -> None:
    """The new secret signs first, the one before still does; a second rotation drops it."""
    key = bytes(range(32))
    once = taken(subscription(SubscriptionStatus.ACTIVE), "rotate", now=LATER, consent=AGREED)
    twice = taken(once, "rotate", now=LATER)
    first, second, third = (webhooks.derive_secret(key, once.id, number) for number in range(3))

    assert webhooks.secrets_of(key, once.id, once.secret_ref) == [second, first]
    assert webhooks.secrets_of(key, twice.id, twice.secret_ref) == [third, second]
