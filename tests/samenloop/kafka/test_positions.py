"""Positions: what was read, what may be committed."""

from dataclasses import dataclass

from confluent_kafka import TopicPartition

from samenloop.kafka.positions import Positions


@dataclass
class Message:
    """As a client gives it."""

    number: int
    at: int
    name: str = "p.lead.v1"

    def topic(self) -> str:
        return self.name

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.at


def begun(**offsets: int) -> Positions:
    positions = Positions("p.")
    positions.begin([TopicPartition(f"p.{name[:-1]}.v1", int(name[-1]), at) for name, at in offsets.items()])
    return positions


def wanted(positions: Positions, held: dict[tuple[str, int], int] | None = None) -> dict[tuple[str, int], int]:
    return {(p.topic, p.partition): p.offset for p in positions.to_commit(held or {})}


def test_only_what_moved_is_committed() -> None:
    """One partition moved: its next offset is committed, the other's is not sent."""
    positions = begun(lead0=5, lead1=7)

    assert positions.take(Message(0, 5))

    assert positions.moved({})
    assert wanted(positions) == {("p.lead.v1", 0): 6}


def test_without_movement_one_position_is_sent_unchanged() -> None:
    """A transaction without any position would not be checked against the group."""
    positions = begun(lead0=5, lead1=7)

    assert not positions.moved({})
    assert wanted(positions) == {("p.lead.v1", 0): 5}


def test_a_record_is_taken_once_and_only_from_what_is_ours() -> None:
    """One that comes again, or from a partition that left in between, is not processed."""
    positions = begun(lead0=5)

    assert positions.take(Message(0, 6))

    assert not positions.take(Message(0, 6))
    assert not positions.take(Message(1, 6))


def test_held_positions_wait_and_never_go_back() -> None:
    """min(position, held), but never below what is committed."""
    positions = begun(lead0=5)
    positions.take(Message(0, 9))

    assert wanted(positions, {("lead", 0): 7}) == {("p.lead.v1", 0): 7}
    assert wanted(positions, {("lead", 0): 3}) == {("p.lead.v1", 0): 5}
    assert not positions.moved({("lead", 0): 5})


def test_followed_partitions_leave_with_partition_zero() -> None:
    """Who no longer leads partition 0 no longer reads what is followed."""
    positions = begun(lead0=5, lead1=7, other0=1)

    kept = positions.end([TopicPartition("p.lead.v1", 1)], everything_followed=False)
    gone = positions.end([TopicPartition("p.lead.v1", 0)], everything_followed=True)

    assert [(p.topic, p.partition) for p in kept] == [("p.lead.v1", 1)]
    assert {(p.topic, p.partition) for p in gone} == {("p.lead.v1", 0), ("p.other.v1", 0)}
    assert not positions.ours
