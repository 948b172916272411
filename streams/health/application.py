"""The Faust application: topics, tables and agents of the view, each with its name."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import faust
from aiokafka import AIOKafkaConsumer
from faust.tables.manager import TableManager
from faust.transport.drivers import aiokafka as driver

from samenloop import metrics
from samenloop.errors import BadSettings, Reject
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.letters import letter_output
from samenloop.logs import get_logger
from samenloop.model import DeadLetter
from samenloop.settings import Hub, Kafka
from samenloop.source_account import SOURCE_POLLED
from samenloop.source_health import Account, to_plain
from streams.health.monitor import Monitor
from streams.health.topics import poll_of, tell_unreadable
from streams.health.view import View

if TYPE_CHECKING:
    from samenloop.contract import Codec
    from samenloop.stage import Headers

log = get_logger("health")
PLACE = "place"
"""Header of a record of `health-facts`: its offset in the topic it came from."""
RECOUNTED = ("ce_type", b"recounted")
"""Header of the record that lets the owner of the tables take a recount over: tables are written in a stream only."""


class _CommittedThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: driver.Transport) -> AIOKafkaConsumer:
        """Let the consumer read committed records only. Faust does so for its own transactions alone.

        aiokafka looks at the level when it is started, which is after this. A test shows that an aborted poll is
        not seen.
        """
        consumer = super()._create_worker_consumer(transport)
        assert consumer._isolation_level in ("read_uncommitted", "read_committed")
        consumer._isolation_level = "read_committed"
        return consumer

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Look whether a stream hangs. Nobody reads the changelog of a table after its recovery: that is no stream.

        Faust takes it for one, and says every few seconds that it has not started.
        """
        if tp.topic not in self.consumer.app.tables.changelog_topics:
            super().verify_event_path(now, tp)


class _CommittedConsumer(driver.Consumer):
    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _CommittedThread(self, loop=self.loop, beacon=self.beacon)


class _Transport(driver.Transport):
    Consumer = _CommittedConsumer


class _App(faust.App):
    def _new_transport(self) -> Any:
        return _Transport(self.conf.broker_consumer, self)


class Application:
    """The view's agents and tables around *view*. One instance lives in one worker, on its event loop."""

    def __init__(self, hub: Hub, codec: Codec, hub_urn: str, view: View, take_over: Callable[[], object]) -> None:
        self.take_over = take_over
        self.view, self._codec, self._hub_urn, self._prefix = view, codec, hub_urn, hub.kafka.prefix
        self.app = _app(hub)
        topics = {name: self._topic(name) for name in ("polls", "dead-letters", "health-facts", "sources")}
        self._facts, self._sources = topics["health-facts"], topics["sources"]
        self.accounts = self._table("health-accounts")
        self.letters = self._table("health-letters")
        self.app.agent(topics["polls"], name="health-polls")(self._hand_on_polls)
        self.app.agent(topics["dead-letters"], name="health-dead-letters")(self._hand_on_letters)
        self.app.agent(self._facts, name="health-facts")(self._hear)

    @property
    def speaks(self) -> bool:
        """Whether this worker owns the one partition of the facts, and its tables are recovered."""
        if self.app.rebalancing or not self.settled:
            return False
        return self._facts.get_topic_name() in {tp.topic for tp in self.app.assignor.assigned_actives()}

    @property
    def settled(self) -> bool:
        """Whether this worker has its partitions, whichever they are, and its tables."""
        return not self.app.rebalancing and cast(TableManager, self.app.tables).recovery.completed.is_set()

    async def say(self, key: str, value: bytes | None, headers: Headers) -> None:
        """Write one status and wait until Kafka has it."""
        await (await self._sources.send(key=key.encode(), value=value, headers=list(headers)))

    async def send_recounted(self) -> None:
        """Ask the agent that owns the tables to call `take_over`; wait until Kafka has the request."""
        await (await self._facts.send(key=b"recounted", value=b"", headers=[RECOUNTED]))

    def keep(self, known: Mapping[str, Account]) -> None:
        """Let the tables hold what the view holds; *known* are the accounts that they held so far."""
        for name, account in self.view.accounts.items():
            if known.get(name) != account:
                self.accounts[name] = to_plain(account)
        counted = {letter_id: list(entry) for letter_id, entry in self.view.letters.items()}
        held = dict(self.letters.items())
        for letter_id, entry in counted.items():
            if held.get(letter_id) != entry:
                self.letters[letter_id] = entry
        for letter_id in held.keys() - counted.keys():
            del self.letters[letter_id]

    async def _hand_on_polls(self, stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            if message.value is not None:
                place = (PLACE, str(message.offset).encode())
                headers = [*message.headers, place]
                await self._facts.send(key=message.key, value=message.value, headers=headers)

    async def _hand_on_letters(self, stream: Any) -> None:
        """Hand dead letters on without the bytes of the record they are about."""
        async for event in stream.events():
            message = event.message
            letter = self._read("dead-letters", message)
            if letter is not None:
                kept = tuple(header for header in letter.headers if header.name == "ce_source")
                light = replace(letter, value=None, headers=kept)
                output = letter_output(self._codec, self._hub_urn, light)
                await self._facts.send(key=output.key.encode(), value=output.value, headers=list(output.headers))

    async def _hear(self, stream: Any) -> None:
        async for event in stream.events():
            message = event.message
            if RECOUNTED in message.headers:
                self.take_over()
                continue
            try:
                changed = self._hear_one(message.value, tuple(message.headers))
            except Reject as error:
                outcome = "error"
                tell_unreadable("health-facts", message.partition, message.offset, error)
            else:
                outcome = "emitted" if changed else "duplicate"
            metrics.PROCESSOR_EVENTS_TOTAL.labels(processor="health", outcome=outcome).inc()

    def _hear_one(self, value: bytes, headers: Headers) -> bool:
        """Count one fact and keep what it changed in the tables. Raises Reject."""
        named = dict(headers)
        if named.get("ce_type") == SOURCE_POLLED.encode():
            own = tuple(header for header in headers if header[0] != PLACE)
            poll, system = poll_of(self._codec, value, own)
            account = self.view.hear_poll(poll, system, int(named[PLACE]))
            if account is not None:
                self.accounts[poll.source] = to_plain(account)
            return account is not None
        letter: DeadLetter = self._codec.decode("dead-letters", value, headers)
        counted = self.view.hear_letter(letter)
        if counted is not None:
            self.letters[str(letter.id)] = list(counted)
        return counted is not None

    def _read(self, topic: str, message: Any) -> Any:
        """Return the record in *message*; None for a tombstone or what cannot be read, which is told."""
        if message.value is None:
            return None
        try:
            return self._codec.decode(topic, message.value, tuple(message.headers))
        except Reject as error:
            tell_unreadable(topic, message.partition, message.offset, error)
            return None

    def _topic(self, name: str) -> Any:
        full_name = topic_on_wire(self._prefix, name)
        return self.app.topic(
            full_name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw", allow_empty=True
        )

    def _table(self, name: str) -> Any:
        changelog = self.app.topic(
            topic_on_wire(self._prefix, f"{name}-table"),
            key_type=str,
            key_serializer="json",
            value_serializer="json",
            partitions=1,
            compacting=True,
            internal=True,
        )
        return self.app.Table(name, partitions=1, changelog_topic=changelog)


def _app(hub: Hub) -> faust.App:
    kafka, folder = hub.kafka, hub.data_dir / "views" / "health"
    folder.mkdir(parents=True, exist_ok=True)
    servers = [f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")]
    app = _App(
        group_on_wire(kafka.prefix, "health"),
        broker=cast(Any, servers),
        broker_credentials=credentials(kafka),
        broker_client_id=group_on_wire(kafka.prefix, "health"),
        broker_session_timeout=kafka.session_timeout_seconds,
        broker_heartbeat_interval=1.0,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        store=_store(hub),
        datadir=str(folder),
        table_standby_replicas=0,
        topic_allow_declare=False,
        topic_disable_leader=True,
        autodiscover=False,
        web_enabled=False,
        Monitor=type("_Monitor", (Monitor,), {"kafka_prefix": kafka.prefix}),
    )
    app.conf.web_enabled = False
    return app


def credentials(kafka: Kafka) -> faust.SSLCredentials | faust.SASLCredentials | None:
    """Return how Faust shows itself to Kafka: the same settings as every other client, in its own form."""
    context = None
    if kafka.security_protocol in ("SSL", "SASL_SSL"):
        context = ssl.create_default_context(cafile=str(kafka.ssl_ca_location) if kafka.ssl_ca_location else None)
        if kafka.ssl_certificate_location is not None:
            context.load_cert_chain(kafka.ssl_certificate_location, kafka.ssl_key_location)
    if kafka.security_protocol.startswith("SASL"):
        password = kafka.sasl_password.get_secret_value() if kafka.sasl_password else None
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=password,
            ssl_context=context,
            mechanism=kafka.sasl_mechanism or "SCRAM-SHA-512",
        )
    return faust.SSLCredentials(context) if context else None


def _store(hub: Hub) -> str:
    if hub.views.store == "memory":
        return "memory://"
    try:
        __import__("rocksdict")
    except ImportError as error:
        raise BadSettings(["views.store: rocksdb needs the package rocksdict, which is not installed"]) from error
    return "rocksdb://?driver=rocksdict"
