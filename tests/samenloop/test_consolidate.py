"""Which changes of a plan are taken."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from samenloop.consolidate import Claim, Known, Ruling, accept, check, judge
from samenloop.errors import Reject
from samenloop.model import ChangeKind, Phase

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
OIN = "00000099123456780000"
SYSTEM = f"urn:nld:oin:{OIN}:systeem:works-register"
PLAN = f"{SYSTEM}:plan:1"


def claim(**other: Any) -> Claim:
    given: dict[str, Any] = {
        "key": PLAN, "source": SYSTEM, "event_id": "e1", "subject_id": PLAN, "change": ChangeKind.UPDATED,
        "system": SYSTEM, "oin": OIN, "hops": 0, "recorded_at": NOW, "sequence": 1, "content_hash": b"A",
        "phase": Phase.DESIGN, "plan_id": PLAN, "plan_system": SYSTEM, "owner_oin": OIN,
    }  # fmt: skip
    return Claim(**given | other)


def deletion(**other: Any) -> Claim:
    gone: dict[str, Any] = {"plan_id": None, "plan_system": None, "owner_oin": None, "content_hash": None}
    return claim(**{"change": ChangeKind.DELETED, "phase": Phase.UNKNOWN, "event_id": "d"} | gone | other)


LATER = NOW + timedelta(hours=1)
KNOWN = Known(3, b"A", Phase.DESIGN, "e0", NOW, 1, OIN)
REMOVED = Known(4, None, Phase.UNKNOWN, "e0", NOW, 1, None)


@pytest.mark.parametrize(
    ("known", "said", "ruling"),
    [
        (None, claim(), Ruling.ACCEPTED),
        (None, deletion(), Ruling.DUPLICATE),
        (KNOWN, claim(event_id="e0", content_hash=b"B"), Ruling.DUPLICATE),
        (KNOWN, claim(), Ruling.DUPLICATE),
        (KNOWN, claim(phase=Phase.EXECUTION), Ruling.ACCEPTED),
        (KNOWN, claim(content_hash=b"B"), Ruling.ACCEPTED),
        (KNOWN, claim(content_hash=b"B", recorded_at=NOW - timedelta(microseconds=1)), Ruling.STALE),
        (KNOWN, claim(content_hash=b"B", sequence=1), Ruling.ACCEPTED),
        (KNOWN, deletion(), Ruling.ACCEPTED),
        (REMOVED, deletion(), Ruling.DUPLICATE),
        (REMOVED, claim(owner_oin="other"), Ruling.ACCEPTED),
        (REMOVED, claim(recorded_at=NOW - timedelta(days=1)), Ruling.STALE),
    ],
)
def test_ruling(known: Known | None, said: Claim, ruling: Ruling) -> None:
    """A repeat has the same event, or the same content and phase; stale was recorded earlier; sequence never drops."""
    assert judge(known, said) is ruling


def test_revision_only_rises() -> None:
    """From 1, by one for each accepted change, over deletion and return as well; A, B, A are three revisions."""
    known, revisions = None, []

    for number, said in enumerate((claim(), claim(content_hash=b"B"), claim(), deletion(), claim(content_hash=b"B"))):
        known = accept(known, said._replace(event_id=f"e{number}", recorded_at=NOW + timedelta(hours=number)))
        revisions.append((known.revision, known.content_hash))

    assert revisions == [(1, b"A"), (2, b"B"), (3, b"A"), (4, None), (5, b"B")]


def test_owner_changes_openly() -> None:
    """Another owner is taken only when the change says so."""
    with pytest.raises(Reject, match=r"mandate\.owner"):
        judge(KNOWN, claim(owner_oin="other", content_hash=b"B"))
    said = claim(owner_oin="other", content_hash=b"B", changed_fields=("/owner/oin",))
    assert judge(KNOWN, said) is Ruling.ACCEPTED
    assert judge(KNOWN, claim(owner_oin="other", content_hash=b"B", change=ChangeKind.SNAPSHOT)) is Ruling.ACCEPTED


@pytest.mark.parametrize(
    ("other", "code"),
    [
        ({"key": "x"}, "identity.plan-id"),
        ({"plan_id": f"{SYSTEM}:plan:2"}, "identity.plan-id"),
        ({"source": SYSTEM + "2"}, "mandate.source"),
        ({"oin": "00000099123456780001"}, "mandate.origin"),
        ({"plan_system": SYSTEM + "2"}, "mandate.system"),
        ({"system": SYSTEM + "2", "source": SYSTEM + "2"}, "mandate.system"),
        ({"system": "nonsense", "source": "nonsense"}, "identity.system"),
        ({"hops": 4}, "loop.hops"),
        ({"change": ChangeKind.UNKNOWN}, "record.change"),
        ({"change": ChangeKind.DELETED}, "record.plan"),
        ({"plan_id": None, "plan_system": None, "owner_oin": None}, "record.plan"),
    ],
)
def test_refused(other: dict[str, Any], code: str) -> None:
    """Names that do not belong together, a source that speaks for another, a loop, a change without its plan."""
    with pytest.raises(Reject) as caught:
        check(claim(**other))

    assert caught.value.code == code


def test_test_range() -> None:
    """Organisations of the test range are refused in production; one without OIN is not one of them."""
    real = "00000001123456780000"
    system = f"urn:nld:oin:{real}:systeem:works-register"
    said = claim(
        key=f"{system}:plan:1", subject_id=f"{system}:plan:1", plan_id=f"{system}:plan:1", system=system,
        source=system, plan_system=system, oin=real,
    )  # fmt: skip

    check(claim())
    check(said._replace(owner_oin="urn:samenloop:org:vivaqua"), allow_test_oin=False)
    for refused in (claim(), said):
        with pytest.raises(Reject, match=r"identity\.test-oin"):
            check(refused, allow_test_oin=False)
