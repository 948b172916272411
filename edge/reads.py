"""Asks the read model from the event loop: in threads, so many at a time, and its errors become problems."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from edge.problems import Fault, Problem
from edge.read_model import CursorExpired, HistoryExpired, ReadModel
from samenloop.contract.cloudevents import timestamp
from samenloop.errors import Reject, Retry

T = TypeVar("T")
_AT_ONCE, _MOST_WAITING = 4, 256


class Reads:
    """Questions to the read model. *metric_crs* is the hub's. Used from one event loop."""

    def __init__(self, model: ReadModel, *, metric_crs: str) -> None:
        self.model, self.metric_crs = model, metric_crs
        self._threads = ThreadPoolExecutor(_AT_ONCE, "reading")
        self._waiting = 0

    async def ask(self, question: Callable[[ReadModel], T]) -> T:
        """Return the answer to *question*, which runs in another thread.

        Raises Problem: `malformed`, `cursor-expired`, `history-expired`, `unavailable` where too many wait.
        """
        if self._waiting >= _MOST_WAITING:
            raise Problem("unavailable", "Too many questions wait for an answer.", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, question, self.model)
        except (Reject, CursorExpired, HistoryExpired, Retry) as error:
            raise problem_of(error) from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Wait for questions under way and close the file."""
        self._threads.shutdown()
        self.model.close()


def problem_of(error: Reject | CursorExpired | HistoryExpired | Retry) -> Problem:
    """Return how an error of the read model is told."""
    if isinstance(error, CursorExpired):
        return Problem("cursor-expired", f"The cursor cannot be continued: {error.detail}.")
    if isinstance(error, HistoryExpired):
        oldest = timestamp(error.oldest).decode()
        return Problem("history-expired", f"What was known is kept from {oldest} on.", more={"oldest": oldest})
    if isinstance(error, Retry):
        return Problem("unavailable", "The hub is not ready to be read.", headers={"Retry-After": "2"})
    fault = Fault(f"/query/{error.field or ''}", error.code, error.detail)
    return Problem("malformed", "Parameters are not as they should be.", [fault])
