"""Who may use the hub: partners and their API keys, in the compacted topic `partners`.

A key is 256 random bits, shown once; the hub keeps its SHA-256 only.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import replace
from datetime import datetime

from samenloop import identity
from samenloop.contract import Codec, Envelope
from samenloop.errors import BadSettings, Reject
from samenloop.kafka import publish, read_topic
from samenloop.model import Clearance, Partner, PartnerStatus
from samenloop.settings import Hub
from samenloop.stage import Output

_KEY_PREFIX = "samenloop_"


def new_key() -> str:
    """Return a fresh API key."""
    return _KEY_PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """Return what is kept of an API key."""
    return hashlib.sha256(key.encode()).digest()


def read_partners(hub: Hub, codec: Codec) -> dict[str, Partner]:
    """Return all partners by OIN, revoked ones too."""
    found: dict[str, Partner] = {}
    for record in read_topic(hub.kafka, "partners"):
        found.pop(record.key, None)
        if record.value is not None:
            found[record.key] = codec.decode("partners", record.value, record.headers)
    return found


def add_partner(
    hub: Hub, codec: Codec, oin: str, name: str, *, clearance: Clearance = Clearance.PARTNERS, now: datetime
) -> tuple[Partner, str]:
    """Admit a partner, or a revoked one again; returns it and its API key, which nobody can show a second time.

    Raises BadSettings for a wrong OIN, an empty name, or a partner that takes part already.
    """
    before = read_partners(hub, codec).get(oin)
    problems = _problems(hub, oin, name)
    if before is not None and before.status is PartnerStatus.ACTIVE:
        problems.append(f"oin: {oin} is a partner already, expected a new one or one that was revoked")
    if problems:
        raise BadSettings(problems)
    key = new_key()
    created = now if before is None else before.created_at
    partner = Partner(
        oin=oin, name=name.strip(), created_at=created, updated_at=now, clearance=clearance, key_hashes=(key_hash(key),)
    )
    publish(hub.kafka, [_output(hub, codec, partner)])
    return partner, key


def revoke_partner(hub: Hub, codec: Codec, oin: str, *, now: datetime) -> Partner:
    """End a partner's access: its keys are dropped, and nothing is sent to it any more.

    Raises BadSettings when there is no such partner.
    """
    before = read_partners(hub, codec).get(oin)
    if before is None:
        raise BadSettings([f"oin: {oin} is not a partner; `samenloop partners list` shows them"])
    partner = replace(before, status=PartnerStatus.REVOKED, key_hashes=(), updated_at=now)
    publish(hub.kafka, [_output(hub, codec, partner)])
    return partner


def _problems(hub: Hub, oin: str, name: str) -> list[str]:
    problems = []
    try:
        identity.check_oin(oin, allow_test=hub.hub.allow_test_oin)
    except Reject as error:
        problems.append(f"oin: found {oin!r}, {error.detail}")
    if not name.strip():
        problems.append("name: is empty, expected the name of the organisation")
    return problems


def _output(hub: Hub, codec: Codec, partner: Partner) -> Output:
    event_id = str(identity.uuid_of("partner", partner.oin, partner.updated_at.isoformat()))
    envelope = Envelope(
        id=event_id,
        source=identity.system_urn(hub.hub.oin, "samenloop"),
        type="nl.samenloop.partner-changed.v1",
        time=partner.updated_at,
        subject=partner.oin,
        partitionkey=partner.oin,
        correlationid=event_id,
    )
    return Output("partners", partner.oin, codec.encode("partners", partner), codec.headers("partners", envelope))
