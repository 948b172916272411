"""Filters of a subscription: the six dialects, what is refused, and that they obey the laws of logic."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop.errors import Reject
from samenloop.notify import filters

EVENT = {"type": "nl.samenloop.conflict-opened.v1", "source": "urn:hub", "subject": "3c78"}
TEXTS = st.sampled_from(["nl.samenloop.", "nl.samenloop.conflict-opened.v1", ".v1", "urn:hub", "3c78", "78", "x"])
EVENTS = st.fixed_dictionaries({name: TEXTS for name in filters.ATTRIBUTES})
LEAVES = st.builds(
    lambda dialect, tests: {dialect: tests},
    st.sampled_from(["exact", "prefix", "suffix"]),
    st.dictionaries(st.sampled_from(filters.ATTRIBUTES), TEXTS, min_size=1),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(lambda one: {"not": one}, inner),
        st.builds(
            lambda dialect, several: {dialect: several},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        ),
    ),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("one", "taken"),
    [
        ({"exact": {"type": "nl.samenloop.conflict-opened.v1"}}, True),
        ({"exact": {"type": "NL.samenloop.conflict-opened.v1"}}, False),
        ({"prefix": {"type": "nl.samenloop.conflict-"}}, True),
        ({"prefix": {"type": "conflict"}}, False),
        ({"suffix": {"subject": "78"}}, True),
        ({"suffix": {"subject": "3c7"}}, False),
        ({"exact": {"type": "nl.samenloop.conflict-opened.v1", "subject": "other"}}, False),
        ({"not": {"exact": {"source": "urn:hub"}}}, False),
        ({"any": [{"exact": {"subject": "x"}}, {"exact": {"subject": "3c78"}}]}, True),
        ({"all": [{"exact": {"subject": "x"}}, {"exact": {"subject": "3c78"}}]}, False),
    ],
)
def test_each_dialect(one: Any, taken: bool) -> None:
    """rule: CloudEvents Subscriptions, filter dialects: the whole text, its begin, its end, and how they combine."""
    assert filters.check([one]) == []
    assert filters.takes([one], EVENT) is taken


def test_no_filter_takes_everything() -> None:
    """The empty list is no condition, and is not stored."""
    assert filters.takes([], EVENT)
    assert filters.to_text([]) is None
    assert filters.from_text(None) == []


@given(FILTERS, FILTERS, EVENTS)
def test_the_laws_of_logic(one: Any, other: Any, event: dict[str, str]) -> None:
    """Double negation, De Morgan, and a list that means all of its filters."""
    both = filters.takes([one], event) and filters.takes([other], event)

    assert filters.takes([{"not": {"not": one}}], event) == filters.takes([one], event)
    assert filters.takes([{"not": {"any": [one, other]}}], event) == filters.takes(
        [{"not": one}, {"not": other}], event
    )
    assert filters.takes([{"all": [one, other]}], event) == filters.takes([one, other], event) == both


@given(st.lists(FILTERS, max_size=3), EVENTS)
def test_stored_and_read_they_say_the_same(several: list[Any], event: dict[str, str]) -> None:
    """What is in order is found in order, and means the same after its way over Kafka."""
    if filters.check(several):
        return  # nested deeper than is taken
    again = filters.from_text(filters.to_text(several))

    assert again == several
    assert filters.takes(again, event) == filters.takes(several, event)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*filters.DIALECTS, *filters.ATTRIBUTES, "x"]), inner, max_size=2)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_is_given_is_judged(found: Any) -> None:
    """Nothing makes the check fail, and what it finds in order can be evaluated."""
    if not filters.check(found):
        assert filters.takes(found, EVENT) in (True, False)


@pytest.mark.parametrize(
    ("found", "places"),
    [
        ({}, [""]),
        ([{}], ["/0"]),
        ([{"exact": {}}], ["/0/exact"]),
        ([{"exact": {"id": "x"}}], ["/0/exact"]),
        ([{"exact": {"type": ""}}], ["/0/exact"]),
        ([{"exact": {"type": "x"}, "not": {}}], ["/0"]),
        ([{"sql": "TRUE"}, {"any": [{"not": 1}]}], ["/0", "/1/any/0/not"]),
        ([{"exact": {"type": "x"}}] * 101, [""]),
    ],
)
def test_what_is_refused(found: Any, places: list[str]) -> None:
    """All that is wrong, each with its place."""
    assert [one.field for one in filters.check(found)] == places
    with pytest.raises(Reject):
        filters.from_text(filters.to_text(found) or "x")


def test_too_deep() -> None:
    """Nesting is bounded, however deep it goes."""
    deep: Any = {"exact": {"type": "x"}}
    for _ in range(5000):
        deep = {"not": deep}

    assert [one.code for one in filters.check([deep])] == ["filter.too-many"]
