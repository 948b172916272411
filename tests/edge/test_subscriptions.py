"""Partners subscribe over HTTP: the form, the handshake, steps by the table, revisions, bounds."""

from __future__ import annotations

import copy
from typing import Any, get_args
from uuid import UUID

import pytest
from httpx import Response

from edge.documented import OIN
from edge.documented_exchange import SUBSCRIBE
from edge.subscribing import Book
from samenloop.contract import Codec
from samenloop.handshake import REFUSED, Consent
from samenloop.model import Clearance, SubscriptionStatus
from samenloop.subscription_life import ALLOWED, Step
from samenloop.webhooks import derive_secret
from tests.edge.scenes import KEY, MASTER_KEY, OTHERS_KEY, READER, Scene, codes, make_scene, partner

PATH = "/v1/subscriptions"


def wish(**other: Any) -> dict[str, Any]:
    """Return the documented subscription, with other fields; None leaves one out."""
    made = {**copy.deepcopy(SUBSCRIBE), **other}
    return {name: value for name, value in made.items() if value is not None}


def begin(scene: Scene, **other: Any) -> dict[str, Any]:
    """Subscribe and return the answer."""
    answer = scene.ask("POST", PATH, wish(**other))
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_subscribe(scene: Scene) -> None:
    """The sink is asked with our origin and the rate; the subscription is active, and its secret is told this once."""
    answer = scene.ask("POST", PATH, wish())
    made = answer.json()
    (stored,) = scene.subscriptions()

    assert answer.status_code == 201
    assert scene.sinks.asked == [(SUBSCRIBE["sink"], "samenloop.example", 120)]
    assert (made["status"], made["revision"], answer.headers["etag"]) == ("active", 1, '"1"')
    assert answer.headers["location"] == f"https://hub.example{PATH}/{made['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert made["secret"] == derive_secret(MASTER_KEY, UUID(made["id"]))
    assert (stored.subscriber_oin, stored.sink, stored.status) == (OIN, SUBSCRIBE["sink"], SubscriptionStatus.ACTIVE)
    assert stored.types == tuple(SUBSCRIBE["types"])
    assert stored.filters == '[{"prefix":{"type":"nl.samenloop.conflict-"}}]'
    assert stored.clearance is Clearance.PARTNERS
    shown = scene.ask("GET", f"{PATH}/{made['id']}").json()
    assert shown == {name: value for name, value in made.items() if name != "secret"}
    assert {name: shown[name] for name in SUBSCRIBE if name != "config"} == {
        name: value for name, value in SUBSCRIBE.items() if name != "config"
    }
    assert shown["config"]["area"] == SUBSCRIBE["config"]["area"]
    assert scene.ask("GET", PATH).json() == {"subscriptions": [shown]}


def test_a_sink_that_does_not_consent(scene: Scene) -> None:
    """201 all the same, requested with the reason; `resume` asks again, and a lower rate of the sink's holds."""
    scene.sinks.consent = Consent(False, reason=REFUSED)
    made = begin(scene)
    still = scene.ask("POST", f"{PATH}/{made['id']}/resume").json()
    scene.sinks.consent = Consent(True, rate_per_minute=30)
    resumed = scene.ask("POST", f"{PATH}/{made['id']}/resume").json()

    assert (made["status"], made["status_reason"]) == ("requested", REFUSED)
    assert (still["status"], still["revision"]) == ("requested", 2)
    assert (resumed["status"], resumed["revision"]) == ("active", 3)
    assert resumed["protocolsettings"]["rate_per_minute"] == 30
    assert "status_reason" not in resumed


STEPS: dict[Step, str] = {
    "pause": "pause", "resume": "resume", "test": "test", "rotate": "rotate-secret", "end": "end",
}  # fmt: skip


@pytest.mark.parametrize("status", SubscriptionStatus)
@pytest.mark.parametrize("step", [step for step in get_args(Step) if step != "end"])
def test_steps_by_the_table(scene: Scene, step: Step, status: SubscriptionStatus) -> None:
    """Where the table allows a step it is taken; elsewhere 409, and nothing is written."""
    made = begin(scene)
    ways: dict[SubscriptionStatus, tuple[str, str]] = {
        SubscriptionStatus.PAUSED: ("POST", "/pause"),
        SubscriptionStatus.ENDED: ("DELETE", ""),
    }
    if status is SubscriptionStatus.REQUESTED:
        scene.sinks.consent = Consent(False, reason=REFUSED)
        made = begin(scene)
    elif status in ways:
        method, path = ways[status]
        assert scene.ask(method, f"{PATH}/{made['id']}{path}").status_code < 300
    written = len(scene.kafka.outputs)
    answer = scene.ask("POST", f"{PATH}/{made['id']}/{STEPS[step]}")

    if status in ALLOWED[step]:
        assert answer.status_code == 200
        assert len(scene.kafka.outputs) == written + 1
        assert ("secret" in answer.json()) is (step == "rotate")
    else:
        assert (answer.status_code, answer.json()["type"]) == (409, "https://hub.example/problems/not-now")
        assert len(scene.kafka.outputs) == written


def test_a_rotation_gives_the_next_secret(scene: Scene) -> None:
    """The secret of rotation 1 is told, once."""
    made = begin(scene)
    rotated = scene.ask("POST", f"{PATH}/{made['id']}/rotate-secret").json()

    assert rotated["secret"] == derive_secret(MASTER_KEY, UUID(made["id"]), 1) != made["secret"]
    assert "secret" not in scene.ask("GET", f"{PATH}/{made['id']}").json()


def test_end(scene: Scene) -> None:
    """204, also a second time; it is still shown, ended, and cannot be changed any more."""
    made = begin(scene)
    answers = [scene.ask("DELETE", f"{PATH}/{made['id']}").status_code for _ in range(2)]
    changed = scene.ask("PUT", f"{PATH}/{made['id']}", wish(), **{"if-match": '"2"'})

    assert answers == [204, 204]
    assert scene.ask("GET", f"{PATH}/{made['id']}").json()["status"] == "ended"
    assert changed.status_code == 409
    assert len(scene.subscriptions()) == 2


def put(scene: Scene, made: dict[str, Any], if_match: str | None = None, **other: Any) -> Response:
    """Send back what was read, with other fields."""
    body = {**scene.ask("GET", f"{PATH}/{made['id']}").json(), **other}
    given = {"if-match": f'"{body["revision"]}"'} if if_match is None else {"if-match": if_match} if if_match else {}
    return scene.ask("PUT", f"{PATH}/{made['id']}", body, **given)


def test_a_change_starts_from_a_revision(scene: Scene) -> None:
    """428 without If-Match, 412 with an old one; what was read can be sent back with a change, and nobody is asked."""
    made = begin(scene)
    missing, stale = put(scene, made, ""), put(scene, made, '"7"')
    changed = put(scene, made, config={"digest": "DAILY"})
    after = changed.json()

    assert (missing.status_code, stale.status_code, changed.status_code) == (428, 412, 200)
    assert (after["revision"], after["config"]["digest"], after["status"]) == (2, "DAILY", "active")
    assert "area" not in after["config"]
    assert after["created_at"] == made["created_at"]
    assert "secret" not in after
    assert len(scene.sinks.asked) == 1


def test_another_sink_is_asked_and_gets_a_secret_of_its_own(scene: Scene) -> None:
    """A sink that moves must consent; the address before cannot sign for the new one. A paused one stays paused."""
    made = begin(scene)
    scene.sinks.consent = Consent(False, reason=REFUSED)
    moved = put(scene, made, sink="https://elsewhere.example/").json()
    scene.sinks.consent = Consent(True)
    scene.ask("POST", f"{PATH}/{made['id']}/resume")
    scene.ask("POST", f"{PATH}/{made['id']}/pause")
    again = put(scene, made, sink="https://third.example/").json()

    assert (moved["status"], moved["status_reason"]) == ("requested", REFUSED)
    assert moved["secret"] == derive_secret(MASTER_KEY, UUID(made["id"]), 1)
    assert (again["status"], again["secret"]) == ("paused", derive_secret(MASTER_KEY, UUID(made["id"]), 2))


WRONG: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({"sink": None}, {"/sink": "record.missing"}),
    ({"sink": "http://sink.example/"}, {"/sink": "sink.address"}),
    ({"sinkcredential": {"credentialtype": "PLAIN"}}, {"/sinkcredential": "sink.credential"}),
    ({"types": ["nl.samenloop.anything.v1"]}, {"/types/0": "subscription.type"}),
    ({"protocol": "MQTT"}, {"/protocol": "record.value"}),
    ({"protocolsettings": {"headers": {"x": "y"}}}, {"/protocolsettings/headers": "record.unknown-key"}),
    ({"source": "urn:of:somebody"}, {"/source": "envelope.source"}),
    ({"filters": {"exact": {"type": "x"}}}, {"/filters": "filter.form"}),
    ({"filters": [{"sql": "true"}]}, {"/filters/0": "filter.dialect"}),
    ({"filters": [{"all": []}]}, {"/filters/0/all": "filter.form"}),
    ({"filters": [{"not": {"exact": {"data": "x"}}}]}, {"/filters/0/not/exact": "filter.attribute"}),
    ({"config": {"area": {"type": "Polygon", "coordinates": [[[0, 0]]]}}}, {"/config/area": "subscription.area"}),
    ({"config": {"area": {"type": "Polygon", "coordinates": "x"}}}, {"/config/area/coordinates": "record.value"}),
    ({"config": {"clearance": "RESTRICTED"}}, {"/config/clearance": "record.value"}),
    ({"config": {"are": None}}, {"/config/are": "record.unknown-key"}),
]  # fmt: skip


@pytest.mark.parametrize(("other", "expected"), WRONG)
def test_what_is_wrong_is_named(scene: Scene, other: dict[str, Any], expected: dict[str, str]) -> None:
    """400 with the place and a code; no sink is asked and nothing is written."""
    answer = scene.ask("POST", PATH, wish(**other))

    assert answer.status_code == 400, answer.text
    assert codes(answer) == expected
    assert scene.sinks.asked == []
    assert scene.kafka.outputs == []


def test_several_mistakes_are_told_at_once(scene: Scene) -> None:
    """Also those that are found by different parts of the code."""
    area = {"type": "Polygon", "coordinates": []}
    answer = scene.ask("POST", PATH, wish(sink="https://127.0.0.1/", filters=[{}], config={"area": area}))

    assert codes(answer) == {
        "/sink": "sink.address",
        "/filters/0": "filter.dialect",
        "/config/area": "subscription.area",
    }


def test_clearance_is_lowered_only(scene: Scene) -> None:
    """A partner with PUBLIC gets PUBLIC by default and cannot ask for PARTNERS; who has more may ask for less."""
    public = partner(OIN, (KEY, ("subscriptions",)))
    fields = {name: getattr(public, name) for name in type(public).__slots__}
    scene.services.keyring.put(OIN, type(public)(**{**fields, "clearance": Clearance.PUBLIC}))
    raised = scene.ask("POST", PATH, wish(config={"clearance": "PARTNERS"}))

    assert codes(raised) == {"/config/clearance": "subscription.clearance"}
    assert begin(scene)["config"]["clearance"] == "PUBLIC"


def test_own_subscriptions_only(scene: Scene) -> None:
    """Another partner finds an empty list and 404 for each way; a key without the scope 403."""
    made = begin(scene)
    ways = [("GET", ""), ("PUT", ""), ("DELETE", ""), *(("POST", f"/{STEPS[s]}") for s in STEPS if s != "end")]
    theirs = [scene.ask(method, f"{PATH}/{made['id']}{path}", key=OTHERS_KEY) for method, path in ways]
    absent = [scene.ask(method, f"{PATH}/{UUID(int=1)}{path}", key=OTHERS_KEY) for method, path in ways]

    assert scene.ask("GET", PATH, key=OTHERS_KEY).json() == {"subscriptions": []}
    assert {answer.status_code for answer in theirs} == {404}
    for one, other in zip(theirs, absent, strict=True):
        assert {**one.json(), "instance": ""} == {**other.json(), "instance": ""}
    assert scene.ask("GET", PATH, key=READER).status_code == 403


def test_pages(scene: Scene) -> None:
    """Every subscription stands on one page, in order."""
    ids = [begin(scene, sink=f"https://sink.example/{number}")["id"] for number in range(5)]
    seen: list[str] = []
    path: str | None = f"{PATH}?limit=2"
    while path:
        page = scene.ask("GET", path).json()
        assert len(page["subscriptions"]) <= 2
        seen += [one["id"] for one in page["subscriptions"]]
        path = page["next"].removeprefix("https://hub.example") if "next" in page else None

    assert seen == ids


def test_a_bounded_number() -> None:
    """409 beyond `edge.max_subscriptions`; one that just ended makes no room, and the sink is not asked."""
    scene = make_scene(max_subscriptions=2)
    first = begin(scene)
    begin(scene)
    scene.ask("DELETE", f"{PATH}/{first['id']}")
    answer = scene.ask("POST", PATH, wish())

    assert answer.status_code == 409
    assert answer.json()["type"].endswith("/too-many-subscriptions")
    assert len(scene.sinks.asked) == 2
    assert scene.ask("POST", PATH, wish(), key=OTHERS_KEY).status_code == 201


def test_without_a_master_key(scene: Scene) -> None:
    """403: the hub signs nothing, so it offers no subscriptions."""
    scene.services.subscribing = None

    assert scene.ask("POST", PATH, wish()).json()["type"].endswith("/not-offered")


def test_kafka_away(scene: Scene) -> None:
    """503, and the subscription is not shown as if it were there."""
    scene.kafka.away = True
    answer = scene.ask("POST", PATH, wish())

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert scene.ask("GET", PATH).json() == {"subscriptions": []}


def test_the_book_keeps_the_last_revision() -> None:
    """News that is read again does not undo what was done since; an unreadable record is left out."""
    scene = make_scene()
    made = begin(scene)
    scene.ask("POST", f"{PATH}/{made['id']}/pause")
    first, second = scene.subscriptions()
    book = Book(Codec.offline())
    for one in (second, first):
        book.put(one)

    assert book.of(OIN) == [second]
    assert book.ids_of(OIN) == {second.id}
    assert book.ids_of("00000099000000001003") == frozenset()


def test_of_two_changes_at_once_one_is_refused(scene: Scene) -> None:
    """Another process was quicker: 412 for a change, 409 for a step, nothing is written, and the revision stays."""
    made = begin(scene)
    path = f"{PATH}/{made['id']}"
    scene.kafka.overtaken = True
    changed = scene.ask("PUT", path, wish(), **{"if-match": '"1"'})
    paused = scene.ask("POST", f"{path}/pause")

    assert (changed.status_code, changed.json()["type"]) == (412, "https://hub.example/problems/stale")
    assert (paused.status_code, paused.json()["type"]) == (409, "https://hub.example/problems/not-now")
    assert len(scene.subscriptions()) == 1
    assert scene.ask("GET", path).headers["etag"] == '"1"'
