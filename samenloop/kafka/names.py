"""What a topic, a group and a slot are called on the wire."""

from __future__ import annotations

import re

_VERSION = ".v1"


def topic_on_wire(prefix: str, name: str) -> str:
    """Return `<prefix><name>.v1`."""
    return f"{prefix}{name}{_VERSION}"


def topic_in_catalogue(prefix: str, full_name: str) -> str:
    """Return the name without prefix and version: the inverse of `topic_on_wire`."""
    return full_name.removeprefix(prefix).removesuffix(_VERSION)


def group_on_wire(prefix: str, stage: str) -> str:
    """Return the consumer group of a stage or sink."""
    return f"{prefix}{stage}"


def transactional_id(prefix: str, name: str, slot: str) -> str:
    """Return the stable producer id of one slot of a stage or source; *slot* is letters, digits, dot, hyphen."""
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,60}", slot):
        raise ValueError(f"slot: found {slot!r}, expected letters, digits, dots and hyphens")
    return f"{prefix}{name}-{slot}"
