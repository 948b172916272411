"""What is in a backup, and whether all of it is there as it was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from samenloop.errors import BadSettings
from samenloop.value import value

MANIFEST: Final = "manifest.json"
SUMS: Final = "SHA256SUMS"
REGISTRY: Final = "registry.zip"
FORMAT: Final = 1


@value
class Part:
    """One partition: *records* in *file*, its log end, and the ids of schemas that its values name."""

    file: str
    records: int
    end: int
    schema_ids: list[int]


@value
class Position:
    """How far a group is: the next offset, which is to say that *records_before* of the backup are behind it."""

    offset: int
    records_before: int


@value
class SchemaId:
    """What a number in front of values means."""

    subject: str
    version: int
    id: int


@value
class Manifest:
    """All of a backup. Partitions and positions stand in their order, by catalogue name of their topic."""

    format: int
    prefix: str
    taken_at: datetime
    topics: Mapping[str, list[Part]]
    groups: Mapping[str, Mapping[str, list[Position]]]
    schemas: list[SchemaId]

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(part.records for parts in self.topics.values() for part in parts)


_FORM: Final = TypeAdapter(Manifest)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest and, last of all, the sums: only then is it a backup."""
    text = json.dumps(_FORM.dump_python(manifest, mode="json"), indent=1)
    (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")
    files = [MANIFEST, REGISTRY, *(part.file for parts in manifest.topics.values() for part in parts)]
    lines = "".join(f"{_sum(folder / name)}  {name}\n" for name in files)
    unfinished = folder / f".{SUMS}"
    unfinished.write_text(lines, encoding="utf-8")
    unfinished.rename(folder / SUMS)


def read_backup(folder: Path) -> Manifest:
    """Check every file of a backup and return its manifest. Raises BadSettings with all that is wrong."""
    if not (folder / SUMS).is_file():
        what = "is an unfinished backup" if (folder / "topics").is_dir() else "is no backup"
        raise BadSettings([f"{folder}: {what}: there is no {SUMS}, which is written last"])
    problems = list(_damages(folder))
    if problems:
        raise BadSettings(problems)
    try:
        manifest = _FORM.validate_json((folder / MANIFEST).read_bytes())
    except ValidationError as error:
        raise BadSettings([f"{folder / MANIFEST}: is not a manifest of format {FORMAT}: {error.title}"]) from error
    if manifest.format != FORMAT:
        raise BadSettings([f"{folder / MANIFEST}: found format {manifest.format}, expected {FORMAT}"])
    listed = {name for name, _ in _sums(folder)}
    missing = [part.file for parts in manifest.topics.values() for part in parts if part.file not in listed]
    if missing:
        raise BadSettings([f"{folder}: {name}: is in the manifest, but not in {SUMS}" for name in missing])
    return manifest


def as_plain(manifest: Manifest) -> dict[str, object]:
    """Return a summary for a machine."""
    topics = {name: sum(part.records for part in parts) for name, parts in manifest.topics.items()}
    return {"taken_at": manifest.taken_at, "prefix": manifest.prefix, "records": manifest.records, "topics": topics,
            "groups": list(manifest.groups), "schemas": [asdict(one) for one in manifest.schemas]}  # fmt: skip


def _damages(folder: Path) -> Iterator[str]:
    for name, wanted in _sums(folder):
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            yield f"{folder / SUMS}: names {name}, which is outside the backup"
        elif not path.is_file():
            yield f"{path}: is missing"
        elif _sum(path) != wanted:
            yield f"{path}: is damaged: its SHA-256 is not the one in {SUMS}"


def _sums(folder: Path) -> list[tuple[str, str]]:
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    return [(name, wanted) for wanted, _, name in (line.partition("  ") for line in lines)]


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
