"""The overview of systems in use: true at the moment it is asked, in two languages, safe to show."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from lxml import html

from samenloop.model import Contact, Direction, Organisation, SourceStatus, SystemState
from samenloop.overview_words import WORDS
from samenloop.systems_overview import CONTENT_SECURITY_POLICY, Freshness, freshness_of, page, rows_json, rows_of

NOW = datetime(2027, 1, 4, 12, 30, tzinfo=UTC)
EVIL = "<script>alert('x')</script>\"&"


def status(**other: Any) -> SourceStatus:
    given: dict[str, Any] = {
        "system": "urn:nld:oin:00000099000000001001:systeem:town", "name": "Werkenregister",
        "owner": Organisation("00000099000000001001", "Gemeente Aalburg"), "connector": "file-snapshots",
        "protocol": "HTTPS", "freshness_objective_s": 3600, "observed_at": NOW, "sources": ("town",),
        "standards": ("GeoJSON",), "direction": Direction.READ, "state": SystemState.RUNNING,
        "last_success_at": NOW - timedelta(minutes=3), "plans": 12, "records_24h": {"read": 40, "rejected": 1},
        "polls_24h": {"ok": 4}, "rejected_24h": 1, "licence": "CC0-1.0",
        "contact": Contact("Projectbureau", "projecten@aalburg.example", None, "https://aalburg.example/werken"),
    }  # fmt: skip
    return SourceStatus(**given | other)


@pytest.mark.parametrize(
    ("minutes", "freshness"),
    [
        (None, Freshness.NEVER),
        (60, Freshness.FRESH),
        (61, Freshness.LATE),
        (180, Freshness.LATE),
        (181, Freshness.STALE),
    ],
)
def test_freshness_is_judged_when_asked(minutes: int | None, freshness: Freshness) -> None:
    """By the system's own objective, up to three times it late, then stale."""
    last = None if minutes is None else NOW - timedelta(minutes=minutes)

    assert freshness_of(status(last_success_at=last), NOW) is freshness


def test_words_are_the_same_set_in_both_languages() -> None:
    """A word that one language lacks would break its page only."""
    assert WORDS["nl"].keys() == WORDS["en"].keys()
    for state in SystemState:
        assert f"state_{state.lower()}" in WORDS["nl"]


def test_rows_are_by_owner_and_the_retired_come_last() -> None:
    """Whoever looks for an organisation finds it by name."""
    retired = status(system="a", owner=Organisation("1", "Aaa"), state=SystemState.RETIRED)
    last = status(system="b", owner=Organisation("2", "Waterschap"))

    assert [row.status.system[-1] for row in rows_of([retired, last, status()], NOW)] == ["n", "b", "a"]


def test_json_adds_what_is_judged_to_the_status() -> None:
    """The contract's names, and health in words of the language; strangers get no contact point."""
    (form,) = rows_json(rows_of([status()], NOW, "en"))
    (strangers,) = rows_json(rows_of([status()], NOW, "en"), contacts=False)

    assert form["freshness"] == "fresh"
    assert form["freshness_words"] == "Fresh, read 3 minutes ago"
    assert form["health"] == "Running"
    assert form["rejection_rate_24h"] == 0.025
    assert form["last_success_at"] == "2027-01-04T12:27:00Z"
    assert form["contact"]["unit"] == "Projectbureau"
    assert "contact" not in strangers


@pytest.mark.parametrize(("language", "words"), [("nl", "Storing (auth)"), ("en", "Failing (auth)")])
def test_the_page_says_in_words_how_a_system_is(language: Any, words: str) -> None:
    """Title, language, caption and heads are there for who cannot see; health never by colour alone."""
    shown = page(rows_of([status(state=SystemState.FAILED, error_code="auth")], NOW, language), NOW, language)
    tree = html.document_fromstring(shown)

    assert tree.get("lang") == language
    assert words in tree.text_content()
    assert len(tree.xpath("//caption")) == 1
    assert len(tree.xpath("//th[@scope='col']")) == 9
    assert len(tree.xpath("//th[@scope='row']")) == 1
    assert tree.xpath("//*[@src] | //script | //link") == []


def test_what_comes_from_outside_is_escaped() -> None:
    """A name with markup is shown as it is written; an address that is no web address is not a link."""
    evil = status(
        name=EVIL, owner=Organisation(EVIL, EVIL), product=EVIL, protocol=EVIL, standards=(EVIL,), licence=EVIL,
        error_code=EVIL, contact=Contact(EVIL, EVIL, EVIL, "javascript:alert(1)"), system=EVIL,
    )  # fmt: skip
    shown = page(rows_of([evil], NOW), NOW)

    tree = html.document_fromstring(shown)
    assert tree.xpath("//script") == []
    assert "javascript:" not in shown
    assert tree.text_content().count("<script>") == 12


def test_nothing_yet_is_said() -> None:
    """An empty overview is a sentence, not an empty table."""
    shown = page([], NOW, "en")

    assert WORDS["en"]["none"] in shown
    assert "<table" not in shown


def test_an_old_observation_is_in_doubt() -> None:
    """When the view is down the page says so; what is retired is not observed any more."""
    old = status(observed_at=NOW - timedelta(minutes=16))

    assert WORDS["nl"]["doubtful"] in page(rows_of([old], NOW), NOW)
    assert WORDS["nl"]["doubtful"] not in page(rows_of([replace(old, state=SystemState.RETIRED)], NOW), NOW)


def test_the_policy_allows_the_style_and_nothing_else() -> None:
    """The hash in the header is of the style that is in the page."""
    (style,) = html.document_fromstring(page([], NOW)).xpath("//style/text()")
    digest = b64encode(sha256(style.encode()).digest()).decode()

    assert CONTENT_SECURITY_POLICY.startswith("default-src 'none'")
    assert f"'sha256-{digest}'" in CONTENT_SECURITY_POLICY
