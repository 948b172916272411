"""Webhooks as partners rely on them: derived secrets, Standard Webhooks signatures, and where we are willing to call.

Secrets are derived from one master key, so none is stored. A destination is https, without user info, and its host
resolves to public addresses only, whatever the spelling: the check is made on the numbers, before every attempt.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from samenloop.errors import BadSettings, Reject, Retry
from samenloop.settings import Delivery

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Sequence[str]]
"""Host and port to numeric addresses; raises OSError."""

_PREFIX = "whsec_"
_KEY_BYTES = 32
_NAT64 = IPv6Network("64:ff9b::/96")
_REF = re.compile(r"derived:(\d{1,6})")


def read_master_key(delivery: Delivery) -> bytes:
    """Read the hub's master key, 32 bytes or more. Raises BadSettings when it is not set, missing or too short."""
    path: Path | None = delivery.master_key_file
    if path is None:
        raise BadSettings(["delivery.master_key_file: is missing, expected a file with 32 or more random bytes"])
    try:
        key = path.read_bytes()
    except OSError as error:
        raise BadSettings([f"delivery.master_key_file: {path} cannot be read ({error.strerror})"]) from error
    if len(key) < _KEY_BYTES:
        raise BadSettings([f"delivery.master_key_file: found {len(key)} bytes, expected {_KEY_BYTES} or more"])
    return key


def derive_secret(master_key: bytes, subscription_id: UUID, rotation: int = 0) -> str:
    """Return the secret `whsec_…` (32 bytes in base64) of a subscription at a rotation number."""
    name = f"samenloop webhook secret\n{subscription_id}\n{rotation}".encode()
    return _PREFIX + base64.b64encode(hmac.digest(master_key, name, hashlib.sha256)).decode()


def secret_ref(rotation: int = 0) -> str:
    """Return the *name* of a derived secret, as a subscription carries it."""
    return f"derived:{rotation}"


def next_secret_ref(ref: str | None) -> str:
    """Return the name of the secret that follows *ref*. Raises Reject("sink.secret-unknown") as `secrets_of` does."""
    return secret_ref(_rotation(ref) + 1)


def secrets_of(master_key: bytes, subscription_id: UUID, ref: str | None) -> list[str]:
    """Return the secrets to sign with, newest first: after a rotation also the one before.

    Raises Reject("sink.secret-unknown") for a name that is not ours.
    """
    rotation = _rotation(ref)
    return [derive_secret(master_key, subscription_id, n) for n in range(rotation, max(rotation - 2, -1), -1)]


def _rotation(ref: str | None) -> int:
    found = _REF.fullmatch(ref or secret_ref())
    if found is None:
        raise Reject("sink.secret-unknown", "the name of the secret is not derived:<number>", field="secret_ref")
    return int(found[1])


def sign(secrets: Iterable[str], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks.

    *secrets* are `whsec_…` texts: one signature each, separated by a space. rule: contract.md 9.
    """
    timestamp = str(int(at.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    signatures = (hmac.digest(_key(secret), signed, hashlib.sha256) for secret in secrets)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join("v1," + base64.b64encode(one).decode() for one in signatures),
    }


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX) + "==")


class Destinations:
    """Where this hub is willing to call: public addresses over https, and what an operator has allowed beside."""

    def __init__(self, delivery: Delivery, resolve: Resolve | None = None) -> None:
        self._allow_http = delivery.allow_http
        self._allowed = [ip_network(network) for network in delivery.allow_destinations]
        self._resolve = resolve or _resolve

    def check_form(self, url: str) -> None:
        """Check what can be seen without a resolver. Raises Reject("sink.address"), never quoting the address."""
        parts = _split(url)
        if parts.scheme != "https" and not (parts.scheme == "http" and self._allow_http):
            raise Reject("sink.address", "the sink is not an https address", field="sink")
        if "@" in parts.netloc or parts.username is not None:
            raise Reject("sink.address", "the sink has a user name or password in its address", field="sink")
        if not parts.hostname or parts.fragment or any(c.isspace() or ord(c) < 32 or c == "\\" for c in url):
            raise Reject("sink.address", "the sink has no host, a fragment, or a character that is none", field="sink")
        literal = _literal(parts.hostname)
        if literal is not None and not self.allows(literal):
            raise Reject("sink.address", "the sink is not a public address", field="sink")

    def check(self, url: str) -> None:
        """Check *url* with every address its host has now.

        Raises Reject("sink.address") when one of them is not allowed, Retry("connect") when the name does not resolve.
        """
        self.check_form(url)
        parts = _split(url)
        try:
            found = self._resolve(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except (OSError, UnicodeError) as error:
            raise Retry("connect", "the sink's host name does not resolve") from error
        if not found or not all(self.allows(ip_address(address.partition("%")[0])) for address in found):
            raise Reject("sink.address", "the sink's host has an address that is not public", field="sink")

    def allows(self, address: Address) -> bool:
        """Say whether this numeric address may be called; addresses wrapped in IPv6 count as what they wrap."""
        inner = _unwrapped(address)
        return _is_public(inner) or any(inner in network for network in self._allowed)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for a port that is no number
    except ValueError as error:
        raise Reject("sink.address", "the sink is not an address", field="sink") from error
    return parts


def _literal(host: str) -> Address | None:
    """Read a host as a number in any spelling a C library takes (`2130706433`, `0x7f.1`, `[::1]`), else None."""
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def _unwrapped(address: Address) -> Address:
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None) or address


def _is_public(address: Address) -> bool:
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]
