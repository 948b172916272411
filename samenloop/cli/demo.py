"""`samenloop demo`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from samenloop.cli.up import parts_of
from samenloop.errors import BadSettings


def demo(
    *,
    once: Annotated[bool, Parameter(negative=())] = False,
    language: Literal["en", "nl"] = "en",
    folder: Path | None = None,
) -> int:
    """Play an invented region through a real hub on this machine, and tell what it finds.

    Starts a real Kafka and schema registry, every part of the hub, and a partner that receives alerts; plays twelve
    weeks of three organisations' exports. Stays up until Ctrl-C.

    Parameters
    ----------
    once
        End when it is over: with 0 when every expected alert has its final receipt, else with 1 and the reasons.
    language
        Of what is told.
    folder
        An empty folder for settings, profiles, exports and data, which stays; default: one that goes with the demo.
    """
    from samenloop.demo.play import play

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # also before the parts run
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_")]:
        del os.environ[name]  # the demo's own settings hold, in every part of it
    with ExitStack() as leaving:
        if folder is None:
            folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="samenloop-demo-")))
        elif folder.is_dir() and any(folder.iterdir()):
            raise BadSettings([f"--folder: {folder} is not empty, expected an empty or new folder"])
        folder.mkdir(parents=True, exist_ok=True)
        return play(folder.absolute(), parts_of, once=once, language=language)
