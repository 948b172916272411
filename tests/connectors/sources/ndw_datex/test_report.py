"""`samenloop source check` and `samenloop check` for a road feed, and what a poll says of measures."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from connectors.sources.ndw_datex import NdwDatex
from samenloop import metrics
from samenloop.cli.tree import run
from samenloop.contract import Codec
from samenloop.model import PollOutcome, SourcePoll
from samenloop.settings import Hub
from samenloop.source import Context
from samenloop.source_memory import Remembered
from samenloop.source_pump import Pump
from samenloop.stage import Output

PROFILE = """
system: roads
organisation: Nationaal wegenbestand
oin: "00000099000000009001"
files: feed
mandate: any
"""


@pytest.fixture
def town(tmp_path: Path, datex: Any) -> Path:
    (tmp_path / "feed").mkdir()
    body = datex.publication(
        datex.situation("a", datex.works("<s:roadworkStatus>paused</s:roadworkStatus>"), datex.measure()),
        datex.situation("b", datex.measure("ReroutingManagement")),
        datex.situation("c", datex.works(), real="test"),
    )
    (tmp_path / "feed" / "now.xml").write_bytes(body)
    (tmp_path / "roads.yaml").write_text(PROFILE, encoding="utf-8")
    return tmp_path


def test_source_check_tells_what_maps_and_what_does_not(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Plans, measures, codes that are not listed, refusals with their place."""
    code = run(["source", "check", str(town / "roads.yaml"), "--connector", "ndw-datex"])
    said = capsys.readouterr().out

    assert code == 1, "a record is refused"
    assert "3 situations, 2 works, 1 plans, 1 refused" in said
    assert "2: SpeedManagement 1, ReroutingManagement 1" in said
    assert "situations that hold nothing else: 1" in said
    assert "phase: roadworkStatus = 'paused' 1x" in said
    assert "1x status.not-real: situation c: informationStatus" in said
    assert "[situation 3 (c)]" in said


def test_a_page_that_is_not_used_says_why(town: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An error page in place of a feed."""
    (town / "page.xml").write_bytes(b"<html>502</html>")
    code = run(["source", "check", str(town / "roads.yaml"), str(town / "page.xml"), "--connector", "ndw-datex"])

    assert code == 1
    assert "NOT USED (envelope.unexpected): found an HTML page, expected DATEX II XML" in capsys.readouterr().out


def test_a_file_of_measures_alone_is_well(town: Path, datex: Any) -> None:
    """There is nothing to put right."""
    (town / "feed" / "now.xml").write_bytes(datex.publication(datex.situation("b", datex.measure())))

    assert NdwDatex().check(town / "roads.yaml").ok


def test_plans_of_files_are_read_without_a_hub(town: Path, datex: Any) -> None:
    """Of a plan in several files the last one counts."""
    later = town / "later.xml"
    later.write_bytes(datex.publication(datex.situation("a", datex.works(cause="Later"))))
    result = NdwDatex().read_plans([town / "feed" / "now.xml", later], town / "roads.yaml")

    assert [plan.title for plan in result.plans] == ["Later"]
    assert [rejected.local_id for rejected in result.rejected] == ["c"]


class Recorder:
    """The other side of a pump: keeps what was written."""

    def __init__(self) -> None:
        self.written: list[Output] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield

    def write(self, output: Output) -> None:
        self.written.append(output)


def test_a_poll_accounts_for_records_and_names_the_measures(town: Path) -> None:
    """read = created + updated + removed + unchanged + rejected, and measures beside it; then nothing new."""
    codec, recorder = Codec.offline(), Recorder()
    writer: Any = recorder
    source = NdwDatex().open(town / "roads.yaml", Context({}))
    pump = Pump("roads", source, Hub(data_dir=town / "data"), codec, writer=writer, known=Remembered())
    pump.poll(Event())
    pump.poll(Event())
    polls: list[SourcePoll] = [codec.decode("polls", o.value or b"") for o in recorder.written if o.topic == "polls"]

    assert [poll.outcome for poll in polls] == [PollOutcome.OK, PollOutcome.UNCHANGED]
    assert (polls[0].read, polls[0].created, polls[0].rejected) == (2, 1, 1)
    assert polls[0].detail == "2 traffic measures, 1 records with nothing else"
    series = {"connector": "ndw-datex", "source": "roads"}
    assert metrics.REGISTRY.get_sample_value("samenloop_source_measures", series) == 2
    assert metrics.REGISTRY.get_sample_value("samenloop_source_measures_only_records", series) == 1


def test_an_error_page_in_place_of_the_feed_removes_nothing(town: Path) -> None:
    """The poll is accounted as refused, and the known plans stay."""
    codec, recorder = Codec.offline(), Recorder()
    writer: Any = recorder
    source = NdwDatex().open(town / "roads.yaml", Context({}))
    pump = Pump("roads", source, Hub(data_dir=town / "data"), codec, writer=writer, known=Remembered())
    pump.poll(Event())
    known = pump.memory.present
    (town / "feed" / "zz.xml").write_bytes(b"<html>502</html>")
    pump.poll(Event())
    last: SourcePoll = codec.decode("polls", [o for o in recorder.written if o.topic == "polls"][-1].value or b"")

    assert (last.outcome, last.error_code) == (PollOutcome.PARSE_ERROR, "envelope.unexpected")
    assert pump.memory.present == known != frozenset()
