"""The short code list of kinds of work, shipped as data beside this file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from pydantic import Field, RootModel

from samenloop import yamlfile

URI_PREFIX = "urn:samenloop:work-kind:"


class WorkKind(yamlfile.Model):
    """One kind of work."""

    nl: str = Field(description="Dutch name")
    en: str = Field(description="English name")
    ground_disturbing: bool = Field(description="breaks ground unless the plan says otherwise")
    imkl: tuple[str, ...] = Field((), description="values of IMKL SoortWerkzaamhedenValue that mean the same")


class _WorkKinds(RootModel[dict[str, WorkKind]]):
    pass


@cache
def work_kinds() -> Mapping[str, WorkKind]:
    """Return the shipped code list, by code (`sewer`)."""
    text = files(__package__).joinpath("work_kinds.yaml").read_text(encoding="utf-8")
    return MappingProxyType(yamlfile.parse(text, _WorkKinds, "work_kinds.yaml").root)


def work_kind_uri(code: str) -> str:
    """Return the URI of a code: `sewer` → `urn:samenloop:work-kind:sewer`."""
    return URI_PREFIX + code


def work_kind_code(uri: str) -> str:
    """Return the code of a URI; foreign URIs and bare codes come back unchanged."""
    return uri.removeprefix(URI_PREFIX)
