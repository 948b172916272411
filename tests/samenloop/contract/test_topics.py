"""The catalogue of topics, as the contract has it."""

from samenloop.contract import TOPICS

DAY = 24 * 3600 * 1000


def test_names() -> None:
    """`<prefix><name>.v1`; the subject is that and the record's full name."""
    topic = TOPICS["plan-changes"]

    assert topic.full_name("samenloop.") == "samenloop.plan-changes.v1"
    assert topic.subject("samenloop.") == "samenloop.plan-changes.v1-samenloop.v1.PlanChanged"


def test_partitions_and_cleanup() -> None:
    """Co-partitioned topics have as many partitions; plan-regions has one, so that one detect is at work."""
    assert {name: (topic.partitions, topic.cleanup) for name, topic in TOPICS.items()} == {
        "plan-changes": (12, "delete"),
        "plan-states": (12, "compact"),
        "plan-regions": (1, "compact"),
        "restriction-reports": (3, "delete"),
        "restrictions": (3, "compact"),
        "conflicts": (12, "compact"),
        "opportunities": (12, "compact"),
        "subscriptions": (3, "compact"),
        "alerts": (12, "delete"),
        "receipts": (12, "delete"),
        "dead-letters": (3, "delete"),
        "polls": (3, "delete"),
        "source-states": (3, "compact"),
        "alert-states": (12, "compact"),
        "partners": (3, "compact"),
        "dead-letter-states": (1, "delete"),
        "sources": (1, "compact"),
    }


def test_retention() -> None:
    """Changes stay 400 days; a deletion stays 30; what justifies a finding is not compacted for a week."""
    retention = {name: int(topic.config["retention.ms"]) // DAY for name, topic in TOPICS.items()
                 if topic.cleanup == "delete"}  # fmt: skip
    lag = {name: int(topic.config["min.compaction.lag.ms"]) // 3_600_000 for name, topic in TOPICS.items()
           if topic.cleanup == "compact"}  # fmt: skip

    assert retention == {
        "plan-changes": 400, "restriction-reports": 400, "alerts": 30, "receipts": 90, "dead-letters": 30, "polls": 14,
        "dead-letter-states": 60,
    }  # fmt: skip
    assert {name for name, hours in lag.items() if hours == 7 * 24} == {"plan-states", "plan-regions"}
    assert set(lag.values()) == {6, 7 * 24}
    assert all(
        topic.config["delete.retention.ms"] == str(30 * DAY) for topic in TOPICS.values() if topic.cleanup == "compact"
    )
