"""What a picture of a hub says, and how it is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from rich.console import Console

from samenloop.model import (
    Alert,
    DeliveryReceipt,
    Organisation,
    Outcome,
    Partner,
    PollOutcome,
    SourcePoll,
    SourceStatus,
    Subscription,
    SubscriptionStatus,
    SystemState,
)
from samenloop.stage import Record
from samenloop.status.form import MOST, form
from samenloop.status.partners import Partners
from samenloop.status.picture import (
    Letters,
    PartnerLine,
    Picture,
    Place,
    SourceLine,
    StageLine,
    Worker,
    ago,
    concerns,
)
from samenloop.status.screen import screen

NOW = datetime(2027, 1, 4, 12, tzinfo=UTC)
LANE = UUID(int=1)
PARTNER = "00000099000000001002"


def minutes(count: float) -> datetime:
    return NOW - timedelta(minutes=count)


def poll(outcome: PollOutcome, at: datetime = NOW, code: str | None = None) -> SourcePoll:
    return SourcePoll(
        id=UUID(int=9), source="town", connector="file-snapshots", started_at=at, duration_ms=5, outcome=outcome,
        error_code=code,
    )  # fmt: skip


def status(state: SystemState, observed_at: datetime) -> SourceStatus:
    return SourceStatus(
        system="urn:x", owner=Organisation("00000099000000001001", "Aalburg"), name="Town", connector="file-snapshots",
        protocol="files", freshness_objective_s=3600, observed_at=observed_at, state=state, sources=("town",),
    )  # fmt: skip


def at_work(group: str, *places: Place) -> StageLine:
    return StageLine(group, places, (Worker(f"{group}-0", "127.0.0.1", (0,)),), partitions=1)


def picture(**parts: object) -> Picture:
    given = {"stages": (at_work("detect"),), **parts}
    return Picture(at=NOW, kafka="kafka.example:9092", prefix="samenloop.", **given)  # type: ignore[arg-type]


def codes(**parts: object) -> list[str]:
    return [one.code for one in concerns(picture(**parts))]


def receipt(outcome: Outcome, number: int = 1, at: datetime = NOW, status: int | None = None) -> DeliveryReceipt:
    return DeliveryReceipt(
        id=UUID(int=number), alert_id=UUID(int=7), subscription_id=LANE, subscriber_oin=PARTNER, subject_id="x",
        attempt=number, attempted_at=at, outcome=outcome, http_status=status,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (SourceLine("town", 3600), ["source.never"]),
        (SourceLine("town", 3600, None, poll(PollOutcome.UNCHANGED), minutes(1)), []),
        (SourceLine("town", 3600, status(SystemState.RUNNING, NOW), None, minutes(100)), []),  # late is not stale
        (SourceLine("town", 3600, status(SystemState.RUNNING, NOW), None, minutes(200)), ["source.stale"]),
        (SourceLine("town", 3600, None, poll(PollOutcome.TIMEOUT, code="timeout"), minutes(1)), ["source.failed"]),
        (SourceLine("town", 3600, status(SystemState.PAUSED, NOW), None, minutes(1)), ["source.held"]),
        (SourceLine("town", 3600, status(SystemState.RUNNING, minutes(60)), None, minutes(1)), ["view.silent"]),
        (
            SourceLine("town", 3600, status(SystemState.FAILED, minutes(9)), poll(PollOutcome.OK), minutes(1)),
            [],  # a poll that is newer than what the view said counts
        ),
    ],
)
def test_what_of_a_source_needs_somebody(line: SourceLine, said: list[str]) -> None:
    """A source is judged by its own objective, by the view and by newer polls; the words name what to do."""
    assert codes(sources=(line,)) == said


@pytest.mark.parametrize(
    ("stages", "said"),
    [
        ((StageLine("detect", partitions=1), at_work("notify")), ["stage.nobody"]),
        ((StageLine("detect", partitions=1), StageLine("notify", partitions=1)), ["hub.down"]),
        ((StageLine("consolidate", (), (Worker("c-0", "h", (0, 1)),), partitions=3),), ["stage.unowned"]),
        ((at_work("detect", Place("plan-regions", 0, 3, 9, 6, minutes(4))),), []),
        ((at_work("detect", Place("plan-regions", 0, 3, 9, 6, minutes(6))),), ["stage.behind"]),
        ((at_work("detect", Place("plan-regions", 0, None, 9)),), ["stage.no-position"]),
    ],
)
def test_what_of_a_stage_needs_somebody(stages: tuple[StageLine, ...], said: list[str]) -> None:
    """Nobody at work, partitions without an owner, records that wait for long, a missing position."""
    assert codes(stages=stages) == said


def test_what_of_a_partner_needs_somebody() -> None:
    """A receiver that does not answer is told at once, alerts that wait long by age, a pause by its reason."""
    failing = PartnerLine(PARTNER, "Wetering", {"active": 1}, (), 2, minutes(3), receipt(Outcome.RETRY, status=503))
    old = PartnerLine(PARTNER, "Wetering", {"active": 1}, (), 2, minutes(90), receipt(Outcome.RETRY, status=503))
    paused = PartnerLine(PARTNER, "Wetering", {"paused": 1}, ("failing",))
    asked = PartnerLine(PARTNER, "Wetering", {"paused": 1}, ("by-subscriber",))

    found = [codes(partners=(line,)) for line in (failing, old, paused, asked)]

    assert found == [["partner.failing"], ["partner.backlog"], ["partner.paused"], []]


def test_what_is_not_read_yet_is_not_judged() -> None:
    """While topics are being read nobody is called a source that was never read."""
    assert codes(sources=(SourceLine("town", 3600),), reading=("sources",)) == []


def test_partners_wait_for_what_has_no_end() -> None:
    """An alert waits until a final receipt, in whatever order the topics are met; one offered again waits anew."""
    partners = Partners()
    alert = Alert(
        id=UUID(int=7), subscription_id=LANE, sequence=1, event_id="e", event_type="t", subject_id="x",
        subject_revision=1, accepted_at=NOW, created_at=NOW, due_at=minutes(5),
    )  # fmt: skip
    subscription = Subscription(
        id=LANE, revision=1, subscriber_oin=PARTNER, sink="https://a.example", created_at=NOW, updated_at=NOW,
        status=SubscriptionStatus.ACTIVE,
    )  # fmt: skip
    again = (("ce_attempt", b"2"),)
    steps: list[tuple[str, object, tuple[tuple[str, bytes], ...]]] = [
        ("partners", Partner(oin=PARTNER, name="Wetering", created_at=NOW, updated_at=NOW), ()),
        ("subscriptions", subscription, ()),
        ("alerts", alert, ()),
        ("receipts", receipt(Outcome.RETRY), ()),
        ("receipts", receipt(Outcome.DELIVERED, 2, status=204), ()),
        ("alerts", alert, again),
        ("receipts", receipt(Outcome.GIVEN_UP, 3, NOW + timedelta(minutes=2)), ()),
    ]
    pending = []
    for topic, value, headers in steps:
        at = int((NOW + timedelta(minutes=1)).timestamp() * 1000)
        partners.take(Record(topic, 0, 0, "k", b"", headers, at), value)
        pending.append(sum(line.pending for line in partners.lines(NOW)))
    (line,) = partners.lines(NOW)

    assert pending == [0, 0, 1, 1, 0, 1, 0]
    assert (line.name, line.answer and line.answer.outcome) == ("Wetering", Outcome.GIVEN_UP)


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (2e5, "2 d")]
)
def test_ages_are_short(seconds: float, words: str) -> None:
    """An age is told in its largest unit that is at least two."""
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words


def shown(what: Picture, *, whole: bool, width: int = 120, height: int = 24) -> str:
    console = Console(width=width, height=height, force_terminal=False, color_system=None)
    with console.capture() as captured:
        console.print(screen(what, console, whole=whole))
    return captured.get()


def test_an_empty_hub_is_told_in_words() -> None:
    """Nothing there is said in sentences, with the next step."""
    text = shown(picture(), whole=True)

    assert "Nothing needs attention." in text
    assert "No source is configured" in text
    assert "`samenloop subscriptions add`" in text
    assert "none waits" in text


def test_the_worst_is_on_the_screen() -> None:
    """Where not all fits, what needs somebody is shown and the rest is counted; `--once` shows all."""
    fine = tuple(SourceLine(f"a-{n:03}", 3600, None, poll(PollOutcome.OK), NOW) for n in range(200))
    what = picture(sources=(*fine, SourceLine("zz-broken", 3600)), letters=Letters({"town": 3}, minutes(180)))

    small, whole = shown(what, whole=False), shown(what, whole=True)

    assert "zz-broken" in small
    assert "a-199" not in small
    assert "more: --once shows all" in small
    assert "a-199" in whole
    assert "3 wait (town 3), the oldest for 3 h" in small


def test_a_machine_gets_bounded_lists() -> None:
    """No list is longer than the bound, and what is left off is counted."""
    what = form(picture(sources=tuple(SourceLine(f"s-{n}", 3600) for n in range(MOST + 5)), trouble="Kafka is away."))

    assert len(what["sources"]) == MOST
    assert what["left_off"] == {"concerns": 5, "sources": 5}
    assert what["complete"] is False
