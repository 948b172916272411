"""Webhook secrets, signatures and destinations."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from uuid import UUID

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from samenloop.errors import BadSettings, Reject, Retry
from samenloop.settings import Delivery
from samenloop.webhooks import Destinations, derive_secret, read_master_key, secret_ref, secrets_of, sign

SUBSCRIPTION = UUID("47e318db-d346-554e-bd1b-36aced2903ca")
KEY = bytes(range(32))


def test_vector_of_the_contract() -> None:
    """The signature is HMAC-SHA256 over id, timestamp and body joined by dots, in base64."""
    secret = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()

    headers = sign([secret], "msg-1", datetime.fromtimestamp(1700000000, UTC), b'{"a":1}')

    assert headers == {
        "webhook-id": "msg-1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1,ZETgG/VplZktspjjpXR/773ZeivTm9hL4XxCz7MpFt0=",
    }


def test_the_library_of_partners_accepts_us() -> None:
    """`standardwebhooks` takes our signature, also the second of two, and refuses an old one or another body."""
    new, old = secrets_of(KEY, SUBSCRIPTION, "derived:1")
    now = datetime.now(UTC)
    body = b'{"title":"Caf\xc3\xa9plein"}'

    headers = sign([new, old], "alert-1", now, body)

    assert Webhook(new).verify(body, headers) == {"title": "Caféplein"}
    assert Webhook(old).verify(body, headers) == {"title": "Caféplein"}
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(body, sign([new], "alert-1", now - timedelta(hours=1), body))


def test_secrets_are_derived() -> None:
    """Master key, subscription and rotation number make a secret; none is stored; the one before signs along."""
    assert derive_secret(KEY, SUBSCRIPTION) == derive_secret(KEY, SUBSCRIPTION, 0)
    assert len({derive_secret(KEY, SUBSCRIPTION, n) for n in range(5)}) == 5
    assert derive_secret(KEY, UUID(int=1)) != derive_secret(KEY, SUBSCRIPTION)
    assert len(base64.b64decode(derive_secret(KEY, SUBSCRIPTION).removeprefix("whsec_"))) == 32
    assert secrets_of(KEY, SUBSCRIPTION, None) == [derive_secret(KEY, SUBSCRIPTION, 0)]
    assert secrets_of(KEY, SUBSCRIPTION, secret_ref(3)) == [derive_secret(KEY, SUBSCRIPTION, n) for n in (3, 2)]
    with pytest.raises(Reject, match=r"sink\.secret-unknown"):
        secrets_of(KEY, SUBSCRIPTION, "vault:x")


def test_master_key(tmp_path: Path) -> None:
    """The key file has 32 bytes or more; what is wrong is said without showing any of it."""
    path = tmp_path / "key"
    with pytest.raises(BadSettings, match="is missing"):
        read_master_key(Delivery())
    with pytest.raises(BadSettings, match="cannot be read"):
        read_master_key(Delivery(master_key_file=path))
    path.write_bytes(b"short")
    with pytest.raises(BadSettings, match="found 5 bytes, expected 32"):
        read_master_key(Delivery(master_key_file=path))
    path.write_bytes(KEY)

    assert read_master_key(Delivery(master_key_file=path)) == KEY


PRIVATE = [
    "https://127.0.0.1/in",
    "https://localhost/in",
    "https://[::1]/in",
    "https://[::ffff:127.0.0.1]/in",
    "https://[64:ff9b::7f00:1]/in",
    "https://[2002:7f00:1::]/in",
    "https://2130706433/in",
    "https://0x7f.1/in",
    "https://0177.0.0.1/in",
    "https://127.1/in",
    "https://0/in",
    "https://0.0.0.0/in",
    "https://[::]/in",
    "https://10.1.2.3/in",
    "https://172.16.0.1/in",
    "https://192.168.1.1/in",
    "https://100.64.0.1/in",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1%25eth0]/in",
    "https://[fd00::1]/in",
    "https://224.0.0.1/in",
    "https://255.255.255.255/in",
]
MALFORMED = [
    "http://partner.example/in",
    "ftp://partner.example/in",
    "partner.example/in",
    "https:///in",
    "https://",
    "https://user:secret@partner.example/in",
    "https://partner.example@127.0.0.1/in",
    "https://@127.0.0.1/in",
    "https://partner.example\\@127.0.0.1/in",
    "https://partner.example/in#part",
    "https://partner.example:port/in",
    "https://partner.example/a b",
    "https://[::1/in",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("url", PRIVATE + MALFORMED)
def test_refused(url: str) -> None:
    """https only, no user info, no private address in any spelling; the address is not repeated in the message."""
    with pytest.raises(Reject) as refused:
        Destinations(Delivery()).check(url)

    assert refused.value.code == "sink.address"
    assert url not in str(refused.value)


def test_resolver_decides() -> None:
    """A name is judged by all the addresses it has at this moment, so an answer that changes is caught."""
    answers: list[Sequence[str]] = [["93.184.215.14"], ["93.184.215.14", "10.0.0.1"], ["::ffff:10.0.0.1"], []]
    destinations = Destinations(Delivery(), resolve=lambda host, port: answers.pop(0))

    destinations.check("https://partner.example/in")

    for _ in range(3):
        with pytest.raises(Reject, match="not public"):
            destinations.check("https://partner.example/in")


def test_name_that_does_not_resolve() -> None:
    """No answer from the resolver is an outage, not a verdict: try again later."""

    def fails(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    with pytest.raises(Retry, match="connect"):
        Destinations(Delivery(), resolve=fails).check("https://partner.example/in")


def test_what_an_operator_allows() -> None:
    """`allow_http` and `allow_destinations` open exactly what they name."""
    demo = Destinations(Delivery(allow_http=True, allow_destinations=["127.0.0.0/8"]))

    demo.check("http://127.0.0.1:8080/in")
    demo.check("https://127.0.0.1/in")
    demo.check("http://[::ffff:127.0.0.1]/in")

    assert not demo.allows(ip_address("10.0.0.1"))
    with pytest.raises(Reject):
        demo.check("http://169.254.169.254/in")
