"""Yields conflicts and opportunities: what the plans of a region are to each other.

Lead: plan-regions (one partition: one at work, others stand by). Its state is a function of the rows up to the
committed position, the newest day among them and the rules. At every start it compares what it holds with what it
once wrote, up to the very end of its own topics, and writes the difference: that closes the gap compaction may have
left, and makes a change of rules a restart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Final, Self

from samenloop import contract, identity, metrics
from samenloop.contract import Codec, Envelope
from samenloop.contract.codec import tell_unreadable
from samenloop.contract.regions import RegionReader
from samenloop.detection import Detector, FindingEvent, Row
from samenloop.detection.findings import topic_of
from samenloop.errors import BadSettings, Reject
from samenloop.letters import letter_output
from samenloop.logs import get_logger
from samenloop.model import DeadLetter, Severity
from samenloop.rules import RULES, Rules, load_rules
from samenloop.rules.configuration import State
from samenloop.settings import Hub
from samenloop.stage import Assignment, Output, Partition, Record

log = get_logger("detect")
LOAD_RECORDS: Final = 20_000
"""Records that are held as bytes at once while state is rebuilt."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RECORD: Final = {"conflicts": "conflict", "opportunities": "opportunity"}
_SEVERITIES: Final = {
    "conflicts": (Severity.INFO, Severity.WARNING, Severity.BLOCKING),
    "opportunities": (Severity.UNKNOWN,),
}
_STAGES: Final = ("candidate", "exact", "kept")


class Detect:
    """The stage: topics around `samenloop.detection.Detector`."""

    name = "detect"
    lead = "plan-regions"
    follows: Sequence[str] = ()
    writes: Sequence[str] = ("conflicts", "opportunities", "dead-letters")

    def __init__(self, codec: Codec, source: str, rules: Rules, metric_crs: str) -> None:
        self._codec, self._source, self._rules, self._metric_crs = codec, source, rules, metric_crs
        self._regions = RegionReader(codec)
        self._detector = Detector(rules, metric_crs)
        self._uncounted = metrics.AfterCommit()
        self._examined = (0, 0, 0)
        for rule in RULES:
            metrics.FINDINGS_TOTAL.start(record=_RECORD[topic_of(rule)], rule=rule)
        metrics.RULES_INFO.labels(version=rules.rule_version).set(1)
        metrics.at_scrape(self._show)

    @classmethod
    def from_hub(cls, hub: Hub, codec: Codec) -> Self:
        """Return the stage for *hub*. Raises BadSettings for a rule configuration that is wrong or not active."""
        rules = load_rules(hub.hub.rules)
        if rules.state is not State.ACTIVE:
            where = hub.hub.rules or "default.yaml"
            raise BadSettings([f"{where}: state: found {rules.state}, a hub judges by an ACTIVE configuration only"])
        log.info("rules.activated", "These rules are in force.", rules=rules.rule_version, crs=hub.hub.metric_crs)
        return cls(codec, identity.system_urn(hub.hub.oin, "samenloop"), rules, hub.hub.metric_crs)

    def assign(self, assignment: Assignment) -> Sequence[Output]:
        """Rebuild the plans up to the position committed and the findings up to the very end, and reconcile."""
        self.revoke((0,))
        if 0 not in assignment.partitions:
            return ()
        for records in _latest(assignment.read("plan-regions", until="committed")):
            self._detector.load(row for record in records if (row := self._readable(record)) is not None)
        for topic in _RECORD:
            for records in _latest(assignment.read(topic, until="end")):
                self._adopt(records)
        self._detector.rejected.clear()
        return self._outputs(self._detector.reconcile())

    def revoke(self, partitions: Collection[int]) -> None:
        """Forget everything."""
        if 0 in partitions:
            self._detector, self._examined = Detector(self._rules, self._metric_crs), (0, 0, 0)
            self._uncounted.drop()

    def process(self, batch: Sequence[Record], now: datetime) -> Sequence[Output]:
        """Judge a batch of rows; what cannot be read becomes a dead letter."""
        self._uncounted.now()
        began = perf_counter()
        letters: list[Output] = []
        rows: list[Row] = []
        records: dict[str, Record] = {}
        for record in batch:
            try:
                rows.append(self._row(record))
                records[record.key] = record
            except Reject as error:
                letters.append(self._letter(record, error, now))
        events = self._detector.apply(rows) if rows else []
        letters += [self._letter(records[plan_id], reason, now) for plan_id, reason in self._detector.rejected]
        self._detector.rejected.clear()
        if self._detector.behind:
            events += self._detector.catch_up()
        outputs = [*letters, *self._outputs(events)]
        took = perf_counter() - began
        self._uncounted.add(lambda: self._count_batch(len(batch), len(letters), took))
        return outputs

    def idle(self, now: datetime) -> Sequence[Output]:
        """Go on with what a new day or a start left to be judged."""
        self._uncounted.now()
        return self._outputs(self._detector.catch_up()) if self._detector.behind else ()

    def held(self) -> Mapping[Partition, int]:
        """Nothing: what is left to be judged after a crash, the next start finds by itself."""
        return {}

    def _row(self, record: Record) -> Row:
        if record.value is None:
            return _removal(record, dict(record.headers))
        revision, at, cause_id, first_load, day, plan = self._regions.read(record.value, record.headers)
        correlation_id = cause_id
        for name, value in record.headers:
            if name == "ce_correlationid":
                correlation_id = value.decode("utf-8", "replace")
        return Row(record.key, revision, at, cause_id, correlation_id, plan, first_load, day)

    def _readable(self, record: Record) -> Row | None:
        try:
            return self._row(record)
        except Reject:
            log.debug("record.skipped", "An unreadable record was set aside before.", topic=record.topic)
            return None

    def _adopt(self, records: Iterable[Record]) -> None:
        for record in records:
            if record.value is None:
                self._detector.drop(record.key)
                continue
            try:
                self._detector.adopt(self._codec.decode(record.topic, record.value, record.headers))
            except Reject as error:
                log.warning(
                    "finding.unreadable",
                    "A finding of our own cannot be read and is judged anew.",
                    topic=record.topic,
                    code=error.code,
                )

    def _outputs(self, events: Sequence[FindingEvent]) -> list[Output]:
        if events:
            self._uncounted.add(lambda: _count_findings(events))
        return [self._output(event) for event in events]

    def _output(self, event: FindingEvent) -> Output:
        finding = event.finding
        if finding is None:
            return Output(event.topic, event.finding_id, None)
        envelope = Envelope(
            id=identity.uuid_text("finding-event", event.finding_id, str(finding.revision)),
            source=self._source,
            type=f"nl.samenloop.{_RECORD[event.topic]}-{event.transition}.v1",
            time=event.at,
            subject=event.finding_id,
            partitionkey=event.finding_id,
            correlationid=event.correlation_id,
            causationid=event.cause_id,
            classification=contract.classification(finding.visibility),
        )
        value = self._codec.encode(event.topic, finding)
        return Output(event.topic, event.finding_id, value, self._codec.headers(event.topic, envelope))

    def _letter(self, record: Record, error: Reject, now: datetime) -> Output:
        tell_unreadable(record.topic, error)
        letter = contract.rejected(record, error, stage=self.name, now=now)
        self._uncounted.add(lambda: _count_letter(record, letter))
        log.warning("record.rejected", "A row was set aside.", code=error.code, offset=record.offset)
        return letter_output(self._codec, self._source, letter)

    def _count_batch(self, rows: int, letters: int, seconds: float) -> None:
        metrics.DETECTION_BATCH_SECONDS.observe(seconds)
        metrics.PROCESSOR_EVENTS_TOTAL.labels(processor=self.name, outcome="emitted").inc(rows - letters)
        if letters:
            metrics.PROCESSOR_EVENTS_TOTAL.labels(processor=self.name, outcome="dead_lettered").inc(letters)
        kernel = self._detector.kernel
        before, self._examined = self._examined, (kernel.candidates, kernel.exact, self._detector.kept)
        for stage, was, now in zip(_STAGES, before, self._examined, strict=True):
            metrics.DETECTION_PAIRS_TOTAL.labels(stage=stage).inc(max(0, now - was))

    def _show(self) -> None:
        known = {(rule, severity): 0 for rule in RULES for severity in _SEVERITIES[topic_of(rule)]}
        for (rule_id, severity), count in (known | dict(self._detector.open)).items():
            label = "none" if severity is Severity.UNKNOWN else severity.value.lower()
            record = _RECORD[topic_of(rule_id)]
            metrics.FINDINGS_OPEN.labels(record=record, rule=rule_id, severity=label).set(count)
        metrics.TABLE_KEYS.labels(table="detect-plans").set(self._detector.plans.matched)


def _count_letter(record: Record, letter: DeadLetter) -> None:
    metrics.DLQ_RECORDS_TOTAL.labels(topic=record.topic, reason=letter.reason.value).inc()


def _count_findings(events: Sequence[FindingEvent]) -> None:
    counts = Counter(
        (_RECORD[event.topic], event.finding.evidence.rule_id, event.transition)
        for event in events
        if event.finding is not None
    )
    for (record, rule, transition), count in counts.items():
        metrics.FINDINGS_TOTAL.labels(record=record, rule=rule, transition=transition).inc(count)


def _latest(records: Iterator[Record]) -> Iterator[list[Record]]:
    """Yield the records in portions, the last one per key in each."""
    portion: dict[str, Record] = {}
    for record in records:
        portion.pop(record.key, None)
        portion[record.key] = record
        if len(portion) >= LOAD_RECORDS:
            yield list(portion.values())
            portion = {}
    yield list(portion.values())


def _removal(record: Record, headers: Mapping[str, Any]) -> Row:
    """The row of a null value: its cause stands in the headers, else its place in the log does."""
    place = f"{record.topic}:{record.partition}:{record.offset}"
    cause = _text(headers, "ce_causationid") or _text(headers, "ce_id") or place
    at = _EPOCH + timedelta(milliseconds=record.timestamp_ms)
    return Row(record.key, 0, at, cause, _text(headers, "ce_correlationid") or cause)


def _text(headers: Mapping[str, Any], name: str) -> str:
    value = headers.get(name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
