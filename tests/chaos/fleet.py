"""The processes of a hub as an orchestrator keeps them: started again when they end, ill-treated on purpose."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from samenloop.localstack.process import Process

PAUSE_SECONDS = 0.5
FENCED, FENCED_PAUSE_SECONDS = 4, 2.0


@dataclass
class Member:
    """One slot: what runs in it, and the process that does so now (None: it is meant to be away)."""

    name: str
    command: list[str]
    process: Process | None = None
    again_at: float = 0.0
    frozen: list[Process] = field(default_factory=list)


class Fleet:
    """All slots of a hub; a context manager that leaves nothing behind."""

    def __init__(self, config: Path, logs: Path, sources: list[str]) -> None:
        self._config, self._logs = config, logs
        stages = [(name, slot) for name in ("consolidate", "detect", "notify") for slot in ("0", "1")]
        members = [self._member("source", name, None) for name in sources]
        members += [self._member("stream", name, slot) for name, slot in stages]
        members += [self._member("sink", "webhook", "0")]
        self.members = {member.name: member for member in members}
        self.exits: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="fleet", daemon=True)

    def __enter__(self) -> Fleet:
        for name in self.members:
            self.bring_back(name)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._keeper.join(5)
        for member in self.members.values():
            for process in (member.process, *member.frozen):
                if process is not None:
                    process.stop(kill=True)

    def kill(self, name: str) -> None:
        """kill -9."""
        self._signal(name, signal.SIGKILL)

    def end(self, name: str) -> None:
        """Ask it to stop, as a deployment does; it is started again."""
        self._signal(name, signal.SIGTERM)

    def replace(self, name: str) -> None:
        """Freeze what runs in a slot, and let a second process take the slot."""
        with self._lock:
            member = self.members[name]
            if member.process is not None and member.process.running:
                os.kill(member.process.pid, signal.SIGSTOP)
                member.frozen.append(member.process)
                self._start(member)

    def thaw(self) -> None:
        """Let all that is frozen go on."""
        for member in self.members.values():
            for process in member.frozen:
                if process.running:
                    os.kill(process.pid, signal.SIGCONT)

    def bury(self) -> None:
        """End what was frozen and has not ended by itself: one that never had to write stands by and does no harm."""
        for member in self.members.values():
            for process in member.frozen:
                code = process.exit_code
                self.exits[f"{_stage(member)}, replaced: {'stood by' if code is None else code}"] += 1
                process.stop(kill=True)
            member.frozen.clear()

    def take_away(self, name: str) -> None:
        """Stop it in order, and do not start it again."""
        with self._lock:
            process, self.members[name].process = self.members[name].process, None
        if process is not None:
            process.stop(kill=False, seconds=10)

    def bring_back(self, name: str) -> None:
        """Start it again."""
        with self._lock:
            if self.members[name].process is None:
                self._start(self.members[name])

    def _member(self, kind: str, name: str, slot: str | None) -> Member:
        command = [sys.executable, "-m", "samenloop.cli", "run", kind, name, "--config", str(self._config)]
        command += ["--slot", slot] if slot else []
        return Member(f"{name}-{slot}" if slot else name, command)

    def _signal(self, name: str, number: signal.Signals) -> None:
        with self._lock:
            process = self.members[name].process
            if process is not None and process.running:
                os.kill(process.pid, number)

    def _start(self, member: Member) -> None:
        log = self._logs / f"{member.name}.log"
        member.process = Process(member.name, member.command, folder=self._config.parent, log=log)
        member.again_at = 0.0

    def _keep(self) -> None:
        while not self._over.wait(0.1):
            for member in self.members.values():
                with self._lock:
                    self._look_after(member)

    def _look_after(self, member: Member) -> None:
        if member.process is None or member.process.running:
            return
        code = member.process.exit_code
        if not member.again_at:
            self.exits[f"{_stage(member)}: {code}"] += 1
            pause = FENCED_PAUSE_SECONDS if code == FENCED else PAUSE_SECONDS
            member.again_at = time.monotonic() + pause
        elif time.monotonic() >= member.again_at:
            self._start(member)


def _stage(member: Member) -> str:
    return member.name.rpartition("-")[0] or member.name
