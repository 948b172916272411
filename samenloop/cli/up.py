"""`samenloop up`: the whole hub of one hub.yaml, one process for each part, supervised."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import orjson

from samenloop import credentials
from samenloop.cli.options import (
    Config,
    codec_of,
    hub_of,
    local_credentials,
    local_folder,
    local_key,
    reaching,
    settings_of,
)
from samenloop.cli.output import say, warn
from samenloop.errors import BadSettings
from samenloop.settings import Hub
from samenloop.supervisor import Part, State, Status, Supervisor, stop_on_signals

_KNOWN_SECONDS = 20.0
"""In which a broker knows a user that was made."""
Kind = Literal["source", "stream", "sink", "edge", "conservation", "lag-exporter", "probe"]
_UNHURRIED: tuple[Kind, ...] = ("lag-exporter", "probe")
"""What only watches: nobody waits for it."""


def up(*, local: bool = False, secure: bool = False, config: Config = None) -> int:
    """Run the whole hub of one settings file until Ctrl-C: every stage, every sink, every source, supervised.

    Creates the topics that are missing; the schemas must be registered. Ends with 0 when asked to stop, 1 when Kafka
    or the registry cannot be reached at the start, 2 when the settings of a part cannot work.

    Parameters
    ----------
    local
        Start a Kafka and a registry here too, register the schemas, make a master key: as `local: true` in the
        settings does, with which every other command finds them.
    secure
        With --local: TLS, SCRAM and an authorizer, a principal with its own rights for each process, as
        `local_secure: true` in the settings does.
    """
    asked = {"local": local, "local_secure": secure}
    variables = {f"SAMENLOOP_{name.upper()}": "true" for name, given in asked.items() if given}
    os.environ.update(variables)  # for this process and every part of it
    hub = settings_of(config)
    if secure and not hub.local:
        raise BadSettings(["--secure: has no effect without --local; the settings say how to sign in to another Kafka"])
    if variables:
        settings = " and ".join(f"`{name}: true`" for name, given in asked.items() if given)
        say(f"Other commands find this Kafka with {settings} in the settings, or {'=true '.join(variables)}=true.")
    with _local_stack(hub, config) if hub.local else nullcontext():
        hub = settings_of(config)
        credentials.check(hub, [credentials.SETUP, *(_principal(kind, name) for kind, name in _names(hub))])
        _prepare(hub_of(config, credentials.SETUP))
        return supervise(parts_of(hub, config))


def parts_of(hub: Hub, config: Path | None) -> list[Part]:
    """Return what runs: every stage, sink, source and view, the edge if it has settings, and the account of it all.

    With a `metrics.port`, the parts count up from it in this order; without, each takes a free port.
    """
    names = _names(hub)
    ports = [hub.metrics.port + index if hub.metrics.port else 0 for index in range(len(names))]
    return [
        part(kind, name, config, env={"SAMENLOOP_METRICS__PORT": str(port)})
        for (kind, name), port in zip(names, ports, strict=True)
    ]


def _names(hub: Hub) -> list[tuple[Kind, str]]:
    from samenloop import plugins

    names: list[tuple[Kind, str]] = [
        *(("stream", name) for name in plugins.names("stages")),
        *(("sink", name) for name in plugins.names("sinks")),
        *(("source", name) for name in hub.sources),
        *(("stream", name) for name in plugins.names("views")),
    ]
    if "edge" in hub.model_fields_set:
        names.append(("edge", ""))
    names.append(("conservation", ""))
    if hub.lag_exporter.enabled:
        names.append(("lag-exporter", ""))
    if hub.probe.enabled:
        names.append(("probe", ""))
    return names


def _principal(kind: Kind, name: str) -> str:
    return credentials.source_principal(name) if kind == "source" else name or kind


def part(
    kind: Kind,
    name: str,
    config: Path | None,
    *,
    slot: str = "0",
    env: Mapping[str, str] | None = None,
) -> Part:
    """Return the process that runs one source, stage, view or sink, or what has no name but its kind.

    It logs JSON, which `supervise` makes readable.
    """
    from samenloop import plugins

    command = [sys.executable, "-m", "samenloop.cli", "run", kind, *([name] if name else [])]
    command += ["--config", str(config)] if config else []
    command += ["--slot", slot] if kind in ("stream", "sink") else []
    vital = kind not in _UNHURRIED and not (kind == "stream" and name in plugins.names("views"))
    return Part(f"{kind} {name}".strip(), command, {**(env or {}), "SAMENLOOP_LOGS__FORM": "json"}, vital=vital)


def supervise(parts: Sequence[Part]) -> int:
    """Run *parts* until a signal; what they say goes to stdout, each line with its part's name in front."""
    width = max(len(part.name) for part in parts)

    def tell(name: str, line: str) -> None:
        say(f"{name:{width}} | {_readable(line) if sys.stdout.isatty() else line}")

    def changed(name: str, status: Status) -> None:
        if status.state is State.WAITING:
            warn(f"{name:{width}} | ended with code {status.exit_code} and is started again")

    async def run() -> int:
        stop = asyncio.Event()
        await stop_on_signals(stop)
        return await Supervisor(parts, tell=tell, changed=changed).run(stop)

    return asyncio.run(run())


def _readable(line: str) -> str:
    try:
        said = orjson.loads(line)
        head = f"{said.pop('at')[11:19]} {said.pop('level'):7} {said.pop('message')}"
    except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError):
        return line
    hidden = {"event", "component", "process"}
    return " ".join([head, *(f"{key}={value}" for key, value in said.items() if key not in hidden)])


def _prepare(hub: Hub) -> None:
    """Make sure of what every part needs: schemas and topics. Raises Retry or BadSettings."""
    from samenloop.contract.registry import register_schemas
    from samenloop.kafka import apply_topics

    with reaching(hub):
        if hub.local:
            register_schemas(hub.registry, hub.kafka.prefix)
        else:
            codec_of(hub)
        for line in apply_topics(hub.kafka):
            say(line)


def _give_rights(config: Path | None) -> None:
    """Make a user with its rights for every process of the settings, and wait until they are known."""
    from samenloop.kafka.access import accesses
    from samenloop.kafka.authorize import Authorizer
    from samenloop.kafka.refusals import shake_hands

    hub = hub_of(config, credentials.ADMIN)
    authorizer = Authorizer(hub.kafka, accesses(hub.sources).values())
    differences = authorizer.differences()
    authorizer.grant(differences.lacking)
    authorizer.withdraw(differences.beyond)
    authorizer.make_users(local_credentials(hub))
    until = time.monotonic() + _KNOWN_SECONDS
    while True:
        try:
            shake_hands(hub_of(config, credentials.SETUP).kafka)
            return
        except BadSettings:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


@contextmanager
def _local_stack(hub: Hub, config: Path | None) -> Iterator[None]:
    """Start a Kafka and a registry that keep their data beside the hub's, and end them with us."""
    from samenloop.localstack import LocalStack

    key = local_key(hub)
    if hub.delivery.master_key_file == key and not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(32))
    with LocalStack(local_folder(hub), keep=True, secure=hub.local_secure, tell=say) as stack:
        if hub.local_secure:
            _give_rights(config)
        say(f"Kafka at {stack.bootstrap}, schema registry at {stack.registry_url}, their data in {local_folder(hub)}")
        yield
