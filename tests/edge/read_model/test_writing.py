"""The file beside those who read it."""

import threading

import pytest

from edge.read_model import writing
from edge.read_model.layout import log_of, open_reader
from tests.edge.read_model.conftest import Log, make_plan


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
