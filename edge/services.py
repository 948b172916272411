"""What the routes stand on: settings, keys, the way to Kafka. Routes get it by the dependency `Services`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from fastapi import Depends, Request

from edge.desk import Desk
from edge.intake import Intake
from edge.keyring import Keyring
from edge.limits import Buckets
from edge.reads import Reads
from edge.streaming import Streams
from edge.subscribing import Subscribing
from edge.systems import Systems
from samenloop.settings import Edge
from samenloop.stage import Output


class Sends(Protocol):
    """The way to Kafka."""

    def send(self, outputs: Sequence[Output]) -> Future[None]:
        """Hand over *outputs*; the future is done when Kafka has them all, or fails with Retry."""
        ...


@dataclass
class EdgeServices:
    """All of it. *awaited* says in words what is still awaited before anything can be asked, *unread* before the read
    model can; None when all is well.
    """

    settings: Edge
    base_url: str
    keyring: Keyring
    sends: Sends
    intake: Intake
    buckets: Buckets
    wrong_keys: Buckets
    reads: Reads
    streams: Streams
    systems: Systems
    awaited: Callable[[], str | None] = lambda: None
    unread: Callable[[], str | None] = lambda: None
    subscribing: Subscribing | None = None
    desk: Desk | None = None
    worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "intake"))
    """One thread for what takes time, so that the event loop goes on answering."""

    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(32))
    """So many bodies are in memory at once; who comes later waits with the body unread."""

    def close(self) -> None:
        """Give the threads back."""
        self.worker.shutdown()
        if self.desk is not None:
            self.desk.pool.shutdown(cancel_futures=True)

    async def sent(self, outputs: Sequence[Output]) -> None:
        """Wait until Kafka has *outputs*. Raises Retry."""
        if outputs:
            await asyncio.wrap_future(self.sends.send(outputs))


def _services(request: Request) -> EdgeServices:
    services: EdgeServices = request.app.state.services
    return services


Services = Annotated[EdgeServices, Depends(_services)]
