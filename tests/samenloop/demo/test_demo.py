"""The demonstration as a person starts it: it ends well by itself, and leaves nothing behind however it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]


def _demo(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "samenloop.cli", "demo", "--folder", str(folder), *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def _belonging_to(folder: Path) -> list[str]:
    """Command lines of processes that name *folder*: the hub's parts, the broker and the registry all do."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and int(path.parent.name) != os.getpid():
            found.append(line)
    return found


def _until(true: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


def test_it_ends_by_itself_with_everything_delivered(played_demo: Any) -> None:
    """`--once` ends with 0: every expected alert has its final receipt, and the findings are those of the oracle."""
    folder, said, code = played_demo

    assert code == 0, said
    assert "NOT AS EXPECTED" not in said, said
    assert "Week 12" in said
    assert "its export is refused, nothing is removed" in said
    assert "→ Solved if" in said
    assert "→ Gain: if" in said
    assert all(said.count(f"\n{way}: ") == 1 for way in ("Alerted", "Pushed", "Polled", "Pulled"))
    assert "The first alert arrived" in said
    assert _belonging_to(folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_running(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and kill -9 in the middle of it all end every process it has started."""
    folder = tmp_path / "demo"
    demo = _demo(folder)
    assert demo.stdout is not None
    said = []
    for line in demo.stdout:
        said.append(line)
        if line.startswith("Week  1"):
            break
    running = len(_belonging_to(folder))

    demo.send_signal(number)
    demo.communicate(timeout=60)

    assert running >= 11, (demo.returncode, "".join(said))
    assert _until(lambda: _belonging_to(folder) == [], 15)
    assert demo.returncode != 0
