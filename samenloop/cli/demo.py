"""`samenloop demo`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NoReturn

from samenloop.cli.output import warn
from samenloop.cli.tree import FAILED, INTERRUPTED, USAGE, words
from samenloop.cli.up import parts_of
from samenloop.errors import BadSettings, SamenloopError


def demo(*, once: bool = False, lang: Literal["nl", "en"] = "en", folder: Path | None = None) -> None:
    """Play an invented region through a real hub on this machine, and tell what it finds.

    Starts a Kafka and a registry on loopback and plays twelve weeks: exports of three organisations, urgent works that
    are pushed, a road register that is polled. It delivers to a receiver that is down for a while, and lets a system
    that was offline catch up. Nothing is left running, however it ends.

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

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # also before the parts run
    for name in [name for name in os.environ if name.startswith("SAMENLOOP_")]:
        del os.environ[name]  # the demo's own settings hold, in every part of it
    logs.configure("ERROR")  # the screen is the story's
    try:
        _leave(_play(folder, once=once, lang=lang))
    except KeyboardInterrupt:
        _leave(INTERRUPTED)
    except SystemExit as asked:
        _leave(asked.code if isinstance(asked.code, int) else FAILED)
    except SamenloopError as error:
        warn(words(error))
        _leave(USAGE if isinstance(error, BadSettings) else FAILED)


def _play(folder: Path | None, *, once: bool, lang: Literal["nl", "en"]) -> int:
    from samenloop.demo.play import play

    with ExitStack() as leaving:
        if folder is None:
            folder = Path(leaving.enter_context(tempfile.TemporaryDirectory(prefix="samenloop-demo-")))
        elif folder.is_dir() and any(folder.iterdir()):
            raise BadSettings([f"--folder: {folder} is not empty, expected an empty or new folder"])
        folder.mkdir(parents=True, exist_ok=True)
        return play(folder.absolute(), parts_of, once=once, language=lang)


def _leave(code: int) -> NoReturn:
    """End at once: a Kafka client that was interrupted may never let the interpreter end, or an error be freed."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
