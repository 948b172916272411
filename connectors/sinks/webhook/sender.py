"""The talking half: signed POSTs from an event loop in a thread of its own. It decides nothing.

Each attempt ends in an `Answer`, whatever happens; addresses and secrets are never repeated in it.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from queue import Empty, SimpleQueue

import httpx
from httpx_secure import SSRFProtectionError

from connectors.sinks.webhook.answers import Answer
from samenloop import clock, webhooks
from samenloop.errors import Reject, Retry
from samenloop.outgoing import guarded_client
from samenloop.settings import Delivery as Settings

_ANSWER_BYTES = 65_536
_RESOLVERS = 16


@dataclass(frozen=True, slots=True, eq=False)
class Attempt:
    """One POST: an alert's id, where to, what, signed with which secrets; *at* is when it was decided.

    *headers* go with it, beside those that every POST has.
    """

    alert_id: str
    url: str
    body: bytes
    secrets: Sequence[str]
    at: datetime
    headers: Mapping[str, str] = field(default_factory=dict)


class Sender:
    """Sends attempts and collects their answers; `start` once, then `send` and `answers` from one thread."""

    def __init__(self, settings: Settings, destinations: webhooks.Destinations) -> None:
        self._settings, self._destinations = settings, destinations
        self._answers: SimpleQueue[tuple[Attempt, Answer]] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="webhook-sender", daemon=True)
        self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="webhook-dns")
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: BaseException | None = None

    def start(self) -> None:
        """Start the thread; a second call does nothing."""
        if not self._thread.is_alive():
            self._thread.start()

    def stop(self) -> None:
        """End the thread; attempts under way are dropped without an answer."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    def send(self, attempt: Attempt) -> None:
        """Begin one attempt."""
        self._loop.call_soon_threadsafe(self._begin, attempt)

    def answers(self) -> list[tuple[Attempt, Answer]]:
        """Return the attempts that ended since the last call; raises what should never have happened in one."""
        if self._broken is not None:
            raise self._broken
        found: list[tuple[Attempt, Answer]] = []
        while True:
            try:
                found.append(self._answers.get_nowait())
            except Empty:
                return found

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._client = self._open()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._close())
            self._loop.close()

    def _open(self) -> httpx.AsyncClient:
        return guarded_client(self._destinations, connections=self._settings.concurrency)

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def _begin(self, attempt: Attempt) -> None:
        task = self._loop.create_task(self._attempt(attempt))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._broken = self._broken or task.exception()

    async def _attempt(self, attempt: Attempt) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._settings.timeout_seconds):
                answer = await self._post(attempt)
        except TimeoutError:
            answer = Answer(problem="timeout")
        except (httpx.HTTPError, SSRFProtectionError, Reject, Retry, OSError) as error:
            answer = Answer(problem=_problem(error))
        took = int((time.monotonic() - began) * 1000)
        self._answers.put((attempt, replace(answer, duration_ms=took, sent_hash=sha256(attempt.body).digest())))

    async def _post(self, attempt: Attempt) -> Answer:
        assert self._client is not None
        await self._loop.run_in_executor(self._resolvers, self._destinations.check, attempt.url)
        headers = _headers(attempt)
        self._client.cookies.clear()
        async with self._client.stream("POST", attempt.url, content=attempt.body, headers=headers) as response:
            read = 0
            async for chunk in response.aiter_raw():  # the connection can be used again only when it was read
                read += len(chunk)
                if read > _ANSWER_BYTES:
                    break
            return Answer(response.status_code, None, response.headers.get("retry-after"), response.headers.get("etag"))


def _headers(attempt: Attempt) -> Mapping[str, str]:
    return {
        **attempt.headers,
        "content-type": "application/cloudevents+json; charset=utf-8",
        **webhooks.sign(attempt.secrets, attempt.alert_id, clock.now(), attempt.body),
    }


def _problem(error: BaseException) -> str:
    """Return the code of what went wrong before an answer came."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Reject | SSRFProtectionError | httpx.UnsupportedProtocol | httpx.InvalidURL):
            return "address"
        if isinstance(seen, ssl.SSLError):
            return "tls"
        if isinstance(seen, httpx.TimeoutException):
            return "timeout"
        seen = seen.__cause__ or seen.__context__
    return "connect"
