"""Follows the topics the edge must know at any moment, in a thread of its own, and asks whether Kafka answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

from samenloop.errors import Retry
from samenloop.kafka import Publisher, Tail
from samenloop.logs import get_logger
from samenloop.settings import Kafka
from samenloop.stage import Record

_LOOK_SECONDS, _ASK_SECONDS, _PATIENCE_SECONDS = 0.2, 3.0, 10.0
_log = get_logger("edge")

Hears = Callable[[Iterable[Record]], object]


class Following:
    """Tells each listener what is on its topic, such as a keyring of `partners`. Ends with `close`."""

    def __init__(self, kafka: Kafka, listeners: Mapping[str, Hears], publisher: Publisher) -> None:
        self._kafka, self._listeners, self._publisher = kafka, listeners, publisher
        self._caught_up = False
        self._answered_at: float | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="following", daemon=True)
        self._thread.start()

    def awaited(self) -> str | None:
        """Return in words what is still awaited; None when the edge may be asked."""
        if not self._caught_up:
            return f"{' and '.join(self._listeners)} are not read yet"
        if self._answered_at is None or time.monotonic() - self._answered_at > _PATIENCE_SECONDS:
            return "Kafka does not answer"
        return None

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Retry as error:
                _log.warning("kafka.waiting", "Kafka does not answer yet.", detail=error.detail)
                self._stop.wait(1)

    def _follow(self) -> None:
        """Read all, then what comes. A new tail starts from the beginning, so a key that went is dropped again."""
        tail = Tail(self._kafka, list(self._listeners))
        asked_at = 0.0
        try:
            self._hear(tail.catch_up())
            self._caught_up = True
            while not self._stop.wait(_LOOK_SECONDS):
                self._hear(tail.poll())
                if time.monotonic() - asked_at > _ASK_SECONDS or self._answered_at is None:
                    asked_at = time.monotonic()
                    if self._publisher.answers("plan-changes", 2.0):
                        self._answered_at = time.monotonic()
        finally:
            tail.close()

    def _hear(self, records: Iterable[Record]) -> None:
        heard: dict[str, list[Record]] = {topic: [] for topic in self._listeners}
        for record in records:
            heard[record.topic].append(record)
        for topic, found in heard.items():
            self._listeners[topic](found)
