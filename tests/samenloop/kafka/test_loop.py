"""The loop on a real broker: whatever happens to a worker, each record counts exactly once."""

import signal
import time
from collections.abc import Callable
from typing import Any

from samenloop.kafka.exits import Exit

Hub = Any
MakeHub = Callable[[], Hub]

KEYS = [f"key-{number % 35}" for number in range(210)]
ONCE = {f"key-{number}": list(range(1, 7)) for number in range(35)}
TWICE = {f"key-{number}": list(range(1, 13)) for number in range(35)}


def test_a_worker_killed_inside_a_transaction_neither_loses_nor_doubles(make_hub: MakeHub) -> None:
    """kill -9 between produce and commit: nothing of that transaction counts, and its successor does it again.

    Two hubs side by side: one dies before the positions are sent, the other before the commit.
    """
    first = {}
    for where in ("send_offsets_to_transaction", "commit_transaction"):
        hub = make_hub()
        first[hub] = hub.worker("many", trouble=f"dies-before-{where}")
    for hub, worker in first.items():
        worker.wait_for("ready")
        for part in range(3):
            hub.write("shared", KEYS[part * 70 : part * 70 + 70])
            time.sleep(0.2)
    assert [worker.exit_code() for worker in first.values()] == [-signal.SIGKILL, -signal.SIGKILL]

    for hub in first:
        hub.worker("many")
    for hub in first:
        hub.wait_for_total(210)

    assert [hub.counts() for hub in first] == [ONCE, ONCE]


def test_workers_share_partitions_and_take_over(hub: Hub) -> None:
    """Two workers share the lead topic; when one stops in order, the other has all of it well within a session."""
    first = hub.worker("many", "0", session_timeout_seconds=60)
    first.wait_for("ready")
    hub.write("shared", KEYS)
    second = hub.worker("many", "1", session_timeout_seconds=60)
    second.wait_for("assigned")
    hub.write("shared", KEYS[:70])
    hub.wait_for_total(280)
    first.signal(signal.SIGTERM)
    assert first.exit_code() == 0
    hub.write("shared", KEYS[70:])
    hub.wait_for_total(420, seconds=50)

    assert hub.counts() == TWICE


def test_a_standby_takes_over(make_hub: MakeHub) -> None:
    """One partition, one worker: a second process stands by and takes over what it leads and what it follows.

    Three hubs side by side: the worker is killed, asked to stop, frozen past its session. One that thaws finds that
    the group has gone on without it: it ends, or stands by, and has written nothing.
    """
    ends = {make_hub(): end for end in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP)}
    first = {hub: hub.worker("one", "0") for hub in ends}
    for hub, worker in first.items():
        worker.wait_for("assigned")
        hub.worker("one", "1").wait_for("ready")
        hub.write("single", KEYS)
        hub.write("followed", KEYS[:105])
    for hub, end in ends.items():
        hub.wait_for_total(315)
        first[hub].signal(end)
        hub.write("single", KEYS[:105])
    for hub, end in ends.items():
        hub.workers[1].wait_for("assigned")
        hub.wait_for_total(420)
        if end == signal.SIGSTOP:
            first[hub].signal(signal.SIGCONT)
            assert first[hub].given_up() in (None, Exit.LEFT_BEHIND, Exit.CRASHED, Exit.IN_DOUBT)

    assert [hub.counts() for hub in ends] == [TWICE, TWICE, TWICE]


def test_a_worker_frozen_in_the_middle_of_a_batch_writes_nothing(hub: Hub) -> None:
    """It thaws with a batch in hand that its successor has done meanwhile: it may not commit it, and ends."""
    first = hub.worker("one", "0", "freezes", watchdog_seconds=60)
    first.wait_for("assigned")
    standby = hub.worker("one", "1")
    standby.wait_for("ready")
    hub.write("single", KEYS)
    hub.wait_for_total(210)
    first.signal(signal.SIGCONT)

    assert first.exit_code() == Exit.LEFT_BEHIND, first.told
    assert hub.counts() == ONCE


def test_a_second_process_takes_the_slot(hub: Hub) -> None:
    """Two processes with one slot: the newer one works, the older one ends with code 4 and a sentence."""
    first = hub.worker("many", "0")
    first.wait_for("assigned")
    second = hub.worker("many", "0")
    second.wait_for("assigned")
    for _ in range(3):
        hub.write("shared", KEYS[:70])

    assert first.exit_code() == Exit.FENCED
    assert "Give each process a slot of its own" in first.told
    hub.wait_for_total(210)
    assert hub.counts() == ONCE


def test_what_is_held_is_read_again(hub: Hub) -> None:
    """Positions are committed only up to what the stage holds; a successor reads the rest again."""
    first = hub.worker("holding")
    first.wait_for("assigned")
    hub.write("single", [f"r{number}" for number in range(5)])
    hub.wait_for_total(3)
    first.signal(signal.SIGTERM)
    assert first.exit_code() == 0
    second = hub.worker("holding")
    second.wait_for("batch")

    assert "batch 2" in second.said
    assert hub.counts() == {"r0": [1], "r1": [2], "r2": [3]}


def test_a_rebuild_that_fails_ends_the_process(hub: Hub) -> None:
    """An exception while rebuilding must not leave a worker that reads without state."""
    worker = hub.worker("many", trouble="refuses")

    assert worker.exit_code() == Exit.NOT_REBUILT
    assert "cannot rebuild" in worker.told


def test_a_missing_position_is_refused(hub: Hub) -> None:
    """Without a committed offset nobody guesses where to begin."""
    worker = hub.worker("unknown-to-apply")

    assert worker.exit_code() == Exit.NO_POSITION
    assert "samenloop topics apply" in worker.told
