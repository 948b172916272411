"""compose.yaml as it is meant: its services with what image, environment and mounts give them, and how they run here.

No container engine is needed: a service becomes a process whose absolute paths lie below a folder of its own, in which
each mount is a link, and whose host names and ports are those of this machine. Nothing else of it changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
DOCKERFILE = DEPLOY / "Dockerfile"
_VARIABLE = re.compile(r"\$\{([A-Z_]+):-([^}]*)\}")


def document(variables: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return compose.yaml with its variables filled in, from *variables* or by their defaults."""
    given = variables or {}
    text = _VARIABLE.sub(lambda found: given.get(found[1], found[2]), COMPOSE.read_text())
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def instructions() -> Iterator[tuple[str, str]]:
    """Yield every instruction of the Dockerfile with its arguments on one line."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines():
        if line.strip():
            word, _, rest = line.partition(" ")
            yield word, rest.strip()


def image_environment() -> dict[str, str]:
    """Return what the image sets for the processes of the hub: the last stage's ENV, but for the search path."""
    said = list(instructions())
    last = max(index for index, (word, _) in enumerate(said) if word == "FROM")
    pairs = [pair.split("=", 1) for word, rest in said[last:] if word == "ENV" for pair in rest.split()]
    return {name: text for name, text in pairs if name != "PATH"}


def image_healthcheck() -> list[str]:
    """Return the command of the image's HEALTHCHECK."""
    (rest,) = (rest for word, rest in instructions() if word == "HEALTHCHECK")
    command: list[str] = json.loads(rest.partition("CMD ")[2])
    return command


def processes(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the services that run the hub's image, by name."""
    image = found["services"]["topics"]["image"]
    return {name: service for name, service in found["services"].items() if service["image"] == image}


def mounts(service: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """Return what is mounted where: absolute path in the container → path beside compose.yaml, or a volume's name."""
    where = {}
    for volume in service.get("volumes", ()):
        source, target = volume.split(":")[:2]
        where[target] = source
    for name in service.get("secrets", ()):
        where[f"/run/secrets/{name}"] = found["secrets"][name]["file"]
    return where


@dataclass(frozen=True)
class Place:
    """This machine instead of a container: *words* stand for host names and ports, *sources* for what is mounted."""

    folder: Path
    words: Mapping[str, str]
    sources: Mapping[str, Path]

    def root(self, name: str) -> Path:
        """Return the folder that is `/` to the service called *name*."""
        return self.folder / "roots" / name

    def text(self, name: str, text: str, paths: Mapping[str, str]) -> str:
        """Return *text* with the words of this machine, and every absolute path below the root of *name*."""
        for word, here in self.words.items():
            text = text.replace(word, here)
        for path in sorted(paths, key=len, reverse=True):
            text = re.sub(rf"(?<![\w./-]){re.escape(path)}(?=$|[\s\"'/,])", f"{self.root(name)}{path}", text)
        return text

    def furnish(self, name: str, mounted: Mapping[str, str]) -> None:
        """Lay the root of *name*: a link for each directory or secret, a copy in this machine's words for settings."""
        for target, source in mounted.items():
            there, here = self.root(name) / target.lstrip("/"), self.sources[source]
            there.parent.mkdir(parents=True, exist_ok=True)
            if here.suffix == ".yaml":
                there.write_text(self.text(name, here.read_text(), mounted))
            else:
                there.symlink_to(here)

    def strangers(self, name: str, mounted: Mapping[str, str]) -> list[str]:
        """Return what was written below the root of *name* beside its mounts: a read-only root would refuse it."""
        root = self.root(name)
        below = [f"/{path.relative_to(root)}" for path in root.rglob("*")]
        return [path for path in below if not any(f"{target}/".startswith(f"{path}/") for target in mounted)]
