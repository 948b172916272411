"""Findings as sentences: plain, complete, and silent about what a reader may not see."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from samenloop import model
from samenloop.check import check
from samenloop.model import Finding, FindingStatus, Phase, Precision
from samenloop.rules import Language, Rules, remedy_sentences, sentence
from samenloop.rules.words import number

PlanMaker = Callable[..., model.Plan]
A = {"where": "R(121000 487000,121020 487010)", "start": "2027-03-01", "end": "2027-04-30"}
B = {"where": "R(121015 487004,121035 487014)", "start": "2027-04-12", "end": "2027-05-28"}
LANGUAGES: tuple[Language, ...] = ("nl", "en")


@pytest.fixture
def between(make_plan: PlanMaker, rules: Rules) -> Callable[..., tuple[list[Finding], dict[str, model.Plan]]]:
    """Return a maker of the findings between two plans that differ from the base of the worked examples."""

    def make(a: dict[str, Any], b: dict[str, Any]) -> tuple[list[Finding], dict[str, model.Plan]]:
        plans = [make_plan("A", **(A | a)), make_plan("B", **(B | b))]
        return check(plans, rules, date(2027, 1, 4)), {plan.id: plan for plan in plans}

    return make


Between = Callable[..., tuple[list[Finding], dict[str, model.Plan]]]
GAP = {"start": "2027-06-01", "end": "2027-06-30"}


@pytest.mark.parametrize(
    ("a", "b", "dutch", "english"),
    [
        ({}, {}, "overlappen elkaar op 30 m²", "overlap by 30 m²"),
        ({}, {"where": "R(121020 487000,121040 487010)"}, "grenzen aan elkaar", "touch each other"),
        ({}, {"where": "R(121022.5 487000,121040 487010)"}, "liggen 2,5 m uit elkaar", "lie 2.5 m apart"),
        ({}, {"where": "POINT(121010 487005)"}, "liggen op dezelfde plek", "lie in the same place"),
        ({}, {"where": "LINESTRING(121010 487005,121010 487050)"}, "vallen over 5 m samen", "coincide over 5 m"),
        ({}, {"start": "2027-04-30"}, "1 dag tegelijk bezig: op 30 april 2027", "for 1 day: on 30 April 2027"),
        ({}, GAP, "er zitten 31 dagen tussen", "have 31 days between them"),
        ({}, GAP | {"start": "2027-05-01"}, "sluiten in de tijd op elkaar aan", "follow each other directly"),
    ],
)
def test_a_sentence_says_where_and_when(
    a: dict[str, Any], b: dict[str, Any], dutch: str, english: str, *, between: Between, rules: Rules
) -> None:
    """Area, length, touch or distance; days and dates in words; in both languages."""
    found, plans = between(a, b)

    assert dutch in sentence(found[0], plans, "nl", rules)
    assert english in sentence(found[0], plans, "en", rules)


@pytest.mark.parametrize(
    ("a", "b", "dutch"),
    [
        ({}, {"end": None} | {"start": "2027-04-12"}, "Vraag Owner B wanneer “Works B” klaar is"),
        ({}, {"precision": Precision.YEAR}, "Vraag Owner B naar preciezere datums van “Works B”"),
        ({}, {"where": "R(121022.5 487000,121040 487010)"}, "Owner B met “Works B” meer dan 2,5 m verder weg blijft"),
        ({}, GAP, "Owner B kan “Works B” 31 dagen eerder laten beginnen, 1 mei 2027 in plaats van 1 juni 2027"),
        ({"phase": Phase.EXECUTION}, {"phase": Phase.EXECUTION}, "Verschuiven kan niet meer: laat Owner A en Owner B"),
    ],
)
def test_a_remedy_says_who_would_do_what(
    a: dict[str, Any], b: dict[str, Any], dutch: str, *, between: Between, rules: Rules
) -> None:
    """Each remedy names the owner, the plan and by how much; where nothing can be done, it says that."""
    found, plans = between(a, b)

    said = remedy_sentences(found[0], plans, "nl", rules)

    assert any(dutch in text for text in said), said


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_may_not_be_seen_is_not_said(language: Language, between: Between, rules: Rules) -> None:
    """Without a plan its title, owner and dates are in no sentence."""
    found, plans = between({}, {})
    hidden = {key: plan for key, plan in plans.items() if plan.title == "Works A"}

    texts = [sentence(finding, hidden, language, rules) for finding in found]
    texts += [text for finding in found for text in remedy_sentences(finding, hidden, language, rules)]

    assert not any("Works B" in text or "Owner B" in text for text in texts)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_reason_to_close_has_words(language: Language, between: Between, rules: Rules) -> None:
    """A closed finding says why it is over, whatever the reason."""
    found, plans = between({}, {})
    now = datetime(2027, 1, 5, tzinfo=UTC)

    for reason, words in rules.words[language].reasons.items():
        over = replace(found[0], status=FindingStatus.RESOLVED, status_reason=reason, closed_at=now)

        assert words in sentence(over, plans, language, rules)


def test_an_unknown_owner_is_called_that(make_plan: PlanMaker, rules: Rules) -> None:
    """An identity that was made up is never shown."""
    nobody = model.Organisation("urn:samenloop:org:unknown-0123456789abcdef")
    plans = [make_plan("A", **A), replace(make_plan("B", **B), owner=nobody)]

    text = sentence(check(plans, rules, date(2027, 1, 4))[0], {plan.id: plan for plan in plans}, "nl", rules)

    assert "“Works B” van een onbekende eigenaar" in text


@pytest.mark.parametrize(
    ("value", "dutch", "english"),
    [(0.5, "0,5", "0.5"), (5.0, "5", "5"), (83.25, "83,2", "83.2"), (104366.4, "104.366", "104,366"), (0.0, "0", "0")],
)
def test_figures_are_written_as_people_do(value: float, dutch: str, english: str, rules: Rules) -> None:
    """Comma and point as the language has them, no more decimals than it takes."""
    assert number(value, rules.words["nl"]) == dutch
    assert number(value, rules.words["en"]) == english
