"""Names that anyone can compute again: systems, plans, events, findings, alerts, receipts.

UUIDs are version 5 in one namespace, of parts joined by a line feed. Nothing of this hub is in a plan's name, so it
keeps it in any hub.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha1
from urllib.parse import quote
from uuid import NAMESPACE_URL, UUID, uuid5

from samenloop.errors import Reject
from samenloop.model import ChangeKind

NAMESPACE = uuid5(NAMESPACE_URL, "urn:nl.samenloop:v1")
LONGEST = 255
"""Bytes of the URN of a plan or restriction."""
TEST_PREFIX = "00000099"
_OIN = re.compile(r"[0-9A-Za-z]{20}")
_SYSTEM_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SYSTEM_URN = re.compile(r"urn:nld:oin:([0-9A-Za-z]{20}):systeem:[a-z0-9]+(?:-[a-z0-9]+)*")


def uuid_of(*parts: str) -> UUID:
    """Return the UUIDv5 of *parts* joined by LF, in the hub's namespace."""
    digest = sha1(NAMESPACE.bytes + "\n".join(parts).encode(), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def uuid_text(*parts: str) -> str:
    """Return `uuid_of` as text, without making the object."""
    digest = sha1(NAMESPACE.bytes + "\n".join(parts).encode(), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digest[16], 16) & 3]
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"


def check_oin(oin: str, *, allow_test: bool = True) -> str:
    """Return *oin* when it is an OIN: 20 letters or digits.

    Raises Reject("identity.oin"), and Reject("identity.test-oin") for the test range 00000099 where that is refused.
    """
    if not _OIN.fullmatch(oin):
        raise Reject("identity.oin", "expected an organisation number of 20 letters or digits", field="oin")
    if not allow_test and oin.startswith(TEST_PREFIX):
        raise Reject("identity.test-oin", "an organisation number of the test range 00000099 is refused", field="oin")
    return oin


def system_urn(oin: str, name: str) -> str:
    """Return ``urn:nld:oin:<OIN>:systeem:<name>``. Raises Reject("identity.…")."""
    check_oin(oin)
    if not _SYSTEM_NAME.fullmatch(name):
        raise Reject("identity.system", "a system's name is lower case, digits and hyphens", field="system")
    return f"urn:nld:oin:{oin}:systeem:{name}"


@lru_cache(maxsize=4096)
def system_oin(system: str) -> str:
    """Return the OIN in a system URN. Raises Reject("identity.system")."""
    if not (found := _SYSTEM_URN.fullmatch(system)):
        raise Reject("identity.system", "expected urn:nld:oin:<OIN>:systeem:<name>", field="system")
    return found[1]


def plan_id(system: str, local_id: str) -> str:
    """Return ``<system>:plan:<local id>``, the local id NFC and percent-encoded but for ``A-Za-z0-9-._~``.

    Raises Reject("identity.local-id") when it is empty, not Unicode, or longer than 255 bytes altogether.
    """
    return _urn(system, "plan", local_id)


def restriction_id(system: str, local_id: str) -> str:
    """Return ``<system>:restriction:<local id>``; encoded and refused as `plan_id` does."""
    return _urn(system, "restriction", local_id)


def system_of(subject_id: str) -> str:
    """Return the system that a plan or restriction comes from: what `plan_id` and `restriction_id` were given first."""
    return subject_id.rsplit(":", 2)[0]


def is_restriction(subject_id: str) -> bool:
    """Tell a restriction's URN from a plan's: neither a system nor a local id holds a colon of its own there."""
    return ":restriction:" in subject_id


def _urn(system: str, kind: str, local_id: str) -> str:
    if not local_id:
        raise Reject("identity.local-id", "the identification is empty", field="local_id")
    try:
        urn = f"{system}:{kind}:{quote(unicodedata.normalize('NFC', local_id), safe='')}"
    except UnicodeEncodeError as error:
        raise Reject("identity.local-id", "the identification is not Unicode text", field="local_id") from error
    if len(urn) > LONGEST:
        raise Reject("identity.local-id", f"the {kind}'s URN is longer than {LONGEST} bytes", field="local_id")
    return urn


def change_event_id(plan_id: str, token: str, change: ChangeKind | str, content_hash: bytes | None) -> str:
    """Return the id of a change whose source gives none.

    *token* is ``v:<source version>`` where the source declares versions reliable, else ``s:<snapshot or page id>``:
    without it the way back of A, B, A would repeat an id and be dropped.
    """
    return uuid_text("plan-changed", plan_id, token, str(change), content_hash.hex() if content_hash else "-")


def report_event_id(restriction_id: str, token: str, change: ChangeKind | str, content_hash: bytes | None) -> str:
    """Return the id of a report of a restriction whose source gives none; *token* as in `change_event_id`."""
    hashed = content_hash.hex() if content_hash else "-"
    return uuid_text("restriction-reported", restriction_id, token, str(change), hashed)


def finding_id(rule_id: str, participant_ids: Iterable[str]) -> UUID:
    """Return the id of a finding: of its rule and participants in any order, not of the rule's version."""
    return uuid_of("finding", rule_id, *sorted(participant_ids))


def alert_id(subscription_id: UUID | str, event_id: str, reason: str) -> UUID:
    """Return the id of an alert, which is the webhook-id as well."""
    return uuid_of("alert", str(subscription_id), event_id, str(reason))


def receipt_id(alert_id: UUID | str, attempt: int) -> UUID:
    """Return the id of the receipt of one attempt."""
    return uuid_of("receipt", str(alert_id), str(attempt))


@lru_cache(maxsize=4096)
def organisation_id(name: str) -> str:
    """Return ``urn:samenloop:org:<slug>`` for an organisation without OIN. Raises Reject("identity.organisation")."""
    folded = unicodedata.normalize("NFKD", name).casefold()
    folded = "".join(character for character in folded if not unicodedata.combining(character))
    slug = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")[:80].strip("-")
    if any(character.isalpha() and not character.isascii() for character in folded):
        slug = f"{slug}-{uuid_of('organisation', folded).hex[:8]}".strip("-")  # letters were lost: keep names apart
    if not slug:
        raise Reject("identity.organisation", "the organisation's name has no letters or digits", field="owner")
    return f"urn:samenloop:org:{slug}"
