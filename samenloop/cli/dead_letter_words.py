"""Dead letters in words: a line, a page, JSON."""

from __future__ import annotations

from collections.abc import Sequence

from samenloop import dead_letters
from samenloop.cli.output import emit, say
from samenloop.contract import Codec, to_json
from samenloop.dead_letters import Entry, Wanted, Way
from samenloop.errors import Reject
from samenloop.model import DeadLetter


def nothing(every: Sequence[Entry], wanted: Wanted) -> str:
    """Return the sentence for an empty list."""
    done = sum(not entry.open for entry in every)
    if wanted.all_open:
        return f"No record waits; {done} were dealt with, --all shows them."
    return "No such record was set aside."


def state_words(entry: Entry) -> str:
    """Return in words where an entry stands; an open one says what a replay would mean."""
    if entry.status is None:
        words = {Way.AGAIN: "waits", Way.AT_SOURCE: "mend at source", Way.NOT_KEPT: "send again"}
        again = f", attempt {entry.letter.attempts}" if entry.letter.attempts > 1 else ""
        return words[dead_letters.way(entry.letter)] + again
    return entry.status.lower().replace("_", " ")


def row(entry: Entry) -> tuple[str, ...]:
    """Return the cells of one line of the list."""
    x = entry.letter
    return (
        str(x.id)[:8],
        f"{x.failed_at:%Y-%m-%d %H:%M:%S}",
        x.stage,
        x.code,
        _key(x),
        state_words(entry),
        _short(x.detail),
    )


def form(entry: Entry) -> dict[str, object]:
    """Return the JSON of an entry."""
    return {
        **to_json(entry.letter),
        "status": entry.status or "OPEN",
        "replay": dead_letters.way(entry.letter),
        "replay_of": dead_letters.predecessor(entry.letter),
        "successor": entry.successor,
        "done": to_json(entry.done),
    }


def describe(entry: Entry, plain: object) -> None:
    """Print an entry whole, with what its bytes decode to."""
    letter = entry.letter
    place = f"{letter.topic} partition {letter.partition} offset {letter.offset}" if letter.topic else "not from Kafka"
    for label, text in (
        ("id", letter.id),
        ("set aside", f"{letter.failed_at:%Y-%m-%d %H:%M:%S} UTC by {letter.stage}"),
        ("why", f"{letter.detail} ({letter.code}, {letter.reason.lower()})"),
        ("try again", "may help" if letter.retryable else "will not help: the record itself must change"),
        ("state", state_words(entry)),
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
    if plain is not None:
        say("decoded")
        emit(plain)


def decoded(letter: DeadLetter, codec: Codec) -> object:
    """Return the JSON of what the original bytes decode to; None where they do not."""
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
