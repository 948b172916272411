"""The data folder of a local stack: Kafka's and the registry's data live and die together, since ids must match.

Nothing is ever deleted in a folder that is not marked as ours.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from pathlib import Path
from typing import IO

from samenloop.errors import BadSettings

_MARK = "local-stack.json"
_OURS = ("kafka", "registry", "logs", "run", "tls")


def addresses(folder: Path) -> dict[str, str] | None:
    """Return `bootstrap` and `registry` of the stack that runs, or last ran, in *folder*; None when none ever did.

    Of a secure one `admin` as well: where clients by certificate are heard.
    """
    try:
        said = json.loads((folder / _MARK).read_text())
        admin = {"admin": str(said["admin"])} if "admin" in said else {}
        return {"bootstrap": str(said["bootstrap"]), "registry": str(said["registry"]), **admin}
    except (OSError, ValueError, KeyError, TypeError):
        return None


class DataFolder:
    """A folder with the data of one stack; *folder* None makes one that goes with the stack."""

    def __init__(self, folder: Path | None, *, keep: bool) -> None:
        self._own = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="samenloop-")) if folder is None else folder.absolute()
        self.keep = keep
        self._lock: IO[str] | None = None

    @property
    def kafka(self) -> Path:
        """Kafka's log folder."""
        return self.folder / "kafka"

    @property
    def registry(self) -> Path:
        """The registry's database, without extension."""
        return self.folder / "registry" / "registry"

    @property
    def logs(self) -> Path:
        """What both programs say."""
        return self.folder / "logs"

    @property
    def run(self) -> Path:
        """Filled-in settings and what the programs unpack."""
        return self.folder / "run"

    @property
    def tls(self) -> Path:
        """Certificates and keys of a secure stack, made anew at every start."""
        return self.folder / "tls"

    def open(self) -> None:
        """Claim the folder, and empty it unless its data are kept. Raises BadSettings."""
        if self.folder.is_dir() and any(self.folder.iterdir()) and not (self.folder / _MARK).is_file():
            raise BadSettings([f"{self.folder}: holds other files; name an empty folder for the local stack's data"])
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self.folder / _MARK).open("a+")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BadSettings([f"{self.folder}: another local stack is running with this data folder"]) from None
        if not self.keep:
            self._empty()
        for path in (self.registry.parent, self.logs, self.run):
            path.mkdir(exist_ok=True)

    def ports(self) -> list[int]:
        """Return the ports the last stack in this folder had."""
        assert self._lock is not None
        self._lock.seek(0)
        try:
            return [int(port) for port in json.loads(self._lock.read())["ports"]]
        except (ValueError, KeyError, TypeError):
            return []

    def drop_unfinished(self) -> None:
        """Remove the data of starts that were cut off before both programs were up for the first time.

        A registry that is ended while it makes its tables leaves halves that no later start gets over.
        """
        if not self.ports():
            for made in (self.kafka, self.registry.parent):
                shutil.rmtree(made, ignore_errors=True)
            self.registry.parent.mkdir()

    def remember(self, ports: list[int], **addresses: str) -> None:
        """Write down where the stack is, for the next one and for people."""
        assert self._lock is not None
        self._lock.seek(0)
        self._lock.truncate()
        self._lock.write(json.dumps({"ports": ports, **addresses}, indent=1))
        self._lock.flush()

    def close(self) -> None:
        """Give the folder back; what is not kept is removed."""
        if self._lock is None:
            return
        if not self.keep:
            self._empty()
        self._lock.close()
        self._lock = None
        if self._own:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _empty(self) -> None:
        for name in _OURS:
            shutil.rmtree(self.folder / name, ignore_errors=True)
