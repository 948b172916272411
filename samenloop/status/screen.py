"""A picture for people: tables that fit the terminal, what needs somebody on top. Colour never says anything alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from samenloop.model import DeliveryReceipt, SystemState
from samenloop.status.picture import (
    Concern,
    PartnerLine,
    Picture,
    SourceLine,
    StageLine,
    ago,
    answer_words,
    answered_well,
    concerns,
    freshness,
    span,
)
from samenloop.systems_overview import Freshness

_FINE, _ODD, _BAD, _NONE = Text("●", "green"), Text("▲", "yellow"), Text("✖", "red bold"), Text("○", "dim")
_FRESH = {Freshness.FRESH: _FINE, Freshness.LATE: _ODD, Freshness.STALE: _BAD, Freshness.NEVER: _NONE}
_PLAIN = {"●": "ok", "▲": "!", "✖": "!!", "○": "-"}
_CONCERNS = 6
_NARROW = 110
"""Characters: below it a table leaves out what can be asked elsewhere."""
_NAME_CHARACTERS = 12
_LEAST_LINES = 3
_FRAME_LINES = 20
"""Lines that are there whatever the hub looks like: heads, blank lines, counts."""
Line = TypeVar("Line")


def screen(picture: Picture, console: Console, *, whole: bool = False) -> RenderableType:
    """Return the picture for *console*: as many lines as fit, what is worst first; *whole* leaves nothing out."""
    found = concerns(picture)
    troubled = {one.subject for one in found}
    room = console.height - _FRAME_LINES - min(len(found), _CONCERNS) - len(picture.stages)
    each = 1_000_000 if whole else max(_LEAST_LINES, room // 2)
    plain = not console.encoding.lower().startswith("utf")
    parts: list[RenderableType] = [_head(picture), *_said(picture), *_concerns(found, whole=whole)]
    parts += _sources(
        _worst_first(picture.sources, troubled, lambda line: line.name), each, picture, console, plain=plain
    )
    parts += _stages(picture, console, plain=plain)
    parts += _partners(_worst_first(picture.partners, troubled, lambda line: line.oin), each, picture, plain=plain)
    parts += [Text(), _findings(picture), _letters(picture)]
    return Group(*parts)


def _head(picture: Picture) -> Text:
    at = f"{picture.at.astimezone():%Y-%m-%d %H:%M:%S}"
    return Text.assemble(("Samenloop", "bold"), f"  {picture.prefix}* on Kafka at {picture.kafka}  {at}")


def _said(picture: Picture) -> list[Text]:
    lines = [] if picture.trouble is None else [Text(picture.trouble, "red bold")]
    if picture.reading:
        lines.append(Text(f"Still reading {', '.join(picture.reading)}: counts below grow.", "yellow"))
    return lines


def _concerns(found: Sequence[Concern], *, whole: bool) -> list[Text]:
    if not found:
        return [Text("Nothing needs attention.", "green")]
    shown = found if whole else found[:_CONCERNS]
    lines = [Text(f"{len(found)} to look at:", "yellow bold"), *(Text(f"  {one.words}") for one in shown)]
    if len(found) > len(shown):
        lines.append(Text(f"  and {len(found) - len(shown)} more: --once shows all", "dim"))
    return lines


def _worst_first(lines: Sequence[Line], troubled: set[str], name: Callable[[Line], str]) -> list[Line]:
    return sorted(lines, key=lambda line: name(line) not in troubled)


def _table(title: str, *heads: str) -> Table:
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold", header_style="dim")
    table.add_column("", no_wrap=True)
    for index, head in enumerate(heads):
        right = head.startswith(">")
        table.add_column(
            head.lstrip(">"), justify="right" if right else "left", no_wrap=not index, overflow="ellipsis",
            min_width=_NAME_CHARACTERS if not index else None,
        )  # fmt: skip
    return table


def _more(count: int, shown: int) -> list[RenderableType]:
    return [Text(f"  and {count - shown} more: --once shows all", "dim")] if count > shown else []


def _sign(sign: Text, *, plain: bool) -> Text:
    return Text(_PLAIN[sign.plain]) if plain else sign


def _sources(
    lines: Sequence[SourceLine], most: int, picture: Picture, console: Console, *, plain: bool
) -> list[RenderableType]:
    if not lines:
        return [Text(), Text("Sources", "bold"), Text("No source is configured, and none was ever read.")]
    narrow = console.width < _NARROW
    more = () if narrow else ("owner", ">plans", ">rejected 24 h")
    table = _table("\nSources", "source", "state", ">good poll", ">wanted", "last poll", *more)
    for line in lines[:most]:
        status, poll = line.status, line.poll
        sign = _BAD if line.state in (SystemState.FAILED, SystemState.PAUSED) else _FRESH[freshness(line, picture.at)]
        cells = [
            line.name,
            _state(line),
            f"{ago(line.good_at, picture.at)} ago" if line.good_at else "never",
            span(line.objective_seconds),
            "-"
            if poll is None
            else f"{poll.outcome.lower().replace('_', ' ')}, {ago(poll.started_at, picture.at)} ago",
        ]
        if not narrow:
            cells.append((status.owner.name or status.owner.oin) if status else "-")
            cells += [str(status.plans), str(status.rejected_24h)] if status else ["-", "-"]
        table.add_row(_sign(sign, plain=plain), *cells)
    return [table, *_more(len(lines), most)]


def _state(line: SourceLine) -> str:
    code = f" ({line.error_code})" if line.error_code else ""
    return f"{line.state.lower()}{code}"


def _stages(picture: Picture, console: Console, *, plain: bool) -> list[RenderableType]:
    table = _table("\nStages", "stage", ">waiting", ">oldest", ">per second", "at work (partitions)")
    for line in picture.stages:
        troubled = not line.workers or line.unowned > 0
        sign = _BAD if troubled else _ODD if line.waiting else _FINE
        table.add_row(
            _sign(sign, plain=plain),
            line.group,
            str(line.waiting),
            ago(line.oldest_at, picture.at) if line.oldest_at else "-",
            "-" if line.rate is None else f"{line.rate:.1f}",
            _workers(line, hosts=console.width >= _NARROW),
        )
    return [table]


def _workers(line: StageLine, *, hosts: bool) -> Text:
    if not line.workers:
        return Text("nobody", "red")
    at_work = [
        f"{worker.name}{f'@{worker.host}' if hosts else ''} ({_numbers(worker.partitions)})"
        for worker in line.workers
        if worker.partitions
    ]
    aside = [worker.name for worker in line.workers if not worker.partitions]
    said = ", ".join(at_work) if at_work else "being shared out"
    return Text(f"{said}; standing by: {', '.join(aside)}" if aside else said, "" if at_work else "yellow")


def _numbers(partitions: Sequence[int]) -> str:
    """Return partition numbers as runs: 0-3, 7."""
    runs: list[list[int]] = []
    for number in sorted(partitions):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _partners(lines: Sequence[PartnerLine], most: int, picture: Picture, *, plain: bool) -> list[RenderableType]:
    if not lines:
        words = "Nobody is subscribed. `samenloop subscriptions add` subscribes a partner."
        return [Text(), Text("Partners", "bold"), Text(words)]
    table = _table("\nPartners", "partner", "subscriptions", ">waiting", ">due for", "last answer")
    for line in lines[:most]:
        good = line.answer is None or answered_well(line.answer)
        paused = set(line.subscriptions) - {"active"}
        sign = _BAD if not good and line.pending else _ODD if paused or line.pending else _FINE
        table.add_row(
            _sign(sign, plain=plain),
            line.name,
            ", ".join(f"{count} {status}" for status, count in sorted(line.subscriptions.items()))
            + (f" ({', '.join(line.reasons)})" if line.reasons else ""),
            str(line.pending),
            ago(line.oldest_at, picture.at) if line.oldest_at else "-",
            _answer(line.answer, picture),
        )
    return [table, *_more(len(lines), most)]


def _answer(receipt: DeliveryReceipt | None, picture: Picture) -> str:
    if receipt is None:
        return "none seen"
    return f"{answer_words(receipt)}, {ago(receipt.attempted_at, picture.at)} ago"


def _findings(picture: Picture) -> Text:
    total = sum(picture.conflicts.values())
    worst = [
        f"{picture.conflicts[name]} {name}" for name in ("blocking", "warning", "info") if picture.conflicts.get(name)
    ]
    by = f" ({', '.join(worst)})" if worst else ""
    return Text.assemble(("Findings open  ", "bold"), f"{total} conflicts{by}, {picture.opportunities} opportunities")


def _letters(picture: Picture) -> Text:
    letters = picture.letters
    if not letters.waiting:
        return Text.assemble(("Dead letters   ", "bold"), "none waits")
    parts = ", ".join(f"{origin} {count}" for origin, count in sorted(letters.waiting.items())[:5])
    least = "at least " if "dead-letters" in picture.at_least else ""
    oldest = f", the oldest for {ago(letters.oldest_at, picture.at)}" if letters.oldest_at else ""
    said = f"{least}{sum(letters.waiting.values())} wait ({parts}){oldest}"
    return Text.assemble(("Dead letters   ", "bold"), (said, "yellow"))
