"""What can go wrong with a request: one table, from which the answers, their pages and the reference follow.

Answers are `application/problem+json` (RFC 9457) with all findings at once. They never hold what was sent, the text of
an exception, or whether something exists that the caller may not see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from fastapi import Response

MEDIA_TYPE = "application/problem+json"


class Kind(NamedTuple):
    """One kind of problem: its HTTP status, its title, what it means and what to do about it."""

    status: int
    title: str
    meaning: str
    fix: str


KINDS: dict[str, Kind] = {
    "malformed": Kind(
        400,
        "The request cannot be understood",
        "The body is no JSON, a header or parameter is missing, repeated or has another form than expected.",
        "`errors` names each place; correct the request.",
    ),
    "events-refused": Kind(
        400,
        "No event was taken",
        "Every event of the request was refused for what it says. Each that could be attributed to you is kept as a"
        " dead letter, so nothing is lost.",
        "`errors` and `events` name each event, place and code ([codes](codes.md)). Correct the events and send them"
        " again, with the same ids if you like.",
    ),
    "not-authenticated": Kind(
        401,
        "Who asks is not known",
        "There is no API key, or it is unknown, was revoked, or its partner's access has ended.",
        "Send `Authorization: Bearer <API key>`; the hub's operator makes keys (`samenloop partners key add`). A"
        " browser sends none: `/systems` opens in it where the operator lets everyone read (`edge.public`).",
    ),
    "scope-missing": Kind(
        403,
        "The API key may not do this",
        "The key is in order, but lacks the scope that this needs.",
        "Ask the hub's operator for a key with the scope that `detail` names.",
    ),
    "not-yours": Kind(
        403,
        "The events speak for somebody else",
        "The organisation in an event's `source` is not the key's, or the plan's owner is neither you nor in your"
        " mandate. Nothing was taken.",
        "Send only plans of your own systems; a mandate for other owners is the operator's to give"
        " (`samenloop partners mandate`).",
    ),
    "not-found": Kind(
        404,
        "There is nothing here",
        "The address does not exist, or not for you.",
        "Compare it with the documentation under `/docs`.",
    ),
    "method-not-allowed": Kind(
        405,
        "The method is not possible here",
        "The address exists, but not for this method.",
        "The header `Allow` says which are.",
    ),
    "not-offered": Kind(
        403,
        "This hub does not do that",
        "The hub's operator has not set up what this needs, such as the key that secrets of webhooks derive from"
        " (`delivery.master_key_file`).",
        "Ask the hub's operator.",
    ),
    "not-now": Kind(
        409,
        "It cannot be done as things stand",
        "A subscription that has ended, or a dead letter that was dealt with, or something that changed meanwhile.",
        "`detail` says how it stands; read it again and decide.",
    ),
    "too-many-subscriptions": Kind(
        409,
        "You have as many subscriptions as one partner may have",
        "The hub takes a bounded number from one partner (`edge.max_subscriptions`); those that ended within a day"
        " count as well.",
        "Change a subscription that you have, or end one and wait a day.",
    ),
    "stale": Kind(
        412,
        "It was changed since you read it",
        "The revision in `If-Match` is not the present one. Nothing was changed.",
        "Read it again, and send your change with the revision in its `ETag`.",
    ),
    "precondition-missing": Kind(
        428,
        "The revision is missing",
        "A change must say from which revision it starts, so that nobody undoes unseen what another did.",
        'Send `If-Match: "<revision>"`, which is the `ETag` of what you read.',
    ),
    "too-slow": Kind(
        408,
        "The body did not arrive in time",
        "The request's body was not there after 30 seconds.",
        "Send smaller requests, or over a better connection; nothing of this one was taken.",
    ),
    "cursor-expired": Kind(
        410,
        "The cursor can no longer be continued",
        "It is older than what is kept, the log was made anew since, or it was given to another viewer or under other"
        " rights. What happened in between can no longer be told one by one.",
        "Take a new cursor (`/v1/changes/cursor`), then read the whole collection (`/v1/collections/plans/items`) and"
        " drop what is not in it, then go on from the new cursor. For alerts: `/v1/alerts/cursor` and the collections"
        " of conflicts and opportunities.",
    ),
    "history-expired": Kind(
        410,
        "What was known then is no longer kept",
        "`asOf` lies before the first instant that this process can still answer for.",
        "Ask for an instant from `oldest` on.",
    ),
    "too-large": Kind(
        413,
        "The request is too large",
        "The body has more bytes, or the batch more events, than this hub takes at once (`edge.max_body_megabytes`,"
        " `edge.max_batch_events`).",
        "Send several smaller requests.",
    ),
    "unsupported-media-type": Kind(
        415,
        "The content type is not one of those taken here",
        "The body is announced as something else than this address reads, or is compressed.",
        "`detail` names the content types that are taken; send the body uncompressed.",
    ),
    "too-many-requests": Kind(
        429,
        "Too many requests",
        "Your keys together made more requests than one process of the hub takes from one partner"
        " (`edge.requests_per_minute`, `edge.requests_at_once`), or more unknown keys came from your address than it"
        " looks at (`edge.wrong_keys_per_minute`); a key that is valid is taken all the same.",
        "Wait as long as the header `Retry-After` says; put more events into one request.",
    ),
    "too-many-streams": Kind(
        429,
        "Too many streams are open",
        "You, or all partners together, have as many streams of server-sent events open as one process of the hub"
        " allows (`edge.streams_per_partner`, `edge.streams`).",
        "Close a stream, or ask with `after` every now and then; both tell the same.",
    ),
    "internal": Kind(
        500,
        "The hub made a mistake",
        "Something went wrong that is not your fault.",
        "Send the request again later; tell the operator the `instance`, which stands in the hub's log.",
    ),
    "unavailable": Kind(
        503,
        "The hub cannot answer now",
        "Kafka did not acknowledge everything in time, or the process has just started and is catching up. Nothing was"
        " confirmed: what you sent may or may not have arrived.",
        "Send the same request again after `Retry-After`, with the same ids: what had arrived is not taken twice.",
    ),
}
"""By code, which is the last part of the problem's `type`."""


class Fault(NamedTuple):
    """One finding: where in the body (a JSON pointer) or in which header, a stable code, and a sentence."""

    pointer: str
    code: str
    detail: str
    header: str | None = None

    def form(self) -> dict[str, str]:
        """Return its JSON form."""
        place = {"header": self.header} if self.header else {"pointer": self.pointer}
        return {**place, "code": self.code, "detail": self.detail}


@dataclass
class Problem(Exception):
    """A request that is answered with a problem of the kind *code*; *more* are members of our own."""

    code: str
    detail: str
    errors: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Its row in the table."""
        return KINDS[self.code]


def answer(problem: Problem, *, base_url: str, instance: str) -> Response:
    """Return the answer to a request that has *problem*; *instance* is its trace id, which the log has as well."""
    form: dict[str, Any] = {
        "type": f"{base_url}/problems/{problem.code}",
        "title": problem.kind.title,
        "status": problem.kind.status,
        "detail": problem.detail,
        "instance": instance,
    }
    if problem.errors:
        form["errors"] = [fault.form() for fault in problem.errors]
    return Response(
        orjson.dumps({**form, **problem.more}),
        status_code=problem.kind.status,
        headers={**problem.headers, "Content-Type": MEDIA_TYPE},
    )
