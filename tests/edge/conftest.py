"""Fixtures of the edge's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.edge.scenes import Scene, make_scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    """An edge as it is by default."""
    made = make_scene()
    yield made
    made.services.close()
