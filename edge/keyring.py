"""Who may ask: the API keys of all partners, held in memory and followed live on the topic `partners`.

A key is looked up by its SHA-256, so that the time it takes says nothing about the keys there are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from samenloop.contract import Codec
from samenloop.errors import Reject
from samenloop.logs import get_logger
from samenloop.model import Clearance, Partner, PartnerStatus
from samenloop.partners import ANY, key_hash, key_id, keys_of
from samenloop.stage import Record

_log = get_logger("edge")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, with which key, what it may do, and for which other owners it may speak."""

    oin: str
    name: str
    clearance: Clearance
    scopes: frozenset[str]
    mandate: frozenset[str]
    key: str

    def speaks_for(self, owner: str) -> bool:
        """Say whether it may send plans of *owner*."""
        return owner == self.oin or owner in self.mandate or ANY in self.mandate


class Keyring:
    """All keys that are valid now. Written by one thread, read by many."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._callers: dict[bytes, Caller] = {}
        self._of_partner: dict[str, list[bytes]] = {}
        self._names: dict[str, str] = {}
        self._lock = threading.Lock()

    def find(self, key: str) -> Caller | None:
        """Return who has *key*, None when nobody has it any more."""
        return self._callers.get(key_hash(key))

    def name_of(self, oin: str) -> str | None:
        """Return what a partner is called; None for who is, or was, none."""
        return self._names.get(oin)

    def hear(self, records: Iterable[Record]) -> None:
        """Take news of partners, in their order. A partner that cannot be read has no access."""
        for record in records:
            partner = None
            try:
                if record.value is not None:
                    partner = self._codec.decode("partners", record.value, record.headers)
            except Reject as error:
                _log.error("partner.unreadable", "A partner cannot be read and has no access.", code=error.code)
            self.put(record.key, partner)

    def put(self, oin: str, partner: Partner | None) -> None:
        """Replace what is known of one partner."""
        callers = _callers(partner) if partner is not None and partner.status is PartnerStatus.ACTIVE else {}
        with self._lock:
            for hashed in self._of_partner.pop(oin, ()):
                self._callers.pop(hashed, None)
            self._callers.update(callers)
            self._of_partner[oin] = list(callers)
            if partner is not None:
                self._names[oin] = partner.name


def _callers(partner: Partner) -> dict[bytes, Caller]:
    return {
        key.hash: Caller(
            oin=partner.oin,
            name=partner.name,
            clearance=partner.clearance,
            scopes=frozenset(key.scopes),
            mandate=frozenset(partner.mandate),
            key=key_id(key.hash),
        )
        for key in keys_of(partner)
    }
