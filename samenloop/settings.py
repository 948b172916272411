"""Settings of a hub: one typed YAML (`hub.yaml`) plus the environment, all problems at once.

Relative paths are relative to the file. An environment variable ``SAMENLOOP_<SECTION>__<KEY>`` overrides a key of a
section (``SAMENLOOP_KAFKA__BOOTSTRAP_SERVERS``); a variable with our prefix that names no setting is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr, ValidationInfo

from samenloop import yamlfile
from samenloop.errors import BadSettings
from samenloop.yamlfile import Loc, Model, Override


def _clock(text: str) -> str:
    if text in ("wall", "event"):
        return text
    try:
        date.fromisoformat(text)
    except ValueError:
        raise ValueError("expected wall, event or a date such as 2027-01-04") from None
    return text


def _network(text: str) -> str:
    try:
        ip_network(text)
    except ValueError:
        raise ValueError("expected a network such as 127.0.0.0/8") from None
    return text


def _beside(path: Path, info: ValidationInfo) -> Path:
    """Resolve a path against the folder of the file it stands in."""
    return (Path((info.context or {}).get("folder", "")) / path.expanduser()) if info.context else path


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="lower case, digits and hyphen")]
Label = Annotated[str, Field(min_length=1, max_length=200)]
Network = Annotated[str, AfterValidator(_network)]
File = Annotated[Path, AfterValidator(_beside)]


class Kafka(Model):
    """How to reach Kafka."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, several separated by commas")
    prefix: str = Field("samenloop.", pattern=r"^[a-z0-9.-]*$", description="prefix of every topic, group and id")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_SSL", "SASL_PLAINTEXT"] = Field(
        "PLAINTEXT", description="as librdkafka names it"
    )
    ssl_ca_location: File | None = Field(None, description="certificate authority, PEM")
    sasl_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] | None = Field(None, description="with SASL")
    sasl_username: str | None = Field(None, description="with SASL")
    sasl_password: SecretStr | None = Field(None, description="with SASL; better in the environment")
    session_timeout_seconds: int = Field(8, ge=6, le=60, description="a worker silent for so long loses its partitions")
    transaction_timeout_seconds: int = Field(10, ge=5, le=60, description="an open transaction is ended by the broker")
    watchdog_seconds: int = Field(
        12, ge=5, le=120, description="a loop that does not turn for so long ends the process"
    )
    batch_records: int = Field(2000, ge=1, le=10000, description="most records in one transaction")
    batch_wait_ms: int = Field(10, ge=1, le=1000, description="longest wait for a batch to fill")
    replication_factor: int = Field(1, ge=1, le=7, description="of topics made by `topics apply`")


class Registry(Model):
    """How to reach the schema registry."""

    url: str = Field("http://127.0.0.1:8081/apis/ccompat/v7", description="Confluent-compatible API")


class Identity(Model):
    """Who this hub is and how it judges."""

    oin: str = Field("00000099000000000001", pattern=r"^[A-Za-z0-9]{20}$", description="OIN of the hub's operator")
    name: str = Field("Samenloop", description="shown to partners")
    schema_host: str = Field("samenloop.example", description="host of ce_dataschema addresses")
    metric_crs: str = Field("EPSG:28992", pattern=r"^EPSG:\d+$", description="projected CRS in metres for detection")
    rules: File | None = Field(None, description="rule configuration; default: the one that is shipped")
    clock: Annotated[str, AfterValidator(_clock)] = Field(
        "wall", description="what `today` is: wall, event (newest recorded date) or a fixed date"
    )
    allow_test_oin: bool = Field(True, description="accept OINs of the test range 00000099…; false in production")


class Delivery(Model):
    """How alerts leave the hub."""

    master_key_file: File | None = Field(None, description="32 or more random bytes; webhook secrets derive from it")
    allow_http: bool = Field(False, description="also deliver over plain http (demo only; logged at start)")
    allow_destinations: list[Network] = Field(
        [], max_length=50, description="networks that may be called though they are private (demo only)"
    )
    timeout_seconds: float = Field(20, gt=0, le=60, description="for a partner's answer")
    retry_seconds: list[float] = Field(
        [0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400],
        min_length=1,
        max_length=20,
        description="waits before each attempt; after the last the alert is given up",
    )
    concurrency: int = Field(50, ge=1, le=500, description="attempts at once in one process")
    first_load_quiet_seconds: float = Field(
        5, gt=0, le=600, description="a first load is summed up after so much silence"
    )


class Serving(Model):
    """Where a process shows its metrics and health."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(0, ge=0, le=65535, description="0 picks a free one and prints it")


class Edge(Model):
    """The hub's own HTTP side; `samenloop up` starts it when this section is in the file (`edge: {}` will do).

    It speaks plain HTTP: beyond this machine, put a proxy with TLS in front and name its address in `base_url`.
    """

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="0 picks a free one and logs it")
    base_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="how partners reach it, such as https://hub.example; default: http, host and port",
    )
    max_body_megabytes: float = Field(8, gt=0, le=64, description="larger requests are refused (413)")
    max_batch_events: int = Field(1000, ge=1, le=10000, description="most events in one request")
    max_nesting: int = Field(32, ge=12, le=200, description="deepest lists and objects of a body")
    requests_per_minute: float = Field(600, gt=0, le=1_000_000, description="of one partner at one process, on average")
    requests_at_once: int = Field(60, ge=1, le=100_000, description="of one partner at one process, after a pause")
    max_subscriptions: int = Field(100, ge=1, le=10_000, description="of one partner, those that ended today included")
    acknowledge_seconds: float = Field(
        10, gt=0, le=120, description="Kafka must have taken what was sent in that time, else 503"
    )
    shutdown_seconds: float = Field(10, gt=0, le=120, description="requests under way may take so long to finish")
    public: bool = Field(False, description="strangers, who have no API key, may read what is PUBLIC; else nothing")
    read_model: File | None = Field(
        None,
        description="SQLite file that reading is answered from, one per process, made from Kafka when it is gone;"
        " default: below data_dir, by port",
    )
    streams: int = Field(200, ge=1, le=10_000, description="open streams of server-sent events at one process")
    streams_per_partner: int = Field(
        5, ge=1, le=1000, description="of one partner at one process; all without a key together count as one"
    )
    stream_minutes: float = Field(60, gt=0, le=1440, description="a stream ends after so long; clients resume it")


class Contact(Model):
    """A functional contact point of a system, never a person."""

    unit: str = Field(min_length=1, max_length=200, description="department or desk")
    email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$", max_length=254, description="functional mailbox")
    phone: str | None = Field(None, max_length=40, description="functional number")
    url: str | None = Field(None, pattern=r"^https?://[^\s]+$", max_length=500, description="page")


class Source(Model):
    """One source: a connector and its own settings, and what the overview of systems says about it."""

    connector: Name = Field(description="name of the connector, e.g. file-snapshots")
    profile: File = Field(description="the connector's profile, YAML")
    poll_every_seconds: float = Field(3600, ge=0.2, le=604800, description="pause between polls")
    freshness_seconds: float = Field(86400, gt=0, description="objective: a good poll at least so often")
    title: Label | None = Field(None, description="what the system is called in the overview; default: its name here")
    product: Label | None = Field(None, description="the software it is, e.g. a product and its version")
    protocol: Label | None = Field(None, description="how it is reached; default: as the connector says")
    standards: list[Label] = Field([], max_length=20, description="standards its data follow; default: the connector's")
    direction: Literal["read", "write", "both"] = Field("read", description="which way data goes, seen from the hub")
    licence: Label | None = Field(None, description="terms under which its data may be used")
    contact: Contact | None = Field(None, description="functional contact point: `unit`, `email`, `phone`, `url`")


class Views(Model):
    """How views are kept: what is worked out from topics and can be worked out again, such as `sources`."""

    store: Literal["memory", "rocksdb"] = Field(
        "memory", description="where their tables live; rocksdb keeps them in data_dir and needs the package rocksdict"
    )
    recount_every_seconds: float = Field(
        300, ge=1, le=86400, description="pause between recounts over the topics, which mend what a crash lost"
    )


class LagExporter(Model):
    """The process that asks Kafka how far every group is; `samenloop up` starts it unless told not to."""

    enabled: bool = Field(True, description="`samenloop up` and the demo start it")
    refresh_seconds: float = Field(5, ge=1, le=300, description="pause between two rounds of questions")


class Probe(Model):
    """A synthetic plan that walks the whole way, so that it is known to be open; nobody but the hub ever sees it."""

    enabled: bool = Field(True, description="`samenloop up` and the demo start it")
    every_seconds: float = Field(60, ge=1, le=3600, description="pause between two probes")
    lost_after_seconds: float = Field(30, ge=1, le=600, description="a stage that is not done with it then has lost it")


class Logs(Model):
    """What a process tells on stderr."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="lowest level that is written")
    form: Literal["auto", "json", "text"] = Field("auto", description="auto: text on a terminal, else JSON lines")


class Hub(Model):
    """The whole file."""

    local: bool = Field(False, description="`samenloop up` starts the local Kafka and registry too")
    kafka: Kafka = Kafka()
    registry: Registry = Registry()
    hub: Identity = Identity()
    delivery: Delivery = Delivery()
    metrics: Serving = Serving()
    edge: Edge = Edge()
    lag_exporter: LagExporter = LagExporter()
    probe: Probe = Probe()
    logs: Logs = Logs()
    views: Views = Views()
    sources: dict[Name, Source] = Field({}, max_length=500, description="by name")
    data_dir: File = Field(
        Path("build/data"),
        validate_default=True,
        description="raw pages, held files, read models; nothing the truth depends on",
    )


PREFIX = "SAMENLOOP_"
CONFIG_VARIABLE = "SAMENLOOP_CONFIG"
"""Names the settings file where no option does."""
DEFAULT_FILE = Path("hub.yaml")


def load_hub(path: Path | None, env: Mapping[str, str]) -> Hub:
    """Read the settings: the file, then what the environment overrides.

    *path* None means the file named by ``SAMENLOOP_CONFIG``, else ``hub.yaml`` where it exists, else defaults alone.
    Raises BadSettings with all problems at once, each with its line or the name of its variable.
    """
    overrides, problems = _overrides(env)
    if path is None:
        named = env.get(CONFIG_VARIABLE)
        path = Path(named) if named else DEFAULT_FILE if DEFAULT_FILE.exists() else None
    folder = {"folder": path.absolute().parent if path else Path.cwd()}
    try:
        if path is None:
            hub = yamlfile.parse("", Hub, "settings", overrides=overrides, context=folder)
        else:
            hub = yamlfile.load(path, Hub, overrides=overrides, context=folder)
    except BadSettings as error:
        raise BadSettings([*error.problems, *problems]) from error
    if problems:
        raise BadSettings(problems)
    return hub


def in_force(hub: Hub) -> dict[str, object]:
    """Return what differs from the defaults, for the log: secrets are masked by type here and by name there."""
    shown = hub.model_dump(mode="json", exclude_defaults=True, exclude={"sources"})
    return shown | {"sources": sorted(hub.sources)}


def variables() -> dict[str, Loc]:
    """Return every variable that overrides a setting, with the path of its key."""
    return {PREFIX + "__".join(part.upper() for part in loc): tuple(loc) for loc in _keys(Hub)}


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from ((name, *rest) for rest in _keys(field.annotation))
        elif name != "sources":  # a map of sections is given in the file
            yield (name,)


def _overrides(env: Mapping[str, str]) -> tuple[dict[Loc, Override], list[str]]:
    known = variables()
    overrides: dict[Loc, Override] = {}
    problems: list[str] = []
    for name, text in sorted(env.items()):
        if not name.startswith(PREFIX) or name == CONFIG_VARIABLE:
            continue
        if name not in known:
            close = get_close_matches(name, known, n=1)
            problems.append(f"{name}: names no setting" + (f"; did you mean {close[0]}?" if close else ""))
            continue
        try:
            overrides[known[name]] = Override(name, yamlfile.from_text(text))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return overrides, problems
