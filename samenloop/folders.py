"""Exports in a folder, oldest first, each taken exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from samenloop import clock
from samenloop.bodies import read_file
from samenloop.errors import BadSettings, Retry
from samenloop.source import Page, snapshot_id

Reader = Callable[[], bytes]
"""Reads the file, when its moment must be asked of what is in it."""


@dataclass(frozen=True, slots=True)
class Export:
    """One file and the moment it was made."""

    path: Path
    taken: datetime

    @property
    def key(self) -> tuple[str, str]:
        """Its place in the order of exports."""
        return f"{self.taken:%Y-%m-%dT%H:%M:%S.%fZ}", self.path.name


Moment = Callable[[str, datetime, Reader], datetime]
"""Says when an export was made, from its name, when it was modified, and what reads it."""


class Folder:
    """Lists the exports at a place and yields those after a cursor (`time|hash|name`).

    *where* is a folder, a file or a pattern; of a folder, files with one of *endings* (`.gz` after it or not) count.
    *packed* as in `samenloop.bodies`.
    """

    def __init__(
        self,
        where: Path,
        *,
        endings: tuple[str, ...],
        moment: Moment,
        packed: bool = False,
    ) -> None:
        self.where, self.endings, self.moment, self.packed = where, endings, moment, packed
        self._times: dict[tuple[Path, int, int], datetime] = {}

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Yield the exports after *cursor*, oldest first. A file with a new content under its old name comes again.

        Raises Retry(`file-error`) when the place is not there (any more), or a file cannot be read: a folder that went
        away is not an empty one.
        """
        time, digest, name = cursor.split("|", 2) if cursor else ("", "", "")
        for export in self.exports():
            if export.key < (time, name):
                continue
            body, found = read_file(export.path, packed=self.packed)
            if export.key == (time, name) and found[:16] == digest:
                continue
            new = f"{export.key[0]}|{found[:16]}|{export.path.name}"
            yield Page(snapshot_id(export.taken, found), export.taken, new, export.path.name, body)

    def exports(self) -> list[Export]:
        """Return all exports in the order of their moments."""
        return sorted((Export(path, self._time(path)) for path in self._paths()), key=lambda export: export.key)

    def _paths(self) -> list[Path]:
        where = self.where
        if where.is_dir():
            return [path for path in where.iterdir() if self._is_export(path)]
        if where.is_file():
            return [where]
        root = Path(where.anchor or ".")
        found = [path for path in root.glob(str(where.relative_to(where.anchor))) if path.is_file()]
        if not found and not (_is_pattern(where) and _fixed_part(where).is_dir()):
            raise Retry("file-error", f"there is no {_fixed_part(where).name!r}")
        return [path for path in found if not path.name.startswith(".")]

    def _time(self, path: Path) -> datetime:
        try:
            stat = path.stat()
        except OSError as error:
            raise Retry("file-error", f"{path.name}: {error.strerror}") from error
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in self._times:
            modified = datetime.fromtimestamp(stat.st_mtime, UTC)
            self._times[key] = self.moment(path.name, modified, lambda: read_file(path, packed=self.packed)[0])
        return self._times[key]

    def _is_export(self, path: Path) -> bool:
        """Say whether a file in a folder is an export: by its ending, and not hidden (half written)."""
        bare = path.name.lower().removesuffix(".gz")
        return path.is_file() and not path.name.startswith((".", "~")) and bare.endswith(self.endings)


def _is_pattern(where: Path) -> bool:
    return any(character in str(where) for character in "*?[")


def _fixed_part(where: Path) -> Path:
    """Return the folder in which a pattern begins, a path without one as it is."""
    while _is_pattern(where):
        where = where.parent
    return where


def named_pages(files: Sequence[Path], moment: Moment, *, packed: bool = False) -> Iterator[Page]:
    """Yield *files* as pages, whatever they are called and in the order given. Raises BadSettings."""
    for path in map(Path, files):
        try:
            body, digest = read_file(path, packed=packed)
            modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        except (OSError, Retry) as error:
            reason = error.detail if isinstance(error, Retry) else error.strerror
            raise BadSettings([f"{path}: cannot be read ({reason})"]) from error
        taken = min(moment(path.name, modified, partial(bytes, body)), clock.now())
        yield Page(snapshot_id(taken, digest), taken, "", str(path), body)
