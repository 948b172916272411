"""The rule configuration as a file: what it may say, and what is said about mistakes in it."""

from pathlib import Path

import pytest

from samenloop.errors import BadSettings
from samenloop.model import PlanKind
from samenloop.rules import (
    CLASH_WORKS,
    NEAR,
    RESTRICTION,
    SAME_TRENCH,
    Rules,
    load_rules,
    work_kind_code,
    work_kind_uri,
    work_kinds,
)
from samenloop.rules.configuration import State

EXAMPLE = """\
authority: urn:nld:oin:00000099000000010000   # test range
version: 3
valid_from: 2027-01-01
state: SHADOW
rules:
  CLASH.WORKS:
    {enabled: true, distance_m: 5, distance_traffic_m: 12, min_overlap_days: 1, min_overlap_m2: 1.0,
     include_same_owner: false}
  OPP.SAME_TRENCH:
    {enabled: true, distance_m: 5, gap_days: 180, freeze_days: 56, min_area_m2: 10, min_length_m: 10,
     min_duration_days: 3}
  CLASH.RESTRICTION: {enabled: true, default_years: 5, exempt_work_kinds: [emergency, house-connection]}
open_end_days: 365
materiality: {overlap_m2: 50, overlap_change_pct: 20, shift_days: 14}
trade_ranks: {sewer: 10, water: 30, electricity: 50, paving: 90}
"""


def loaded(tmp_path: Path, text: str) -> Rules:
    """Load a configuration with this text."""
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    return load_rules(path)


def test_the_shipped_configuration_is_active(rules: Rules) -> None:
    """What is shipped may judge, names its version, and looks as far as its farthest rule."""
    assert rules.state is State.ACTIVE
    assert rules.rule_version == "urn:nld:oin:00000099000000000001@1"
    assert (rules.reach_m, rules.reach_days) == (25, 365)


def test_the_shape_of_the_guide_is_accepted(tmp_path: Path, rules: Rules) -> None:
    """A file says only what differs."""
    found = loaded(tmp_path, EXAMPLE)

    assert found.rule_version == "urn:nld:oin:00000099000000010000@3"
    assert found.rules.clash.distance_traffic_m == 12
    assert found.rules.near == rules.rules.near
    assert found.materiality.area_growth_m2 == rules.materiality.area_growth_m2
    assert found.rules.restriction.min_overlap_m2 == rules.rules.restriction.min_overlap_m2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("version: 2\n", "rules.yaml:1: authority: is missing"),
        ("authority: x\n", "rules.yaml:1: version: is missing"),
        ("authority: x\nversion: 2\nradius: 5\n", "rules.yaml:3: radius: is not a known key"),
        (
            "authority: x\nversion: 2\nrules:\n  CLASH.WORKS:\n    distance: 5\n",
            "rules.yaml:5: rules.CLASH.WORKS.distance: is not a known key",
        ),
        ("authority: x\nversion: 2\nrules:\n  CLASH.WORK: {}\n", "rules.yaml:4: rules.CLASH.WORK: is not a known key"),
        (
            "authority: x\nversion: 2\nrules:\n  OPP.NEAR: {distance_m: far}\n",
            "rules.yaml:4: rules.OPP.NEAR.distance_m",
        ),
        ("authority: x\nversion: 2\nrules:\n  OPP.NEAR: {distance_m: -1}\n", "rules.yaml:4: rules.OPP.NEAR.distance_m"),
        ("authority: x\nversion: 2\nrules:\n  OPP.NEAR: {min_score: 2}\n", "rules.yaml:4: rules.OPP.NEAR.min_score"),
        ("authority: x\nversion: 2\nversion: 3\n", "rules.yaml:3: version: is given twice"),
        ("authority: x\nversion: 2\nstate: LIVE\n", "rules.yaml:3: state"),
        ("authority: x\nversion: 2\ntrade_ranks: {sewr: 1}\n", "is not a kind of work; known are"),
        (
            "authority: x\nversion: 2\nwords: {nl: {closed: 'weg: {plann}'}}\n",
            "{plann} is not a placeholder; known are",
        ),
        ("authority: x\nversion: 2\nrules: [\n", "rules.yaml:4: not valid YAML"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_key(tmp_path: Path, text: str, problem: str) -> None:
    """A malformed rule file is refused with the line, the key and what is expected."""
    with pytest.raises(BadSettings) as refused:
        loaded(tmp_path, text)

    assert problem in str(refused.value)


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    """Whoever writes rules sees every mistake in one go."""
    with pytest.raises(BadSettings) as refused:
        loaded(tmp_path, "version: two\nrules:\n  OPP.NEAR: {gap: 3}\nopen_end_days: 0\n")

    assert len(refused.value.problems) == 4


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that is not there is a problem of the settings, with its name."""
    with pytest.raises(BadSettings, match=r"absent\.yaml: cannot be read"):
        load_rules(tmp_path / "absent.yaml")


def test_kinds_decide_which_rules_judge(rules: Rules) -> None:
    """Programmes, observations and events are never works; emergencies are exempt; the rest is judged by all."""
    every = frozenset({CLASH_WORKS, SAME_TRENCH, NEAR, RESTRICTION})
    emergency = (work_kind_uri("emergency"),)

    judged = {kind: rules.judging(kind, ()).traits.judged_by for kind in PlanKind}

    assert {kind for kind, by in judged.items() if not by} == {
        PlanKind.PROGRAMME,
        PlanKind.OBSERVATION,
        PlanKind.EVENT,
    }
    assert judged[PlanKind.WORKS] == every
    assert rules.judging(PlanKind.WORKS, emergency).traits.judged_by == frozenset()


@pytest.mark.parametrize(
    ("kind", "codes", "breaks"),
    [
        (PlanKind.WORKS, (), True),
        (PlanKind.EXCAVATION, (), True),
        (PlanKind.OCCUPATION, (), False),
        (PlanKind.WORKS, ("sewer",), True),
        (PlanKind.WORKS, ("paving",), False),
        (PlanKind.WORKS, ("paving", "sewer"), True),
        (PlanKind.WORKS, ("paving", "of-another-list"), True),
    ],
)
def test_who_does_not_say_whether_ground_is_broken(
    kind: PlanKind, codes: tuple[str, ...], breaks: bool, rules: Rules
) -> None:
    """Works and excavations count as groundworks unless every kind of work is known to leave the ground alone."""
    assert rules.judging(kind, tuple(map(work_kind_uri, codes))).breaks_ground == breaks


def test_work_kinds_have_names_and_ranks(rules: Rules) -> None:
    """Each code has a Dutch and an English name and survives its URI; every trade with a rank is a known code."""
    for code, kind in work_kinds().items():
        assert kind.nl
        assert kind.en
        assert work_kind_code(work_kind_uri(code)) == code
    assert set(rules.trade_ranks) <= set(work_kinds())
