"""What `source check` tells: enough to correct a profile without reading code."""

import json
from pathlib import Path

import pytest

from connectors.sources.file_snapshots import FileSnapshots, check_profile, read_plans
from samenloop.errors import BadSettings

PROFILE = """
system: works
organisation: Gemeente Voorbeeld
oin: "00000099000000001001"
files: exports
id: nr
title: naam
period: [van, tod]
visibility: PARTNERS
phase:
  field: status
  map: {idee: INITIATIVE}
"""
CSV = """nr;naam;van;tot;status;telefoon;x;y
1;Riool;2027-03-01;2027-04-01;idee;0612345678;5,1;52,1
2;Weg;2027-05-01;2027-06-01;geparkeerd;;5,2;52,2
3;Gas;volgend jaar;;geparkeerd;;5,3;52,3
;Water;2027-01-01;;idee;;5,4;52,4
5;Boom;2027-01-01;2026-01-01;idee;;52,5;5,5
"""


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "works_2027-01-04.csv").write_text(CSV, encoding="utf-8")
    path = tmp_path / "works.yaml"
    path.write_text(PROFILE + "geometry: {x: x, y: y}\nbbox: [5, 52, 6, 53]\n", encoding="utf-8")
    return path


def test_everything_that_does_not_map_is_told(profile: Path) -> None:
    """Refused, missing, unmapped, personal, misplaced, odd: each with its field and count."""
    report = check_profile(profile)
    (file,) = report.files

    assert not report.ok
    assert (file.rows, file.works, file.plans) == (5, 5, 3)
    assert [(r.code, r.field, r.count, r.places) for r in file.refused] == [
        ("date.unparseable", "van", 1, ("row 3 (3)",)),
        ("id.missing", "nr", 1, ("row 4",)),
    ]
    assert [(m.name, m.key, m.suggestion) for m in file.missing] == [("tod", "period", "tot")]
    assert [(u.key, u.field, u.codes) for u in file.unmapped] == [("phase", "status", (("geparkeerd", 1),))]
    assert ("personal.dropped", "telefoon", 1) in [(p.code, p.field, p.count) for p in file.personal]
    assert "geometry.axes-swapped" in [p.code for p in file.places]


def test_in_words_and_as_json_it_says_the_same(profile: Path) -> None:
    """Text for people, JSON for programmes; neither quotes a telephone number."""
    report = check_profile(profile)
    text, data = report.text(), json.dumps(report.to_dict())

    for words in ("did you mean tot?", "'geparkeerd' 1x", "telefoon: dropped", "x and y are swapped", "1: 'Riool'"):
        assert words in text
    assert json.loads(data)["files"][0]["plans"] == 3
    assert "0612345678" not in text + data


def test_what_is_used_and_yet_not_as_meant_is_not_all_well(profile: Path) -> None:
    """A field that no row has and a title that nothing fills leave the plans usable: said where the verdict is."""
    text = profile.read_text(encoding="utf-8").replace("title: naam", "title: [name]").replace("van, tod", "van, tot")
    profile.write_text(text, encoding="utf-8")
    exports = profile.parent / "exports" / "works_2027-01-04.csv"
    exports.write_text("nr;naam;van;tot;status;x;y\n1;Riool;2027-03-01;2027-04-01;idee;5,1;52,1\n", encoding="utf-8")
    report = check_profile(profile)

    assert report.ok, report.text()
    assert "1x no title: the id is taken" in report.text()
    assert report.text().endswith("All of it is used. Look again at: fields that no row has.")
    exports.write_text("nr;naam\n", encoding="utf-8")
    assert check_profile(profile).text().endswith("See above: there is nothing in it.")


def test_a_file_that_is_no_export_is_told_with_its_reason(profile: Path, tmp_path: Path) -> None:
    """Not used, and why."""
    broken = tmp_path / "page.geojson"
    broken.write_text("<html></html>")
    result = read_plans([broken], profile)

    assert (result.plans, result.rejected) == ([], [])
    assert "NOT USED (envelope.unexpected): found an HTML page" in result.report.text()


def test_the_connector_offers_the_check(profile: Path) -> None:
    """The command line finds it by entry point and imports nothing of it."""
    assert FileSnapshots().check(profile).system.endswith(":systeem:works")


def test_without_an_export_it_says_so(tmp_path: Path) -> None:
    """An empty folder, a file that does not exist."""
    (tmp_path / "exports").mkdir()
    path = tmp_path / "works.yaml"
    path.write_text(PROFILE, encoding="utf-8")

    with pytest.raises(BadSettings, match=r"there is no export at 'exports': of a folder \.geojson, .*\.zip count"):
        check_profile(path)
    with pytest.raises(BadSettings, match="cannot be read"):
        check_profile(path, [tmp_path / "gone.csv"])


def test_places_that_are_all_wrong_are_not_well(profile: Path) -> None:
    """A file whose every place has its axes swapped would be matched with nothing: said, with the keys to look at."""
    exports = profile.parent / "exports" / "works_2027-01-04.csv"
    exports.write_text("nr;naam;van;tot;status;x;y\n1;Riool;2027-03-01;2027-04-01;idee;52,1;5,1\n", encoding="utf-8")

    report = check_profile(profile)

    assert not report.ok
    assert "no plan has a place that can be used" in report.text()
