"""What a source remembers, on the compacted topic `source-states`: its cursor, its records, an operator's decision.

The key is the source's name for the cursor, `<source>/<percent-encoded local id>` for a record and
`<source>/#decision` for what an operator decided about a held snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from samenloop.contract import Codec
from samenloop.errors import BadSettings
from samenloop.kafka import publish, read_topic
from samenloop.model import SourceState
from samenloop.settings import Kafka
from samenloop.snapshots import Memory
from samenloop.stage import Output

TOPIC = "source-states"
DECISION = "#decision"
"""Not a local id: a percent-encoded one holds no `#`."""
Decision = Literal["release", "discard"]


def state_key(source: str, record: str) -> str:
    """Return the key of a source's cursor (*record* empty), decision, or record."""
    if record == DECISION:
        return f"{source}/{DECISION}"
    return f"{source}/{quote(record, safe='')}" if record else source


def state_output(codec: Codec, state: SourceState) -> Output:
    """Return the record to write for *state*."""
    return Output(TOPIC, state_key(state.source, state.record), codec.encode(TOPIC, state))


def decision_done(source: str) -> Output:
    """Return the record that takes an operator's decision back, once it is carried out."""
    return Output(TOPIC, state_key(source, DECISION), None)


@dataclass(slots=True)
class Remembered:
    """Everything on the topic for one source."""

    memory: Memory = field(default_factory=Memory)
    decision: SourceState | None = None


def load_memory(kafka: Kafka, codec: Codec, source: str) -> Remembered:
    """Read what *source* remembers. Raises Retry when Kafka is away."""
    cursor, decision, records = None, None, {}
    for state in _states(kafka, codec, source, whole=True):
        if state.record == DECISION:
            decision = state
        elif state.record:
            records[state.record] = state
        else:
            cursor = state
    return Remembered(Memory(cursor, records), decision)


def load_decision(kafka: Kafka, codec: Codec, source: str) -> SourceState | None:
    """Read the operator's open decision about *source*, if there is one. Raises Retry when Kafka is away."""
    found = (state for state in _states(kafka, codec, source, whole=False) if state.record == DECISION)
    return next(found, None)


def decide(kafka: Kafka, codec: Codec, source: str, decision: Decision) -> SourceState:
    """Tell the pump of *source* to apply the snapshot that it holds, or to forget it; return the cursor as it was.

    Raises BadSettings when nothing is held, Retry when Kafka is away.
    """
    states = {state.record: state for state in _states(kafka, codec, source, whole=False)}
    cursor = states.get("")
    if cursor is None or cursor.held is None:
        raise BadSettings([f"{source}: nothing is held, so there is nothing to {decision}"])
    held = held_snapshot(cursor.held)
    publish(kafka, [state_output(codec, SourceState(source=source, record=DECISION, snapshot_id=held, held=decision))])
    return cursor


def held_text(snapshot_id: str, code: str) -> str:
    """Say in one text which snapshot is held, and why."""
    return f"{snapshot_id} {code}"


def held_snapshot(held: str) -> str:
    """Return the snapshot in the text of `held_text`."""
    return held.partition(" ")[0]


def _states(kafka: Kafka, codec: Codec, source: str, *, whole: bool) -> Iterable[SourceState]:
    """Return the last state of each key of *source*; only cursor and decision unless *whole*."""
    last: dict[str, bytes | None] = {}
    wanted = (source, state_key(source, DECISION))
    for record in read_topic(kafka, TOPIC):
        if record.key in wanted or (whole and record.key.startswith(f"{source}/")):
            last[record.key] = record.value
    return [codec.decode(TOPIC, value) for value in last.values() if value is not None]
