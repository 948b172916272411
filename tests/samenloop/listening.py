"""What the small servers of tests have in common: they listen in a thread for as long as they are entered."""

from __future__ import annotations

import threading
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Self


class Listening:
    """A context manager around a server."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._listens = server

    def __enter__(self) -> Self:
        threading.Thread(target=self._listens.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listens.shutdown()
        self._listens.server_close()
