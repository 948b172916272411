"""The schema registry, by its Confluent-compatible API: look up, register, check, set compatibility.

Ids depend on the order of registration, so none is ever written down. A soft-deleted version leaves the registry's own
check, which is why only a release registers or deletes anything.
"""

from __future__ import annotations

import json
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka.schema_registry import Schema as Text
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.common._httpx_compat import httpx  # the library whose errors the client lets out
from confluent_kafka.schema_registry.error import SchemaRegistryError

from samenloop.contract import files
from samenloop.contract.files import Schema
from samenloop.contract.topics import TOPICS, Topic
from samenloop.errors import BadSettings, Reject, Retry
from samenloop.logs import get_logger

LEVEL = "FULL_TRANSITIVE"
_log = get_logger("registry")
_NOT_FOUND = 404
_CONFLICT = 409


class Registry:
    """One registry. Every method raises Retry("registry.away") when it does not answer."""

    def __init__(self, url: str, *, timeout_s: float = 10.0, retries: int = 1) -> None:
        self.url = url
        self._client = SchemaRegistryClient.new_client(
            {"url": url, "timeout": timeout_s, "max.retries": retries, "retries.wait.ms": 200}
        )
        weakref.finalize(self, self._client.close)

    def schema(self, schema_id: int) -> Schema:
        """Return the schema of an id. Raises Reject("schema.unknown-id")."""
        with _answers():
            try:
                text = self._client.get_schema(schema_id).schema_str
            except SchemaRegistryError as error:
                if error.http_status_code == _NOT_FOUND:
                    raise Reject("schema.unknown-id", f"the registry knows no schema {schema_id}") from error
                raise
        schema: Schema = json.loads(text or "null")
        return schema

    def lookup(self, topic: Topic, prefix: str) -> int:
        """Return the id of our own schema of *topic*. Raises BadSettings when it was never registered."""
        subject = topic.subject(prefix)
        with _answers():
            try:
                return int(self._client.lookup_schema(subject, _text(topic)).schema_id or 0)
            except SchemaRegistryError as error:
                if error.http_status_code == _NOT_FOUND:
                    problem = f"registry {self.url}: {subject}: not registered, run `samenloop schemas register`"
                    raise BadSettings([problem]) from error
                raise

    def register(self, topic: Topic, prefix: str) -> int:
        """Register our own schema of *topic* under FULL_TRANSITIVE and return its id.

        Raises BadSettings with the registry's reasons when it breaks an earlier version.
        """
        return self.register_text(topic.subject(prefix), _text(topic).schema_str or "")

    def register_text(self, subject: str, text: str) -> int:
        """Register a schema text under *subject*, which is set to FULL_TRANSITIVE first. Errors as in `register`."""
        with _answers():
            self._client.set_compatibility(subject_name=subject, level=LEVEL)
            try:
                return int(self._client.register_schema(subject, Text(text, "AVRO")))
            except SchemaRegistryError as error:
                if error.http_status_code == _CONFLICT:
                    raise BadSettings([f"registry {self.url}: {subject}: {error.error_message}"]) from error
                raise

    def fits(self, topic: Topic, prefix: str, schema: Schema | None = None) -> bool:
        """Say whether our own schema of *topic* (or another) fits all registered versions; True when none is there."""
        text = _text(topic) if schema is None else Text(json.dumps(schema), "AVRO")
        with _answers():
            try:
                return bool(self._client.test_compatibility_all_versions(topic.subject(prefix), text))
            except SchemaRegistryError as error:
                if error.http_status_code == _NOT_FOUND:
                    return True
                raise

    def set_level(self) -> None:
        """Make FULL_TRANSITIVE the registry's default."""
        with _answers():
            self._client.set_compatibility(level=LEVEL)

    def level(self, subject: str | None = None) -> str:
        """Return the compatibility level of a subject, or the default."""
        with _answers():
            return str(self._client.get_compatibility(subject))


def register_schemas(url: str, prefix: str) -> list[str]:
    """Register the schema of every topic, and return one line for each: subject and id.

    Sets FULL_TRANSITIVE first, globally and per subject. Raises BadSettings with all incompatible ones, Retry when
    the registry is away.
    """
    registry = Registry(url)
    registry.set_level()
    lines, problems = [], []
    for topic in TOPICS.values():
        try:
            number = registry.register(topic, prefix)
            lines.append(f"{topic.subject(prefix)}: id {number}")
            _log.info("schema.registered", "A schema is registered.", subject=topic.subject(prefix), id=number)
        except BadSettings as error:
            problems += error.problems
    if problems:
        raise BadSettings(problems)
    return lines


def _text(topic: Topic) -> Text:
    return Text(json.dumps(files.current(topic.record.__name__)), "AVRO")


@contextmanager
def _answers() -> Iterator[None]:
    """Translate what the client raises when the registry does not answer, or not as agreed."""
    try:
        yield
    except httpx.TransportError as error:
        raise Retry("registry.away", f"the schema registry does not answer: {type(error).__name__}") from error
    except SchemaRegistryError as error:
        raise Retry("registry.error", f"the schema registry answered {error.http_status_code}") from error
