"""What the profiles of several connectors have in common: one spelling for one thing."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from samenloop import source
from samenloop.identity import system_urn
from samenloop.model import Organisation
from samenloop.owners import Oin
from samenloop.places import Box
from samenloop.rules.work_kinds import work_kind_code, work_kind_uri, work_kinds
from samenloop.yamlfile import Model

REFERENCE_URN = "urn:samenloop:reference:"
"""Before a word such as permit, klic or melvin: the scheme of a number elsewhere."""


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(f"{name!r} is not a time zone such as Europe/Amsterdam") from None
    return name


def _box(value: tuple[float, ...]) -> tuple[float, ...]:
    if len(value) != 4 or value[0] >= value[2] or value[1] >= value[3]:
        raise ValueError("expected [west, south, east, north]")
    return value


def _where(text: str) -> str:
    if "://" in text and not re.match(r"https?://[^/\s]+", text):
        raise ValueError("expected a folder, a file, a pattern such as exports/*.csv or an https address")
    return text


def _kind(text: str) -> str:
    code = work_kind_code(text)
    if code in work_kinds():
        return work_kind_uri(code)
    if re.fullmatch(r"(?:urn:|https?://)\S{3,200}", text):
        return text
    near = get_close_matches(code, work_kinds(), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"expected one of {', '.join(work_kinds())}{hint}")


def _kinds(value: Any) -> Any:
    return [] if value is None else value if isinstance(value, list) else [value]


Zone = Annotated[str, AfterValidator(_zone)]
BoxField = Annotated[tuple[float, ...], AfterValidator(_box)]
Where = Annotated[str, AfterValidator(_where)]
Kinds = Annotated[tuple[Annotated[str, AfterValidator(_kind)], ...], BeforeValidator(_kinds)]
"""Codes of `samenloop.rules.work_kinds`, one or a list, or URIs of another list; as URIs."""


class GuardProfile(Model):
    """`guards`: when an export is held for an operator, and how long absence is forgiven."""

    shrink_percent: float = Field(20, gt=0, le=100, description="more of the known ids gone: held")
    shrink_count: int = Field(20, ge=0, description="but only when more than so many are gone")
    absence_grace: int = Field(3, ge=1, le=1000, description="complete snapshots without it before a plan is deleted")
    common_ids: bool = Field(True, description="hold a snapshot that shares no id with the last one")
    reject_percent: float = Field(5, gt=0, le=100, description="more of the records refused: held")
    reject_count: int = Field(10, ge=0, description="but only when more than so many are refused")
    reject_run: int = Field(50, ge=1, description="so many refused in a row: held")

    @property
    def values(self) -> source.Guards:
        """The guards in the form of the differ."""
        return source.Guards(**self.model_dump())


class HeaderValue(Model):
    """A request header whose value stands in the environment."""

    env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="name of the variable")


class HttpProfile(Model):
    """`http`: how an address is asked."""

    timeout_seconds: float = Field(60, gt=0, le=600, description="for the whole answer")
    allow_http: bool = Field(False, description="also plain http (tests and demonstrations)")
    allow_destinations: tuple[str, ...] = Field((), max_length=50, description="private networks that may be asked")
    headers: dict[str, str | HeaderValue] = Field({}, max_length=20, description="extra headers; secrets as {env: X}")


def as_box(value: tuple[float, ...] | None) -> Box | None:
    """Return a bounding box of the settings as four numbers."""
    return None if value is None else (value[0], value[1], value[2], value[3])


class SourceProfile(Model):
    """What every profile says of its source: which system it is, who runs it, where its exports are."""

    system: str = Field(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40, description="the source system: lower case, digits, hyphens"
    )
    organisation: str = Field(min_length=1, max_length=200, description="who runs it")
    oin: Oin = Field(description="OIN of that organisation, in quotes")
    files: Where = Field(description="folder, file, pattern or https address; a path is relative to the profile")

    @property
    def urn(self) -> str:
        """URN of the source system."""
        return system_urn(self.oin, self.system)

    @property
    def own(self) -> Organisation:
        """The organisation that runs the source."""
        return Organisation(self.oin, self.organisation)

    @property
    def protocol(self) -> str:
        """How the exports are reached: `HTTPS`, `HTTP` or `files`."""
        scheme, found, _ = self.files.partition("://")
        return scheme.upper() if found else "files"
