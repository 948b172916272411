"""What tests of several packages share: the real broker and registry, and the folder of real data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from samenloop.localstack import LocalStack

REPOSITORY = Path(__file__).parents[1]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses the local stack, so that `-m "not kafka"` leaves it out."""
    for item in items:
        if "local_stack" in getattr(item, "fixturenames", ()):
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
