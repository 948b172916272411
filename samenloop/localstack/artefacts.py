"""The programs of the local stack: fetched once by Maven into the user's cache, then used offline.

They land in ``$XDG_CACHE_HOME/samenloop/local-stack-<hash of the pom>`` (default ``~/.cache``): every checkout and
every installed version with the same pom shares one copy, and a changed pom fetches its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samenloop.errors import BadSettings, Retry
from samenloop.localstack.tools import install_line

_ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Artefacts:
    """Where the programs are: the folder of Kafka's jars and that of the registry's application."""

    folder: Path

    @property
    def kafka(self) -> Path:
        """Folder with Kafka's jars, all on one class path."""
        return self.folder / "kafka"

    @property
    def registry(self) -> Path:
        """The registry's runnable jar."""
        return self.folder / "registry" / "quarkus-run.jar"

    @property
    def complete(self) -> bool:
        """Whether they are all there. The folder appears under its name only when it is whole."""
        return self.kafka.is_dir() and self.registry.is_file()


def deploy_folder() -> Path:
    """Return the folder with pom.xml and configuration: inside the package when installed, else of the checkout."""
    packaged = Path(__file__).parent / "deploy"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "deploy" / "local"


def located() -> Artefacts:
    """Return where the programs are, or will be once `fetched`."""
    pom = (deploy_folder() / "pom.xml").read_bytes()
    return Artefacts(cache_folder() / f"local-stack-{hashlib.sha256(pom).hexdigest()[:12]}")


def fetched(tell: Callable[[str], object]) -> Artefacts:
    """Return the programs, after fetching them when they are not there yet; *tell* gets a sentence when it takes long.

    Raises BadSettings when Maven is missing, Retry (`local-stack.fetch`) when it cannot fetch.
    """
    artefacts = located()
    if artefacts.complete:
        return artefacts
    maven = shutil.which("mvn")
    if maven is None:
        raise BadSettings(
            [f"mvn: not found; it fetches Kafka and the registry, once. Install it: {install_line('mvn')}"]
        )
    with locked(artefacts.folder):
        if not artefacts.complete:  # nobody else did while we waited
            tell("Fetching Kafka and the schema registry with Maven, this once (about 200 MB).")
            _fetch(maven, artefacts)
    return artefacts


def _fetch(maven: str, artefacts: Artefacts) -> None:
    with tempfile.TemporaryDirectory(dir=artefacts.folder.parent, prefix="fetching-") as name:
        fresh = Artefacts(Path(name) / "stack")
        pom = Path(name) / "pom.xml"  # Maven may write beside it
        shutil.copyfile(deploy_folder() / "pom.xml", pom)
        command = [maven, "--batch-mode", "--quiet", "--file", str(pom), "package", f"-Dstack.folder={fresh.folder}"]
        for _ in range(_ATTEMPTS):
            result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
            if result.returncode == 0 and fresh.complete:
                shutil.rmtree(artefacts.folder, ignore_errors=True)
                fresh.folder.rename(artefacts.folder)
                return
        said = "\n".join((result.stdout + result.stderr).strip().splitlines()[:12])
        raise Retry("local-stack.fetch", f"Maven could not fetch the programs of the local stack; it said:\n{said}")


def cache_folder() -> Path:
    """Return our folder in the user's cache, shared by every checkout and every installed version."""
    root = os.environ.get("XDG_CACHE_HOME") or ""
    return (Path(root) if Path(root).is_absolute() else Path.home() / ".cache") / "samenloop"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one process at a time make what belongs into *folder*."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        file = folder.with_suffix(".lock").open("w")
    except OSError as error:
        raise BadSettings([f"{folder.parent}: cannot be written ({error.strerror}); set XDG_CACHE_HOME"]) from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
