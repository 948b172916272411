"""Whose plan it is, and for whom a source may speak."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from samenloop.errors import Reject
from samenloop.identity import organisation_id
from samenloop.model import Organisation
from samenloop.texts import one_line

UNKNOWN_OWNER = "urn:samenloop:org:unknown-"
"""What is not known, or must not be, gets an identity of its own per plan: "unknown" never equals "unknown"."""


def _is_oin(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("write an OIN in quotes: it is text of 20 characters")
    if not re.fullmatch(r"[A-Za-z0-9]{20}", value):
        raise ValueError(f"an OIN has 20 letters or digits, this has {len(value)} characters")
    return value


def _mandate_form(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_is_oin(item) for item in value)
    if value not in ("own", "any"):
        raise ValueError("expected own, any or a list of OINs")
    return value


Oin = Annotated[str, BeforeValidator(_is_oin)]
Mandate = Annotated[Literal["own", "any"] | tuple[str, ...], BeforeValidator(_mandate_form)]


def organisation(name: str, oins: Mapping[str, str], own: Organisation) -> Organisation:
    """Return the identity of an organisation by its name: by the table *oins*, as an OIN, or the hub's own.

    Upper and lower case are the same. A name that is in no table gets `urn:samenloop:org:<slug>`.
    """
    listed = {key.casefold(): oin for key, oin in oins.items()}
    if oin := listed.get(name.casefold()):
        return Organisation(oin, name)
    if own.name and name.casefold() == own.name.casefold():
        return own
    if re.fullmatch(r"[0-9]{20}", name):
        return Organisation(name)
    return Organisation(organisation_id(name), one_line(name, 200))


def unknown_owner(plan_id: str, name: str | None = None) -> Organisation:
    """Return an identity that belongs to this plan alone."""
    return Organisation(UNKNOWN_OWNER + sha256(plan_id.encode()).hexdigest()[:16], name)


def check_mandate(mandate: Mandate, own_oin: str, owner: Organisation) -> None:
    """Raise Reject(`owner.not-mandated`) when the source may not speak for *owner*."""
    if mandate == "any" or owner.oin == own_oin or (mandate != "own" and owner.oin in mandate):
        return
    raise Reject(
        "owner.not-mandated",
        f"the owner is {owner.oin}, the source may speak for {'itself' if mandate == 'own' else 'others'} only "
        "(`mandate: own | [OINs] | any`)",
        field="owner",
    )
