"""`samenloop check` and `samenloop source check`: files in, words out, no Kafka."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from samenloop.cli.tree import run

Samenloop = Callable[..., tuple[int, str, str]]


def profile(system: str, oin: str, **more: str) -> str:
    keys = {
        "system": system,
        "organisation": f"Organisatie {system}",
        "oin": f'"{oin}"',
        "files": "exports",
        "id": "nr",
        "title": "naam",
        "period": "[van, tot]",
        "visibility": "PARTNERS",
        "certainty": "FIXED",
        **more,
    }
    return "".join(f"{key}: {value}\n" for key, value in keys.items())


def feature(number: str, west: float, *, van: str = "2027-05-03", tot: str = "2027-05-20") -> dict[str, object]:
    ring = [[west, 51.7], [west + 0.001, 51.7], [west + 0.001, 51.701], [west, 51.701], [west, 51.7]]
    properties = {"nr": number, "naam": f"Werk {number}", "van": van, "tot": tot}
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two organisations' exports with their profiles: A1 and B1 overlap in place and time, B2 lies far away."""
    monkeypatch.chdir(tmp_path)
    first = {"type": "FeatureCollection", "features": [feature("A1", 5.1000)]}
    second = {"type": "FeatureCollection", "features": [feature("B1", 5.1005), feature("B2", 5.9)]}
    (tmp_path / "a.geojson").write_text(json.dumps(first))
    (tmp_path / "b.geojson").write_text(json.dumps(second))
    (tmp_path / "a.yaml").write_text(profile("a", "00000099000000001001"))
    (tmp_path / "b.yaml").write_text(profile("b", "00000099000000001002"))
    return tmp_path


@pytest.fixture
def samenloop(folder: Path, capsys: pytest.CaptureFixture[str]) -> Samenloop:
    """Run a command in the folder; returns exit code, stdout, stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(arguments)
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


BOTH = ("check", "a.geojson", "--profile", "a.yaml", "b.geojson", "--profile", "b.yaml", "--today", "2027-01-04")


def test_a_conflict_is_told_in_words(samenloop: Samenloop) -> None:
    """Who, what, when, and what would dissolve it; in English unless Dutch is asked for."""
    code, english, err = samenloop(*BOTH)
    dutch = samenloop(*BOTH, "--lang", "nl")[1]

    assert (code, err) == (0, "")
    assert "“Werk A1” of Organisatie a" in english
    assert "18 days" in english
    assert "18 dagen" in dutch
    assert "Opgelost als" in dutch


def test_machines_get_json_or_geojson(samenloop: Samenloop) -> None:
    """The same findings in the contract's form, and as features in longitude and latitude."""
    found = json.loads(samenloop(*BOTH, "--json")[1])
    features = json.loads(samenloop(*BOTH, "--geojson")[1])

    assert {participant["id"].rpartition(":")[2] for participant in found[0]["participants"]} == {"A1", "B1"}
    assert features["type"] == "FeatureCollection"
    assert features["features"][0]["geometry"]["type"] == "Polygon"


def test_one_profile_may_serve_all_files(samenloop: Samenloop) -> None:
    """Plans of one owner are not in each other's way: no finding is an answer, and it is said in words."""
    code, out, _ = samenloop("check", "a.geojson", "b.geojson", "--profile", "a.yaml", "--today", "2027-01-04")

    assert code == 0
    assert "3" in out


def test_pairs_are_counted(samenloop: Samenloop) -> None:
    """Bare counts, with a profile also in time; without one nobody knows which fields are dates."""
    with_profile = samenloop("check", "a.geojson", "b.geojson", "--profile", "a.yaml", "--pairs", "50")
    bare = samenloop("check", "a.geojson", "b.geojson", "--pairs", "0", "--crs", "EPSG:28992")

    assert json.loads(with_profile[1]) == {"pairs": 1, "pairs_in_time": 1}
    assert json.loads(bare[1]) == {"pairs": 1, "pairs_in_time": None}


def test_elsewhere_is_measured_in_its_utm_zone(samenloop: Samenloop, folder: Path) -> None:
    """Metres of the Dutch grid mean nothing in Karlsruhe; which CRS was taken is said on stderr."""
    text = json.dumps({"type": "FeatureCollection", "features": [feature("C1", 8.4)]}).replace("51.7", "49.0")
    (folder / "c.geojson").write_text(text)

    code, _, err = samenloop("check", "c.geojson", "--profile", "a.yaml")

    assert code == 0
    assert "Measured in EPSG:32632" in err


def test_refused_records_are_told_on_stderr(samenloop: Samenloop, folder: Path) -> None:
    """One bad record never hides the others, and never disappears."""
    document = {"type": "FeatureCollection", "features": [feature("A1", 5.1), feature("A2", 5.2, van="ooit")]}
    (folder / "a.geojson").write_text(json.dumps(document))

    code, _, err = samenloop(*BOTH)

    assert code == 0
    assert "a.geojson: 1 records refused" in err
    assert "date.unparseable" in err
    assert "row 2 (A2)" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "FILES: there is none"),
        (["check", "a.geojson"], "--profile: is missing"),
        (["check", "a.geojson", "--profile", "gone.yaml"], "gone.yaml: cannot be read"),
        (["check", "gone.geojson", "--profile", "a.yaml"], "gone.geojson: cannot be read"),
        (["check", "a.geojson", "--profile", "a.yaml", "--today", "soon"], "--today: found soon"),
        (["check", "a.geojson", "--profile", "a.yaml", "--rules", "b.yaml"], "b.yaml:"),
        (["check", "a.geojson", "--profile", "a.yaml", "--connector", "fax"], "fax: is none of the sources"),
        (["check", "a.geojson", "b.geojson", "--profile", "a.yaml", "--profile", "b.yaml", "--profile", "a.yaml"], "3"),
        (["check", "a.geojson", "--pairs", "50"], "--crs: is missing"),
        (["check", "a.yaml", "--pairs", "50", "--crs", "EPSG:28992"], "a.yaml: is no GeoJSON"),
        (["check", "a.geojson", "--profile", "a.yaml", "--lang", "de"], "de"),
    ],
)
def test_what_cannot_be_understood_is_2(samenloop: Samenloop, arguments: list[str], words: str) -> None:
    """The message names the file or the option, what was found and what is expected; nothing is printed to stdout."""
    code, out, err = samenloop(*arguments)

    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("content", "code_of"),
    [
        ("<!doctype html><html>busy</html>", "envelope.unexpected"),
        ('{"type": "Feat', "envelope."),
        ("", "envelope.empty"),
    ],
)
def test_a_file_that_is_no_export_is_1(samenloop: Samenloop, folder: Path, content: str, code_of: str) -> None:
    """An error page, half a file or nothing is named; the other files are judged all the same."""
    (folder / "a.geojson").write_text(content)

    code, out, err = samenloop(*BOTH)

    assert code == 1
    assert "a.geojson: nothing of it is used" in err
    assert code_of in err
    assert out != ""


def test_source_check_shows_how_records_map(samenloop: Samenloop, folder: Path) -> None:
    """In words and as JSON; 1 when something is refused."""
    good = samenloop("source", "check", "a.yaml", "a.geojson")
    machine = samenloop("source", "check", "a.yaml", "a.geojson", "--json")
    document = {"type": "FeatureCollection", "features": [feature("A1", 5.1), feature("A2", 5.2, van="ooit")]}
    (folder / "a.geojson").write_text(json.dumps(document))
    bad = samenloop("source", "check", "a.yaml", "a.geojson")

    assert (good[0], machine[0], bad[0]) == (0, 0, 1)
    assert "1 plans" in good[1]
    assert json.loads(machine[1])["ok"] is True
    assert "date" in bad[1]
