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
from samenloop.cli.options import Config, Json, Limit, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table, warn
from samenloop.contract import Codec, to_json
from samenloop.dead_letters import Entry, Wanted, Way
from samenloop.errors import BadSettings, Reject
from samenloop.model import DeadLetter, DeadLetterStatus, DeadReason

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
        emit([_form(entry) for entry in shown])
    elif not shown:
        say("No record was set aside." if not every else _nothing(every, wanted))
    else:
        table(("ID", "SET ASIDE (UTC)", "BY", "CODE", "KEY", "STATE", "WHY"), [_row(entry) for entry in shown])
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
    decoded = _decoded(entry.letter, codec)
    if raw:
        sys.stdout.buffer.write(entry.letter.value or b"")
    elif json:
        emit({**_form(entry), "decoded": decoded})
    else:
        _describe(entry, decoded)
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
            f"{entry.letter.id}: {_state(entry)}; nothing is done" for entry in picked if not wanted.takes(entry)
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


def _nothing(every: Sequence[Entry], wanted: Wanted) -> str:
    done = sum(not entry.open for entry in every)
    if wanted.all_open:
        return f"No record waits; {done} were dealt with, --all shows them."
    return "No such record was set aside."


def _state(entry: Entry) -> str:
    """Return in words where an entry stands; an open one says what a replay would mean."""
    if entry.status is None:
        words = {Way.AGAIN: "waits", Way.AT_SOURCE: "mend at source", Way.NOT_KEPT: "send again"}
        again = f", attempt {entry.letter.attempts}" if entry.letter.attempts > 1 else ""
        return words[dead_letters.way(entry.letter)] + again
    return entry.status.lower().replace("_", " ")


def _row(entry: Entry) -> tuple[str, ...]:
    x = entry.letter
    return (
        str(x.id)[:8],
        f"{x.failed_at:%Y-%m-%d %H:%M:%S}",
        x.stage,
        x.code,
        _key(x),
        _state(entry),
        _short(x.detail),
    )


def _form(entry: Entry) -> dict[str, object]:
    return {
        **to_json(entry.letter),
        "status": entry.status or "OPEN",
        "replay": dead_letters.way(entry.letter),
        "replay_of": dead_letters.predecessor(entry.letter),
        "successor": entry.successor,
        "done": to_json(entry.done),
    }


def _describe(entry: Entry, decoded: object) -> None:
    letter = entry.letter
    place = f"{letter.topic} partition {letter.partition} offset {letter.offset}" if letter.topic else "not from Kafka"
    for label, text in (
        ("id", letter.id),
        ("set aside", f"{letter.failed_at:%Y-%m-%d %H:%M:%S} UTC by {letter.stage}"),
        ("why", f"{letter.detail} ({letter.code}, {letter.reason.lower()})"),
        ("try again", "may help" if letter.retryable else "will not help: the record itself must change"),
        ("state", _state(entry)),
        ("attempt", letter.attempts),
        ("replay of", dead_letters.predecessor(letter) or "-"),
        ("became", entry.successor or "-"),
        ("read from", place),
        ("system", letter.system or "-"),
        ("key", _key(letter)),
    ):
        say(f"{label:10} {text}")
    for done in entry.done:
        why = f": {done.reason}" if done.reason else ""
        say(f"done       {done.at:%Y-%m-%d %H:%M:%S} UTC {done.status.lower().replace('_', ' ')} by {done.by}{why}")
    for header in letter.headers:
        say(f"header     {header.name}: {'(null)' if header.value is None else _text(header.value)}")
    if letter.value is None:
        say("value      " + ("too large to keep; its SHA-256 is kept" if letter.value_sha256 else "null"))
    else:
        say(f"value      {len(letter.value)} bytes\n{_text(letter.value)}")
    if decoded is not None:
        say("decoded")
        emit(decoded)


def _decoded(letter: DeadLetter, codec: Codec) -> object:
    if letter.value is None or letter.topic is None:
        return None
    try:
        headers = tuple((header.name, header.value or b"") for header in letter.headers)
        return to_json(codec.decode(letter.topic, letter.value, headers))
    except (Reject, KeyError):
        return None


def _text(content: bytes) -> str:
    """Return text as text, everything else as hexadecimal."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return content.hex(" ")
    return text if all(sign.isprintable() or sign in "\n\r\t" for sign in text) else content.hex(" ")


def _key(letter: DeadLetter) -> str:
    return _short(_text(letter.key or b""), 40)


def _short(text: str, length: int = 100) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


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
