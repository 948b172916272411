"""What can go wrong, named after what the hub does about it.

    SamenloopError
    ├── BadSettings   refuse to start, all problems at once
    ├── Retry         do the same thing again, later
    ├── Reject        set this one record aside, go on with the next
    └── Held          a whole page looks wrong: keep the last good state, alarm, wait for an operator

Anything else is a bug or an outage of our own: it stops the process, and the supervisor starts it again.
"""

from __future__ import annotations

from collections.abc import Sequence


class SamenloopError(Exception):
    """Base of everything the hub raises on purpose."""


class BadSettings(SamenloopError):
    """A settings, profile, rule or subscription file does not describe something that can run.

    Each problem is one line: ``file:line: key: what was found, what is expected``.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class Retry(SamenloopError):
    """The other side cannot answer now. Nothing is lost; ask again, *after_seconds* from now when given."""

    def __init__(self, code: str, detail: str, *, after_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.after_seconds = after_seconds


class Reject(SamenloopError):
    """This record will never do.

    *code* is one of a small set (a metric label), *detail* a sentence that names the field, what was found in
    kind (never the payload itself) and what is expected.
    """

    def __init__(self, code: str, detail: str, *, field: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.field = field


class Held(SamenloopError):
    """A complete answer that must not be applied by itself: an operator releases or discards it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
