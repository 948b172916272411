"""What an answer means: the contract's table, as a table. Pure.

rule: contract.md 9. A 4xx that says "not this" is tried three times more; whatever may pass by itself is tried until
the waits are used up; an answer that asks for patience costs no try.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from samenloop.model import Outcome

REFUSALS_BEFORE_THE_LAST = 3
LONGEST_PATIENCE_SECONDS = 86_400.0
LONGEST_UNASKED_SECONDS = 300.0
"""A partner that asks for no time at all, again and again, gets a growing pause up to this one."""


class Meaning(StrEnum):
    """What a status says."""

    DONE = "DONE"
    TAKEN = "TAKEN"
    NOT_THIS = "NOT_THIS"
    NEVER = "NEVER"
    GONE = "GONE"
    LATER = "LATER"


_STATUS: Mapping[int, Meaning] = {
    202: Meaning.TAKEN,
    408: Meaning.LATER,
    409: Meaning.NEVER,
    410: Meaning.GONE,
    412: Meaning.NEVER,
    425: Meaning.LATER,
    429: Meaning.LATER,
}
_CLASS: Mapping[int, Meaning] = {
    2: Meaning.DONE,
    3: Meaning.LATER,  # never followed
    4: Meaning.NOT_THIS,
    5: Meaning.LATER,
}
_FINAL: Mapping[Meaning, Outcome] = {
    Meaning.DONE: Outcome.DELIVERED,
    Meaning.TAKEN: Outcome.ACCEPTED,
    Meaning.NEVER: Outcome.REFUSED,
    Meaning.GONE: Outcome.REFUSED,
}
_PATIENCE = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class Answer:
    """How one attempt ended: a *status*, or a *problem* (`connect`, `tls`, `timeout`, `address`, `secret`)."""

    status: int | None = None
    problem: str | None = None
    retry_after: str | None = None
    etag: str | None = None
    sent_hash: bytes | None = None
    duration_ms: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows: the receipt's outcome and problem, and when to try again.

    *patience*: the whole subscription waits; *transient*: it may pass by itself, so the partner's next success makes
    another try worthwhile; *counts*: it used up a try.
    """

    outcome: Outcome
    problem: str | None = None
    wait_seconds: float | None = None
    patience: bool = False
    transient: bool = False
    counts: bool = True

    @property
    def final(self) -> bool:
        """Whether no attempt follows."""
        return self.outcome is not Outcome.RETRY


def meaning(answer: Answer) -> Meaning:
    """Return what an answer says."""
    if answer.status is None:
        return Meaning.NOT_THIS if answer.problem in ("address", "secret") else Meaning.LATER
    return _STATUS.get(answer.status, _CLASS.get(answer.status // 100, Meaning.LATER))


def judge(
    answer: Answer, *, attempts: int, tries: int, refusals: int, waits: Sequence[float], now: datetime
) -> Verdict:
    """Return what follows from an answer.

    *attempts* came before this one; *tries* and *refusals* count those of them that used up a try, and those refused;
    *waits* are the seconds before each try.
    """
    said, problem = meaning(answer), answer.problem or _problem(answer.status)
    if said in _FINAL:
        outcome = _FINAL[said]
        return Verdict(outcome, problem if outcome is Outcome.REFUSED else None)
    patience = _patience(answer, now)
    if patience is not None:
        patience = max(patience, min(2.0 ** (attempts - tries), LONGEST_UNASKED_SECONDS))
        return Verdict(Outcome.RETRY, "rate-limited", patience, patience=True, transient=True, counts=False)
    if said is Meaning.NOT_THIS and refusals >= REFUSALS_BEFORE_THE_LAST:
        return Verdict(Outcome.REFUSED, problem)
    if tries + 1 >= len(waits):
        return Verdict(Outcome.GIVEN_UP, problem)
    return Verdict(Outcome.RETRY, problem, waits[tries + 1], transient=said is Meaning.LATER)


def counted(outcome: Outcome, problem: str | None) -> bool:
    """Say of a receipt whether its attempt used up a try."""
    return outcome is Outcome.RETRY and problem != "rate-limited"


def refused(status: int | None, problem: str | None) -> bool:
    """Say of a receipt whether the partner, or our own check, said "not this"."""
    return meaning(Answer(status, problem)) is Meaning.NOT_THIS


def _patience(answer: Answer, now: datetime) -> float | None:
    """Seconds a partner asks us to wait, at most a day: a number, or an HTTP date."""
    if answer.retry_after is None or answer.status not in _PATIENCE:
        return None
    text = answer.retry_after.strip()
    if text.isdigit():
        seconds = float(text)
    else:
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        seconds = (until - now).total_seconds()
    return min(max(seconds, 0.0), LONGEST_PATIENCE_SECONDS)


def _problem(status: int | None) -> str | None:
    if status is None:
        return None
    return "http.redirect" if 300 <= status < 400 else f"http.{status}"
