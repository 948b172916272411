"""How sources are doing, from the accounts of their polls and the records that were set aside. Pure.

Everything here may be told in any pieces and again: a poll counts once, by its offset in `polls`; a dead letter counts
once, by its id. So a view that was told everything equals a recount over the topics, however it was told. What lies
before the topics' retention is carried by the statuses that were published (`remembered`).

*The last 24 hours* are the last 24 whole hours and the running one, UTC: whole hours need no list of polls.
"""

from samenloop.source_health.accounts import (
    WINDOW_HOURS,
    Account,
    Accounts,
    from_plain,
    hour_of,
    merged,
    to_plain,
    with_poll,
)
from samenloop.source_health.letters import MOST_LETTERS, Letters, letter_system
from samenloop.source_health.statuses import SILENT, UNREADABLE, System, recount, statuses

__all__ = [
    "MOST_LETTERS", "SILENT", "UNREADABLE", "WINDOW_HOURS", "Account", "Accounts", "Letters", "System", "from_plain",
    "hour_of", "letter_system", "merged", "recount", "statuses", "to_plain", "with_poll",
]  # fmt: skip
