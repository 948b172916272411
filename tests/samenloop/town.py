"""A small town on a secure Kafka: every process of the hub under its own principal, two sources, one receiver."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import yaml

from samenloop import clock, model
from samenloop.cli.up import parts_of
from samenloop.contract import Codec
from samenloop.contract.registry import register_schemas
from samenloop.credentials import signed_in
from samenloop.demo.region import GEMEENTE, TOWN
from samenloop.demo.workplace import drop, furnish
from samenloop.kafka import apply_topics, read_topic
from samenloop.kafka.access import accesses
from samenloop.kafka.authorize import Authorizer
from samenloop.localstack import LocalStack
from samenloop.localstack.ports import free_ports
from samenloop.partners import add_partner
from samenloop.receiver import Receiver
from samenloop.settings import Hub, Kafka, load_hub
from samenloop.subscription_life import ask_now, begin
from samenloop.subscriptions import wish_of
from samenloop.supervisor import Supervisor

SOURCES = ("gemeente-havervoort", "waterschap-de-wetering")


class Town:
    """The hub of the demonstration with two of its sources, on *stack*, its files in *folder*."""

    def __init__(self, folder: Path, stack: LocalStack, receiver: Receiver) -> None:
        self.folder, self.stack, self.receiver = folder, stack, receiver
        self.credentials = folder / "credentials"
        (port,) = free_ports(1)
        self.file = furnish(folder, bootstrap="", registry_url="", feed_url="http://127.0.0.1:9", edge_port=port)
        self.said: deque[str] = deque(maxlen=200)
        self.restarts = 0
        self._codec: Codec | None = None

    def settle(self) -> None:
        """Write the settings for the stack as it is now; make users, rights, schemas and topics."""
        settings = yaml.safe_load(self.file.read_text())
        settings["kafka"] = {
            "bootstrap_servers": self.stack.bootstrap,
            "prefix": "town.",
            "security_protocol": "SASL_SSL",
            "ssl_ca_location": str(self.stack.ca),
            "credentials_dir": str(self.credentials),
        }
        settings["registry"] = {"url": self.stack.registry_url, "ssl_ca_location": str(self.stack.ca)}
        settings["sources"] = {name: settings["sources"][name] for name in SOURCES}
        self.file.write_text(yaml.safe_dump(settings))
        self._codec = None
        authorizer = Authorizer(self.admin, accesses(SOURCES).values())
        authorizer.grant(authorizer.differences().lacking)
        authorizer.make_users(self.credentials)
        retried(lambda: apply_topics(self.hub("setup").kafka))

    def register(self) -> None:
        """Register the schemas."""
        register_schemas(self.hub("setup").registry, "town.")

    @property
    def admin(self) -> Kafka:
        """Who gives rights."""
        folder = self.stack.credentials("admin")
        return Kafka(
            bootstrap_servers=self.stack.admin_bootstrap,
            prefix="town.",
            security_protocol="SSL",
            ssl_ca_location=self.stack.ca,
            ssl_certificate_location=folder / "user.crt",
            ssl_key_location=folder / "user.key",
        )

    def hub(self, principal: str = "operator") -> Hub:
        """Return the settings with the credentials of *principal*."""
        return signed_in(load_hub(self.file, {}), principal)

    def codec(self) -> Codec:
        """Return the codec of the stack as it is now: it asks the registry for every schema, so once."""
        if self._codec is None:
            hub = self.hub()
            self._codec = Codec.from_registry(hub.registry, hub.kafka.prefix, host=hub.hub.schema_host)
        return self._codec

    def subscribe(self) -> None:
        """Admit the municipality and tell it of what concerns the town."""
        hub, codec = self.hub(), self.codec()
        add_partner(hub, codec, *GEMEENTE, now=clock.now())
        wish = wish_of(
            {"subscriber": GEMEENTE[0], "sink": self.receiver.url, "area": {"bbox": TOWN, "crs": "EPSG:28992"}}
        )
        _, self.receiver.secret = begin(hub, codec, wish, ask_now(hub, wish.sink), now=clock.now())

    def week(self, number: int) -> None:
        """Let the exports of a week fall."""
        drop(self.folder, number)

    def finals(self) -> Counter[UUID]:
        """Return how many final receipts each alert has."""
        codec = self.codec()
        receipts = [
            codec.decode("receipts", r.value or b"", r.headers) for r in read_topic(self.hub().kafka, "receipts")
        ]
        return Counter(one.alert_id for one in receipts if one.outcome is not model.Outcome.RETRY)

    @contextmanager
    def running(self) -> Iterator[Supervisor]:
        """Keep every process of the settings running, as `samenloop up` does."""
        supervisor = Supervisor(
            parts_of(self.hub(), self.file), tell=lambda name, line: self.said.append(f"{name} | {line}")
        )
        loop, stop = asyncio.new_event_loop(), asyncio.Event()
        thread = threading.Thread(target=lambda: loop.run_until_complete(supervisor.run(stop)))
        thread.start()
        try:
            yield supervisor
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join()
            loop.close()

    def wait(self, done: Callable[[], object], seconds: float = 180) -> None:
        """Wait until *done*; what the processes said last is in the failure."""
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, "\n".join(self.said)
            time.sleep(0.3)


def retried(ask: Callable[[], object], seconds: float = 120) -> None:
    """Do it again while a user that was made just now is not known yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            ask()
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
