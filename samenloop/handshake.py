"""The handshake: a sink is called only after whoever runs it said so.

The hub asks with OPTIONS and `WebHook-Request-Origin`; consent is an answer whose `WebHook-Allowed-Origin` is that very
origin or `*`. The status code means nothing. rule: contract.md 9, CloudEvents HTTP webhooks 4.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, NamedTuple

import httpx
from httpx_secure import SSRFProtectionError

from samenloop.errors import Reject, Retry
from samenloop.outgoing import guarded_client
from samenloop.webhooks import Destinations

REFUSED: Final = "handshake-refused"
UNREACHABLE: Final = "handshake-unreachable"
_MOST_PER_MINUTE: Final = 6000


class Consent(NamedTuple):
    """What a sink answered: *rate_per_minute* is the most it allows, None without a limit; *reason* of a refusal."""

    granted: bool
    rate_per_minute: int | None = None
    reason: str | None = None


AGREED: Final = Consent(True)
"""Consent that was given in another way, as the operator says."""


async def ask(
    url: str, *, origin: str, rate_per_minute: int | None, destinations: Destinations, timeout_seconds: float = 10.0
) -> Consent:
    """Ask the sink at *url*; never raises for what the sink does or does not answer.

    *origin* is the host name by which this hub is known. Raises Reject("sink.address") for one that is not called.
    """
    headers = {"webhook-request-origin": origin}
    if rate_per_minute is not None:
        headers["webhook-request-rate"] = str(rate_per_minute)
    try:
        async with asyncio.timeout(timeout_seconds):
            await asyncio.to_thread(destinations.check, url)
            async with guarded_client(destinations, connections=1) as client:
                request = client.build_request("OPTIONS", url, headers=headers)
                response = await client.send(request, stream=True)
                await response.aclose()
    except SSRFProtectionError as error:
        raise Reject("sink.address", "the sink's host has an address that is not public", field="sink") from error
    except (TimeoutError, Retry, httpx.HTTPError, OSError):
        return Consent(False, reason=UNREACHABLE)
    return consent_in(response.headers, origin)


def consent_in(headers: Mapping[str, str], origin: str) -> Consent:
    """Read the answer's headers: exactly our origin or `*`, since a part of a name could be anybody's."""
    if headers.get("webhook-allowed-origin", "").strip().casefold() not in (origin.casefold(), "*"):
        return Consent(False, reason=REFUSED)
    rate = headers.get("webhook-allowed-rate", "*").strip()
    if rate == "*":
        return Consent(True)
    if not (rate.isascii() and rate.isdigit() and int(rate) > 0):
        return Consent(False, reason=REFUSED)
    return Consent(True, rate_per_minute=min(int(rate), _MOST_PER_MINUTE))
