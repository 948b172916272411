"""What the JVM learnt of Kafka and the registry: used where it is, missed by nobody, never a reason not to start."""

from pathlib import Path

import pytest

from samenloop.localstack import LocalStack, aot, learning, programs
from samenloop.localstack.artefacts import Artefacts, located
from samenloop.localstack.data import DataFolder


@pytest.fixture
def artefacts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Artefacts:
    """Programs that were fetched; nobody has learnt them."""
    found = Artefacts(tmp_path / "local-stack")
    found.kafka.mkdir(parents=True)
    monkeypatch.setattr("samenloop.localstack.learning.fetched", lambda tell: found)
    return found


def test_without_a_cache_a_program_starts_as_ever(artefacts: Artefacts, tmp_path: Path) -> None:
    """No flag names a cache that is not there; once it is there each program gets its own."""
    data = DataFolder(tmp_path / "data", keep=False)
    commands = {
        "kafka": lambda: programs.kafka_command(artefacts, data, tmp_path / "kafka.properties"),
        "registry": lambda: programs.registry_command(artefacts, data, 1, 2),
    }
    before = [word for command in commands.values() for word in command() if "AOT" in word]
    for program in ("kafka", "registry"):
        cache = aot.cache_of(artefacts, program)  # type: ignore[arg-type]
        cache.parent.mkdir(exist_ok=True)
        cache.touch()
    after = {name: [word for word in command() if "AOT" in word] for name, command in commands.items()}

    assert before == []
    assert {name: [Path(word).name.partition("-")[0] for word in words] for name, words in after.items()} == {
        "kafka": ["kafka"],
        "registry": ["registry"],
    }


def test_a_java_that_cannot_learn_is_asked_once(artefacts: Artefacts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both programs came up and left no cache: a second time nothing is run. What did not come up is run again."""
    runs: list[str] = []
    came_up = iter([False, True])

    def run(artefacts: Artefacts, data: DataFolder) -> bool:
        runs.append("run")
        return next(came_up)

    monkeypatch.setattr(learning, "_learn_all", run)

    for _ in range(4):
        assert learning.learn(print) == []
    assert runs == ["run", "run"]


def test_a_stack_runs_on_what_was_learnt(local_stack: LocalStack) -> None:
    """The broker and the registry have their caches in memory, mapped from the files beside the programs."""
    learnt = (aot.cache_of(located(), "kafka"), aot.cache_of(located(), "registry"))

    for pid, cache in zip(local_stack.pids, learnt, strict=True):
        if f"-XX:AOTCache={cache}" not in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
            pytest.skip("the JVM had not learnt this program when the stack was started")
        assert str(cache) in Path(f"/proc/{pid}/maps").read_text()
