"""The page docs/sources/ndw-datex.md: every key is there, and what it shows works as it stands."""

import re
from pathlib import Path

import pytest

from connectors.sources.ndw_datex import Profile, load_profile
from connectors.sources.ndw_datex.codes import IMPACTS, SIGNALS, SORTS
from connectors.sources.ndw_datex.profile import CONFIDENTIALITY
from connectors.sources.ndw_datex.situations import WORKS
from samenloop.errors import BadSettings
from samenloop.rules.work_kinds import work_kinds

PAGE = (Path(__file__).parents[4] / "docs" / "sources" / "ndw-datex.md").read_text(encoding="utf-8")
FIRST = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[0]


@pytest.mark.parametrize("key", sorted(Profile.model_fields))
def test_every_key_of_a_profile_is_on_the_page(key: str) -> None:
    """A key that nobody can read about does not exist."""
    assert re.search(rf"^\| `{key}` \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("element", sorted({*SIGNALS, *SORTS, *IMPACTS, *WORKS}))
def test_every_element_that_counts_is_on_the_page(element: str) -> None:
    """Whoever publishes can see what is used."""
    assert f"`{element}`" in PAGE


def test_the_first_profile_is_one(tmp_path: Path) -> None:
    """Written from the page alone."""
    path = tmp_path / "roads.yaml"
    path.write_text(FIRST, encoding="utf-8")
    profile = load_profile(path)

    assert (profile.mandate, profile.confidentiality) == ("any", CONFIDENTIALITY)


def test_all_mistakes_of_a_profile_are_told_at_once(tmp_path: Path) -> None:
    """With their lines."""
    path = tmp_path / "roads.yaml"
    text = FIRST.replace("mandate: any", "mandate: all").replace("bbox: [3.0", "bbox: [9.0")
    path.write_text(
        text + "zone: Mars\nlanguages: nl\nwork_kinds: {road: pavin}\nvisibility: {noRestriction: ALL}\n",
        encoding="utf-8",
    )
    with pytest.raises(BadSettings) as found:
        load_profile(path)

    problems = "\n".join(found.value.problems)
    assert len(found.value.problems) == 6
    assert all(
        word in problems for word in ("mandate", "bbox", "Mars", "did you mean language?", "did you mean paving?")
    )
    assert all(re.match(r".*roads\.yaml:\d+: ", problem) for problem in found.value.problems)


def test_the_tables_speak_of_kinds_that_exist() -> None:
    """A kind of work that nobody knows would be matched with nothing."""
    assert {kind for table in SORTS.values() for sort in table.values() for kind in sort.kinds} <= set(work_kinds())
