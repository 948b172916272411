"""What an answer means, and who is next: the rules of delivery without a network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from connectors.sinks.webhook.answers import Answer, Verdict, counted, judge, refused
from connectors.sinks.webhook.history import histories
from connectors.sinks.webhook.lanes import FAILURES_BEFORE_ONE_AT_A_TIME, MOST_PER_LANE, PER_LANE, Delivery, Lane
from samenloop.model import Alert, DeliveryReceipt, Outcome
from samenloop.settings import Delivery as Settings
from samenloop.stage import Record

NOW = datetime(2027, 1, 4, 9, 0, tzinfo=UTC)
WAITS = Settings().retry_seconds


def verdict(answer: Answer, *, tries: int = 0, refusals: int = 0) -> Verdict:
    """What follows from an answer with the waits of the contract."""
    return judge(answer, attempts=tries, tries=tries, refusals=refusals, waits=WAITS, now=NOW)


@pytest.mark.parametrize(
    ("answer", "outcome", "problem"),
    [
        (Answer(200), Outcome.DELIVERED, None),
        (Answer(201), Outcome.DELIVERED, None),
        (Answer(204), Outcome.DELIVERED, None),
        (Answer(202), Outcome.ACCEPTED, None),
        (Answer(301), Outcome.RETRY, "http.redirect"),
        (Answer(307), Outcome.RETRY, "http.redirect"),
        (Answer(400), Outcome.RETRY, "http.400"),
        (Answer(401), Outcome.RETRY, "http.401"),
        (Answer(404), Outcome.RETRY, "http.404"),
        (Answer(422), Outcome.RETRY, "http.422"),
        (Answer(409), Outcome.REFUSED, "http.409"),
        (Answer(412), Outcome.REFUSED, "http.412"),
        (Answer(410), Outcome.REFUSED, "http.410"),
        (Answer(500), Outcome.RETRY, "http.500"),
        (Answer(503), Outcome.RETRY, "http.503"),
        (Answer(429), Outcome.RETRY, "http.429"),
        (Answer(429, retry_after="2"), Outcome.RETRY, "rate-limited"),
        (Answer(problem="timeout"), Outcome.RETRY, "timeout"),
        (Answer(problem="tls"), Outcome.RETRY, "tls"),
        (Answer(problem="connect"), Outcome.RETRY, "connect"),
        (Answer(problem="address"), Outcome.RETRY, "address"),
    ],
    ids=str,
)
def test_table_of_answers(answer: Answer, outcome: Outcome, problem: str | None) -> None:
    """The first answer, by the contract's table."""
    found = verdict(answer)

    assert (found.outcome, found.problem) == (outcome, problem)


def test_not_this_is_tried_three_times_more() -> None:
    """Three receipts RETRY, then REFUSED."""
    outcomes = [verdict(Answer(404), tries=n, refusals=n).outcome for n in range(4)]

    assert outcomes == [Outcome.RETRY, Outcome.RETRY, Outcome.RETRY, Outcome.REFUSED]


def test_waits_of_the_contract() -> None:
    """0, 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h (about 76 h); then GIVEN_UP."""
    found = [verdict(Answer(500), tries=n) for n in range(10)]

    assert WAITS[0] == 0
    assert [v.wait_seconds for v in found[:-1]] == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert found[-1].outcome is Outcome.GIVEN_UP
    assert sum(WAITS) / 3600 == pytest.approx(76, abs=1)


@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120),
        (503, "120", 120),
        (503, "Mon, 04 Jan 2027 09:02:00 GMT", 120),
        (429, "Mon, 04 Jan 2027 08:00:00 GMT", 1),
        (429, "0", 1),
        (429, "999999999", 86400),
        (429, "soon", None),
        (500, "120", None),
    ],
)
def test_retry_after(status: int, header: str, seconds: float | None) -> None:
    """A number or an HTTP date, at most a day; it makes the whole subscription wait and costs no try."""
    found = verdict(Answer(status, retry_after=header), tries=9)

    if seconds is None:
        assert found.outcome is Outcome.GIVEN_UP
    else:
        assert (found.outcome, found.patience, found.counts, found.wait_seconds) == (
            Outcome.RETRY,
            True,
            False,
            seconds,
        )


def test_patience_without_end_grows() -> None:
    """A partner that always says "at once" gets a pause that doubles, up to five minutes."""
    answer = Answer(429, retry_after="0")
    found = [judge(answer, attempts=n, tries=0, refusals=0, waits=WAITS, now=NOW).wait_seconds for n in (0, 1, 5, 50)]

    assert found == [1, 2, 32, 300]


def test_what_receipts_say() -> None:
    """A receipt tells whether its attempt counted and whether it was refused, so a restart goes on where it was."""
    alert = UUID(int=1)

    def receipt(attempt: int, outcome: Outcome, status: int | None, problem: str | None) -> DeliveryReceipt:
        return DeliveryReceipt(
            id=uuid4(),
            alert_id=alert,
            subscription_id=UUID(int=2),
            subscriber_oin="x",
            subject_id="s",
            attempt=attempt,
            attempted_at=NOW,
            outcome=outcome,
            http_status=status,
            problem=problem,
            next_attempt_at=NOW + timedelta(seconds=attempt),
        )

    found = histories(
        [
            receipt(1, Outcome.RETRY, None, "connect"),
            receipt(2, Outcome.RETRY, 429, "rate-limited"),
            receipt(3, Outcome.RETRY, 404, "http.404"),
        ]
    )[alert]

    assert (found.attempts, found.tries, found.refusals, found.finals) == (3, 2, 1, 0)
    assert found.next_at == NOW + timedelta(seconds=3)
    assert counted(Outcome.RETRY, "rate-limited") is False
    assert refused(None, "address") is True
    assert histories([receipt(1, Outcome.EXPIRED, None, "replaced")])[alert].finals == 1
    over = histories([receipt(1, Outcome.RETRY, 404, "http.404"), receipt(2, Outcome.REFUSED, 404, "http.404")])[alert]
    assert (over.attempts, over.tries, over.refusals, over.next_at) == (2, 0, 0, None)


def delivery(number: int, subject: str = "s", *, due: datetime = NOW, attempts: int = 0) -> Delivery:
    """An alert on a subject."""
    alert = Alert(
        id=UUID(int=number),
        subscription_id=UUID(int=1),
        sequence=number,
        event_id=f"e{number}",
        event_type="t",
        subject_id=subject,
        subject_revision=number,
        accepted_at=NOW,
        created_at=NOW,
        due_at=due,
    )
    record = Record("alerts", 0, number, "k", b"", (), 0)
    return Delivery(alert=alert, label="public", record=record, due=due, attempts=attempts)


def started(lane: Lane, now: datetime = NOW) -> list[int]:
    """Start all that may start; their numbers."""
    found = []
    while (ready := lane.due(now)) is not None and lane.free(now):
        lane.start(ready, now, None)
        found.append(ready.alert.sequence)
    return found


def test_order_per_subject() -> None:
    """On one subject one after the other, in order; other subjects do not wait."""
    lane = Lane(0)
    first, second, other = delivery(1), delivery(2), delivery(3, "other")
    for one in (first, second, other):
        assert lane.push(one, NOW) is None

    before = started(lane)
    lane.landed(first, well=False)
    lane.remove(first)
    after = started(lane)

    assert (before, after) == ([1, 3], [2])


def test_newer_replaces_what_waits_for_another_try() -> None:
    """A newer alert takes the place of an older one in retry, not of one under way or not yet tried."""
    lane = Lane(0)
    retrying = delivery(1, due=NOW + timedelta(minutes=5), attempts=1)
    lane.push(retrying, NOW)

    replaced = lane.push(delivery(2), NOW)
    begun = started(lane)
    behind = lane.push(delivery(3), NOW)

    assert replaced is retrying
    assert begun == [2]
    assert behind is None
    assert [d.alert.sequence for d in lane] == [2, 3]


def test_newer_replaces_what_a_digest_still_keeps() -> None:
    """An alert that is not due yet is overtaken by the next on its subject: the digest says the last word only."""
    lane = Lane(0)
    later = delivery(1, due=NOW + timedelta(hours=1))
    lane.push(later, NOW)

    assert lane.push(delivery(2, due=NOW + timedelta(hours=1)), NOW) is later
    assert started(lane) == []
    assert started(lane, NOW + timedelta(hours=1)) == [2]


def test_a_failing_partner_gets_one_at_a_time() -> None:
    """After failures in a row one attempt at a time; when it answers, what waited because of that goes at once."""
    lane = Lane(0)
    for number in range(1, 10):
        lane.push(delivery(number, f"s{number}"), NOW)

    assert len(started(lane)) == PER_LANE

    for flying in [d for d in lane if d.in_flight]:
        lane.landed(flying, well=False)
        lane.failures += 1
        flying.attempts, flying.transient = 1, True
        lane.again(flying, NOW + timedelta(hours=5))
    assert lane.failures >= FAILURES_BEFORE_ONE_AT_A_TIME
    probe = started(lane)
    lane.landed(next(d for d in lane if d.in_flight), well=True)
    lane.recovered(NOW)

    assert len(probe) == 1
    assert len(started(lane)) == PER_LANE + 1


def test_who_answers_well_gets_more_at_once() -> None:
    """Each good answer allows one more attempt at once, up to a bound; one that is not good begins anew."""
    lane = Lane(0)
    for number in range(200):
        lane.push(delivery(number, f"s{number}"), NOW)
    most = 0
    for _ in range(60):
        started(lane)
        most = max(most, lane.in_flight)
        flying = next(d for d in lane if d.in_flight)
        lane.landed(flying, well=True)
        lane.remove(flying)
    flying = next(d for d in lane if d.in_flight)
    lane.landed(flying, well=False)

    assert most == MOST_PER_LANE
    assert started(lane) == []
    for flying in [d for d in lane if d.in_flight]:
        lane.landed(flying, well=False)
        lane.remove(flying)
    assert len(started(lane)) == PER_LANE


def test_tempo_and_patience() -> None:
    """A rate spreads the starts over the minute; patience stops all until it is over."""
    lane = Lane(0)
    for number in (1, 2):
        lane.push(delivery(number, f"s{number}"), NOW)
    lane.start(lane.due(NOW) or delivery(9), NOW, 60)

    assert not lane.free(NOW + timedelta(seconds=0.9))
    assert lane.free(NOW + timedelta(seconds=1))
    lane.patience_until = NOW + timedelta(seconds=30)
    assert not lane.free(NOW + timedelta(seconds=29))
    assert lane.free(NOW + timedelta(seconds=30))
