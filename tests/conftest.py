"""What tests of several packages share: the real broker and registry, the folder of real data, and who runs what."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from samenloop.localstack import LocalStack

REPOSITORY = Path(__file__).parents[1]
WHOLE_HUBS = (
    "tests/chaos/test_nothing_lost.py",
    "tests/samenloop/demo/test_demo.py",
    "tests/samenloop/cli/test_up.py",
)
"""Each starts a dozen processes: one worker runs them all, one after the other, so that no two run at a time."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what uses the local stack, so that `-m "not kafka"` leaves it out.

    Workers begin with what takes longest, and wait for Kafka while there is still something else to compute.
    """
    for item in items:
        if "local_stack" in getattr(item, "fixturenames", ()):
            item.add_marker("kafka")
    if hasattr(config, "workerinput"):
        on_kafka = {_file(item.nodeid) for item in items if item.get_closest_marker("kafka")}
        items.sort(key=lambda item: (_file(item.nodeid) not in WHOLE_HUBS, _file(item.nodeid) not in on_kafka))


class ByFile(LoadScopeScheduling):
    """Give each worker whole files, for the sake of their fixtures, in the order in which they were collected."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        return "whole hubs" if _file(nodeid) in WHOLE_HUBS else _file(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Share the files of the suite among the workers of `pytest -n`."""
    return ByFile(config, log)


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]


@pytest.fixture(scope="session")
def local_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A real Kafka and registry, started once at first use and gone when pytest ends; each worker has its own.

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
