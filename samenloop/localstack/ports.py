"""Free ports on loopback."""

from __future__ import annotations

import random
import socket
from collections.abc import Collection

_FIRST, _LAST = 20000, 32000
"""Below the range from which kernels take ports of outgoing connections: ours stay free while a broker is away."""


def free_ports(count: int, *, wanted: Collection[int] = ()) -> list[int]:
    """Return *count* different ports nobody listens on: *wanted* when they are all free, else others at random."""
    if len(wanted) == count and all(is_free(port) for port in wanted):
        return list(wanted)
    ports: list[int] = []
    while len(ports) < count:
        port = random.randint(_FIRST, _LAST)
        if port not in ports and is_free(port):
            ports.append(port)
    return ports


def is_free(port: int) -> bool:
    """Whether *port* of loopback can be listened on now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
