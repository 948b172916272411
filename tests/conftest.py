"""What tests of several packages share: the real broker and registry, the folder of real data, and who runs what."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from samenloop import logs
from samenloop.errors import SamenloopError
from samenloop.localstack import LocalStack
from samenloop.localstack.learning import learn

REPOSITORY = Path(__file__).parents[1]
LANES = {
    "tests/chaos/test_nothing_lost.py": "one",
    "tests/samenloop/cli/test_up.py": "one",
    "tests/samenloop/test_secure_hub.py": "one",
    "tests/samenloop/demo/test_demo.py": "two",
    "tests/deploy/grafana/test_on_prometheus.py": "two",
    "tests/deploy/test_compose_runs.py": "two",
    "tests/deploy/prometheus/test_drills.py": "two",
}
"""Files that start a dozen processes each: one worker runs all of a lane, one after the other."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses the local stack, so that `-m "not kafka"` leaves it out.

    Workers begin with what takes longest, and wait for Kafka while there is still something else to compute.
    """
    for item in items:
        if {"local_stack", "played_demo"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("kafka")
    if hasattr(config, "workerinput"):
        on_kafka = {_file(item.nodeid) for item in items if item.get_closest_marker("kafka")}
        items.sort(key=lambda item: (_file(item.nodeid) not in LANES, _file(item.nodeid) not in on_kafka))


def pytest_runtest_setup() -> None:
    """Each test begins with the logs of a new process, whatever a command that ran before had set."""
    logs.configure()


class ByFile(LoadScopeScheduling):
    """Give each worker whole files, for the sake of their fixtures, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return LANES.get(_file(nodeid), _file(nodeid))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Share the files of the suite among the workers of `pytest -n`."""
    return ByFile(config, log)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A real Kafka and registry, started once at first use and gone when pytest ends; each worker has its own.

    Tests share it: each takes a topic prefix of its own, and whoever stops the broker starts it again. Since a run of
    the suite starts some twenty stacks, the JVM learns their programs beside the first tests, once on a machine.
    """
    learning = Thread(target=_learn, name="learning", daemon=True)
    learning.start()
    with LocalStack(tmp_path_factory.mktemp("local-stack"), brief=True) as stack:
        yield stack
    learning.join()


def _learn() -> None:
    with suppress(SamenloopError):  # tests run without as well, only longer
        learn(print)


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
