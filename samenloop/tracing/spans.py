"""Spans, what is written under them, and the headers that carry them on. Off, and free, unless asked for."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

from samenloop.stage import Headers, Output

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

PARENT, STATE, START = "traceparent", "tracestate", "ce_traceparent"
ALWAYS = "samenloop.always"
"""Attribute of a span that is kept whatever the sampler says: errors and probes."""
Kind = Literal["internal", "server", "client", "consumer", "producer"]
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_tracer: Any = None


def asked_for(env: Mapping[str, str]) -> bool:
    """Whether the environment asks for traces: an endpoint or an exporter is named, and nothing turns them off."""
    if env.get("OTEL_SDK_DISABLED", "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER", "") == "none":
        return False
    return bool(env.get("OTEL_TRACES_EXPORTER") or any(env.get(name) for name in _ENDPOINTS))


def use(provider: TracerProvider | None) -> None:
    """Trace with *provider* from now on; None turns it off."""
    global _tracer  # noqa: PLW0603 - one for the process, as the SDK means it
    _tracer = None if provider is None else provider.get_tracer("samenloop")


def on() -> bool:
    """Whether anything is traced."""
    return _tracer is not None


def trace_id() -> str | None:
    """Return the trace of the span that is active here, 32 hex digits; None when there is none."""
    if _tracer is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - only where it is asked for

    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else None


def trace_of(headers: Headers) -> str | None:
    """Return the trace that a record belongs to; None when there is none, or nothing is traced."""
    if _tracer is None:
        return None
    parent = next((value for name, value in headers if name == PARENT), b"").decode("latin-1").split("-")
    return parent[1] if len(parent) == 4 else None


class Span:
    """A span at work. Without a tracer it is `NO_SPAN`, on which everything is without effect."""

    def __init__(self, name: str, kind: Kind, attributes: Mapping[str, Any], parent: Any, links: Sequence[Any]) -> None:
        self._how = {"name": name, "kind": kind, "parent": parent, "links": links, "began": time.time_ns()}
        self._attributes = attributes
        self._span = _started(**self._how, attributes=attributes)

    @property
    def trace_id(self) -> str | None:
        """The trace it belongs to, 32 hex digits."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def headers(self) -> Headers:
        """Return what a record or request of this hop carries."""
        return headers_of(self._span.get_span_context())

    def set(self, **attributes: Any) -> None:
        """Add attributes, named as in `begin`."""
        self._span.set_attributes(_named(attributes))

    def rename(self, name: str) -> None:
        """Give it the name that is known only now."""
        self._span.update_name(name)

    def fail(self, code: str) -> None:
        """Say that it went wrong, by a stable code. It is kept even when its trace is not sampled."""
        from opentelemetry.trace import StatusCode  # noqa: PLC0415

        if not self._span.is_recording():
            self._span = _started(**self._how, attributes={**self._attributes, ALWAYS: True})
        self._span.set_attribute("error.type", code)
        self._span.set_status(StatusCode.ERROR)

    def end(self) -> None:
        """End it."""
        self._span.end()

    def active(self) -> AbstractContextManager[Any]:
        """Make it the span that logs and outputs belong to, while the block runs."""
        from opentelemetry import trace  # noqa: PLC0415

        return trace.use_span(self._span, record_exception=False, set_status_on_exception=False)


class _NoSpan(Span):
    def __init__(self) -> None:
        pass

    @property
    def trace_id(self) -> str | None:
        return None

    def headers(self) -> Headers:
        return ()

    def set(self, **attributes: Any) -> None:
        pass

    def rename(self, name: str) -> None:
        pass

    def fail(self, code: str) -> None:
        pass

    def end(self) -> None:
        pass

    def active(self) -> AbstractContextManager[Any]:
        return nullcontext()


NO_SPAN = _NoSpan()


def begin(name: str, kind: Kind = "internal", *, parent: Headers = (), always: bool = False, **attributes: Any) -> Span:
    """Begin a span below *parent*, headers of a record or request, else below the one that is active.

    *attributes*: an underscore in a name stands for a dot, two for an underscore. *always*: keep it whatever the
    sampler says. The caller ends it.
    """
    if _tracer is None:
        return NO_SPAN
    return Span(name, kind, _named(attributes) | ({ALWAYS: True} if always else {}), context_of(parent), ())


@contextmanager
def span(name: str, kind: Kind = "internal", *, parent: Headers = (), **attributes: Any) -> Iterator[Span]:
    """Trace the block, as `begin` says; an error that leaves it is told by its code."""
    made = begin(name, kind, parent=parent, **attributes)
    try:
        with made.active():
            yield made
    except BaseException as error:
        made.fail(str(getattr(error, "code", type(error).__name__)))
        raise
    finally:
        made.end()


def stamped(outputs: Sequence[Output], by: Span | None = None) -> Sequence[Output]:
    """Return *outputs* as those of the span *by*, or of the one that is active; null values and states stay bare."""
    if _tracer is None:
        return outputs
    if by is None:
        from opentelemetry import trace  # noqa: PLC0415

        headers = headers_of(trace.get_current_span().get_span_context())
    else:
        headers = by.headers()
    if not headers:
        return outputs
    return [marked(output, headers, headers[0][1]) for output in outputs]


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name.replace("__", " ").replace("_", ".").replace(" ", "_"): value for name, value in attributes.items()}


def marked(output: Output, headers: Headers, start: bytes) -> Output:
    """Return *output* with the headers of a hop; the start of the chain is never changed on the way."""
    there = {name for name, _ in output.headers}
    if not there or PARENT in there:
        return output
    begun: Headers = () if START in there else ((START, start),)
    return Output(output.topic, output.key, output.value, (*output.headers, *begun, *headers), output.partition)


def _started(
    *, name: str, kind: Kind, parent: Any, links: Sequence[Any], began: int, attributes: Mapping[str, Any]
) -> Any:
    from opentelemetry import trace  # noqa: PLC0415

    linked = [trace.Link(trace.get_current_span(context).get_span_context()) for context in links]
    kind_of = trace.SpanKind[kind.upper()]
    return _tracer.start_span(
        name, context=parent, kind=kind_of, attributes=dict(attributes), links=linked, start_time=began
    )


def context_of(headers: Headers) -> Any:
    """Return the context that headers name; None, which means the active one, where they name none."""
    if not headers:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

    carrier = {name: value.decode("latin-1") for name, value in headers if name in (PARENT, STATE)}
    return TraceContextTextMapPropagator().extract(carrier)


def headers_of(context: Any) -> Headers:
    if not context.is_valid:
        return ()
    parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags) & 1:02x}".encode()
    state = context.trace_state.to_header()
    return ((PARENT, parent), *(((STATE, state.encode()),) if state else ()))
