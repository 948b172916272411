"""Become another program that dies with the process that started us (Linux).

Run as a script, on its own: ``python -I -S launch.py PARENT PROGRAM ARGUMENTS…``; `dying_with_us` makes that command. A
script and not a `preexec_fn`, which may hang in a process with threads. The kernel ties the signal to the *thread* that
started us: start from one that lives as long as its process.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

PR_SET_PDEATHSIG = 1


def dying_with_us(command: Sequence[str]) -> list[str]:
    """Return *command*, whose program is an absolute path, as one that the kernel kills when this process ends."""
    return [sys.executable, "-I", "-S", __file__, str(os.getpid()), *command]


if __name__ == "__main__":
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the signal was set
            sys.exit(1)
    os.execv(program[0], program)
