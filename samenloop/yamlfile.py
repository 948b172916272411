"""Typed YAML: one file, one pydantic model, all problems at once with file and line.

Unknown and repeated keys are refused; scalars are read as JSON would (`NO` and `12:30` stay text).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from samenloop.errors import BadSettings

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]


class Model(BaseModel):
    """Base of every settings model: frozen, strict about unknown keys, never quoting what was found in a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class _Loader(yaml.SafeLoader):
    """SafeLoader whose plain scalars are those of YAML 1.2: true/false, numbers, null, text; dates stay text."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|false", "tf"),
    ("tag:yaml.org,2002:int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?[0-9]+\.[0-9]+([eE][-+]?[0-9]+)?", "-+0123456789"),
    ("tag:yaml.org,2002:null", r"~|null|", ["~", "n", ""]),
):
    _Loader.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))


def load(path: Path, model: type[M]) -> M:
    """Read *path* into *model*.

    Raises BadSettings with one line per problem: ``file:line: key: what is wrong``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise BadSettings([f"{path}: is not UTF-8 text"]) from error
    return parse(text, model, str(path))


def parse(text: str, model: type[M], name: str) -> M:
    """Read *text* into *model*; *name* stands for the file in messages."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadSettings([f"{name}:{line}: not valid YAML: {error.problem}"]) from error
    problems = [f"{name}:{line}: {key}: is given twice" for key, line in _repeated(root)] if root else []
    try:
        result = model.model_validate(data if data is not None else {})
    except ValidationError as error:
        problems += [f"{name}:{_line(root, e['loc'])}: {_path(e['loc'])}: {_words(e)}" for e in error.errors()]
        raise BadSettings(problems) from None
    if problems:
        raise BadSettings(problems)
    return result


def _path(loc: Sequence[Hashable]) -> str:
    return ".".join(str(part) for part in loc) or "(file)"


def _words(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a known key"
    if error["type"] == "missing":
        return "is missing"
    return str(error["msg"]).removeprefix("Value error, ")


def _repeated(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield key.value, key.start_mark.line + 1
            seen.add(key.value)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _repeated(value)


def _line(node: yaml.Node | None, loc: Sequence[Hashable]) -> int:
    """Line of the deepest node on the way to *loc*; a key that is missing has the line of its parent."""
    line = 1 if node is None else node.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == str(part)), None)
            if found is None:
                continue  # a union's tag, or the missing key itself
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line
