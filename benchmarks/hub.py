"""A whole hub on this machine to measure: local stack, stages in processes of their own, and a stream of changes."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from benchmarks.load import Batch
from samenloop import identity
from samenloop.contract import Codec, Envelope
from samenloop.contract.registry import register_schemas
from samenloop.kafka import apply_topics
from samenloop.kafka.groups import group_lag
from samenloop.localstack import LocalStack
from samenloop.localstack.process import Process
from samenloop.model import (
    Certainty,
    ChangeKind,
    Geometry,
    Organisation,
    Origin,
    Period,
    Phase,
    Plan,
    PlanChanged,
    PlanKind,
    Precision,
    Validity,
    Visibility,
)
from samenloop.settings import Hub, load_hub
from samenloop.stage import Output

OIN = "00000099000000005001"
SYSTEM = identity.system_urn(OIN, "load")
START = datetime(2026, 1, 1, 9, tzinfo=UTC)
RD = "http://www.opengis.net/def/crs/EPSG/0/28992"
RULES = {
    "authority": f"urn:nld:oin:{OIN}",
    "version": 1,
    "valid_from": date(2026, 1, 1),
    "rules": {"OPP.SAME_TRENCH": {"gap_days": 90}, "OPP.NEAR": {"distance_m": 25, "gap_days": 90}},
}
"""As in what others were measured with: within 25 m and 90 days, other owner. All three rules judge."""
_ROOT = Path(__file__).parent.parent
_UP_SECONDS, _DRAIN_SECONDS = 240.0, 1200.0


@dataclass
class Measured:
    """A running hub. *parts* are its processes by name."""

    folder: Path
    hub: Hub
    codec: Codec
    parts: dict[str, Process]
    stack: LocalStack

    def start(self, kind: str, name: str | None = None) -> None:
        """Start one part and wait until it is ready; the edge has no name but its kind."""
        words = [kind, name] if name else [kind]
        self._start(name or kind, ["samenloop.cli", "run", *words, "--config", str(self.folder / "hub.yaml")])

    def replace_by_copying(self, stage: str) -> None:
        """End a stage and start in its place what only moves its records."""
        self.parts.pop(stage).stop(kill=False)
        self._start(stage, ["benchmarks.copying", stage, str(self.folder / "hub.yaml")])

    def _start(self, name: str, module: Sequence[str]) -> None:
        command = [sys.executable, "-m", *module]
        part = Process(name, command, folder=_ROOT, log=self.folder / f"{name}.log")
        self.parts[name] = part
        if not part.wait_until(lambda: "process.ready" in part.said(), seconds=_UP_SECONDS):
            raise RuntimeError(f"{name} ended at its start:\n{part.said()[-2000:]}")

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU time that each part, the broker and this process have used so far."""
        pids = {name: part.pid for name, part in self.parts.items()}
        return {
            name: _cpu_seconds(pid) for name, pid in {**pids, "broker": self.stack.pids[0], "load": os.getpid()}.items()
        }

    def drained(self, stages: Sequence[tuple[str, str]]) -> None:
        """Wait until each stage has read its input to the end; the marker of the last transaction counts as read."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        for stage, topic in stages:
            while any(lag.behind > 1 for lag in group_lag(self.hub.kafka, stage, [topic])):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{stage} did not come to an end:\n{self.parts[stage].said()[-2000:]}")
                time.sleep(0.05)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a process. source: proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running_hub(**delivery: object) -> Iterator[Measured]:
    """Yield a hub with its topics made and no part running yet; everything is gone afterwards."""
    with TemporaryDirectory(prefix="samenloop-bench-") as name, ExitStack() as ending:
        folder = Path(name)
        stack = ending.enter_context(LocalStack(folder / "local"))
        (folder / "master.key").touch(mode=0o600)
        (folder / "master.key").write_bytes(secrets.token_bytes(32))
        settings = {
            "kafka": {"bootstrap_servers": stack.bootstrap, "prefix": "bench."},
            "registry": {"url": stack.registry_url},
            "hub": {"clock": START.date().isoformat(), "rules": "rules.yaml"},
            "delivery": {"master_key_file": "master.key", **delivery},
            "logs": {"form": "json"},
            "edge": {"port": 0, "requests_per_minute": 1_000_000, "requests_at_once": 100_000},
        }
        (folder / "rules.yaml").write_text(yaml.safe_dump(RULES), encoding="utf-8")
        (folder / "hub.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
        hub = load_hub(folder / "hub.yaml", {})
        register_schemas(hub.registry.url, hub.kafka.prefix)
        apply_topics(hub.kafka)
        codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix, host=hub.hub.schema_host)
        measured = Measured(folder, hub, codec, {}, stack)
        ending.callback(lambda: [part.stop(kill=True) for part in measured.parts.values()])
        yield measured


class Register:
    """A works register that reports the changes of a synthetic nation, plan by plan.

    *last* is what became of each plan: its last sequence, and whether it is still there.
    """

    def __init__(self, codec: Codec, name: str = "load") -> None:
        self._codec = codec
        self._system = identity.system_urn(OIN, name)
        self._versions: dict[int, int] = {}
        self.last: dict[str, tuple[int, bool]] = {}

    def outputs(self, batch: Batch, kind: ChangeKind) -> Iterator[Output]:
        """Yield one record of `plan-changes` for each change of *batch*; a shape None is a deleted plan."""
        rows = zip(batch.slots.tolist(), batch.shapes, batch.start.tolist(), batch.end.tolist(), batch.owner.tolist(),
                   strict=True)  # fmt: skip
        for slot, shape, start, end, owner in rows:
            if shape is None and slot not in self._versions:
                continue
            version = self._versions[slot] = self._versions.get(slot, 0) + 1
            plan = (
                None if shape is None else _plan(self._system, slot, version, shape.wkb, days=(start, end), owner=owner)
            )
            yield self._output(slot, version, plan, kind if plan else ChangeKind.DELETED)

    def _output(self, slot: int, version: int, plan: Plan | None, kind: ChangeKind) -> Output:
        plan_id = identity.plan_id(self._system, f"W-{slot}")
        self.last[plan_id] = version, plan is not None
        content = f"{slot} {version}".encode().rjust(32) if plan else None
        event_id = identity.change_event_id(plan_id, f"s:{version}", kind, content)
        at = START + timedelta(seconds=version)
        change = PlanChanged(
            plan_id=plan_id,
            change=kind,
            validity=Validity(at),
            recorded_at=at,
            ingested_at=at,
            origin=Origin(OIN, self._system, event_id),
            sequence=version,
            content_hash=content,
            plan=plan,
        )
        envelope = Envelope(
            id=event_id,
            source=self._system,
            type="nl.samenloop.plan-changed.v1",
            time=at,
            subject=plan_id,
            partitionkey=plan_id,
            correlationid=event_id,
            classification="internal",
        )
        headers = self._codec.headers("plan-changes", envelope)
        return Output("plan-changes", plan_id, self._codec.encode("plan-changes", change), headers)


def event_id_of(output: Output) -> str:
    """Return the id of the event in *output*."""
    return next(value for name, value in output.headers if name == "ce_id").decode()


def in_turn(batches: Iterable[Batch], register: Register, kind: ChangeKind = ChangeKind.UPDATED) -> list[Output]:
    """Return the records of *batches*, ready to be sent."""
    return [output for batch in batches for output in register.outputs(batch, kind)]


def _plan(system: str, slot: int, version: int, wkb: bytes, *, days: tuple[int, int], owner: int) -> Plan:
    start, end = (date(1970, 1, 1) + timedelta(days=day) for day in days)
    return Plan(
        id=identity.plan_id(system, f"W-{slot}"),
        system=system,
        local_id=f"W-{slot}",
        owner=Organisation(f"0000009900000000600{owner % 10}", f"Owner {owner}"),
        title=f"Works {slot}, version {version}",
        kind=PlanKind.WORKS,
        phase=Phase.PREPARATION,
        certainty=Certainty.FIXED,
        visibility=Visibility.PUBLIC,
        ground_disturbing=True,
        period=Period(start, end, Precision.DAY),
        geometry=Geometry(wkb, RD, 0.5),
        work_kinds=("urn:samenloop:work-kind:sewer",),
    )
