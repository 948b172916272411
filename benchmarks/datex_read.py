"""Read a DATEX II file in this process and print as JSON what it took: `read FILE` to plans, `bare FILE` to nothing."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import orjson


def read(feed: Path) -> dict[str, float]:
    """Fetch, unpack and translate *feed* twice: the second time every situation is as it was."""
    from connectors.sources.ndw_datex import DatexSource, Profile  # noqa: PLC0415 - the bare parse does without
    from samenloop.source import Context, read_snapshot  # noqa: PLC0415

    organisation = {"organisation": "Nationaal wegenbestand", "oin": "00000099000000009001"}
    profile = Profile.model_validate({"system": "roadworks", **organisation, "files": str(feed), "mandate": "any"})
    source = DatexSource(profile, feed.parent, Context({}))
    (page,) = source.fetch(None)
    begun = time.process_time()
    snapshot = read_snapshot(source, page)
    first = time.process_time()
    read_snapshot(source, page)
    again = time.process_time()
    situations = len(snapshot.records) + len(snapshot.rejected) + snapshot.measures_only
    return {"situations": situations, "cpu_s": first - begun, "again_cpu_s": again - first}


def bare(feed: Path) -> dict[str, float]:
    """Parse *feed* situation by situation and throw each away."""
    from lxml import etree  # noqa: PLC0415

    begun, situations = time.process_time(), 0
    for _, element in etree.iterparse(str(feed), tag="{*}situation", resolve_entities=False, huge_tree=True):
        situations += 1
        element.clear()
        while element.getprevious() is not None:
            del element.getparent()[0]
    return {"situations": situations, "cpu_s": time.process_time() - begun}


if __name__ == "__main__":
    measured = {"read": read, "bare": bare}[sys.argv[1]](Path(sys.argv[2]))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1_000_000
    print(orjson.dumps({**measured, "peak_mb": peak_mb}).decode())
