"""Who may use the hub: partners and their API keys, in the compacted topic `partners`.

A key is 256 random bits, shown once; the hub keeps its SHA-256 only. What a key may be used for are its scopes.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from samenloop import identity
from samenloop.contract import Codec, Envelope
from samenloop.errors import BadSettings, Reject
from samenloop.kafka import publish, read_topic
from samenloop.model import ApiKey, Clearance, Partner, PartnerStatus
from samenloop.settings import Hub
from samenloop.stage import Output

SCOPES = {
    "plans:write": "send plans of its own, and of owners in its mandate",
    "read": "read plans, conflicts, opportunities, changes and alerts that it may see",
    "subscriptions": "make, change and end its own subscriptions",
    "dead-letters": "see and replay its own records that were set aside",
}
"""What an API key may be used for."""
ANY = "any"
"""In a mandate: whatever owner, such as for a city's coordination platform."""
MOST_KEYS = 20
_KEY_PREFIX = "samenloop_"


def new_key() -> str:
    """Return a fresh API key."""
    return _KEY_PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """Return what is kept of an API key."""
    return hashlib.sha256(key.encode()).digest()


def key_id(hashed: bytes) -> str:
    """Return what names an API key to people: the first characters of its hash."""
    return hashed.hex()[:12]


def keys_of(partner: Partner) -> tuple[ApiKey, ...]:
    """Return the API keys of a partner; those that are kept as a bare hash may do everything a partner may."""
    bare = (ApiKey(hashed, partner.created_at, tuple(SCOPES)) for hashed in partner.key_hashes)
    return (*bare, *partner.keys)


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
        oin=oin,
        name=name.strip(),
        created_at=created,
        updated_at=now,
        clearance=clearance,
        keys=(ApiKey(key_hash(key), now, tuple(SCOPES)),),
    )
    publish(hub.kafka, [_output(hub, codec, partner)])
    return partner, key


def revoke_partner(hub: Hub, codec: Codec, oin: str, *, now: datetime) -> Partner:
    """End a partner's access: its keys are dropped, and nothing is sent to it any more.

    Raises BadSettings when there is no such partner.
    """
    before = find_partner(hub, codec, oin)
    partner = replace(before, status=PartnerStatus.REVOKED, key_hashes=(), keys=(), updated_at=now)
    publish(hub.kafka, [_output(hub, codec, partner)])
    return partner


def find_partner(hub: Hub, codec: Codec, oin: str) -> Partner:
    """Return the partner. Raises BadSettings when there is no such one."""
    partner = read_partners(hub, codec).get(oin)
    if partner is None:
        raise BadSettings([f"oin: {oin} is not a partner; `samenloop partners list` shows them"])
    return partner


def add_key(
    hub: Hub, codec: Codec, oin: str, *, scopes: Sequence[str] = (), label: str | None = None, now: datetime
) -> tuple[ApiKey, str]:
    """Give a partner another API key; returns it and its text, which nobody can show a second time.

    No *scopes* means all. Raises BadSettings for an unknown scope, a partner that has no access, or too many keys.
    """
    before = find_partner(hub, codec, oin)
    problems = [
        f"--scope: found {name!r}, expected one of {', '.join(SCOPES)}" for name in scopes if name not in SCOPES
    ]
    if before.status is not PartnerStatus.ACTIVE:
        problems.append(f"oin: {oin} has no access any more; `samenloop partners add` admits it again")
    if len(keys_of(before)) >= MOST_KEYS:
        problems.append(f"oin: {oin} has {MOST_KEYS} keys already; revoke one first")
    if problems:
        raise BadSettings(problems)
    text = new_key()
    key = ApiKey(key_hash(text), now, tuple(dict.fromkeys(scopes)) or tuple(SCOPES), label)
    partner = replace(before, keys=(*before.keys, key), updated_at=now)
    publish(hub.kafka, [_output(hub, codec, partner)])
    return key, text


def revoke_key(hub: Hub, codec: Codec, oin: str, named: str, *, now: datetime) -> ApiKey:
    """End one API key, named by the first characters of its hash (six or more); the partner's other keys stay.

    Raises BadSettings when none or several of the partner's keys are named so.
    """
    before = find_partner(hub, codec, oin)
    found = [key for key in keys_of(before) if len(named) >= 6 and key.hash.hex().startswith(named.lower())]
    if len(found) != 1:
        several = f"{len(found) or 'none'} of the keys of {oin}"
        raise BadSettings([f"key: {named} names {several}; `samenloop partners key list {oin}` shows them"])
    (gone,) = found
    partner = replace(
        before,
        key_hashes=tuple(hashed for hashed in before.key_hashes if hashed != gone.hash),
        keys=tuple(key for key in before.keys if key.hash != gone.hash),
        updated_at=now,
    )
    publish(hub.kafka, [_output(hub, codec, partner)])
    return gone


def set_mandate(hub: Hub, codec: Codec, oin: str, owners: Sequence[str], *, now: datetime) -> Partner:
    """Say for which other owners a partner may send plans: OINs, `any`, or none. Raises BadSettings."""
    before = find_partner(hub, codec, oin)
    problems = [problem for owner in owners if owner != ANY for problem in _problems(hub, owner, "-")]
    if problems:
        raise BadSettings(problems)
    partner = replace(before, mandate=tuple(dict.fromkeys(owners)), updated_at=now)
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
