"""An export at a web address: asked with ETag, limited in size and time, never followed elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson

from samenloop import clock
from samenloop.bodies import Body
from samenloop.errors import BadSettings, Reject, Retry
from samenloop.settings import Delivery
from samenloop.source import Page, snapshot_id
from samenloop.source_settings import HttpProfile
from samenloop.webhooks import Destinations

_CODES = {401: "auth", 403: "auth", 407: "auth", 408: "timeout", 429: "rate-limited", 504: "timeout"}


class Download:
    """Asks one address and yields its answer when it is new. The cursor is JSON: ETag, last modified, hash.

    *moment* says when an answer was made, from when it was modified (or now) and its bytes. *accept* is what is asked
    for, *packed* as in `samenloop.bodies`.
    """

    def __init__(
        self,
        address: str,
        http: HttpProfile,
        *,
        connector: str,
        accept: str,
        max_bytes: int,
        moment: Callable[[datetime, bytes], datetime],
        environment: Mapping[str, str],
        packed: bool = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.address, self.http, self.max_bytes, self.moment, self.packed = address, http, max_bytes, moment, packed
        self.destinations = Destinations(
            Delivery(allow_http=http.allow_http, allow_destinations=list(http.allow_destinations))
        )
        self._check_form()
        headers = {"user-agent": f"samenloop ({connector})", "accept": accept, "accept-encoding": "gzip"}
        for name, value in http.headers.items():
            headers[name.lower()] = value if isinstance(value, str) else _secret(value.env, environment)
        self.client = httpx.Client(
            headers=headers, timeout=http.timeout_seconds, follow_redirects=False, trust_env=False, transport=transport
        )

    def pages(self, cursor: str | None) -> Iterator[Page]:
        """Yield the answer if it is not the one of *cursor*.

        Raises Retry: `auth`, `rate-limited`, `timeout`, `http-error`, `oversize`.
        """
        known: dict[str, Any] = orjson.loads(cursor) if cursor else {}
        self._check()
        conditions = {"if-none-match": known.get("etag"), "if-modified-since": known.get("modified")}
        try:
            with self.client.stream(
                "GET", self.address, headers={name: value for name, value in conditions.items() if value}
            ) as reply:
                if reply.status_code == 304:
                    return
                _check_status(reply)
                body = self._body(reply)
        except httpx.TimeoutException as error:
            raise Retry("timeout", "the address did not answer in time") from error
        except httpx.RemoteProtocolError as error:
            raise Retry("http-error", "the answer was cut off, or is no HTTP") from error
        except httpx.HTTPError as error:
            raise Retry("http-error", f"the address cannot be read ({type(error).__name__})") from error
        except httpx.InvalidURL as error:
            raise Retry("http-error", "the address is not one that can be asked") from error
        if body.digest == known.get("hash"):
            return
        kept = body.close()
        taken = self.moment(_modified(reply) or clock.now(), kept)
        new = {"etag": reply.headers.get("etag"), "modified": reply.headers.get("last-modified"), "hash": body.digest}
        yield Page(snapshot_id(taken, body.digest), taken, orjson.dumps(new).decode(), self.address, kept)

    def _body(self, reply: httpx.Response) -> Body:
        body, until = Body(packed=self.packed), time.monotonic() + self.http.timeout_seconds
        for part in reply.iter_bytes():
            body.add(part)
            if body.size > self.max_bytes:
                raise Retry("oversize", f"the answer is larger than {self.max_bytes} bytes (`max_megabytes`)")
            if time.monotonic() > until:
                raise Retry("timeout", "the answer takes too long (`http.timeout_seconds`)")
        announced = reply.headers.get("content-length")
        if announced and "content-encoding" not in reply.headers and int(announced) != body.size:
            raise Retry("http-error", "the answer was cut off")
        return body

    def _check_form(self) -> None:
        try:
            self.destinations.check_form(self.address)
        except Reject as error:
            raise BadSettings([f"files: {_words(error)}"]) from error

    def _check(self) -> None:
        try:
            self.destinations.check(self.address)
        except Reject as error:
            raise Retry("http-error", _words(error)) from error
        except Retry as error:
            raise Retry("http-error", "the host name does not resolve") from error


def _check_status(reply: httpx.Response) -> None:
    status = reply.status_code
    if status == 200:
        return
    code = _CODES.get(status, "http-error")
    detail = "it sends elsewhere, which is not followed" if 300 <= status < 400 else "it refuses"
    raise Retry(code, f"the address answered {status}: {detail}", after_seconds=_retry_after(reply))


def _retry_after(reply: httpx.Response) -> float | None:
    value = reply.headers.get("retry-after", "").strip()
    if value.isdigit():
        return float(min(int(value), 86400))
    try:
        return max(0.0, (parsedate_to_datetime(value) - clock.now()).total_seconds()) if value else None
    except (ValueError, TypeError):
        return None


def _modified(reply: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(reply.headers["last-modified"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        return None


def _secret(name: str, environment: Mapping[str, str]) -> str:
    if not environment.get(name):
        raise BadSettings([f"http.headers: the environment variable {name} is not set"])
    return environment[name]


def _words(error: Reject) -> str:
    what = error.detail.replace("the sink's", "the").replace("the sink", "the address")
    return f"{what} (`http.allow_http`, `http.allow_destinations` allow more)"
