"""A Prometheus over the parts of a hub on this machine, where Debian's package or an unpacked one is at hand.

It scrapes what it is told of (`Prometheus.watch`), one job, each part under its own name as `instance`, so a part that
comes back on another port stays the same series. `fetch.sh` in `deploy/prometheus` unpacks the programs into the cache.
"""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import yaml

from samenloop.errors import Retry
from samenloop.localstack.artefacts import cache_folder
from samenloop.localstack.ports import free_ports
from samenloop.localstack.process import Process

JOB = "samenloop"
_UP_SECONDS = 60.0
_ATTEMPTS = 5
_LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # never through a proxy


def program(name: str) -> Path | None:
    """Return `prometheus`, `promtool` or `amtool`: installed, or unpacked in the cache; None when it is nowhere."""
    installed = shutil.which(name)
    unpacked = cache_folder() / "prometheus" / "usr" / "bin" / name
    return Path(installed) if installed else unpacked if unpacked.is_file() else None


def monitoring_folder() -> Path:
    """Return the folder with `prometheus/rules.yaml` and `grafana/dashboards`: in the package, or of the checkout."""
    packaged = Path(__file__).parent / "monitoring"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "deploy"


class Prometheus:
    """One Prometheus on a free port of loopback, its data, settings and log in *folder*.

    *rules* are judged as often as parts are scraped, every *every_seconds*. Ended in order, so that the data can be
    read again by another one on the same folder.
    """

    def __init__(self, binary: Path, folder: Path, *, rules: Path | None = None, every_seconds: int = 2) -> None:
        self._binary, self._folder = binary, folder
        self._targets = folder / "targets.json"
        self._settings = folder / "prometheus.yaml"
        self._known: dict[str, str] = {}
        self._process: Process | None = None
        self.url = ""
        folder.mkdir(parents=True, exist_ok=True)
        self._write_targets()
        every = f"{every_seconds}s"
        settings = {
            "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
            "rule_files": [str(rules)] if rules else [],
            "scrape_configs": [{"job_name": JOB, "file_sd_configs": [{"files": [self._targets.name]}]}],
        }
        self._settings.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")

    def start(self) -> Prometheus:
        """Start it and wait until it answers. Raises Retry (`local-stack.start`)."""
        log = self._folder / "prometheus.log"
        for _ in range(_ATTEMPTS):
            (port,) = free_ports(1)
            self.url = f"http://127.0.0.1:{port}"
            command = [
                str(self._binary),
                f"--config.file={self._settings}",
                f"--storage.tsdb.path={self._folder / 'data'}",
                "--storage.tsdb.retention.time=2d",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]
            self._process = Process("Prometheus", command, folder=self._folder, log=log)
            if self._process.wait_until(self._answers, seconds=_UP_SECONDS):
                return self
            if "address already in use" not in self._process.said():
                break
        raise Retry("local-stack.start", f"Prometheus ended while it started; see {log}")

    def watch(self, addresses: Mapping[str, str | None]) -> None:
        """Scrape these parts (name → address such as ``http://127.0.0.1:41234``), besides those it was told of before.

        A part without an address now is still scraped where it was: that it is gone is what shall be seen.
        """
        known = {**self._known, **{name: address for name, address in addresses.items() if address}}
        if known != self._known:
            self._known = known
            self._write_targets()

    def stop(self) -> None:
        """End it and leave its data."""
        if self._process is not None:
            self._process.stop(kill=False)
            self._process = None

    def __enter__(self) -> Prometheus:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _write_targets(self) -> None:
        groups = [
            {"targets": [address.removeprefix("http://")], "labels": {"instance": name}}
            for name, address in sorted(self._known.items())
        ]
        unfinished = self._targets.with_suffix(".new")
        unfinished.write_text(json.dumps(groups, indent=1), encoding="utf-8")
        unfinished.rename(self._targets)

    def _answers(self) -> bool:
        try:
            with _LOOPBACK.open(f"{self.url}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:  # URLError is one
            return False
