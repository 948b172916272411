"""Ends with 0 when the hub's process in this container says that it lives and is ready: what HEALTHCHECK runs.

It stands alone and needs nothing but the standard library, because it is started every few seconds.
"""

import http.client
import os
import sys


def healthy(port: int) -> bool:
    """Return whether `/live` and `/ready` of the process that listens on *port* of loopback both answer 200."""
    for path in ("/live", "/ready"):
        asking = http.client.HTTPConnection("127.0.0.1", port, timeout=2)  # never through a proxy
        try:
            asking.request("GET", path)
            if asking.getresponse().status != http.client.OK:
                return False
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asking.close()
    return True


if __name__ == "__main__":
    sys.exit(not healthy(int(os.environ["SAMENLOOP_METRICS__PORT"])))
