"""How sources are doing, from the accounts of their polls and the records that were set aside. Pure.

Everything here may be told in any pieces and again: a poll counts once, by its offset in `polls`; a dead letter counts
once, by its id. So a view that was told everything equals a recount over the topics, however it was told. What lies
before the topics' retention is carried by the statuses that were published (`remembered`).

*The last 24 hours* are the last 24 whole hours and the running one, UTC: whole hours need no list of polls.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from samenloop.errors import Reject
from samenloop.identity import system_oin
from samenloop.model import (
    Contact,
    DeadLetter,
    Direction,
    Organisation,
    PollOutcome,
    SourcePoll,
    SourceStatus,
    SystemState,
)
from samenloop.value import value

WINDOW_HOURS = 25
"""The running hour and the 24 before it."""
MOST_LETTERS = 50_000
"""Different dead letters counted for one system; beyond it the count stands still and means *at least*."""
RECORDS = ("read", "created", "updated", "removed", "unchanged", "rejected")
SUCCESS = (PollOutcome.OK, PollOutcome.UNCHANGED)
SILENT, UNREADABLE = "source.silent", "source.unreadable-profile"
_WORST_FIRST = (
    SystemState.FAILED, SystemState.PAUSED, SystemState.UNKNOWN, SystemState.RUNNING, SystemState.RETIRED,
)  # fmt: skip


@value(kw_only=True)
class System:
    """What is known of a source without asking it: from the settings and its profile.

    *silent_seconds*: without any poll for so long it is taken for dead. *unreadable* says that the profile could not
    be read here, so that *system* is a stand-in until the first poll tells its own.
    """

    source: str
    system: str
    owner: Organisation
    name: str
    connector: str
    protocol: str
    freshness_objective_s: int
    silent_seconds: float
    product: str | None = None
    standards: tuple[str, ...] = ()
    direction: Direction = Direction.READ
    licence: str | None = None
    contact: Contact | None = None
    unreadable: bool = False


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


class Letters:
    """Dead letters of the window: by system, the last hour of each letter's id."""

    def __init__(self) -> None:
        self._hours: dict[str, dict[str, int]] = {}

    def add(self, system: str, letter_id: str, hour: int) -> bool:
        """Count a letter; say whether that changed anything."""
        hours = self._hours.setdefault(system, {})
        if hours.get(letter_id, -1) >= hour or (letter_id not in hours and len(hours) >= MOST_LETTERS):
            return False
        hours[letter_id] = hour
        return True

    def forget_before(self, now: datetime) -> list[str]:
        """Drop what left the window; return the ids."""
        first = hour_of(now) - WINDOW_HOURS + 1
        dropped = [key for hours in self._hours.values() for key, hour in hours.items() if hour < first]
        self._hours = {
            system: kept
            for system, hours in self._hours.items()
            if (kept := {key: hour for key, hour in hours.items() if hour >= first})
        }
        return dropped

    def count(self, system: str, now: datetime) -> int:
        """Return how many different records of *system* were set aside in the last 24 hours."""
        first = hour_of(now) - WINDOW_HOURS + 1
        return sum(hour >= first for hour in self._hours.get(system, {}).values())

    def items(self) -> Iterator[tuple[str, tuple[str, int]]]:
        """Yield each letter's id with its system and hour."""
        for system, hours in self._hours.items():
            yield from ((key, (system, hour)) for key, hour in hours.items())


def letter_system(letter: DeadLetter) -> str | None:
    """Return the system from which the record in *letter* came; None when nothing says so."""
    if letter.system:
        return letter.system
    found = next((header.value for header in letter.headers if header.name == "ce_source"), None)
    return found.decode("utf-8", "replace") if found else None


def recount(polls: Iterable[tuple[SourcePoll, str, int]], letters: Iterable[DeadLetter]) -> tuple[Accounts, Letters]:
    """Return the accounts of all *polls* (each with its system and offset, in order per source) and *letters*."""
    accounts: Accounts = {}
    for poll, system, offset in polls:
        accounts[poll.source] = with_poll(accounts.get(poll.source), poll, system=system, offset=offset)
    counted = Letters()
    for letter in letters:
        if (system_ := letter_system(letter)) is not None:
            counted.add(system_, str(letter.id), hour_of(letter.failed_at))
    return accounts, counted


def statuses(
    systems: Sequence[System],
    accounts: Mapping[str, Account],
    letters: Letters,
    remembered: Mapping[str, SourceStatus],
    now: datetime,
) -> dict[str, SourceStatus | None]:
    """Return the status of every system by its URN, as observed *now*; None takes one back that never existed.

    *systems* are the sources of the settings. What they do not name and was once read is RETIRED: it keeps what was
    published about it (*remembered*). What was never read and is not in the settings any more leaves no trace.
    """
    found: dict[str, list[SourceStatus]] = {}
    for system in systems:
        account, known = accounts.get(system.source), system
        if known.unreadable and account is not None:
            known = replace(system, system=account.system, owner=_owner(account.system), unreadable=False)
        if account is not None and account.system != known.system:
            account = None
        before = remembered.get(known.system)
        status = _status(known, account, before, letters, now)
        found.setdefault(status.system, []).append(status)
    said: dict[str, SourceStatus | None] = {urn: reduce(_joined, each) for urn, each in found.items()}
    for urn, gone in _retired(accounts, remembered, now).items():
        said.setdefault(urn, gone and replace(gone, rejected_24h=letters.count(urn, now)))
    return said


def _status(
    known: System, account: Account | None, before: SourceStatus | None, letters: Letters, now: datetime
) -> SourceStatus:
    state, error_code = _state(known, account, now)
    status = SourceStatus(
        system=known.system,
        owner=known.owner,
        name=known.name,
        connector=known.connector,
        protocol=known.protocol,
        freshness_objective_s=known.freshness_objective_s,
        observed_at=now,
        sources=(known.source,),
        product=known.product,
        standards=known.standards,
        direction=known.direction,
        licence=known.licence,
        contact=known.contact,
        state=state,
        error_code=error_code,
        rejected_24h=letters.count(known.system, now),
    )
    if before is not None and before.sources == (known.source,):  # from before the polls that are still there
        status = replace(
            status,
            last_success_at=before.last_success_at,
            newest_record_at=before.newest_record_at,
            plans=before.plans,
        )
    return status if account is None else _with_account(status, account, now)


def _with_account(status: SourceStatus, account: Account, now: datetime) -> SourceStatus:
    return replace(
        status,
        last_success_at=account.last_success_at or status.last_success_at,
        newest_record_at=account.newest_record_at or status.newest_record_at,
        plans=account.plans if account.newest_record_at else status.plans,
        polls_24h=_window(account, "polls.", now),
        records_24h=_window(account, "records.", now),
    )


def _state(known: System, account: Account | None, now: datetime) -> tuple[SystemState, str | None]:
    if account is None:
        return (SystemState.FAILED, UNREADABLE) if known.unreadable else (SystemState.UNKNOWN, None)
    if account.outcome is PollOutcome.HELD:
        return SystemState.PAUSED, account.error_code
    if account.outcome not in SUCCESS:
        return SystemState.FAILED, account.error_code
    if (now - account.last_poll_at).total_seconds() > known.silent_seconds:
        return SystemState.FAILED, SILENT
    return SystemState.RUNNING, None


def _window(account: Account, prefix: str, now: datetime) -> dict[str, int]:
    first = hour_of(now) - WINDOW_HOURS + 1
    total: dict[str, int] = {}
    for hour in sorted(account.hours):
        for name, count in account.hours[hour].items() if hour >= first else ():
            if name.startswith(prefix):
                total[name.removeprefix(prefix)] = total.get(name.removeprefix(prefix), 0) + count
    return total


def _joined(first: SourceStatus, other: SourceStatus) -> SourceStatus:
    """Return one status of two sources of one system: the first describes it, the worse one says how it is."""
    worse = min(first, other, key=lambda status: _WORST_FIRST.index(status.state))
    successes, newest = (
        [at for at in (getattr(first, name), getattr(other, name)) if at is not None]
        for name in ("last_success_at", "newest_record_at")
    )
    return replace(
        first,
        sources=(*first.sources, *other.sources),
        standards=tuple(dict.fromkeys((*first.standards, *other.standards))),
        state=worse.state,
        error_code=worse.error_code,
        freshness_objective_s=min(first.freshness_objective_s, other.freshness_objective_s),
        last_success_at=min(successes) if len(successes) == 2 else None,
        newest_record_at=max(newest, default=None),
        plans=first.plans + other.plans,
        polls_24h=_sum(first.polls_24h, other.polls_24h),
        records_24h=_sum(first.records_24h, other.records_24h),
    )


def _sum(first: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: first.get(name, 0) + other.get(name, 0) for name in dict.fromkeys((*first, *other))}


def _retired(
    accounts: Mapping[str, Account], remembered: Mapping[str, SourceStatus], now: datetime
) -> dict[str, SourceStatus | None]:
    """Return the statuses of all systems as if none were in the settings; None for one that was never read."""
    retired: dict[str, SourceStatus | None] = {}
    for urn, status in remembered.items():
        read = status.last_success_at is not None or bool(status.polls_24h) or status.state is SystemState.RETIRED
        gone = replace(
            status, state=SystemState.RETIRED, error_code=None, observed_at=now, polls_24h={}, records_24h={}
        )
        retired[urn] = gone if read else None
    for account in accounts.values():
        status_ = retired.get(account.system) or SourceStatus(
            system=account.system,
            owner=_owner(account.system),
            name=account.source,
            connector=account.connector,
            protocol=account.connector,
            freshness_objective_s=86400,
            observed_at=now,
            sources=(account.source,),
            direction=Direction.READ,
            state=SystemState.RETIRED,
        )
        retired[account.system] = _with_account(status_, account, now)
    return retired


def _owner(system: str) -> Organisation:
    """Return who runs *system*, as far as its URN tells."""
    try:
        return Organisation(system_oin(system))
    except Reject:
        return Organisation(system)


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
