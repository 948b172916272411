"""The supervisor: parts run, come back, and are all gone in the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from samenloop.supervisor import Part, State, Supervisor, pause_seconds


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-u", "-c", text)


READY = """print('{"event":"process.ready","address":"http://127.0.0.1:1"}')"""
SLEEP = f"import time\n{READY}\ntime.sleep(60)"
STUBBORN = f"import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{READY}\ntime.sleep(60)"


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def test_a_part_is_ready_when_it_says_so_and_ends_when_asked() -> None:
    """Readiness, with the address, comes from the part itself; a stop is 0 and leaves no process."""
    lines: list[tuple[str, str]] = []
    supervisor = Supervisor([Part("a", python(SLEEP))], tell=lambda name, line: lines.append((name, line)))

    async def play() -> tuple[int, int]:
        stop = asyncio.Event()
        run = asyncio.create_task(supervisor.run(stop))
        await until(lambda: supervisor.ready)
        pid = supervisor.status["a"].pid or 0
        stop.set()
        return await run, pid

    code, pid = asyncio.run(play())

    assert code == 0
    assert supervisor.status["a"].address == "http://127.0.0.1:1"
    assert lines[0][0] == "a"
    assert not alive(pid)


def test_a_killed_part_comes_back() -> None:
    """kill -9 of a part is followed by a new process of the same part."""
    supervisor = Supervisor([Part("a", python(SLEEP))])

    async def play() -> tuple[int, int]:
        stop = asyncio.Event()
        run = asyncio.create_task(supervisor.run(stop))
        await until(lambda: supervisor.ready)
        first = supervisor.status["a"].pid or 0
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.status["a"].pid not in (None, first) and supervisor.ready)
        second = supervisor.status["a"].pid or 0
        stop.set()
        await run
        return first, second

    first, second = asyncio.run(play())

    assert first != second
    assert supervisor.status["a"].restarts == 1
    assert not alive(second)


def test_a_part_that_refuses_its_settings_ends_everything() -> None:
    """Exit code 2 cannot heal by starting again: all parts stop, and the supervisor says 2."""
    supervisor = Supervisor([Part("a", python(SLEEP)), Part("b", python("raise SystemExit(2)"))])

    code = asyncio.run(supervisor.run(asyncio.Event()))

    assert code == 2
    assert supervisor.refused == ["b"]
    assert supervisor.status["a"].state is State.STOPPED


def test_a_stop_is_bounded() -> None:
    """A part that ignores SIGTERM is killed after the bounded time."""
    supervisor = Supervisor([Part("a", python(STUBBORN))], stop_seconds=0.3)

    async def play() -> float:
        stop = asyncio.Event()
        run = asyncio.create_task(supervisor.run(stop))
        await until(lambda: supervisor.ready)
        began = time.monotonic()
        stop.set()
        await run
        return time.monotonic() - began

    assert asyncio.run(play()) < 30


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the parent-death signal is Linux's")
def test_parts_die_with_a_killed_supervisor(tmp_path: Path) -> None:
    """kill -9 of the supervisor itself leaves nothing behind."""
    pidfile = tmp_path / "pid"
    part = f"import os, pathlib, time; pathlib.Path({str(pidfile)!r}).write_text(str(os.getpid())); time.sleep(60)"
    script = (
        "import asyncio\nfrom samenloop.supervisor import Part, Supervisor\n"
        f"asyncio.run(Supervisor([Part('a', ({sys.executable!r}, '-c', {part!r}))]).run(asyncio.Event()))"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", script])
    asyncio.run(until(lambda: pidfile.exists() and pidfile.read_text() != ""))
    pid = int(pidfile.read_text())
    supervisor.kill()
    supervisor.wait()

    asyncio.run(until(lambda: not alive(pid)))


@pytest.mark.parametrize(
    ("exit_code", "failures", "seconds"), [(1, 1, 0.5), (1, 2, 1.0), (-9, 4, 4.0), (1, 99, 30.0), (4, 1, 30.0)]
)
def test_pauses_grow_to_a_limit(exit_code: int, failures: int, seconds: float) -> None:
    """Back-off doubles up to 30 seconds; who was fenced waits longest at once."""
    assert pause_seconds(exit_code, failures) == seconds


def test_a_part_that_is_not_vital_stops_nobody() -> None:
    """A view that refuses its settings is not waited for and is tried again later; the others go on."""
    refusing = Part("view", python("import sys; sys.exit(2)"), vital=False)
    supervisor = Supervisor([Part("a", python(SLEEP)), refusing])

    async def play() -> int:
        stop = asyncio.Event()
        run = asyncio.create_task(supervisor.run(stop))
        await until(lambda: supervisor.ready and supervisor.status["view"].state is State.WAITING)
        stop.set()
        return await run

    assert asyncio.run(play()) == 0
    assert supervisor.refused == []
    assert pause_seconds(2, 1) == pause_seconds(4, 1)
