"""Whose plan it is: a constant, or a field with a table of OINs."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from connectors.sources.file_snapshots.code_tables import Pattern
from connectors.sources.file_snapshots.fields import Names, Row
from samenloop.identity import organisation_id
from samenloop.model import Organisation, Party, PartyRole
from samenloop.owners import Oin, organisation, unknown_owner
from samenloop.texts import one_line
from samenloop.yamlfile import Model


def _owner_form(value: Any) -> Any:
    if isinstance(value, str):
        return {"oin": value} if re.fullmatch(r"[A-Za-z0-9]{20}", value) else {"field": [value]}
    if isinstance(value, list):
        return {"field": value}
    return value


def _roles_form(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


class OwnerProfile(Model):
    """`owner`: a constant organisation, or the field that names it."""

    oin: Oin | None = Field(None, description="constant: OIN")
    name: str | None = Field(None, max_length=200, description="constant: name")
    field: Names = Field((), description="field with the owner's name or OIN; of several the first that is filled")
    map: dict[str, Oin] = Field({}, max_length=2000, description="name in the source: OIN")
    classes: tuple[str, ...] = Field((), max_length=200, description="values that are a class, not an organisation")
    persons: tuple[Pattern, ...] = Field((), max_length=50, description="regular expressions of natural persons")


class PartyProfile(Model):
    """One of `parties`: an organisation in a role beside the owner."""

    role: Annotated[PartyRole, BeforeValidator(lambda v: v.upper() if isinstance(v, str) else v)] = Field(
        description="CLIENT, LEAD, CONTRACTOR, NETWORK_OPERATOR, ROAD_AUTHORITY or PERMIT_AUTHORITY"
    )
    field: str | None = Field(None, description="field with the name")
    name: str | None = Field(None, description="constant name")
    split: str | None = Field(None, description="text between several names in one field")


Owner = Annotated[OwnerProfile, BeforeValidator(_owner_form)]
Roles = Annotated[tuple[PartyProfile, ...], BeforeValidator(_roles_form), Field(max_length=20)]


def read_owner(profile: OwnerProfile | None, own: Organisation, row: Row, plan_id: str) -> Organisation:
    """Return the owner of a row; without a profile it is the organisation that runs the source.

    A name that has no OIN gets the hub's identity for organisations; a class, a natural person and a missing name get
    one of this plan alone. The name of a person is not kept.
    """
    if profile is None:
        return own
    if not profile.field:
        oin = profile.oin or (organisation_id(profile.name) if profile.name else own.oin)
        return Organisation(oin, profile.name or (own.name if oin == own.oin else None))
    name = row.first(profile.field)
    if name is None:
        return unknown_owner(plan_id)
    if any(re.search(pattern, name) for pattern in profile.persons):
        return unknown_owner(plan_id)
    if name in profile.classes:
        return unknown_owner(plan_id, name)
    return organisation(name, profile.map, own)


def read_parties(profiles: tuple[PartyProfile, ...], owner: OwnerProfile | None, row: Row) -> tuple[Party, ...]:
    """Return the parties of a row; natural persons are left out."""
    found: dict[Party, None] = {}
    for profile in profiles:
        text = profile.name or (row.text(profile.field) if profile.field else None)
        names = text.split(profile.split) if text and profile.split else [text or ""]
        for name in filter(None, map(str.strip, names)):
            if not _is_person(name, owner):
                identity = organisation(name, owner.map if owner else {}, Organisation("", None))
                oin = None if identity.oin.startswith("urn:") else identity.oin
                found[Party(profile.role, oin, one_line(name, 200))] = None
    return tuple(found)


def _is_person(name: str, owner: OwnerProfile | None) -> bool:
    return owner is not None and any(re.search(pattern, name) for pattern in owner.persons)
