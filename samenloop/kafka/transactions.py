"""One Kafka transaction: outputs and positions together, or nothing.

What each failure means was measured on a real broker: "retriable" on commit, abort and init asks for the same call
again; on sending offsets it is a trap, because the call then blocks for ever, so the process ends instead; a failed
delivery, or a member that joined meanwhile, asks for an abort and the same outputs once more; everything else leaves
the outcome in doubt.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NoReturn

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from samenloop import metrics
from samenloop.kafka.exits import Exit, leave
from samenloop.kafka.names import topic_on_wire
from samenloop.kafka.refusals import NOT_ALLOWED
from samenloop.logs import get_logger
from samenloop.stage import Output

_FENCED = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
_LEFT_BEHIND = {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.STALE_MEMBER_EPOCH, KafkaError.FENCED_INSTANCE_ID}
_REBALANCING = {KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS}
_REBALANCE_SECONDS = 5.0
_SEND_OFFSETS_SECONDS = 10.0
_END_SECONDS = 30.0
_INIT_SECONDS = 5.0

_log = get_logger("kafka")


class Transactions:
    """The transactions of one slot. Every way out of `commit` but the good one ends the process."""

    def __init__(self, producer: Producer, prefix: str, *, timeout_seconds: float) -> None:
        self._producer = producer
        self._timeout = timeout_seconds
        self._name = lru_cache(maxsize=200)(lambda topic: topic_on_wire(prefix, topic))

    def init(self, waiting: Callable[[], object] = bool) -> None:
        """Take the slot: end what a predecessor left open and fence it. Waits for as long as Kafka is away."""
        while True:
            try:
                self._producer.init_transactions(_INIT_SECONDS)
                return
            except KafkaException as error:
                if not _kafka_error(error).retriable():
                    self._give_up(error)
                _log.warning("kafka.waiting", "Kafka does not answer yet.", detail=str(_kafka_error(error)))
                waiting()
                self._producer.poll(0.2)

    def commit(self, outputs: Sequence[Output], offsets: list[TopicPartition], consumer: Consumer | None) -> None:
        """Write *outputs* and, for *consumer*, *offsets*, in one transaction; returns when it is committed.

        A member may join in the middle: its group then has a new generation, which we are told in the background. Our
        partitions stay ours until we give them back in a callback, which cannot happen in here; so the same outputs
        are written again under the new generation. Who was thrown out has no generation and ends.
        """
        until = time.monotonic() + _REBALANCE_SECONDS
        while (cause := self._try(outputs, offsets, consumer)) is not None:
            rebalancing = cause.code() in _REBALANCING
            if cause.code() in _LEFT_BEHIND or (rebalancing and time.monotonic() > until):
                leave(Exit.LEFT_BEHIND, detail=str(cause))
            if rebalancing:
                time.sleep(0.05)
            else:
                _log.warning("kafka.again", "A transaction was aborted; the same outputs are written again.")
        for topic, count in Counter(output.topic for output in outputs).items():
            metrics.PRODUCER_RECORDS_TOTAL.labels(topic=topic, outcome="acked").inc(count)

    def _try(
        self, outputs: Sequence[Output], offsets: list[TopicPartition], consumer: Consumer | None
    ) -> KafkaError | None:
        """Return None when it is committed, else why it was aborted."""
        began = time.monotonic()
        try:
            self._producer.begin_transaction()
            self._produce(outputs)
            if consumer is not None:
                self._send_offsets(offsets, consumer)
            _until_not_retriable(lambda: self._producer.commit_transaction(_END_SECONDS))
        except KafkaException as error:
            return self._abort(error, began)
        return None

    def _produce(self, outputs: Sequence[Output]) -> None:
        produce, name = self._producer.produce, self._name
        for output in outputs:
            partition = -1 if output.partition is None else output.partition
            while True:
                try:
                    key = output.key.encode("utf-8", "surrogateescape")
                    produce(name(output.topic), output.value, key, partition, headers=list(output.headers))
                    break
                except BufferError:
                    self._producer.poll(0.05)

    def _send_offsets(self, offsets: list[TopicPartition], consumer: Consumer) -> None:
        try:
            group = consumer.consumer_group_metadata()  # fresh: a rebalance makes the last one void
            if not consumer.memberid():
                # Metadata of a member that was thrown out is empty, and the broker takes empty metadata for that of
                # an old client without a group: it would let us commit.
                leave(Exit.LEFT_BEHIND, detail="no longer a member of the group")
            self._producer.send_offsets_to_transaction(offsets, group, _SEND_OFFSETS_SECONDS)
        except KafkaException as error:
            cause = _kafka_error(error)
            if cause.retriable() and not cause.txn_requires_abort():
                leave(Exit.IN_DOUBT, call="send_offsets", detail=str(cause))
            raise

    def _abort(self, error: KafkaException, began: float) -> KafkaError:
        cause = _kafka_error(error)
        if cause.code() in NOT_ALLOWED:
            leave(Exit.NOT_ALLOWED, detail=str(cause))
        if cause.fatal() or not cause.txn_requires_abort():
            self._give_up(error, began)
        try:
            _until_not_retriable(lambda: self._producer.abort_transaction(_END_SECONDS))
        except KafkaException as second:
            self._give_up(second, began)
        return cause

    def _give_up(self, error: KafkaException, began: float | None = None) -> NoReturn:
        """A transaction that outlived its timeout looks fenced as well, though nobody took the slot."""
        cause = _kafka_error(error)
        if cause.code() in NOT_ALLOWED:
            leave(Exit.NOT_ALLOWED, detail=str(cause))
        if cause.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.UNKNOWN_TOPIC_OR_PART):
            raise error
        outlived = began is not None and time.monotonic() - began > self._timeout
        code = Exit.FENCED if cause.code() in _FENCED and not outlived else Exit.IN_DOUBT
        leave(code, detail=str(cause), fatal=cause.fatal())


def _until_not_retriable(call: Callable[[], object]) -> None:
    while True:
        try:
            call()
            return
        except KafkaException as error:
            if not _kafka_error(error).retriable():
                raise
            _log.warning("kafka.same_again", "Kafka asks for the same call again.", detail=str(_kafka_error(error)))


def _kafka_error(error: KafkaException) -> KafkaError:
    cause: KafkaError = error.args[0]
    return cause
