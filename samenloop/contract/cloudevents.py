"""The envelope: CloudEvents 1.0 with the NL GOV profile 1.1, binary mode, as Kafka headers.

Attribute names are lower case a-z and 0-9, at most 20 characters. No `ce_sequence`: our numbers are per plan and per
subscription and travel in the payload.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache

from samenloop.errors import Reject
from samenloop.model import Clearance, Visibility
from samenloop.stage import Headers
from samenloop.value import value

CLASSIFICATION = {
    Visibility.RESTRICTED: "restricted",
    Visibility.GROUP: "confidential",
    Visibility.PARTNERS: "internal",
    Visibility.PUBLIC: "public",
}
"""Data classification of a record by the visibility of what is in it."""

HUB_MODES = ("live", "replay")
SPEC_VERSION = ("ce_specversion", b"1.0")
CONTENT_TYPE = ("content-type", b"application/avro")
_LABELS = {label.encode(): label for label in CLASSIFICATION.values()}
_KNOWN = frozenset(CLASSIFICATION.values())
_MODES = {mode.encode(): mode for mode in HUB_MODES}
REQUIRED = {
    "ce_id", "ce_source", "ce_type", "ce_time", "ce_subject", "ce_partitionkey", "ce_dataschema", "ce_correlationid",
    "ce_dataclassification", "ce_hubmode", "ce_specversion",
}  # fmt: skip
"""Headers without which an event is refused."""


@value(kw_only=True)
class Envelope:
    """What the headers of one event say; *time* is aware and is when the source recorded it.

    *correlationid* is the first event of the chain, *causationid* the one directly before. *subject* is a plan,
    finding or subscription id, never a person. *traceparent* is the W3C value of the starting span.
    """

    id: str
    source: str
    type: str
    time: datetime
    subject: str
    partitionkey: str
    correlationid: str
    causationid: str | None = None
    classification: str = "restricted"
    hubmode: str = "live"
    traceparent: str | None = None


def classification(visibility: Visibility | Clearance) -> str:
    """Return the classification label of a visibility."""
    return CLASSIFICATION[Visibility(visibility)]


def headers(envelope: Envelope, *, tombstone: bool = False) -> Headers:
    """Return the headers of one event but for `ce_dataschema`, which is the topic's.

    Raises Reject("envelope.…") for a label that is not known and for a naive time.
    """
    if envelope.classification not in _KNOWN or envelope.hubmode not in HUB_MODES:
        raise Reject("envelope.label", "an unknown classification or hub mode")
    attributes: Headers = (
        SPEC_VERSION,
        ("ce_id", envelope.id.encode()),
        _text("ce_source", envelope.source),
        _text("ce_type", envelope.type),
        ("ce_time", timestamp(envelope.time)),
        ("ce_subject", envelope.subject.encode()),
        ("ce_partitionkey", envelope.partitionkey.encode()),
        ("ce_correlationid", envelope.correlationid.encode()),
        _text("ce_dataclassification", envelope.classification),
        _text("ce_hubmode", envelope.hubmode),
    )
    if envelope.causationid is not None:
        attributes += (("ce_causationid", envelope.causationid.encode()),)
    if envelope.traceparent is not None:
        attributes += (("ce_traceparent", envelope.traceparent.encode()),)
    return attributes if tombstone else (*attributes, CONTENT_TYPE)


@lru_cache(maxsize=4096)
def _text(name: str, value: str) -> tuple[str, bytes]:
    """Return a header whose value repeats from event to event, made once."""
    return name, value.encode()


@lru_cache(maxsize=4096)
def timestamp(instant: datetime) -> bytes:
    """Return an aware instant as RFC 3339 in UTC with six decimals and `Z`. Raises Reject("envelope.time")."""
    if instant.tzinfo is not UTC:
        if instant.tzinfo is None:
            raise Reject("envelope.time", "an instant without a time zone, expected an aware one", field="ce_time")
        instant = instant.astimezone(UTC)
    return f"{instant.isoformat(timespec='microseconds')[:-6]}Z".encode()


def read_envelope(headers: Headers) -> Envelope:
    """Read the envelope of an event.

    Raises Reject("envelope.…"): a repeated, missing or empty header, another CloudEvents version, a time without a
    zone, an unknown label, bytes that are not UTF-8.
    """
    found = dict(headers)
    if len(found) != len(headers):
        _once(headers)
    if not found.keys() >= REQUIRED or not all(found.values()):
        _complete(found)
    if found["ce_specversion"] != b"1.0":
        raise Reject("envelope.specversion", "expected CloudEvents 1.0", field="ce_specversion")
    label, mode = _LABELS.get(found["ce_dataclassification"]), _MODES.get(found["ce_hubmode"])
    if label is None or mode is None:
        raise Reject("envelope.label", "an unknown classification or hub mode")
    cause, trace = found.get("ce_causationid"), found.get("ce_traceparent")
    try:
        return Envelope(
            id=found["ce_id"].decode(),
            source=found["ce_source"].decode(),
            type=found["ce_type"].decode(),
            time=read_timestamp(found["ce_time"].decode()),
            subject=found["ce_subject"].decode(),
            partitionkey=found["ce_partitionkey"].decode(),
            correlationid=found["ce_correlationid"].decode(),
            causationid=None if cause is None else cause.decode(),
            classification=label,
            hubmode=mode,
            traceparent=None if trace is None else trace.decode(),
        )
    except UnicodeDecodeError as error:
        raise Reject("envelope.text", "a header is not UTF-8 text") from error


def _complete(found: Mapping[str, bytes]) -> None:
    """Raises Reject("envelope.missing") for the first header that must be there and is not, or is empty."""
    for name in sorted(REQUIRED):
        if not found.get(name):
            raise Reject("envelope.missing", f"the header {name} is missing or empty", field=name)


def _once(headers: Headers) -> None:
    """Kafka lets a header stand twice. Raises Reject("envelope.repeated-header") for one of ours."""
    seen: set[str] = set()
    for name, _ in headers:
        if name.startswith("ce_") and name in seen:
            raise Reject("envelope.repeated-header", f"the header {name} is there twice", field=name)
        seen.add(name)


@lru_cache(maxsize=4096)
def read_timestamp(text: str) -> datetime:
    """Return the instant of an RFC 3339 text, in UTC; any offset but `-00:00`. Raises Reject("envelope.time")."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Reject("envelope.time", "expected a time such as 2026-11-23T09:15:00Z", field="ce_time") from error
    if instant.tzinfo is None or text.endswith("-00:00"):
        raise Reject("envelope.time", "expected a time with Z or a known offset", field="ce_time")
    return instant.astimezone(UTC)
