"""Free text on its way into a plan or a message: on one line, or only its shape."""

from __future__ import annotations

import re

_TAGS = re.compile(r"</?[A-Za-z][^<>]{0,80}>")


def one_line(text: str, limit: int) -> str:
    """Return *text* on one line without HTML tags, at most *limit* characters."""
    text = " ".join((_TAGS.sub(" ", text) if "<" in text else text).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def shape_of(text: str) -> str:
    """Say what a text looks like without quoting it: digits as 9, letters as a, at most 30 characters."""
    mask = "".join("9" if c.isdigit() else "a" if c.isalpha() else c for c in text[:30])
    return f"text like {mask!r}" + ("…" if len(text) > 30 else "")
