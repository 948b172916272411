"""The watchdog ends a process whose loop no longer turns, also when no Python can run."""

import time
from typing import Any

import pytest

from samenloop.kafka.exits import Exit

Hub = Any


@pytest.mark.parametrize("trouble", ["sleeps", "keeps-the-gil"])
def test_a_stuck_loop_ends_the_process(hub: Hub, trouble: str) -> None:
    """A native call that does not return, with or without the GIL, ends within the limit, with stacks on stderr."""
    worker = hub.worker("many", trouble=trouble)
    worker.wait_for("ready")
    hub.write("shared", ["a"])
    worker.wait_for("batch")

    assert worker.exit_code() == Exit.CRASHED
    assert "in process" in worker.told


def test_a_loop_that_ended_is_not_watched() -> None:
    """A heart that has left is nobody's business any more."""
    from samenloop.kafka.watchdog import Heart

    with Heart("short", 5) as heart:
        heart.beat(0.01)
    time.sleep(1.2)

    assert heart.due < time.monotonic()
