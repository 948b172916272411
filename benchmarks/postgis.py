"""PostGIS as a peer: a private cluster on a Unix socket, batches of changes, pairs kept in a table by SQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import shapely

from benchmarks.load import Batch, Ints

SETUP = """
create extension postgis;
create table plan (slot bigint primary key, geom geometry not null, period daterange not null, owner bigint not null);
create index on plan using gist (geom, period);
create table pair (a bigint, b bigint, primary key (a, b));
create index on pair (b);
create temp table stage (slot bigint, geom geometry, first date, last date, owner bigint);
"""
TAKE = """
delete from plan using stage where plan.slot = stage.slot and stage.geom is null;
insert into plan select slot, geom, daterange(first, last, '[]'), owner from stage where geom is not null
  on conflict (slot) do update set geom = excluded.geom, period = excluded.period, owner = excluded.owner;
create temp table now_near on commit drop as
  select distinct least(s.slot, p.slot) as a, greatest(s.slot, p.slot) as b
  from stage s join plan p on st_dwithin(s.geom, p.geom, %(limit)s) and p.owner <> s.owner and p.slot <> s.slot
   and p.period && daterange(s.first - %(gap)s, s.last + %(gap)s, '[]')
  where s.geom is not null;
delete from pair using (
  select a, b from pair join stage on stage.slot = pair.a union select a, b from pair join stage on stage.slot = pair.b
) was where pair.a = was.a and pair.b = was.b
  and not exists (select from now_near n where n.a = was.a and n.b = was.b);
insert into pair select a, b from now_near on conflict do nothing;
truncate stage;
"""


def missing() -> str | None:
    """Return why there is no PostGIS to compare with, None when there is."""
    if _programs() is None:
        return "PostgreSQL is not installed (make bench-setup)"
    if not list(Path("/usr/share/postgresql").glob("*/extension/postgis.control")):
        return "PostGIS is not installed (make bench-setup)"
    return None


def _programs() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class PostgisPeer:
    """The same work in SQL. CPU is that of the server's own process for us, from the system's clock ticks."""

    def __init__(self, distance_m: float, gap_days: int) -> None:
        self._values = {"limit": distance_m + 0.0005, "gap": gap_days + 1}
        self._folder = Path(tempfile.mkdtemp(prefix="bench-postgis-"))

    def __enter__(self) -> Self:
        import psycopg  # noqa: PLC0415 - only for this peer

        if os.geteuid() == 0:
            shutil.chown(self._folder, "postgres", "postgres")
        self._run("initdb", "-A", "trust", "-U", "postgres", "--no-sync", "-D", str(self._folder / "data"))
        options = f"-k {self._folder} -c listen_addresses='' -c fsync=off -c shared_buffers=512MB -c max_wal_size=4GB"
        self._run(
            "pg_ctl", "-w", "-D", str(self._folder / "data"), "-l", str(self._folder / "log"), "-o", options, "start"
        )
        self._link = psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres")
        self._link.execute("set synchronous_commit = off; set max_parallel_workers_per_gather = 0; set jit = off")
        self._link.execute(SETUP)
        self._link.commit()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._link.close()
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def load(self, batch: Batch) -> None:
        """Begin with *batch*."""
        self.apply(batch)
        self._link.execute("analyze plan")
        self._link.execute("analyze pair")
        self._link.commit()

    def apply(self, batch: Batch) -> None:
        """Take *batch* in one transaction."""
        hexes = shapely.to_wkb(batch.shapes, hex=True)
        days = [(column.astype("datetime64[D]")).astype(object) for column in (batch.start, batch.end)]
        with self._link.cursor() as cursor, cursor.copy("copy stage from stdin") as copy:
            rows = zip(batch.slots.tolist(), hexes, *days, batch.owner.tolist(), strict=True)
            for row in rows:
                copy.write_row(row)
        cursor = self._link.cursor()
        cursor.execute("analyze stage")
        for statement in filter(str.strip, TAKE.split(";")):
            cursor.execute(statement, self._values if "%(" in statement else None)
        self._link.commit()

    def pairs(self) -> Ints:
        """All pairs, k x 2."""
        rows: list[Any] = self._link.execute("select a, b from pair").fetchall()
        return np.array(rows, dtype=np.int64).reshape(-1, 2)

    def cpu_s(self) -> float:
        """CPU seconds that the server has spent on us."""
        fields = Path(f"/proc/{self._link.info.backend_pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _run(self, program: str, *arguments: str) -> None:
        folder = _programs()
        command = [str(folder / program) if folder else program, *arguments]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder)
