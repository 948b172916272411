"""Everything that is there while the demonstration plays."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from samenloop.contract import Codec
from samenloop.demo.feed import RoadFeed
from samenloop.demo.puller import Puller
from samenloop.demo.pusher import PermitDesk, Pusher
from samenloop.demo.screen import Screen
from samenloop.demo.watch import Watch
from samenloop.localstack.prometheus import Prometheus
from samenloop.receiver import Receiver
from samenloop.rules import Language, Rules
from samenloop.settings import Hub
from samenloop.supervisor import Supervisor


@dataclass(slots=True)
class Cast:
    """The hub, the invented outside world around it, and who watches."""

    folder: Path
    hub: Hub
    codec: Codec
    rules: Rules
    receiver: Receiver
    feed: RoadFeed
    supervisor: Supervisor
    screen: Screen
    language: Language
    broker_up: datetime
    prometheus: Prometheus | None
    """Scrapes every part, where this machine has one."""
    stopping: threading.Event = field(default_factory=threading.Event)
    said: deque[str] = field(default_factory=lambda: deque(maxlen=40))
    """What the parts said last, for when something goes wrong."""

    @property
    def edge_url(self) -> str:
        """Where partners reach the hub."""
        return f"http://{self.hub.edge.host}:{self.hub.edge.port}"


class Stage(NamedTuple):
    """What is opened for the weeks and closed after them: who watches, and who speaks to the hub."""

    watch: Watch
    pusher: Pusher
    permits: PermitDesk
    puller: Puller

    def close(self) -> None:
        """Give all connections back."""
        for one in self:
            one.close()
