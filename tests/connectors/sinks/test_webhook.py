"""The webhook sink against a real HTTP server on loopback, driven by hand in place of the loop."""

from __future__ import annotations

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest

from connectors.sinks.webhook import OLDEST, Webhook
from connectors.sinks.webhook.sender import Attempt, Sender
from samenloop import identity
from samenloop.contract import Codec, Envelope
from samenloop.dead_letters import replay
from samenloop.model import (
    Alert,
    Clearance,
    DeadReason,
    DeliveryReceipt,
    Outcome,
    Partner,
    PartnerStatus,
    SubscriberRole,
    Subscription,
    SubscriptionStatus,
)
from samenloop.receiver import Answer, Receiver
from samenloop.settings import Delivery as Settings
from samenloop.stage import Output, Partition, Record
from samenloop.webhooks import Destinations, derive_secret, secret_ref
from tests.connectors.sinks.alerts import alert

KEY = bytes(range(32))
OIN = "00000099000000001002"
SOURCE = "urn:nld:oin:00000099000000000001:systeem:samenloop"
CODEC = Codec.offline()


@dataclass
class Topics:
    """Kafka and the loop, played in memory: one partition each."""

    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    committed: int = 0
    partitions: Collection[int] = (0,)
    read_so_far: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @property
    def committed_positions(self) -> Mapping[Partition, int]:
        """As the loop would tell."""
        return {("alerts", 0): self.committed}

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Yield all records of a topic."""
        return iter(list(self.records[topic]))

    def append(self, topic: str, key: str, value: bytes | None, headers: Any = ()) -> Record:
        """Write one record."""
        record = Record(topic, 0, len(self.records[topic]), key, value, tuple(headers), 0)
        self.records[topic].append(record)
        return record

    def put(self, topic: str, key: str, value: Any, *, label: str = "public") -> Record:
        """Write one value with its envelope."""
        event = f"{topic}-{len(self.records[topic])}"
        envelope = Envelope(
            id=event,
            source=SOURCE,
            type="nl.samenloop.test.v1",
            time=datetime.now(UTC),
            subject=key,
            partitionkey=key,
            correlationid=event,
            classification=label,
        )
        return self.append(topic, key, CODEC.encode(topic, value), CODEC.headers(topic, envelope))

    # The sink's view of subscriptions and partners.

    def catch_up(self) -> list[Record]:
        """All there is."""
        return self.poll()

    def poll(self) -> list[Record]:
        """What is new."""
        found = []
        for topic in ("partners", "subscriptions"):
            found += self.records[topic][self.read_so_far[topic] :]
            self.read_so_far[topic] = len(self.records[topic])
        return found


class Scene:
    """A sink with a receiver, turned by hand with a clock of its own."""

    def __init__(self, topics: Topics, settings: Settings) -> None:
        self.topics, self.settings = topics, settings
        self.now = datetime.now(UTC)
        self.read = topics.committed
        self.topics.read_so_far.clear()
        self.sink = Webhook(settings, CODEC, SOURCE, follow=lambda: topics, dice=random.Random(1))
        self.sink.assign(topics)  # type: ignore[arg-type]

    def turn(self, *, seconds: float = 0.0) -> None:
        """One turn of the loop, *seconds* later on the sink's clock."""
        self.now += timedelta(seconds=seconds)
        batch = self.topics.records["alerts"][self.read :]
        self.read += len(batch)
        outputs: list[Output] = [*(self.sink.process(batch, self.now) if batch else ()), *self.sink.idle(self.now)]
        for output in outputs:
            self.topics.append(output.topic, output.key, output.value, output.headers)
        self.topics.committed = min(self.sink.held().get(("alerts", 0), self.read), self.read)

    def until(self, condition: Callable[[], object], *, within: float = 60.0) -> None:
        """Turn until something is so."""
        end = time.monotonic() + within
        while not condition():
            assert time.monotonic() < end, f"not in time; receipts: {self.outcomes()}"
            self.turn()
            time.sleep(0.005)

    def receipts(self) -> list[DeliveryReceipt]:
        """All receipts so far."""
        return [CODEC.decode("receipts", r.value or b"", r.headers) for r in self.topics.records["receipts"]]

    def outcomes(self, number: int | None = None) -> list[Outcome]:
        """Outcomes so far, of one alert or of all."""
        wanted = None if number is None else alert(number).id
        return [r.outcome for r in self.receipts() if wanted is None or r.alert_id == wanted]

    def letters(self) -> list[Any]:
        """Dead letters so far."""
        return [CODEC.decode("dead-letters", r.value or b"", r.headers) for r in self.topics.records["dead-letters"]]

    def subscription(self) -> Subscription:
        """The newest revision of the subscription."""
        record = self.topics.records["subscriptions"][-1]
        found: Subscription = CODEC.decode("subscriptions", record.value or b"", record.headers)
        return found


def subscribe(topics: Topics, url: str, number: int = 1, oin: str = OIN, **changes: Any) -> Subscription:
    """Write a subscription and its partner."""
    now = datetime.now(UTC)
    found = Subscription(
        id=UUID(int=number),
        revision=1,
        subscriber_oin=oin,
        sink=url,
        created_at=now,
        updated_at=now,
        clearance=Clearance.PARTNERS,
        status=SubscriptionStatus.ACTIVE,
    )
    found = replace(found, **changes)
    topics.put("partners", oin, Partner(oin=oin, name=oin, created_at=now, updated_at=now))
    topics.put("subscriptions", str(found.id), found)
    return found


def send(topics: Topics, *alerts: Alert, label: str = "public") -> None:
    """Write alerts."""
    for one in alerts:
        topics.put("alerts", str(one.subscription_id), one, label=label)


Start = Callable[..., Scene]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The partner of subscription 1."""
    with Receiver(secret=derive_secret(KEY, UUID(int=1))) as found:
        yield found


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a sink on topics; all are stopped at the end."""
    scenes: list[Scene] = []
    (tmp_path / "key").write_bytes(KEY)

    def begin(topics: Topics, **changes: Any) -> Scene:
        given = {
            "master_key_file": tmp_path / "key",
            "allow_http": True,
            "allow_destinations": ["127.0.0.0/8"],
            "timeout_seconds": 5,
            **changes,
        }
        scenes.append(Scene(topics, Settings(**given)))
        return scenes[-1]

    yield begin
    for scene in scenes:
        scene.sink.close()


def test_what_a_partner_receives(start: Start, receiver: Receiver) -> None:
    """One CloudEvent, signed, with the alert's number, reason and role; one receipt says so."""
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)

    scene.until(lambda: scene.outcomes() == [Outcome.DELIVERED])

    message = receiver.messages[0]
    assert message.id == str(alert(1).id)
    assert message.event["specversion"] == "1.0"
    assert message.event["id"] == "event-1"
    assert message.event["source"] == SOURCE
    assert message.event["subject"] == "subject-1"
    assert message.event["alertsequence"] == 1
    assert message.event["alertreason"] == "NEW"
    assert message.event["alertrole"] == "OBSERVER"
    assert message.event["alertseverity"] == "BLOCKING"
    assert message.event["data"] == {"finding": {"id": "1"}}
    receipt = scene.receipts()[0]
    assert (receipt.attempt, receipt.http_status, receipt.subscriber_oin) == (1, 204, OIN)
    assert receipt.sent_hash is not None
    assert topics.committed == 1
    assert topics.records["receipts"][0].key == str(UUID(int=1))


def test_thin_alert_has_no_data(start: Start, receiver: Receiver) -> None:
    """Without data only ids travel."""
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1, data=None))
    scene = start(topics)

    scene.until(lambda: receiver.ids)

    assert "data" not in receiver.messages[0].event


def test_secret_rotation(start: Start, receiver: Receiver) -> None:
    """After a rotation both secrets sign, so a partner may change over when it likes."""
    topics = Topics()
    subscribe(topics, receiver.url, secret_ref=secret_ref(1))
    send(topics, alert(1))
    scene = start(topics)

    scene.until(lambda: scene.outcomes() == [Outcome.DELIVERED])

    assert receiver.refused == 0


def test_down_then_up(start: Start, receiver: Receiver) -> None:
    """A partner that is down costs a receipt per attempt; when it answers, what waited goes at once, all of it."""
    receiver.down = True
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, *(alert(n) for n in range(1, 7)))
    scene = start(topics)
    scene.until(lambda: len(scene.outcomes()) >= 6)
    assert set(scene.outcomes()) == {Outcome.RETRY}
    assert topics.committed == 0

    receiver.down = False
    scene.turn(seconds=7)
    scene.until(lambda: len(receiver.ids) == 6 and topics.committed == 6)

    assert receiver.ids == {str(alert(n).id) for n in range(1, 7)}
    assert [scene.outcomes(n).count(Outcome.DELIVERED) for n in range(1, 7)] == [1] * 6
    retry = next(r for r in scene.receipts() if r.outcome is Outcome.RETRY)
    assert retry.problem == "connect"
    assert retry.next_attempt_at is not None
    assert 4 <= (retry.next_attempt_at - retry.attempted_at).total_seconds() <= 6.5


def test_one_down_does_not_block_another(start: Start, receiver: Receiver) -> None:
    """A partner that never answers in time holds up nobody else."""
    topics = Topics()
    with Receiver(secret=derive_secret(KEY, UUID(int=2))) as slow:
        slow.answers.extend([Answer(delay_seconds=3)] * 20)
        subscribe(topics, slow.url, 2, oin="00000099000000001003")
        subscribe(topics, receiver.url, 1)
        send(topics, *(alert(n, subscription=2) for n in range(1, 21)))
        send(topics, *(alert(n) for n in range(1, 21)))
        scene = start(topics, timeout_seconds=1)

        began = time.monotonic()
        scene.until(lambda: len(receiver.ids) == 20)
        took = time.monotonic() - began

    assert took < 15, "one after the other, the slow partner's would take 20 s"
    assert topics.committed == 0, "the slow partner's alerts are still held"


def test_timeout(start: Start, receiver: Receiver) -> None:
    """An answer that takes too long is a timeout, to be tried again."""
    receiver.answers.append(Answer(delay_seconds=1))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics, timeout_seconds=0.2)

    scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

    assert scene.receipts()[0].problem == "timeout"


def test_500_then_ok(start: Start, receiver: Receiver) -> None:
    """A server error is tried again after the wait, under the next attempt number."""
    receiver.answers.append(Answer(500))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)
    scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

    scene.turn(seconds=3)
    assert scene.outcomes() == [Outcome.RETRY]
    scene.turn(seconds=4)
    scene.until(lambda: scene.outcomes() == [Outcome.RETRY, Outcome.DELIVERED])

    first, second = scene.receipts()
    assert (first.attempt, first.http_status, second.attempt, second.http_status) == (1, 500, 2, 204)
    assert (first.id, second.id) == (identity.receipt_id(alert(1).id, 1), identity.receipt_id(alert(1).id, 2))


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_slows_the_whole_subscription(start: Start, receiver: Receiver, status: int) -> None:
    """While the partner asks for patience nothing goes out to it, also what is new."""
    receiver.answers.append(Answer(status, retry_after="60"))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)
    scene.until(lambda: scene.outcomes() == [Outcome.RETRY])
    send(topics, alert(2))

    scene.turn(seconds=59)
    assert len(receiver.messages) == 1
    scene.turn(seconds=14)
    scene.until(lambda: len(receiver.ids) == 2)

    assert scene.receipts()[0].problem == "rate-limited"


def test_410_ends_the_subscription(start: Start, receiver: Receiver) -> None:
    """410: the alert is refused, the subscription ended with reason gone, what is behind it expires unsent."""
    receiver.answers.append(Answer(410))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1, "same"), alert(2, "same"))
    scene = start(topics)
    scene.until(lambda: len(scene.outcomes()) == 2)
    send(topics, alert(3))
    scene.until(lambda: len(scene.outcomes()) == 3)

    assert scene.outcomes() == [Outcome.REFUSED, Outcome.EXPIRED, Outcome.EXPIRED]
    assert len(receiver.messages) == 1
    assert (scene.subscription().status, scene.subscription().status_reason) == (SubscriptionStatus.ENDED, "gone")
    assert scene.subscription().revision == 2
    assert topics.committed == 3


@pytest.mark.parametrize("order", [("ENDED", "PAUSED"), ("PAUSED", "ENDED")])
@pytest.mark.parametrize("restarted", [False, True])
def test_an_end_is_for_good(start: Start, receiver: Receiver, order: tuple[str, str], *, restarted: bool) -> None:
    """Its subscriber ends a subscription while the sink pauses it: whichever comes last, it is ended, and says so."""
    topics = Topics()
    subscribe(topics, receiver.url)
    scene = start(topics)
    scene.turn()
    before = scene.subscription()
    for status in order:
        changed = replace(before, revision=2, status=SubscriptionStatus(status), status_reason=None)
        topics.put("subscriptions", str(before.id), changed)
    for _ in range(2):
        scene = start(topics) if restarted else scene
        scene.turn()

    assert (scene.subscription().status, scene.subscription().revision) == (SubscriptionStatus.ENDED, 3)
    assert len(topics.records["subscriptions"]) == 4


def test_refused_after_three_more_tries(start: Start, receiver: Receiver) -> None:
    """404 is tried three times more, then refused and set aside with its reason; the next alert goes on."""
    receiver.answers.extend([Answer(404)] * 4)
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics, retry_seconds=[0, 1, 1, 1, 1, 1])

    for count in range(1, 5):
        scene.until(lambda count=count: len(scene.outcomes()) == count)
        scene.turn(seconds=2)
    send(topics, alert(2))
    scene.until(lambda: receiver.ids)

    assert scene.outcomes(1) == [Outcome.RETRY] * 3 + [Outcome.REFUSED]
    letter = scene.letters()[0]
    assert (letter.reason, letter.code, letter.stage) == (DeadReason.DELIVERY, "delivery.http.404", "webhook")
    assert letter.value == topics.records["alerts"][0].value


def test_given_up_pauses_and_loses_nothing(start: Start, receiver: Receiver) -> None:
    """At the end of the waits: given up, set aside, subscription paused; what is behind waits until it is resumed."""
    receiver.answers.extend([Answer(500)] * 3)
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics, retry_seconds=[0, 1, 1])
    for count in range(1, 4):
        scene.until(lambda count=count: len(scene.outcomes()) == count)
        scene.turn(seconds=2)
    send(topics, alert(2))
    for _ in range(20):
        scene.turn(seconds=1)
    paused = scene.subscription()
    assert scene.outcomes() == [Outcome.RETRY, Outcome.RETRY, Outcome.GIVEN_UP]

    topics.put("subscriptions", str(paused.id), replace(paused, revision=3, status=SubscriptionStatus.ACTIVE))
    scene.until(lambda: scene.outcomes(2) == [Outcome.DELIVERED])

    assert (paused.status, paused.status_reason) == (SubscriptionStatus.PAUSED, "failing")
    assert [letter.code for letter in scene.letters()] == ["delivery.http.500"]


def test_redirects_are_never_followed(start: Start, receiver: Receiver) -> None:
    """3xx is an outage: tried again at the same address."""
    topics = Topics()
    with Receiver(secret=derive_secret(KEY, UUID(int=1))) as elsewhere:
        receiver.answers.append(Answer(307, headers={"Location": elsewhere.url}))
        subscribe(topics, receiver.url)
        send(topics, alert(1))
        scene = start(topics)
        scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

        assert elsewhere.messages == []
    assert scene.receipts()[0].problem == "http.redirect"


def test_wrong_certificate(start: Start, certificate: str) -> None:
    """A certificate nobody vouches for is a TLS problem, to be tried again; nothing was sent."""
    topics = Topics()
    with Receiver(secret=derive_secret(KEY, UUID(int=1)), certificate=certificate) as receiver:
        subscribe(topics, receiver.url)
        send(topics, alert(1))
        scene = start(topics)

        scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

        assert receiver.messages == []
    assert scene.receipts()[0].problem == "tls"


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://[::ffff:10.0.0.1]/in", "https://0x7f.1/in"])
def test_private_addresses_get_nothing(start: Start, url: str) -> None:
    """An address that is not allowed is refused before a connection is made, and never shown in a receipt."""
    topics = Topics()
    subscribe(topics, url)
    send(topics, alert(1))
    scene = start(topics, allow_destinations=[])

    scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

    assert scene.receipts()[0].problem == "address"
    assert not any(url in str(receipt) for receipt in scene.receipts())


def test_resolver_that_changes_its_answer(receiver: Receiver) -> None:
    """The address is checked where the connection is made: first a public answer, then a private one, gets nothing."""
    url = receiver.url.replace("127.0.0.1", "localhost")
    settings = Settings(allow_http=True)
    sender = Sender(settings, Destinations(settings, resolve=lambda host, port: ["93.184.215.14"]))
    sender.start()
    sender.send(Attempt("a1", url, b"{}", [receiver.secret], datetime.now(UTC)))
    end = time.monotonic() + 10
    answers = sender.answers()
    while not answers and time.monotonic() < end:
        time.sleep(0.01)
        answers = sender.answers()
    sender.stop()

    assert [answer.problem for _, answer in answers] == ["address"]
    assert (receiver.messages, receiver.refused) == ([], 0)


def test_newer_replaces_older_in_retry(start: Start, receiver: Receiver) -> None:
    """On one subject the newer alert replaces the older one in retry: EXPIRED, and only the newer is delivered."""
    receiver.answers.append(Answer(500))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1, "same"))
    scene = start(topics)
    scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

    send(topics, alert(2, "same"))
    scene.until(lambda: len(scene.outcomes()) == 3)

    assert scene.outcomes(1) == [Outcome.RETRY, Outcome.EXPIRED]
    assert scene.outcomes(2) == [Outcome.DELIVERED]
    assert receiver.ids == {str(alert(2).id)}


def test_order_on_one_subject(start: Start, receiver: Receiver) -> None:
    """Alerts on one subject arrive in their order, however slow the first is answered."""
    receiver.answers.append(Answer(delay_seconds=0.3))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, *(alert(n, "same") for n in range(1, 4)))
    scene = start(topics)

    scene.until(lambda: len(receiver.ids) == 3)

    assert [m.event["alertsequence"] for m in receiver.messages] == [1, 2, 3]


def test_tempo(start: Start, receiver: Receiver) -> None:
    """A rate of 60 a minute lets one request a second go."""
    topics = Topics()
    subscribe(topics, receiver.url, rate_per_minute=60)
    send(topics, *(alert(n) for n in range(1, 4)))
    scene = start(topics)
    scene.until(lambda: len(receiver.ids) == 1)
    for _ in range(10):
        scene.turn()
    assert len(receiver.ids) == 1

    scene.turn(seconds=1)
    scene.until(lambda: len(receiver.ids) == 2)

    assert len(receiver.ids) == 2


@pytest.mark.parametrize(
    ("label", "clearance", "role", "status", "expected"),
    [
        ("public", Clearance.PUBLIC, SubscriberRole.OBSERVER, PartnerStatus.ACTIVE, Outcome.DELIVERED),
        ("internal", Clearance.PARTNERS, SubscriberRole.OBSERVER, PartnerStatus.ACTIVE, Outcome.DELIVERED),
        ("internal", Clearance.PUBLIC, SubscriberRole.OBSERVER, PartnerStatus.ACTIVE, Outcome.WITHHELD),
        ("restricted", Clearance.PARTNERS, SubscriberRole.OBSERVER, PartnerStatus.ACTIVE, Outcome.WITHHELD),
        ("restricted", Clearance.PARTNERS, SubscriberRole.OWNER, PartnerStatus.ACTIVE, Outcome.DELIVERED),
        ("public", Clearance.PARTNERS, SubscriberRole.OWNER, PartnerStatus.REVOKED, Outcome.WITHHELD),
    ],
)
def test_visibility_is_checked_again(  # noqa: PLR0917 - the columns of the table
    start: Start,
    receiver: Receiver,
    label: str,
    clearance: Clearance,
    role: SubscriberRole,
    status: PartnerStatus,
    expected: Outcome,
) -> None:
    """What the subscriber may not see at the moment of sending is withheld, whatever it was when the alert was made."""
    topics = Topics()
    subscribe(topics, receiver.url)
    now = datetime.now(UTC)
    partner = Partner(oin=OIN, name=OIN, created_at=now, updated_at=now, clearance=clearance, status=status)
    topics.put("partners", OIN, partner)
    send(topics, alert(1, role=role), label=label)
    scene = start(topics)

    scene.until(scene.outcomes)

    assert scene.outcomes() == [expected]
    assert len(receiver.messages) == (expected is Outcome.DELIVERED)


def test_ended_while_waiting(start: Start, receiver: Receiver) -> None:
    """A subscription that is ended by hand stops what waits, also what is in retry; each has its final receipt."""
    receiver.answers.append(Answer(500))
    topics = Topics()
    found = subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)
    scene.until(lambda: scene.outcomes() == [Outcome.RETRY])

    topics.put("subscriptions", str(found.id), replace(found, revision=2, status=SubscriptionStatus.ENDED))
    scene.until(lambda: len(scene.outcomes()) == 2)

    assert scene.outcomes() == [Outcome.RETRY, Outcome.EXPIRED]
    assert topics.committed == 1


def test_not_due_yet_and_too_old(start: Start, receiver: Receiver) -> None:
    """A digest waits for its hour; an alert that the topic is about to forget expires."""
    topics = Topics()
    subscribe(topics, receiver.url)
    hour = datetime.now(UTC) + timedelta(hours=1)
    send(topics, alert(1, due_at=hour), alert(2, created_at=hour - OLDEST - timedelta(hours=2)))
    scene = start(topics)
    scene.until(lambda: scene.outcomes() == [Outcome.EXPIRED])
    assert receiver.messages == []

    scene.turn(seconds=3700)
    scene.until(lambda: receiver.ids)

    assert receiver.ids == {str(alert(1).id)}


def test_a_new_subscription_needs_no_restart(start: Start, receiver: Receiver) -> None:
    """An alert whose subscription is not known yet waits for it."""
    topics = Topics()
    scene = start(topics)
    send(topics, alert(1))
    scene.turn()
    scene.turn()
    subscribe(topics, receiver.url)

    scene.until(scene.outcomes)

    assert scene.outcomes() == [Outcome.DELIVERED]


def test_offered_again(start: Start, receiver: Receiver) -> None:
    """A refused alert that an operator offers again is sent once more, under its own id; the same offer once only.

    Its attempts go on counting, also in a process that has just started.
    """
    receiver.answers.extend([Answer(404)] * 4)
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics, retry_seconds=[0, 1, 1, 1, 1, 1])
    for count in range(1, 5):
        scene.until(lambda count=count: len(scene.outcomes()) == count)
        scene.turn(seconds=2)
    again = replay(scene.letters()[0])
    for offset in (1, 2):
        topics.append("alerts", again.key, again.value, again.headers)
        scene.until(lambda offset=offset: topics.committed == offset + 1)
    scene.sink.close()
    later = start(topics)
    topics.append("alerts", again.key, again.value, again.headers)
    later.until(lambda: topics.committed == 4)

    assert scene.outcomes(1) == [Outcome.RETRY] * 3 + [Outcome.REFUSED, Outcome.DELIVERED]
    assert [receipt.attempt for receipt in scene.receipts()] == [1, 2, 3, 4, 5]
    assert len({receipt.id for receipt in scene.receipts()}) == 5
    assert receiver.ids == {str(alert(1).id)}


def test_recovery_from_receipts(start: Start, receiver: Receiver) -> None:
    """After a kill: what has a final receipt is not sent again, what was in retry goes on with its next attempt."""
    receiver.answers.extend([Answer(500), Answer(204)])
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1), alert(2), alert(3))
    scene = start(topics)
    scene.until(lambda: len(scene.outcomes()) == 3)
    failed = next(r for r in scene.receipts() if r.outcome is Outcome.RETRY)
    assert topics.committed < 3

    scene.sink.close()
    again = start(topics)
    again.turn()
    before = len(receiver.messages)
    again.turn(seconds=7)
    again.until(lambda: topics.committed == 3)

    last = again.receipts()[-1]
    assert before == 3
    assert (last.alert_id, last.attempt, last.outcome) == (failed.alert_id, 2, Outcome.DELIVERED)
    assert len(receiver.ids) == 3


def test_kill_before_the_receipt(start: Start, receiver: Receiver) -> None:
    """Killed after the partner answered and before the receipt: sent again under the same id, one final receipt."""
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)
    scene.turn()
    end = time.monotonic() + 5
    while not receiver.ids and time.monotonic() < end:
        time.sleep(0.01)

    scene.sink.close()
    again = start(topics)
    again.until(again.outcomes)

    assert [m.id for m in receiver.messages] == [str(alert(1).id)] * 2
    assert again.outcomes() == [Outcome.DELIVERED]


def test_revoked_partitions_are_forgotten(start: Start, receiver: Receiver) -> None:
    """What moves to another process is not reported by this one, also when its answer still comes."""
    receiver.answers.append(Answer(delay_seconds=0.3))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)
    scene.turn()

    scene.sink.revoke([0])
    time.sleep(0.5)
    outputs: Sequence[Output] = scene.sink.idle(scene.now)

    assert list(outputs) == []
    assert scene.sink.held() == {}


def test_poison(start: Start, receiver: Receiver) -> None:
    """An alert that cannot be read is set aside, and does not hold the position."""
    topics = Topics()
    subscribe(topics, receiver.url)
    topics.append("alerts", "x", b"\x00\x00\x00\xff\xffjunk")
    topics.append("subscriptions", "x", b"junk")
    send(topics, alert(1))
    scene = start(topics)

    scene.until(lambda: receiver.ids and topics.committed == 2)

    assert [letter.value for letter in scene.letters()] == [b"\x00\x00\x00\xff\xffjunk"]


def test_nothing_secret_in_logs(start: Start, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the address nor the secret of a partner appears in a log line."""
    receiver.answers.append(Answer(410))
    topics = Topics()
    subscribe(topics, receiver.url)
    send(topics, alert(1))
    scene = start(topics)

    scene.until(lambda: scene.outcomes() == [Outcome.REFUSED])

    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert "subscription.ended" in text
    assert receiver.url not in text
    assert "whsec_" not in text


@pytest.fixture
def certificate(tmp_path: Path) -> str:
    """A certificate for 127.0.0.1 that nobody vouches for, with its key."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.combine(date(2020, 1, 1), datetime.min.time(), UTC))
        .not_valid_after(datetime.combine(date(2120, 1, 1), datetime.min.time(), UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return str(path)


def test_body_is_json_for_any_data() -> None:
    """The data of an alert stands in the body as it is, whatever its characters."""
    from samenloop.contract.alert_events import alert_event

    data = {"title": "Café “X” van €"}

    body = json.loads(alert_event(alert(1, data=json.dumps(data, ensure_ascii=False)), SOURCE))

    assert body["data"] == data
    assert body["time"].endswith("Z")
