"""`samenloop demo`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Literal


def demo(*, once: bool = False, lang: Literal["nl", "en"] = "en", folder: Path | None = None) -> int:
    """Play an invented region through a real hub on this machine, and tell what it finds.

    Starts a Kafka and a registry on loopback, plays twelve weeks of exports of three organisations, and delivers to a
    receiver that is down for a while. Nothing is left running, however it ends.

    Parameters
    ----------
    once
        End when all is told: with 0 when every expected alert has its final receipt, else with 1 and the reason.
        Without it the hub stays up, with its addresses shown, until Ctrl-C.
    lang
        Language of what is told.
    folder
        An empty folder for its files, kept afterwards; without, a temporary one that is removed.
    """
    from samenloop import logs
    from samenloop.cli.up import parts_of
    from samenloop.demo.play import play

    logs.configure("ERROR")  # the screen is the story's
    place = folder or Path(tempfile.mkdtemp(prefix="samenloop-demo-"))
    try:
        return play(place, parts_of, once=once, language=lang)
    finally:
        if folder is None:
            shutil.rmtree(place, ignore_errors=True)
