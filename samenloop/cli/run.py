"""`samenloop run source|stream|sink NAME…`, `run edge|conservation|lag-exporter|probe`: what a container runs.

One name runs in this process. Several names run as one child process each, supervised as `samenloop up` does: they
share no interpreter, so that one that hangs or dies takes nobody along and its watchdog is its own.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from samenloop import __version__
from samenloop.cli.options import Config, codec_of, hub_of
from samenloop.errors import BadSettings, SamenloopError
from samenloop.serving import LIVE_SECONDS, NEEDS, POLL_SECONDS, ROUND_SECONDS, Health, Server
from samenloop.settings import Hub, in_force
from samenloop.supervisor import REFUSED

if TYPE_CHECKING:
    from samenloop.contract import Codec
    from samenloop.logs import Logger

Kind = Literal["source", "stream", "sink"]
_LOOK_EVERY_SECONDS = 5.0
VIEW_NICENESS = 5
"""A view gives way to the truth, while it starts as well."""
Slot = Annotated[
    str, Parameter(help="Stable name of this worker among those of the same stage, such as a pod's number.")
]


def source(*names: str, config: Config = None) -> int:
    """Run sources of the settings file.

    Parameters
    ----------
    names
        Names of sources in the settings; all of them when none is given.
    """
    hub = hub_of(config)
    chosen = names or tuple(hub.sources)
    if not chosen:
        raise BadSettings(["sources: there is none in the settings, so there is nothing to run"])
    _known(chosen, list(hub.sources), "sources of the settings")
    if len(chosen) > 1:
        return _apart("source", chosen, config)
    with _process(hub, chosen[0], "source", live_seconds=POLL_SECONDS) as life:
        from samenloop.source_pump import run_source

        codec, on_ready = _codec(hub, life), life.health.become_ready
        run_source(chosen[0], hub.sources[chosen[0]], hub, codec, _Turning(life), on_ready=on_ready)
    return 0


def stream(*names: str, slot: Slot = "0", config: Config = None) -> int:
    """Run stages of the stream and views.

    Parameters
    ----------
    names
        `consolidate`, `detect`, `notify` or the view `health`; all of them when none is given.
    """
    from samenloop import plugins

    if len(names) == 1 and names[0] in plugins.names("views"):
        return _view(names[0], config)
    return _stages("stream", names, slot, config)


def _view(name: str, config: Path | None) -> int:
    from samenloop import metrics, plugins

    with suppress(OSError, AttributeError):
        os.nice(VIEW_NICENESS)
    hub = hub_of(config)
    with _process(hub, name, "view") as life:
        view = plugins.load("views", name).from_hub(hub, _codec(hub, life))
        metrics.start(processor=view.name)
        metrics.start(group=view.name)
        metrics.start(view=view.name)
        view.run(life.stop, on_turn=life.health.turn, on_ready=life.health.become_ready)
    return 0


def sink(*names: str, slot: Slot = "0", config: Config = None) -> int:
    """Run sinks.

    Parameters
    ----------
    names
        `webhook`; all that are installed when none is given.
    """
    return _stages("sink", names, slot, config)


def conservation(*, config: Config = None) -> int:
    """Count what came in and what became of it, from the topics: every hour, half an hour after its end.

    Shows records that are not accounted for as metrics; joins no group, changes nothing.
    """
    hub = hub_of(config)
    with _process(hub, "conservation", "conservation", live_seconds=POLL_SECONDS) as life:
        from samenloop.conservation_watch import run_watch

        run_watch(hub, _codec(hub, life), _Turning(life), on_ready=life.health.become_ready)
    return 0


def lag_exporter(*, config: Config = None) -> int:
    """Ask Kafka how far every group is, and show it as metrics, with the dead letters that wait.

    Joins no group, changes nothing; goes on while Kafka or the registry is away.
    """
    hub = hub_of(config)
    with _process(hub, "lag-exporter", "lag-exporter", live_seconds=ROUND_SECONDS) as life:
        from samenloop.lag_exporter import run_lag_exporter

        run_lag_exporter(hub, lambda: codec_of(hub), _Turning(life), on_ready=life.health.become_ready)
    return 0


def probe(*, config: Config = None) -> int:
    """Send a synthetic plan the whole way again and again, and show how long each stage took, or that it was lost.

    The plan is the hub's own and RESTRICTED: no partner ever sees it, and it leads to no finding.
    """
    hub = hub_of(config)
    with _process(hub, "probe", "probe", live_seconds=POLL_SECONDS) as life:
        from samenloop.probe import run_probe

        run_probe(hub, _codec(hub, life), _Turning(life), on_ready=life.health.become_ready)
    return 0


def edge(*, config: Config = None) -> int:
    """Run the hub's HTTP side; any number of them may run side by side, each with its own `edge.port`."""
    from samenloop import plugins

    hub = hub_of(config)
    serve = plugins.load("edge", "server")
    with _process(hub, "edge", "edge") as life:

        def on_awaited(why: str | None) -> None:
            if why is None:
                life.health.met("topics")
            else:
                life.health.lacks("topics", why)

        serve(hub, _codec(hub, life), stop=life.stop, on_turn=life.health.turn, on_awaited=on_awaited)
    return 0


def _stages(kind: Literal["stream", "sink"], names: Sequence[str], slot: str, config: Path | None) -> int:
    from samenloop import metrics, plugins

    group: Literal["stages", "sinks"] = "stages" if kind == "stream" else "sinks"
    hub = hub_of(config)
    known = [*plugins.names(group), *(plugins.names("views") if kind == "stream" else ())]
    chosen = tuple(names) or tuple(known)
    _known(chosen, known, f"{group} and views" if kind == "stream" else group)
    if len(chosen) > 1:
        return _apart(kind, chosen, config, slot)
    with _process(hub, chosen[0], "stage") as life:
        from samenloop.kafka import run_stage

        health = life.health
        stage = plugins.load(group, chosen[0]).from_hub(hub, _codec(hub, life))
        metrics.start(processor=stage.name)
        metrics.start(group=stage.name)
        for topic in (stage.lead, *stage.follows):
            metrics.DLQ_RECORDS_TOTAL.start(topic=topic)
            metrics.SCHEMA_FALLBACK_TOTAL.start(topic=topic)
            metrics.SCHEMA_ERRORS_TOTAL.start(topic=topic, operation="deserialize")
        for topic in stage.writes:
            metrics.PRODUCER_RECORDS_TOTAL.start(topic=topic)
            metrics.SCHEMA_ERRORS_TOTAL.start(topic=topic, operation="serialize")
        run_stage(
            stage,
            hub.kafka,
            slot=slot,
            stop=life.stop,
            on_turn=health.turn,
            on_ready=health.become_ready,
            on_rebuild=lambda: health.lacks("assignment", "the state of the partitions that are ours is being rebuilt"),
        )
    return 0


def _known(chosen: Sequence[str], known: Sequence[str], what: str) -> None:
    problems = [f"{name}: is none of the {what}: {', '.join(known) or 'none'}" for name in chosen if name not in known]
    if problems:
        raise BadSettings(problems)


def _apart(kind: Kind, names: Sequence[str], config: Path | None, slot: str = "0") -> int:
    from samenloop.cli.up import part, supervise

    return supervise([part(kind, name, config, slot=slot) for name in names])


@dataclass(frozen=True, slots=True)
class _Life:
    stop: threading.Event
    health: Health


class _Turning(threading.Event):
    """The stop of a source's loop, which looks at it at every turn and waits on it between polls: signs of life."""

    def __init__(self, life: _Life) -> None:
        super().__init__()
        self._life = life

    def is_set(self) -> bool:
        self._life.health.turn()
        return self._life.stop.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait as an event does, and show that the loop is well meanwhile."""
        ends = time.monotonic() + (timeout or 0)
        while (left := ends - time.monotonic()) > 0 and not self.is_set():
            self._life.stop.wait(min(left, _LOOK_EVERY_SECONDS))
        return self.is_set()


def _codec(hub: Hub, life: _Life) -> Codec:
    codec = codec_of(hub)
    life.health.met("registry")
    return codec


@contextmanager
def _process(hub: Hub, name: str, kind: str, *, live_seconds: float = LIVE_SECONDS) -> Iterator[_Life]:
    """Give this process a name in the logs, a port for metrics and health, and an orderly end on a signal.

    *kind* says what it must have to be ready.
    """
    from samenloop import logs

    faulthandler.enable()  # a crash in native code says where
    logs.configure(hub.logs.level, hub.logs.form, process=name)
    log = logs.get_logger("process")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    health = Health(live_seconds, needs=NEEDS[kind])
    server = Server(hub.metrics.host, hub.metrics.port, health)
    log.info("process.started", "The process has started.", address=server.address, python=sys.version.split()[0],
             version=__version__)  # fmt: skip
    log.info("settings.loaded", "These settings are not the defaults.", settings=in_force(hub))
    threading.Thread(target=_tell_stopping, args=(stop, log), name="stopping", daemon=True).start()
    health.when_ready(lambda: log.info("process.ready", "The process is ready.", address=server.address))
    try:
        yield _Life(stop, health)
    except SamenloopError as error:
        log.error("process.failed", "The process ends: it cannot work so.", problem=str(error))
        sys.exit(REFUSED if isinstance(error, BadSettings) else 1)
    finally:
        log.info("process.stopped", "The process stops.")
        server.close()


def _tell_stopping(stop: threading.Event, log: Logger) -> None:
    """Not from the signal's handler, which may come in the middle of another line."""
    stop.wait()
    log.info("process.stopping", "The process was asked to stop, and finishes what it is at.")
