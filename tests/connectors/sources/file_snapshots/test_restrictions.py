"""Restrictions by file profile: what a row becomes, what is refused, and what exports lead to over time."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.file_snapshots import check_profile, load_profile
from connectors.sources.file_snapshots.connector import FileSource
from samenloop.contract import Codec
from samenloop.errors import BadSettings, Held
from samenloop.identity import plan_id
from samenloop.model import (
    ChangeKind,
    ChangeReason,
    Force,
    RestrictionKind,
    RestrictionReport,
    RestrictionStatus,
    SourceState,
    Visibility,
)
from samenloop.snapshots import Diff, Memory, Speaker, apply, diff
from samenloop.source import Context, Page, read_snapshot, snapshot_id
from samenloop.source_account import change_output
from samenloop.source_contract import check_source

PROFILE = """
record: restriction
system: moratorium-register
organisation: Gemeente Havervoort
oin: "00000099000000001001"
files: exports
id: nummer
title: naam
period: [ingang, einde]
visibility: PARTNERS
status: {field: stand, map: {voorstel: proposed, vastgesteld: in_force, ingetrokken: cancelled}}
force: binding
work_kinds: [sewer, water]
exempt_work_kinds: {field: vrij, map: {huis: house-connection}}
legal_basis: besluit
for_plan: werk
"""
SYSTEM = "urn:nld:oin:00000099000000001001:systeem:moratorium-register"
START = datetime(2027, 1, 4, 12, tzinfo=UTC)


def row(number: int, **changed: Any) -> dict[str, Any]:
    """One feature: a square near Havervoort."""
    x, y = 5.4 + number / 100, 52.1
    ring = [[x, y], [x + 0.001, y], [x + 0.001, y + 0.001], [x, y + 0.001], [x, y]]
    properties = {
        "nummer": number,
        "naam": f"Graafrust {number}",
        "ingang": "2027-06-01",
        "einde": "2032-05-31",
        "stand": "voorstel",
        **changed,
    }
    geometry = properties.pop("geometry", {"type": "Polygon", "coordinates": [ring]})
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def export(rows: Sequence[dict[str, Any]]) -> bytes:
    """A whole export."""
    return json.dumps({"type": "FeatureCollection", "features": list(rows)}).encode()


class Register:
    """A source of restrictions, played export by export through the differ."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        (folder / "zones.yaml").write_text(PROFILE + extra, encoding="utf-8")
        self.source = FileSource(load_profile(folder / "zones.yaml"), folder, Context({}))
        self.memory, self.week = Memory(), 0

    def take(self, *rows: dict[str, Any], weeks: int = 1) -> Diff:
        """Take the export of some weeks later."""
        self.week += weeks
        taken = START + timedelta(weeks=self.week)
        page = Page(snapshot_id(taken, f"{self.week:016}"), taken, "", "zones.geojson", export(rows))
        snapshot = read_snapshot(self.source, page)
        speaker = Speaker("zones", self.source.system, self.source.oin)
        found = diff(self.memory, snapshot, speaker=speaker, guards=self.source.guards, now=taken)
        cursor = SourceState(source="zones", record="", snapshot_id=snapshot.id)
        self.memory = apply(self.memory, found.effects, cursor)
        return found


def reports(found: Diff) -> list[RestrictionReport]:
    """Return what a snapshot publishes; each survives the wire."""
    codec, said = Codec.offline(), []
    for change in found.changes:
        assert isinstance(change, RestrictionReport)
        output = change_output(codec, change)
        assert (output.topic, output.key) == ("restriction-reports", change.restriction_id)
        assert codec.decode(output.topic, output.value or b"", output.headers) == change
        said.append(change)
    return said


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """A register without anything in it."""
    return Register(tmp_path)


def test_what_a_row_becomes(register: Register) -> None:
    """Every key finds its place; the hub's own fields are left to the hub."""
    given = row(7, vrij="huis", besluit="https://havervoort.example/b/7", werk="2027/42")

    (report,) = reports(register.take(given))

    zone = report.restriction
    assert zone is not None
    assert (report.change, zone.id, report.restriction_id) == (ChangeKind.SNAPSHOT, f"{SYSTEM}:restriction:7", zone.id)
    assert (zone.kind, zone.status, zone.force) == (
        RestrictionKind.MORATORIUM,
        RestrictionStatus.PROPOSED,
        Force.BINDING,
    )
    assert (zone.title, zone.visibility, zone.owner.name) == ("Graafrust 7", Visibility.PARTNERS, "Gemeente Havervoort")
    assert (zone.period.start, zone.period.end) == (date(2027, 6, 1), date(2032, 5, 31))
    assert [kind.rpartition(":")[2] for kind in zone.work_kinds] == ["sewer", "water"]
    assert [kind.rpartition(":")[2] for kind in zone.exempt_work_kinds] == ["house-connection"]
    assert (zone.legal_basis, zone.for_plan_id) == ("https://havervoort.example/b/7", plan_id(SYSTEM, "2027/42"))
    assert (zone.revision, zone.content_hash, zone.recorded_at) == (0, None, None)


def test_the_same_again_is_silent(register: Register) -> None:
    """An export that says the same publishes nothing; read = unchanged."""
    register.take(row(1), row(2))

    again = register.take(row(2), row(1))

    assert (reports(again), again.counts.unchanged, again.counts.read) == ([], 2, 2)


def test_a_life(register: Register) -> None:
    """Proposed, in force, called off: each is a report with the fields that changed."""
    register.take(row(1), row(2))

    in_force = reports(register.take(row(1, stand="vastgesteld"), row(2)))
    called_off = reports(register.take(row(1, stand="ingetrokken"), row(2)))
    new = reports(register.take(row(1, stand="ingetrokken"), row(2), row(3)))

    assert [(said.change, said.changed_fields) for said in in_force] == [(ChangeKind.UPDATED, ("/status",))]
    assert [said.change for said in called_off] == [ChangeKind.CANCELLED]
    assert [said.change for said in new] == [ChangeKind.CREATED]


def test_absence_before_the_end_deletes_after_the_grace(register: Register) -> None:
    """A zone that is missing three times in a row is gone; once is forgiven."""
    register.take(row(1), row(2))

    twice = [reports(register.take(row(2))) for _ in range(2)]
    (gone,) = reports(register.take(row(2)))
    (back,) = reports(register.take(row(1), row(2)))

    assert twice == [[], []]
    assert (gone.change, gone.reason, gone.restriction) == (ChangeKind.DELETED, ChangeReason.ABSENT, None)
    assert back.change is ChangeKind.CREATED


def test_absence_after_the_end_closes(register: Register) -> None:
    """A zone that is left out once it is over is ENDED, not deleted; a cancelled one is simply forgotten."""
    register.take(row(1, einde="2027-02-01"), row(2, stand="ingetrokken"), row(3))

    (ended,) = reports(register.take(row(3), weeks=8))

    assert ended.change is ChangeKind.UPDATED
    assert ended.restriction is not None
    assert ended.restriction.status is RestrictionStatus.ENDED
    assert reports(register.take(row(3))) == []


def test_a_source_speaks_for_its_own_authority(tmp_path: Path) -> None:
    """A row of another authority is refused unless the mandate names it."""
    owner = 'owner: {field: gezag, map: {Wetering: "00000099000000001002"}}\n'
    own = Register(tmp_path, owner)
    found = own.take(row(1, gezag="Gemeente Havervoort"), row(2, gezag="Wetering"))
    (tmp_path / "b").mkdir()
    mandated = Register(tmp_path / "b", owner + 'mandate: ["00000099000000001002"]\n')

    assert [letter.code for letter in found.dead_letters] == ["owner.not-mandated"]
    assert len(reports(found)) == 1
    assert len(reports(mandated.take(row(1, gezag="Gemeente Havervoort"), row(2, gezag="Wetering")))) == 2


def test_a_zone_without_a_place_is_set_aside(register: Register) -> None:
    """It restricts nothing; the rest of the page goes on, and the letter keeps the row as it came."""
    found = register.take(row(1), row(2, geometry=None))

    assert [(letter.code, letter.key) for letter in found.dead_letters] == [("geometry.missing", b"2")]
    assert b"Graafrust 2" in (found.dead_letters[0].value or b"")
    assert len(reports(found)) == 1


def test_half_a_register_is_held(register: Register) -> None:
    """The guards of plans hold for zones: nothing ends because an export broke."""
    register.take(*(row(number) for number in range(60)))

    with pytest.raises(Held) as held:
        register.take(*(row(number) for number in range(30)))

    assert held.value.code == "snapshot.shrunk"


def test_the_contract_of_sources(tmp_path: Path) -> None:
    """A source of restrictions keeps the contract that every source keeps."""
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "zones_2027-01-04.geojson").write_bytes(export([row(1), row(2, geometry=None), row(3)]))
    (tmp_path / "zones.yaml").write_text(PROFILE, encoding="utf-8")
    (tmp_path / "nowhere.yaml").write_text(
        PROFILE.replace("files: exports", "files: nowhere/exports"), encoding="utf-8"
    )
    source, dead = (
        FileSource(load_profile(tmp_path / name), tmp_path, Context({})) for name in ("zones.yaml", "nowhere.yaml")
    )

    check_source(source, dead, [b"", b"<html></html>", b'{"error": "x"}'])


def test_source_check_tells_of_restrictions(tmp_path: Path) -> None:
    """What is read, refused and not judged, in words and as JSON."""
    (tmp_path / "zones.yaml").write_text(PROFILE, encoding="utf-8")
    path = tmp_path / "zones.geojson"
    path.write_bytes(export([row(1), row(2, geometry=None), row(3, stand="concept")]))

    report = check_profile(tmp_path / "zones.yaml", [path])

    text = report.text()
    assert not report.ok
    for line in (
        "3 rows, 3 works, 2 restrictions, 1 refused",
        "status: PROPOSED 1, UNKNOWN 1",
        "status: stand = 'concept' 1x",
        "1x no status that is known: such a zone is not judged",
        "1: 'Graafrust 1', Gemeente Havervoort, MORATORIUM, PROPOSED/BINDING, 2027-06-01 .. 2032-05-31 by DAY, "
        "sewer, water, Polygon, PARTNERS",
    ):
        assert line in text
    assert report.to_dict()["files"][0]["samples"][0]["kind"] == "MORATORIUM"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("record: restriction", "record: zone"), "record: found 'zone', expected 'plan' or 'restriction'"),
        (("force: binding", "force: hard"), "force.default: found 'HARD', expected 'UNKNOWN', 'ADVISORY' or 'BINDING'"),
        (("for_plan: werk", "phase: werk"), "phase: is not a known key"),
    ],
)
def test_a_wrong_profile_is_told_by_line(tmp_path: Path, change: tuple[str, str], problem: str) -> None:
    """Keys of plans are none of restrictions, and words must be those of the hub."""
    (tmp_path / "zones.yaml").write_text(PROFILE.replace(*change), encoding="utf-8")

    with pytest.raises(BadSettings, match=problem.replace(".", r"\.")):
        load_profile(tmp_path / "zones.yaml")
