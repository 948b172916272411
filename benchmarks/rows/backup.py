"""How long it takes to save a hub and to bring it back: plans of a bulk load, then changes that came one by one.

The commands are those that an operator calls, in processes of their own; Kafka and registry share the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from benchmarks.hub import Measured, Register, running_hub
from benchmarks.load import Nation
from benchmarks.row import Row
from samenloop.backup import read_backup
from samenloop.kafka import Writer
from samenloop.model import ChangeKind
from samenloop.stage import Output

SIZES = {"50k": 50_000, "200k": 200_000}
CHANGES = 500
NAMES = tuple(f"backup.{what}.{size}" for size in SIZES for what in ("take", "restore"))
BULK = 500
"""Changes in one transaction of a bulk load, as a source writes them; later ones have a transaction each."""


def run(wanted: set[str]) -> Iterator[Row]:
    """Yield both rows of each size that is wanted: what is brought back must be taken first."""
    for size, plans in SIZES.items():
        if any(name.endswith(f".{size}") for name in wanted):
            yield from _there_and_back(size, plans)


def _there_and_back(size: str, plans: int) -> Iterator[Row]:
    with running_hub() as measured:
        _load(measured, plans)
        backup = measured.folder / "backup"
        taken, used = _command(measured, "backup", str(backup))
        megabytes = sum(file.stat().st_size for file in backup.rglob("*") if file.is_file()) / 1e6
        records = read_backup(backup).records
        yield Row(f"backup.take.{size}", taken, "s", note=f"{records:,} records, {megabytes:,.0f} MB on disk; {used}")
        measured.stack.stop()
        measured.stack.start()
        _command(measured, "topics", "apply")
        restored, used = _command(measured, "restore", str(backup))
        yield Row(f"backup.restore.{size}", restored, "s", note=f"{CHANGES:,} changes had a transaction each; {used}")


def _load(measured: Measured, plans: int) -> None:
    nation, register = Nation(plans), Register(measured.codec)
    writer = Writer(measured.hub.kafka, "load")
    measured.start("stream", "consolidate")
    _write(writer, register.outputs(nation.everything(), ChangeKind.SNAPSHOT), BULK)
    for batch in nation.changes(CHANGES):
        _write(writer, register.outputs(batch, ChangeKind.UPDATED), 1)
    measured.drained([("consolidate", "plan-changes")])
    measured.parts.pop("consolidate").stop(kill=False)


def _write(writer: Writer, outputs: Iterable[Output], size: int) -> None:
    left = iter(outputs)
    while chunk := list(islice(left, size)):
        with writer.transaction():
            for output in chunk:
                writer.write(output)


def _command(measured: Measured, *words: str) -> tuple[float, str]:
    """Run a command of the hub; return the seconds that it took, and in words what it and the broker used."""
    call = [sys.executable, "-m", "samenloop.cli", *words, "--config", str(measured.folder / "hub.yaml")]
    environment = {**os.environ, **measured.stack.environment}
    broker, began = measured.cpu_seconds()["broker"], time.perf_counter()
    process = subprocess.Popen(call, env=environment, stdout=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    _, status, used = os.wait4(process.pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise RuntimeError(f"samenloop {' '.join(words)} ended with {code}")
    took, broker = time.perf_counter() - began, measured.cpu_seconds()["broker"] - broker
    own = used.ru_utime + used.ru_stime
    return took, f"CPU {own:.0f} s, of the broker {broker:.0f} s; {used.ru_maxrss // 1024} MB of memory"
