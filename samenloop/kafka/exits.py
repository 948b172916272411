"""Codes with which a process leaves when going on could double or lose something.

A process that is in doubt keeps nothing: it ends at once, the supervisor starts it again, and it rebuilds its state
from Kafka. Python's own clean-up is skipped on purpose: closing a client could block for as long as the trouble lasts.

| code | meaning | cure |
| --- | --- | --- |
| 1 | a bug, or the watchdog: a loop did not turn | start again |
| 2 | settings cannot work | correct the settings |
| 3 | the state could not be rebuilt at assignment | start again |
| 4 | another process holds this slot | give each process a slot of its own |
| 5 | the outcome of a transaction is not known | start again: its successor ends it |
| 6 | the group went on without us | start again |
| 7 | no valid position: topic, committed offset or records are missing | `samenloop topics apply`, or look why |
| 8 | Kafka does not allow it to this principal | `samenloop access apply` |
"""

from __future__ import annotations

import os
from enum import IntEnum
from typing import NoReturn

from samenloop.logs import get_logger


class Exit(IntEnum):
    """Exit codes of a worker."""

    CRASHED = 1
    REFUSED = 2
    NOT_REBUILT = 3
    FENCED = 4
    IN_DOUBT = 5
    LEFT_BEHIND = 6
    NO_POSITION = 7
    NOT_ALLOWED = 8


_SENTENCES = {
    Exit.CRASHED: "A loop no longer turned; the process ends and rebuilds.",
    Exit.NOT_REBUILT: "The state could not be rebuilt; the process ends and tries again.",
    Exit.FENCED: "Another process works with this slot; this one ends. Give each process a slot of its own.",
    Exit.IN_DOUBT: "The outcome of a transaction is not known; the process ends and rebuilds.",
    Exit.LEFT_BEHIND: "The group went on without this process; it ends and rebuilds.",
    Exit.NO_POSITION: "A topic, a committed offset or unread records are missing; `samenloop topics apply` makes them.",
    Exit.NOT_ALLOWED: "Kafka does not allow it to this principal; `samenloop access apply` grants what is needed.",
}
_FOR_AN_OPERATOR = (Exit.NO_POSITION, Exit.NOT_ALLOWED)

_log = get_logger("kafka")


def leave(code: Exit, *, exc_info: bool = False, **fields: object) -> NoReturn:
    """Say why, and end the process at once with *code*."""
    say = _log.error if code in _FOR_AN_OPERATOR else _log.warning
    say(f"kafka.{code.name.lower()}", _SENTENCES[code], exit_code=int(code), exc_info=exc_info or None, **fields)
    os._exit(code)
