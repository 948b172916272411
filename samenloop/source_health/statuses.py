"""From accounts, letters and settings to the status of every system."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import reduce

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
from samenloop.source_health.accounts import SUCCESS, WINDOW_HOURS, Account, Accounts, hour_of, with_poll
from samenloop.source_health.letters import Letters, letter_system
from samenloop.value import value

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
