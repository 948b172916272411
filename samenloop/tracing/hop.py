"""What a stage's loop traces: one span for each trace in a batch, and whose trace each output belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Protocol

from samenloop.stage import Headers, Output, Record
from samenloop.tracing.spans import NO_SPAN, PARENT, START, STATE, Span, begin, context_of, marked, on

MOST_TRACES, MOST_LINKS, MOST_REMEMBERED = 32, 32, 20_000
_IDS, _CAUSES = ("ce_id", "ce_correlationid"), ("ce_causationid", "ce_correlationid")
_PARENT_LENGTH = 55
_SAMPLED = frozenset((b"1", b"3", b"5", b"7", b"9", b"b", b"d", b"f"))
"""Last digits of a header whose lowest flag is set."""


class Hop(Protocol):
    """What a stage's loop tells: which records it is at, and what came of them."""

    def over(self, records: Sequence[Record]) -> AbstractContextManager[Any]:
        """Trace the block that turns *records* into outputs and commits them."""
        ...

    def mark(self, outputs: list[Output]) -> list[Output]:
        """Return *outputs* with the headers of the traces they belong to."""
        ...


class _NoHop:
    def __init__(self) -> None:
        self._nothing = nullcontext()

    def over(self, records: Sequence[Record]) -> AbstractContextManager[Any]:
        return self._nothing

    def mark(self, outputs: list[Output]) -> list[Output]:
        return outputs


NO_HOP = _NoHop()


def hop(stage: str) -> Hop:
    """Return the hop of *stage*; nothing is done in it when nothing is traced."""
    return _Hop(stage) if on() else NO_HOP


@dataclass(frozen=True, slots=True)
class _Origin:
    """What comes of a record goes on from here: the headers it carried, or those of the span that it was seen in."""

    parent: bytes
    state: bytes | None
    start: bytes

    def headers(self) -> Headers:
        return ((PARENT, self.parent),) + (((STATE, self.state),) if self.state else ())


class _Hop:
    """Spans over batches of one stage. What waits in its state is told later, so recent origins are remembered."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._origins: dict[bytes, _Origin] = {}
        self._spans: dict[bytes, Span] = {}
        self._carried: dict[bytes, Headers] = {}
        self._batch: Sequence[Record] = ()
        self._letters: dict[bytes, _Origin] | None = None
        self._aside = 0

    @contextmanager
    def over(self, records: Sequence[Record]) -> Iterator[None]:
        """One span for each trace of the batch, from now until what came of it is committed."""
        self._batch, self._letters, self._aside = records, None, 0
        self._begin(records)
        only = next(iter(self._spans.values())) if len(self._spans) == 1 else NO_SPAN
        try:
            with only.active():
                yield
        except BaseException as error:
            for made in self._spans.values():
                made.fail(type(error).__name__)
            raise
        finally:
            for made in self._spans.values():
                made.end()
            self._spans, self._carried, self._batch = {}, {}, ()

    def mark(self, outputs: list[Output]) -> list[Output]:
        """Find each output's cause by the event ids it carries."""
        return [self._marked(output) for output in outputs] if self._origins else outputs

    def _marked(self, output: Output) -> Output:
        said = dict(output.headers)
        if PARENT in said or not said:
            return output
        if output.topic == "dead-letters":
            return self._letter(output, said)
        for name in _CAUSES:
            cause = said.get(name, b"")
            origin = self._origins.get(cause) or self._origins.get(cause.partition(b"#")[0])  # `Event.about`
            if origin is not None:
                carried = self._carried.get(_trace(origin.parent))
                return marked(output, carried or origin.headers(), origin.start)
        return output

    def _letter(self, output: Output, said: Mapping[str, bytes]) -> Output:
        """Leave a span of what was set aside, whatever the sampler says. Its letter names the record, not an event."""
        if self._letters is None:
            self._letters = self._letters_of_batch()
        origin = self._letters.pop(said.get("ce_id", b""), None)
        if origin is None:
            return output
        self._aside += 1
        if self._aside > MOST_TRACES:
            return marked(output, origin.headers(), origin.start)
        made = begin(f"set aside {self._stage}", parent=origin.headers(), always=True)
        made.fail("dead-letter")
        made.end()
        return marked(output, made.headers(), origin.start)

    def _letters_of_batch(self) -> dict[bytes, _Origin]:
        """Return by the id that its dead letter would have where each record came from."""
        from samenloop.contract.dead_letters import letter_id  # noqa: PLC0415 - seldom needed

        return {
            str(letter_id(record.topic, record.partition, record.offset, self._stage)).encode(): origin
            for record in self._batch
            if (origin := _origin_of(record.headers)) is not None
        }

    def _begin(self, records: Sequence[Record]) -> None:
        batches: dict[bytes, list[_Origin]] = {}
        topics: dict[bytes, str] = {}
        events: dict[bytes, set[bytes]] = {}
        for record in records:
            origin = _origin_of(record.headers)
            if origin is None:
                continue
            trace = _trace(origin.parent)
            ids = {value for name, value in record.headers if name in _IDS}
            self._origins |= dict.fromkeys(ids, origin)
            events.setdefault(trace, set()).update(ids)
            batches.setdefault(trace, []).append(origin)
            topics.setdefault(trace, record.topic)
        for trace, origins in batches.items():
            if origins[0].parent[-1:] in _SAMPLED and len(self._spans) < MOST_TRACES:
                made = self._spans[trace] = self._span(topics[trace], origins)
                self._carried[trace] = made.headers()
                self._stay_below(made, trace, events[trace])
        self._forget()

    def _stay_below(self, made: Span, trace: bytes, events: set[bytes]) -> None:
        """Let what is told later of these *events* be below *made* as well, though it has ended by then."""
        own = dict(made.headers())
        for event in events:
            origin = self._origins[event]
            if _trace(origin.parent) == trace:
                self._origins[event] = replace(origin, parent=own[PARENT], state=own.get(STATE))

    def _span(self, topic: str, origins: Sequence[_Origin]) -> Span:
        parents = {origin.parent: origin for origin in origins}
        *others, last = parents.values()  # the newest is furthest on its way: a finding behind its plan
        attributes = {
            "messaging.system": "kafka",
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            "messaging.consumer.group.name": self._stage,
            "messaging.batch.message_count": len(origins),
        }
        links = [context_of(origin.headers()) for origin in others[:MOST_LINKS]]
        return Span(f"process {topic}", "consumer", attributes, context_of(last.headers()), links)

    def _forget(self) -> None:
        while len(self._origins) > MOST_REMEMBERED:
            del self._origins[next(iter(self._origins))]


def _origin_of(headers: Headers) -> _Origin | None:
    parent = state = start = None
    for name, value in headers:
        if name == PARENT:
            parent = value
        elif name == STATE:
            state = value
        elif name == START:
            start = value
    if parent is None or len(parent) != _PARENT_LENGTH:
        return None
    return _Origin(parent, state, start or parent)


def _trace(parent: bytes) -> bytes:
    return parent[3:35]
