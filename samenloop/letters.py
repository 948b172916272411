"""Dead letters on their way out: the record for the topic `dead-letters`, with its envelope."""

from __future__ import annotations

from samenloop.contract import Codec, Envelope
from samenloop.model import DeadLetter
from samenloop.stage import Output


def letter_output(codec: Codec, source: str, letter: DeadLetter) -> Output:
    """Return the output that sets a record aside; *source* is the hub's own URN.

    The key is the original one, else the system's id, else the letter's own: a key is never empty.
    """
    key = (letter.key or b"").decode("utf-8", "replace") or letter.system or str(letter.id)
    envelope = Envelope(
        id=str(letter.id),
        source=source,
        type="nl.samenloop.dead-letter.v1",
        time=letter.failed_at,
        subject=str(letter.id),
        partitionkey=key,
        correlationid=str(letter.id),
    )
    return Output("dead-letters", key, codec.encode("dead-letters", letter), codec.headers("dead-letters", envelope))
