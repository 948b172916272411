"""Attacks on subscriptions, webhooks and bodies, each tried: what an evil partner, sink or stranger would do."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from httpx import Response
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sinks.webhook.sender import Attempt, Sender
from edge.documented import OIN
from edge.keyring import Caller
from edge.problems import Problem
from edge.server import serve
from edge.subscription_forms import SubscriptionForm
from samenloop import handshake
from samenloop.contract import Codec
from samenloop.errors import BadSettings
from samenloop.handshake import AGREED, Consent
from samenloop.model import Clearance
from samenloop.receiver import Receiver
from samenloop.settings import Delivery, Hub
from samenloop.webhooks import Destinations, derive_secret, sign
from tests.edge.scenes import NOW, OTHERS_KEY, Scene, codes, make_scene
from tests.edge.test_dead_letters import letter
from tests.edge.test_subscriptions import PATH, begin, wish

SHARED = make_scene(max_subscriptions=10_000)
LOOPBACK = Delivery(allow_http=True, allow_destinations=["127.0.0.0/8"])


def really_asking(delivery: Delivery, resolve: Any = None) -> Scene:
    """Return an edge that asks sinks in earnest."""
    scene = make_scene()
    assert scene.services.subscribing is not None
    scene.services.subscribing.ask = handshake.ask
    scene.services.subscribing.destinations = Destinations(delivery, resolve)
    return scene


# Where the hub calls.

INSIDE = [
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/",
    "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/",
    "https://169.254.169.254/latest/meta-data/", "https://10.1.2.3/", "https://[fd00::1]/", "https://0/",
    "https://partner.example@127.0.0.1/", "https://partner.example\\@127.0.0.1/", "https://[fe80::1%25eth0]/",
    "http://partner.example/", "file:///etc/passwd", "gopher://127.0.0.1/", "//127.0.0.1/", "https://localhost/",
]  # fmt: skip


@pytest.mark.parametrize("sink", INSIDE)
def test_no_spelling_leads_inside(sink: str) -> None:
    """400 with one sentence, whatever is behind it; on the way in as on a change. The address is not repeated."""
    scene = really_asking(Delivery())
    answer = scene.ask("POST", PATH, wish(sink=sink))

    assert codes(answer) == {"/sink": "sink.address"}
    assert sink not in answer.text
    assert scene.kafka.outputs == []


def test_a_name_with_one_private_address() -> None:
    """The resolver says public and private: private counts."""
    scene = really_asking(Delivery(), lambda host, port: ["93.184.216.34", "10.0.0.1"])

    assert codes(scene.ask("POST", PATH, wish())) == {"/sink": "sink.address"}


@contextmanager
def server(headers: Mapping[str, str], status: int = 200) -> Iterator[tuple[str, list[str]]]:
    """A server with one answer to everything, and what it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            asked.append(f"{self.command} {self.path}")
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        do_OPTIONS = do_POST = do_GET = answer

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://localhost:{running.server_port}/", asked
        running.shutdown()
        thread.join()


def test_a_resolver_that_changes_its_mind() -> None:
    """DNS rebinding: public when the name is checked, ours when the call is made. The connection itself is checked."""
    with server({"WebHook-Allowed-Origin": "*"}) as (url, asked):
        scene = really_asking(Delivery(allow_http=True), lambda host, port: ["93.184.216.34"])
        answer = scene.ask("POST", PATH, wish(sink=url))

    assert codes(answer) == {"/sink": "sink.address"}
    assert asked == []


def test_a_resolver_that_changes_its_mind_later() -> None:
    """The same at a delivery: each attempt is checked anew, by the name and by the connection."""
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    destinations = Destinations(Delivery(allow_http=True), lambda host, port: answers.pop(0))
    with server({}) as (url, asked):
        sender = Sender(Delivery(allow_http=True), destinations)
        sender.start()
        try:
            for number in range(2):
                sender.send(Attempt(f"a{number}", url, b"{}", [derive_secret(bytes(32), UUID(int=1))], NOW))
            found = []
            while len(found) < 2:
                found += sender.answers()
        finally:
            sender.stop()

    assert asked == []
    assert {answer.status for _, answer in found} == {None}


def test_a_redirect_leads_nowhere() -> None:
    """Neither the handshake nor a delivery follows one: what it points to is not asked."""
    with (
        server({"WebHook-Allowed-Origin": "*"}) as (inner, reached),
        server({"Location": inner}, 307) as (outer, asked),
    ):
        scene = really_asking(Delivery(allow_http=True, allow_destinations=["127.0.0.0/8", "::1/128"]))
        made = begin(scene, sink=outer)

    assert (made["status"], made["status_reason"]) == ("requested", handshake.REFUSED)
    assert (asked, reached) == (["OPTIONS /"], [])


@pytest.mark.parametrize(
    "origin",
    [
        "samenloop.example.attacker.example", "samenloop.example:443", "amenloop.example", "samenloop",
        "attacker.example, samenloop.example", "https://samenloop.example", "*.example", "null",
    ],
)  # fmt: skip
def test_the_origin_is_no_prefix(origin: str) -> None:
    """Consent names our origin exactly or is `*`: somebody else's consent does not begin a stream to their victim."""
    scene = really_asking(LOOPBACK)
    with Receiver() as receiver:
        receiver.consent = origin
        made = begin(scene, sink=receiver.url)

    assert (made["status"], made["status_reason"]) == ("requested", handshake.REFUSED)


# Headers.

INJECTED: list[dict[str, Any]] = [
    {"sink": "https://partner.example/\r\nX-Evil: 1"},
    {"sink": "https://partner.example/\n"},
    {"sink": "https://partner.example\r\n.evil.example/"},
    {"sink": "https://partner.example/\u2028"},
    {"sink": "https://partner.example/\x00"},
    {"protocolsettings": {"rate_per_minute": "60\r\nX-Evil: 1"}},
    {"protocolsettings": {"headers": {"X-Evil": "1"}}},
    {"protocolsettings": {"method": "POST\r\nX-Evil: 1"}},
    {"config": {"language": "nl\r\nX-Evil: 1"}},
]


@pytest.mark.parametrize("other", INJECTED)
def test_no_header_is_smuggled_in(scene: Scene, other: dict[str, Any]) -> None:
    """What could end a line in a request of the hub's is refused before anything is sent."""
    answer = scene.ask("POST", PATH, wish(**other))

    assert answer.status_code == 400
    assert "Evil" not in answer.text
    assert scene.sinks.asked == []


def test_a_sink_answers_with_nonsense() -> None:
    """A rate that is no number, or none at all, is no consent; a huge one is bounded."""
    scene = really_asking(LOOPBACK)
    with Receiver() as receiver:
        told = []
        for rate in ("1e9", "-1", "0", "9" * 30):
            receiver.allowed_rate = rate
            made = begin(scene, sink=receiver.url, protocolsettings=None)
            told.append((made["status"], made["protocolsettings"].get("rate_per_minute")))

    assert told == [("requested", None)] * 3 + [("active", 6000)]


# Bodies.


def operations(scene: Scene) -> list[tuple[str, str, str]]:
    """Return method, path and content type of everything that takes a body, with ids that exist."""
    made = begin(scene)
    scene.shelf.letters.append(letter(1))
    known = {"subscription_id": made["id"], "letter_id": str(UUID(int=1))}
    found = scene.client.get("/openapi.json").json()["paths"]
    return [
        (method.upper(), path.format(**known), content_type)
        for path, by_method in found.items()
        for method, operation in by_method.items()
        for content_type in operation.get("requestBody", {}).get("content", {})
    ]


def send(scene: Scene, operation: tuple[str, str, str], body: Any) -> Response:
    """Send a body to one of them."""
    method, path, content_type = operation
    headers = {"content-type": content_type, "if-match": "*", "ce-specversion": "1.0"}
    if isinstance(body, bytes):
        return scene.ask(method, path, body, **headers)
    headers["authorization"] = "Bearer samenloop_one"
    return scene.client.request(method, path, content=body, headers=headers)  # in chunks, without a length


def test_no_body_is_too_large(scene: Scene) -> None:
    """413 for what is announced as too large, and for what goes on and on without saying how long it is."""
    found = operations(scene)
    for operation in found:
        assert send(scene, operation, b" " * 9_000_000).status_code == 413, operation
        assert send(scene, operation, (b" " * 1_000_000 for _ in range(20))).status_code == 413, operation

    assert {path.split("/")[2] for _, path, _ in found} >= {"events", "subscriptions", "dead-letters"}


@pytest.mark.parametrize("body", [b"[" * 4000 + b"]" * 4000, b'{"a":' * 1500 + b"1" + b"}" * 1500])
def test_no_body_is_too_deep(scene: Scene, body: bytes) -> None:
    """400 at once, whatever the address."""
    for operation in operations(scene):
        assert send(scene, operation, body).status_code == 400, operation


def test_a_body_that_never_ends(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """408 when the body is not there in time: the partner's place is free again."""
    monkeypatch.setattr("edge.messages._PATIENCE_SECONDS", 0.05)
    app, ended = scene.client.app, []
    for method, path, content_type in operations(scene):
        given = {"content-type": content_type, "authorization": "Bearer samenloop_one", "if-match": "*"}
        ended.append(asyncio.run(_dripping(app, method, path, {**given, "ce-specversion": "1.0"})))

    assert set(ended) == {408}


async def _dripping(app: Any, method: str, path: str, headers: dict[str, str]) -> int:
    """Send a byte now and then, for ever; return the status of the answer."""
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "scheme": "http", "server": ("hub", 80), "client": ("x", 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()], "state": {},
    }  # fmt: skip
    status = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def sends(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    await app(scope, receive, sends)
    return int(status[0])


COORDINATES = st.recursive(
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(["Polygon", "MultiPolygon"]), st.lists(COORDINATES, max_size=4), st.text(max_size=12))
def test_no_area_makes_the_hub_fail(kind: str, coordinates: list[Any], crs: str) -> None:
    """Whatever stands for an area is refused with its place, or is one."""
    for more in ({}, {"crs": crs}):
        answer = SHARED.ask("POST", PATH, wish(config={"area": {"type": kind, "coordinates": coordinates, **more}}))
        assert answer.status_code in (201, 400), answer.text


# Looking for what belongs to others.


def test_nothing_of_another_is_found_by_trying(scene: Scene) -> None:
    """By id, by first characters, by paging from another's id: the answer is that of something that never was."""
    mine, absent = begin(scene)["id"], str(UUID(int=77))
    scene.shelf.letters.append(letter(1))
    lists = {PATH: mine, "/v1/dead-letters": str(UUID(int=1))}
    for path, known in lists.items():
        for text in (known, known[:8], known.upper(), f"{known}%0d%0aX-Evil:1", "*", "%25", "..%2f..", "' OR 1=1"):
            assert scene.ask("GET", f"{path}/{text}", key=OTHERS_KEY).status_code == 404, text
        one, other = (scene.ask("GET", f"{path}?after={text}", key=OTHERS_KEY) for text in (known, absent))
        assert one.status_code == other.status_code == 400
        assert {**one.json(), "instance": ""} == {**other.json(), "instance": ""}
        assert known not in one.text


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "1e3", "x", "99999999999999999999"])
def test_pages_are_bounded(scene: Scene, limit: str) -> None:
    """400, never more than a thousand at once."""
    for path in (PATH, "/v1/dead-letters"):
        assert scene.ask("GET", f"{path}?limit={limit}").status_code == 400


def test_nobody_subscribes_another(scene: Scene) -> None:
    """The subscriber is who asks: neither a field nor a header of the request says otherwise."""
    named = scene.ask("POST", PATH, wish(subscriber_oin=OIN), key=OTHERS_KEY)
    given = scene.ask("POST", PATH, wish(id=str(UUID(int=5)), secret="whsec_x", status="active"), key=OTHERS_KEY)
    (stored,) = scene.subscriptions()

    assert codes(named) == {"/subscriber_oin": "record.unknown-key"}
    assert stored.subscriber_oin != OIN
    assert stored.id != UUID(int=5)
    assert given.json()["secret"] != "whsec_x"


# Very many.


def test_requests_are_counted() -> None:
    """429 with the seconds to wait: subscribing costs patience as everything does."""
    scene = make_scene(requests_at_once=2, requests_per_minute=1)
    answers = [scene.ask("POST", PATH, wish()) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[2].headers["retry-after"]) > 0


def test_silent_sinks_hold_up_their_own_partner_only(scene: Scene) -> None:
    """Of one partner four sinks are asked at once; another's subscription is not held up by them."""
    office = scene.services.subscribing
    assert office is not None

    async def play() -> tuple[list[Any], Any]:
        silence = asyncio.Event()

        async def ask(url: str, **_: Any) -> Consent:
            if "silent" in url:
                await silence.wait()
            return AGREED

        office.ask = ask
        evil, good = (
            Caller(oin, "x", Clearance.PARTNERS, frozenset(), frozenset(), "k") for oin in (OIN, "00000099000000001009")
        )
        silent = SubscriptionForm.model_validate({"sink": "https://silent.example/"})
        waiting = [asyncio.create_task(office.begin(evil, silent, NOW)) for _ in range(6)]
        made = await office.begin(good, SubscriptionForm.model_validate({"sink": "https://sink.example/"}), NOW)
        while sum(task.done() for task in waiting) != 2:
            await asyncio.sleep(0.01)
        silence.set()
        return await asyncio.gather(*waiting, return_exceptions=True), made

    found, made = asyncio.run(play())
    refused = [one for one in found if isinstance(one, Problem)]

    assert made[0].sink == "https://sink.example/"
    assert [one.code for one in refused] == ["too-many-requests"] * 2


# Signatures.

DOCUMENTED = re.findall(
    r"```python\n(.*?)```",
    (Path(__file__).parents[2] / "docs" / "partners" / "webhooks.md")
    .read_text(encoding="utf-8")
    .split("# Verify the")[1],
    re.DOTALL,
)
SECRET, BEFORE, OF_ANOTHER = (derive_secret(bytes(32), UUID(int=1), 1), derive_secret(bytes(32), UUID(int=1)),
                              derive_secret(bytes(32), UUID(int=2)))  # fmt: skip
BODY = b'{"id":"e1","type":"nl.samenloop.conflict-opened.v1"}'


def _verifiers(receiver: Receiver) -> Iterator[Callable[[Mapping[str, str], bytes], object]]:
    for code in DOCUMENTED[:2]:
        names: dict[str, Any] = {}
        exec(code, names)
        yield lambda headers, body, verified=names["verified"]: verified(SECRET, dict(headers), body)

    def receives(headers: Mapping[str, str], body: bytes) -> None:
        answer = receiver.answer(body, headers)
        if answer is None or answer.status != 204:
            raise ValueError("refused")

    yield receives


def test_forged_and_replayed_messages() -> None:
    """The documented code and the receiver refuse all of them, and take what is ours, also during a rotation."""
    now = datetime.now(UTC)
    good = sign([SECRET, BEFORE], "a1", now, BODY)
    alone = sign([SECRET], "a1", now, BODY)
    signature = alone["webhook-signature"]
    forged: list[tuple[Mapping[str, str], bytes]] = [
        (good, BODY.replace(b"e1", b"e2")),
        ({**good, "webhook-id": "a2"}, BODY),
        ({**good, "webhook-timestamp": str(int(now.timestamp()) + 60)}, BODY),
        (sign([SECRET], "a1", now - timedelta(hours=1), BODY), BODY),
        (sign([SECRET], "a1", now + timedelta(hours=1), BODY), BODY),
        (sign([OF_ANOTHER], "a1", now, BODY), BODY),
        (sign([BEFORE], "a1", now, BODY), BODY),
        ({**alone, "webhook-signature": ""}, BODY),
        ({**alone, "webhook-signature": "v1,"}, BODY),
        ({**alone, "webhook-signature": signature[:-4]}, BODY),
        ({**alone, "webhook-signature": signature.replace("v1,", "v0,")}, BODY),
        ({**alone, "webhook-signature": f"v1,{'A' * 43}="}, BODY),
        ({name: text for name, text in alone.items() if name != "webhook-signature"}, BODY),
        ({name: text for name, text in alone.items() if name != "webhook-timestamp"}, BODY),
        ({**alone, "webhook-timestamp": "never"}, BODY),
    ]
    with Receiver(secret=SECRET) as receiver:
        for verify in _verifiers(receiver):
            verify(good, BODY)
            verify(alone, BODY)
            for headers, body in forged:
                with pytest.raises(Exception, match=r"."):
                    verify(headers, body)


def test_a_replay_within_the_window_has_no_second_effect() -> None:
    """Five minutes are open to repeats: the id is what a receiver deduplicates on."""
    headers = sign([SECRET], "a1", datetime.now(UTC), BODY)
    with Receiver(secret=SECRET) as receiver:
        for _ in range(2):
            receiver.answer(BODY, headers)

    assert len(receiver.messages) == 2
    assert receiver.ids == {"a1"}


# The hub itself.


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"short", "found 5 bytes")])
def test_a_master_key_that_cannot_be_used(tmp_path: Path, content: bytes | None, words: str) -> None:
    """The edge refuses to start and names the setting: partners would subscribe in vain."""
    path = tmp_path / "master.key"
    if content is not None:
        path.write_bytes(content)
    hub = Hub(delivery=Delivery(master_key_file=path))

    with pytest.raises(BadSettings, match=words) as refused:
        serve(hub, Codec.offline(), stop=threading.Event(), on_turn=lambda: None, on_awaited=lambda _: None)
    assert "delivery.master_key_file" in str(refused.value)


def test_no_secret_is_shown(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither the master key nor a webhook's secret stands in a log, in Kafka or in a repr."""
    made = begin(scene)
    secret = made["secret"].removeprefix("whsec_").encode()
    written = b"".join(output.value or b"" for output in scene.kafka.outputs)

    assert secret not in written
    assert made["secret"] not in capsys.readouterr().err
    assert str(bytes(range(32))) not in repr(scene.services)
    assert secret.decode() not in orjson.dumps(scene.ask("GET", PATH).json()).decode()
