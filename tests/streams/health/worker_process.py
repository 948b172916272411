"""A worker of the view in a process of its own: ``python worker_process.py <hub.json> <systems.json> <now>``.

It says `ready` and `stopped` on stdout. The clock stands still, so that a recount elsewhere sees the same hours.
"""

import json
import signal
import sys
import threading
from datetime import datetime

from samenloop import logs
from samenloop.contract import Codec
from samenloop.model import Organisation
from samenloop.settings import Hub
from samenloop.source_health import System
from streams.health import Health


def systems_of(text: str) -> list[System]:
    """Return the systems that a test describes."""
    return [System(**{**given, "owner": Organisation(**given["owner"])}) for given in json.loads(text)]


def say(word: str) -> None:
    """Say a word to the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main() -> None:
    """Run until SIGTERM."""
    hub, now = Hub.model_validate_json(sys.argv[1]), datetime.fromisoformat(sys.argv[3])
    logs.configure("INFO", "json", process="health")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    codec = Codec.from_registry(hub.registry.url, hub.kafka.prefix)
    health = Health(hub, codec, systems_of(sys.argv[2]), now=lambda: now)
    ready = threading.Event()

    def tell_ready() -> None:
        if not ready.is_set():
            ready.set()
            say("ready")

    health.run(stop, on_ready=tell_ready)
    say("stopped")


if __name__ == "__main__":
    main()
