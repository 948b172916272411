"""Names that anyone can compute again."""

from uuid import UUID, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samenloop import identity
from samenloop.errors import Reject
from samenloop.model import ChangeKind

OIN = "00000099123456780000"
SYSTEM = "urn:nld:oin:00000099123456780000:systeem:works-register"
PLAN = f"{SYSTEM}:plan:2027%2F0042%20B"
HASH = bytes.fromhex("d88e83c3fb70d9a7d88cf7bd77c876f3770677f0b84fbce1b23ae8d6839f93bd")


def test_vectors() -> None:
    """The names of the contract's own example."""
    assert str(identity.NAMESPACE) == "8236721a-e443-556c-9d1b-c43c187db40c"
    assert identity.system_urn(OIN, "works-register") == SYSTEM
    assert identity.plan_id(SYSTEM, "2027/0042 B") == PLAN
    assert identity.change_event_id(PLAN, "s:17", ChangeKind.UPDATED, HASH) == "47e318db-d346-554e-bd1b-36aced2903ca"
    assert identity.finding_id("CLASH.WORKS", (PLAN, f"{PLAN}2")) == UUID("3c7865d6-304c-583d-a882-a8b3c2faaabb")


def test_order_of_participants_does_not_matter() -> None:
    """A finding is the same from either side."""
    assert identity.finding_id("R", ("b", "a")) == identity.finding_id("R", ("a", "b"))


@given(st.lists(st.text(), min_size=1, max_size=3))
def test_uuid_of(parts: list[str]) -> None:
    """The short way to a UUIDv5 equals Python's own, as an object and as text."""
    expected = uuid5(identity.NAMESPACE, "\n".join(parts))

    assert identity.uuid_of(*parts) == expected
    assert identity.uuid_text(*parts) == str(expected)


def test_way_back_is_an_event_of_its_own() -> None:
    """A, B, A are three events: the page that brought a change is part of its id."""
    events = [
        identity.change_event_id(PLAN, token, ChangeKind.UPDATED, content)
        for token, content in (("s:1", b"A"), ("s:2", b"B"), ("s:3", b"A"))
    ]

    assert len(set(events)) == 3
    assert identity.change_event_id(PLAN, "s:4", ChangeKind.DELETED, None) not in events


def test_alphanumeric_oin() -> None:
    """An OIN may hold letters; it has 20 of them, and nothing else."""
    assert identity.system_urn("0000000700ABCdef0000", "x") == "urn:nld:oin:0000000700ABCdef0000:systeem:x"
    for wrong in ("123", "0000000700ABCdef00000", "0000000700ABC-ef0000", ""):
        with pytest.raises(Reject, match=r"identity\.oin"):
            identity.system_urn(wrong, "x")


def test_test_range() -> None:
    """Numbers of the test range are refused where the setting says so."""
    assert identity.check_oin(OIN) == OIN
    with pytest.raises(Reject, match=r"identity\.test-oin"):
        identity.check_oin(OIN, allow_test=False)


def test_local_id_is_nfc_and_encoded() -> None:
    """Two spellings of the same letter are one plan; only A-Za-z0-9-._~ stay as they are."""
    assert identity.plan_id(SYSTEM, "Cafe\u0301") == identity.plan_id(SYSTEM, "Caf\u00e9") == f"{SYSTEM}:plan:Caf%C3%A9"
    assert identity.plan_id(SYSTEM, "a-b._~:/%") == f"{SYSTEM}:plan:a-b._~%3A%2F%25"


def test_a_subject_names_its_system() -> None:
    """Whatever the local id holds, the way back leads to the system that a plan or restriction comes from."""
    for make in (identity.plan_id, identity.restriction_id):
        assert identity.system_of(make(SYSTEM, "a:plan:b/c")) == SYSTEM


@pytest.mark.parametrize("local_id", ["", "x" * 200, "é" * 40, "\ud800"])
def test_local_id_refused(local_id: str) -> None:
    """Empty, longer than 255 bytes altogether, or not Unicode."""
    with pytest.raises(Reject, match=r"identity\.local-id"):
        identity.plan_id(SYSTEM, local_id)


def test_organisations_without_oin() -> None:
    """They get a name that cannot be mistaken for an OIN; names that differ only in lost letters stay apart."""
    assert identity.organisation_id("  Vivaqua S.A. ") == "urn:samenloop:org:vivaqua-s-a"
    assert identity.organisation_id("Région wallonne") == "urn:samenloop:org:region-wallonne"
    greek = {identity.organisation_id(name) for name in ("Δήμος 1", "Νομός 1", "1")}
    assert len(greek) == 3
    with pytest.raises(Reject, match=r"identity\.organisation"):
        identity.organisation_id("—")


@pytest.mark.parametrize("system", ["", "urn:nld:oin:1:systeem:x", f"{SYSTEM}:plan:1", f"{SYSTEM} B"])
def test_system_refused(system: str) -> None:
    """Only urn:nld:oin:<OIN>:systeem:<name> names a system."""
    with pytest.raises(Reject, match=r"identity\.system"):
        identity.system_oin(system)
