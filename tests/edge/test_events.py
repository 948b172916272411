"""`POST /v1/events`: what is taken, what is refused and how that is said, and what attackers try."""

from __future__ import annotations

import base64
import logging
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from edge.documented import CHANGE, EVENT, OIN, REMOVAL, SYSTEM
from samenloop.contract import read_envelope, to_json
from samenloop.model import ChangeKind, DeadReason, Phase, Visibility
from tests.edge.scenes import BATCH, KEY, OTHERS_KEY, STRUCTURED, Scene, codes, event, feature, make_scene

PLAN = f"{SYSTEM}:plan:2027-0042"


def test_a_structured_event_becomes_a_change(scene: Scene) -> None:
    """202 says that Kafka has it: the plan, its envelope, the identity of the sender's own event."""
    answer = scene.post(event())

    (output,) = scene.kafka.outputs
    (change,) = scene.changes()
    envelope = read_envelope(output.headers)
    assert answer.status_code == 202
    assert answer.json() == {
        "accepted": 1,
        "refused": 0,
        "events": [{"outcome": "accepted", "id": EVENT["id"], "subject": PLAN}],
    }
    assert (output.topic, output.key) == ("plan-changes", PLAN)
    assert (envelope.id, envelope.source, envelope.subject) == (EVENT["id"], SYSTEM, PLAN)
    assert envelope.classification == "internal"
    assert change.plan is not None
    assert (change.plan.owner.oin, change.plan.local_id, change.plan.phase) == (OIN, "2027-0042", Phase.PREPARATION)
    assert change.plan.owner.name  # as the hub knows its partner
    assert change.content_hash is not None
    assert change.recorded_at == envelope.time


def test_both_forms_say_the_same(scene: Scene) -> None:
    """A plan as a GeoJSON feature and in the contract's own form has the same content."""
    scene.post(event())
    scene.post(event(data=CHANGE, datacontenttype="application/json"))

    one, other = scene.changes()
    assert one.plan == other.plan
    assert one.content_hash == other.content_hash


def test_what_the_hub_writes_can_be_sent(scene: Scene) -> None:
    """The contract's JSON form of a change is taken as it is, its hash and repeated attributes included."""
    scene.post(event())
    (change,) = scene.changes()
    answer = scene.post(event(data=to_json(change), datacontenttype="application/json"))

    assert answer.status_code == 202, answer.text
    assert scene.changes()[1].plan == change.plan


def test_a_generic_client_sends_binary_and_structured(scene: Scene) -> None:
    """The CloudEvents SDK knows nothing of this hub; what it sends in either mode is taken."""
    attributes = {name: EVENT[name] for name in ("id", "source", "type", "subject", "datacontenttype")}
    attributes |= {"specversion": "1.0", "time": datetime.fromisoformat(str(EVENT["time"]))}
    made = CloudEvent(attributes=attributes, data=EVENT["data"])
    for message in (to_binary_event(made), to_structured_event(made)):
        headers = {"authorization": f"Bearer {KEY}", **message.headers}
        answer = scene.client.post("/v1/events", content=message.body, headers=headers)

        assert answer.status_code == 202, answer.text
    one, other = scene.changes()
    assert one.plan == other.plan
    assert one.origin == other.origin


def test_binary_attributes_are_percent_encoded(scene: Scene) -> None:
    """In binary mode attributes stand in headers, UTF-8 and percent-encoded, the data alone in the body."""
    headers = {f"ce-{name}": str(EVENT[name]) for name in ("specversion", "source", "type", "time")}
    headers |= {"ce-id": "caf%C3%A9-1", "ce-subject": PLAN.replace("%", "%25")}
    answer = scene.post(EVENT["data"], "application/geo+json; charset=utf-8", **headers)

    assert answer.status_code == 202, answer.text
    assert answer.json()["events"][0]["id"] == "café-1"


def test_data_in_base64(scene: Scene) -> None:
    """Some clients send JSON as bytes."""
    text = base64.b64encode(orjson.dumps(EVENT["data"])).decode()
    answer = scene.post(event(data=None, data_base64=text))
    broken = scene.post(event(data=None, data_base64="%%%"))

    assert answer.status_code == 202, answer.text
    assert codes(broken) == {"/data_base64": "json.unreadable"}


def test_a_plan_ends_in_two_ways(scene: Scene) -> None:
    """A removal without data, or a change of kind DELETED: both are a deletion."""
    deleted = event(data={"change": "DELETED"}, datacontenttype="application/json")

    assert scene.post(REMOVAL).status_code == scene.post(deleted).status_code == 202
    assert [(change.change, change.plan) for change in scene.changes()] == [(ChangeKind.DELETED, None)] * 2


def test_a_batch_with_bad_events(scene: Scene) -> None:
    """207: the good ones are in Kafka, each bad one says where and why, and is kept as the sender's dead letter."""
    batch = [event(id="a"), event(id="b", data=feature(title=None, fase="x")), event(id="c")]
    answer = scene.post(batch, BATCH)

    told = answer.json()
    assert answer.status_code == 207
    assert (told["accepted"], told["refused"]) == (2, 1)
    assert [one["outcome"] for one in told["events"]] == ["accepted", "refused", "accepted"]
    assert {(one["pointer"], one["code"]) for one in told["events"][1]["errors"]} == {
        ("/1/data/properties/title", "record.missing"),
        ("/1/data/properties/fase", "record.unknown-key"),
    }
    assert [change.origin.event_id for change in scene.changes()] == ["a", "c"]
    (letter,) = scene.letters()
    assert letter.id == UUID(told["events"][1]["dead_letter"])
    assert (letter.system, letter.stage, letter.reason) == (SYSTEM, "edge", DeadReason.VALIDATION)
    assert orjson.loads(letter.value or b"") == batch[1]


def test_the_same_bad_event_is_one_letter(scene: Scene) -> None:
    """A client that repeats what is refused does not fill the dead letters: the id is the same again."""
    for _ in range(2):
        scene.post(event(data=feature(title=None)))

    one, other = scene.letters()
    assert one.id == other.id
    assert one.value == orjson.dumps(event(data=feature(title=None)))


def test_the_same_event_twice_in_a_batch(scene: Scene) -> None:
    """It has the same outcome and goes to Kafka once."""
    answer = scene.post([event(), event()], BATCH)

    assert [one["outcome"] for one in answer.json()["events"]] == ["accepted", "accepted"]
    assert len(scene.changes()) == 1


BAD_ATTRIBUTES = [
    ({"specversion": "0.3"}, "/specversion", "envelope.specversion"),
    ({"id": None}, "/id", "envelope.missing"),
    ({"id": 7}, "/id", "envelope.text"),
    ({"id": "a\r\nx: y"}, "/id", "envelope.text"),
    ({"id": "x" * 300}, "/id", "envelope.text"),
    ({"time": None}, "/time", "envelope.missing"),
    ({"time": "2026-11-23T09:15:00"}, "/time", "envelope.time"),
    ({"time": "2026-11-23T09:15:00-00:00"}, "/time", "envelope.time"),
    ({"time": "2999-01-01T00:00:00Z"}, "/time", "envelope.time-ahead"),
    ({"source": "works-register"}, "/source", "identity.system"),
    ({"type": "nl.samenloop.plan.v9"}, "/type", "envelope.type"),
    ({"hubmode": "shadow"}, "/hubmode", "envelope.label"),
    ({"subject": None}, "/subject", "identity.plan-id"),
    ({"subject": f"{SYSTEM}x:plan:1"}, "/data/properties/id", "identity.plan-id"),
    ({"datacontenttype": "text/csv"}, "/datacontenttype", "envelope.content-type"),
    ({"No-Name": "x"}, "", "envelope.name"),
]


@pytest.mark.parametrize(("attributes", "place", "code"), BAD_ATTRIBUTES)
def test_attributes_that_cannot_be(scene: Scene, attributes: dict[str, Any], place: str, code: str) -> None:
    """400, with the attribute's place and a code."""
    answer = scene.post(event(**attributes))

    assert answer.status_code == 400
    assert codes(answer)[place] == code
    assert scene.changes() == []


BAD_DATA = [
    ({"title": 7}, "title", "record.value"),
    ({"title": "x" * 201}, "title", "record.too-long"),
    ({"title": "a\x00b"}, "title", "record.value"),
    ({"phase": "SOON"}, "phase", "record.value"),
    ({"ground_disturbing": 1}, "ground_disturbing", "record.value"),
    ({"max_depth_m": "2"}, "max_depth_m", "record.value"),
    ({"period": {"start": 20270301}}, "period/start", "date.unparseable"),
    ({"period": {"start": "2027-W09-1"}}, "period/start", "date.unparseable"),
    ({"period": {"start": "2027-03-02", "end": "2027-03-01"}}, "period/end", "period.end-before-start"),
    ({"period": {"start": "2027-03-02", "earliest_start": "2027-03-05"}}, "period", "period.window"),
    ({"work_kinds": ["urn:samenloop:work-kind:sewr"]}, "work_kinds/0", "record.work-kind"),
    ({"work_kinds": ["urn:x:y"] * 51}, "work_kinds", "record.too-long"),
    ({"source_fields": {"a": 1}}, "source_fields/a", "record.value"),
    ({"local_id": "other"}, "local_id", "identity.plan-id"),
    ({"system": f"{SYSTEM}-2"}, "system", "mandate.system"),
    ({"id": f"{SYSTEM}:plan:9"}, "id", "identity.plan-id"),
    ({"visibilty": "PUBLIC"}, "visibilty", "record.unknown-key"),
    ({"confirmed_at": "yesterday"}, "confirmed_at", "date.unparseable"),
]


@pytest.mark.parametrize(("properties", "place", "code"), BAD_DATA)
def test_plans_that_cannot_be(scene: Scene, properties: dict[str, Any], place: str, code: str) -> None:
    """400, with the place in the body; what is no text, number or truth value is not made into one."""
    answer = scene.post(event(data=feature(**properties)))

    assert answer.status_code == 400
    assert codes(answer) == {f"/data/properties/{place}": code}
    assert len(scene.letters()) == 1


def test_all_problems_at_once(scene: Scene) -> None:
    """Envelope and data are told together, with a hint for a misspelt key."""
    answer = scene.post(event(id=None, time="soon", data=feature(titel="x", title=None, phase=3)))

    assert set(codes(answer)) == {
        "/id", "/time", "/data/properties/titel", "/data/properties/title", "/data/properties/phase",
    }  # fmt: skip
    assert "did you mean title?" in answer.text
    twice = scene.post(event(data=orjson.dumps(feature()).decode()))
    assert "expected a JSON object, as it is and not as text" in twice.text


PLACES: list[tuple[Any, Any, str, str]] = [
    ("Point", [500.0, 52.0], "", "geometry.outside-crs"),
    ("Point", [52.1, 5.1], "", "geometry.axes-swapped"),
    ("Point", [], "", "geometry.empty"),
    ("Point", ["a", "b"], "", "geometry.unparseable"),
    ("Point", [None, None], "", "geometry.unparseable"),
    ("LineString", [[5.1, 52.1]], "", "geometry.unparseable"),
    ("LineString", [], "", "geometry.empty"),
    ("Polygon", [[[5.1, 52.1], [5.2, 52.1], [5.2, 52.2]]], "", "geometry.unparseable"),
    ("MultiPoint", [[5.1, 52.1]] * 20_000 + [[5.2, 52.1]], "/coordinates", "record.too-long"),
    ("MultiPolygon", [[[[5.1, 52.1]] * 20_001]], "", "geometry.too-detailed"),
    ("Circle", [5.1, 52.1], "/type", "record.value"),
    ("Point", {"x": 1}, "/coordinates", "record.value"),
]


@pytest.mark.parametrize(("kind", "coordinates", "place", "code"), PLACES)
def test_places_that_cannot_be(scene: Scene, kind: str, coordinates: Any, place: str, code: str) -> None:
    """A place is a place: finite, not empty, not too detailed, and somewhere on the hub's map."""
    data = {**feature(), "geometry": {"type": kind, "coordinates": coordinates}}
    answer = scene.post(event(data=data))

    assert answer.status_code == 400
    assert codes(answer) == {f"/data/geometry{place}": code}


def test_crs_by_name(scene: Scene) -> None:
    """RD is taken by its URI or short name; an unknown CRS is named."""
    rd = {"type": "Point", "coordinates": [155000.0, 463000.0, 3.0]}
    for name in ("EPSG:28992", "http://www.opengis.net/def/crs/EPSG/0/28992"):
        assert scene.post(event(data={**feature(crs=name), "geometry": rd})).status_code == 202
    unknown = scene.post(event(data={**feature(crs="EPSG:999999"), "geometry": rd}))

    places = {change.plan.geometry for change in scene.changes() if change.plan}
    assert {place.crs for place in places if place} == {"http://www.opengis.net/def/crs/EPSG/0/28992"}
    assert len(places) == 1
    assert codes(unknown) == {"/data/geometry/crs": "geometry.crs-unknown"}


def test_only_the_owner_speaks(scene: Scene) -> None:
    """403 for another's system and for an owner outside the mandate; a mandate lets an owner in."""
    others = event(source=SYSTEM.replace(OIN, "00000099000000001003"), subject=None)
    stolen = scene.post(event(), key=OTHERS_KEY)
    foreign = scene.post(event(data=feature(owner={"oin": "00000099000000001009"})))
    mandated = scene.post(
        {**others, "subject": f"{others['source']}:plan:1", "data": feature(owner={"oin": OIN})}, key=OTHERS_KEY
    )

    assert (stolen.status_code, codes(stolen)) == (403, {"/source": "mandate.caller"})
    assert (foreign.status_code, codes(foreign)) == (403, {"/data/properties/owner/oin": "owner.not-mandated"})
    assert stolen.json()["type"] == "https://hub.example/problems/not-yours"
    assert mandated.status_code == 202, mandated.text
    assert [letter.reason for letter in scene.letters()] == [DeadReason.AUTHORISATION]


def test_personal_data_is_left_out(scene: Scene) -> None:
    """Text with a telephone number or an address is withheld and said, fields that name a person are dropped."""
    data = feature(
        description="Bel Jan op 06 12345678", source_fields={"behandelaar": "J. Jansen", "nummer": "12", "x": "a@b.nl"}
    )
    answer = scene.post(event(data=data))

    (change,) = scene.changes()
    assert change.plan is not None
    assert (change.plan.description, dict(change.plan.source_fields)) == (None, {"nummer": "12"})
    assert {note["code"] for note in answer.json()["events"][0]["notes"]} == {
        "personal.text-withheld", "personal.dropped",
    }  # fmt: skip


def test_personal_data_makes_no_letter_with_content(scene: Scene) -> None:
    """A refused event that holds personal data keeps its digest only."""
    scene.post(event(data=feature(phase=1, description="Bel Jan op 06 12345678")))

    (letter,) = scene.letters()
    assert letter.value is None
    assert letter.value_sha256 is not None


def test_left_out_visibility_is_the_safe_one(scene: Scene) -> None:
    """Who says nothing shares nothing; null means absent."""
    scene.post(event(data=feature(visibility=None)))

    (change,) = scene.changes()
    assert change.plan is not None
    assert change.plan.visibility is Visibility.RESTRICTED


def test_kafka_away(scene: Scene) -> None:
    """503 with Retry-After; nothing is said to be taken, and the same request works later."""
    scene.kafka.away = True
    answer = scene.post([event(), event(id="x", data=feature(title=None))], BATCH)
    scene.kafka.away = False

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"].endswith("/unavailable")
    assert "accepted" not in answer.json()
    assert scene.post(event()).status_code == 202


MALFORMED = [
    (b"", STRUCTURED, 400, "json.unreadable"),
    (b"{", STRUCTURED, 400, "json.unreadable"),
    (b'{"a": NaN}', STRUCTURED, 400, "json.unreadable"),
    (b"\xff\xfe", STRUCTURED, 400, "json.unreadable"),
    (b"[" * 5000, STRUCTURED, 400, "json.unreadable"),
    (b"[" * 900 + b"]" * 900, STRUCTURED, 400, "json.too-deep"),
    (b'{"data":' + b'{"a":' * 40 + b"1" + b"}" * 41, STRUCTURED, 400, "json.too-deep"),
    (b"{}", BATCH, 400, "json.type"),
    (b"[1]", BATCH, 400, "json.type"),
    (b"{}", "application/json", 400, "envelope.missing"),
    (b"{}", "text/plain", 415, None),
    (b"{}", f"{STRUCTURED}; charset=latin1", 415, None),
]


@pytest.mark.parametrize(("body", "content_type", "status", "code"), MALFORMED)
def test_what_is_no_request(scene: Scene, body: bytes, content_type: str, status: int, code: str | None) -> None:
    """Bodies that are no JSON, too deep, or of another kind: a problem, never a crash."""
    answer = scene.post(body, content_type)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert code is None or code in codes(answer).values()


def test_brackets_in_a_text_are_no_depth(scene: Scene) -> None:
    """Only real nesting counts."""
    assert scene.post(event(data=feature(description="[" * 200))).status_code == 202


def test_too_large() -> None:
    """413 for too many bytes, announced or not, and for too many events."""
    scene = make_scene(max_body_megabytes=0.01, max_batch_events=2)
    announced = scene.post(b"x" * 20_000)
    streamed = scene.client.post(
        "/v1/events",
        content=(b"x" * 1000 for _ in range(20)),
        headers={"authorization": f"Bearer {KEY}", "content-type": STRUCTURED},
    )
    many = scene.post([{}, {}, {}], BATCH)

    assert [answer.status_code for answer in (announced, streamed, many)] == [413] * 3
    assert many.json()["type"].endswith("/too-large")


@pytest.mark.parametrize("name", ["ce-id", "ce-source", "content-type"])
def test_headers_twice(scene: Scene, name: str) -> None:
    """A header that stands twice says two things: refused, whichever comes first."""
    headers = [("authorization", f"Bearer {KEY}"), ("content-type", "application/geo+json")]
    headers += [(f"ce-{one}", str(EVENT[one])) for one in ("specversion", "id", "source", "type", "time", "subject")]
    again = (name, dict(headers)[name])
    answer = scene.client.post("/v1/events", content=orjson.dumps(EVENT["data"]), headers=[*headers, again])

    assert answer.status_code == 400
    assert codes(answer) == {name: "envelope.repeated-header"}
    assert scene.kafka.outputs == []


def test_compressed_bodies_are_not_unpacked(scene: Scene) -> None:
    """415: a small body that unpacks to a large one is an attack."""
    assert scene.post(event(), **{"content-encoding": "gzip"}).status_code == 415


def test_nothing_of_the_payload_comes_back(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither answers nor logs hold what was sent."""
    secret = "Geheimzinnig"
    answer = scene.post(event(data=feature(title=[secret], phase=secret, description=7)))
    logged = capsys.readouterr()

    assert answer.status_code == 400
    assert secret not in answer.text + logged.err + logged.out
    assert logging.getLogger().level >= logging.WARNING
