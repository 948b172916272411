"""Who asks, and may it: the dependency that every route for partners has.

@router.get("/v1/things")
def things(caller: Annotated[Caller, needs("read")]) -> ...
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from edge.keyring import Caller
from edge.problems import Problem
from edge.services import Services

_bearer = HTTPBearer(auto_error=False, scheme_name="apiKey", description="The API key of a partner")


def needs(scope: str) -> Any:
    """Return the dependency that gives the caller when its key has *scope* and it has been patient.

    Raises Problem: `not-authenticated`, `scope-missing`, `too-many-requests`, `unavailable` while keys are not known.
    """

    async def check(request: Request, services: Services, _: Annotated[Any, Security(_bearer)]) -> Caller:
        if awaited := services.awaited():
            raise Problem("unavailable", f"The hub is not ready: {awaited}.", headers={"Retry-After": "2"})
        caller = _caller(request, services)
        if scope not in caller.scopes:
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            detail = f"The API key {caller.key} does not have the scope {scope}."
            raise Problem("scope-missing", detail, headers={"WWW-Authenticate": challenge})
        if wait := services.buckets.take(caller.oin):
            detail = f"Too many requests of this partner; wait {wait} s."
            raise Problem("too-many-requests", detail, headers={"Retry-After": str(wait)})
        return caller

    return Depends(check)


def _caller(request: Request, services: Services) -> Caller:
    given = request.headers.getlist("authorization")
    scheme, _, key = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    caller = services.keyring.find(key.strip()) if scheme.lower() == "bearer" and key.isascii() else None
    if caller is None:
        challenge = 'Bearer error="invalid_token"' if given else "Bearer"
        raise Problem(
            "not-authenticated",
            "Expected one header `Authorization: Bearer <API key>` with a key that is valid now.",
            headers={"WWW-Authenticate": challenge},
        )
    request.state.caller = caller
    return caller
