"""The contract: what is on the wire, for everyone. Avro values under CloudEvents headers, one schema per topic."""

from samenloop.contract.cloudevents import CLASSIFICATION, Envelope, classification, read_envelope
from samenloop.contract.codec import Codec
from samenloop.contract.dead_letters import attempt_of, dead_letter, rejected
from samenloop.contract.json_form import from_json, to_feature, to_json
from samenloop.contract.topics import INTERNAL, TOPICS, Topic

__all__ = [
    "CLASSIFICATION", "INTERNAL", "TOPICS", "Codec", "Envelope", "Topic", "attempt_of", "classification", "dead_letter",
    "from_json", "read_envelope", "rejected", "to_feature", "to_json",
]  # fmt: skip
