"""`samenloop verify`: is the truth true?"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Config, Json, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, warn
from samenloop.contract import to_json
from samenloop.errors import BadSettings

if TYPE_CHECKING:
    from samenloop.conservation import Account
    from samenloop.verification import Compared, Verifier

HOLDS, DIFFERS, NOT_VERIFIED = 0, 3, 4
SHOWN = 10
_PAUSE_SECONDS = 2.0
_MOST_HOURS = 14 * 24
_WORDS = {
    "read": "records that sources read",
    "publish": "changes that polls say they wrote",
    "consolidate": "changes of plans",
    "restrictions": "reports of restrictions",
    "deliver": "alerts",
}


def verify(
    *,
    since: Annotated[float, Parameter(help="Hours back for which records are counted, at most 336.")] = 24.0,
    patience: Annotated[float, Parameter(help="Seconds to wait for a hub that is still at work.")] = 60.0,
    config: Config = None,
    json: Json = False,
) -> int:
    """Say whether the truth is true: count what came in and what became of it, and work out states and findings again.

    Every plan state and every open finding is worked out from the changes by another way than the stages take, and
    compared. A hub at work may go on meanwhile. Changes nothing. Ends with 0 when all holds, 3 when something differs,
    4 when it could not be verified because stages are behind; 1 when Kafka or the registry is away.
    """
    if not 0 < since <= _MOST_HOURS:
        raise BadSettings([f"--since: found {since:g}, expected hours, more than 0 and at most {_MOST_HOURS}"])
    from samenloop.kafka.window import Window
    from samenloop.reconcile import Reconciler
    from samenloop.rules import load_rules
    from samenloop.verification import Verifier

    hub = hub_of(config)
    rules = load_rules(hub.hub.rules)
    codec = codec_of(hub)
    began = time.monotonic()
    with reaching(hub), Window(hub.kafka) as window:
        compared = _compare(Verifier(hub, codec, rules, window), patience)
        now = clock.now()
        accounts = Reconciler(hub, codec, window).accounts(now - timedelta(hours=since), now, now=now)
    code = _code(accounts, compared)
    seconds = time.monotonic() - began
    if json:
        emit(_form(accounts, compared, code, rules.rule_version, seconds))
    else:
        _tell(accounts, compared, since, rules.rule_version)
        _conclude(code, seconds)
    return code


def _compare(verifier: Verifier, patience: float) -> Compared:
    """Look until nothing is waiting and nothing differs, or patience ends; a difference that stays is believed."""
    ends, until = verifier.ends(), time.monotonic() + patience
    found = verifier.look(ends)
    while (not found.settled or found.states or found.judged) and time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
        before, found = found, verifier.look(ends)
        same = (before.states, before.judged) == (found.states, found.judged)
        if same and found.settled and time.monotonic() > until - patience / 2:
            break
    return found


def _code(accounts: list[Account], compared: Compared) -> int:
    if compared.states or compared.judged or any(account.missing for account in accounts):
        return DIFFERS
    return HOLDS if compared.settled else NOT_VERIFIED


def _tell(accounts: list[Account], compared: Compared, since: float, rule_version: str) -> None:
    say(f"Counted: what came in during the last {since:g} hours, and what became of it.")
    for account in accounts:
        became = ", ".join(f"{count} {name}" for name, count in sorted(account.became.items())) or "nothing"
        verdict = f"{account.missing} NOT ACCOUNTED FOR" if account.missing else "all accounted for"
        say(f"  {account.pipeline:12} {account.went_in} {_WORDS[account.pipeline]}: {became}; {verdict}")
        for difference in account.differences[:SHOWN]:
            say(f"    {difference.what}: {difference.detail} [{difference.place}, id {difference.id}]")
        _more(account.missing, min(len(account.differences), SHOWN))
    say("Worked out again: every plan and restriction from its changes, every finding from them.")
    say(
        f"  {compared.plans} states of plans and {compared.restrictions} of restrictions compared, "
        f"{len(compared.states)} differences"
    )
    for difference in compared.states[:SHOWN]:
        say(f"    {difference.what}: {difference.id}: {difference.detail} [{difference.place}]")
    _more(len(compared.states), SHOWN)
    day = f" on {compared.today} by {rule_version}" if compared.today else ""
    say(f"  {compared.findings} open findings compared{day}, {len(compared.judged)} differences")
    for line in compared.judged[:SHOWN]:
        say(f"    {line}")
    _more(len(compared.judged), SHOWN)
    for note in compared.notes:
        say(f"Not verified: {note}.")
    if compared.unjudged:
        say(f"{compared.unjudged} plans or restrictions have a geometry that cannot be read: no finding is about them.")
    if compared.waiting:
        say(f"Not verified: {compared.waiting} changes wait for `consolidate`. Is it running?")


def _more(count: int, shown: int) -> None:
    if count > shown:
        say(f"    and {count - shown} more; --json names up to 100 of each")


def _conclude(code: int, seconds: float) -> None:
    if code == HOLDS:
        say(f"The truth is true ({seconds:.0f} s).")
    elif code == NOT_VERIFIED:
        say(f"It could not be verified ({seconds:.0f} s): the hub is behind. Nothing was found wrong.")
    else:
        warn("Something differs. docs/operators/verify.md says how to look closer; do not reset anything before.")


def _form(accounts: list[Account], compared: Compared, code: int, rule_version: str, seconds: float) -> dict[str, Any]:
    return {
        "holds": code == HOLDS,
        "verified": code != NOT_VERIFIED,
        "seconds": round(seconds, 1),
        "accounts": to_json(accounts),
        "states": {
            "compared": compared.plans,
            "restrictions": compared.restrictions,
            "differences": to_json(compared.states[:100]),
        },
        "findings": {
            "compared": compared.findings,
            "today": compared.today,
            "rules": rule_version,
            "differences": compared.judged[:100],
        },
        "waiting": compared.waiting,
        "moving": len(compared.moving),
        "not_verified": compared.notes,
    }
