"""Memory does not grow with the feed: one situation at a time, and a page that is kept packed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PROGRAM = """
import json, resource, sys
from pathlib import Path
from connectors.sources.ndw_datex import DatexSource, Profile
from samenloop.source import Context
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
own = {"system": "roadworks", "organisation": "Wegenbestand", "oin": "00000099000000009001", "mandate": "any"}
def read(feed):
    source = DatexSource(Profile.model_validate({**own, "files": feed}), Path(), Context({}))
    (page,) = source.fetch(None)
    return sum(1 for raw in source.unpack(page) if source.parse(raw))
small = read(sys.argv[1])
before = peak()
large = read(sys.argv[2])
print(json.dumps({"small": small, "large": large, "grown": peak() - before}))
"""


def test_twenty_megabytes_take_a_few(tmp_path: Path) -> None:
    """A feed of 20 MB after one of 1 MB: what it takes more is its packed page and little else (without the plans)."""
    pytest.importorskip("resource")
    from benchmarks.datex_feed import write_feed

    counts = [write_feed(tmp_path / name, size) for name, size in (("1.xml", 1_000_000), ("20.xml", 20_000_000))]
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "1.xml"), str(tmp_path / "20.xml")]
    said = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout)

    assert [said["small"], said["large"]] == counts
    assert said["grown"] < 12, "megabytes"
