"""`samenloop dead-letters list|show|replay|discard`."""

from __future__ import annotations

import getpass
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from samenloop import clock, dead_letters
from samenloop.cli import dead_letter_words as words
from samenloop.cli.options import Config, Json, Limit, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table, warn
from samenloop.dead_letters import Entry, Wanted
from samenloop.errors import BadSettings
from samenloop.model import DeadLetterStatus, DeadReason

if TYPE_CHECKING:
    from samenloop.dead_letter_desk import Desk, Result

_AGE = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


Ids = Annotated[str, Parameter(name="IDS")]
Reason = Annotated[
    DeadReason | None, Parameter(name="--reason", help="Only of this class, such as validation or delivery.")
]
Code = Annotated[
    str | None, Parameter(name="--code", help="Only with this code; `geometry` takes all that begin with `geometry.`.")
]
Source = Annotated[str | None, Parameter(name="--source", help="Only of this source, system or stage.")]
OfTopic = Annotated[str | None, Parameter(name="--topic", help="Only records that were read from this topic.")]
Since = Annotated[
    str | None, Parameter(name="--since", help="Only set aside since: a date (2027-01-31) or an age (90m, 24h, 7d).")
]
All = Annotated[bool, Parameter(name="--all", negative=(), help="All that wait.")]
By = Annotated[str | None, Parameter(name="--by", help="Who decides; default: the user who runs this.")]


def list_(
    *,
    reason: Reason = None,
    code: Code = None,
    source: Source = None,
    topic: OfTopic = None,
    since: Since = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="Also those that were offered again or discarded.")
    ] = False,
    limit: Limit = 50,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the records that were set aside and wait for a decision, the newest last."""
    wanted = _wanted(reason, code, source, topic, since, whatever_was_done=all_)
    with _desk(config) as desk:
        every = desk.entries()
    found = [entry for entry in every if wanted.takes(entry)]
    shown = found[-limit:]
    if json:
        emit([words.form(entry) for entry in shown])
    elif not shown:
        say("No record was set aside." if not every else words.nothing(every, wanted))
    else:
        table(("ID", "SET ASIDE (UTC)", "BY", "CODE", "KEY", "STATE", "WHY"), [words.row(entry) for entry in shown])
        if len(found) > len(shown):
            say(f"{len(found) - len(shown)} older ones are not shown; --limit shows more.")
        say("`samenloop dead-letters show ID` shows one whole, `replay` offers it again, `discard` closes it.")


def show(
    id_: Annotated[str, Parameter(name="ID")],
    /,
    *,
    raw: bool = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show one record that was set aside: reason, headers, original bytes, what they decode to, and what was done.

    Parameters
    ----------
    id_
        Its id, or the first characters of it.
    raw
        Write the original bytes to stdout and nothing else.
    """
    hub = hub_of(config)
    codec = codec_of(hub)
    with _desk(config) as desk:
        found, problems = dead_letters.chosen(desk.entries(), [id_])
    if problems:
        warn("\n".join(problems))
        return 1
    (entry,) = found
    plain = words.decoded(entry.letter, codec)
    if raw:
        sys.stdout.buffer.write(entry.letter.value or b"")
    elif json:
        emit({**words.form(entry), "decoded": plain})
    else:
        words.describe(entry, plain)
    return 0


def replay(
    *ids: Ids,
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="All that wait, as far as the options say.")
    ] = False,
    reason: Reason = None,
    code: Code = None,
    source: Source = None,
    topic: OfTopic = None,
    since: Since = None,
    again: Annotated[
        bool, Parameter(name="--again", negative=(), help="Also those that were offered again or discarded before.")
    ] = False,
    because: Annotated[str | None, Parameter(name="--because", help="What was mended, for the record.")] = None,
    by: By = None,
    wait: Annotated[float, Parameter(name="--wait", help="Seconds to wait for what comes of it.")] = 30.0,
    config: Config = None,
    json: Json = False,
) -> int:
    """Offer records that were set aside again, in their order, to the topic they came from; say what came of each.

    Key, value and headers are the original ones; the record is marked as a replay. Offering it twice changes nothing:
    plans and alerts know what they have had. Ends with 1 when one failed again or cannot be offered.

    Parameters
    ----------
    ids
        Their ids, or the first characters of them. Without, the options choose, or --all.
    """
    wanted = _wanted(reason, code, source, topic, since, whatever_was_done=again)
    with _desk(config) as desk:
        found = _chosen(desk.entries(), ids, wanted, everything=all_)
        results = desk.replay(found, by=by or getpass.getuser(), reason=because, now=clock.now(), wait_seconds=wait)
    return _told(results, json, good=(DeadLetterStatus.TAKEN, DeadLetterStatus.REPLAYED))


def discard(
    *ids: Ids,
    because: Annotated[str, Parameter(name="--because", help="Why nothing more is needed, for the record.")],
    all_: Annotated[
        bool, Parameter(name="--all", negative=(), help="All that wait, as far as the options say.")
    ] = False,
    reason: Reason = None,
    code: Code = None,
    source: Source = None,
    topic: OfTopic = None,
    since: Since = None,
    by: By = None,
    config: Config = None,
    json: Json = False,
) -> int:
    """Note that records that were set aside need nothing more. They leave the list; `--all` still shows them.

    Parameters
    ----------
    ids
        Their ids, or the first characters of them. Without, the options choose, or --all.
    """
    if not because.strip():
        raise BadSettings(["--because: is empty, expected the reason in words"])
    wanted = _wanted(reason, code, source, topic, since)
    with _desk(config) as desk:
        found = _chosen(desk.entries(), ids, wanted, everything=all_)
        results = desk.discard(found, by=by or getpass.getuser(), reason=because, now=clock.now())
    return _told(results, json, good=(DeadLetterStatus.DISCARDED,))


@contextmanager
def _desk(config: Path | None) -> Iterator[Desk]:
    from samenloop.dead_letter_desk import Desk
    from samenloop.kafka.window import Window

    hub = hub_of(config)
    codec = codec_of(hub)
    with reaching(hub), Window(hub.kafka) as window:
        yield Desk(hub, codec, window)


def _wanted(
    reason: DeadReason | None,
    code: str | None,
    source: str | None,
    topic: str | None,
    since: str | None,
    *,
    whatever_was_done: bool = False,
) -> Wanted:
    after = _instant(since, clock.now()) if since else None
    return Wanted(
        reason=reason, code=code, source=source, topic=topic, since=after, whatever_was_done=whatever_was_done
    )


def _chosen(found: list[Entry], ids: Sequence[str], wanted: Wanted, *, everything: bool) -> list[Entry]:
    """Return the entries that are meant. Raises BadSettings when that is not clear."""
    if ids:
        if everything or not wanted.all_open:
            raise BadSettings(["IDS and options were given, expected one or the other"])
        picked, problems = dead_letters.chosen(found, ids)
        problems += [
            f"{entry.letter.id}: {words.state_words(entry)}; nothing is done"
            for entry in picked
            if not wanted.takes(entry)
        ]
        if problems:
            raise BadSettings(problems)
        return picked
    if wanted.all_open and not everything:
        raise BadSettings(["no record is named: give IDS, options such as --code, or --all"])
    return [entry for entry in found if wanted.takes(entry)]


def _told(results: Sequence[Result], json: bool, *, good: Sequence[DeadLetterStatus]) -> int:
    if json:
        emit(
            [
                {"id": x.entry.letter.id, "status": x.status, "detail": x.detail, "successor": x.successor}
                for x in results
            ]
        )
    elif not results:
        say("No such record waits.")
    for result in () if json else results:
        say(f"{str(result.entry.letter.id)[:8]}  {result.status or 'NOT DONE'}: {result.detail}.")
    return 0 if all(result.status in good for result in results) else 1


def _instant(text: str, now: datetime) -> datetime:
    if found := _AGE.fullmatch(text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadSettings(
            [f"--since: found {text}, expected a date such as 2027-01-31 or an age such as 24h"]
        ) from None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
