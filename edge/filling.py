"""Keeps the file of the read model filled from Kafka, in a thread of its own; one process per file."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import IO

from edge.read_model import Follower, News
from samenloop import metrics
from samenloop.contract import Codec
from samenloop.errors import BadSettings
from samenloop.identity import system_urn
from samenloop.logs import get_logger
from samenloop.settings import Hub

_log = get_logger("edge")


class Filling:
    """Follows into a file. Ends with `close`; a failure sets *stop*, for the process must start again."""

    def __init__(self, hub: Hub, port: int, stop: threading.Event) -> None:
        self.path = hub.edge.read_model or hub.data_dir / "edge" / f"read-model-{port}.sqlite"
        self._passing = hub.edge.read_model is None and not hub.edge.port
        self.news = News()
        self._hub, self._process_stop = hub, stop
        self._stop = threading.Event()
        self._follower: Follower | None = None
        self._failure: BaseException | None = None
        self._lock = _claim(self.path)
        self._thread = threading.Thread(target=self._run, name="read-model", daemon=True)
        self._thread.start()

    def awaited(self) -> str | None:
        """Return in words what is still awaited; None when the file answers for all there was at the start."""
        if self._failure is not None:
            return "the read model stopped"
        return "the read model begins" if self._follower is None else self._follower.awaited()

    def show(self) -> None:
        """Show how large the file is, and how much of the topics it lacks."""
        parts = self.path.parent.glob(f"{self.path.name}*")
        metrics.TABLE_SIZE_BYTES.labels(table="read-model").set(sum(part.stat().st_size for part in parts))
        if self._follower is not None:
            metrics.TABLE_RECOVERY_REMAINING_RECORDS.labels(table="read-model").set(self._follower.remaining())

    def close(self) -> None:
        """Stop following and give the file free. Raises what made the following fail."""
        self._stop.set()
        self._thread.join()
        if self._passing:
            # a port that was free once names no file that anyone would find again
            for path in self.path.parent.glob(f"{self.path.name}*"):
                path.unlink(missing_ok=True)
        self._lock.close()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        hub = self._hub
        try:
            # a codec belongs to one thread
            codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix, host=hub.hub.schema_host)
            self._follower = Follower(
                hub.kafka,
                codec,
                self.path,
                source=system_urn(hub.hub.oin, "samenloop"),
                metric_crs=hub.hub.metric_crs,
                news=self.news,
            )
            self._follower.run(self._stop)
        except BaseException as error:  # noqa: BLE001 - told by `close`, in the thread that ends the process
            _log.error("edge.read_model_failed", "The read model cannot be kept; the process ends.", detail=str(error))
            self._failure = error
            self._process_stop.set()


def _claim(path: Path) -> IO[str]:
    """Claim the file for this process. Raises BadSettings."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("w", encoding="utf-8")
    except OSError as error:
        raise BadSettings([f"edge.read_model: {path} cannot be written ({error.strerror})"]) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise BadSettings(
            [f"edge.read_model: {path} is used by another process; each needs a file of its own"]
        ) from None
    return lock
