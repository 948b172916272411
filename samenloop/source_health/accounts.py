"""What the polls of one source came to, counted by the hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from samenloop.model import PollOutcome, SourcePoll
from samenloop.value import value

WINDOW_HOURS = 25
"""The running hour and the 24 before it."""
RECORDS = ("read", "created", "updated", "removed", "unchanged", "rejected")
SUCCESS = (PollOutcome.OK, PollOutcome.UNCHANGED)


@value(kw_only=True)
class Account:
    """What the polls of one source came to, up to *offset* in its partition of `polls`.

    *hours* counts by hour since 1970: ``polls.<outcome>`` and ``records.<what became of them>``.
    """

    source: str
    system: str
    connector: str
    offset: int
    last_poll_at: datetime
    outcome: PollOutcome = PollOutcome.UNKNOWN
    error_code: str | None = None
    last_success_at: datetime | None = None
    newest_record_at: datetime | None = None
    plans: int = 0
    hours: Mapping[int, Mapping[str, int]] = field(default_factory=dict)


Accounts = dict[str, Account]
"""By the name of the source."""


def hour_of(instant: datetime) -> int:
    """Return whole hours since 1970 of an aware *instant*."""
    return int(instant.timestamp()) // 3600


def with_poll(account: Account | None, poll: SourcePoll, *, system: str, offset: int) -> Account:
    """Return *account* with one more poll of its source; one that it has already counted changes nothing.

    A poll that speaks for another system begins a new account: the source's profile was changed.
    """
    if account is not None and account.system == system and offset <= account.offset:
        return account
    if account is None or account.system != system:
        account = Account(
            source=poll.source,
            system=system,
            connector=poll.connector,
            offset=-1,
            last_poll_at=poll.started_at,
        )
    ended = poll.started_at + timedelta(milliseconds=poll.duration_ms)
    brought = poll.outcome is PollOutcome.OK
    still_held = poll.outcome is account.outcome is PollOutcome.HELD
    return replace(
        account,
        connector=poll.connector,
        offset=offset,
        last_poll_at=ended,
        outcome=poll.outcome,
        error_code=poll.error_code or (account.error_code if still_held else None),
        last_success_at=ended if poll.outcome in SUCCESS else account.last_success_at,
        newest_record_at=(poll.newest_record_at if brought else None) or account.newest_record_at,
        plans=poll.created + poll.updated + poll.unchanged if brought else account.plans,
        hours=_counted(account.hours, poll),
    )


def merged(known: Account | None, counted: Account, now: datetime) -> Account:
    """Return *counted*, an account of recent polls only, with what *known* has from before them.

    Hours that left the window *now* are taken from both: they count no more, and are no difference.
    """
    if known is None or known.system != counted.system:
        return counted
    first = hour_of(now) - WINDOW_HOURS + 1
    polls = {name for counts in counted.hours.values() for name in counts if name.startswith("polls.")}
    held_throughout = known.outcome is PollOutcome.HELD and polls == {"polls.held"}
    return replace(
        counted,
        hours={**{hour: counts for hour, counts in known.hours.items() if hour < first}, **counted.hours},
        last_success_at=counted.last_success_at or known.last_success_at,
        newest_record_at=counted.newest_record_at or known.newest_record_at,
        plans=counted.plans if counted.newest_record_at else known.plans,
        error_code=counted.error_code or (known.error_code if held_throughout else None),
    )


def _counted(hours: Mapping[int, Mapping[str, int]], poll: SourcePoll) -> Mapping[int, Mapping[str, int]]:
    hour = hour_of(poll.started_at)
    counts = dict(hours.get(hour, {}))
    found = {f"polls.{poll.outcome.lower()}": 1, **{f"records.{kind}": getattr(poll, kind) for kind in RECORDS}}
    for name, count in found.items():
        if count:
            counts[name] = counts.get(name, 0) + count
    newest = max([hour, *hours])
    return {at: kept for at, kept in {**hours, hour: counts}.items() if at > newest - WINDOW_HOURS}


def to_plain(account: Account) -> dict[str, Any]:
    """Return *account* as JSON takes it."""
    instants = {name: _iso(getattr(account, name)) for name in _INSTANTS}
    hours = {str(hour): dict(counts) for hour, counts in account.hours.items()}
    plain = {
        name: getattr(account, name) for name in ("source", "system", "connector", "offset", "error_code", "plans")
    }
    return {**plain, **instants, "outcome": account.outcome.value, "hours": hours}


def from_plain(plain: Mapping[str, Any]) -> Account:
    """Return the account of `to_plain`."""
    instants = {name: datetime.fromisoformat(text) if (text := plain[name]) else None for name in _INSTANTS}
    hours = {int(hour): counts for hour, counts in plain["hours"].items()}
    return Account(**{**plain, **instants, "outcome": PollOutcome(plain["outcome"]), "hours": hours})


_INSTANTS = ("last_poll_at", "last_success_at", "newest_record_at")


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat()
