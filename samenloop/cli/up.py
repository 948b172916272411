"""`samenloop up`: the whole hub of one hub.yaml, one process for each source, stage and sink, supervised."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import orjson
from cyclopts import Parameter

from samenloop.cli.options import Config, hub_of
from samenloop.cli.output import say, warn
from samenloop.settings import Hub
from samenloop.supervisor import Part, State, Status, Supervisor, stop_on_signals

Local = Annotated[
    bool | None, Parameter(negative=(), help="Start the local Kafka and registry too; also `local: true` in the file.")
]


def up(*, local: Local = None, config: Config = None) -> int:
    """Run the whole hub of one settings file until Ctrl-C.

    The topics that are missing are created. The schemas must be registered, except with --local, which registers
    them. Ends with 0 when asked to stop, 1 when Kafka or the registry cannot be reached at the start, 2 when the
    settings of a part cannot work.
    """
    hub = hub_of(config)
    with _kafka_and_registry(hub, start=hub.local if local is None else local) as (hub, env):
        from samenloop.kafka import apply_topics

        for line in apply_topics(hub.kafka):
            say(line)
        return supervise(parts_of(hub, config, env))


def parts_of(hub: Hub, config: Path | None, env: Mapping[str, str]) -> list[Part]:
    """Return what runs: every stage, every sink, every source of the settings.

    With a `metrics.port`, the parts count up from it in this order; without, each takes a free port.
    """
    from samenloop import plugins

    names: list[tuple[Literal["stream", "sink", "source"], str]] = [
        *(("stream", name) for name in plugins.names("stages")),
        *(("sink", name) for name in plugins.names("sinks")),
        *(("source", name) for name in hub.sources),
    ]
    ports = [hub.metrics.port + index if hub.metrics.port else 0 for index in range(len(names))]
    return [
        part(kind, name, config, env={**env, "SAMENLOOP_METRICS__PORT": str(port)})
        for (kind, name), port in zip(names, ports, strict=True)
    ]


def part(
    kind: Literal["source", "stream", "sink"],
    name: str,
    config: Path | None,
    *,
    slot: str = "0",
    env: Mapping[str, str] | None = None,
) -> Part:
    """Return the process that runs one source, stage or sink; it logs JSON, which `supervise` makes readable."""
    command = [sys.executable, "-m", "samenloop.cli", "run", kind, name]
    command += ["--config", str(config)] if config else []
    command += ["--slot", slot] if kind != "source" else []
    return Part(name, command, {**(env or {}), "SAMENLOOP_LOGS__FORM": "json"})


def supervise(parts: Sequence[Part]) -> int:
    """Run *parts* until a signal; what they say goes to stdout, each line with its part's name in front."""
    width = max(len(part.name) for part in parts)

    def tell(name: str, line: str) -> None:
        say(f"{name:{width}} | {_readable(line) if sys.stdout.isatty() else line}")

    def changed(name: str, status: Status) -> None:
        if status.state is State.WAITING:
            warn(f"{name:{width}} | ended with code {status.exit_code} and is started again")

    async def run() -> int:
        stop = asyncio.Event()
        await stop_on_signals(stop)
        return await Supervisor(parts, tell=tell, changed=changed).run(stop)

    return asyncio.run(run())


def _readable(line: str) -> str:
    try:
        said = orjson.loads(line)
        head = f"{said.pop('at')[11:19]} {said.pop('level'):7} {said.pop('message')}"
    except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError):
        return line
    hidden = {"event", "component", "process"}
    return " ".join([head, *(f"{key}={value}" for key, value in said.items() if key not in hidden)])


@contextmanager
def _kafka_and_registry(hub: Hub, *, start: bool) -> Iterator[tuple[Hub, dict[str, str]]]:
    """Yield the settings with the addresses in force, and what children need in their environment to find them."""
    if not start:
        yield hub, {}
        return
    raise NotImplementedError
