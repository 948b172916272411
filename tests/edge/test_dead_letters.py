"""Dead letters for those whose records they are: seen, offered again, discarded, and nobody else's."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from edge.documented import OIN
from edge.shelf import Index
from samenloop.dead_letter_desk import Result
from samenloop.dead_letters import Entry, state_of
from samenloop.model import DeadLetter, DeadLetterStatus, DeadReason, Header
from tests.edge.scenes import HUB_URN, NOW, OTHER, OTHERS_KEY, READER, Scene, codes, event
from tests.edge.test_subscriptions import begin

PATH = "/v1/dead-letters"
SYSTEM = f"urn:nld:oin:{OIN}:systeem:works-register"


def letter(number: int, *, oin: str = OIN, **other: Any) -> DeadLetter:
    """Return the letter of a change that `consolidate` set aside."""
    system = f"urn:nld:oin:{oin}:systeem:works-register"
    made = DeadLetter(
        id=UUID(int=number), code="record.plan", detail="a change carries the whole plan", stage="consolidate",
        retryable=False, failed_at=NOW + timedelta(seconds=number), reason=DeadReason.VALIDATION, system=system,
        topic="plan-changes", partition=0, offset=number, key=f"{system}:plan:{number}".encode(), value=b"\x00bytes",
        headers=(Header("ce_source", system.encode()),),
    )  # fmt: skip
    return replace(made, **other)


def test_own_letters_with_their_bytes(scene: Scene) -> None:
    """The list has no bytes, the letter itself has them in base64; another's is 404 as one that never was."""
    scene.shelf.letters += [letter(1), letter(2, oin=OTHER)]
    found = scene.ask("GET", PATH).json()["dead_letters"]
    whole = scene.ask("GET", f"{PATH}/{UUID(int=1)}").json()
    theirs, absent = (scene.ask("GET", f"{PATH}/{UUID(int=number)}") for number in (2, 3))

    assert [one["id"] for one in found] == [str(UUID(int=1))]
    assert (found[0]["status"], found[0]["replayable"]) == ("OPEN", True)
    assert "value_base64" not in found[0]
    assert base64.b64decode(whole["value_base64"]) == b"\x00bytes"
    assert whole["headers"] == {"ce_source": SYSTEM}
    assert (theirs.status_code, absent.status_code) == (404, 404)
    assert {**theirs.json(), "instance": ""} == {**absent.json(), "instance": ""}


def test_a_letter_that_names_two_is_shown_to_neither(scene: Scene) -> None:
    """A record that speaks for another's plan or restriction holds the words of one and the name of the other."""
    for number, kind in enumerate(("plan", "restriction")):
        scene.shelf.letters.append(letter(number, key=f"urn:nld:oin:{OTHER}:systeem:x:{kind}:1".encode()))

    assert scene.ask("GET", PATH).json() == {"dead_letters": []}
    assert scene.ask("GET", PATH, key=OTHERS_KEY).json() == {"dead_letters": []}


def test_replay(scene: Scene) -> None:
    """It says what came of it, and a second time 409; it is listed no more, but with `status=all`."""
    scene.shelf.letters.append(letter(1))
    told = scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay")
    again = scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay")

    assert (told.status_code, told.json()["status"]) == (200, "TAKEN")
    assert again.status_code == 409
    assert scene.ask("GET", PATH).json() == {"dead_letters": []}
    (shown,) = scene.ask("GET", f"{PATH}?status=all").json()["dead_letters"]
    assert [(done["status"], done["by"]) for done in shown["done"]] == [("TAKEN", "you")]
    assert scene.shelf.states[0].by == f"partner {OIN}"


def test_a_replay_that_fails_again_says_so(scene: Scene) -> None:
    """The answer names the letter that it became."""
    scene.shelf.letters.append(letter(1))
    scene.shelf.outcome = Result(Entry(letter(1)), DeadLetterStatus.FAILED_AGAIN, "again", UUID(int=2))
    told = scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay").json()

    assert (told["status"], told["successor"]) == ("FAILED_AGAIN", str(UUID(int=2)))
    assert "failed again" in told["detail"]


@pytest.mark.parametrize(
    ("other", "word"),
    [({"topic": None, "stage": "edge"}, "send it again"), ({"value": None, "value_sha256": bytes(32)}, "too large")],
)
def test_what_cannot_be_offered_again(scene: Scene, other: dict[str, Any], word: str) -> None:
    """409 says what to do instead, in words for a partner."""
    scene.shelf.letters.append(letter(1, **other))
    answer = scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay")

    assert answer.status_code == 409
    assert word in answer.json()["detail"]
    assert "samenloop run" not in answer.text


def test_what_was_superseded(scene: Scene) -> None:
    """The desk's own refusal is a 409 with its reason."""
    scene.shelf.letters.append(letter(1))
    scene.shelf.outcome = Result(Entry(letter(1)), None, "a newer record with its key came after it")
    answer = scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay")

    assert (answer.status_code, "newer record" in answer.text) == (409, True)


def test_discard(scene: Scene) -> None:
    """A reason must be given; it is kept with who did it."""
    scene.shelf.letters.append(letter(1))
    path = f"{PATH}/{UUID(int=1)}/discard"
    empty, missing = scene.ask("POST", path), scene.ask("POST", path, {})
    told = scene.ask("POST", path, {"reason": "a test record"})
    again = scene.ask("POST", path, {"reason": "a test record"})

    assert (empty.status_code, codes(missing)) == (400, {"/reason": "record.missing"})
    assert told.json()["status"] == "DISCARDED"
    assert scene.shelf.states[0].reason == "a test record"
    assert again.status_code == 409


def test_an_alert_that_was_given_up(scene: Scene) -> None:
    """Its subscriber sees that it was, can have it sent again, and is shown none of it: it may be hidden by now."""
    made = begin(scene)
    given_up = letter(
        1, topic="alerts", key=made["id"].encode(), stage="webhook", code="delivery.given-up", system=None,
        headers=(Header("ce_source", HUB_URN.encode()),),
    )  # fmt: skip
    scene.shelf.letters.append(given_up)
    whole = scene.ask("GET", f"{PATH}/{UUID(int=1)}").json()

    assert (whole["subscription"], whole["code"], whole["replayable"]) == (made["id"], "delivery.given-up", True)
    assert not {"value_base64", "key", "headers"} & set(whole)
    assert scene.ask("GET", PATH, key=OTHERS_KEY).json() == {"dead_letters": []}
    assert scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay", key=OTHERS_KEY).status_code == 404
    assert scene.ask("POST", f"{PATH}/{UUID(int=1)}/replay").status_code == 200


def test_pages(scene: Scene) -> None:
    """Every open letter stands on one page; one that is dealt with meanwhile does not break the way on."""
    scene.shelf.letters += [letter(number) for number in range(1, 6)]
    first = scene.ask("GET", f"{PATH}?limit=2").json()
    last = first["dead_letters"][-1]["id"]
    scene.ask("POST", f"{PATH}/{last}/discard", {"reason": "no"})
    second = scene.ask("GET", first["next"].removeprefix("https://hub.example")).json()
    third = scene.ask("GET", second["next"].removeprefix("https://hub.example")).json()

    seen = [one["id"] for page in (first, second, third) for one in page["dead_letters"]]
    assert seen == [str(UUID(int=number)) for number in range(1, 6)]
    assert "next" not in third


def test_what_the_edge_refuses_is_a_letter_of_its_sender(scene: Scene) -> None:
    """The id in the answer to an event that was refused leads to the letter."""
    refused = scene.post(event(data=None)).json()["events"][0]["dead_letter"]
    scene.shelf.letters += scene.letters()

    assert scene.ask("GET", f"{PATH}/{refused}").json()["stage"] == "edge"
    assert scene.ask("GET", f"{PATH}/{refused}", key=OTHERS_KEY).status_code == 404


def test_scope_and_kafka_away(scene: Scene) -> None:
    """403 without the scope, 503 while Kafka does not answer."""
    scene.shelf.away = True

    assert scene.ask("GET", PATH, key=READER).status_code == 403
    assert scene.ask("GET", PATH).status_code == 503


def test_the_index_is_bounded_and_holds_no_bytes() -> None:
    """The oldest letter goes first, with what was done about it; of the others it holds what says whose they are."""
    index = Index(most=2)
    for number in range(1, 4):
        index.take(letter(number), (0, number))
        index.note(state_of(Entry(letter(number)), DeadLetterStatus.DISCARDED, by="me", now=NOW))

    found = index.of(OIN, ())
    assert [one.letter.id.int for one in found] == [2, 3]
    assert [one.status for one in found] == [DeadLetterStatus.DISCARDED] * 2
    assert {one.letter.value for one in found} == {b""}
    assert (index.place(UUID(int=1)), index.place(UUID(int=2))) == (None, (0, 2))


def test_what_this_process_did_counts_before_kafka_tells_it() -> None:
    """And once: when the topic has it, in its order, nothing is told twice."""
    index, entry = Index(), Entry(letter(1))
    index.take(entry.letter, (0, 1))
    offered, took = (
        state_of(entry, status, by="me", now=NOW) for status in (DeadLetterStatus.REPLAYED, DeadLetterStatus.TAKEN)
    )
    index.did(took)
    (before,) = index.of(OIN, ())
    index.note(offered)
    (between,) = index.of(OIN, ())
    index.note(took)
    (after,) = index.of(OIN, ())

    assert [one.status for one in (before, between, after)] == [DeadLetterStatus.TAKEN] * 3
    assert after.done == (offered, took)
