"""The table of commands as a command tree, and the one place where errors become lines and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from samenloop import __version__
from samenloop.cli import COMMANDS, GROUPS
from samenloop.errors import BadSettings, Held, Reject, Retry, SamenloopError

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def build() -> App:
    """Return the tree; commands are named by import string and loaded when they run."""
    app = App(
        name="samenloop",
        version=__version__,
        help_format="plaintext",
        help_formatter="plain",
        print_error=False,
        exit_on_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    groups = {"": app}
    for words, text in GROUPS.items():  # a group stands behind the one it is in
        within, _, name = words.rpartition(" ")
        groups[words] = App(name=name, help=text, version_flags=())
        groups[within].command(groups[words])
    for command in COMMANDS:
        within, _, name = command.words.rpartition(" ")
        groups[within].command(f"samenloop.cli.{command.target}", name=name, help=command.help, version_flags=())
    return app


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code; what goes wrong on purpose is told in lines on stderr."""
    try:
        result = build()(list(arguments))
    except (CycloptsError, SamenloopError) as error:
        print(words(error), file=sys.stderr)
        return USAGE if isinstance(error, CycloptsError | BadSettings) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing more to say
        return DONE
    return result if isinstance(result, int) else DONE


def words(error: CycloptsError | SamenloopError) -> str:
    """Return what a person is told of an error."""
    if isinstance(error, CycloptsError):
        return " ".join(str(error).split()) + "\nTry the command with --help."
    if isinstance(error, BadSettings):
        return "\n".join(error.problems)
    if isinstance(error, Retry | Held | Reject):
        field = f", {error.field}" if isinstance(error, Reject) and error.field else ""
        return f"{error.detail} ({error.code}{field})"
    return str(error)
