"""A sink is called only after whoever runs it said so, and asking cannot be steered to where nobody may look."""

import asyncio
from collections.abc import Mapping

import pytest

from samenloop.errors import Reject
from samenloop.handshake import REFUSED, UNREACHABLE, Consent, ask, consent_in
from samenloop.receiver import Receiver
from samenloop.settings import Delivery
from samenloop.webhooks import Destinations

ORIGIN = "hub.samenloop.example"
LOOPBACK = Destinations(Delivery(allow_http=True, allow_destinations=["127.0.0.0/8"]))


def asked(url: str, *, rate: int | None = None, destinations: Destinations = LOOPBACK) -> Consent:
    """Ask a sink as the hub does, with little patience."""
    asking = ask(url, origin=ORIGIN, rate_per_minute=rate, destinations=destinations, timeout_seconds=2)
    return asyncio.run(asking)


@pytest.mark.parametrize(
    ("headers", "granted"),
    [
        ({"webhook-allowed-origin": ORIGIN}, True),
        ({"webhook-allowed-origin": "*"}, True),
        ({"webhook-allowed-origin": " HUB.samenloop.example "}, True),
        ({}, False),
        ({"webhook-allowed-origin": ""}, False),
        ({"webhook-allowed-origin": "samenloop.example"}, False),
        ({"webhook-allowed-origin": f"{ORIGIN}.attacker.example"}, False),
        ({"webhook-allowed-origin": f"attacker.example, {ORIGIN}"}, False),
        ({"webhook-allowed-origin": "*.samenloop.example"}, False),
        ({"webhook-allowed-origin": ORIGIN, "webhook-allowed-rate": "many"}, False),
        ({"webhook-allowed-origin": ORIGIN, "webhook-allowed-rate": "0"}, False),
    ],
)
def test_consent_is_the_very_origin_or_a_star(headers: Mapping[str, str], granted: bool) -> None:
    """A part of a name, a longer name, a list or a pattern is not consent; neither is a rate that is none."""
    assert consent_in(headers, ORIGIN).granted is granted


def test_a_sink_says_how_fast() -> None:
    """The rate that the sink allows comes with its consent, `*` is no limit."""
    with Receiver() as receiver:
        receiver.allowed_rate = "120"
        limited = asked(receiver.url, rate=600)
        receiver.allowed_rate = "*"
        free = asked(receiver.url)

    assert limited == Consent(True, rate_per_minute=120)
    assert free == Consent(True)


def test_a_sink_that_is_silent_does_not_consent() -> None:
    """No header and no answer are no consent, whatever the status code; the two are told apart."""
    with Receiver() as receiver:
        receiver.consent = None
        silent = asked(receiver.url)
        receiver.consent = "other.example"
        other = asked(receiver.url)
        receiver.down = True
        down = asked(receiver.url)

    assert [silent.reason, other.reason, down.reason] == [REFUSED, REFUSED, UNREACHABLE]
    assert asked(receiver.url).reason == UNREACHABLE  # nobody listens there any more


@pytest.mark.parametrize(
    "url",
    [
        "http://sink.example/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::ffff:127.0.0.1]/",
        "https://user@sink.example/",
    ],
)
def test_asking_goes_to_public_addresses_only(url: str) -> None:
    """The handshake is an outgoing call like any other: https, public, no user name."""
    with pytest.raises(Reject) as refused:
        asked(url, destinations=Destinations(Delivery()))

    assert refused.value.code == "sink.address"


def test_a_name_that_resolves_to_us_is_not_asked() -> None:
    """Not what the name looks like counts, but each address behind it."""
    inside = Destinations(Delivery(), resolve=lambda host, port: ["93.184.216.34", "10.0.0.7"])

    with pytest.raises(Reject):
        asked("https://sink.example/", destinations=inside)
