"""Traces: one from a source's poll or a partner's request to the partner's answer, by OpenTelemetry.

Off unless the environment asks for it (`OTEL_…`, see `asked_for`), and then free: a stage gets `NO_HOP`, everything
else returns what it was given. `export` sets the SDK up, which is an optional extra, and is imported only then.

The way is that of W3C trace context in Kafka headers: `traceparent` is this hop, `ce_traceparent` where the chain
began. A stage makes **one span for each trace in a batch**, never one for each record: a span costs 19 µs. Records
whose trace was not sampled, or beyond the most that one batch shows, hand their header on as it is: the chain does not
break. Which input led to an output is read from the event ids that every output carries anyway.
"""

from samenloop.tracing.hop import NO_HOP, Hop, hop
from samenloop.tracing.spans import (
    ALWAYS,
    NO_SPAN,
    PARENT,
    START,
    STATE,
    Span,
    asked_for,
    begin,
    span,
    stamped,
    trace_id,
    trace_of,
    use,
)

__all__ = [
    "ALWAYS", "NO_HOP", "NO_SPAN", "PARENT", "START", "STATE", "Hop", "Span", "asked_for", "begin", "hop", "span",
    "stamped", "trace_id", "trace_of", "use",
]  # fmt: skip
