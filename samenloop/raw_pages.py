"""Raw pages of sources, kept for a while on disk: to run a corrected parser again, and to release a held one.

Nothing the truth depends on: a folder that is lost costs a comfort. Pages may hold personal data, so they never go to
Kafka, are readable by the hub alone, and are deleted after some days.
"""

from __future__ import annotations

import gzip
import os
import time
from datetime import timedelta
from pathlib import Path

from samenloop.logs import get_logger
from samenloop.source import Page, taken_at

KEEP = timedelta(days=7)
_log = get_logger("source")


class RawPages:
    """The kept pages of one source, one file each, named by snapshot."""

    def __init__(self, data_dir: Path, source: str, keep: timedelta = KEEP) -> None:
        self.folder, self.keep = data_dir / "raw" / source, keep

    def put(self, page: Page) -> None:
        """Keep *page* and delete what is older than the retention; a full disk is logged and nothing more."""
        path = self._path(page.snapshot_id)
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not path.exists():
                part = path.with_suffix(".part")
                part.touch(mode=0o600)
                with gzip.open(part, "wb", compresslevel=1) as file:
                    file.write(page.body)
                part.replace(path)
            self._tidy(path)
        except OSError as error:
            _log.warning(
                "source.raw_not_kept", "The raw page could not be kept on disk.", detail=os.strerror(error.errno or 0)
            )

    def get(self, snapshot_id: str, cursor: str) -> Page | None:
        """Return the page of a snapshot; None when it is no longer there."""
        try:
            body = gzip.decompress(self._path(snapshot_id).read_bytes())
        except (OSError, EOFError):
            return None
        return Page(snapshot_id, taken_at(snapshot_id), cursor, snapshot_id, body)

    def touch(self, snapshot_id: str) -> None:
        """Keep a held page for another while."""
        path = self._path(snapshot_id)
        if path.exists():
            path.touch()

    def _path(self, snapshot_id: str) -> Path:
        return self.folder / f"{snapshot_id.replace(':', '')}.gz"

    def _tidy(self, newest: Path) -> None:
        before = time.time() - self.keep.total_seconds()
        for path in self.folder.glob("*.gz"):
            if path != newest and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)
