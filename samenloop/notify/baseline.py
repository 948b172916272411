"""What a subscriber was last told of a finding or a plan: the figures that the next state is compared with.

They travel as JSON text in `AlertState.told`, small and without anything the subscriber may not see.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field
from datetime import date
from types import MappingProxyType
from typing import Any

import orjson

from samenloop.model import (
    Certainty,
    Finding,
    Opportunity,
    Organisation,
    Period,
    Plan,
    RestrictionStatus,
    Subject,
    Visibility,
)
from samenloop.value import value

Bounds = tuple[float, float, float, float]


@value(kw_only=True)
class PlanFigures:
    """What was told of one plan. *area_m2* and *bounds* (metres, rounded) are None where it has no place."""

    title: str
    owner: Organisation
    visibility: Visibility = Visibility.RESTRICTED
    start: date | None = None
    end: date | None = None
    committed: bool = False
    area_m2: float | None = None
    bounds: Bounds | None = None
    parties: tuple[str, ...] = ()

    def as_plan(self, plan_id: str) -> Plan:
        """Return a plan with just these facts, to name one that is gone by now."""
        period = Period(start=self.start, end=self.end)
        return Plan(
            id=plan_id,
            system="",
            local_id="",
            owner=self.owner,
            title=self.title,
            period=period,
            visibility=self.visibility,
        )


@value(kw_only=True)
class Told:
    """What was told of a subject. *revision* guards against older records that are read again.

    *passed*: it was above the subscription's own thresholds at the time. The figures are those of the evidence;
    a plan as a subject has only *plans*, with itself. *masked*: of a finding only its status and severity were told.
    """

    revision: int
    passed: bool = True
    severity: str = ""
    rule_id: str = ""
    overlap_m2: float | None = None
    overlap_days: int | None = None
    gap_days: int | None = None
    score: float | None = None
    masked: bool = False
    plans: Mapping[str, PlanFigures] = field(default_factory=lambda: MappingProxyType({}))


def plan_figures(
    plan: Subject, area_m2: float | None, bounds: Bounds | None, committed: Collection[Certainty]
) -> PlanFigures:
    """Return the figures of one plan; *area_m2* and *bounds* are of its geometry in metres.

    A restriction is committed when it is in force.
    """
    if isinstance(plan, Plan):
        sure, parties = plan.certainty in committed, plan.parties
    else:
        sure, parties = plan.status is RestrictionStatus.IN_FORCE, ()
    return PlanFigures(
        title=plan.title,
        owner=plan.owner,
        visibility=plan.visibility,
        start=plan.period.start,
        end=plan.period.end,
        committed=sure,
        area_m2=None if area_m2 is None else round(area_m2, 1),
        bounds=bounds,
        parties=tuple(sorted({party.oin or party.name or "" for party in parties} - {""})),
    )


def finding_figures(finding: Finding, plans: Mapping[str, PlanFigures], *, passed: bool) -> Told:
    """Return the figures of a finding and its plans; an opportunity's overlap counts as a gap of 0 days."""
    evidence = finding.evidence
    chance = isinstance(finding, Opportunity)
    return Told(
        revision=finding.revision,
        passed=passed,
        severity=finding.severity.value,
        rule_id=evidence.rule_id,
        overlap_m2=evidence.overlap_m2,
        overlap_days=None if chance else evidence.overlap_days,
        gap_days=(evidence.gap_days or 0) if chance else evidence.gap_days,
        score=round(finding.score, 3) if isinstance(finding, Opportunity) else None,
        plans=plans,
    )


def masked_figures(finding: Finding, *, passed: bool) -> Told:
    """Return the figures of a finding that is told without its evidence; a score of 0 says: an opportunity."""
    return Told(
        revision=finding.revision,
        passed=passed,
        severity=finding.severity.value,
        rule_id=finding.evidence.rule_id,
        score=0.0 if isinstance(finding, Opportunity) else None,
        masked=True,
    )


def to_text(told: Told) -> str:
    """Return *told* as JSON text."""
    return orjson.dumps(told, default=dict).decode()


def from_text(text: str | None) -> Told:
    """Read what `to_text` wrote; None gives an empty baseline of revision 0."""
    if text is None:
        return Told(revision=0)
    raw: dict[str, Any] = orjson.loads(text)
    return Told(**{**raw, "plans": {plan_id: _figures(figures) for plan_id, figures in raw.get("plans", {}).items()}})


def _figures(raw: dict[str, Any]) -> PlanFigures:
    return PlanFigures(
        **{
            **raw,
            "owner": Organisation(**raw["owner"]),
            "visibility": Visibility(raw["visibility"]),
            "start": _day(raw["start"]),
            "end": _day(raw["end"]),
            "parties": tuple(raw["parties"]),
            "bounds": None if raw["bounds"] is None else tuple(raw["bounds"]),
        }
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
