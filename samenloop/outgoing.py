"""The client for calls to addresses that partners name: checked when it connects, and nowhere else to be led.

No proxies, no cookies kept, no redirects: what is sent goes to the address that was checked. Beside the check of the
form and of the resolver's answer (`webhooks.Destinations`), the address that is really connected to is checked again.
"""

from __future__ import annotations

import httpx
from httpx_secure import httpx_ssrf_protection

from samenloop import __version__
from samenloop.webhooks import Destinations

_DNS_SECONDS = 30.0


def guarded_client(destinations: Destinations, *, connections: int) -> httpx.AsyncClient:
    """Return an open client; a call to an address that is not allowed raises `httpx_secure.SSRFProtectionError`."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=min(connections, 20))
    headers = {"user-agent": f"samenloop/{__version__}"}
    client = httpx.AsyncClient(follow_redirects=False, trust_env=False, limits=limits, headers=headers)
    return httpx_ssrf_protection(
        client,
        check_globally_reachable=False,  # ours says the same, and knows what an operator allows
        custom_validator=lambda host, address, port: destinations.allows(address),
        dns_cache_ttl=_DNS_SECONDS,
    )
