"""The rule configuration: what is judged, with which figures, in which words. All of it is data.

A configuration is immutable once published; findings name it as `<authority>@<version>`.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from string import Formatter
from typing import Annotated, Any, Literal, NamedTuple

import yaml
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    model_validator,
)

from samenloop import yamlfile
from samenloop.model import Certainty, PlanKind, Precision, RestrictionKind, Severity, TrafficImpact
from samenloop.rules.work_kinds import work_kind_code, work_kinds

CLASH_WORKS = "CLASH.WORKS"
SAME_TRENCH = "OPP.SAME_TRENCH"
NEAR = "OPP.NEAR"
RESTRICTION = "CLASH.RESTRICTION"
BEFORE_RESTRICTION = "OPP.BEFORE_RESTRICTION"

Language = Literal["nl", "en"]
_MOST_KINDS = 10_000
"""Combinations of kinds that are remembered."""
PLACEHOLDERS = frozenset(
    {"a", "b", "owner_a", "owner_b", "owner", "plan", "title", "severity", "reason", "n", "metres", "area"}
    | {"place", "distance_m", "overlap_m2", "shared_length_m"}
    | {"plans", "conflicts", "counts", "chances"}
    | {"time", "days", "period", "from", "to", "new_start", "old_start"}
    | {"works", "zone", "inside", "ban", "authority"}
)


class State(StrEnum):
    """Where a configuration stands: only an ACTIVE one may judge for a hub."""

    DRAFT = "DRAFT"
    SHADOW = "SHADOW"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"


def _template(text: str) -> str:
    try:
        names = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise ValueError(f"is not a sentence with {{placeholders}}: {error}") from None
    if unknown := sorted(names - PLACEHOLDERS):
        raise ValueError(f"{{{unknown[0]}}} is not a placeholder; known are {', '.join(sorted(PLACEHOLDERS))}")
    return text


def _kind_code(code: str) -> str:
    if code not in work_kinds():
        raise ValueError(f"is not a kind of work; known are {', '.join(sorted(work_kinds()))}")
    return code


Template = Annotated[str, AfterValidator(_template)]
KindCode = Annotated[str, AfterValidator(_kind_code)]


class RuleWords(yamlfile.Model):
    """The sentences of one rule in one language."""

    sentence: Template = Field(description="the finding in one sentence")
    combine: Template = Field(description="what doing it together means")


class ZoneWords(yamlfile.Model):
    """The sentences of a rule about a plan and a zone, in one language."""

    sentence: Template = Field(description="the finding in one sentence")
    shift_later: Template = Field(description="what moving the works later means")
    shift_earlier: Template = Field(description="what moving the works earlier means")
    no_remedy: Template = Field(description="what is left when the works cannot be moved")
    confirm_end: Template = Field(description="the question after an end that is assumed")
    reasons: dict[str, str] = Field({}, description="why it is over, where the rule has words of its own")


class PairRule(yamlfile.Model):
    """What the rules about two plans share."""

    enabled: bool = Field(description="whether the rule judges at all")
    distance_m: NonNegativeFloat = Field(description="largest distance between the geometries, inclusive")
    plan_kinds: frozenset[PlanKind] = Field(description="kinds of plan the rule is about")
    exempt_work_kinds: frozenset[KindCode] = Field(description="plans with one of these are never judged")
    words: dict[Language, RuleWords] = Field(description="sentences, by language")


class Clash(PairRule):
    """CLASH.WORKS: two plans need nearly the same place on the same days."""

    distance_traffic_m: NonNegativeFloat = Field(description="instead, when either hinders motor traffic")
    min_overlap_days: PositiveInt = Field(description="fewest days in common")
    min_overlap_m2: NonNegativeFloat = Field(description="two polygons that share less only touch")
    include_same_owner: bool = Field(description="also judge two plans of one owner")


class Chance(PairRule):
    """An opportunity rule: two groundworks near each other in place and time."""

    gap_days: NonNegativeInt = Field(description="most free days between; an overlap counts as 0")
    freeze_days: NonNegativeInt = Field(description="fewest days before the start at which it is offered")
    min_area_m2: NonNegativeFloat = Field(description="each side: more than this area, or ...")
    min_length_m: NonNegativeFloat = Field(description="... more than this length, or ...")
    min_duration_days: NonNegativeInt = Field(description="... more than this duration")
    min_score: float = Field(ge=0, le=1, description="lowest score at which it is told")


class ZoneRule(yamlfile.Model):
    """What the rules about a plan and a zone share."""

    enabled: bool = Field(description="whether the rule judges at all")
    restriction_kinds: frozenset[RestrictionKind] = Field(description="kinds of restriction the rule is about")
    words: dict[Language, ZoneWords] = Field(description="sentences, by language")


class Ban(ZoneRule):
    """CLASH.RESTRICTION: ground-disturbing works in a zone where breaking up is forbidden."""

    plan_kinds: frozenset[PlanKind] = Field(description="kinds of plan the rule is about")
    exempt_work_kinds: frozenset[KindCode] = Field(description="plans with one of these are never judged")
    min_overlap_m2: NonNegativeFloat = Field(description="an area that shares less with the zone only touches it")
    min_overlap_m: NonNegativeFloat = Field(description="the same for a line, in metres")
    min_overlap_days: PositiveInt = Field(description="fewest days in common")
    default_years: PositiveInt = Field(description="length of a moratorium without an end")
    notice_days: NonNegativeInt = Field(
        description="a zone that is proposed later than this before it begins is flagged"
    )
    include_same_owner: bool = Field(description="also judge the authority's own works")


class BeforeBan(ZoneRule):
    """OPP.BEFORE_RESTRICTION: works inside a proposed zone that can still be done before it begins."""

    freeze_days: NonNegativeInt = Field(description="fewest days before the start at which it is offered")


class RuleSet(yamlfile.Model):
    """The rules by id. The order of the opportunities is the order in which they are tried."""

    clash: Clash = Field(alias=CLASH_WORKS)
    same_trench: Chance = Field(alias=SAME_TRENCH)
    near: Chance = Field(alias=NEAR)
    restriction: Ban = Field(alias=RESTRICTION)
    before_restriction: BeforeBan = Field(alias=BEFORE_RESTRICTION)


class Slope(yamlfile.Model):
    """A term that falls from 1 to 0."""

    weight: NonNegativeFloat
    zero_at_m: PositiveFloat | None = None
    zero_at_days: PositiveFloat | None = None

    @model_validator(mode="after")
    def _one_zero(self) -> Slope:
        if (self.zero_at_m is None) == (self.zero_at_days is None):
            raise ValueError("needs either zero_at_m or zero_at_days")
        return self

    @property
    def zero_at(self) -> float:
        """Where the term reaches 0, in its own unit."""
        return self.zero_at_m or self.zero_at_days or 1.0


class CertaintyTerm(yamlfile.Model):
    """The term of the weakest certainty."""

    weight: NonNegativeFloat
    values: dict[Certainty, Annotated[float, Field(ge=0, le=1)]]

    @model_validator(mode="after")
    def _complete(self) -> CertaintyTerm:
        if missing := [c for c in Certainty if c not in self.values]:
            raise ValueError(f"needs a value for {missing[0]}")
        return self


class LeadTerm(yamlfile.Model):
    """A term that rises from 0 to 1."""

    weight: NonNegativeFloat
    full_at_days: PositiveFloat


class Score(yamlfile.Model):
    """The four parts of an opportunity's score."""

    distance: Slope
    gap: Slope
    certainty: CertaintyTerm
    lead: LeadTerm


class Materiality(yamlfile.Model):
    """When a subscriber is told again; see rules.md 7."""

    overlap_m2: NonNegativeFloat
    overlap_change_pct: NonNegativeFloat
    overlap_change_m2: NonNegativeFloat
    days_change_pct: NonNegativeFloat
    days_change_days: NonNegativeInt
    shift_days: NonNegativeInt
    area_growth_m2: NonNegativeFloat
    max_live_pairs_per_plan: PositiveInt
    max_new_per_source_per_hour: PositiveInt


class Words(yamlfile.Model):
    """The words that all rules share, in one language."""

    months: tuple[str, ...] = Field(min_length=12, max_length=12)
    decimal_comma: bool
    severities: dict[Severity, str]
    plan: Template
    title: Template
    hidden_plan: str
    hidden_owner: str
    unknown_owner: str
    day: Template
    days: Template
    one_day: Template
    period: Template
    place_area: Template
    place_length: Template
    place_overlap: Template
    place_touch: Template
    place_near: Template
    time_overlap: Template
    time_gap: Template
    time_adjacent: Template
    area: Template
    shift_later: Template
    shift_earlier: Template
    join_later: Template
    join_earlier: Template
    shift_hidden: Template
    narrow: Template
    no_remedy: Template
    confirm_end: Template
    confirm_dates: Template
    confirm_geometry: Template
    zone: Template
    hidden_zone: str
    inside_area: Template
    inside_length: Template
    inside_point: str
    bans: dict[Literal["IN_FORCE", "PROPOSED", "ADVISORY", "UNKNOWN"], str]
    closed: Template
    summary: Template
    reasons: dict[str, str]


class Traits(NamedTuple):
    """What of a plan decides which rules judge it: the ids of those that do, and the codes of its kinds of work."""

    judged_by: frozenset[str]
    work_kinds: frozenset[str]


class Judging(NamedTuple):
    """What a plan's kinds mean to the rules. *breaks_ground* is what a plan counts as that does not say."""

    traits: Traits
    breaks_ground: bool


class Rules(yamlfile.Model):
    """A whole configuration."""

    authority: str = Field(min_length=1, max_length=120, description="whose configuration it is (a URN)")
    version: PositiveInt = Field(description="rises with every change; a published version never changes")
    valid_from: date = Field(description="first day on which it may judge")
    state: State
    rules: RuleSet
    open_end_days: PositiveInt = Field(description="length of works without a known end or duration")
    late_commit_days: NonNegativeInt
    committed: frozenset[Certainty]
    indicative: frozenset[Certainty]
    exact_precisions: frozenset[Precision]
    coarse_precisions: frozenset[Precision]
    hindering_traffic: frozenset[TrafficImpact]
    ground_disturbing_kinds: frozenset[PlanKind]
    score: Score
    materiality: Materiality
    trade_ranks: dict[KindCode, NonNegativeInt]
    words: dict[Language, Words]

    @model_validator(mode="before")
    @classmethod
    def _over_shipped(cls, data: Any, info: ValidationInfo) -> Any:
        return _laid_over((info.context or {}).get("shipped", {}), data)

    @property
    def rule_version(self) -> str:
        """`<authority>@<version>`, as findings cite it."""
        return f"{self.authority}@{self.version}"

    @cached_property
    def chances(self) -> tuple[tuple[str, Chance], ...]:
        """The enabled opportunity rules with their ids, in the order in which they are tried."""
        every = ((SAME_TRENCH, self.rules.same_trench), (NEAR, self.rules.near))
        return tuple((rule_id, rule) for rule_id, rule in every if rule.enabled)

    @cached_property
    def reach_m(self) -> float:
        """The largest distance at which any enabled rule still looks, in metres."""
        clash = self.rules.clash
        limits = [max(clash.distance_m, clash.distance_traffic_m)] if clash.enabled else [0.0]
        return max([*limits, *(rule.distance_m for _, rule in self.chances)])

    @cached_property
    def reach_days(self) -> int:
        """The largest number of free days between two works at which any enabled rule still looks."""
        return max([0, *(rule.gap_days for _, rule in self.chances)])

    @cached_property
    def _judging(self) -> dict[tuple[PlanKind, tuple[str, ...]], Judging]:
        return {}  # not a private attribute of the model: reading one takes a microsecond

    def judging(self, kind: PlanKind, kinds_of_work: tuple[str, ...]) -> Judging:
        """Return what a plan's kinds mean to the rules. *kinds_of_work* are the URIs of the plan."""
        known, key = self._judging, (kind, kinds_of_work)
        found = known.get(key)
        if found is None:
            if len(known) >= _MOST_KINDS:
                known.clear()
            codes = frozenset(map(work_kind_code, kinds_of_work))
            every: list[tuple[str, PairRule | Ban]] = [(CLASH_WORKS, self.rules.clash), *self.chances]
            every.append((RESTRICTION, self.rules.restriction))
            judges = frozenset(
                rule_id
                for rule_id, rule in every
                if rule.enabled and kind in rule.plan_kinds and not codes & rule.exempt_work_kinds
            )
            found = known[key] = Judging(Traits(judges, codes), self._breaks_ground(kind, codes))
        return found

    def _breaks_ground(self, kind: PlanKind, codes: frozenset[str]) -> bool:
        """By the kinds of work where all of them are known, else by the kind of plan."""
        if kind not in self.ground_disturbing_kinds:
            return False
        known = work_kinds()
        return not codes or any(code not in known or known[code].ground_disturbing for code in codes)

    def words_of(self, rule_id: str, language: Language) -> RuleWords:
        """Return the sentences of one rule about two plans."""
        return {CLASH_WORKS: self.rules.clash, SAME_TRENCH: self.rules.same_trench, NEAR: self.rules.near}[
            rule_id
        ].words[language]

    def zone_words_of(self, rule_id: str, language: Language) -> ZoneWords | None:
        """Return the sentences of one rule about a plan and a zone; None when the rule is about two plans."""
        rule = {RESTRICTION: self.rules.restriction, BEFORE_RESTRICTION: self.rules.before_restriction}.get(rule_id)
        return rule.words[language] if rule is not None else None


def load_rules(path: Path | None = None) -> Rules:
    """Return the configuration in *path*, or the shipped one.

    A file names its own authority and version and the keys that differ from the shipped configuration; lists are
    replaced as a whole. Raises BadSettings with ``file:line: key: what is wrong``, unknown keys included.
    """
    if path is None:
        return yamlfile.parse(_shipped_text(), Rules, "default.yaml")
    shipped = yaml.load(_shipped_text(), Loader=yaml.BaseLoader)
    for own in ("authority", "version"):
        del shipped[own]
    return yamlfile.load(path, Rules, context={"shipped": shipped})


@cache
def _shipped_text() -> str:
    return files(__package__).joinpath("default.yaml").read_text(encoding="utf-8")


def _laid_over(under: Any, upper: Any) -> Any:
    if not (isinstance(under, dict) and isinstance(upper, dict)):
        return upper
    return under | {key: _laid_over(under.get(key), value) for key, value in upper.items()}
