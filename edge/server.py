"""Runs the edge: uvicorn over the application, keys followed live, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn

from edge.app import create_app
from edge.desk import Desk
from edge.filling import Filling
from edge.following import Following
from edge.intake import Intake
from edge.keyring import Keyring
from edge.limits import WRONG_KEYS_AT_ONCE, Buckets
from edge.read_model import News, ReadModel
from edge.reads import Reads
from edge.services import EdgeServices
from edge.shelf import KafkaShelf
from edge.streaming import Streams
from edge.subscribing import Book, Subscribing
from edge.systems import Systems
from samenloop import metrics
from samenloop.contract import Codec
from samenloop.errors import BadSettings
from samenloop.kafka import Publisher
from samenloop.logs import get_logger
from samenloop.probe import probe_system
from samenloop.settings import Edge, Hub
from samenloop.subscription_life import follow
from samenloop.systems import readable
from samenloop.webhooks import Destinations, read_master_key

_LOOK_SECONDS = 0.1
_SELDOM = (100_000, 50, 100)
"""When Python looks for cycles: a batch makes many objects and no cycles."""
_log = get_logger("edge")


def serve(
    hub: Hub,
    codec: Codec,
    *,
    stop: threading.Event,
    on_turn: Callable[[], object],
    on_awaited: Callable[[str | None], object],
) -> None:
    """Serve until *stop* is set; then take no more requests and finish those under way.

    *on_turn* is called as long as the event loop turns, *on_awaited* with what is still awaited, None when Kafka
    answers, all keys are known and the read model has caught up. Raises BadSettings when the address cannot be listened
    on, or a master key is named that cannot be used.
    """
    settings = hub.edge
    master_key = read_master_key(hub.delivery) if hub.delivery.master_key_file is not None else None
    gc.set_threshold(*_SELDOM)
    with _listening(settings) as listener:
        filling = Filling(hub, codec, listener.getsockname()[1], stop)
        base_url = (settings.base_url or f"http://{_address(listener)}").rstrip("/")
        publisher = Publisher(hub.kafka, acknowledge_seconds=settings.acknowledge_seconds)
        keyring, book, systems = Keyring(codec), Book(codec), _systems(hub, codec)
        shelf = KafkaShelf(hub, codec)
        following = Following(
            hub.kafka, {"partners": keyring.hear, "subscriptions": book.hear, "sources": systems.hear}, publisher
        )
        services = EdgeServices(
            settings=settings,
            base_url=base_url,
            keyring=keyring,
            sends=publisher,
            intake=Intake.from_hub(hub, codec),
            buckets=Buckets(settings.requests_per_minute, settings.requests_at_once),
            wrong_keys=Buckets(settings.wrong_keys_per_minute, WRONG_KEYS_AT_ONCE),
            reads=Reads(
                ReadModel(filling.path, metric_crs=hub.hub.metric_crs, news=filling.news),
                metric_crs=hub.hub.metric_crs,
            ),
            streams=streams_of(settings, filling.news),
            systems=systems,
            awaited=following.awaited,
            unread=filling.awaited,
            desk=Desk(shelf, book.ids_of),
        )
        if master_key is not None:
            services.subscribing = _subscribing(hub, master_key, codec, book, services)
        _show(filling)
        _log.info("edge.listening", "Partners may send and ask here once the process is ready.", url=base_url,
                  listens=_address(listener))  # fmt: skip
        try:
            asyncio.run(_serve(services, listener, stop, on_turn, on_awaited))
        finally:
            following.close()
            publisher.close(settings.acknowledge_seconds)
            services.close()
            shelf.close()
            services.reads.close()
            filling.close()


def _show(filling: Filling) -> None:
    metrics.DLQ_RECORDS_TOTAL.start(topic="events")
    for topic in ("plan-changes", "restriction-reports", "subscriptions", "dead-letters", "dead-letter-states"):
        metrics.PRODUCER_RECORDS_TOTAL.start(topic=topic)
    metrics.at_scrape(filling.show)


def _subscribing(hub: Hub, key: bytes, codec: Codec, book: Book, services: EdgeServices) -> Subscribing:
    destinations = Destinations(hub.delivery)
    return Subscribing(hub, key, codec, book, services.sent, partial(follow, hub, codec), services.worker, destinations)


def _systems(hub: Hub, codec: Codec) -> Systems:
    return Systems(codec, probe_system(hub.hub.oin), readable(hub))


def streams_of(settings: Edge, news: News) -> Streams:
    """Return the streams that *settings* allow."""
    return Streams(
        news,
        most=settings.streams,
        per_partner=settings.streams_per_partner,
        seconds=settings.stream_minutes * 60,
    )


async def _serve(
    services: EdgeServices,
    listener: socket.socket,
    stop: threading.Event,
    on_turn: Callable[[], object],
    on_awaited: Callable[[str | None], object],
) -> None:
    config = uvicorn.Config(
        create_app(services),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        proxy_headers=False,
        timeout_graceful_shutdown=int(services.settings.shutdown_seconds) or 1,
        timeout_keep_alive=30,
    )
    server = _Server(config)

    async def look() -> None:
        while not stop.is_set():
            on_turn()
            on_awaited(services.awaited() or services.unread())
            await asyncio.sleep(_LOOK_SECONDS)
        services.streams.end()
        server.should_exit = True

    looking = asyncio.create_task(look())
    await server.serve(sockets=[listener])
    stop.set()
    await looking


class _Server(uvicorn.Server):
    """Signals are the process's own business: it sets *stop*."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listening(settings: Edge) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=512)
    except OSError as error:
        raise BadSettings(
            [f"edge.port: {settings.host}:{settings.port} cannot be listened on ({error.strerror})"]
        ) from error


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"{host}:{port}"
