"""The table of principals: what every process uses, and nothing that is not in it."""

import pytest

from samenloop import plugins
from samenloop.contract.topics import INTERNAL, TOPICS
from samenloop.kafka.access import GROUPS, Operation, Resource, accesses, rights
from samenloop.kafka.names import transactional_id
from samenloop.kafka.topics import inputs_of_groups

CATALOGUE = {**TOPICS, **INTERNAL}


def test_every_stage_view_and_sink_has_a_row_that_covers_its_inputs() -> None:
    """What a stage says it reads, its principal may read, and it is a member of its own group alone."""
    known = accesses([])
    kinds: tuple[plugins.Kind, ...] = ("stages", "views", "sinks")
    installed = {name: plugins.load(kind, name) for kind in kinds for name in plugins.names(kind)}

    assert sorted(installed) == sorted(GROUPS)
    for name, stage in installed.items():
        assert {stage.lead, *stage.follows} <= set(known[name].reads), name
        assert list(known[name].joins) == [name]


def test_rows_name_topics_and_groups_of_the_hub() -> None:
    """No row names a topic, or a group, that the hub does not have, and none names one twice."""
    for row in accesses(["town"]).values():
        for topics in (row.writes, row.reads, row.looks_at, row.inspects, row.makes):
            assert set(topics) <= set(CATALOGUE), row.principal
            assert len(topics) == len(set(topics)), row.principal
        assert {*row.joins, *row.looks_at_groups} <= set(GROUPS), row.principal


@pytest.mark.parametrize("principal", ["operator", "lag-exporter"])
def test_who_tells_how_old_what_waits_is_may_read_it(principal: str) -> None:
    """`samenloop status` and the exporter read the record at a group's position, of the view's own topic as well."""
    inputs = {topic for topics in inputs_of_groups().values() for topic in topics}

    assert inputs <= set(accesses([])[principal].reads)


def test_every_topic_has_a_writer_and_a_reader_while_the_hub_runs() -> None:
    """A topic that nobody may write, or read, is a hole in the table."""
    running = [row for row in accesses(["town"]).values() if not row.at_setup]

    assert {topic for row in running for topic in row.writes} == set(CATALOGUE)
    assert {topic for row in running for topic in row.reads} == set(CATALOGUE)


def test_no_right_is_a_wildcard_and_every_right_is_of_the_prefix() -> None:
    """Another hub on the same cluster is out of reach: every name begins with the prefix and none is the prefix.

    The cluster itself is looked at by the operator, and for the room on its disks by the lag exporter; neither can
    change anything in it.
    """
    looks = {"operator": {Operation.DESCRIBE, Operation.DESCRIBE_CONFIGS}, "lag-exporter": {Operation.DESCRIBE}}
    for row in accesses(["town"]).values():
        of_cluster = {right.operation for right in rights(row, "hub.") if right.resource is Resource.CLUSTER}
        assert of_cluster == looks.get(row.principal, set())
        for right in rights(row, "hub."):
            if right.resource is Resource.CLUSTER:
                continue
            assert right.name.startswith("hub.")
            assert len(right.name) > len("hub.")
            assert "*" not in right.name
            assert not right.prefixed or right.resource is Resource.TRANSACTIONAL_ID


def test_sources_have_a_slot_of_their_own() -> None:
    """One source cannot write under the transactional id of another, nor of a stage."""
    slots = {
        row.principal: [r for r in rights(row, "hub.") if r.resource is Resource.TRANSACTIONAL_ID]
        for row in accesses(["town", "town-2"]).values()
    }

    assert [right.name for right in slots["source-town"]] == [transactional_id("hub.", "source", "town")]
    assert not slots["source-town"][0].prefixed
    for stage in ("consolidate", "detect", "notify", "webhook"):
        (right,) = slots[stage]
        assert transactional_id("hub.", stage, "3").startswith(right.name)
