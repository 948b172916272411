"""Why Kafka and we do not come together: told apart from a Kafka that is only away, and in words."""

from __future__ import annotations

import socket
import ssl
import time
from typing import Final

from confluent_kafka import KafkaError, KafkaException

from samenloop.errors import BadSettings, Retry
from samenloop.kafka import clients
from samenloop.settings import Kafka

NOT_ALLOWED: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
"""What Kafka says to a principal that has no right to something."""
ADVICE: Final = "the principal has no right to it; `samenloop access apply` grants what each process needs"
_ASK_SECONDS: Final = 5.0
_WORDS: Final = (
    ("certificate verify failed", "kafka.ssl_ca_location: the certificate of Kafka is not signed by this authority"),
    ("hostname mismatch", "kafka.bootstrap_servers: the certificate of Kafka is for another host"),
    ("ip address mismatch", "kafka.bootstrap_servers: the certificate of Kafka is for another host"),
    ("wrong version number", "kafka.security_protocol: Kafka does not speak TLS there"),
    ("plaintext broker listener", "kafka.security_protocol: Kafka does not speak TLS there"),
    ("authentication failed", "kafka.sasl_username: Kafka does not know user {user} with this password"),
    ("unsupported sasl mechanism", "kafka.sasl_mechanism: Kafka does not take {mechanism} there"),
    ("certificate required", "kafka.ssl_certificate_location: Kafka wants a client certificate there"),
    ("unknown ca", "kafka.ssl_certificate_location: Kafka does not trust who signed our certificate"),
    ("alert certificate unknown", "kafka.ssl_certificate_location: Kafka does not trust who signed our certificate"),
    ("bad certificate", "kafka.ssl_certificate_location: Kafka does not take our certificate"),
)


def refused(error: KafkaError, what: str) -> Retry:
    """Return what is to be raised for *error* about *what*: no right to it, or Kafka away."""
    if error.code() in NOT_ALLOWED:
        return Retry("kafka.refused", f"{what}: {error.str()}; {ADVICE}")
    return Retry("kafka.unavailable", f"{what}: {error.str()}")


def shake_hands(kafka: Kafka, *, patience_seconds: float = _ASK_SECONDS) -> None:
    """Connect once. Raises BadSettings when Kafka or we refuse the other, Retry when nobody answers in time."""
    heard: list[str] = []
    admin = clients.administrator(kafka, on_error=lambda error: heard.append(error.str()))
    until = time.monotonic() + patience_seconds
    while True:
        asked = admin.describe_cluster(request_timeout=_ASK_SECONDS)
        while not asked.done() and time.monotonic() < until:
            admin.poll(0.05)
            _raise_known(heard, kafka)
        try:
            asked.result(0.1)
            return
        except (KafkaException, TimeoutError) as error:
            admin.poll(0)
            _raise_known([*heard, str(error)], kafka)
            if time.monotonic() > until:
                said = heard[-1] if heard else str(error)
                if not kafka.security_protocol.endswith("SSL") and _speaks_tls(kafka):
                    problem = "kafka.security_protocol: Kafka speaks TLS there; expected SASL_SSL or SSL"
                    raise BadSettings([problem]) from error
                detail = f"{kafka.bootstrap_servers} does not answer, or not by {kafka.security_protocol}: {said}"
                raise Retry("kafka.unavailable", detail) from error


def _speaks_tls(kafka: Kafka) -> bool:
    """Whether a TLS handshake succeeds; whose certificate it is does not matter, for nothing is said."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    host, _, port = kafka.bootstrap_servers.partition(",")[0].strip().rpartition(":")
    try:
        with (
            socket.create_connection((host.strip("[]"), int(port)), _ASK_SECONDS) as plain,
            anybody.wrap_socket(plain),
        ):
            return True
    except (OSError, ValueError):
        return False


def _raise_known(heard: list[str], kafka: Kafka) -> None:
    for said in heard:
        for words, problem in _WORDS:
            if words in said.lower():
                raise BadSettings([problem.format(user=kafka.sasl_username, mechanism=kafka.sasl_mechanism)])
