"""One program of the local stack as a process: its own group, its log in a file, never outliving us."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from samenloop.errors import Retry
from samenloop.launch import dying_with_us

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""All that a program gets of our environment: JAVA_TOOL_OPTIONS, QUARKUS_… and the like would change what it does."""


class Process:
    """A running program. *say* is its name in messages."""

    def __init__(self, say: str, command: Sequence[str], *, folder: Path, log: Path) -> None:
        self.say = say
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        self._popen = _STARTER.start(command, folder, log)

    @property
    def pid(self) -> int:
        """Its process id, which is its group's too."""
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; negative: by this signal. None while it runs."""
        return self._popen.poll()

    def said(self) -> str:
        """What it has written since it was started."""
        with self.log.open("rb") as file:
            file.seek(self._from)
            return file.read().decode("utf-8", "replace")

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> bool:
        """Wait until *ready*; False when it ended before. Raises Retry (`local-stack.start`) when it takes too long."""
        deadline = time.monotonic() + seconds
        while not ready():
            if not self.running:
                return False
            if time.monotonic() > deadline:
                raise Retry("local-stack.start", f"{self.say} was not up within {seconds:.0f} s; see {self.log}")
            time.sleep(0.05)
        return True

    def stop(self, *, kill: bool, seconds: float = 15.0) -> None:
        """End it: at once (*kill*), or by asking, and by force when it has not ended after *seconds*."""
        if self.running and not kill:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        with contextlib.suppress(ProcessLookupError):  # it has ended, and nothing of its group is left
            os.killpg(self.pid, signal.SIGKILL)
        self._popen.wait()


class _Starter:
    """Starts programs from one thread that lives as long as this process: see `launch`."""

    def __init__(self) -> None:
        self._asked: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._pid = 0
        self._lock = threading.Lock()

    def start(self, command: Sequence[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
        result: Future[subprocess.Popen[bytes]] = Future()

        def work() -> None:
            try:
                result.set_result(_popen(command, folder, log))
            except OSError as error:
                result.set_exception(error)

        with self._lock:
            if self._pid != os.getpid():  # first use, or we are a fork: threads stay behind
                self._pid = os.getpid()
                threading.Thread(target=self._run, name="local-stack", daemon=True).start()
        self._asked.put(work)
        return result.result()

    def _run(self) -> None:
        while True:
            self._asked.get()()


_STARTER = _Starter()


def _popen(command: Sequence[str], folder: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            dying_with_us(command),
            cwd=folder,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
