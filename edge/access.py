"""Who asks, and may it: the dependency that every route for partners has.

@router.get("/v1/things")
def things(caller: Annotated[Caller, needs("read")]) -> ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from edge.keyring import Caller
from edge.problems import Problem
from edge.services import EdgeServices, Services
from samenloop.partners import ANY
from samenloop.visibility import PUBLIC, Viewer

_bearer = HTTPBearer(auto_error=False, scheme_name="apiKey", description="The API key of a partner")


def needs(scope: str) -> Any:
    """Return the dependency that gives the caller when its key has *scope* and it has been patient.

    Raises Problem: `not-authenticated`, `scope-missing`, `too-many-requests`, `unavailable` while keys are not known.
    """

    async def check(request: Request, services: Services, _: Annotated[Any, Security(_bearer)]) -> Caller:
        return _admitted(request, services, scope)

    return Depends(check)


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads: what it may see, and whether that is still so, for answers that take long."""

    viewer: Viewer
    still: Callable[[], bool]


def may_read(*, public: bool = True) -> Any:
    """Return the dependency that gives the reader: who has a key with the scope `read`, or the public where it may.

    Without a header `Authorization` it is the public, if the setting `edge.public` and *public* say so; a wrong key
    is never the public. All of the public share one bucket of patience. Raises Problem as `needs`.
    """

    async def check(request: Request, services: Services, _: Annotated[Any, Security(_bearer)]) -> Reader:
        if public and services.settings.public and "authorization" not in request.headers:
            _ready(services)
            _read(services)
            _patient(services, "")
            return Reader(PUBLIC, lambda: True)
        caller = _admitted(request, services, "read")
        _read(services)

        def still() -> bool:
            try:
                return _caller(request, services) == caller
            except Problem:
                return False

        return Reader(viewer_of(caller), still)

    return Depends(check)


def viewer_of(caller: Caller) -> Viewer:
    """Return what *caller* may see as. Sending for `any` owner is no mandate to see what is theirs alone."""
    return Viewer(caller.oin, caller.clearance, caller.mandate - {ANY})


def _admitted(request: Request, services: EdgeServices, scope: str) -> Caller:
    _ready(services)
    caller = _caller(request, services)
    if scope not in caller.scopes:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        detail = f"The API key {caller.key} does not have the scope {scope}."
        raise Problem("scope-missing", detail, headers={"WWW-Authenticate": challenge})
    _patient(services, caller.oin)
    return caller


def _ready(services: EdgeServices) -> None:
    if awaited := services.awaited():
        raise Problem("unavailable", f"The hub is not ready: {awaited}.", headers={"Retry-After": "2"})


def _read(services: EdgeServices) -> None:
    if unread := services.unread():
        raise Problem("unavailable", f"The hub cannot be read yet: {unread}.", headers={"Retry-After": "2"})


def _patient(services: EdgeServices, partner: str) -> None:
    if wait := services.buckets.take(partner):
        detail = f"Too many requests of this partner; wait {wait} s."
        raise Problem("too-many-requests", detail, headers={"Retry-After": str(wait)})


def _neighbourhood(request: Request) -> str:
    """Return the address that asks; of IPv6 the network of 64 bits, all of which one household or server has."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return str(IPv6Network((address, 64), strict=False)) if isinstance(address, IPv6Address) else host


def _caller(request: Request, services: EdgeServices) -> Caller:
    given = request.headers.getlist("authorization")
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    caller = services.keyring.find(key.strip()) if scheme.lower() == "bearer" and key.isascii() else None
    if caller is None and given and (wait := services.wrong_keys.take(_neighbourhood(request))):
        detail = f"Too many wrong keys from this address; wait {wait} s."
        raise Problem("too-many-requests", detail, headers={"Retry-After": str(wait)})
    if caller is None:
        challenge = 'Bearer error="invalid_token"' if given else "Bearer"
        raise Problem(
            "not-authenticated",
            "Expected one header `Authorization: Bearer <API key>` with a key that is valid now.",
            headers={"WWW-Authenticate": challenge},
        )
    request.state.caller = caller
    return caller
