"""The transactional loop that drives every stage: read, compute once, write outputs and positions together.

A batch is processed exactly once in memory. If its transaction is aborted, the *same* outputs are written again; the
consumer is never rewound and nothing is computed twice. Where that is impossible the process ends (see
`samenloop.kafka.exits`) and its successor rebuilds the state from Kafka: there is no undo.

A stage with a lead topic of one partition has one worker; other members of its group stand by and Kafka promotes one
when the worker goes. Whoever holds partition 0 of the lead also reads the topics the stage follows, whole; their
positions are committed in the same transactions under the same generation, so a worker that was replaced while it
slept can write nothing any more.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from samenloop import clock, metrics, tracing
from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.assignment import Given
from samenloop.kafka.exits import Exit, leave
from samenloop.kafka.names import group_on_wire, topic_on_wire, transactional_id
from samenloop.kafka.positions import Positions
from samenloop.kafka.reader import TopicReader, partitions_of
from samenloop.kafka.records import Message, Topics
from samenloop.kafka.refusals import NOT_ALLOWED
from samenloop.kafka.transactions import Transactions
from samenloop.kafka.watchdog import Heart
from samenloop.logs import get_logger
from samenloop.settings import Kafka
from samenloop.stage import Output, Partition, Record, Stage

ASSIGN_SECONDS = 60.0
"""How long a rebuild may go without a sign of progress."""
_COMMITTED_SECONDS = 30.0
_SELDOM = (100_000, 50, 100)
"""When Python looks for cycles. State is large and has none: looking took a fifth of all CPU at 200,000 plans."""
_GONE = {KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE, KafkaError.UNKNOWN_TOPIC_OR_PART}
_DEAD = {KafkaError._FATAL, KafkaError.FENCED_INSTANCE_ID}

_log = get_logger("kafka")


def run_stage(
    stage: Stage,
    kafka: Kafka,
    *,
    slot: str,
    stop: threading.Event,
    on_turn: Callable[[], object] | None = None,
    on_ready: Callable[[], object] | None = None,
    on_rebuild: Callable[[], object] | None = None,
) -> None:
    """Run *stage* until *stop* is set; then finish the transaction at hand and leave the group.

    *slot* is the stable name of this worker among those of the stage. *on_turn* is called at every turn, *on_ready*
    when the group has said which partitions are ours (none: standing by), *on_rebuild* before their state is rebuilt.
    Raises Retry when the stage does, or Kafka at the start; ends the process with a code of `samenloop.kafka.exits`
    whenever the outcome of something is in doubt.
    """
    with Heart(stage.name, kafka.watchdog_seconds) as heart:
        loop = _Loop(stage, kafka, slot, heart)
        try:
            loop.start(on_ready or bool, on_rebuild or bool)
            while not stop.is_set():
                loop.turn()
                if on_turn is not None:
                    on_turn()
        finally:
            heart.beat()
            loop.close()


class _Loop:
    def __init__(self, stage: Stage, kafka: Kafka, slot: str, heart: Heart) -> None:
        name = transactional_id(kafka.prefix, stage.name, slot)
        self._stage, self._kafka, self._heart = stage, kafka, heart
        self._consumer: Consumer = clients.member(kafka, group_on_wire(kafka.prefix, stage.name), name)
        self._admin = clients.administrator(kafka)
        producer = clients.transactional_producer(kafka, name)
        self._transactions = Transactions(producer, kafka.prefix, timeout_seconds=kafka.transaction_timeout_seconds)
        self._topics = Topics(kafka.prefix)
        self._positions = Positions(kafka.prefix)
        self._pending: list[Output] = []
        self._hop = tracing.hop(stage.name)
        self._on_ready: Callable[[], object] = bool
        self._on_rebuild: Callable[[], object] = bool

    def start(self, on_ready: Callable[[], object], on_rebuild: Callable[[], object]) -> None:
        """Take the slot *before* joining the group: a predecessor's open transaction would block the positions."""
        self._on_ready, self._on_rebuild = on_ready, on_rebuild
        gc.set_threshold(*_SELDOM)
        self._transactions.init(self._heart.beat)
        lead = topic_on_wire(self._kafka.prefix, self._stage.lead)
        self._consumer.subscribe([lead], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)

    def turn(self) -> None:
        """Take what is there, compute, commit."""
        self._heart.beat()
        messages = self._consumer.consume(self._kafka.batch_records, self._kafka.batch_wait_ms / 1000)
        self._heart.beat()
        if self._pending:
            self._commit(self._pending)
            self._pending = []
        if not self._positions.ours:
            return
        records = self._accept(messages) if messages else []
        with self._hop.over(records):
            outputs = self._hop.mark(self._compute(records))
            self._heart.beat()
            if outputs or self._positions.moved(self._stage.held()):
                self._commit(outputs)

    def _accept(self, messages: Sequence[Message]) -> list[Record]:
        """Turn messages into records. One of a partition that left us in the middle of the call is not ours to do."""
        record, take = self._topics.record, self._positions.take
        taken = []
        for message in messages:
            error = message.error()
            if error is not None:
                self._unexpected(error)
            elif take(message):
                taken.append(record(message))
        return taken

    def _compute(self, records: Sequence[Record]) -> list[Output]:
        now = clock.now()
        outputs: list[Output] = []
        if records:
            began = time.perf_counter()
            outputs += self._stage.process(records, now)
            share = (time.perf_counter() - began) / len(records)
            metrics.PROCESSOR_DURATION_SECONDS.labels(processor=self._stage.name).observe(share)
        outputs += self._stage.idle(now)
        return outputs

    def _commit(self, outputs: Sequence[Output]) -> None:
        """An unchanged position is sent too: without any, nothing would check that we are still a member."""
        offsets = self._positions.to_commit(self._stage.held())
        self._transactions.commit(outputs, offsets, self._consumer)
        self._positions.committed(offsets)

    def _unexpected(self, error: KafkaError) -> None:
        code = error.code()
        if code in _DEAD or error.fatal():  # `fatal()` alone is False on the event that says so
            leave(Exit.LEFT_BEHIND, detail=error.str())
        if code in NOT_ALLOWED:
            leave(Exit.NOT_ALLOWED, detail=error.str())
        if code in _GONE:
            leave(Exit.NO_POSITION, detail=error.str())
        _log.warning("kafka.event", "Kafka reports something that heals itself.", detail=error.str())

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Runs inside `consume`, never inside a transaction. An exception here would be told once and then ignored:
        the partition would be consumed without state. So nothing may escape.
        """
        try:
            self._take(consumer, partitions)
        except BaseException as error:  # noqa: BLE001 - the process ends
            leave(Exit.NOT_REBUILT, exc_info=not isinstance(error, Retry), detail=str(error))

    def _take(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        began = time.monotonic()
        self._heart.beat(ASSIGN_SECONDS)
        if partitions:
            self._on_rebuild()
            inputs = partitions + (self._followed() if any(p.partition == 0 for p in partitions) else [])
            offsets = self._committed(consumer, inputs)
            committed = self._positions.begin(offsets)
            self._pending += self._rebuild([p.partition for p in partitions], committed)
            consumer.incremental_assign(offsets)
            gc.freeze()  # what was rebuilt stays
        else:
            consumer.incremental_assign([])
        seconds = time.monotonic() - began
        numbers = sorted(p.partition for p in partitions)
        _log.info("kafka.assigned", "Partitions are ours.", stage=self._stage.name, partitions=numbers, seconds=seconds)
        metrics.CONSUMER_REBALANCES_TOTAL.labels(group=self._stage.name).inc()
        metrics.CONSUMER_REBALANCE_DURATION_SECONDS.labels(group=self._stage.name).observe(seconds)
        self._heart.beat()
        self._on_ready()

    def _followed(self) -> list[TopicPartition]:
        names = [topic_on_wire(self._kafka.prefix, topic) for topic in self._stage.follows]
        return [TopicPartition(name, number) for name in names for number in partitions_of(self._admin, name)]

    def _committed(self, consumer: Consumer, inputs: list[TopicPartition]) -> list[TopicPartition]:
        """Wait for a predecessor's transaction to end, then return where to go on."""
        offsets: list[TopicPartition] = consumer.committed(inputs, _COMMITTED_SECONDS)
        for offset in offsets:
            if offset.error is not None:
                raise KafkaException(offset.error)
            if offset.offset < 0:
                leave(Exit.NO_POSITION, topic=offset.topic, partition=offset.partition)
        return offsets

    def _rebuild(self, partitions: list[int], committed: dict[Partition, int]) -> Sequence[Output]:
        def alive() -> None:
            self._heart.beat(ASSIGN_SECONDS)

        def remaining(topic: str, records: int) -> None:
            metrics.TABLE_RECOVERY_REMAINING_RECORDS.labels(table=topic).set(records)

        with TopicReader(self._kafka, patience_seconds=ASSIGN_SECONDS, alive=alive, remaining=remaining) as reader:
            return self._stage.assign(Given(partitions, committed, reader))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Also called when the partitions are already lost. What was to be said at the start cannot be split."""
        try:
            if self._pending:
                leave(Exit.LEFT_BEHIND, detail="partitions were taken back before the first transaction")
            numbers = sorted(p.partition for p in partitions)
            gone = self._positions.end(partitions, everything_followed=0 in numbers)
            self._stage.revoke(numbers)
            consumer.incremental_unassign(gone)
            _log.info("kafka.revoked", "Partitions are no longer ours.", stage=self._stage.name, partitions=numbers)
        except BaseException as error:  # noqa: BLE001 - the process ends
            leave(Exit.NOT_REBUILT, exc_info=True, detail=str(error))

    def close(self) -> None:
        """Leave the group, so that a standby takes over at once."""
        self._consumer.close()
