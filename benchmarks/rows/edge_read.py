"""The read model of the edge: how long a page of a 20 km box takes, and how many changes a second are read.

A synthetic nation in a file, and a writer that never rests: it applies changes in a process of its own, as fast as it
can, while the questions are asked here. The records are as Kafka gives them; Kafka itself takes no part.
"""

from __future__ import annotations

import gc
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import orjson
import shapely

from benchmarks.hub import OIN, RD, SYSTEM
from benchmarks.load import FIRST_DAY, Batch, Nation
from benchmarks.row import Row
from edge.read_model import ReadModel
from edge.read_model.follower import FOLLOWED
from edge.read_model.layout import open_reader
from edge.read_model.writing import Keep, Writer
from samenloop import identity
from samenloop.contract import TOPICS, Codec, Envelope
from samenloop.model import (
    Certainty,
    Clearance,
    Contact,
    FieldOrigin,
    Geometry,
    Organisation,
    Period,
    Phase,
    Plan,
    PlanKind,
    PlanState,
    Precision,
    Validity,
    Visibility,
)
from samenloop.stage import Partition, Record
from samenloop.visibility import Viewer

BBOX, BBOX_IDLE, CHANGES, WRITES = (
    "edge.read.bbox_20km.p95", "edge.read.bbox_20km.p95.idle", "edge.changes", "edge.writes")  # fmt: skip
NAMES = (BBOX, BBOX_IDLE, CHANGES, WRITES)
PLANS, ASKED, SCANNED = 1_000_000, 300, 3
METRIC = "EPSG:28992"
VIEWER = Viewer("00000099000000007001", Clearance.PARTNERS)
_BATCH, _SIDE_M, _DAYS = 2000, 20_000, 90
_EPOCH = date(1970, 1, 1)
_PARTITIONS = TOPICS["plan-states"].partitions


def run(wanted: set[str]) -> Iterator[Row]:
    """Yield the rows of the read model."""
    with TemporaryDirectory(prefix="samenloop-bench-") as folder:
        path = Path(folder) / "read-model.sqlite"
        nation, states = Nation(PLANS), _States()
        began = time.process_time()
        written = _load(path, states, nation.everything())
        rate = written / (time.process_time() - began)
        model = ReadModel(path, metric_crs=METRIC)
        rows = _rows(path, model, nation, states, rate)
        yield from (row for row in rows if row.name in wanted)
        model.close()


def _rows(path: Path, model: ReadModel, nation: Nation, states: _States, rate: float) -> Iterator[Row]:
    yield Row(WRITES, rate, "plans/CPU-s", note=f"an empty file filled with {PLANS:,} plans, the making of records too")
    boxes = _boxes(nation, ASKED)
    changes = [states.records(batch) for batch in nation.changes(60_000, 2000)]
    gc.freeze()  # a million plans of the load are no garbage of the one who asks
    idle, said = _asked(model, boxes)
    yield Row(BBOX_IDLE, idle, "ms", note=f"the writer at rest; {said}")
    scanned = _scanned(path, boxes[:SCANNED])
    ready, stop = multiprocessing.Event(), multiprocessing.Event()
    writer = multiprocessing.get_context("fork").Process(
        target=_write_on, args=(path, changes, states.offsets, ready, stop)
    )
    writer.start()
    ready.wait(60)
    busy, said = _asked(model, boxes)
    stop.set()
    writer.join()
    note = f"{PLANS:,} plans, the writer busy; {said}"
    yield Row(BBOX, busy, "ms", f"a scan without R*Tree, {scanned:,.0f} ms", scanned / busy, note)
    yield _changes(model)


def _changes(model: ReadModel) -> Row:
    """Read 200,000 changes from the start; the peer writes as many ready objects as JSON."""
    cursor, read, events = None, 0, b""
    began = time.process_time()
    while read < 200_000:
        page = model.changes(VIEWER, after=cursor, limit=1000)
        cursor = None if page.at_end else page.next
        read, events = read + len(page.events), b"[" + b",".join(page.events) + b"]"
    ours = read / (time.process_time() - began)
    objects = orjson.loads(events)
    began, dumped = time.process_time(), 0
    while dumped < 200_000:
        orjson.dumps(objects)
        dumped += len(objects)
    peers = dumped / (time.process_time() - began)
    note = f"one core, {len(events) / len(objects):,.0f} bytes each"
    return Row(CHANGES, ours, "changes/CPU-s", f"orjson of ready objects, {peers:,.0f}", ours / peers, note)


def _asked(model: ReadModel, boxes: Sequence[Any]) -> tuple[float, str]:
    """Return the 95th percentile in milliseconds of a first page, and what else there is to say: its CPU, its size."""
    times, cpu, found = [], [], 0
    for box, period in boxes:
        began, thread = time.perf_counter(), time.thread_time()
        page = model.items("plans", VIEWER, bbox=box, bbox_crs=RD, period=period, limit=1000)
        times.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.thread_time() - thread) * 1e3)
        found += len(page.items)
    said = f"{np.percentile(cpu, 95):.0f} ms of CPU, {found / len(boxes):,.0f} plans a page"
    return float(np.percentile(times, 95)), said


def _scanned(path: Path, boxes: Sequence[Any]) -> float:
    """Return the median in milliseconds of the same question to the same rows, without the tree."""
    db, times = open_reader(path), []
    for box, period in boxes:
        began, hits = time.perf_counter(), 0
        for wkb, feature in db.execute("select wkb, feature from plans where until is null"):
            x0, y0, x1, y1 = shapely.from_wkb(wkb).bounds
            if x1 >= box[0] and x0 <= box[2] and y1 >= box[1] and y0 <= box[3]:
                days = orjson.loads(feature + b"}}")["properties"]["period"]
                hits += days["end"] >= str(period[0]) and days["start"] <= str(period[1])
                if hits == 1000:
                    break
        times.append((time.perf_counter() - began) * 1e3)
    db.close()
    return float(np.median(times))


def _boxes(nation: Nation, count: int) -> list[Any]:
    """Boxes around plans, as those who look at a map ask: there where works are."""
    rng = np.random.default_rng(7)
    result = []
    for slot in rng.choice(PLANS, count).tolist():
        x, y = shapely.from_wkb(nation.wkb[slot]).bounds[:2]
        first = _EPOCH + timedelta(days=FIRST_DAY + int(rng.integers(0, 900)))
        half = _SIDE_M / 2
        result.append(((x - half, y - half, x + half, y + half), (first, first + timedelta(days=_DAYS))))
    return result


def _load(path: Path, states: _States, batch: Batch) -> int:
    writer, written = _writer(path, states), 0
    for start in range(0, len(batch.slots), _BATCH):
        part = Batch(*(column[start : start + _BATCH] for column in batch))
        written += writer.apply(states.records(part), states.offsets, time.time())
    writer.close()
    return written


def _write_on(path: Path, batches: Sequence[Sequence[Record]], offsets: Any, ready: Any, stop: Any) -> None:
    writer = _writer(path, None)
    while not stop.is_set():
        for batch in batches:
            writer.apply(_again(batch, offsets), offsets, time.time())
            ready.set()
            if stop.is_set():
                break
    writer.close()


def _again(batch: Sequence[Record], offsets: dict[Partition, int]) -> list[Record]:
    """The same records once more, at the end of the log."""
    made = []
    for record in batch:
        place = (record.topic, record.partition)
        made.append(Record(*place, offsets[place], record.key, record.value, record.headers, int(time.time() * 1000)))
        offsets[place] += 1
    return made


def _writer(path: Path, states: _States | None) -> Writer:
    writer = Writer(path, Codec.offline(), SYSTEM, METRIC, Keep())
    if states is not None and not writer.positions():
        writer.begin(dict.fromkeys(states.offsets, "e"), states.offsets, time.time())
    return writer


class _States:
    """Makes the records of plan-states for changes of a nation."""

    def __init__(self) -> None:
        self._codec = Codec.offline()
        self._revisions: dict[int, int] = {}
        self.offsets: dict[Partition, int] = {(t, n): 0 for t in FOLLOWED for n in range(TOPICS[t].partitions)}

    def records(self, batch: Batch) -> list[Record]:
        """Return one record for each change; a shape None is a removed plan."""
        return [self._record(*row) for row in zip(*(column.tolist() for column in batch), strict=True)]

    def _record(self, slot: int, shape: Any, start: int, end: int, owner: int) -> Record:
        revision = self._revisions[slot] = self._revisions.get(slot, 0) + 1
        plan_id, at = identity.plan_id(SYSTEM, f"W-{slot}"), datetime.now(UTC)
        envelope = Envelope(
            id=f"{slot}-{revision}", source=SYSTEM, type="nl.samenloop.plan-state-changed.v1", time=at, subject=plan_id,
            partitionkey=plan_id, correlationid=f"{slot}-{revision}", classification="internal",
        )  # fmt: skip
        place = ("plan-states", slot % _PARTITIONS)
        offset = self.offsets[place]
        self.offsets[place] += 1
        value = None
        if shape is not None:
            plan = _plan(plan_id, slot, shape.wkb, (start, end), owner)
            value = self._codec.encode("plan-states", _state(plan, revision, at))
        headers = self._codec.headers("plan-states", envelope, tombstone=value is None)
        headers = tuple((name, bytes(content)) for name, content in headers)
        return Record(*place, offset, plan_id, value, headers, int(at.timestamp() * 1000))


def _state(plan: Plan, revision: int, at: datetime) -> PlanState:
    return PlanState(
        plan_id=plan.id,
        revision=revision,
        validity=Validity(at),
        registered_at=at,
        sequence=revision,
        event_id="e",
        content_hash=bytes(32),
        provenance={"": FieldOrigin(system=SYSTEM, event_id="e", recorded_at=at)},
        plan=plan,
    )


def _plan(plan_id: str, slot: int, wkb: bytes, days: tuple[int, int], owner: int) -> Plan:
    start, end = (_EPOCH + timedelta(days=day) for day in days)
    return Plan(
        id=plan_id,
        system=SYSTEM,
        local_id=f"W-{slot}",
        owner=Organisation(f"0000009900000000600{owner % 10}", f"Owner {owner}"),
        title=f"Works {slot}",
        kind=PlanKind.WORKS,
        phase=Phase.PREPARATION,
        certainty=Certainty.FIXED,
        visibility=Visibility.PARTNERS if slot % 3 else Visibility.PUBLIC,
        ground_disturbing=True,
        period=Period(start, end, Precision.DAY),
        geometry=Geometry(wkb, RD, 0.5),
        work_kinds=("urn:samenloop:work-kind:sewer",),
        contact=Contact("Projectbureau", f"projecten@{OIN}.example"),
        source_fields={"wijk": "Centrum"},
    )
