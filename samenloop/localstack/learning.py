"""Run the programs of the local stack once, so that the JVM learns them: for who starts many stacks, as tests do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from samenloop.localstack import aot, programs
from samenloop.localstack.artefacts import Artefacts, fetched, locked
from samenloop.localstack.data import DataFolder
from samenloop.localstack.ports import free_ports
from samenloop.localstack.process import Process

_UP_SECONDS = 180.0
_DOWN_SECONDS = 180.0
"""At its end a program writes down what was learnt, which is most of the work."""
_STARTED = {"kafka": "Kafka Server started", "registry": "Installed features"}


def learn(tell: Callable[[str], object]) -> list[Path]:
    """Make the caches that are not there yet, once on a machine, and return those that are there.

    Takes some ten seconds of two cores; meanwhile stacks start without. Raises what `fetched` raises, and Retry
    (`local-stack.start`) when a program does not come up.
    """
    artefacts = fetched(tell)
    with locked(artefacts.folder):
        if not _caches(artefacts) and not _tried(artefacts).exists():
            _tried(artefacts).parent.mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="samenloop-learning-") as folder:
                if _learn_all(artefacts, DataFolder(Path(folder) / "data", keep=False)):
                    _tried(artefacts).touch()  # a Java that cannot is asked once
    return _caches(artefacts)


def _caches(artefacts: Artefacts) -> list[Path]:
    found = (aot.cache_of(artefacts, "kafka"), aot.cache_of(artefacts, "registry"))
    return [cache for cache in found if cache.is_file()]


def _tried(artefacts: Artefacts) -> Path:
    return aot.cache_of(artefacts, "kafka").with_suffix(".tried")


def _learn_all(artefacts: Artefacts, data: DataFolder) -> bool:
    """Return whether both came up: a port may have been taken meanwhile."""
    data.open()
    try:
        ports = free_ports(4)
        settings = programs.kafka_settings(data, *ports[:2])
        form = programs.kafka_format_command(artefacts, data, settings)
        formatting = Process("Kafka's storage tool", form, folder=data.run, log=data.logs / "format.log")
        formatting.wait_until(lambda: not formatting.running, seconds=_UP_SECONDS)
        broker = programs.kafka_command(artefacts, data, settings)
        registry = programs.registry_command(artefacts, data, *ports[2:])
        return _learn(artefacts, "kafka", broker, data) and _learn(artefacts, "registry", registry, data)
    finally:
        data.close()


def _learn(artefacts: Artefacts, program: aot.Program, command: Sequence[str], data: DataFolder) -> bool:
    cache = aot.cache_of(artefacts, program)
    fresh = cache.with_suffix(".fresh")
    java, *rest = command
    process = Process(
        program, [java, f"-XX:AOTCacheOutput={fresh}", *rest], folder=data.run, log=data.logs / f"{program}.log"
    )
    try:
        came_up = process.wait_until(lambda: _STARTED[program] in process.said(), seconds=_UP_SECONDS)
    finally:
        process.stop(kill=False, seconds=_DOWN_SECONDS)
    if fresh.is_file():
        fresh.rename(cache)
    return came_up
