"""The survey: how far groups are, asked from outside on the real broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

from samenloop.kafka import Writer, clients
from samenloop.kafka.names import group_on_wire, topic_on_wire
from samenloop.kafka.survey import Reading, Sight, Survey
from samenloop.stage import Output
from tests.samenloop.kafka.ledger import GROUPS, TOPICS

Hub = Any
SINGLE = ("single", 0)


def survey_of(hub: Hub) -> Survey:
    return Survey(hub.kafka, list(TOPICS.values()), {"one": GROUPS["one"]})


def commit(hub: Hub, offset: int) -> None:
    """Move the position of group `one`, as its worker would."""
    admin = clients.administrator(hub.kafka)
    at = TopicPartition(topic_on_wire(hub.kafka.prefix, "single"), 0, offset)
    request = ConsumerGroupTopicPartitions(group_on_wire(hub.kafka.prefix, "one"), [at])
    admin.alter_consumer_group_offsets([request])[request.group_id].result(10)


def look(survey: Survey, good: Callable[[Sight], bool] = bool) -> Sight:
    """Look until it is as expected: what is behind a broker's answers may be a moment late."""
    deadline = time.monotonic() + 20
    while not good(sight := survey.look()):
        assert time.monotonic() < deadline, sight
        time.sleep(0.1)
    return sight


def test_markers_are_no_lag(hub: Hub) -> None:
    """A group that has read every record of a transactional topic is not behind, though the end marker is an offset."""
    writer, survey = Writer(hub.kafka, "w"), survey_of(hub)
    before = time.time()
    with writer.transaction():
        for key in "ab":
            writer.write(Output("single", key, b"1"))
    commit(hub, 0)
    behind = survey.look()
    commit(hub, 1)
    nearly = survey.look()
    commit(hub, 2)
    done = survey.look()
    survey.close()

    reading = behind.readings["one", SINGLE]
    assert (reading.committed, reading.records) == (0, 3)
    assert reading.oldest == pytest.approx(before, abs=20)
    assert nearly.readings["one", SINGLE].records == 2
    assert done.readings["one", SINGLE] == Reading(2, 0, None)
    assert done.logs[SINGLE].end == 3


def test_aborted_records_are_no_lag_and_open_ones_are(hub: Hub) -> None:
    """What a hanging transaction keeps back is behind, and the stable offset stands still; once aborted, neither."""
    survey = survey_of(hub)
    producer = Writer(hub.kafka, "w")._transactions._producer
    producer.begin_transaction()
    producer.produce(topic_on_wire(hub.kafka.prefix, "single"), b"1", "a")
    producer.flush(5)
    commit(hub, 0)

    hanging = survey.look()
    log, reading = hanging.logs[SINGLE], hanging.readings["one", SINGLE]
    assert (log.stable, log.end, reading.records) == (0, 1, 1)
    assert reading.oldest is not None

    producer.abort_transaction()
    ended = look(survey, lambda sight: sight.logs[SINGLE].stable == sight.logs[SINGLE].end)
    survey.close()
    assert ended.readings["one", SINGLE] == Reading(0, 0, None)


def test_who_works_is_seen_without_joining(hub: Hub) -> None:
    """A partition without an owner is counted, and watching makes nobody a member."""
    survey = survey_of(hub)
    alone = survey.look().members["one"]
    worker = hub.worker("one")
    worker.wait_for("assigned")
    at_work = look(survey, lambda sight: sight.members["one"].unowned == 0).members["one"]
    worker.end()
    survey.close()

    assert (alone.workers, alone.unowned) == (0, 1)
    assert (at_work.workers, at_work.unowned) == (1, 0)


def test_topics_that_are_missing_are_left_out(hub: Hub) -> None:
    """One that was never made is no reason to be blind to the others."""
    survey = Survey(hub.kafka, [*TOPICS.values(), replace(TOPICS["single"], name="never-made")], {})
    sight = look(survey, lambda sight: SINGLE in sight.logs)
    survey.close()

    assert SINGLE in sight.logs
    assert all(topic != "never-made" for topic, _ in sight.logs)
