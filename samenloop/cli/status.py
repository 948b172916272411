"""`samenloop status`."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Annotated, NoReturn

from cyclopts import Parameter

from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say
from samenloop.cli.tree import FAILED, words
from samenloop.errors import BadSettings, SamenloopError
from samenloop.settings import Hub

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from samenloop.status.picture import Picture
    from samenloop.status.watch import Watch

PATIENCE_SECONDS = 20.0
"""How long one picture waits for large topics to be read."""
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
        from rich.text import Text

        from samenloop.status.screen import screen

        if self._picture is None:
            return Text(f"Asking Kafka at {self._hub.kafka.bootstrap_servers} … Ctrl-C ends.")
        return screen(self._picture, self._console)

    def _look(self) -> None:
        watch = None
        while not self._stop.is_set():
            try:
                with reaching(self._hub):
                    if watch is None:
                        watch = _open(self._hub)
                    self._picture = watch.look()
                self._news.set()
                self._follow(watch)
            except SamenloopError as error:
                if self._picture is None:
                    self._failed = error
                    self._news.set()
                    return
                self._away(watch, error)
                watch = None
        if watch is not None:
            watch.close()

    def _follow(self, watch: Watch) -> None:
        """Take in what comes until the next look; the first looks follow soon, for there is much to be read."""
        until = time.monotonic() + (min(self._every, 0.5) if watch.reading() else self._every)
        while not self._stop.is_set() and (left := until - time.monotonic()) > 0:
            if watch.read(min(left, 0.25)):
                self._stop.wait(min(0.25, max(left, 0.0)))

    def _away(self, watch: Watch | None, error: SamenloopError) -> None:
        """Keep the last picture, say since when it is old, and begin anew."""
        from dataclasses import replace

        assert self._picture is not None
        since = f"{self._picture.at.astimezone():%H:%M:%S}"
        self._picture = replace(self._picture, trouble=f"{words(error)} Shown is how it was at {since}.")
        self._news.set()
        if watch is not None:
            watch.close()
        self._stop.wait(self._every)


def _leave(code: int) -> NoReturn:
    """End at once: a Kafka client that was interrupted may never let the interpreter end."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
