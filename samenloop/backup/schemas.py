"""The registry's own export and import (Apicurio), by which ids survive, and what each id means."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import httpx

from samenloop.backup.manifest import SchemaId
from samenloop.errors import BadSettings, Retry
from samenloop.settings import Registry

_ADMIN: Final = "/apis/registry/v3/admin"
_SECONDS: Final = 60.0
_KEEP_IDS: Final = {"X-Registry-Preserve-GlobalId": "true", "X-Registry-Preserve-ContentId": "true"}


class Export:
    """A registry to be saved or filled; a context manager. Calls raise Retry when it is away, BadSettings otherwise."""

    def __init__(self, registry: Registry) -> None:
        place = urlsplit(registry.url)
        self._root = f"{place.scheme}://{place.netloc}"
        self._api = registry.url.rstrip("/")
        verify = ssl.create_default_context(cafile=registry.ssl_ca_location)
        auth = None
        if registry.username is not None and registry.password is not None:
            auth = httpx.BasicAuth(registry.username, registry.password.get_secret_value())
        self._http = httpx.Client(verify=verify, auth=auth, timeout=_SECONDS, trust_env=False)

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def save(self, path: Path) -> None:
        """Write everything that is in the registry to a zip file."""
        with _answers(), self._http.stream("GET", f"{self._root}{_ADMIN}/export") as answer, path.open("wb") as file:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                file.write(chunk)

    def fill(self, path: Path) -> None:
        """Bring back what `save` wrote, with its ids; the registry must be empty."""
        headers = {"Content-Type": "application/zip", **_KEEP_IDS}
        with _answers(), path.open("rb") as file:
            self._http.post(f"{self._root}{_ADMIN}/import", content=file, headers=headers).raise_for_status()

    def ids(self) -> list[SchemaId]:
        """Return every version of every subject with its id."""
        return [
            SchemaId(subject, version, int(self._get(f"/subjects/{quote(subject, safe='')}/versions/{version}")["id"]))
            for subject in sorted(self._get("/subjects"))
            for version in sorted(self._get(f"/subjects/{quote(subject, safe='')}/versions"))
        ]

    def _get(self, path: str) -> Any:
        with _answers():
            answer = self._http.get(f"{self._api}{path}")
            answer.raise_for_status()
            return answer.json()


def differing(found: Collection[SchemaId], wanted: Collection[SchemaId]) -> list[str]:
    """Return one line for each id that would not mean what it meant."""
    there = {(one.subject, one.version): one.id for one in found}
    return [
        f"{one.subject} version {one.version}: found id {there.get((one.subject, one.version))}, expected {one.id}"
        for one in wanted
        if there.get((one.subject, one.version)) != one.id
    ]


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except httpx.HTTPStatusError as error:
        status, url = error.response.status_code, error.request.url
        if status in (401, 403):
            raise BadSettings(
                [f"registry.username: the registry does not allow {url.path} to it ({status})"]
            ) from error
        if status == 404 and url.path.startswith(_ADMIN):
            raise BadSettings([f"registry.url: {url.host} has no {url.path}; expected Apicurio Registry 3"]) from error
        raise Retry("registry.error", f"the schema registry answered {status} to {url.path}") from error
    except httpx.TransportError as error:
        raise Retry("registry.away", f"the schema registry does not answer: {type(error).__name__}") from error
