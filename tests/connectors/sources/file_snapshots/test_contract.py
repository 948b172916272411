"""The shared contract of source connectors, for a folder and for an address; and what is special about addresses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from connectors.sources.file_snapshots import load_profile
from connectors.sources.file_snapshots.connector import FileSource
from samenloop.errors import BadSettings, Retry
from samenloop.source import Context
from samenloop.source_contract import check_source

PROFILE = """
system: works-register
organisation: Gemeente Voorbeeld
oin: "00000099000000001001"
files: {files}
id: nr
title: naam
period: [van, tot]
visibility: PARTNERS
"""
NONSENSE = [b"", b"<html></html>", b"PK\x03\x04rest", b'{"error": "too many requests"}', b"var x = {};", b"\x00\x01"]
Answer = Callable[[httpx.Request], httpx.Response]


def export(count: int = 3) -> bytes:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [5.4, 52.1 + n / 1000]},
            "properties": {"nr": n, "naam": f"Werk {n}", "van": "2027-03-01", "tot": "31-12-2999" if n else "ooit"},
        }
        for n in range(count)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def folder(tmp_path: Path, files: str = "exports") -> FileSource:
    path = tmp_path / "profile.yaml"
    path.write_text(PROFILE.format(files=files), encoding="utf-8")
    return FileSource(load_profile(path), tmp_path, Context({}))


def address(tmp_path: Path, answer: Answer, extra: str = "", environment: dict[str, str] | None = None) -> FileSource:
    path = tmp_path / "profile.yaml"
    text = PROFILE.format(files="https://192.0.2.7/works.geojson") + extra
    path.write_text(text, encoding="utf-8")
    profile = load_profile(path)
    http = profile.http.model_copy(update={"allow_destinations": ("192.0.2.0/24",)})
    profile = profile.model_copy(update={"http": http})
    return FileSource(profile, tmp_path, Context(environment or {}), httpx.MockTransport(answer))


def test_a_folder_keeps_the_contract(tmp_path: Path) -> None:
    """Several exports, one record among them that is refused."""
    (tmp_path / "exports").mkdir()
    for day in ("2027-01-04", "2027-01-11"):
        (tmp_path / "exports" / f"works_{day}.geojson").write_bytes(export(3 if day < "2027-01-10" else 4))

    check_source(folder(tmp_path), folder(tmp_path, "nowhere/exports"), NONSENSE)


def test_an_address_keeps_the_contract(tmp_path: Path) -> None:
    """A server with ETags, and one that is down."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-none-match") == '"1"':
            return httpx.Response(304)
        return httpx.Response(200, content=export(), headers={"etag": '"1"'})

    check_source(address(tmp_path, answer), address(tmp_path, lambda _: httpx.Response(503)), NONSENSE)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (httpx.Response(401), "auth"),
        (httpx.Response(403), "auth"),
        (httpx.Response(429, headers={"retry-after": "7"}), "rate-limited"),
        (httpx.Response(500), "http-error"),
        (httpx.Response(302, headers={"location": "https://198.51.100.1/"}), "http-error"),
        (httpx.Response(200, content=export(), headers={"content-length": "10"}), "http-error"),
        (httpx.ReadTimeout("slow"), "timeout"),
        (httpx.ConnectError("refused"), "http-error"),
    ],
)
def test_what_an_address_answers_has_a_code(tmp_path: Path, answer: Any, code: str) -> None:
    """Wrong key, too fast, too slow, sent elsewhere, cut off: told apart, and none of it is an empty export."""

    def reply(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    with pytest.raises(Retry) as found:
        list(address(tmp_path, reply).fetch(None))
    assert found.value.code == code
    assert found.value.after_seconds == (7 if code == "rate-limited" else None)


def test_an_answer_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    """`max_megabytes` counts what comes in."""
    source = address(tmp_path, lambda _: httpx.Response(200, content=b" " * 1_000_001), "max_megabytes: 1\n")

    with pytest.raises(Retry, match="oversize"):
        list(source.fetch(None))


def test_the_same_bytes_are_not_taken_twice(tmp_path: Path) -> None:
    """Also where the server knows no ETag."""
    source = address(tmp_path, lambda _: httpx.Response(200, content=export()))
    first = list(source.fetch(None))

    assert list(source.fetch(first[-1].cursor)) == []


def test_private_addresses_and_plain_http_are_refused_at_start(tmp_path: Path) -> None:
    """Unless the profile allows them by name."""
    for files in ("http://192.0.2.7/x", "https://10.0.0.1/x", "https://localhost.example@127.0.0.1/"):
        with pytest.raises(BadSettings, match="files:"):
            folder(tmp_path, files)


def test_a_secret_header_comes_from_the_environment(tmp_path: Path) -> None:
    """The profile names the variable; one that is not set is refused at start."""
    seen: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("x-api-key"))
        return httpx.Response(200, content=export())

    extra = "http: {headers: {X-Api-Key: {env: WORKS_KEY}}}\n"
    list(address(tmp_path, answer, extra, {"WORKS_KEY": "s3cret"}).fetch(None))

    assert seen == ["s3cret"]
    with pytest.raises(BadSettings, match="WORKS_KEY is not set"):
        address(tmp_path, answer, extra)


def test_the_moment_of_an_answer_is_its_last_modified(tmp_path: Path) -> None:
    """So that the same export has the same snapshot id for every reader."""
    headers = {"last-modified": "Mon, 04 Jan 2027 06:00:00 GMT"}
    source = address(tmp_path, lambda _: httpx.Response(200, content=export(), headers=headers))

    (page,) = source.fetch(None)

    assert page.snapshot_id.startswith("2027-01-04T06:00:00.000000Z_")
