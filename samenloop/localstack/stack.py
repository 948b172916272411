"""The stack as one thing: started together, stopped together, its broker and registry taken away for a test."""

from __future__ import annotations

import ssl
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from samenloop.errors import BadSettings, Retry
from samenloop.localstack import programs
from samenloop.localstack.artefacts import Artefacts, fetched
from samenloop.localstack.data import DataFolder
from samenloop.localstack.ports import free_ports
from samenloop.localstack.process import Process

if TYPE_CHECKING:
    from samenloop.localstack.certificates import Authority

KILLED_BROKER_WAIT_SECONDS = 10.0
"""A lone broker that is back within its session (9 s) may leave a transaction hanging for ever (kafka.md 6 C)."""
_ATTEMPTS = 5
_UP_SECONDS = 240.0
"""Generous: on a machine that is short of processors Kafka takes minutes; one that ends is noticed at once."""
_TAKEN = ("Address already in use", "BindException", "already in use")


def _silent(_: str) -> None:
    pass


class LocalStack:
    """One Kafka node and one schema registry on free ports of loopback.

    *data_dir* holds their data and logs (None: a folder that goes with the stack); with *keep* the data are there
    again at the next start, without it they are removed at start and stop. *tell* gets sentences for a person.
    *secure* switches TLS, SCRAM and the authorizer on: then nobody but the super user `admin` (`tls/admin`, by
    certificate at `admin_bootstrap`) may do anything before users and ACLs are made, and `ca` is what clients trust.
    A *brief* stack is for minutes: it compiles little, which spares a processor now what it would give back later.

        with LocalStack(folder) as stack:
            stack.bootstrap, stack.registry_url
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        keep: bool = False,
        secure: bool = False,
        brief: bool = False,
        tell: Callable[[str], object] = _silent,
    ) -> None:
        self._data = DataFolder(data_dir, keep=keep)
        self._secure = secure
        self._brief = brief
        self._tell = tell
        self._authority: Authority | None = None
        self._ports: list[int] = []
        self._broker: Process | None = None
        self._registry: Process | None = None
        self._died_at: float | None = None
        self._opener = _opener(None)
        self._artefacts: Artefacts

    @property
    def bootstrap(self) -> str:
        """Address of the broker, host:port."""
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def registry_url(self) -> str:
        """Address of the registry's Confluent-compatible API."""
        scheme = "https" if self._secure else "http"
        return f"{scheme}://127.0.0.1:{self._ports[2]}{programs.REGISTRY_PATH}"

    @property
    def admin_bootstrap(self) -> str:
        """Address of a secure broker for clients by certificate."""
        return f"127.0.0.1:{self._ports[4]}"

    @property
    def ca(self) -> Path:
        """The certificate authority of a secure stack, a file."""
        return self._data.tls / "ca.crt"

    def credentials(self, principal: str) -> Path:
        """Return the folder with certificate and key of `broker`, `registry` or `admin` of a secure stack."""
        return self._data.tls / principal

    def issue(self, user: str) -> Path:
        """Make a key and a certificate for *user* of a secure stack that runs; return their folder."""
        assert self._authority is not None, "the stack is not started, or not secure"
        return self._authority.issue(user)

    @property
    def logs(self) -> Path:
        """Folder with what the two say: kafka.log, registry.log."""
        return self._data.logs

    @property
    def environment(self) -> dict[str, str]:
        """What a part of the hub needs in its environment to use this stack."""
        plain = {"SAMENLOOP_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap, "SAMENLOOP_REGISTRY__URL": self.registry_url}
        if not self._secure:
            return plain
        return plain | {
            "SAMENLOOP_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
            "SAMENLOOP_KAFKA__SSL_CA_LOCATION": str(self.ca),
            "SAMENLOOP_REGISTRY__SSL_CA_LOCATION": str(self.ca),
        }

    @property
    def pids(self) -> list[int]:
        """Process ids of what runs now."""
        return [process.pid for process in (self._broker, self._registry) if process and process.running]

    def start(self) -> LocalStack:
        """Start both and wait until they answer.

        Raises BadSettings when something is missing on this machine, Retry when they do not come up.
        """
        programs.java()
        self._artefacts = fetched(self._tell)
        self._data.open()
        try:
            if self._secure:
                self._make_certificates()
            self._start_on_free_ports()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End both; data that are not kept are removed."""
        for process in (self._broker, self._registry):
            if process is not None:
                process.stop(kill=not self._data.keep)
        self._broker = self._registry = None
        self._data.close()

    def stop_broker(self, *, kill: bool = False) -> None:
        """Take the broker away: orderly, or with SIGKILL."""
        assert self._broker is not None, "the stack is not started"
        self._broker.stop(kill=kill)
        self._died_at = time.monotonic() if kill else None

    def start_broker(self) -> None:
        """Bring the broker back on its port; after a kill this waits until 10 s have passed. Raises Retry."""
        if self._died_at is not None:
            time.sleep(max(0.0, self._died_at + KILLED_BROKER_WAIT_SECONDS - time.monotonic()))
            self._died_at = None
        self._start_broker()
        self._wait_for_broker()

    def stop_registry(self, *, kill: bool = False) -> None:
        """Take the registry away."""
        assert self._registry is not None, "the stack is not started"
        self._registry.stop(kill=kill)

    def start_registry(self) -> None:
        """Bring the registry back on its port. Raises Retry."""
        self._start_registry()
        self._wait_for_registry()

    def __enter__(self) -> LocalStack:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_on_free_ports(self) -> None:
        """Start both on free ports; on others when one of them was taken in between."""
        wanted = self._data.ports()
        for attempt in range(_ATTEMPTS):
            self._data.drop_unfinished()
            self._ports = free_ports(5 if self._secure else 4, wanted=wanted if attempt == 0 else ())
            try:
                self._start_registry()
                self._start_broker()
                self._wait_for_broker()
                self._wait_for_registry()
            except _PortTaken:
                self._end_all()
                continue
            admin = {"admin": self.admin_bootstrap} if self._secure else {}
            self._data.remember(self._ports, bootstrap=self.bootstrap, registry=self.registry_url, **admin)
            return
        raise Retry("local-stack.ports", f"the ports of the local stack were taken {_ATTEMPTS} times in a row")

    def _make_certificates(self) -> None:
        try:
            from samenloop.localstack.certificates import Authority  # noqa: PLC0415 - needs an optional extra
        except ImportError:
            problem = "cryptography: not installed; it makes certificates. Install it: pip install 'samenloop[local]'"
            raise BadSettings([problem]) from None
        self._authority = Authority(self._data.tls)
        for name in ("broker", "registry", "admin"):
            self.issue(name)
        self._opener = _opener(self.ca)

    def _end_all(self) -> None:
        for process in (self._broker, self._registry):
            if process is not None:
                process.stop(kill=False)

    def _start_broker(self) -> None:
        settings = programs.kafka_settings(self._data, *self._ports[:2], *self._ports[4:])
        log = self._data.logs / "kafka.log"
        if not (self._data.kafka / "meta.properties").exists():
            command = programs.kafka_format_command(self._artefacts, self._data, settings)
            formatting = Process("Kafka's storage tool", command, folder=self._data.run, log=log)
            formatting.wait_until(lambda: not formatting.running, seconds=_UP_SECONDS)
        command = programs.kafka_command(self._artefacts, self._data, settings, brief=self._brief)
        self._broker = Process("Kafka", command, folder=self._data.run, log=log)

    def _wait_for_broker(self) -> None:
        broker = self._broker
        assert broker is not None
        _wait(broker, lambda: "Kafka Server started" in broker.said())

    def _start_registry(self) -> None:
        command = programs.registry_command(self._artefacts, self._data, *self._ports[2:4], secure=self._secure)
        log = self._data.logs / "registry.log"
        self._registry = Process("The schema registry", command, folder=self._data.run, log=log)

    def _wait_for_registry(self) -> None:
        assert self._registry is not None
        _wait(self._registry, self._registry_answers)

    def _registry_answers(self) -> bool:
        try:
            with self._opener.open(f"{self.registry_url}/subjects", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:  # URLError is one
            return False


def _opener(ca: Path | None) -> urllib.request.OpenerDirector:
    """Never through a proxy."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
    if ca is not None:
        handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)))
    return urllib.request.build_opener(*handlers)


class _PortTaken(Exception):
    """Somebody else listens on a port that was free a moment ago."""


def _wait(process: Process, ready: Callable[[], bool]) -> None:
    if process.wait_until(ready, seconds=_UP_SECONDS):
        return
    said = process.said()
    if any(words in said for words in _TAKEN):
        raise _PortTaken
    last = "\n".join(said.strip().splitlines()[-8:])
    raise Retry("local-stack.start", f"{process.say} ended while it started; see {process.log}. It said last:\n{last}")
