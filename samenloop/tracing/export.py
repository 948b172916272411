"""Sets the OpenTelemetry SDK up, as its standard environment says: exporter, sampler, resource. Needs samenloop[otel].

Imported only where traces are asked for. Everything but what is always kept is decided by `OTEL_TRACES_SAMPLER`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from samenloop import __version__
from samenloop.tracing import ALWAYS


class Always(Sampler):
    """Keeps errors and probes, and asks *rest* about everything else."""

    def __init__(self, rest: Sampler) -> None:
        self._rest = rest

    def should_sample(  # noqa: PLR0917 - as the SDK has it
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about one span."""
        if attributes and attributes.get(ALWAYS):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._rest.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return what it is called."""
        return f"Always({self._rest.get_description()})"


def provider(process: str, env: Mapping[str, str]) -> TracerProvider:
    """Return the provider of the process called *process*. Raises ValueError for an exporter that is not known here."""
    made = bare_provider(process)
    made.add_span_processor(BatchSpanProcessor(_exporter(env)))
    return made


def check(env: Mapping[str, str]) -> str:
    """Return in words where spans go. Raises ValueError for what is not known here, ImportError for what is missing."""
    exporter = _exporter(env)
    exporter.shutdown()
    return "stdout" if isinstance(exporter, ConsoleSpanExporter) else str(getattr(exporter, "_endpoint", "OTLP"))


def bare_provider(process: str) -> TracerProvider:
    """Return a provider without an exporter, with our sampler."""
    named: dict[str, Any] = {
        "service.namespace": "samenloop",
        "service.name": process,
        "service.version": __version__,
    }
    made = TracerProvider(resource=Resource.create(named).merge(OTELResourceDetector().detect()))
    made.sampler = Always(made.sampler)
    return made


def _exporter(env: Mapping[str, str]) -> SpanExporter:
    name = env.get("OTEL_TRACES_EXPORTER") or "otlp"
    if name == "console":
        return ConsoleSpanExporter()
    if name != "otlp":
        raise ValueError(f"OTEL_TRACES_EXPORTER: found {name!r}, expected otlp, console or none")
    if (protocol := env.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")) != "http/protobuf":
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL: found {protocol!r}, expected http/protobuf")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

    return OTLPSpanExporter()
