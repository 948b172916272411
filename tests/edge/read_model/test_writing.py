"""The file beside those who read it."""

import threading
from collections.abc import Callable

import pytest

from edge.read_model import ReadModel, writing
from edge.read_model.layout import log_of, open_reader
from tests.edge.read_model.conftest import WATER_BOARD, Log, make_plan, make_restriction


def test_the_log_of_the_file_stays_small_while_somebody_always_reads(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers take turns without a gap, so SQLite would never begin its log anew: it is made to, and loses nothing."""
    monkeypatch.setattr(writing, "LARGEST_LOG", 2**18)
    ended = threading.Event()
    turns = [threading.Semaphore(1), threading.Semaphore(0)]

    def read(mine: int) -> None:
        db = open_reader(log.path)
        while not ended.is_set():
            turns[mine].acquire()
            db.execute("begin")
            db.execute("select count(*) from plans").fetchone()
            turns[1 - mine].release()  # the other begins while this one still reads
            ended.wait(0.01)
            db.execute("commit")
        db.close()

    readers = [threading.Thread(target=read, args=(mine,)) for mine in (0, 1)]
    for reader in readers:
        reader.start()
    try:
        sizes = []
        for batch in range(30):
            for number in range(20):
                log.plan(make_plan(f"P-{batch}-{number}"))
            log.write()
            sizes.append(log_of(log.path).stat().st_size)
    finally:
        ended.set()
        for turn in turns:
            turn.release()
        for reader in readers:
            reader.join()

    assert sizes.count(0) > 3, sizes
    db = open_reader(log.path)
    assert db.execute("select count(*) from plans where until is null").fetchone() == (600,)
    db.close()


def test_systems_are_counted_by_what_there_is(log: Log, model_of: Callable[[Log], ReadModel]) -> None:
    """Of each system: its plans that are there now, and when the hub last took something of it, an end as well.

    A restriction is no plan, but its system is in use. What cannot be read and was never known is no sign of a system.
    """
    first, second, zone = make_plan("A"), make_plan("B"), make_restriction("Z", WATER_BOARD)
    log.plan(first)
    log.plan(second)
    log.restriction(zone)
    log.write()
    log.now += 10
    log.plan(first)
    log.removed(second.id)
    log.record("plan-states", "no plan of anybody", b"?")
    log.write()

    found = {one.system: one for one in model_of(log).systems()}

    assert set(found) == {first.system, zone.system}
    assert found[first.system].plans == 1
    assert found[first.system].newest_at.timestamp() == pytest.approx(log.now, abs=0.01)
    assert found[zone.system].plans == 0
    assert found[zone.system].newest_at.timestamp() == pytest.approx(log.now - 10, abs=0.01)
