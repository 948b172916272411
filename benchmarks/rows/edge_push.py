"""Push in: how many plans a second one edge process takes in batches, to Kafka's acknowledgement.

Counted in CPU seconds of the edge process, since client and broker share its cores. The peer parses the same bodies and
produces the same events as they came, in one process, without HTTP and without looking at them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import orjson
import shapely

from benchmarks.hub import Measured, running_hub
from benchmarks.load import Nation
from benchmarks.row import Row
from samenloop import clock, identity
from samenloop.kafka.clients import plain_producer
from samenloop.kafka.names import topic_on_wire
from samenloop.partners import add_partner

BATCHES, EVENTS, AT_ONCE = 30, 1000, 2
PUSH = "edge.push.batch"
NAMES = (PUSH,)
OIN = "00000099000000007002"
SYSTEM = identity.system_urn(OIN, "works-register")


def run(wanted: set[str]) -> Iterator[Row]:
    """Yield the rows of the edge."""
    if PUSH in wanted:
        yield _push()


def _push() -> Row:
    bodies = list(_bodies())
    with running_hub() as measured:
        _, key = add_partner(measured.hub, measured.codec, OIN, "Waterschap", now=clock.now())
        measured.start("edge")
        _send(measured, key, bodies[:2])  # what happens once
        used, began = _cpu_seconds(measured), time.perf_counter()
        _send(measured, key, bodies[2:])
        took, used = time.perf_counter() - began, _cpu_seconds(measured) - used
        events = EVENTS * (len(bodies) - 2)
        peer = events / _plainly(measured, bodies[2:])
    ours = events / used
    size = sum(map(len, bodies)) / len(bodies) / EVENTS
    by_clock = f"{events / took:,.0f} events/s by the clock, client included"
    note = f"batches of {EVENTS:,}, {size:,.0f} bytes an event; {by_clock}"
    return Row(PUSH, ours, "events/CPU-second", f"orjson and produce, unchecked: {peer:,.0f}", ours / peer, note)


def _bodies() -> Iterator[bytes]:
    """Yield batches of plans of the synthetic nation as GeoJSON features in RD."""
    nation = Nation((BATCHES + 2) * EVENTS)
    everything = nation.everything()
    shapes = shapely.to_geojson(everything.shapes).tolist()
    for start in range(0, len(shapes), EVENTS):
        events = [_event(number, shapes[number]) for number in range(start, start + EVENTS)]
        yield orjson.dumps(events)


def _event(number: int, geometry: str) -> dict[str, object]:
    properties = {
        "title": f"Renewal of the sewer, part {number}",
        "description": "Renewal of sewer, paving and pavement in two stages; traffic is led around the works.",
        "crs": "http://www.opengis.net/def/crs/EPSG/0/28992",
        "kind": "WORKS",
        "phase": "PREPARATION",
        "certainty": "INTENDED",
        "visibility": "PARTNERS",
        "period": {"start": "2027-03-01", "end": f"2027-04-{number % 28 + 1:02d}"},
        "work_kinds": ["urn:samenloop:work-kind:sewer"],
        "traffic_impact": "CLOSED",
        "references": [{"scheme": "urn:samenloop:reference:permit", "value": f"Z-{number}"}],
        "source_fields": {"project": f"P-{number}", "stage": "2"},
    }
    return {
        "specversion": "1.0",
        "id": f"event-{number}",
        "source": SYSTEM,
        "type": "nl.samenloop.plan-changed.v1",
        "time": "2026-11-23T09:15:00Z",
        "subject": f"{SYSTEM}:plan:W-{number}",
        "datacontenttype": "application/geo+json",
        "data": {"type": "Feature", "geometry": orjson.loads(geometry), "properties": properties},
    }


def _send(measured: Measured, key: str, bodies: Sequence[bytes]) -> None:
    found = re.search(r'"url":"([^"]+)"', measured.parts["edge"].said())
    assert found is not None
    headers = {"authorization": f"Bearer {key}", "content-type": "application/cloudevents-batch+json"}
    with httpx.Client(base_url=found[1], headers=headers, timeout=60) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        for answer in pool.map(lambda body: client.post("/v1/events", content=body), bodies):
            if answer.status_code != 202:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")


def _cpu_seconds(measured: Measured) -> float:
    """Return what the edge process has used of the processor."""
    fields = Path(f"/proc/{measured.parts['edge'].pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _plainly(measured: Measured, bodies: Sequence[bytes]) -> float:
    """Return the CPU seconds of the peer."""
    producer = plain_producer(measured.hub.kafka)
    topic = topic_on_wire(measured.hub.kafka.prefix, "polls")
    used = time.process_time()
    for body in bodies:
        for event in orjson.loads(body):
            producer.produce(topic, orjson.dumps(event), event["subject"], on_delivery=lambda *_: None)
        producer.flush(60)
    return time.process_time() - used
