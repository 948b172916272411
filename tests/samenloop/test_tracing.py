"""Traces: one from the source's record to the partner's answer, and nothing at all when they are off."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Literal
from uuid import UUID

import pytest
import shapely
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectors.sinks.webhook import Webhook
from connectors.sinks.webhook.messages import trace_headers
from samenloop import identity, logs, tracing
from samenloop.contract import Codec, Envelope, dead_letter
from samenloop.geometry import to_model
from samenloop.letters import letter_output
from samenloop.model import (
    Alert,
    Certainty,
    ChangeKind,
    Clearance,
    DeadReason,
    Organisation,
    Origin,
    Partner,
    Period,
    Phase,
    Plan,
    PlanChanged,
    PlanKind,
    Precision,
    Subscription,
    SubscriptionStatus,
    Validity,
    Visibility,
)
from samenloop.settings import Delivery, Hub
from samenloop.source_account import change_output
from samenloop.stage import Output, Partition, Record, Stage
from samenloop.tracing.export import bare_provider
from samenloop.tracing.hop import MOST_TRACES
from streams.consolidate import Consolidate
from streams.detect import Detect
from streams.notify import Notify

CODEC = Codec.offline()
NOW = datetime(2027, 1, 4, 9, tzinfo=UTC)
ME, YOU = "00000099000000001001", "00000099000000001002"
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-1] + b"0"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Traces that go to memory, by the sampler of the environment."""
    exporter = InMemorySpanExporter()
    provider = bare_provider("test")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.use(None)
    provider.shutdown()


@dataclass
class Log:
    """Kafka and the loop, played in memory with the loop's own hop: one partition each."""

    records: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    read_so_far: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    partitions: Collection[int] = (0,)
    committed: Mapping[Partition, int] = field(default_factory=lambda: defaultdict(int))

    def read(
        self, topic: str, partitions: Collection[int] | None = None, *, until: Literal["committed", "end"]
    ) -> Iterator[Record]:
        """Nothing was there at the start."""
        return iter(())

    def append(self, outputs: Sequence[Output]) -> None:
        """Write what a stage said."""
        for output in outputs:
            log = self.records[output.topic]
            at = int(NOW.timestamp() * 1000)
            log.append(Record(output.topic, 0, len(log), output.key, output.value, tuple(output.headers), at))

    def turn(self, stage: Stage, hop: tracing.Hop, now: datetime = NOW) -> None:
        """One turn of the loop."""
        batch: list[Record] = []
        for topic in (stage.lead, *stage.follows):
            start = self.read_so_far[stage.name, topic]
            batch += self.records[topic][start:]
            self.read_so_far[stage.name, topic] = len(self.records[topic])
        with hop.over(batch):
            outputs = list(stage.process(batch, now)) if batch else []
            self.append(hop.mark([*outputs, *stage.idle(now)]))


def change(owner: str, x: float, visibility: Visibility = Visibility.PUBLIC) -> PlanChanged:
    """Works of *owner*, 20 by 10 m, *x* m east of the others."""
    system = identity.system_urn(owner, "register")
    plan = Plan(
        id=identity.plan_id(system, "a"), system=system, local_id="a", title="Works", owner=Organisation(owner),
        kind=PlanKind.WORKS, phase=Phase.PREPARATION, certainty=Certainty.FIXED, visibility=visibility,
        ground_disturbing=True, period=Period(date(2027, 3, 1), date(2027, 3, 31), Precision.DAY),
        geometry=to_model(shapely.box(121000 + x, 487000, 121020 + x, 487010), "EPSG:28992"),
    )  # fmt: skip
    return PlanChanged(
        plan_id=plan.id, change=ChangeKind.CREATED, validity=Validity(NOW), recorded_at=NOW, ingested_at=NOW,
        origin=Origin(owner, system, f"{system}-1"), sequence=1, plan=plan,
    )  # fmt: skip


def subscribed(sink: str) -> list[Output]:
    """A partner that hears of everything, from now on."""
    partner = Partner(oin=YOU, name="Wetering", created_at=NOW, updated_at=NOW)
    subscription = Subscription(
        id=UUID(int=1), revision=1, subscriber_oin=YOU, sink=sink, created_at=NOW, updated_at=NOW,
        clearance=Clearance.PARTNERS, status=SubscriptionStatus.ACTIVE, secret_ref="derived:0",
    )  # fmt: skip
    return [_written("partners", YOU, partner), _written("subscriptions", str(subscription.id), subscription)]


def _written(topic: str, key: str, value: object) -> Output:
    envelope = Envelope(
        id=f"{topic}-1", source="urn:x", type="nl.samenloop.test.v1", time=NOW, subject=key, partitionkey=key,
        correlationid=f"{topic}-1",
    )  # fmt: skip
    return Output(topic, key, CODEC.encode(topic, value), CODEC.headers(topic, envelope))


class _Partner(BaseHTTPRequestHandler):
    """A receiver that keeps the `traceparent` of what it was sent."""

    seen: ClassVar[list[str | None]] = []
    status = 204

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(self.headers["traceparent"])
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def partner() -> Iterator[str]:
    """The address of a partner that takes everything."""
    _Partner.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Partner)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Chain:
    """Every stage and the sink of a hub, on one log."""

    def __init__(self, sink: str, folder: Path) -> None:
        self.log = Log()
        (folder / "key").write_bytes(bytes(32))
        hub = Hub()
        delivery = Delivery(master_key_file=folder / "key", allow_http=True, allow_destinations=["127.0.0.0/8"])
        self.webhook = Webhook(delivery, CODEC, "urn:x", follow=lambda: self)  # type: ignore[arg-type,return-value]
        stages = (Consolidate.from_hub(hub, CODEC), Detect.from_hub(hub, CODEC), Notify.from_hub(hub, CODEC))
        self.stages = [(stage, tracing.hop(stage.name)) for stage in (*stages, self.webhook)]
        self.heard, self.now = 0, NOW
        self.log.append(subscribed(sink))
        for stage, _ in self.stages:
            stage.assign(self.log)

    def catch_up(self) -> list[Record]:
        """What the sink follows."""
        return self.poll()

    def poll(self) -> list[Record]:
        """The partner and its subscription, once."""
        self.heard += 1
        return [*self.log.records["partners"], *self.log.records["subscriptions"]] if self.heard == 1 else []

    def turn(self) -> None:
        """Turn every stage, ten seconds later: what a first load owes is told by then."""
        self.now += timedelta(seconds=10)
        for stage, hop in self.stages:
            self.log.turn(stage, hop, self.now)

    def run(self, receipts: int) -> None:
        """Turn every stage until there are so many receipts."""
        until = time.monotonic() + 20
        while len(self.log.records["receipts"]) < receipts:
            assert time.monotonic() < until, str({topic: len(log) for topic, log in self.log.records.items()})
            self.turn()
            time.sleep(0.005)


def header(record: Record, name: str) -> str | None:
    """The value of one header."""
    return next((value.decode() for found, value in record.headers if found == name), None)


def test_one_trace_from_the_source_to_the_answer(spans: InMemorySpanExporter, partner: str, tmp_path: Path) -> None:
    """A poll, every stage, the POST and the receipt are of one trace, each below the one before it."""
    chain = Chain(partner, tmp_path)
    chain.log.append([change_output(CODEC, change(YOU, 0))])  # known before, and not traced
    chain.turn()
    chain.turn()
    with tracing.span("poll town") as poll:
        chain.log.append(tracing.stamped([change_output(CODEC, change(ME, 5))]))
    chain.run(receipts=1)
    chain.webhook.close()

    done = {span.context.span_id: span for span in spans.get_finished_spans()}
    assert {span.context.trace_id for span in done.values()} == {int(poll.trace_id or "", 16)}
    at: ReadableSpan | None = next(span for span in done.values() if span.name == "deliver webhook")
    assert at is not None
    assert at.attributes["http.response.status_code"] == 204  # type: ignore[index]
    road = []
    while at is not None:
        road.append((at.attributes or {}).get("messaging.consumer.group.name", at.name))
        at = done.get(at.parent.span_id) if at.parent else None
    assert road == ["deliver webhook", "notify", "detect", "consolidate", "poll town"]
    told = [value for value in _Partner.seen if value is not None]
    assert told
    assert all(value.split("-")[1] == poll.trace_id for value in told)
    (conflict,) = chain.log.records["conflicts"]
    receipt = chain.log.records["receipts"][-1]
    start = f"00-{poll.trace_id}"
    assert all(str(header(r, "traceparent")).startswith(start) for r in (conflict, receipt))
    assert header(conflict, "ce_traceparent") == header(chain.log.records["plan-changes"][-1], "traceparent")


def test_nothing_is_done_when_traces_are_off(partner: str, tmp_path: Path) -> None:
    """Off: the loop gets a hop that hands back what it was given, and no record or request carries a header of ours."""
    outputs = [change_output(CODEC, change(ME, 0))]
    chain = Chain(partner, tmp_path)
    chain.log.append([change_output(CODEC, change(YOU, 0)), *outputs])
    chain.run(receipts=1)
    chain.webhook.close()

    assert tracing.hop("detect") is tracing.NO_HOP
    assert tracing.stamped(outputs) is outputs
    assert tracing.begin("x") is tracing.NO_SPAN
    assert tracing.trace_id() is tracing.trace_of((("traceparent", PARENT),)) is None
    assert {header(r, "traceparent") for log in chain.log.records.values() for r in log} == {None}
    assert set(_Partner.seen) == {None}


def record(number: int, parent: bytes, topic: str = "plan-changes") -> Record:
    """A record with an event id and a trace."""
    headers = (("ce_id", b"e%d" % number), ("ce_correlationid", b"e%d" % number), ("traceparent", parent))
    return Record(topic, 0, number, "k", b"", headers, 0)


def output(cause: bytes, topic: str = "plan-states") -> Output:
    """An output that says what caused it."""
    return Output(topic, "k", b"", (("ce_id", b"o"), ("ce_causationid", cause)))


def marked(hop: tracing.Hop, batch: list[Record], outputs: list[Output]) -> list[str]:
    """The `traceparent` of each output of a batch, "" for none."""
    with hop.over(batch):
        return [dict(out.headers).get("traceparent", b"").decode() for out in hop.mark(outputs)]


def test_a_batch_has_a_span_for_each_trace(spans: InMemorySpanExporter) -> None:
    """Records of one trace share a span, whose links name the other parents; each output goes on in its own trace."""
    other = PARENT.replace(b"0af7", b"1af7")
    second = PARENT.replace(b"b7ad", b"c7ad")
    batch = [record(1, PARENT), record(2, second), record(3, other)]

    found = marked(tracing.hop("consolidate"), batch, [output(b"e1"), output(b"e3"), output(b"unknown")])

    done = spans.get_finished_spans()
    assert [span.attributes["messaging.batch.message_count"] for span in done] == [2, 1]  # type: ignore[index]
    assert [len(span.links) for span in done] == [1, 0]
    assert [text[3:35].encode() for text in found] == [PARENT[3:35], other[3:35], b""]
    assert found[0] != PARENT.decode()


def test_what_is_not_sampled_goes_on_without_a_span(spans: InMemorySpanExporter) -> None:
    """A trace that its beginning did not sample costs no span, and its header travels on unchanged."""
    assert marked(tracing.hop("detect"), [record(1, UNSAMPLED)], [output(b"e1")]) == [UNSAMPLED.decode()]
    assert spans.get_finished_spans() == ()


def test_the_spans_of_a_batch_are_bounded(spans: InMemorySpanExporter) -> None:
    """A batch of many traces makes so many spans at most; the others hand their header on."""
    parents = [b"00-%032x-%016x-01" % (n + 1, n + 1) for n in range(MOST_TRACES + 8)]
    batch = [record(n, parent) for n, parent in enumerate(parents)]

    found = marked(tracing.hop("detect"), batch, [output(b"e%d" % n) for n in range(len(parents))])

    assert len(spans.get_finished_spans()) == MOST_TRACES
    assert found[-1] == parents[-1].decode()


def test_what_is_told_later_belongs_to_its_cause(spans: InMemorySpanExporter) -> None:
    """An output of a later turn (a summary, a retry, a finding that waited) is below the span that saw its cause."""
    hop = tracing.hop("notify")
    marked(hop, [record(1, PARENT), record(2, UNSAMPLED.replace(b"0af7", b"1af7"))], [])

    first, summary, unsampled = marked(hop, [], [output(b"e1"), output(b"e1#summary"), output(b"e2")])

    (seen,) = spans.get_finished_spans()
    assert first == summary == f"00-{seen.context.trace_id:032x}-{seen.context.span_id:016x}-01"
    assert first.encode()[3:35] == PARENT[3:35]
    assert unsampled.encode() == UNSAMPLED.replace(b"0af7", b"1af7")


def test_errors_are_always_kept(spans: InMemorySpanExporter) -> None:
    """What was set aside leaves a span in its own trace though that is not sampled, and so does a failing delivery."""
    aside = record(7, UNSAMPLED)
    letter = dead_letter(
        aside, reason=DeadReason.SCHEMA, code="schema.framing", detail="no id", stage="consolidate", now=NOW
    )
    said = letter_output(CODEC, "urn:x", letter)
    (carried,) = marked(tracing.hop("consolidate"), [record(6, UNSAMPLED), aside], [said])
    delivery = tracing.begin("deliver webhook", "client", parent=(("traceparent", UNSAMPLED),))
    delivery.fail("timeout")
    delivery.end()

    done = spans.get_finished_spans()
    assert [span.name for span in done] == ["set aside consolidate", "deliver webhook"]
    assert {f"{span.context.trace_id:032x}".encode() for span in done} == {PARENT[3:35]}
    assert letter.traceparent == UNSAMPLED.decode()
    assert carried.endswith(f"{done[0].context.span_id:016x}-01")


def test_a_batch_that_is_refused_whole_leaves_few_spans(spans: InMemorySpanExporter) -> None:
    """What is always kept is bounded too; every letter still carries its trace."""
    batch = [record(n, UNSAMPLED) for n in range(MOST_TRACES + 20)]
    letters = [
        dead_letter(one, reason=DeadReason.SCHEMA, code="schema.framing", detail="no id", stage="detect", now=NOW)
        for one in batch
    ]

    found = marked(tracing.hop("detect"), batch, [letter_output(CODEC, "urn:x", letter) for letter in letters])

    assert len(spans.get_finished_spans()) == MOST_TRACES
    assert {text[3:35].encode() for text in found} == {PARENT[3:35]}


def test_probes_are_always_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sampler of the environment decides, but never about what is always kept."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    exporter = InMemorySpanExporter()
    provider = bare_provider("test")
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    try:
        for always in (False, True):
            tracing.begin("probe", always=always).end()
    finally:
        tracing.use(None)

    assert len(exporter.get_finished_spans()) == 1


def test_a_log_line_names_its_trace(spans: InMemorySpanExporter, capsys: pytest.CaptureFixture[str]) -> None:
    """Inside a span every line says which trace it belongs to; outside none does."""
    log = logs.get_logger("test")
    with tracing.span("poll town") as made:
        log.warning("test.said", "Inside.")
    log.warning("test.said", "Outside.")

    first, second = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert first["trace_id"] == made.trace_id
    assert "trace_id" not in second


@pytest.mark.parametrize(
    ("env", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector.example:4318"}, True),
        ({"OTEL_TRACES_EXPORTER": "console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example:4318"}, False),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, False),
    ],
)
def test_the_environment_turns_traces_on(env: dict[str, str], asked: bool) -> None:
    """The standard variables of OpenTelemetry, and nothing of our own."""
    assert tracing.asked_for(env) is asked


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ('{"finding":{"id":"1"}}', True),
        ('{"finding":{"id":"1"},"masked":true}', False),
        ('{"finding":{"id":"1"},"changes":["withheld"]}', False),
        (None, False),
    ],
)
def test_no_trace_tells_of_a_hidden_plan(spans: InMemorySpanExporter, data: str | None, sent: bool) -> None:
    """Alerts that are masked, withdrawn or thin go out without: two of one trace would share a hidden source."""
    alert = Alert(
        id=UUID(int=1), subscription_id=UUID(int=2), sequence=1, event_id="e", event_type="t", subject_id="x",
        subject_revision=1, accepted_at=NOW, created_at=NOW, due_at=NOW, data=data,
    )  # fmt: skip

    assert bool(trace_headers(tracing.begin("deliver"), alert)) is sent
