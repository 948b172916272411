"""What the terminal shows while the demonstration plays: a table that lives, or plain lines where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from samenloop.demo.watch import View
from samenloop.model import Conflict
from samenloop.supervisor import Status

_SIGNS = {"ready": "[green]●[/]", "starting": "[yellow]○[/]", "waiting": "[red]◌[/]", "stopped": "[dim]·[/]"}


class Screen:
    """Says lines, and on a terminal keeps a table of sources and stages below them."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.still()

    def say(self, text: str = "", style: str | None = None) -> None:
        """Print a line for good."""
        self._console.print(text, style=style, markup=False)

    def show(self, view: View, parts: Mapping[str, Status], *, down: bool) -> None:
        """Bring the table up to date; nothing where there is no terminal."""
        if self._live is not None:
            self._live.update(Group(_sources(view), _stages(view, parts, down=down)), refresh=True)

    def still(self) -> None:
        """Take the table away; lines can still be said."""
        if self._live is not None:
            self._live.stop()
            self._live = None


def _sources(view: View) -> Table:
    table = Table("source", "week", "read", "created", "updated", "removed", "unchanged", "rejected", "", box=None)
    for name, source in view.sources.items():
        counts = (source.read, source.created, source.updated, source.removed, source.unchanged, source.rejected)
        alarm = f"[red]alarm in week {source.alarms[-1][0]}[/]" if source.alarms else ""
        table.add_row(name, str(source.week), *map(str, counts), alarm)
    return table


def _stages(view: View, parts: Mapping[str, Status], *, down: bool) -> Table:
    conflicts = sum(isinstance(finding, Conflict) for finding in view.open())
    waiting = len(view.alerts) - len(view.final())
    said = {
        "stream consolidate": f"{view.changes} changes, {view.states} plan states",
        "stream detect": f"{conflicts} conflicts and {len(view.open()) - conflicts} opportunities open",
        "stream notify": f"{len(view.alerts)} alerts",
        "sink webhook": f"{view.delivered()} delivered, {waiting} waiting"
        + (" [red](receiver is down)[/]" if down else ""),
    }
    table = Table("", "stage", "", box=None, show_header=False)
    for name, status in parts.items():
        again = f" [yellow]restarted {status.restarts}x[/]" if status.restarts else ""
        table.add_row(_SIGNS[status.state], name, said.get(name, "") + again)
    return table
