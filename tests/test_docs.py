"""The documentation is tested: nothing that exists lacks its page, and no page speaks of what does not exist."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest

from samenloop.cli import COMMANDS
from samenloop.contract import TOPICS
from samenloop.detection.findings import Transition
from samenloop.metrics import CATALOGUE
from samenloop.settings import variables

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = _generator()


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def calls(*names: str) -> Iterator[tuple[Path, ast.Call]]:
    """Yield every call of one of *names* in the code, with its file."""
    for folder in ("samenloop", "connectors", "streams", "edge"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names:
                    yield path, node


def codes() -> set[str]:
    """Return every error code that the code can raise or write into a dead letter."""
    found: set[str] = set()
    for _, call in calls("Reject", "Retry", "Held", "PydanticCustomError"):
        if call.args and isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str):
            found.add(call.args[0].value)
    for _, call in calls("Fault", "at", "fault"):
        if len(call.args) > 1 and isinstance(call.args[1], ast.Constant) and "." in str(call.args[1].value):
            found.add(str(call.args[1].value))
    for _, call in calls("dead_letter", "DeadLetter", "Rejected", "Note"):
        candidates = [keyword.value for keyword in call.keywords if keyword.arg == "code"] + call.args[:1]
        for value in candidates:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found.add(value.value)
    return found


TRANSITIONS = set(get_args(Transition)) - {"removed"}
"""Of findings, those that are an event; what is removed for good is a null without headers."""


def event_types() -> set[str]:
    """Return every type of CloudEvent that is written out in the code, beside the catalogue itself."""
    found: set[str] = set()
    for folder in ("samenloop", "connectors", "streams", "edge"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "event_types.py":
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                    if isinstance(node, ast.Constant) and isinstance(node.value, str):
                        found |= set(re.findall(r"nl\.samenloop\.[a-z-]+\.v\d+", node.value))
    return found


def events() -> set[str]:
    """Return every event that the code logs."""
    found: set[str] = set()
    for _, call in calls("debug", "info", "warning", "error"):
        first = call.args[0] if call.args else None
        if isinstance(first, ast.Constant) and re.fullmatch(r"[a-z]+\.[a-z_]+", str(first.value)):
            found.add(str(first.value))
    return found


@pytest.mark.parametrize("name", sorted(GENERATOR.PAGES))
def test_generated_pages_are_as_committed(name: str) -> None:
    """Settings, commands, metrics and topics are documented from their declarations: run docs/generate.py."""
    assert page(name) == GENERATOR.PAGES[name]()


def test_every_command_is_documented() -> None:
    """Every command has its heading."""
    text = page("commands.md")

    assert [command.words for command in COMMANDS if f"## `samenloop {command.words}`" not in text] == []


def test_every_setting_is_documented() -> None:
    """Every key is there with its variable."""
    text = page("settings.md")

    assert [name for name in variables() if f"`{name}`" not in text] == []


def used_metrics() -> set[str]:
    """Return every metric that the code outside the catalogue reaches for, by its full name."""
    found: set[str] = set()
    for folder in ("samenloop", "connectors", "streams", "edge"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.parent.name == "metrics":
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "metrics":
                    found.add(f"samenloop_{node.attr.lower()}" if node.attr.isupper() else "")
    return found


def test_every_metric_is_documented_and_used() -> None:
    """A metric that nobody counts would be a promise that is not kept; one that is not declared has no page."""
    own = {"samenloop_label_overflow_total", "samenloop_build_info"}  # the catalogue counts these itself
    not_metrics = {"", "samenloop_other", "samenloop_registry", "samenloop_probe_pipeline"}
    text = page("metrics.md")

    assert [name for name in CATALOGUE if f"`{name}`" not in text] == []
    assert sorted(used_metrics() - not_metrics) == sorted(CATALOGUE.keys() - own)


def test_every_topic_is_documented() -> None:
    """Every topic has its row."""
    text = page("topics.md")

    assert [name for name in TOPICS if f"| `{name}`" not in text] == []


def test_every_event_type_is_documented() -> None:
    """A type that the code writes out has its row, and each row is of a type that the code uses.

    Types of findings are put together from the record and the transition, so they are held against those.
    """
    findings = {f"nl.samenloop.{record}-{step}.v1" for record in ("conflict", "opportunity") for step in TRANSITIONS}
    documented = re.findall(r"^\| `(nl\.samenloop\.[a-z.0-9-]+)`", page("events.md"), re.MULTILINE)

    assert sorted(documented) == sorted(event_types() | findings)


def test_every_code_is_documented() -> None:
    """Whoever meets a code in a message or a dead letter finds what it means, and every row is of a code in use."""
    documented = set(re.findall(r"^\| `([a-z0-9.-]+)`", page("codes.md"), re.MULTILINE))

    assert sorted(codes() - documented) == []


def test_every_event_is_documented() -> None:
    """Whoever finds an event in a log finds what to do."""
    text = page("logs.md")

    assert [event for event in sorted(events()) if f"`{event}`" not in text] == []


def test_every_connector_is_documented() -> None:
    """Every source and sink that can be installed has its section."""
    text = page("connectors.md")
    names = [
        point.name.replace("_", "-")
        for kind in ("sources", "sinks")
        for point in entry_points(group=f"samenloop.{kind}")
    ]

    assert names
    assert [name for name in names if f"## `{name}`" not in text] == []


def test_links_between_pages_lead_somewhere() -> None:
    """A relative link in any page points to a file that exists."""
    broken = []
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "ARCHITECTURE.md"]:
        for target in re.findall(r"\]\(([^)#\s]+)", path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                broken.append(f"{path.relative_to(ROOT)}: {target}")

    assert broken == []


def test_commands_in_the_pages_exist() -> None:
    """Every `samenloop …` in a page begins with a command that there is."""
    words = {command.words for command in COMMANDS} | {command.words.split()[0] for command in COMMANDS}
    wrong = []
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "ARCHITECTURE.md"]:
        for found in re.findall(r"(?:`|^)samenloop ([a-z][a-z-]+)", path.read_text(encoding="utf-8"), re.MULTILINE):
            if found not in words:
                wrong.append(f"{path.relative_to(ROOT)}: samenloop {found}")

    assert wrong == []


def test_tests_that_pages_name_exist() -> None:
    """Whoever reads that a test holds something can run it: the file is there, and the function in it."""
    wrong = []
    for path in [*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "ARCHITECTURE.md"]:
        for file, name in re.findall(r"\b(tests/[\w/.-]*\w)(?:::(\w+))?(?![\w/<])", path.read_text(encoding="utf-8")):
            found = (ROOT / file).exists() and (
                not name or f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")
            )
            if not found:
                wrong.append(f"{path.relative_to(ROOT)}: {file} {name}".rstrip())

    assert wrong == []
