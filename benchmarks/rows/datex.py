"""Reading a DATEX II publication of 200 MB: from XML to plans, beside a bare parse of the same file, and its memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson

from benchmarks.datex_feed import write_feed
from benchmarks.row import Row

SIZE = 200_000_000
NAMES = ("datex.read.200mb", "datex.read.200mb.again", "datex.read.200mb.peak_memory")


def run(wanted: set[str]) -> Iterator[Row]:
    """Yield the rows of the reader; each reading is a process of its own, so that its memory is its own."""
    with TemporaryDirectory() as folder:
        feed = Path(folder) / "feed.xml"
        write_feed(feed, SIZE)
        ours, bare = (_measured(way, feed) for way in ("read", "bare"))
    peer = f"lxml iterparse alone, {ours['situations'] / bare['cpu_s']:,.0f}"
    for name, cpu_s in (("datex.read.200mb", ours["cpu_s"]), ("datex.read.200mb.again", ours["again_cpu_s"])):
        if name in wanted:
            yield Row(name, ours["situations"] / cpu_s, "situations/CPU-s", peer, bare["cpu_s"] / cpu_s)
    if "datex.read.200mb.peak_memory" in wanted:
        peer = f"lxml iterparse alone, {bare['peak_mb']:,.0f}"
        ratio = ours["peak_mb"] / bare["peak_mb"]
        yield Row("datex.read.200mb.peak_memory", ours["peak_mb"], "MB, whole process", peer, ratio)


def _measured(way: str, feed: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.datex_read", way, str(feed)]
    found: dict[str, Any] = orjson.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found
