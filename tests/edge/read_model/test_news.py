"""Who waits for news is told of every batch, and of what was written between looking and waiting."""

from __future__ import annotations

import threading

from edge.read_model import News


def test_what_was_written_before_waiting_is_not_missed() -> None:
    """The number taken before reading is what waiting compares with."""
    news = News()
    seen = news.number
    news.tell()

    assert news.wait(seen, 0) == 1
    assert news.wait(1, 0) == 1


def test_a_waiting_thread_wakes() -> None:
    """A thread that waits goes on as soon as something is written."""
    news, found = News(), []
    thread = threading.Thread(target=lambda: found.append(news.wait(0, 30)))
    thread.start()
    news.tell()
    thread.join(10)

    assert found == [1]


def test_listeners_come_and_go() -> None:
    """A listener is called at every batch until it ends that."""
    news, heard = News(), []
    end = news.listen(lambda: heard.append(1))
    news.tell()
    news.tell()
    end()
    end()
    news.tell()

    assert heard == [1, 1]
