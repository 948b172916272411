"""The profile: one YAML file that says where the DATEX II publication is and for whom it speaks.

Four keys are enough (`system`, `organisation`, `oin`, `files`). The reference is docs/sources/ndw-datex.md.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field

from samenloop import yamlfile
from samenloop.model import Visibility
from samenloop.owners import Mandate, Oin
from samenloop.places import Box
from samenloop.source_settings import BoxField, GuardProfile, HttpProfile, Kinds, SourceProfile, Where, Zone, as_box

CONFIDENTIALITY = {
    "noRestriction": Visibility.PUBLIC,
    "restrictedToAuthorities": Visibility.RESTRICTED,
    "restrictedToAuthoritiesAndTrafficOperators": Visibility.RESTRICTED,
    "restrictedToAuthoritiesTrafficOperatorsAndPublishers": Visibility.RESTRICTED,
    "restrictedToAuthoritiesTrafficOperatorsAndVms": Visibility.RESTRICTED,
    "internalUse": Visibility.RESTRICTED,
}
"""Confidentiality: who may see the plan, unless the profile says otherwise."""


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


Seen = Annotated[Visibility, BeforeValidator(_upper)]


class Profile(SourceProfile):
    """A DATEX II publication of situations, and what the hub makes of it."""

    files: Where = Field(
        description="https address, file, folder or pattern of full publications; a path is relative to the profile"
    )
    max_megabytes: int = Field(1000, ge=1, le=10_000, description="largest publication, unpacked")
    take_updates: bool = Field(False, description="take a document that calls itself an update as a whole publication")
    zone: Zone = Field("Europe/Amsterdam", description="time zone in which instants become days")
    midnight_end: Literal["day_before", "same_day"] = Field(
        "day_before", description="what an end at exactly 00:00 local time means"
    )
    language: str = Field("nl", pattern=r"^[a-z]{2,3}$", description="of texts in several languages the one to take")
    owners: dict[str, Oin] = Field(
        {}, max_length=2000, description="name in `sourceName`: OIN; * stands for anything in a name"
    )
    mandate: Mandate = Field("own", description="for whom the source may speak: own, any or a list of OINs")
    visibility: dict[str, Seen] = Field({}, max_length=50, description="confidentiality: who may see the plan")
    unstated_visibility: Seen = Field(
        Visibility.RESTRICTED, description="who may see a plan without confidentiality, or with one that is not listed"
    )
    audience: tuple[Oin, ...] = Field((), max_length=100, description="OINs that see plans of visibility GROUP")
    work_kinds: dict[str, Kinds] = Field(
        {}, max_length=200, description="code of subject, maintenance or construction: kinds of work"
    )
    axis_order: Literal["yx", "xy"] = Field("yx", description="of lines and areas: yx is latitude first, as NDW writes")
    bbox: BoxField | None = Field(None, description="[west, south, east, north] in degrees; outside it is no location")
    accuracy_m: float | None = Field(None, gt=0, description="how good the coordinates are, in metres")
    guards: GuardProfile = Field(GuardProfile(), description="when a publication is held for an operator")
    http: HttpProfile = Field(HttpProfile(timeout_seconds=300), description="how an address is asked")

    @cached_property
    def tz(self) -> ZoneInfo:
        """The source's time zone."""
        return ZoneInfo(self.zone)

    @property
    def box(self) -> Box | None:
        """The bounding box as four numbers."""
        return as_box(self.bbox)

    @property
    def max_bytes(self) -> int:
        """Largest publication in bytes."""
        return self.max_megabytes * 1_000_000

    @cached_property
    def confidentiality(self) -> dict[str, Visibility]:
        """The table of confidentiality: the shipped one, and what the profile says otherwise."""
        return {**CONFIDENTIALITY, **self.visibility}

    @cached_property
    def plain_owners(self) -> dict[str, str]:
        """Names without a `*` with their OINs."""
        return {name: oin for name, oin in self.owners.items() if "*" not in name}

    @cached_property
    def owner_patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Names with a `*` as patterns with their OINs."""
        found = ((name, oin) for name, oin in self.owners.items() if "*" in name)
        return tuple(
            (re.compile(".*".join(map(re.escape, name.split("*"))), re.IGNORECASE | re.DOTALL), oin)
            for name, oin in found
        )


def load_profile(path: Path | str) -> Profile:
    """Read a profile. Raises BadSettings with one line per problem: file, line, key, what is expected."""
    return yamlfile.load(Path(path), Profile)
