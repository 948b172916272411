"""Options that many commands share, and what they lead to."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from samenloop import credentials
from samenloop.errors import BadSettings, Retry
from samenloop.settings import Hub, load_hub

if TYPE_CHECKING:
    from samenloop.contract import Codec

Config = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="Settings file; default: $SAMENLOOP_CONFIG, else hub.yaml."),
]
Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print JSON for a machine.")]
Limit = Annotated[int, Parameter(name="--limit", help="Show at most so many, the newest.")]


def hub_of(config: Path | None, principal: str = credentials.OPERATOR) -> Hub:
    """Load the settings with the credentials of *principal*, and set the logs up. Raises BadSettings.

    `local: true` means the local Kafka and registry.
    """
    hub = settings_of(config)
    return credentials.signed_in(_as_started(hub, principal) if hub.local else hub, principal)


def settings_of(config: Path | None) -> Hub:
    """Load the settings as `hub_of` does, without anybody's credentials: for who asks nothing of Kafka."""
    from samenloop import logs

    hub = load_hub(config, os.environ)
    logs.configure("DEBUG" if hub.logs.level == "DEBUG" else "ERROR", hub.logs.form)  # a command speaks for itself
    return _at_local(hub) if hub.local else hub


def local_folder(hub: Hub) -> Path:
    """Return where the local Kafka and registry of these settings keep their data."""
    return hub.data_dir / "local"


def local_key(hub: Hub) -> Path:
    """Return where `samenloop up` puts a master key when the settings of a local hub name none."""
    return hub.data_dir / "master.key"


def local_credentials(hub: Hub) -> Path:
    """Return where the passwords of the principals of a secure local hub are."""
    return hub.data_dir / "local-credentials"


def _at_local(hub: Hub) -> Hub:
    from samenloop.localstack.data import addresses

    delivery = hub.delivery
    if delivery.master_key_file is None:
        delivery = delivery.model_copy(update={"master_key_file": local_key(hub)})
    found = addresses(local_folder(hub))
    if found is None:
        return hub.model_copy(update={"delivery": delivery})
    kafka = hub.kafka.model_copy(update={"bootstrap_servers": found["bootstrap"]})
    registry = hub.registry.model_copy(update={"url": found["registry"]})
    if hub.local_secure:
        ca = local_folder(hub) / "tls" / "ca.crt"
        signs = {"security_protocol": "SASL_SSL", "ssl_ca_location": ca, "credentials_dir": local_credentials(hub)}
        kafka, registry = kafka.model_copy(update=signs), registry.model_copy(update={"ssl_ca_location": ca})
    return hub.model_copy(update={"kafka": kafka, "registry": registry, "delivery": delivery})


def _as_started(hub: Hub, principal: str) -> Hub:
    """The settings must agree with how the local Kafka was started; of a secure one the super user has a listener."""
    from samenloop.localstack.data import addresses

    found, told = addresses(local_folder(hub)), str(hub.local_secure).lower()
    if found is not None and ("admin" in found) != hub.local_secure:
        how = "without --secure" if hub.local_secure else "with --secure"
        raise BadSettings([f"local_secure: is {told}, but the Kafka in {local_folder(hub)} was started {how}"])
    if found is None or principal != credentials.ADMIN or not hub.local_secure:
        return hub
    own = local_folder(hub) / "tls" / credentials.ADMIN
    signs = {
        "ssl_certificate_location": own / credentials.CERTIFICATE,
        "ssl_key_location": own / credentials.KEY,
        "security_protocol": "SSL",
    }
    return hub.model_copy(update={"kafka": hub.kafka.model_copy(update={**signs, "bootstrap_servers": found["admin"]})})


def codec_of(hub: Hub) -> Codec:
    """Return the codec of the hub's registry. Raises Retry when the registry does not answer."""
    from samenloop.contract import Codec

    with reaching(hub):
        return Codec.from_registry(hub.registry, hub.kafka.prefix, host=hub.hub.schema_host)


@contextmanager
def reaching(hub: Hub) -> Iterator[None]:
    """Let a Kafka or registry that cannot be used be told with its address and what to do."""
    try:
        yield
    except Retry as error:
        if "The setting is " in error.detail:  # told by an inner call
            raise
        if error.code.startswith("registry."):
            advice = f"Is it running at {hub.registry.url}? The setting is registry.url."
        elif error.code == "kafka.unavailable":
            _greet(hub)
            advice = f"Is Kafka running at {hub.kafka.bootstrap_servers}? The setting is kafka.bootstrap_servers."
        else:
            raise
        raise Retry(error.code, f"{_plain(error.detail)}. {advice}", after_seconds=error.after_seconds) from error


def _greet(hub: Hub) -> None:
    """Raise BadSettings when Kafka is there, but it or we refuse the other: that says more than "away"."""
    from samenloop.kafka.refusals import shake_hands

    with suppress(Retry):
        shake_hands(hub.kafka, patience_seconds=2)


def _plain(detail: str) -> str:
    """Return what librdkafka says without its code numbers."""
    found = re.search(r'str="([^"]+)"', detail)
    return found[1] if found else detail
