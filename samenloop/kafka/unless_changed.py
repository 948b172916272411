"""Compare and set on a topic: for writers in processes that do not know of each other, such as two edges and a command.

All writers of one slot share a transactional id. Who begins ends what another has open and fences it: so whatever a
writer sees after it began is all there is, and nothing else of the slot is committed before its own. Who was fenced
begins anew, and looks again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from samenloop.errors import Retry
from samenloop.kafka import clients
from samenloop.kafka.names import topic_on_wire
from samenloop.settings import Kafka
from samenloop.stage import Output

_FENCED: Final = {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
_TRIES, _SECONDS = 8, 15.0


def write_unless_changed(kafka: Kafka, slot: str, look: Callable[[], Sequence[Output] | None]) -> bool:
    """Write what *look* gives, in one transaction; nothing where it gives None. Says whether something was written.

    *look* reads what was committed, and is called again after another writer came between. Raises Retry when Kafka does
    not answer: what was written may be there then.
    """
    for _ in range(_TRIES):
        try:
            return _write(kafka, slot, look)
        except KafkaException as error:
            cause: KafkaError = error.args[0]
            if cause.code() not in _FENCED:
                raise Retry("kafka.unavailable", f"it could not be written: {cause}") from error
            time.sleep(random.uniform(0.05, 0.3))
    raise Retry("kafka.unavailable", "others wrote all the time")


def _write(kafka: Kafka, slot: str, look: Callable[[], Sequence[Output] | None]) -> bool:
    producer = clients.transactional_producer(kafka, f"{kafka.prefix}{slot}")
    producer.init_transactions(_SECONDS)
    outputs = look()
    if outputs is None:
        return False
    producer.begin_transaction()
    for output in outputs:
        name = topic_on_wire(kafka.prefix, output.topic)
        producer.produce(name, output.value, output.key.encode(), headers=list(output.headers))
    producer.commit_transaction(_SECONDS)
    return True
