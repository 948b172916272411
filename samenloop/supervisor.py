"""Keeps the processes of a hub running: starts them, starts them again with back-off, stops them in bounded time.

Every part is a child with its own process group, which dies with us even when we are killed (Linux). What a part
says comes to us line by line; a part is *ready* when it says so itself by the event ``process.ready``.

What an exit code of a part leads to:

| code | meaning | reaction |
| --- | --- | --- |
| 0 | ended by itself | started again |
| 2 | its settings or command line cannot work | everything stops, with code 2 (a view: as 4) |
| 4 | another process holds its slot | started again after the longest pause |
| other, or a signal | crash, watchdog, lost partition | started again with back-off |
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import orjson

from samenloop.launch import dying_with_us

REFUSED, FENCED = 2, 4
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0
STEADY_SECONDS = 60.0
"""A part that lived so long has recovered: its next pause is the first one again."""
STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.1


class State(StrEnum):
    """Where a part stands."""

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Part:
    """One process to keep running: what to call it, what to run, what to add to its environment.

    One that is not *vital*, such as a view, stops nobody: it starts when the others are ready or have had time to be,
    nobody waits for it, and when it refuses its settings it is tried again after the longest pause.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    vital: bool = True


@dataclass(slots=True)
class Status:
    """What is known of a part now. *address* is where it serves metrics and health."""

    state: State = State.STOPPED
    pid: int | None = None
    restarts: int = 0
    address: str | None = None
    exit_code: int | None = None


def _ignore(*_: object) -> None:
    pass


class Supervisor:
    """Runs parts until told to stop. *tell* gets every line a part says, *changed* every change of its status."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        tell: Callable[[str, str], object] = _ignore,
        changed: Callable[[str, Status], object] = _ignore,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self.status = {part.name: Status() for part in parts}
        self.refused: list[str] = []
        self._parts = parts
        self._tell = tell
        self._changed = changed
        self._stop_seconds = stop_seconds

    @property
    def ready(self) -> bool:
        """Whether every vital part has said that it is ready."""
        return all(self.status[part.name].state is State.READY for part in self._parts if part.vital)

    async def run(self, stop: asyncio.Event) -> int:
        """Keep every part running until *stop* is set, then end them all; return 0, or 2 when a part refused."""
        async with asyncio.TaskGroup() as group:
            for part in self._parts:
                group.create_task(self._keep(part, stop))
        return REFUSED if self.refused else 0

    async def _keep(self, part: Part, stop: asyncio.Event) -> None:
        status = self.status[part.name]
        failures = 0
        if not part.vital:
            await self._let_others_go_first(stop)
        while not stop.is_set():
            began = time.monotonic()
            status.exit_code = await self._once(part, status, stop)
            if stop.is_set():
                break
            if status.exit_code == REFUSED and part.vital:
                self.refused.append(part.name)
                stop.set()
                break
            failures = 0 if time.monotonic() - began > STEADY_SECONDS else failures + 1
            status.restarts += 1
            self._set(part, status, State.WAITING)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause_seconds(status.exit_code, failures))
        self._set(part, status, State.STOPPED)

    async def _let_others_go_first(self, stop: asyncio.Event) -> None:
        """Wait until every vital part is ready, but not for ever: a start is short of processors."""
        until = time.monotonic() + LONGEST_PAUSE_SECONDS
        while not (self.ready or stop.is_set() or time.monotonic() > until):
            await asyncio.sleep(_LOOK_SECONDS)

    async def _once(self, part: Part, status: Status, stop: asyncio.Event) -> int:
        process = await asyncio.create_subprocess_exec(
            *dying_with_us(part.command),
            env={**os.environ, **part.env},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        status.pid, status.address = process.pid, None
        self._set(part, status, State.STARTING)
        listening = asyncio.create_task(self._listen(part, status, process))
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
            return await self._end(process)
        finally:
            _signal_group(process.pid, signal.SIGKILL)  # also what the part itself has started
            await asyncio.wait([listening], timeout=2)
            for task in (listening, ended, stopped):
                task.cancel()
            status.pid = None

    async def _end(self, process: asyncio.subprocess.Process) -> int:
        """Ask the part to end, if it still runs; after the bounded time the caller kills its group."""
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            try:
                return await asyncio.wait_for(process.wait(), self._stop_seconds)
            except TimeoutError:
                _signal_group(process.pid, signal.SIGKILL)
        return await process.wait()

    async def _listen(self, part: Part, status: Status, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in _lines(process.stdout):
            if '"process.ready"' in line:
                said = _fields(line)
                if said.get("event") == "process.ready":
                    status.address = str(said.get("address") or "") or None
                    self._set(part, status, State.READY)
            self._tell(part.name, line)

    def _set(self, part: Part, status: Status, state: State) -> None:
        status.state = state
        self._changed(part.name, status)


def pause_seconds(exit_code: int, failures: int) -> float:
    """Return how long to wait before the next start, after so many failures in a row."""
    if exit_code in (FENCED, REFUSED):
        return LONGEST_PAUSE_SECONDS  # whoever took the slot may be about to end; settings change slowly
    return float(min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** max(0, min(failures, 10) - 1)))


async def stop_on_signals(stop: asyncio.Event) -> None:
    """Let Ctrl-C, a hang-up and SIGTERM set *stop*."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    """Yield decoded lines of any length; a last one without an end counts."""
    rest = b""
    while chunk := await stream.read(65536):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.decode("utf-8", "replace")
    if rest:
        yield rest.decode("utf-8", "replace")


def _fields(line: str) -> dict[str, object]:
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
