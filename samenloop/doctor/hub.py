"""What a hub's settings name, looked at from here: does it answer, may we, and is it as it should be."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from email.utils import parsedate_to_datetime

from samenloop import clock, tracing
from samenloop.contract.registry import LEVEL, Registry
from samenloop.contract.topics import TOPICS, Topic
from samenloop.doctor.check import Check, State, bounded
from samenloop.errors import BadSettings, Reject, Retry, SamenloopError
from samenloop.kafka.brokers import Said, ask_brokers
from samenloop.kafka.groups import REPAIR, open_transactions
from samenloop.kafka.inspection import Cluster, allowed, cluster, differences
from samenloop.settings import Hub

_ASK_SECONDS = 5.0
_CLOCK_SECONDS = 5.0
_LEAST_FREE, _SMALL_FREE = 0.05, 0.15
_NTP = "run chronyd or systemd-timesyncd, here and there"


def hub_checks(hub: Hub) -> list[Check]:
    """Look at everything; what needs Kafka or the registry is left out when that does not answer."""
    kafka, found = _kafka(hub)
    checks = [kafka]
    registry = _registry(hub)
    said = _asked(hub) if found is not None else Said(None, ())
    if found is not None:
        checks += _brokers(found)
        for look in (_transactions, _topics, _rights):
            checks += _carefully(look, hub)
        checks += _volumes(said)
    checks += [registry, _clock(hub, said)]
    if registry.state == "ok":
        checks += _carefully(_schemas, hub)
    return [*checks, _folder(hub), _profiles(hub), _traces()]


def _carefully(look: Callable[[Hub], Iterable[Check]], hub: Hub) -> list[Check]:
    """What stops answering in the middle is a finding as well."""
    name = look.__name__.strip("_")
    try:
        return list(look(hub))
    except SamenloopError as error:
        return [
            Check(name, "warn", f"could not be looked at: {error}", "look again; if it stays, see the broker's log")
        ]


def _kafka(hub: Hub) -> tuple[Check, Cluster | None]:
    servers = hub.kafka.bootstrap_servers
    mend = "start it, or correct kafka.bootstrap_servers; on one machine: samenloop up --local"
    away = []
    for server in servers.split(","):
        host, _, port = server.strip().rpartition(":")
        if problem := _unreachable(host, port):
            away.append(f"{server.strip()} ({problem})")
    if len(away) == len(servers.split(",")):
        return Check("kafka", "fail", f"does not answer: {', '.join(away)}", mend), None
    try:
        found = cluster(hub.kafka)
    except Retry as error:
        secure = "correct kafka.security_protocol, kafka.sasl_* and kafka.ssl_*: the port answers, but not in that way"
        return Check("kafka", "fail", f"{servers}: {error.detail}", secure), None
    if away:
        return Check("kafka", "warn", f"part of it does not answer: {', '.join(away)}", "start those brokers"), found
    return Check("kafka", "ok", f"{servers} answers, brokers: {len(found.brokers)}"), found


def _brokers(found: Cluster) -> list[Check]:
    """Clients are sent on to the address that a broker advertises: it must be reachable from here as well."""
    checks = [
        Check(
            "brokers",
            "fail",
            f"broker {number} tells clients to go to {host}:{port}, which does not answer here: {problem}",
            "correct advertised.listeners of that broker, or the names this machine resolves",
        )
        for number, host, port in found.brokers
        if (problem := _unreachable(host, str(port)))
    ]
    checks += [
        Check("brokers", "warn", f"{name} is {value}, wanted {wanted}", f"set {name}={wanted} on the brokers")
        for name, value, wanted in found.unwanted or ()
    ]
    if not checks and found.unwanted is None:
        grant = "grant this principal DESCRIBE_CONFIGS on the cluster, or look there"
        return [Check("brokers", "warn", "every broker is reachable; their settings were not told", grant)]
    return bounded(checks) or [Check("brokers", "ok", "every broker is reachable, with the settings wanted")]


def _unreachable(host: str, port: str) -> str:
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ASK_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _transactions(hub: Hub) -> list[Check]:
    hanging = open_transactions(hub.kafka)
    if hanging:
        names = ", ".join(sorted({one.topic for one in hanging}))
        return [Check("transactions", "warn", f"open on {names}", f"if they stay: {REPAIR}")]
    return [Check("transactions", "ok", "none is open")]


def _topics(hub: Hub) -> list[Check]:
    found = differences(hub.kafka)
    checks = [Check("topics", "fail" if one.grave else "warn", one.words, one.mend) for one in found]
    return bounded(checks) or [Check("topics", "ok", "every topic, setting and first position is as wanted")]


def _rights(hub: Hub) -> list[Check]:
    """Say what this principal may do; a person at the command line must be able to read everything."""
    may = allowed(hub.kafka)
    who = f"as {hub.kafka.sasl_username}" if hub.kafka.sasl_username else "with these settings"
    topics, groups = len(may.topics), len(may.groups)
    reads, writes = may.count("READ"), may.count("WRITE")
    looks = sum("DESCRIBE" in operations for operations in may.groups.values())
    found = f"{who}: may read {reads} and write {writes} of {topics} topics, look at {looks} of {groups} groups"
    if reads == topics and looks == groups:
        return [Check("rights", "ok", found)]
    missing = [name for name, operations in may.topics.items() if "READ" not in operations]
    lacks = f"; not read: {', '.join(missing[:5])}" if missing else ""
    grant = "enough for one process; a person's commands want READ of every topic and DESCRIBE of every group"
    return [Check("rights", "fail" if not reads else "warn", found + lacks, grant)]


def _asked(hub: Hub) -> Said:
    try:
        return ask_brokers(hub.kafka)
    except Retry:
        return Said(None, ())


def _clock(hub: Hub, said: Said) -> Check:
    """Retention and the signatures of webhooks go by the clock; receivers refuse what is minutes off."""
    ahead, whose = None if said.ahead is None else said.ahead.total_seconds(), "the broker's"
    if ahead is None:
        ahead, whose = _registry_ahead(hub), "the registry's (the broker's was not told)"
    if ahead is None:
        return Check("clock", "warn", "there is nothing to compare it with", _NTP)
    if abs(ahead) > _CLOCK_SECONDS:
        way = "behind" if ahead > 0 else "ahead of"
        return Check("clock", "warn", f"{abs(ahead):.1f} s {way} {whose}", _NTP)
    return Check("clock", "ok", f"agrees with {whose} within {abs(ahead):.1f} s")


def _registry_ahead(hub: Hub) -> float | None:
    """Any answer tells the time, a refusal as well: no credentials are needed for it, and none are given."""
    try:
        trusting = ssl.create_default_context(cafile=hub.registry.ssl_ca_location)
        direct = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting))
        try:
            answer = urllib.request.build_opener(*direct).open(f"{hub.registry.url}/subjects", timeout=_ASK_SECONDS)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            return (parsedate_to_datetime(answer.headers["Date"]) - clock.now()).total_seconds()
    except (OSError, ValueError, TypeError):
        return None


def _volumes(said: Said) -> list[Check]:
    checks = []
    for volume in said.volumes:
        share = volume.usable / volume.total
        found = f"broker {volume.broker}: {volume.usable / 1e9:.1f} GB ({share:.0%}) free under {volume.path}"
        state: State = "fail" if share < _LEAST_FREE else "warn" if share < _SMALL_FREE else "ok"
        checks.append(Check("broker disk", state, found, "make room: a broker whose disk is full stops"))
    return bounded(checks) or [
        Check("broker disk", "warn", "was not told", "grant this principal DESCRIBE on the cluster, or look there")
    ]


def _registry(hub: Hub) -> Check:
    url = hub.registry.url
    try:
        Registry(hub.registry, timeout_s=_ASK_SECONDS, retries=0).level()
    except Retry as error:
        return Check("registry", "fail", f"{url} does not answer: {error}", "start it, or correct registry.url")
    except BadSettings as error:
        return Check("registry", "fail", str(error), "correct the settings of the registry")
    return Check("registry", "ok", f"{url} answers")


def _schemas(hub: Hub) -> list[Check]:
    """Every schema that this hub writes must be there under its subject; ids are what stands before each value."""
    registry, prefix = Registry(hub.registry), hub.kafka.prefix
    checks = [check for topic in TOPICS.values() for check in _schema(registry, topic, prefix)]
    return bounded(checks) or [Check("schemas", "ok", f"{len(TOPICS)} are registered, under {LEVEL}")]


def _schema(registry: Registry, topic: Topic, prefix: str) -> list[Check]:
    register = "samenloop schemas register"
    subject = topic.subject(prefix)
    try:
        number = registry.lookup(topic, prefix)
        known = registry.schema(number)
    except BadSettings:
        return [Check("schemas", "fail", f"{subject}: the schema of this hub is not registered", register)]
    except Reject as error:
        return [Check("schemas", "fail", f"{subject}: {error.detail}", "restore the registry with the ids it had")]
    if known.get("name") != topic.record.__name__:
        words = f"{subject}: id {number} is {known.get('name')}, expected {topic.record.__name__}"
        return [Check("schemas", "fail", words, "restore the registry with the ids it had")]
    level = registry.level(subject)
    return [] if level == LEVEL else [Check("schemas", "warn", f"{subject}: is {level}, wanted {LEVEL}", register)]


def _folder(hub: Hub) -> Check:
    there = next(path for path in (hub.data_dir, *hub.data_dir.absolute().parents) if path.exists())
    usage = shutil.disk_usage(there)
    found = f"{usage.free / 1e9:.1f} GB free for data_dir, {hub.data_dir}"
    if not os.access(there, os.W_OK):
        return Check("data folder", "fail", f"{there} cannot be written", "correct data_dir, or its owner")
    state: State = "fail" if usage.free < 0.5e9 else "warn" if usage.free < 2e9 else "ok"
    return Check("data folder", state, found, "make room")


def _profiles(hub: Hub) -> Check:
    missing = [str(source.profile) for source in hub.sources.values() if not source.profile.is_file()]
    if missing:
        return Check("profiles", "fail", f"not there: {', '.join(missing)}", "correct sources.<name>.profile")
    return Check("profiles", "ok", f"{len(hub.sources)} sources, each with its profile")


def _traces() -> Check:
    if not tracing.asked_for(os.environ):
        return Check("traces", "ok", "off (no OTEL_… variable asks for them)")
    try:
        from samenloop.tracing.export import check  # noqa: PLC0415 - only where it is asked for

        return Check("traces", "ok", f"go to {check(os.environ)}")
    except ImportError:
        return Check("traces", "warn", "asked for, but their packages are not here", "pip install 'samenloop[otel]'")
    except ValueError as error:
        return Check("traces", "warn", str(error), "correct it; docs/operators/tracing.md")
