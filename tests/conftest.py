"""What tests of several packages share: the real broker and registry, and the folder of real data."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from samenloop.localstack import LocalStack

REPOSITORY = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the local stack, so that `-m "not kafka"` leaves it out."""
    for item in items:
        if {"local_stack", "played_demo"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A real Kafka and registry, started once at first use and gone when pytest ends.

    Tests share it: each takes a topic prefix of its own, and whoever stops the broker starts it again.
    """
    with LocalStack(tmp_path_factory.mktemp("local-stack")) as stack:
        yield stack


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with real exports of cities, beside the checkout; the test is skipped where there is none."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real exports (shared/data beside the checkout) are not on this machine")
    return folder


class PlayedDemo(NamedTuple):
    """The demonstration after its end: its folder, what it said, how it ended."""

    folder: Path
    said: str
    code: int


@pytest.fixture(scope="session")
def played_demo(tmp_path_factory: pytest.TempPathFactory) -> PlayedDemo:
    """The demonstration, played once from beginning to end, for all who look at what it did and left."""
    folder = tmp_path_factory.mktemp("demo") / "demo"
    command = [sys.executable, "-m", "samenloop.cli", "demo", "--once", "--folder", str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=390, check=False)
    return PlayedDemo(folder, ended.stdout + ended.stderr, ended.returncode)
