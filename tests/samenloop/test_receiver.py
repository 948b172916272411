"""The receiver that plays a partner."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from samenloop.receiver import Answer, Receiver
from samenloop.webhooks import sign

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
BODY = b'{"specversion":"1.0","id":"e1","subject":"s1"}'


def post(receiver: Receiver, message_id: str = "a1", secret: str = SECRET) -> httpx.Response:
    """Send one signed message."""
    return httpx.post(receiver.url, content=BODY, headers=sign([secret], message_id, datetime.now(UTC), BODY))


def test_verifies_and_keeps() -> None:
    """A good signature is answered with 204 and kept; another secret gets 401 and is only counted."""
    with Receiver(secret=SECRET) as receiver:
        good = post(receiver)
        bad = post(receiver, secret="whsec_" + "QQ" * 20)

    assert (good.status_code, bad.status_code) == (204, 401)
    assert receiver.ids == {"a1"}
    assert receiver.messages[0].subject == "s1"
    assert receiver.refused == 1


def test_can_be_down_and_scripted() -> None:
    """Down closes the connection without an answer; scripted answers come in their order, then 204."""
    with Receiver(secret=SECRET) as receiver:
        receiver.down = True
        with pytest.raises(httpx.RemoteProtocolError):
            post(receiver)
        receiver.down = False
        receiver.answers.extend([Answer(500), Answer(429, retry_after="2")])

        statuses = [post(receiver, f"a{n}").status_code for n in range(3)]

    assert statuses == [500, 429, 204]
    assert receiver.ids == {"a2"}
