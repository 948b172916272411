"""What becomes of an event that was refused: a dead letter of its sender's, with its bytes and the reason.

An event whose source is not the sender's own makes none: nobody writes into the letters of another. One that holds
personal data keeps its digest only, for personal data stays outside Kafka.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from edge.changes import Head
from edge.messages import Incoming
from edge.problems import Fault
from samenloop.contract.dead_letters import LARGEST_VALUE, reason_of
from samenloop.identity import uuid_of
from samenloop.model import DeadLetter, DeadReason, Header
from samenloop.personal_data import is_personal, names_a_person

STAGE = "edge"


def is_attributable(head: Head) -> bool:
    """Say whether an event has an id and is the sender's own: only then is it set aside as a dead letter."""
    return bool(head.id and head.own)


def letter_of(incoming: Incoming, head: Head, faults: Sequence[Fault], now: datetime) -> DeadLetter:
    """Return the dead letter of a refused event; the same event with the same fault gives the same id again."""
    value = incoming.bytes()
    digest = sha256(value)
    first = faults[0]
    place = first.header or first.pointer.removeprefix(incoming.pointer) or "the event"
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    kept = len(value) <= LARGEST_VALUE and not _personal(incoming)
    reason = DeadReason.AUTHORISATION if first.code == "owner.not-mandated" else reason_of(first.code)
    return DeadLetter(
        id=uuid_of("dead-letter", STAGE, head.source, head.id, first.code, digest.hexdigest()),
        code=first.code,
        detail=f"{place}: {first.detail}{more}",
        stage=STAGE,
        retryable=False,
        failed_at=now,
        reason=reason,
        system=head.source,
        key=head.key.encode() if head.key else None,
        value=value if kept else None,
        value_sha256=digest.digest(),
        headers=tuple(_headers(incoming)) if kept else (),
        traceparent=head.traceparent,
    )


def _headers(incoming: Incoming) -> Iterator[Header]:
    """Yield what is not in the bytes: in binary mode the attributes stood beside them."""
    if not incoming.in_headers:
        return
    for name, text in incoming.attributes.items():
        yield Header("content-type" if name == "datacontenttype" else f"ce_{name}", str(text).encode())


def _personal(incoming: Incoming) -> bool:
    return any(
        is_personal(text) or (name is not None and names_a_person(name))
        for name, text in _texts(incoming.data, None)
        if not text.isdigit()
    )


def _texts(value: Any, name: str | None) -> Iterator[tuple[str | None, str]]:
    """Yield every text in *value* with the key it stands under; a functional contact point is none of a person."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, part in value.items():
            if key != "contact":
                yield from _texts(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part, name)
