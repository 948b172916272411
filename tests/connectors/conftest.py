"""What tests of source connectors share: a folder of exports played through the differ, without Kafka."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.sources.file_snapshots import load_profile
from connectors.sources.file_snapshots.connector import FileSource
from samenloop.errors import Held, Reject
from samenloop.model import SourceState
from samenloop.snapshots import Diff, Memory, Speaker, apply, diff
from samenloop.source import Context, Snapshot, read_snapshot

NOW = datetime(2027, 1, 4, 12, 0, tzinfo=UTC)


@dataclass
class Played:
    """What a folder led to: the diff of each file that was applied, the refusal of each other one."""

    diffs: list[tuple[str, Snapshot, Diff]] = field(default_factory=list)
    refused: dict[str, Reject | Held] = field(default_factory=dict)
    memory: Memory = field(default_factory=Memory)

    @property
    def steps(self) -> list[tuple[int, int, int]]:
        """Added, removed, changed by fingerprint, from the second applied file on."""
        return [(d.step.added, d.step.removed, d.step.changed) for _, _, d in self.diffs[1:]]


def play(source: FileSource) -> Played:
    """Play all exports of *source*, oldest first."""
    result = Played()
    for page in source.fetch(None):
        try:
            snapshot = read_snapshot(source, page)
            found = diff(
                result.memory,
                snapshot,
                speaker=Speaker("test", source.system, source.oin),
                guards=source.guards,
                now=NOW,
            )
        except (Reject, Held) as error:
            result.refused[page.name] = error
            continue
        cursor = SourceState(source="test", record="", snapshot_id=snapshot.id, cursor=page.cursor)
        result.memory = apply(result.memory, found.effects, cursor)
        result.diffs.append((page.name, snapshot, found))
    return result


@pytest.fixture(scope="session")
def play_folder() -> Callable[..., Played]:
    """Play a folder by the profile of this name, with keys replaced."""

    def run(profile: str, folder: Path, **replaced: object) -> Played:
        path = Path(__file__).parent / "profiles" / f"{profile}.yaml"
        loaded = load_profile(path).model_copy(update={"files": str(folder), **replaced})
        return play(FileSource(loaded, folder, Context({})))

    return run
