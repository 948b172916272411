"""Who may ask: keys, scopes, patience, and the end of a key."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from edge.access import _neighbourhood
from edge.documented import OIN
from edge.limits import Buckets
from samenloop.model import Clearance, Partner, PartnerStatus
from samenloop.partners import SCOPES, key_hash
from tests.edge.scenes import KEY, READER, Scene, event, make_scene, partner


@pytest.mark.parametrize("given", [[], ["Bearer"], ["Bearer x"], ["Basic eDp5"], [f"Bearer {KEY}"] * 2, ["Bearer ké"]])
def test_who_is_not_known(scene: Scene, given: list[str]) -> None:
    """401 with a challenge, whatever is wrong with the key; nothing of it comes back."""
    headers = [("authorization", text.encode("latin-1")) for text in given]
    answer = scene.client.post("/v1/events", json=event(), headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "https://hub.example/problems/not-authenticated"
    assert scene.kafka.outputs == []


def test_a_scope_is_needed(scene: Scene) -> None:
    """403 names the scope that is missing."""
    answer = scene.post(event(), key=READER)

    assert answer.status_code == 403
    assert "plans:write" in answer.json()["detail"]
    assert 'scope="plans:write"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize("ended", [None, PartnerStatus.REVOKED, PartnerStatus.UNKNOWN])
def test_an_ended_partner(scene: Scene, ended: PartnerStatus | None) -> None:
    """A partner that went, was revoked or cannot be understood has no access, whatever keys its record holds."""
    before = partner(OIN, (KEY, tuple(SCOPES)))
    after = None
    if ended is not None:
        after = Partner(**{name: getattr(before, name) for name in Partner.__slots__} | {"status": ended})

    assert scene.post(event()).status_code == 202
    scene.services.keyring.put(OIN, after)
    assert scene.post(event()).status_code == 401


def test_one_key_ends_and_the_other_stays(scene: Scene) -> None:
    """Revoking a key is a partner without it."""
    scene.services.keyring.put(OIN, partner(OIN, ("samenloop_new", ("plans:write",))))

    assert scene.post(event()).status_code == 401
    assert scene.post(event(), key="samenloop_new").status_code == 202


def test_bare_hashes_may_do_everything(scene: Scene) -> None:
    """Keys of a partner that was admitted before there were scopes go on working."""
    old = partner(OIN)
    scene.services.keyring.put(
        OIN,
        Partner(
            oin=OIN, name="x", created_at=old.created_at, updated_at=old.updated_at, clearance=Clearance.PARTNERS,
            key_hashes=(key_hash("samenloop_old"),),
        ),
    )  # fmt: skip

    assert scene.post(event(), key="samenloop_old").status_code == 202


def test_patience() -> None:
    """429 with the seconds to wait; another partner is not held up."""
    scene = make_scene(requests_at_once=2, requests_per_minute=6)
    answers = [scene.post(event()) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert 1 <= int(answers[2].headers["retry-after"]) <= 10
    assert scene.post(event(), key="samenloop_other").status_code == 403


def test_wrong_keys_are_soon_refused() -> None:
    """429 after a few unknown keys from one address; a valid key from there is taken, and no key at all is a 401."""
    scene = make_scene(wrong_keys_per_minute=6)
    answers = [scene.post(event(), key=f"samenloop_guess_{n}") for n in range(12)]

    assert [answer.status_code for answer in answers] == [401] * 10 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
    assert scene.post(event()).status_code == 202
    assert scene.client.get("/v1/collections").status_code == 401


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("testclient", "testclient", True),
    ],
)
def test_who_is_one_address(one: str, other: str, same: bool) -> None:
    """Of IPv4 an address, of IPv6 the network that one household has: it could take a new address for every key."""
    first, second = (_neighbourhood(Request({"type": "http", "client": (host, 1)})) for host in (one, other))

    assert (first == second) is same


def test_buckets_are_bounded() -> None:
    """Whoever was asked for least lately is forgotten first."""
    buckets = Buckets(60, 1, most=2, clock=lambda: 0.0)

    assert [buckets.take(name) for name in ("a", "b", "a", "c", "a", "b")] == [0, 0, 1, 0, 1, 0]


def test_buckets_fill_with_time() -> None:
    """A bucket holds so many at once, and one more for each share of a minute."""
    now = [0.0]
    buckets = Buckets(60, 2, clock=lambda: now[0])

    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]
    now[0] = 1.0
    assert [buckets.take("a"), buckets.take("a")] == [0, 1]
    now[0] = 100.0
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 1]


def test_before_the_keys_are_known(scene: Scene) -> None:
    """A process that has just started says 503, not 401: the key may well be in order."""
    scene.services.awaited = lambda: "the partners are not read yet"
    answer = scene.post(event())
    ready = scene.client.get("/health/ready")

    assert (answer.status_code, ready.status_code) == (503, 503)
    assert "retry-after" in answer.headers
    assert scene.client.get("/health/live").status_code == 200


def test_before_the_read_model_is_there() -> None:
    """Events are taken as soon as keys are known; what must be read waits, and readiness says which of both."""
    scene = make_scene(public=True)
    scene.services.unread = lambda: "the read model is catching up: 1 of 2"
    ready = scene.client.get("/health/ready")

    assert scene.post(event()).status_code == 202
    assert scene.ask("GET", "/v1/subscriptions").status_code == 200
    assert [scene.ask("GET", "/v1/changes").status_code, scene.client.get("/v1/changes").status_code] == [503, 503]
    assert ready.status_code == 503
    assert (ready.json()["sending"], ready.json()["reading"]) == ("ready", "the read model is catching up: 1 of 2")
