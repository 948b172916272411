"""Microseconds of one core for each change that consolidate takes, without Kafka: bytes in, bytes out.

    python -m benchmarks.consolidate_path [plans]

Best tenth of batches of 200, beside a loop of two million additions that says how fast the machine was meanwhile.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import shapely

from samenloop import identity
from samenloop.contract import Codec, Envelope
from samenloop.model import (
    ChangeKind,
    Contact,
    EndKind,
    Geometry,
    Organisation,
    Origin,
    Period,
    Phase,
    Plan,
    PlanChanged,
    PlanKind,
    Precision,
    Validity,
    Visibility,
)
from samenloop.stage import Record
from streams.consolidate import Consolidate

NOW = datetime(2026, 11, 23, 9, 15, tzinfo=UTC)
OIN = "00000099123456780000"
SYSTEM = identity.system_urn(OIN, "works-register")
BATCH = 200


def make_plan(number: int, version: int) -> Plan:
    """Return a plan as a works register fills it: about 550 bytes, a polygon of five points."""
    x, y = 120_000 + number % 1000 * 30.0, 480_000 + number // 1000 * 30.0
    return Plan(
        id=identity.plan_id(SYSTEM, f"W-{number}"),
        system=SYSTEM,
        local_id=f"W-{number}",
        owner=Organisation(OIN, "Gemeente Voorbeeld"),
        title=f"Riool {number}, versie {version}",
        kind=PlanKind.WORKS,
        phase=Phase.DESIGN,
        visibility=Visibility.PARTNERS,
        period=Period(date(2027, 3, 1), date(2027, 5, 1), Precision.DAY, EndKind.GIVEN),
        geometry=Geometry(
            shapely.to_wkb(shapely.box(x, y, x + 20, y + 20)), "http://www.opengis.net/def/crs/EPSG/0/28992", 0.5
        ),
        work_kinds=("urn:samenloop:work-kind:sewer",),
        contact=Contact("Projectbureau", "projecten@gemeente.example"),
        source_fields={"wijk": "Centrum"},
    )


def make_record(codec: Codec, number: int, version: int, offset: int) -> Record:
    """Return the record of one change."""
    plan, at = make_plan(number, version), NOW + timedelta(hours=version)
    hashed = f"{number} {version}".encode().rjust(32)
    event_id = identity.change_event_id(plan.id, f"s:{version}", ChangeKind.UPDATED, hashed)
    change = PlanChanged(
        plan_id=plan.id,
        change=ChangeKind.UPDATED,
        validity=Validity(at),
        recorded_at=at,
        ingested_at=at,
        origin=Origin(OIN, SYSTEM, event_id),
        changed_fields=("/title",),
        sequence=version,
        content_hash=hashed,
        plan=plan,
    )
    envelope = Envelope(
        id=event_id,
        source=SYSTEM,
        type="nl.samenloop.plan-changed.v1",
        time=at,
        subject=plan.id,
        partitionkey=plan.id,
        correlationid=event_id,
        classification="internal",
    )
    headers = tuple((name, bytes(value)) for name, value in codec.headers("plan-changes", envelope))
    return Record("plan-changes", 0, offset, plan.id, codec.encode("plan-changes", change), headers, 0)


def best(do: Callable[[Sequence[Record]], object], records: Sequence[Record]) -> float:
    """Return microseconds per record: the tenth percentile of batches."""
    times = []
    for start in range(0, len(records), BATCH):
        began = time.process_time()
        do(records[start : start + BATCH])
        times.append((time.process_time() - began) / BATCH * 1e6)
    return sorted(times)[len(times) // 10]


def reference() -> float:
    """Return milliseconds of CPU for two million additions."""
    began, total = time.process_time(), 0
    for number in range(2_000_000):
        total += number
    return (time.process_time() - began) * 1e3


def main(plans: int) -> None:
    """Print one line for each way a change can go."""
    codec = Codec.offline()
    stage = Consolidate(codec, source=identity.system_urn("00000099000000000001", "samenloop"), clock="event")
    rounds = [
        [make_record(codec, number, version, version * plans + number) for number in range(plans)]
        for version in range(2)
    ]
    gc.collect()
    gc.freeze()
    outputs = {name: best(lambda batch: stage.process(batch, NOW), records) for name, records in (
        ("new plans", rounds[0]), ("changed plans", rounds[1]), ("repeats", rounds[1]),
    )}  # fmt: skip
    rows = [replace(found, offset=0) for found in rounds[1]]
    outputs["whole change decoded"] = best(
        lambda batch: [codec.decode("plan-changes", r.value or b"") for r in batch], rows
    )
    for name, micros in outputs.items():
        print(f"{name:24s} {micros:6.1f} µs of CPU")
    print(f"{'the machine meanwhile':24s} {reference():6.0f} ms for two million additions")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
