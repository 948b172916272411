"""`topics apply`: makes what is missing, corrects what differs, never touches partitions."""

from dataclasses import replace
from typing import Any

import pytest

from samenloop.errors import BadSettings, Retry
from samenloop.kafka import Writer, apply_topics
from samenloop.kafka.groups import group_lag, open_transactions
from tests.samenloop.kafka.ledger import GROUPS, TOPICS

Hub = Any


def test_a_second_time_there_is_nothing_to_do(hub: Hub) -> None:
    """The fixture has applied them already."""
    assert apply_topics(hub.kafka, TOPICS, GROUPS) == []


def test_a_setting_that_differs_is_corrected(hub: Hub) -> None:
    """The line names topic, setting, what it was and what it is now."""
    other = replace(TOPICS["counts"], config={**TOPICS["counts"].config, "delete.retention.ms": "1000"})
    topics = {**TOPICS, "counts": other}

    lines = apply_topics(hub.kafka, topics, GROUPS)

    assert lines == [f"{hub.kafka.prefix}counts.v1: delete.retention.ms was 86400000, is now 1000"]
    assert apply_topics(hub.kafka, topics, GROUPS) == []


def test_other_partitions_are_refused(hub: Hub) -> None:
    """Keys would move, so nothing is changed and the reader is told what to do."""
    topics = {**TOPICS, "shared": replace(TOPICS["shared"], partitions=12)}

    with pytest.raises(BadSettings, match=r"shared\.v1: found 4 partitions, expected 12"):
        apply_topics(hub.kafka, topics, GROUPS)


def test_a_group_begins_at_zero_once(hub: Hub) -> None:
    """A position that exists stays; what is behind is counted per partition."""
    worker = hub.worker("one")
    worker.wait_for("assigned")
    hub.write("single", ["a", "b"])
    hub.wait_for_total(2)
    worker.end()

    apply_topics(hub.kafka, TOPICS, GROUPS)
    hub.write("single", ["c"])

    (lag,) = group_lag(hub.kafka, "one", ["single"], TOPICS)
    assert (lag.committed, lag.end, lag.behind) == (2, 3, 1)
    (never,) = group_lag(hub.kafka, "nobody", ["single"], TOPICS)
    assert (never.committed, never.behind) == (None, 3)


def test_a_group_at_work_is_left_alone(hub: Hub) -> None:
    """A group with workers gets no position from outside: they must be stopped first."""
    hub.worker("holding").wait_for("assigned")

    with pytest.raises(Retry, match="stop them"):
        apply_topics(hub.kafka, TOPICS, {"holding": ["single", "followed"]})


def test_an_open_transaction_is_seen(hub: Hub) -> None:
    """Between produce and commit the committed end is behind the end."""
    producer = Writer(hub.kafka, "w")._transactions._producer
    producer.begin_transaction()
    producer.produce(f"{hub.kafka.prefix}single.v1", b"1", "a")
    producer.flush(5)

    (hanging,) = open_transactions(hub.kafka, TOPICS)

    assert (hanging.topic, hanging.committed_end, hanging.end) == ("single", 0, 1)
    producer.abort_transaction()
    assert open_transactions(hub.kafka, TOPICS) == []
