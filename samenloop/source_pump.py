"""Moves a source's snapshots to Kafka: fetch, read, compare, write. The cursor is kept only when all of it is there.

Changes, the states of their records and, last, the cursor with the account of the poll go out in transactions of at
most `kafka.batch_records` records. A process that dies half-way leaves whole chunks behind: the next one compares
again, finds them done, and goes on with the same event ids. Two pollers of one source fence each other.

A bulk load goes out no faster than `kafka.changes_per_second`, well below what the stages take: everything behind a
change in the log waits for it, so a queue is better kept here, where it holds up nobody else's changes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from samenloop import clock, metrics, plugins, settings, tracing
from samenloop.contract import Codec
from samenloop.errors import BadSettings, Held, Reject, Retry
from samenloop.identity import check_oin, system_urn
from samenloop.kafka import Writer
from samenloop.letters import letter_output
from samenloop.logs import get_logger
from samenloop.model import DeadLetter, PollOutcome, SourceState
from samenloop.raw_pages import RawPages
from samenloop.snapshots import Counts, Diff, Effect, Memory, Speaker, apply, diff, is_older
from samenloop.source import Context, Page, Raw, Snapshot, Source, content_of, read_snapshot
from samenloop.source_account import change_output, count, poll_of, poll_output, show_state
from samenloop.source_memory import (
    Remembered,
    decide,
    decision_done,
    held_snapshot,
    held_text,
    load_decision,
    load_memory,
    state_output,
)

__all__ = ["Pump", "decide", "open_source", "run_source"]

WAIVED = "waived"
"""In place of a held snapshot: its page is gone, so the next one is applied without guards."""
CHUNKS_PER_SECOND = 4
"""Parts in which a second's worth of a bulk load goes out: a change of somebody else waits for one of them."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 5.0, 3600.0
_OUTCOMES = {
    "auth": PollOutcome.AUTH,
    "rate-limited": PollOutcome.RATE_LIMITED,
    "timeout": PollOutcome.TIMEOUT,
}
_log = get_logger("source")


def run_source(
    name: str,
    source: settings.Source,
    hub: settings.Hub,
    codec: Codec,
    stop: threading.Event,
    *,
    on_ready: Callable[[], object] = bool,
) -> None:
    """Read one source until *stop* is set; several processes may try, the last one to start has it.

    *on_ready* is called once it may write; whether the source answers is no question of that.
    Raises BadSettings for a profile that does not describe a source, or an OIN of the test range where that is refused.
    """
    opened = open_source(source, hub)
    writer = Writer(hub.kafka, name)
    on_ready()
    metrics.start(connector=source.connector, source=name)
    metrics.DLQ_RECORDS_TOTAL.start(topic=name)
    for topic in ("plan-changes", "source-states", "polls", "dead-letters"):
        metrics.PRODUCER_RECORDS_TOTAL.start(topic=topic)
    labels = {"connector": source.connector, "source": name}
    metrics.SOURCE_INFO.labels(**labels).set(1)
    metrics.SOURCE_FRESHNESS_OBJECTIVE_SECONDS.labels(**labels).set(source.freshness_seconds)
    pump = None
    failures = 0
    while not stop.is_set():
        try:
            if pump is None:
                known = load_memory(hub.kafka, codec, name)
                pump = Pump(name, opened, hub, codec, writer=writer, known=known)
            with tracing.span(f"poll {name}", samenloop_source=name, samenloop_connector=source.connector):
                pump.poll(stop)
            failures = 0
            stop.wait(source.poll_every_seconds)
        except Retry as error:
            failures += 1
            wait = _wait(error, failures, source.poll_every_seconds)
            _tell_failed(name, error, wait)
            stop.wait(wait)


def _tell_failed(name: str, error: Retry, wait_seconds: float) -> None:
    fields = {"source": name, "code": error.code, "detail": error.detail, "wait_seconds": wait_seconds}
    match error.code:
        case "auth":
            _log.error("source.auth_failed", "A source refuses our credentials; it is tried again.", **fields)
        case "rate-limited":
            _log.warning("source.rate_limited", "A source asks for patience; it is asked again later.", **fields)
        case _:
            _log.warning("source.poll_failed", "The poll failed and is tried again.", **fields)


def open_source(source: settings.Source, hub: settings.Hub) -> Source[Raw]:
    """Open a source of the settings with the connector that it names. Raises BadSettings."""
    connector = plugins.load("sources", source.connector)()
    opened: Source[Raw] = connector.open(source.profile, Context(os.environ))
    try:
        check_oin(opened.oin, allow_test=hub.hub.allow_test_oin)
    except Reject as error:
        raise BadSettings([f"{source.profile}: oin: {error.detail}"]) from error
    return opened


class Pump:
    """One source on its way to Kafka: what is remembered, and the writer of its slot."""

    def __init__(
        self,
        name: str,
        source: Source[Raw],
        hub: settings.Hub,
        codec: Codec,
        *,
        writer: Writer,
        known: Remembered,
    ) -> None:
        self.name, self.source, self.hub, self.codec, self.writer = name, source, hub, codec, writer
        self.memory: Memory = known.memory
        self.decision: SourceState | None = known.decision
        self.speaker = Speaker(name, source.system, source.oin)
        self.pages = RawPages(hub.data_dir, name)
        self.hub_urn = system_urn(hub.hub.oin, "samenloop")
        self.letters: set[UUID] = set()
        self.lapsed = False
        self.refused: str | None = None
        self._stop = threading.Event()
        self.labels = {"connector": source.connector, "source": name}
        self._show_state()

    @property
    def cursor(self) -> SourceState:
        """The cursor record, an empty one before the first poll."""
        return self.memory.cursor or SourceState(source=self.name, record="")

    def poll(self, stop: threading.Event) -> None:
        """Ask the source once and take every page it has. Raises Retry, after the failed poll was accounted for."""
        started = clock.now()
        self._stop = stop
        try:
            self._decided()
            taken = 0
            for page in self.source.fetch(self.cursor.cursor):
                self.take(page, started)
                taken += 1
                started = clock.now()
                if stop.is_set():
                    return
        except Retry as error:
            outcome = _OUTCOMES.get(error.code, PollOutcome.HTTP_ERROR)
            self._account(started, outcome, error=error)
            raise
        if not taken:
            held = self.cursor.held is not None and self.cursor.held != WAIVED
            self._account(started, PollOutcome.HELD if held else PollOutcome.UNCHANGED)

    def take(self, page: Page, started: datetime, *, released: bool = False) -> None:
        """Apply one page or hold it for an operator, and move the cursor past it; or refuse it."""
        if content_of(page.snapshot_id) != self.refused:
            self.pages.put(page)
        passed = replace(self.cursor, cursor=page.cursor)
        if is_older(self.memory, page.snapshot_id):
            _log.warning("source.older", "An older snapshot than the last one is ignored.", **self._of(page))
            self._account(started, PollOutcome.UNCHANGED, page=page, cursor=passed)
            return
        waived = released or self.cursor.held == WAIVED
        try:
            snapshot = read_snapshot(self.source, page)
            found = diff(
                self.memory, snapshot, speaker=self.speaker, guards=self.source.guards, now=clock.now(), released=waived
            )
        except Reject as error:
            self._refuse(page, started, error)
        except Held as error:
            self._hold(page, passed, started, error)
        else:
            self._write(page, snapshot, found, started)

    def _refuse(self, page: Page, started: datetime, error: Reject) -> None:
        """Use nothing of a page. The cursor stays before it: the source is not well until there is another one."""
        if content_of(page.snapshot_id) != self.refused:
            _log.error(
                "source.refused",
                "The export is not complete or not what is expected; nothing of it is used.",
                **self._of(page),
                **_words(error),
            )
        self.refused = content_of(page.snapshot_id)
        self._account(started, PollOutcome.PARSE_ERROR, error=error, page=page)

    def _hold(self, page: Page, passed: SourceState, started: datetime, error: Held) -> None:
        event = "source.shrunk" if error.code == "snapshot.shrunk" else "source.held"
        _log.error(
            event,
            "The snapshot is held; `samenloop source release` applies it, `discard` forgets it.",
            **self._of(page),
            **_words(error),
        )
        held = replace(passed, held=held_text(page.snapshot_id, error.code))
        self._account(started, PollOutcome.HELD, error=error, page=page, cursor=held)

    def _write(self, page: Page, snapshot: Snapshot, found: Diff, started: datetime) -> None:
        """Write a snapshot's effects in chunks; the last one carries letters, cursor and account. A stop ends it."""
        self.refused = None
        first = self.memory.snapshot_id is None
        if first:
            _log.info("backfill.started", "A source is read for the first time.", **self._of(page),
                      records=found.counts.read)  # fmt: skip
        *early, last = list(self._chunks(found.effects)) or [[]]
        if not self._spread(early):
            return
        self.lapsed = self.cursor.held is not None and self.cursor.held != WAIVED
        known = bool(snapshot.records or self.memory.records)
        applied = snapshot.id if known else self.memory.snapshot_id
        cursor = SourceState(source=self.name, record="", snapshot_id=applied, cursor=page.cursor)
        letters = [letter for letter in found.dead_letters if letter.id not in self.letters]
        self._account(
            started,
            PollOutcome.OK,
            detail=_measures(snapshot),
            page=page,
            cursor=cursor,
            counts=found.counts,
            effects=last,
            letters=letters,
        )
        self.memory = apply(self.memory, last)
        if first:
            _log.info("backfill.finished", "All of a source's first delivery is on Kafka.", **self._of(page))
        self._tell(page, snapshot, found, letters)

    def _chunks(self, effects: Sequence[Effect]) -> Iterator[Sequence[Effect]]:
        kafka = self.hub.kafka
        size = max(1, min(kafka.batch_records // 2, kafka.changes_per_second // CHUNKS_PER_SECOND))
        for start in range(0, len(effects), size):
            yield effects[start : start + size]

    def _spread(self, chunks: Sequence[Sequence[Effect]]) -> bool:
        """Write the early part of a bulk load no faster than the rate; False when a stop ended it."""
        for chunk in chunks:
            began = time.monotonic()
            with self.writer.transaction():
                self._write_effects(chunk)
            self.memory = apply(self.memory, chunk)
            published = sum(effect.change is not None for effect in chunk)
            pause = published / self.hub.kafka.changes_per_second - (time.monotonic() - began)
            if self._stop.wait(max(0.0, pause)):
                return False
        return True

    def _account(
        self,
        started: datetime,
        outcome: PollOutcome,
        *,
        error: Retry | Reject | Held | None = None,
        detail: str | None = None,
        page: Page | None = None,
        cursor: SourceState | None = None,
        counts: Counts | None = None,
        effects: Sequence[Effect] = (),
        letters: Sequence[DeadLetter] = (),
    ) -> None:
        """Write the end of a poll in one transaction: the last effects, letters, the cursor and the account."""
        poll = poll_of(self.name, self.source.connector, started, outcome, error=error, page=page, counts=counts)
        poll = poll if detail is None else replace(poll, detail=detail)
        with self.writer.transaction():
            self._write_effects(effects)
            for letter in letters:
                self.writer.write(letter_output(self.codec, self.source.system, letter))
            if cursor is not None:
                self.writer.write(state_output(self.codec, cursor))
            self.writer.write(poll_output(self.codec, poll, hub_urn=self.hub_urn, system=self.source.system))
        if cursor is not None:
            self.memory = Memory(cursor, self.memory.records)
        count(self.labels, poll, letters)
        self._show_state(failed=poll.outcome not in (PollOutcome.OK, PollOutcome.UNCHANGED, PollOutcome.HELD))

    def _write_effects(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if effect.change is not None:
                self.writer.write(change_output(self.codec, effect.change))
            self.writer.write(state_output(self.codec, effect.state))

    def _decided(self) -> None:
        """Carry out what an operator decided about the snapshot that is held."""
        held = self.cursor.held
        if held is None or held == WAIVED:
            return
        snapshot_id = held_snapshot(held)
        self.pages.touch(snapshot_id)
        decision = self.decision or load_decision(self.hub.kafka, self.codec, self.name)
        self.decision = None
        if decision is None or decision.snapshot_id != snapshot_id:
            return
        _log.info(
            "source.decided",
            "A decision about the held snapshot is carried out.",
            source=self.name,
            snapshot=snapshot_id,
            decision=decision.held,
        )
        page = self.pages.get(snapshot_id, self.cursor.cursor or "") if decision.held == "release" else None
        after = WAIVED if decision.held == "release" and page is None else None
        cursor = replace(self.cursor, held=after)
        with self.writer.transaction():
            self.writer.write(state_output(self.codec, cursor))
            self.writer.write(decision_done(self.name))
        self.memory = Memory(cursor, self.memory.records)
        if page is not None:
            self.take(page, clock.now(), released=True)
        self._show_state()

    def _tell(self, page: Page, snapshot: Snapshot, found: Diff, letters: Sequence[DeadLetter]) -> None:
        for letter in letters:
            self.letters.add(letter.id)
            _log.warning(
                "record.rejected",
                "A record is set aside.",
                source=self.name,
                code=letter.code,
                detail=letter.detail,
                letter=str(letter.id),
            )
        if self.lapsed:
            _log.warning(
                "source.held_lapsed", "A newer snapshot passed the guards; the held one is forgotten.", **self._of(page)
            )
        metrics.SOURCE_MEASURES.labels(**self.labels).set(snapshot.measures)
        metrics.SOURCE_MEASURES_ONLY_RECORDS.labels(**self.labels).set(snapshot.measures_only)
        step, counts = found.step, found.counts
        _log.debug(
            "source.applied",
            "A snapshot was applied.",
            **self._of(page),
            added=step.added,
            gone=step.removed,
            changed=step.changed,
            read=counts.read,
            published=sum(1 for _ in found.changes),
        )
        if snapshot.taken_at <= clock.now():
            age = (clock.now() - snapshot.taken_at).total_seconds()
            for _ in found.changes:
                metrics.SOURCE_RECORD_AGE_SECONDS.labels(source=self.name).observe(age)

    def _show_state(self, *, failed: bool = False) -> None:
        held = self.cursor.held is not None and self.cursor.held != WAIVED
        show_state(self.labels, held=held, failed=failed)

    def _of(self, page: Page) -> dict[str, str]:
        return {"source": self.name, "page": page.name, "snapshot": page.snapshot_id}


def _measures(snapshot: Snapshot) -> str | None:
    """Say in the account of a poll what was read and is no plan."""
    if not snapshot.measures:
        return None
    return f"{snapshot.measures} traffic measures, {snapshot.measures_only} records with nothing else"


def _wait(error: Retry, failures: int, poll_every_seconds: float) -> float:
    if error.after_seconds is not None:
        return min(max(error.after_seconds, 1.0), LONGEST_WAIT_SECONDS * 24)
    backed_off = FIRST_WAIT_SECONDS * 2 ** min(failures - 1, 12)
    return float(min(backed_off, max(poll_every_seconds, 1.0), LONGEST_WAIT_SECONDS))


def _words(error: Reject | Held) -> dict[str, str]:
    return {"code": error.code, "detail": error.detail}
