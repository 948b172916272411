"""A region in a read model's file, and an edge over it with keys of four partners: what they may see differs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from edge.app import create_app
from samenloop.model import Clearance
from samenloop.partners import SCOPES
from tests.edge.read_model.conftest import BUILDER, MUNICIPALITY, NETWORK, WATER_BOARD, Log
from tests.edge.scenes import Scene, make_scene, partner

PARTNERS = {"municipality": MUNICIPALITY, "water": WATER_BOARD, "network": NETWORK, "builder": BUILDER}


@dataclass
class Region:
    """A log into the file of an edge, and that edge."""

    log: Log
    scene: Scene

    def get(self, path: str, who: str | None = "network", *, headers: Any = None, **query: Any) -> httpx.Response:
        """Ask as a partner, or as the public."""
        params = {name.replace("_", "-"): value for name, value in query.items()} or None
        return self.scene.client.get(path, params=params, headers={**key_of(who), **(headers or {})})

    def write(self) -> None:
        """Write what is pending, and tell those who wait."""
        self.log.write()
        self.scene.services.reads.model.news.tell()

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve on a port of this machine, for what a client in process cannot do: answers that last."""
        config = uvicorn.Config(create_app(self.scene.services), port=0, log_config=None, lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            self.scene.services.streams.end()
            server.should_exit = True
            thread.join(10)


def key_of(who: str | None) -> dict[str, str]:
    """Return the header with a partner's key; none for the public."""
    return {} if who is None else {"authorization": f"Bearer samenloop_{who}"}


def admit(scene: Scene, who: str, *, clearance: Clearance = Clearance.PARTNERS, scopes: Any = tuple(SCOPES)) -> None:
    """Let a partner in."""
    oin = PARTNERS[who]
    admitted = replace(partner(oin, (f"samenloop_{who}", scopes)), clearance=clearance)
    scene.services.keyring.put(oin, admitted)


def make_region(path: Path, **settings: Any) -> Region:
    """Return a region without plans."""
    log = Log(path)
    scene = make_scene(path, **settings)
    for who in PARTNERS:
        admit(scene, who)
    return Region(log, scene)


def close(region: Region) -> None:
    """End its threads and files."""
    region.scene.services.worker.shutdown()
    region.scene.services.reads.close()
    region.log.writer.close()
