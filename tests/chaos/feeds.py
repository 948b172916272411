"""What the sources deliver: real weekly exports of works in a city, and a burst of invented ones between them."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from connectors.sources.file_snapshots import load_profile
from connectors.sources.file_snapshots.connector import FileSource
from samenloop.model import Plan, SourceState
from samenloop.snapshots import Memory, Speaker, apply, diff
from samenloop.source import Context, read_snapshot

WEST, SOUTH = 4.36, 50.85
"""Where the invented works lie: in the midst of the real ones."""
STEP_LON, STEP_LAT = 0.0006, 0.0004  # about 42 by 44 metres
OWNERS = ("Water", "Light", "Roads", "Heat")
BURST_PROFILE = """\
system: burst
organisation: Burst
oin: "00000099000000003001"
mandate: any
files: exports
id: id
title: name
owner: owner
visibility: PARTNERS
kind: WORKS
period: [from, to]
phase: {field: status, map: {plan: PREPARATION, gone: CANCELLED}}
certainty: {field: status, map: {plan: FIXED, gone: UNKNOWN}}
bbox: [4.2, 50.7, 4.6, 51.0]
"""


@dataclass
class Feed:
    """One source: its folder, its exports still to come, and what the ones delivered add up to."""

    name: str
    folder: Path
    exports: list[tuple[str, bytes]]
    delivered: int = 0
    _memory: Memory = field(default_factory=Memory)
    _plans: dict[str, Plan | None] = field(default_factory=dict)

    def deliver(self, count: int = 1) -> None:
        """Put the next exports into the folder, each at once and whole."""
        for file_name, body in self.exports[self.delivered : self.delivered + count]:
            unfinished = self.folder / "exports" / f".{file_name}"
            unfinished.write_bytes(body)
            unfinished.rename(unfinished.with_name(file_name))
            self.delivered += 1

    def plans(self) -> dict[str, Plan]:
        """Work out apart from the hub, export by export, what plans the exports delivered so far amount to."""
        source = self._source()
        cursor = self._memory.cursor.cursor if self._memory.cursor else None
        for page in source.fetch(cursor):
            found = diff(
                self._memory,
                read_snapshot(source, page),
                speaker=Speaker(self.name, source.system, source.oin),
                guards=source.guards,
                now=datetime(2027, 1, 4, tzinfo=UTC),
            )
            passed = SourceState(source=self.name, record="", snapshot_id=page.snapshot_id, cursor=page.cursor)
            self._memory = apply(self._memory, found.effects, passed)
            self._plans.update({change.plan_id: change.plan for change in found.changes})
        return {plan_id: plan for plan_id, plan in self._plans.items() if plan is not None}

    def _source(self) -> FileSource:
        return FileSource(load_profile(self.folder / "profile.yaml"), self.folder, Context({}))


def worksites(folder: Path, profiles: Path, data: Path) -> Feed:
    """Return the feed of the six weekly exports of Brussels."""
    (folder / "exports").mkdir(parents=True)
    text = (profiles / "brussels-worksites.yaml").read_text(encoding="utf-8")
    (folder / "profile.yaml").write_text(text.replace("files: worksites", "files: exports"), encoding="utf-8")
    files = sorted((data / "be-brussels-osiris-schaerbeek" / "worksites").glob("*.gz"))
    return Feed("worksites", folder, [(file.name, file.read_bytes()) for file in files])


def burst(folder: Path, exports: int, *, seed: int = 1, plans: int = 150) -> Feed:
    """Return a feed of invented exports, one for each day."""
    (folder / "exports").mkdir(parents=True)
    (folder / "profile.yaml").write_text(BURST_PROFILE, encoding="utf-8")
    chance = random.Random(seed)
    works = [_work(chance, number) for number in range(plans)]
    bodies = []
    for day in range(exports):
        name = f"burst_{date(2025, 12, 1) + timedelta(days=day)}.geojson"
        there = [work for work in works if chance.random() > 0.02]
        bodies.append((name, json.dumps({"type": "FeatureCollection", "features": there}).encode()))
        works = [_changed(chance, work) for work in works]
    return Feed("burst", folder, bodies)


def _work(chance: random.Random, number: int) -> dict[str, Any]:
    column, row = number % 15, number // 15
    start = date(2026, 6, 1) + timedelta(days=chance.randrange(60))
    properties = {
        "id": f"B{number:04}",
        "name": f"Works {number}",
        "owner": OWNERS[number % len(OWNERS)],
        "from": str(start),
        "to": str(start + timedelta(days=chance.randrange(5, 60))),
        "status": "plan",
    }
    return _feature(properties, WEST + column * STEP_LON, SOUTH + row * STEP_LAT)


def _changed(chance: random.Random, work: dict[str, Any]) -> dict[str, Any]:
    """A third of the works changes: moves in time or place, is given up or taken up again."""
    properties = dict(work["properties"])
    west, south = work["geometry"]["coordinates"][0][0]
    match chance.randrange(12):
        case 0 | 1:
            start = date.fromisoformat(properties["from"]) + timedelta(days=chance.randrange(-40, 40))
            properties |= {"from": str(start), "to": str(start + timedelta(days=30))}
        case 2 | 3:
            west, south = west + chance.uniform(-1, 1) * STEP_LON, south + chance.uniform(-1, 1) * STEP_LAT
        case 4:
            properties["status"] = "gone" if properties["status"] == "plan" else "plan"
        case _:
            return work
    return _feature(properties, west, south)


def _feature(properties: dict[str, Any], west: float, south: float) -> dict[str, Any]:
    east, north = west + STEP_LON, south + STEP_LAT
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    rounded = [[round(x, 7), round(y, 7)] for x, y in ring]
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [rounded]}}
