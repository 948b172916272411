"""Findings as records: made from a ruling, opened, changed and closed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from samenloop.model import (
    Conflict,
    Evidence,
    Finding,
    FindingStatus,
    Opportunity,
    Participant,
    Severity,
    Visibility,
)
from samenloop.rules.judge import Ruling
from samenloop.rules.subject import Gone
from samenloop.value import value

Transition = Literal["opened", "changed", "closed", "removed"]
Topic = Literal["conflicts", "opportunities"]

FIRST_LOAD: Final = "FIRST_LOAD"
"""Status reason of an open finding that a source's first complete page brought."""
STRICTEST_FIRST: Final = (Visibility.RESTRICTED, Visibility.GROUP, Visibility.PARTNERS, Visibility.PUBLIC)
OPEN: Final = frozenset({FindingStatus.OPEN, FindingStatus.ACKNOWLEDGED})


class Side(NamedTuple):
    """One plan or zone of a finding, as far as the record itself tells of it."""

    plan_id: str
    revision: int
    owner_oin: str
    visibility: Visibility
    audience: tuple[str, ...]


@value
class FindingEvent:
    """One transition of one finding; *finding* is None when it is removed for good."""

    topic: Topic
    finding_id: str
    transition: Transition
    finding: Finding | None
    at: datetime
    cause_id: str
    correlation_id: str
    causes: tuple[str, ...]
    """Event ids of all changes that were folded into this one, the last one being *cause_id*."""


class Told:
    """What was last written about a finding, as little as the next transition needs."""

    __slots__ = (
        "closed_at",
        "current",
        "day",
        "detected_at",
        "id",
        "revision",
        "rule_id",
        "seen",
        "severity",
        "text_id",
    )

    def __init__(self, rule_id: str, finding_id: UUID) -> None:
        self.rule_id = rule_id
        self.id = finding_id
        self.text_id = str(finding_id)
        self.revision = 0
        self.severity = Severity.UNKNOWN
        self.detected_at: datetime | None = None
        self.closed_at: datetime | None = None
        self.seen: tuple[int, int] = (0, 0)
        """Revisions of the participants that were judged."""
        self.day = 0
        """Day of the judgement, since 1970-01-01."""
        self.current = True
        """Judged by the rules now in force."""

    @property
    def is_open(self) -> bool:
        """Whether it holds, as far as was told."""
        return self.revision > 0 and self.closed_at is None


def topic_of(rule_id: str) -> Topic:
    """Return the topic of a rule's findings."""
    return "conflicts" if rule_id.startswith("CLASH.") else "opportunities"


def kind_of(rule_id: str) -> str:
    """Return the code URI of a rule's findings: `urn:samenloop:finding-kind:clash-works`."""
    return "urn:samenloop:finding-kind:" + rule_id.lower().replace(".", "-")


def shared_visibility(a: Side, b: Side) -> tuple[Visibility, tuple[str, ...]]:
    """Return the strictest visibility of two plans, and who is in the audience of both.

    An audience counts where it limits: at level GROUP. PUBLIC and PARTNERS let everyone through who passes the other.
    """
    visibility = min(a.visibility, b.visibility, key=STRICTEST_FIRST.index)
    if visibility is not Visibility.GROUP:
        return visibility, ()
    groups = [set(side.audience) for side in (a, b) if side.visibility is Visibility.GROUP]
    return visibility, tuple(sorted(set.intersection(*groups)))


def opened(
    told: Told, ruling: Ruling, sides: tuple[Side, Side], *, at: datetime, cause_id: str, first: bool
) -> Finding:
    """Return the open finding of a ruling and note in *told* that it was written."""
    told.detected_at = told.detected_at or at
    told.closed_at = None
    told.severity = ruling.severity
    fields = _fields(told, sides, at=at, cause_id=cause_id)
    fields |= {
        "status": FindingStatus.OPEN,
        "status_reason": FIRST_LOAD if first else None,
        "evidence": ruling.evidence,
    }
    return Conflict(**fields) if topic_of(told.rule_id) == "conflicts" else Opportunity(score=ruling.score, **fields)


def closed(
    told: Told,
    gone: Gone,
    evidence: Evidence,
    sides: tuple[Side, Side],
    *,
    at: datetime,
    cause_id: str,
    superseded_by: UUID | None,
) -> Finding:
    """Return the closed finding and note in *told* that it was written."""
    told.detected_at = told.detected_at or at
    told.closed_at = at
    fields = _fields(told, sides, at=at, cause_id=cause_id)
    fields |= {"status": gone.status, "status_reason": gone.reason, "evidence": evidence, "closed_at": at}
    fields["superseded_by"] = None if superseded_by is None else str(superseded_by)
    return Conflict(**fields) if topic_of(told.rule_id) == "conflicts" else Opportunity(**fields)


def _fields(told: Told, sides: tuple[Side, Side], *, at: datetime, cause_id: str) -> dict[str, Any]:
    """What every version of a finding carries; its revision rises with each."""
    told.revision += 1
    told.seen = (sides[0].revision, sides[1].revision)
    told.current = True
    visibility, audience = shared_visibility(*sides)
    return {
        "id": told.id,
        "revision": told.revision,
        "kind": kind_of(told.rule_id),
        "participants": tuple(Participant(side.plan_id, side.revision, side.owner_oin) for side in sides),
        "severity": told.severity,
        "visibility": visibility,
        "audience": audience,
        "detected_at": told.detected_at,
        "updated_at": at,
        "cause_id": cause_id,
    }
