"""Writes the reference pages that follow from declarations in the code: ``python docs/generate.py``.

A test compares them with what is committed, so a setting, command, metric or topic cannot be without its page.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console

from deploy.grafana.boards import BOARDS
from deploy.grafana.panels import Board, Panel, anchor
from docs import asyncapi
from edge.problems import KINDS
from samenloop.cli import COMMANDS
from samenloop.cli.tree import build
from samenloop.contract import INTERNAL, TOPICS, Topic
from samenloop.contract.event_types import EVENT_TYPES, EventType
from samenloop.metrics import CATALOGUE
from samenloop.rules import (
    BEFORE_RESTRICTION,
    CLASH_WORKS,
    NEAR,
    RESTRICTION,
    SAME_TRENCH,
    load_rules,
    work_kinds,
)
from samenloop.rules.configuration import PairRule, ZoneRule
from samenloop.settings import PREFIX, Hub, Source

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py: change the code, then run it. -->\n"


def settings() -> str:
    """Return the page of `hub.yaml`: every key with its type, default, sentence and variable."""
    lines = [
        "# Settings",
        "",
        NOTE,
        "One file, `hub.yaml`, names everything a hub needs; every key may be left out. It is found by `--config`,",
        "else by `SAMENLOOP_CONFIG`, else in the folder where the command starts. Unknown keys are refused; all",
        "problems are told at once, with their lines. `samenloop config check` shows the settings in force.",
        "",
        "A variable overrides a key; a list is written as in YAML:",
        "`SAMENLOOP_DELIVERY__ALLOW_DESTINATIONS='[127.0.0.0/8]'`. A variable that begins with `SAMENLOOP_` and names",
        "no key is refused. Relative paths are relative to the file.",
    ]
    top = {name: field for name, field in Hub.model_fields.items() if not _is_model(field)}
    sections = {name: field.annotation for name, field in Hub.model_fields.items() if _is_model(field)}
    lines += ["", "## At the top", "", *_keys(top, PREFIX)]
    for name, model in sections.items():
        assert model is not None
        lines += [
            "",
            f"## `{name}`",
            "",
            f"{model.__doc__}",
            "",
            *_keys(model.model_fields, f"{PREFIX}{name.upper()}__"),
        ]
    lines += ["", "## `sources.<name>`", "", f"{Source.__doc__}", "", *_keys(Source.model_fields, None)]
    return "\n".join(lines) + "\n"


def metrics() -> str:
    """Return the page of all metrics with their labels and bounds."""
    lines = [
        "# Metrics",
        "",
        NOTE,
        "Every process serves `/metrics` on its own port ([what to scrape](../operators/monitoring.md)).",
        "Instants are given, not ages: compute the age where you ask, so that a stuck process keeps ageing. A label is",
        "a closed set or takes at most as many values as its bound; what does not fit becomes `other`, which",
        "`samenloop_label_overflow_total` counts.",
        "",
        "| Metric | Type | Labels | What it says |",
        "| --- | --- | --- | --- |",
    ]
    for name, metric in CATALOGUE.items():
        labels = "<br>".join(
            f"{label} (≤ {bound})" if isinstance(bound, int) else f"{label}: {', '.join(bound)}"
            for label, bound in metric.bounds.items()
        )
        lines.append(f"| `{name}` | {metric.kind.__name__.lower()} | {labels or '–'} | {metric.help} |")
    return "\n".join(lines) + "\n"


def dashboards() -> str:
    """Return the page of all panels of the dashboards, which each panel links to."""
    lines = [
        "# Dashboards",
        "",
        NOTE,
        "What every panel says. How to get them into Grafana and how to read them stands in",
        "[operators/dashboards.md](../operators/dashboards.md).",
    ]
    for board in BOARDS:
        lines += ["", f'## <a id="{board.name}"></a>{board.title}', "", f"`{board.uid}`. {board.says}"]
        for row in board.rows:
            lines += ["", f"### {row.title}"]
            lines += [line for panel in row.panels for line in _panel(board, panel)]
    return "\n".join(lines) + "\n"


def _panel(board: Board, panel: Panel) -> list[str]:
    queries = [query.expr for query in panel.queries]
    head = f'<a id="{anchor(board, panel)}"></a>**{panel.title}**. {panel.says}'
    return ["", head, "", "```promql", *queries, "```"]


def commands() -> str:
    """Return the page of all commands with their options, as `--help` tells them."""
    lines = [
        "# Commands",
        "",
        NOTE,
        "Text for people by default; `--json` where a machine may want to read. Exit codes: 0 done, 1 it failed or",
        "found problems, 2 the command line or the settings cannot be understood ([more](exit-codes.md)).",
        "`samenloop completion bash|zsh|fish` prints the completion script of a shell.",
    ]
    for command in COMMANDS:
        lines += ["", f"## `samenloop {command.words}`", "", "```text", _help(command.words), "```"]
    return "\n".join(lines) + "\n"


def topics() -> str:
    """Return the page of all topics."""
    lines = [
        "# Topics",
        "",
        NOTE,
        "On Kafka a topic is called `<prefix><name>.v1`; the prefix is a setting (`kafka.prefix`). `samenloop topics",
        "apply` creates what is missing. Partitions are never added: keys would move. Values are Avro after a",
        "five-byte header with the registry's id; headers are CloudEvents (`ce_…`).",
        "",
        "| Topic | Record | Key | Partitions | Kept | Settings |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for topic in (*TOPICS.values(), *INTERNAL.values()):
        kept = "the last per key" if topic.cleanup == "compact" else "for a time"
        config = "<br>".join(f"`{key}={value}`" for key, value in topic.config.items() if key != "cleanup.policy")
        lines.append(
            f"| `{topic.name}`{'' if topic.public else ' (internal)'} | {_record(topic)} | {topic.key} "
            f"| {topic.partitions} | {kept} | {config} |"
        )
    return "\n".join(lines) + "\n"


def events() -> str:
    """Return the page of all CloudEvents types."""
    lines = [
        "# Events",
        "",
        NOTE,
        "Every type of CloudEvent that the hub sends or takes. On Kafka the type is the header `ce_type`, beside the",
        "rest of the envelope; a [webhook](../partners/webhooks.md) has it in the body, a",
        "[push](../partners/send-plans.md) in the body or in `ce-type`. For machines all of it, with schemas and",
        "examples, is in [asyncapi.yaml](asyncapi.yaml) (AsyncAPI 3), which the hub serves as `/asyncapi.yaml`.",
        "",
        "| Type | Topic, record | Over HTTP | What it says | When |",
        "| --- | --- | --- | --- | --- |",
    ]
    ways = {"webhook": "hub sends: webhook", "push": "hub takes: push"}
    for event in EVENT_TYPES.values():
        http = "<br>".join(ways[way] for way in event.ways) or "–"
        lines.append(f"| `{event.type}` | {_place(event)} | {http} | {event.meaning} | {event.when} |")
    bare = [f"`{name}`" for name in TOPICS if name not in {event.topic for event in EVENT_TYPES.values()}]
    lines += ["", f"The hub's own memory has no type, since nobody else reads it: {', '.join(bare)}. Rows of"]
    lines += ["`plan-regions` that are no tick have none either."]
    return "\n".join(lines) + "\n"


def _place(event: EventType) -> str:
    if event.topic is None:
        return "–"
    record = "null" if event.tombstone else TOPICS[event.topic].record.__name__
    return f"`{event.topic}`, {record}"


def problems() -> str:
    """Return the page of all problems that the edge answers with."""
    lines = [
        "# Problems",
        "",
        NOTE,
        "What the hub's HTTP side answers when something is wrong: `application/problem+json` (RFC 9457). The last",
        "part of `type` is the code; the hub shows the same text under that address. `errors` has every finding with",
        "a `pointer` into the body (or a `header`), a [code](codes.md) and a sentence.",
    ]
    for code, kind in KINDS.items():
        lines += ["", f"## `{code}`", "", f"{kind.status}: {kind.title}.", "", kind.meaning, "", kind.fix]
    return "\n".join(lines) + "\n"


def _record(topic: Topic) -> str:
    return "of the view's own" if topic.name in INTERNAL else topic.record.__name__


def rules() -> str:
    """Return the page of the rules: every figure of the shipped configuration, and how to give others."""
    shipped = load_rules()
    lines = [
        "# Rules",
        "",
        NOTE,
        "Rules are data. The shipped configuration judges unless `hub.rules` (or `samenloop check --rules`) names",
        "another file, which gives its own `authority` and `version` and only the keys that differ. A published",
        "version never changes: findings name it as `<authority>@<version>`. A change is a restart of `detect`, which",
        "then says again what it judges otherwise.",
        "",
        "```yaml",
        "authority: urn:nld:oin:00000099000000001001",
        "version: 2",
        "rules:",
        "  OPP.NEAR: {distance_m: 50}",
        "```",
    ]
    lines += _rule(CLASH_WORKS, shipped.rules.clash)
    lines += _rule(SAME_TRENCH, shipped.rules.same_trench)
    lines += _rule(NEAR, shipped.rules.near)
    lines += _rule(RESTRICTION, shipped.rules.restriction)
    lines += _rule(BEFORE_RESTRICTION, shipped.rules.before_restriction)
    lines += ["", "## For all rules", "", "| Key | Shipped |", "| --- | --- |"]
    plain: tuple[str, ...] = ("open_end_days", "late_commit_days", "committed", "indicative", "exact_precisions")
    plain = (*plain, "coarse_precisions", "hindering_traffic", "ground_disturbing_kinds")
    lines += [f"| `{name}` | {_shown(getattr(shipped, name))} |" for name in plain]
    lines += ["", "## Kinds of work", "", "In profiles and rules by these codes, on the wire as"]
    lines += ["`urn:samenloop:work-kind:<code>`.", "", "| Code | Nederlands | English |", "| --- | --- | --- |"]
    lines += [f"| `{code}` | {kind.nl} | {kind.en} |" for code, kind in work_kinds().items()]
    return "\n".join(lines) + "\n"


def _rule(rule_id: str, rule: PairRule | ZoneRule) -> list[str]:
    keys = [(name, field) for name, field in type(rule).model_fields.items() if name != "words"]
    return [
        "",
        f"## `{rule_id}`",
        "",
        f"> {rule.words['en'].sentence}",
        "",
        "| Key | Shipped | What it says |",
        "| --- | --- | --- |",
        *(f"| `{name}` | {_shown(getattr(rule, name))} | {field.description} |" for name, field in keys),
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, frozenset | tuple | list):
        return ", ".join(sorted(str(item) for item in value)) or "none"
    return str(value)


PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings,
    "metrics.md": metrics,
    "dashboards.md": dashboards,
    "commands.md": commands,
    "topics.md": topics,
    "events.md": events,
    "asyncapi.yaml": asyncapi.text,
    "rules.md": rules,
    "problems.md": problems,
}


def _is_model(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _keys(fields: dict[str, FieldInfo], prefix: str | None) -> Iterator[str]:
    yield f"| Key | Type | Default | What it says |{' Variable |' if prefix else ''}"
    yield f"| --- | --- | --- | --- |{' --- |' if prefix else ''}"
    for name, field in fields.items():
        variable = f" `{prefix}{name.upper()}` |" if prefix and name != "sources" else " – |" if prefix else ""
        yield f"| `{name}` | {_type(field.annotation)} | {_default(field)} | {field.description} |{variable}"


WORDS = {
    str: "text",
    Path: "path",
    int: "integer",
    float: "number",
    bool: "true or false",
    SecretStr: "text, secret",
}


def _type(annotation: Any) -> str:
    """Return an annotation in words."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) is Annotated:
        return _type(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section"
    if get_origin(annotation) in (list, dict):
        return f"list of {_type(arguments[0])}" if get_origin(annotation) is list else "map"
    if arguments:
        return " or ".join(_type(option) for option in arguments if option is not type(None))
    return WORDS.get(annotation, str(annotation))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "**required**"
    if field.default is None:
        return "–"
    value = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
    return f"`{value}`" if value else "empty"


def _help(words: str) -> str:
    text = io.StringIO()
    console = Console(file=text, width=110, force_terminal=False, color_system=None)
    build().help_print(words.split(), console=console)
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


def main() -> None:
    """Write every page that changed."""
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (REFERENCE / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
