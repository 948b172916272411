"""`samenloop status`."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, NoReturn

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say
from samenloop.cli.tree import FAILED, words
from samenloop.errors import BadSettings, Retry, SamenloopError
from samenloop.settings import Hub

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from samenloop.status.picture import Picture
    from samenloop.status.watch import Watch

PATIENCE_SECONDS = 20.0
"""How long one picture waits for large topics to be read."""
FIRST_SECONDS = 2.0
"""How long the first picture of many waits for them."""
PATIENT_SECONDS = 3.0
"""How long an answer may take before it is told that none comes."""
_RATE_SECONDS = 1.2
_LEAVE_SECONDS = 2.0


def status(
    *,
    once: Annotated[bool, Parameter(negative=(), help="Show one picture, whole, and end.")] = False,
    every: Annotated[float, Parameter(help="Seconds between pictures, 0.5 to 60.")] = 2.0,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show how a hub is doing: sources, stages, partners, findings, and what needs somebody; live, until Ctrl-C.

    Reads Kafka only, so it works from any machine with the settings, and when no process of the hub runs. Into a pipe
    or on a terminal that cannot be redrawn it shows one picture, as --once does. Ends with 1 when Kafka or the registry
    does not answer at the start.
    """
    if not 0.5 <= every <= 60:
        raise BadSettings([f"--every: found {every:g}, expected seconds, 0.5 to 60"])
    from rich.console import Console

    console = Console(highlight=False)
    hub = hub_of(config)
    if json or once or not console.is_terminal or console.is_dumb_terminal:
        _one(hub, console, json=json)
        return 0
    return _leave(_Live(hub, console, every).run())


def _one(hub: Hub, console: Console, *, json: bool) -> None:
    with reaching(hub):
        picture = _picture(_open(hub))
    if json:
        from samenloop.status.form import form

        emit(form(picture))
        return
    from samenloop.status.screen import screen

    if console.is_terminal:
        console.print(screen(picture, console, whole=True))
        return
    console.width = max(console.width, 160)  # a pipe has no width: lines are not broken for one
    with console.capture() as captured:
        console.print(screen(picture, console, whole=True))
    say("\n".join(line.rstrip() for line in captured.get().splitlines()))


def _open(hub: Hub) -> Watch:
    from samenloop.status.watch import Watch

    return Watch(hub, codec_of(hub))


def _picture(watch: Watch) -> Picture:
    """Return one picture of a hub: two looks, for the rates, and what is large read meanwhile."""
    try:
        watch.look()
        began = time.monotonic()
        while not watch.read() and time.monotonic() - began < PATIENCE_SECONDS:
            pass
        time.sleep(max(0.0, began + _RATE_SECONDS - time.monotonic()))
        return watch.look()
    finally:
        watch.close()


class _Live:
    """Looks in a thread of its own, so that Kafka being away never holds up the screen or Ctrl-C."""

    def __init__(self, hub: Hub, console: Console, every: float) -> None:
        self._hub, self._console, self._every = hub, console, every
        self._stop = threading.Event()
        self._news = threading.Event()
        self._picture: Picture | None = None
        self._failed: SamenloopError | None = None
        self._thread = threading.Thread(target=self._look, name="status", daemon=True)

    def run(self) -> int:
        """Show until Ctrl-C; return the exit code."""
        from rich.live import Live

        self._thread.start()
        try:
            with Live(console=self._console, screen=True, auto_refresh=False) as live:
                while self._failed is None:
                    live.update(self._shown(), refresh=True)
                    self._news.wait(1.0)
                    self._news.clear()
        except KeyboardInterrupt:
            return self._ended()
        print(words(self._failed), file=sys.stderr)
        return FAILED

    def _ended(self) -> int:
        self._stop.set()
        self._thread.join(_LEAVE_SECONDS)
        if self._picture is not None:
            from samenloop.status.screen import screen

            self._console.print(screen(self._picture, self._console))
        return 0

    def _shown(self) -> RenderableType:
        from dataclasses import replace

        from rich.text import Text

        from samenloop.status.screen import screen

        kafka, picture = self._hub.kafka.bootstrap_servers, self._picture
        if picture is None:
            return Text(f"Asking Kafka at {kafka} … Ctrl-C ends.")
        age = (clock.now() - picture.at).total_seconds()
        if picture.trouble is None and age > self._every + PATIENT_SECONDS:
            picture = replace(picture, trouble=f"Kafka at {kafka} has not answered for {age:.0f} s.")
        return screen(picture, self._console)

    def _look(self) -> None:
        watch = None
        while not self._stop.is_set():
            try:
                with reaching(self._hub):
                    if watch is None:
                        watch = _open(self._hub)
                        self._follow(watch, FIRST_SECONDS)
                    self._picture = watch.look()
                self._news.set()
                self._follow(watch, self._every)
            except SamenloopError as error:
                if self._picture is None:
                    self._failed = error
                    self._news.set()
                    return
                self._away(watch, error)
                watch = None
        if watch is not None:
            watch.close()

    def _follow(self, watch: Watch, seconds: float) -> None:
        """Take in what comes until the next look, which follows at once when all that was there has been read."""
        until, growing = time.monotonic() + seconds, bool(watch.reading())
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            complete = watch.read(min(left, 0.25))
            if complete and growing:
                return
            if complete:
                self._stop.wait(min(0.25, left))

    def _away(self, watch: Watch | None, error: SamenloopError) -> None:
        """Keep the last picture, say since when it is old, and begin anew."""
        from dataclasses import replace

        assert self._picture is not None
        kafka = isinstance(error, Retry) and error.code == "kafka.unavailable"
        why = f"Kafka at {self._hub.kafka.bootstrap_servers} does not answer." if kafka else words(error)
        since = f"{self._picture.at.astimezone():%H:%M:%S}"
        self._picture = replace(self._picture, trouble=f"{why} Shown is how it was at {since}.")
        self._news.set()
        if watch is not None:
            watch.close()
        self._stop.wait(self._every)


def _leave(code: int) -> NoReturn:
    """End at once: a Kafka client that was interrupted may never let the interpreter end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
