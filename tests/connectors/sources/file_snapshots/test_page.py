"""The page docs/sources/file-snapshots.md: every key is there, and what it shows works as it stands."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from connectors.sources.file_snapshots import Profile, check_profile, load_profile
from connectors.sources.file_snapshots.code_tables import CodeTable, Condition
from connectors.sources.file_snapshots.documents import CsvProfile
from connectors.sources.file_snapshots.envelopes import Expectation
from connectors.sources.file_snapshots.locations import GeometryProfile
from connectors.sources.file_snapshots.owners import OwnerProfile, PartyProfile
from connectors.sources.file_snapshots.periods import Pair, PeriodProfile
from connectors.sources.file_snapshots.privacy import Drop
from connectors.sources.file_snapshots.profile import (
    ContactProfile,
    IdProfile,
    ReferenceProfile,
    RestrictionProfile,
    SnapshotTime,
)
from samenloop.rules.work_kinds import work_kinds
from samenloop.source_settings import GuardProfile, HttpProfile

ROOT = Path(__file__).parents[4]
PAGE = (ROOT / "docs" / "sources" / "file-snapshots.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODELS: list[type[BaseModel]] = [
    Profile, RestrictionProfile, IdProfile, PeriodProfile, Pair, CodeTable, Condition, OwnerProfile, PartyProfile,
    GeometryProfile, Drop, ContactProfile, ReferenceProfile, CsvProfile, SnapshotTime, Expectation, GuardProfile,
    HttpProfile,
]  # fmt: skip


def keys() -> Iterator[tuple[str, str]]:
    for model in MODELS:
        for name, field in model.model_fields.items():
            yield model.__name__, field.alias or name


@pytest.mark.parametrize(("model", "key"), sorted(keys()))
def test_every_key_of_a_profile_is_on_the_page(model: str, key: str) -> None:
    """A key that nobody can read about does not exist."""
    assert re.search(rf"`(?:\w+\.)?{key}`", PAGE), f"{key} of {model}"


def test_every_kind_of_work_is_on_the_page() -> None:
    """The list is short on purpose."""
    assert all(f"`{kind}`" in PAGE for kind in work_kinds())


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.mark.parametrize("text", [t for t in (*blocks(PAGE, "yaml"), *blocks(README, "yaml")) if "system:" in t])
def test_every_whole_profile_that_is_shown_is_one(text: str, tmp_path: Path) -> None:
    """Written from the page alone."""
    (tmp_path / "shown.yaml").write_text(text, encoding="utf-8")

    assert load_profile(tmp_path / "shown.yaml").system


def test_the_first_source_works_as_it_stands(tmp_path: Path) -> None:
    """Both works of the example become plans; the early idea keeps its coarse year."""
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "works_2027-01-04.geojson").write_text(blocks(PAGE, "json")[0], encoding="utf-8")
    (tmp_path / "town.yaml").write_text(blocks(PAGE, "yaml")[0], encoding="utf-8")

    report = check_profile(tmp_path / "town.yaml")
    sewer, idea = report.files[0].samples

    assert report.ok, report.text()
    assert (str(sewer.period.start), str(sewer.period.end)) == ("2027-03-22", "2027-05-14")
    assert sewer.work_kinds == ("urn:samenloop:work-kind:sewer",)
    assert (idea.period.precision, str(idea.period.start), str(idea.period.end)) == ("YEAR", "2029-01-01", "2029-12-31")


def test_the_parts_that_are_shown_fit_a_profile(tmp_path: Path) -> None:
    """Period, code tables, owner: each block can be added to the first profile."""
    first = blocks(PAGE, "yaml")[0]
    parts = [t for t in blocks(PAGE, "yaml") if "system:" not in t and "sources:" not in t]
    for part in parts:
        added = set(re.findall(r"^(\w+):", part, re.MULTILINE))
        kept = [b for b in re.split(r"^(?=\w+:)", first, flags=re.MULTILINE) if b.partition(":")[0] not in added]
        path = tmp_path / "town.yaml"
        path.write_text("".join(kept) + part, encoding="utf-8")

        assert load_profile(path).system == "works-register"
    assert len(parts) == 5
