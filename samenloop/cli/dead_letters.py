"""`samenloop dead-letters list|show`."""

from __future__ import annotations

import re
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from cyclopts import Parameter

from samenloop import clock
from samenloop.cli.options import Config, Json, Limit, codec_of, hub_of, reaching
from samenloop.cli.output import emit, say, table
from samenloop.contract import Codec, to_json
from samenloop.errors import BadSettings, Reject
from samenloop.model import DeadLetter
from samenloop.settings import Hub

_AGE = re.compile(r"(\d{1,6})([mhd])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def list_(
    *,
    source: str | None = None,
    code: str | None = None,
    topic: str | None = None,
    since: str | None = None,
    limit: Limit = 50,
    config: Config = None,
    json: Json = False,
) -> None:
    """Show the records that were set aside, the newest last.

    Parameters
    ----------
    source
        Only of this source or stage.
    code
        Only with this code; a first part such as `geometry` takes all that begin with it.
    topic
        Only records that were read from this topic.
    since
        Only set aside since then: a date (2027-01-31) or an age (90m, 24h, 7d).
    """
    after = _instant(since, clock.now()) if since else None
    hub = hub_of(config)
    found = [
        letter
        for letter in _letters(hub, codec_of(hub))
        if (source is None or source in (letter.stage, letter.system) or _source_of(letter) == source)
        and (code is None or letter.code == code or letter.code.startswith(f"{code}."))
        and (topic is None or letter.topic == topic)
        and (after is None or letter.failed_at >= after)
    ]
    shown = sorted(found, key=lambda letter: letter.failed_at)[-limit:]
    if json:
        emit([to_json(letter) for letter in shown])
    elif not shown:
        say("No record was set aside." if not (source or code or topic or since) else "No such record was set aside.")
    else:
        rows = [
            (str(x.id)[:8], f"{x.failed_at:%Y-%m-%d %H:%M:%S}", x.stage, x.code, _key(x), _short(x.detail))
            for x in shown
        ]
        table(("ID", "SET ASIDE (UTC)", "BY", "CODE", "KEY", "WHY"), rows)
        if len(found) > len(shown):
            say(f"{len(found) - len(shown)} older ones are not shown; --limit shows more.")
        say("`samenloop dead-letters show ID` shows one whole.")


def show(
    id_: Annotated[str, Parameter(name="ID")],
    /,
    *,
    raw: bool = False,
    config: Config = None,
    json: Json = False,
) -> int:
    """Show one record that was set aside: reason, headers, original bytes, and what they decode to.

    Parameters
    ----------
    id_
        Its id, or the first characters of it.
    raw
        Write the original bytes to stdout and nothing else.
    """
    hub = hub_of(config)
    codec = codec_of(hub)
    found = {letter.id: letter for letter in _letters(hub, codec) if str(letter.id).startswith(id_.lower())}
    if len(found) != 1:
        say(f"{len(found) or 'No'} records that were set aside have an id that begins with {id_}.")
        return 1
    (letter,) = found.values()
    if raw:
        sys.stdout.buffer.write(letter.value or b"")
    elif json:
        emit({**to_json(letter), "decoded": _decoded(letter, codec)})
    else:
        _describe(letter, _decoded(letter, codec))
    return 0


def _letters(hub: Hub, codec: Codec) -> list[DeadLetter]:
    from samenloop.kafka import read_topic

    with reaching(hub):
        records = [record for record in read_topic(hub.kafka, "dead-letters") if record.value is not None]
        return [codec.decode("dead-letters", record.value or b"", record.headers) for record in records]


def _describe(letter: DeadLetter, decoded: object) -> None:
    place = f"{letter.topic} partition {letter.partition} offset {letter.offset}" if letter.topic else "not from Kafka"
    for label, text in (
        ("id", letter.id),
        ("set aside", f"{letter.failed_at:%Y-%m-%d %H:%M:%S} UTC by {letter.stage}"),
        ("why", f"{letter.detail} ({letter.code}, {letter.reason.lower()})"),
        ("try again", "may help" if letter.retryable else "will not help: the record itself must change"),
        ("read from", place),
        ("system", letter.system or "-"),
        ("key", _key(letter)),
    ):
        say(f"{label:10} {text}")
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


def _source_of(letter: DeadLetter) -> str | None:
    """Return the name of the source when one set the record aside: the stage is then ``source.<name>``."""
    kind, _, name = letter.stage.partition(".")
    return name if kind == "source" else None


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
