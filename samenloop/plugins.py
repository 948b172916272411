"""Finds connectors, stages and the edge by entry point, so that the core imports none of them.

The entry point's name is the file's (`file_snapshots`); people, labels and groups say `file-snapshots`: derived here,
never typed twice.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any, Literal

from samenloop.errors import BadSettings

Kind = Literal["sources", "stages", "views", "sinks", "edge"]


def names(kind: Kind) -> list[str]:
    """Return the names of all installed connectors or stages of *kind*, sorted."""
    return sorted(point.name.replace("_", "-") for point in entry_points(group=f"samenloop.{kind}"))


def load(kind: Kind, name: str) -> Any:
    """Return the class called *name*. Raises BadSettings when there is none, naming those there are."""
    for point in entry_points(group=f"samenloop.{kind}"):
        if point.name.replace("_", "-") == name:
            return point.load()
    raise BadSettings([f"{name}: is none of the {kind} that are installed: {', '.join(names(kind)) or 'none'}"])
