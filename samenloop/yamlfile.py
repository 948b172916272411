"""Typed YAML: one file, one pydantic model, all problems at once with file and line.

Unknown and repeated keys are refused; scalars are read as JSON would (`NO` and `12:30` stay text).
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from samenloop.errors import BadSettings

M = TypeVar("M", bound=BaseModel)
Loc = tuple[str | int, ...]
_SECRET = re.compile(r"secret|passw|token|key", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Override:
    """A value that does not come from the file, and the name of where it comes from."""

    name: str
    value: Any


NO_OVERRIDES: Mapping[Loc, Override] = MappingProxyType({})


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


def load(
    path: Path,
    model: type[M],
    *,
    overrides: Mapping[Loc, Override] = NO_OVERRIDES,
    context: Mapping[str, Any] | None = None,
) -> M:
    """Read *path* into *model*; *overrides* and *context* as in `parse`.

    Raises BadSettings with one line per problem: ``file:line: key: what is wrong``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadSettings([f"{path}: cannot be read ({error.strerror})"]) from error
    except UnicodeDecodeError as error:
        raise BadSettings([f"{path}: is not UTF-8 text"]) from error
    return parse(text, model, str(path), overrides=overrides, context=context)


def parse(
    text: str,
    model: type[M],
    name: str,
    *,
    overrides: Mapping[Loc, Override] = NO_OVERRIDES,
    context: Mapping[str, Any] | None = None,
) -> M:
    """Read *text* into *model*; *name* stands for the file in messages.

    *overrides* are values from elsewhere by the path of their key: where one is wrong, its own name stands for the
    file. *context* goes to the model's validators. Raises BadSettings as `load` does.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
        data = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", "unreadable")
        raise BadSettings([f"{name}:{mark.line + 1 if mark else 1}: not valid YAML: {what}"]) from error
    problems = [f"{name}:{line}: {key}: is given twice" for key, line in _repeated(root)] if root else []
    data = {} if data is None else data
    for loc, override in overrides.items():
        _put(data, loc, override.value)
    try:
        result = model.model_validate(data, context=context)
    except ValidationError as error:
        for e in error.errors():
            variable = next((o.name for loc, o in overrides.items() if e["loc"][: len(loc)] == loc), None)
            place = variable or f"{name}:{_line(root, e['loc'])}"
            problems.append(f"{place}: {_path(e['loc'])}: {_words(e, model)}")
        raise BadSettings(problems) from None
    if problems:
        raise BadSettings(problems)
    return result


def peek(path: Path, key: str) -> Any:
    """Return the value of one key at the top of *path*, None where there is none or the file cannot be read."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return data.get(key) if isinstance(data, dict) else None


def from_text(text: str) -> Any:
    """Read a value given as text: `[a, b]` and `{a: b}` as YAML, all else stays text. Raises ValueError."""
    if not text.startswith(("[", "{")):
        return text
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ValueError("is not a YAML value") from error


def _put(data: Any, loc: Loc, value: Any) -> None:
    """Set the key at *loc*, making the maps on the way; what is no map is left for validation to refuse."""
    for part in loc[:-1]:
        if not isinstance(data, dict):
            return
        if data.get(part) is None:
            data[part] = {}
        data = data[part]
    if isinstance(data, dict):
        data[loc[-1]] = value


def _path(loc: Sequence[Hashable]) -> str:
    return ".".join(str(part) for part in loc) or "(file)"


def _words(error: Any, model: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden":
        close = get_close_matches(str(error["loc"][-1]), _known_keys(model, error["loc"][:-1]), n=1)
        return "is not a known key" + (f"; did you mean {close[0]}?" if close else "")
    if error["type"] == "missing":
        return "is missing"
    words = str(error["msg"]).removeprefix("Value error, ").replace("Input should be", "expected")
    words = words.replace("String should match pattern", "expected text like").replace("String should", "text should")
    found = error["input"]
    name = str(error["loc"][-1]) if error["loc"] else ""
    if _SECRET.search(name) or not isinstance(found, str | int | float) or len(str(found)) > 60:
        return words
    return f"found {found!r}, {words}"


def _known_keys(model: type[BaseModel], loc: Sequence[Hashable]) -> list[str]:
    """Return the keys a map at *loc* may have; where several models are possible, those of all of them."""
    models = [model]
    for part in loc:
        fields = [one.model_fields[str(part)] for one in models if part in one.model_fields]
        inner = [found for field in fields for found in _models(field.annotation)]
        models = inner or models  # the index of a list, the key of a map or the tag of a union leads nowhere else
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models(argument)]


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
