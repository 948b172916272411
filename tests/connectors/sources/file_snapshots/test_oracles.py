"""Real exports of two cities: added, removed and changed per step equal counts made with other means, exactly."""

import gzip
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.file_snapshots import read_plans
from samenloop.errors import Held, Reject
from samenloop.geometry import repair_many, to_metric_many
from samenloop.model import ChangeKind, ChangeReason, Phase
from samenloop.pairs import PairCounts, count_pairs

# (added, removed, changed in all fields, changed in the compared fields), from 2025-12-08 on
CLUSTERS = """
113/107/259/239 98/119/198/178 129/224/153/134 121/171/172/165 136/51/168/159 122/73/242/226 187/112/207/175
165/146/245/203 211/119/309/245 167/132/328/239 156/156/352/277 201/163/314/274 153/141/330/272 159/153/285/251
146/131/282/223 159/162/289/246 174/163/266/220 108/130/270/202 197/163/305/264 154/118/293/236 103/137/235/168
137/136/258/197 122/96/241/141
"""
KARLSRUHE = """
0/0/1 0/0/31 2/7/2 1/0/1 1/0/1 1/0/1 0/5/2 1/0/0 2/1/1 2/0/4 1/1/2 0/0/2 0/0/1 0/2/2 0/1/1 1/2/5 0/0/2 0/0/1 0/3/1
0/0/2 0/0/2 3/7/0 0/2/0 9/1/0 1/0/2 4/0/1 0/0/3 0/0/1 2/4/3 2/0/3 0/0/1 0/0/2 0/0/183 3/0/0 0/2/4 1/0/2 0/0/1 15/3/4
1/0/4 0/1/3 1/0/0 1/0/2 8/11/2 4/1/9 3/42/4 1/6/2 16/4/2 2/0/3 1/1/3 2/0/4 0/0/3 3/2/2
"""


def table(text: str) -> list[tuple[int, ...]]:
    return [tuple(map(int, cell.split("/"))) for cell in text.split()]


def osiris(shared_data: Path, kind: str) -> Path:
    return shared_data / "be-brussels-osiris-schaerbeek" / kind


def published(played: Any) -> dict[str, int]:
    """Changes after the first snapshot, by kind; a plan that is closed by its absence is `closed`."""
    counts: dict[str, int] = {}
    for (_, _, _), (_, _, found) in pairwise(played.diffs):
        gone = {effect.state.record for effect in found.effects if effect.state.gone}
        for change in found.changes:
            local_id = change.plan.local_id if change.plan else ""
            kind = "closed" if local_id in gone else str(change.change)
            counts[kind] = counts.get(kind, 0) + 1
    return counts


@pytest.fixture(scope="module")
def clusters(shared_data: Path, play_folder: Callable[..., Any]) -> Any:
    return play_folder("brussels-clusters", osiris(shared_data, "clusters"))


@pytest.fixture(scope="module")
def karlsruhe(shared_data: Path, play_folder: Callable[..., Any]) -> Any:
    return play_folder("karlsruhe", shared_data / "de-karlsruhe-baustellen" / "snapshots")


def test_24_weeks_of_clusters_give_the_known_steps(clusters: Any) -> None:
    """The record fingerprint of the compared fields counts what happened at the source."""
    expected = [(added, removed, changed) for added, removed, _, changed in table(CLUSTERS)]

    assert clusters.steps == expected
    assert [sum(column) for column in zip(*clusters.steps, strict=True)] == [3418, 3103, 4934]
    assert not clusters.refused
    assert len(clusters.memory.records) == 4946


def test_the_content_hash_publishes_at_most_what_the_fingerprint_counts(clusters: Any) -> None:
    """A code that changes within one phase is a change at the source and none of the plan; absence is not deletion."""
    counts = published(clusters)

    assert counts == {"CREATED": 3379, "UPDATED": 3639, "CANCELLED": 35, "closed": 2686, "DELETED": 199}


def test_a_flipped_date_format_is_no_change(clusters: Any) -> None:
    """From 2026-03-16 on the same days are written 16-03-2026 instead of 16/03/2026."""
    by_day = {snapshot.day.isoformat(): found for _, snapshot, found in clusters.diffs}

    assert by_day["2026-03-16"].step.changed == 251
    assert by_day["2026-03-16"].counts.unchanged == 1483


def test_absence_after_the_last_known_end_closes_and_does_not_delete(clusters: Any) -> None:
    """2,812 of the 3,103 removals come after the end: those plans are completed, derived from their absence."""
    removed_after_end = 0
    for (_, before, _), (_, after, _) in pairwise(clusters.diffs):
        there = {record.local_id for record in after.records}
        ends = {r.local_id: r.plan.period.end for r in before.records if r.local_id not in there}
        removed_after_end += sum(end is not None and end < after.day for end in ends.values())
    deleted = [c for _, _, d in clusters.diffs for c in d.changes if c.change is ChangeKind.DELETED]

    assert removed_after_end == 2812
    assert all(change.reason is ChangeReason.ABSENT and change.plan is None for change in deleted)


def test_every_snapshot_accounts_for_all_that_was_read(clusters: Any) -> None:
    """read = created + updated + removed + unchanged + rejected."""
    for _, snapshot, found in clusters.diffs:
        assert found.counts.read == len(snapshot.records) + len(snapshot.rejected) + found.counts.removed
        assert found.counts.created == sum(
            change.change in (ChangeKind.CREATED, ChangeKind.SNAPSHOT) for change in found.changes
        )


def test_a_first_load_is_of_kind_snapshot(clusters: Any) -> None:
    """1,574 plans at once are no news."""
    first = clusters.diffs[0][2]

    assert {change.change for change in first.changes} == {ChangeKind.SNAPSHOT}
    assert first.counts.created == 1574


def test_plans_of_brussels_hold_no_person(clusters: Any) -> None:
    """The person responsible is dropped; persons as owner have no name and an identity of their own each."""
    plans = [record.plan for record in clusters.diffs[-1][1].records]
    nameless = [plan.owner.oin for plan in plans if plan.owner.name is None]

    assert not any("Responsable" in plan.source_fields for plan in plans)
    assert not any("'person-" in repr(plan) for plan in plans)
    assert (len(nameless), len(set(nameless))) == (87, 87)


def test_six_weeks_of_worksites_give_the_known_steps(shared_data: Path, play_folder: Callable[..., Any]) -> None:
    """Polygons of the same works: 2,057 ids."""
    played = play_folder("brussels-worksites", osiris(shared_data, "worksites"))

    assert [len(snapshot.records) for _, snapshot, _ in played.diffs] == [1511, 1506, 1488, 1395, 1351, 1434]
    assert played.steps == [(98, 103, 231), (94, 112, 166), (118, 211, 129), (111, 155, 154), (128, 45, 149)]
    assert len(played.memory.records) == 2057
    assert published(played) == {"CREATED": 546, "UPDATED": 583, "CANCELLED": 12, "closed": 523, "DELETED": 19}


def test_plans_meet_as_often_as_published(shared_data: Path, tmp_path: Path) -> None:
    """5,152 pairs of worksites intersect, 5,062 of them in time; 9,727 lie within 50 m. Shapes arrive unchanged."""
    text = (Path(__file__).parents[2] / "profiles" / "brussels-worksites.yaml").read_text(encoding="utf-8")
    period = "  fields: [[DateDebutAutorisee, DateFinAutorisee], [DateDebut, DateFin]]\n  open_ends: [01/01/3000]\n"
    assert period in text
    (tmp_path / "p.yaml").write_text(text.replace(period, "  fields: [DateDebut, DateFin]\n  open_ends: []\n"))
    (file,) = osiris(shared_data, "worksites").glob("2026-01-12*")
    plans = read_plans([file], tmp_path / "p.yaml").plans
    shapes, _ = repair_many(to_metric_many([plan.geometry for plan in plans], "EPSG:31370"))
    starts, ends = [plan.period.start for plan in plans], [plan.period.end for plan in plans]

    assert count_pairs(shapes, starts, ends, metres=0) == PairCounts(5152, 5062)
    assert count_pairs(shapes, starts, ends, metres=50).pairs == 9727


def test_all_fields_compared_give_the_wider_counts(shared_data: Path, play_folder: Callable[..., Any]) -> None:
    """Without a `compare:` list every field and the geometry count; dates in one form all the same."""
    played = play_folder("brussels-worksites", osiris(shared_data, "worksites"), compare=())

    assert [changed for _, _, changed in played.steps] == [251, 186, 148, 161, 158]


def test_eight_weeks_of_events_with_a_script_among_them(shared_data: Path, play_folder: Callable[..., Any]) -> None:
    """The JavaScript file is refused and removes nothing; the step over it is +5 -14. Ids occur up to six times."""
    played = play_folder("brussels-events", osiris(shared_data, "events"))

    assert played.steps == [(3, 27, 0), (0, 5, 0), (5, 4, 1), (5, 14, 0), (4, 6, 0), (1, 7, 0)]
    assert [(name[:10], error.code) for name, error in played.refused.items()] == [
        ("2026-06-01", "envelope.unexpected")
    ]
    assert "JavaScript" in str(next(iter(played.refused.values())))
    assert len(played.diffs[0][1].records) == 592
    assert published(played) == {"CREATED": 18, "UPDATED": 1, "closed": 63}


def test_karlsruhe_from_the_fourth_file_on(karlsruhe: Any) -> None:
    """52 steps: 95 added, 109 removed, 318 changed, 278 ids."""
    assert karlsruhe.steps == table(KARLSRUHE)
    assert [sum(column) for column in zip(*karlsruhe.steps, strict=True)] == [95, 109, 318]
    assert len(karlsruhe.memory.records) == 278
    assert published(karlsruhe) == {"CREATED": 92, "UPDATED": 280, "closed": 97, "DELETED": 12}


def test_the_first_files_of_karlsruhe_are_quarantined(karlsruhe: Any) -> None:
    """A sample, and two files with ids of another scheme: none of them is applied."""
    codes = [(type(error), error.code) for error in karlsruhe.refused.values()]

    assert codes == [(Held, "snapshot.placeholder"), (Held, "records.rejected"), (Held, "records.rejected")]


def test_an_identity_scheme_that_changes_is_held(shared_data: Path, play_folder: Callable[..., Any]) -> None:
    """Without a pattern for ids the second scheme loads; the third one shares no id with it and is held."""
    from connectors.sources.file_snapshots.profile import IdProfile

    folder = shared_data / "de-karlsruhe-baustellen" / "snapshots"
    played = play_folder("karlsruhe", folder, id=IdProfile(field=["id"]))

    assert [name[:17] for name, _, _ in played.diffs] == ["2026-07-20T195740", "2026-07-20T202237"]
    assert {error.code for error in list(played.refused.values())[1:]} == {"snapshot.unrelated"}


def test_the_arrival_of_areas_is_one_batch(karlsruhe: Any) -> None:
    """On 2026-07-28 all 183 works get an area: 183 changes of geometry, and no label point that jumps afterwards."""
    arrival = next(found for name, _, found in karlsruhe.diffs if name.startswith("2026-07-28T194540"))

    assert {change.changed_fields for change in arrival.changes} == {("/geometry",)}
    assert arrival.counts.updated == 183


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>", "envelope.unexpected"),
        (b"", "envelope.empty"),
        (b'{"type": "FeatureCollection", "features": [{"type": "Feature", "prop', "envelope.truncated"),
        (b'var BoundaryChantiers = {"type": "FeatureCollection", "features": []}', "envelope.unexpected"),
    ],
)
def test_what_is_no_export_removes_nothing(
    shared_data: Path, tmp_path: Path, play_folder: Callable[..., Any], body: bytes, code: str
) -> None:
    """A broken file between two good ones is refused, and the next step is as if it had not been there."""
    folder = osiris(shared_data, "events")
    for name in ("2026-05-04_c6ce1871", "2026-05-18_bed1aba4"):
        shutil.copy(folder / f"{name}.geojson.gz", tmp_path)
    (tmp_path / "2026-05-11_broken.geojson.gz").write_bytes(gzip.compress(body))
    played = play_folder("brussels-events", tmp_path)

    assert [(type(error), error.code) for error in played.refused.values()] == [(Reject, code)]
    assert played.steps == [(3, 32, 0)]


def test_a_file_cut_off_by_gzip_removes_nothing(
    shared_data: Path, tmp_path: Path, play_folder: Callable[..., Any]
) -> None:
    """Half a download is refused as a whole."""
    folder = osiris(shared_data, "events")
    whole = (folder / "2026-05-11_62adeeca.geojson.gz").read_bytes()
    shutil.copy(folder / "2026-05-04_c6ce1871.geojson.gz", tmp_path)
    (tmp_path / "2026-05-11_half.geojson.gz").write_bytes(whole[: len(whole) // 2])
    played = play_folder("brussels-events", tmp_path)

    assert [error.code for error in played.refused.values()] == ["envelope.truncated"]
    assert played.steps == []


def test_works_that_are_over_close_as_completed(karlsruhe: Any) -> None:
    """The month's end takes 42 of 199 works away: more than a fifth, allowed by this source's own threshold."""
    step = next(found for name, _, found in karlsruhe.diffs if name.startswith("2026-08-01"))
    closed = [c for c in step.changes if c.plan and c.plan.phase is Phase.COMPLETED]

    assert (step.step.removed, len(closed)) == (42, 42)
