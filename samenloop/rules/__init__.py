"""The rules: their configuration as data, the measures, the judgement, the remedies and the words."""

from samenloop.rules.configuration import (
    BEFORE_RESTRICTION,
    CLASH_WORKS,
    NEAR,
    RESTRICTION,
    SAME_TRENCH,
    Language,
    Rules,
    load_rules,
)
from samenloop.rules.judge import Judged, Ruling, judge, kept_apart, same_owner
from samenloop.rules.measures import Place, measure_place, measure_places
from samenloop.rules.subject import Gone, Subject, day_number, day_of, subject_of, subject_with
from samenloop.rules.words import remedy_sentences, sentence
from samenloop.rules.work_kinds import WorkKind, work_kind_code, work_kind_uri, work_kinds
from samenloop.rules.zones import Zone, absence_in_zone, judge_zone, zone_subject, zone_with

__all__ = [
    "BEFORE_RESTRICTION",
    "CLASH_WORKS",
    "NEAR",
    "RESTRICTION",
    "RULES",
    "SAME_TRENCH",
    "Gone",
    "Judged",
    "Language",
    "Place",
    "Rules",
    "Ruling",
    "Subject",
    "WorkKind",
    "Zone",
    "absence_in_zone",
    "day_number",
    "day_of",
    "judge",
    "judge_zone",
    "kept_apart",
    "load_rules",
    "measure_place",
    "measure_places",
    "remedy_sentences",
    "same_owner",
    "sentence",
    "subject_of",
    "subject_with",
    "work_kind_code",
    "work_kind_uri",
    "work_kinds",
    "zone_subject",
    "zone_with",
]

RULES = (CLASH_WORKS, SAME_TRENCH, NEAR, RESTRICTION, BEFORE_RESTRICTION)
"""Every rule by its id."""
