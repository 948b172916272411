"""What the view knows and what it has yet to say. No Kafka and no Faust: facts in, statuses out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from samenloop.model import DeadLetter, SourcePoll, SourceStatus
from samenloop.source_health import (
    Account,
    Accounts,
    Letters,
    System,
    hour_of,
    letter_system,
    merged,
    statuses,
    with_poll,
)
from samenloop.value import value

SAID_AGAIN_AFTER = timedelta(minutes=5)
"""An unchanged status is said again, so that its `observed_at` shows that somebody still looks."""
MOST_HEARD = 100_000
"""Facts that may be heard during one recount; beyond it the recount is dropped and made again."""


@value
class Counted:
    """What a recount over the topics found: accounts, dead letters, and what `sources` held when it began."""

    accounts: Accounts
    letters: Letters
    published: Mapping[str, SourceStatus]


class View:
    """The state of the one worker that speaks. *accounts* and *letters* mirror its tables."""

    def __init__(self, described: Sequence[System]) -> None:
        self._described = described
        self.accounts: Accounts = {}
        self.letters = Letters()
        self.recounted = False
        """Whether a recount has been heard: before it, it is not known what was said."""
        self._published: dict[str, SourceStatus] = {}
        self._heard: list[tuple[SourcePoll, str, int] | DeadLetter] | None = None
        self._said_meanwhile: dict[str, SourceStatus | None] = {}

    def hear_poll(self, poll: SourcePoll, system: str, offset: int) -> Account | None:
        """Count a poll at *offset* of its partition; return the account when that changed it."""
        if self._heard is not None:
            self._heard.append((poll, system, offset))
        before = self.accounts.get(poll.source)
        account = self.accounts[poll.source] = with_poll(before, poll, system=system, offset=offset)
        return None if account is before else account

    def hear_letter(self, letter: DeadLetter) -> tuple[str, int] | None:
        """Count a dead letter; return its system and hour when that changed anything."""
        if self._heard is not None:
            self._heard.append(letter)
        system = letter_system(letter)
        if system is None:
            return None
        hour = hour_of(letter.failed_at)
        return (system, hour) if self.letters.add(system, str(letter.id), hour) else None

    def begin_recount(self) -> None:
        """Remember what is heard from now on: the recount may have read past it, or not as far."""
        self._heard, self._said_meanwhile = [], {}

    def drop_recount(self) -> None:
        """Forget that a recount was under way."""
        self._heard = None

    def end_recount(self, counted: Counted, now: datetime) -> set[str] | None:
        """Take over what was *counted*, and on top of it what was heard meanwhile.

        Returns the sources whose accounts had missed something; None when too much was heard meanwhile, so that the
        recount must be made again. A source without polls in the recount keeps its account.
        """
        heard, self._heard = self._heard or [], None
        if len(heard) > MOST_HEARD:
            return None
        known, self.letters = self.accounts, counted.letters
        recounted = {name: merged(known.get(name), account, now) for name, account in counted.accounts.items()}
        self.accounts = {**known, **recounted}
        for fact in heard:
            if isinstance(fact, DeadLetter):
                self.hear_letter(fact)
            else:
                self.hear_poll(*fact)
        self._published = dict(counted.published)
        for system, status in self._said_meanwhile.items():
            self.said(system, status)
        self.recounted = True
        return {
            name
            for name, account in known.items()
            if name in recounted and recounted[name].offset <= account.offset and self.accounts[name] != account
        }

    def due(self, now: datetime) -> dict[str, SourceStatus | None]:
        """Return the statuses to be said *now*: what differs from what was said, or was said long ago."""
        if not self.recounted:
            return {}
        current = statuses(self._described, self.accounts, self.letters, self._published, now)
        return {system: status for system, status in current.items() if self._differs(system, status, now)}

    def said(self, system: str, status: SourceStatus | None) -> None:
        """Take note that a status is on Kafka."""
        if self._heard is not None:
            self._said_meanwhile[system] = status
        if status is None:
            self._published.pop(system, None)
        else:
            self._published[system] = status

    def _differs(self, system: str, status: SourceStatus | None, now: datetime) -> bool:
        published = self._published.get(system)
        if published is None or status is None:
            return published is not status
        return (
            replace(published, observed_at=now) != replace(status, observed_at=now)
            or now - published.observed_at >= SAID_AGAIN_AFTER
        )
