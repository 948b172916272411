"""Exports of seven other cities and countries, each by a profile of about ten lines."""

from pathlib import Path

import pytest

from connectors.sources.file_snapshots import read_plans
from samenloop import geometry as border
from samenloop.model import EndKind, Plan

PROFILES = Path(__file__).parents[2] / "profiles"
FILES = {
    "act": "act_ttm_live_pull.json",
    "berlin": "berlin_baustellen_live_pull.json",
    "hamburg": "ogc_hamburg_baustellen.json",
    "helsinki": "helsinki_kaivuilmoitus_live_pull.json",
    "lyon": "lyon_roadworks.json",
    "via": "vialietuva_remontas.csv",
    "vienna": "vienna_baustellen_live_pull.json",
}


@pytest.fixture(scope="module")
def plans(shared_data: Path) -> dict[str, list[Plan]]:
    folder = shared_data / "multi-municipal-fixtures"
    found = {}
    for name, file in FILES.items():
        result = read_plans([folder / file], PROFILES / f"{name}.yaml")
        assert result.report.ok, result.report.text()
        found[name] = result.plans
    return found


@pytest.mark.parametrize(
    ("city", "count", "box"),
    [
        ("act", 5, (148.7, -35.9, 149.4, -35.1)),
        ("berlin", 5, (13.0, 52.3, 13.8, 52.7)),
        ("hamburg", 3, (9.7, 53.4, 10.4, 53.8)),
        ("helsinki", 3, (24.8, 60.1, 25.3, 60.3)),
        ("lyon", 6, (4.6, 45.6, 5.0, 45.9)),
        ("via", 5, (20.9, 53.9, 26.9, 56.5)),
        ("vienna", 4, (16.1, 48.1, 16.6, 48.4)),
    ],
)
def test_every_work_lies_in_its_city(
    plans: dict[str, list[Plan]], city: str, count: int, box: tuple[float, float, float, float]
) -> None:
    """Three of them say nothing of their CRS, one writes the northing first, one is a bare list."""
    assert len(plans[city]) == count
    for plan in plans[city]:
        assert plan.geometry is not None
        shape = border.transform(border.read_wkb(plan.geometry.wkb), plan.geometry.crs, "EPSG:4326")
        west, south, east, north = shape.bounds
        assert box[0] < west <= east < box[2] and box[1] < south <= north < box[3]


def periods(plans: list[Plan]) -> list[tuple[str, str]]:
    return [(str(plan.period.start), str(plan.period.end)) for plan in plans]


def test_dates_of_all_these_forms_are_local_days(plans: dict[str, list[Plan]]) -> None:
    """Epoch milliseconds, two forms in one file, a Z behind a day, UTC without saying so, empty texts."""
    assert periods(plans["act"])[0] == ("2025-11-19", "2026-08-31")
    assert periods(plans["berlin"]) == [
        ("2026-07-24", "2026-09-10"),
        ("2026-07-24", "2026-09-10"),
        ("None", "2026-12-31"),
        ("2025-07-24", "2026-08-21"),
        ("None", "2026-08-27"),
    ]
    assert periods(plans["hamburg"])[0] == ("2024-08-05", "2026-07-31")
    assert periods(plans["vienna"])[0] == ("2026-08-10", "2026-08-21")
    assert periods(plans["via"])[0] == ("2023-12-19", "2023-12-21")
    assert plans["via"][4].period.end_kind is EndKind.UNKNOWN


def test_rows_that_share_a_permit_are_one_plan(plans: dict[str, list[Plan]]) -> None:
    """Helsinki: four areas of one permit."""
    assert [plan.local_id for plan in plans["helsinki"]] == ["KP1900206-23", "KP2100964-112", "KP2600373-3"]


def test_persons_of_vienna_stay_behind(plans: dict[str, list[Plan]]) -> None:
    """The contact person and the number are dropped."""
    assert not any(name.startswith("ANSPRECHPERSON") for plan in plans["vienna"] for name in plan.source_fields)


def test_a_file_without_its_crs_says_what_is_missing(shared_data: Path, tmp_path: Path) -> None:
    """Helsinki without `crs`: no location, and the report says that these are metres."""
    profile = (PROFILES / "helsinki.yaml").read_text(encoding="utf-8").replace("crs: EPSG:3879\n", "")
    (tmp_path / "p.yaml").write_text(profile, encoding="utf-8")
    result = read_plans([shared_data / "multi-municipal-fixtures" / FILES["helsinki"]], tmp_path / "p.yaml")

    assert all(plan.geometry is None for plan in result.plans)
    assert "these are metres, say in which `crs`" in result.report.text()
