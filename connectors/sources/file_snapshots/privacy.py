"""Personal data stays behind: fields that are dropped before anything leaves the connector.

What free text and field names give away is judged by `samenloop.personal_data`; here is what a profile drops.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from connectors.sources.file_snapshots.code_tables import Condition
from samenloop.yamlfile import Model


def _drop_form(value: Any) -> Any:
    return {"field": value} if isinstance(value, str) else value


def _drops(value: Any) -> Any:
    return [value] if isinstance(value, (str, dict)) else value


class Drop(Model):
    """A field that never leaves the connector, always or only when a condition holds."""

    field: str = Field(description="field")
    when: Condition | None = Field(None, description="only for rows that meet it")


Drops = Annotated[
    tuple[Annotated[Drop, BeforeValidator(_drop_form)], ...],
    BeforeValidator(_drops),
    Field(max_length=200, description="personal data: fields, or {field, when}"),
]
