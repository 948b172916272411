"""The shared contract of source connectors, for a file and for a real server on loopback that answers by a script."""

import gzip
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.sources.ndw_datex import DatexSource
from samenloop.errors import BadSettings, Retry
from samenloop.source import read_snapshot
from samenloop.source_contract import check_source

Make = Callable[..., DatexSource]
NONSENSE = [b"", b"<html></html>", b"PK\x03\x04rest", b'{"error": "no"}', b"<a/>", b"\x1f\x8b\x08\x00", b"\x00\x01"]
LOOPBACK = {"allow_http": True, "allow_destinations": ["127.0.0.0/8"], "timeout_seconds": 5}


@dataclass
class Answer:
    """One scripted answer."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Road(ThreadingHTTPServer):
    """Answers with what it is told, and 304 to whoever knows the ETag."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = Answer()
        self.asked: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/feed.xml.gz"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Road

    def do_GET(self) -> None:
        answer = self.server.answer
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        if answer.headers.get("ETag") and self.headers.get("If-None-Match") == answer.headers["ETag"]:
            answer = Answer(status=304)
        self.send_response(answer.status)
        headers = {"Content-Length": str(len(answer.body)), "Connection": "close", **answer.headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def road() -> Iterator[Road]:
    server = Road()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def feed(datex: Any) -> bytes:
    """Works, works with measures, measures alone, and one that is refused."""
    written: bytes = datex.publication(
        datex.situation("a", datex.works()),
        datex.situation("b", datex.measure(), datex.works(kind="ConstructionWorks"), datex.measure()),
        datex.situation("c", datex.measure("ReroutingManagement")),
        datex.situation("d", datex.works(start="ooit")),
    )
    return written


def test_a_file_keeps_the_contract(source: Make, feed: bytes, tmp_path: Path) -> None:
    """Plain XML in a folder."""
    (tmp_path / "feed").mkdir()
    (tmp_path / "feed" / "2027-01-04.xml").write_bytes(feed)
    (tmp_path / "feed" / "notes.txt").write_bytes(b"no publication")

    check_source(source(tmp_path / "feed"), source(tmp_path / "nowhere" / "feed"), NONSENSE)


def test_an_address_keeps_the_contract(source: Make, road: Road, feed: bytes) -> None:
    """A gzip file with an ETag, and a server that is down."""
    road.answer = Answer(gzip.compress(feed, mtime=0), headers={"ETag": '"1"'})

    check_source(source(road.url, http=LOOPBACK), source("http://127.0.0.1:9/x", http=LOOPBACK), NONSENSE)


def test_what_is_known_is_not_sent_again(source: Make, road: Road, feed: bytes) -> None:
    """The next question carries ETag and date; 304 costs nothing."""
    when = "Mon, 04 Jan 2027 06:05:00 GMT"
    road.answer = Answer(gzip.compress(feed, mtime=0), headers={"ETag": '"1"', "Last-Modified": when})
    opened = source(road.url, http=LOOPBACK)
    (page,) = opened.fetch(None)

    assert list(opened.fetch(page.cursor)) == []
    assert (road.asked[1]["if-none-match"], road.asked[1]["if-modified-since"]) == ('"1"', when)


def test_the_moment_of_a_publication_is_its_publication_time(source: Make, road: Road, feed: bytes) -> None:
    """Whoever reads it, and whenever: but never a moment that lies ahead."""
    past = feed.replace(b"2027-01-04T06:00:00Z", b"2026-01-04T07:00:00+01:00")
    ahead = feed.replace(b"2027-01-04T06:00:00Z", b"2999-01-04T06:00:00Z")
    when = "Mon, 05 Jan 2026 06:05:00 GMT"
    found = []
    for body in (past, ahead):
        road.answer = Answer(body, headers={"Last-Modified": when})
        (page,) = source(road.url, http=LOOPBACK).fetch(None)
        found.append(page.snapshot_id.partition("_")[0])

    assert found == ["2026-01-04T06:00:00.000000Z", "2026-01-05T06:05:00.000000Z"]


@pytest.mark.parametrize("way", ["plain", "gzip file", "content encoding", "both"])
def test_it_is_the_same_feed_however_it_is_packed(source: Make, road: Road, feed: bytes, way: str) -> None:
    """The page is kept packed, whatever came."""
    packed = gzip.compress(feed, mtime=0)
    road.answer = {
        "plain": Answer(feed),
        "gzip file": Answer(packed),
        "content encoding": Answer(packed, headers={"Content-Encoding": "gzip"}),
        "both": Answer(gzip.compress(packed), headers={"Content-Encoding": "gzip"}),
    }[way]
    opened = source(road.url, http=LOOPBACK)
    (page,) = opened.fetch(None)
    snapshot = read_snapshot(opened, page)

    assert page.body.startswith(b"\x1f\x8b")
    assert [record.local_id for record in snapshot.records] == ["a", "b"]
    assert [(one.local_id, one.code) for one in snapshot.rejected] == [("d", "date.unparseable")]


@pytest.mark.parametrize(
    ("answer", "code", "after"),
    [
        (Answer(status=503, headers={"Retry-After": "7"}), "http-error", 7),
        (Answer(status=429, headers={"Retry-After": "90"}), "rate-limited", 90),
        (Answer(status=401), "auth", None),
        (Answer(status=404), "http-error", None),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), "http-error", None),
        (Answer(b"<a>", headers={"Content-Length": "4000"}), "http-error", None),
        (Answer(b"\x1f\x8b\x08broken" * 9, headers={"Content-Encoding": "gzip"}), "http-error", None),
    ],
)
def test_what_an_address_answers_has_a_code(source: Make, road: Road, answer: Answer, code: str, after: Any) -> None:
    """Down, too fast, wrong key, gone, sent elsewhere, cut off, broken on the way: asked again, nothing concluded."""
    road.answer = answer
    with pytest.raises(Retry) as found:
        list(source(road.url, http=LOOPBACK).fetch(None))

    assert (found.value.code, found.value.after_seconds) == (code, after)


def test_private_addresses_and_plain_http_are_refused_at_start(source: Make) -> None:
    """Unless the profile allows them by name."""
    for files in ("http://192.0.2.7/x", "https://10.0.0.1/x", "https://feed.example@127.0.0.1/"):
        with pytest.raises(BadSettings, match="files:"):
            source(files)


def test_what_did_not_change_is_not_translated_again(source: Make, feed: bytes, tmp_path: Path) -> None:
    """The same bytes give the very same plan, so that the differ need not hash it."""
    (tmp_path / "feed.xml").write_bytes(feed)
    opened = source(tmp_path / "feed.xml")
    (page,) = opened.fetch(None)
    first, second = read_snapshot(opened, page), read_snapshot(opened, page)

    assert all(a.plan is b.plan for a, b in zip(first.records, second.records, strict=True))
