"""What a dashboard is made of, as values: `write` turns them into Grafana's JSON, docs and tests read them.

A query says `$job`, `$source` … where the dashboard has such a variable. Every query has a matcher of `job`, so that
two hubs on one Prometheus stay apart.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["stat", "timeseries", "bars", "bargauge", "table", "heatmap"]
"""How a panel is drawn; *bars* is a time series of stacked bars, for what was counted in a stretch of time."""
Steps = Sequence[tuple[float | None, str]]
"""From which value on which colour; the first has None."""

DOCS = "https://samenloop.example/docs"
"""Where `docs/` is published. An operator puts the own address in its place: docs/operators/dashboards.md."""
GOOD_BELOW: Steps = ((None, "green"), (1, "red"))


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and the name of its series in the legend."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. *says* is its description: what it tells, and what to make of it. *width* is in 24ths.

    *share* is a ratio that is shown from 0 to 1; *hidden* are columns of a table that nobody needs; *words* stand for
    values; *empty* is what is shown when a query that may be empty has nothing.
    """

    title: str
    kind: Kind
    says: str
    queries: Sequence[Query]
    unit: str
    width: int = 8
    height: int = 8
    steps: Steps = ((None, "green"),)
    share: bool = False
    hidden: Sequence[str] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    empty: str | None = None

    @property
    def instant(self) -> bool:
        """Whether only the value of now is asked for: else sources that are gone would stay."""
        return self.kind in ("stat", "bargauge", "table")


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and the panels below it."""

    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of a dashboard: every value of *label* that *metric* has, all of them at first."""

    label: str
    metric: str


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard, `samenloop-<name>`."""

    name: str
    title: str
    says: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    since: str = "now-6h"

    @property
    def uid(self) -> str:
        """Its identity in every Grafana."""
        return f"samenloop-{self.name}"

    @property
    def panels(self) -> list[Panel]:
        """All panels, in order."""
        return [panel for row in self.rows for panel in row.panels]


def anchor(board: Board, panel: Panel) -> str:
    """Return the anchor of a panel's paragraph in docs/reference/dashboards.md."""
    return re.sub(r"[^a-z0-9]+", "-", f"{board.name} {panel.title}".lower()).strip("-")
