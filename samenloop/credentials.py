"""How a process shows itself to Kafka and to the registry: each under a principal of its own.

`kafka.credentials_dir` holds a folder for each principal with what Kafka wants of it: `password` (SCRAM), or `user.crt`
and `user.key` (mutual TLS): the names that Strimzi gives them in the secret of a user. What the settings name
themselves (`sasl_username`, `ssl_certificate_location`) goes before the folder. Secrets are read once, at the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from samenloop.errors import BadSettings
from samenloop.settings import Hub, Kafka, Registry

OPERATOR: Final = "operator"
"""Who a person at the command line is."""
SETUP: Final = "setup"
"""Who makes topics."""
ADMIN: Final = "admin"
"""Who gives rights: a super user of the cluster, and no process of the hub."""
PASSWORD, CERTIFICATE, KEY = "password", "user.crt", "user.key"
"""Files in the folder of a principal."""
_MOST_BYTES = 4096
_WITHIN: Final = {
    ("sasl_mechanism", "sasl_username", "sasl_password", "sasl_password_file"): ("SASL_SSL", "SASL_PLAINTEXT"),
    ("ssl_ca_location", "ssl_certificate_location", "ssl_key_location"): ("SASL_SSL", "SSL"),
    ("credentials_dir",): ("SASL_SSL", "SSL", "SASL_PLAINTEXT"),
}
"""Settings, and the protocols with which they mean something."""


def source_principal(source: str) -> str:
    """Return the principal of a source of the settings."""
    return f"source-{source}"


def principal_on_wire(prefix: str, principal: str) -> str:
    """Return the user name of a principal: hubs of other prefixes on one cluster have others."""
    return f"{prefix}{principal}"


def signed_in(hub: Hub, principal: str) -> Hub:
    """Return *hub* with the credentials of *principal* read from where the settings say.

    Raises BadSettings with every problem at once: files that are missing, settings that contradict each other.
    """
    problems: list[str] = []
    kafka, registry = _kafka(hub.kafka, principal, problems), _registry(hub.registry, problems)
    if problems:
        raise BadSettings(problems)
    return hub.model_copy(update={"kafka": kafka, "registry": registry})


def check(hub: Hub, principals: Iterable[str] = ()) -> None:
    """Raise BadSettings with all that keeps these *principals* from signing in; with none, what keeps everybody."""
    problems: list[str] = [*_contradictions(hub.kafka)]
    _registry(hub.registry, problems)
    for principal in principals:
        _kafka(hub.kafka, principal, problems)
    if problems:
        raise BadSettings(list(dict.fromkeys(problems)))


def _kafka(kafka: Kafka, principal: str, problems: list[str]) -> Kafka:
    problems += _contradictions(kafka)
    sasl, tls = kafka.security_protocol.startswith("SASL"), kafka.security_protocol.endswith("SSL")
    folder = kafka.credentials_dir / principal if kafka.credentials_dir else None
    found: dict[str, Any] = {}
    if tls and kafka.ssl_ca_location is not None:
        _readable("kafka.ssl_ca_location", kafka.ssl_ca_location, problems)
    if sasl:
        found = _scram(kafka, principal, folder, problems)
    if tls:
        found |= _certificate(kafka, folder if not sasl else None, problems)
    return kafka.model_copy(update=found)


def _contradictions(kafka: Kafka) -> Iterator[str]:
    """A setting that would silently be without effect is a hole that nobody sees."""
    protocol = kafka.security_protocol
    for keys, protocols in _WITHIN.items():
        for key in keys:
            if protocol not in protocols and getattr(kafka, key) is not None:
                yield f"kafka.{key}: has no effect with security_protocol {protocol}; expected {protocols[0]}"
    if protocol == "SASL_PLAINTEXT" and kafka.sasl_mechanism == "PLAIN":
        yield "kafka.sasl_mechanism: PLAIN would send the password readable; expected SCRAM-SHA-512, or SASL_SSL"
    if kafka.sasl_password is not None and kafka.sasl_password_file is not None:
        yield "kafka.sasl_password_file: is given beside sasl_password; expected one of them"
    if (kafka.ssl_certificate_location is None) != (kafka.ssl_key_location is None):
        yield "kafka.ssl_certificate_location and ssl_key_location: only one is given, expected both or neither"


def _scram(kafka: Kafka, principal: str, folder: Path | None, problems: list[str]) -> dict[str, Any]:
    mechanism = kafka.sasl_mechanism or "SCRAM-SHA-512"
    user, password = kafka.sasl_username, kafka.sasl_password
    if user is None and folder is not None:
        user = principal_on_wire(kafka.prefix, principal)
        password = _secret("kafka.credentials_dir", folder / PASSWORD, problems)
    elif kafka.sasl_password_file is not None:
        password = _secret("kafka.sasl_password_file", kafka.sasl_password_file, problems)
    elif user is None or password is None:
        problems.append(
            f"kafka.sasl_username: no user and password for security_protocol {kafka.security_protocol}; expected "
            "sasl_username with sasl_password or sasl_password_file, or credentials_dir"
        )
    return {"sasl_mechanism": mechanism, "sasl_username": user, "sasl_password": password, "sasl_password_file": None}


def _certificate(kafka: Kafka, folder: Path | None, problems: list[str]) -> dict[str, Any]:
    certificate, key = kafka.ssl_certificate_location, kafka.ssl_key_location
    where = "kafka.ssl_certificate_location"
    if certificate is None and key is None and folder is not None:
        certificate, key, where = folder / CERTIFICATE, folder / KEY, "kafka.credentials_dir"
    for path in (certificate, key):
        if path is not None:
            _readable(where, path, problems)
    return {"ssl_certificate_location": certificate, "ssl_key_location": key}


def _registry(registry: Registry, problems: list[str]) -> Registry:
    password = registry.password
    if not registry.url.startswith("https:"):
        for key in ("ssl_ca_location", "username"):
            if getattr(registry, key) is not None and not (key == "username" and _on_loopback(registry.url)):
                problems.append(f"registry.{key}: registry.url is not https; expected an https address")
    if registry.ssl_ca_location is not None:
        _readable("registry.ssl_ca_location", registry.ssl_ca_location, problems)
    if registry.password is not None and registry.password_file is not None:
        problems.append("registry.password_file: is given beside password; expected one of them")
    elif registry.password_file is not None:
        password = _secret("registry.password_file", registry.password_file, problems)
    if (registry.username is None) != (registry.password is None and registry.password_file is None):
        problems.append("registry.username and password: only one is given, expected both or neither")
    return registry.model_copy(update={"password": password, "password_file": None})


def _on_loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _readable(setting: str, path: Path, problems: list[str]) -> bytes | None:
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except OSError as error:
        problems.append(f"{setting}: {path} cannot be read ({error.strerror})")
        return None
    if not content.strip():
        problems.append(f"{setting}: {path} is empty")
    return content


def _secret(setting: str, path: Path, problems: list[str]) -> SecretStr | None:
    content = _readable(setting, path, problems)
    if content is None:
        return None
    try:
        return SecretStr(content.decode("utf-8").strip("\r\n"))
    except UnicodeDecodeError:
        problems.append(f"{setting}: {path} is not text")
        return None
