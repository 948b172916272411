"""The overview of IT systems in use: who runs what, how it is joined, how it is doing. Pure, in Dutch and in English.

From the statuses on `sources` come rows; from rows an HTML page without scripts or outside parts, and JSON. Freshness
is judged against *now*, when it is asked, and not against what the view last thought: when the view is down too, the
page shows its age.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from html import escape
from typing import Any, Literal
from zoneinfo import ZoneInfo

from samenloop.contract import to_json
from samenloop.model import SourceStatus, SystemState
from samenloop.overview_words import WORDS
from samenloop.value import value

Language = Literal["nl", "en"]
STALE_FACTOR = 3
"""Times the objective, after which late becomes stale: the factor of the alert SourceStale."""
OBSERVED_WITHIN = timedelta(minutes=15)
"""A status that was observed longer ago is itself in doubt: the view is down."""
_ZONE = ZoneInfo("Europe/Amsterdam")
_FINE, _ALARMING = ("running", "fresh"), ("failed", "stale")


class Freshness(StrEnum):
    """How old the last good poll is, by the system's own objective."""

    NEVER = "never"
    FRESH = "fresh"
    LATE = "late"
    STALE = "stale"


@value(kw_only=True)
class Row:
    """One system in the overview. *health* and *freshness_words* are sentences in the language that was asked."""

    status: SourceStatus
    health: str
    freshness: Freshness
    freshness_words: str
    rejection_rate: float | None
    """Rejected of read in the last 24 hours; None when nothing was read."""
    doubtful: bool
    """Whether the observation itself is old."""


def freshness_of(status: SourceStatus, now: datetime) -> Freshness:
    """Return how fresh a system's data are *now*."""
    if status.last_success_at is None:
        return Freshness.NEVER
    age = (now - status.last_success_at).total_seconds()
    if age <= status.freshness_objective_s:
        return Freshness.FRESH
    return Freshness.LATE if age <= STALE_FACTOR * status.freshness_objective_s else Freshness.STALE


def rows_of(statuses: Iterable[SourceStatus], now: datetime, language: Language = "nl") -> list[Row]:
    """Return the rows: systems in use by owner and name, then those that are retired."""
    ordered = sorted(
        statuses,
        key=lambda status: (
            status.state is SystemState.RETIRED,
            (status.owner.name or status.owner.oin).casefold(),
            status.name.casefold(),
            status.system,
        ),
    )
    return [_row(status, now, language) for status in ordered]


def rows_json(rows: Sequence[Row], *, contacts: bool = True) -> list[dict[str, Any]]:
    """Return the rows for `GET /v1/sources`: the status in the contract's JSON form, and what is judged about it.

    Without *contacts*, for strangers, the contact point is left out.
    """
    return [_json(row, contacts=contacts) for row in rows]


def page(rows: Sequence[Row], now: datetime, language: Language = "nl", *, contacts: bool = True) -> str:
    """Return the page `/systems`, complete; every text from outside is escaped. *contacts* as in `rows_json`.

    Send it with `CONTENT_SECURITY_POLICY`.
    """
    words = WORDS[language]
    other = words["other_language"]
    body = _table(rows, language, contacts=contacts) if rows else f"<p>{words['none']}</p>"
    if any(row.doubtful for row in rows):
        body = f'<p class="alarm" role="status">{words["doubtful"]}</p>{body}'
    return (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{words['title']}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{words['title']}</h1>\n<p>{words['intro']}</p>\n{body}\n"
        f"<p>{words['at']} {_time(now)}. "
        f'<a href="?lang={words["other_code"]}" hreflang="{words["other_code"]}" lang="{words["other_code"]}">'
        f"{other}</a></p>\n</main>\n</body>\n</html>\n"
    )


def _row(status: SourceStatus, now: datetime, language: Language) -> Row:
    words, freshness = WORDS[language], freshness_of(status, now)
    health = words[f"state_{status.state.lower()}"]
    if status.error_code:
        health = f"{health} ({status.error_code})"
    read = status.records_24h.get("read", 0)
    age = _age(now - status.last_success_at, language) if status.last_success_at else ""
    return Row(
        status=status,
        health=health,
        freshness=freshness,
        freshness_words=words[f"freshness_{freshness}"].format(age=age),
        rejection_rate=status.records_24h.get("rejected", 0) / read if read else None,
        doubtful=now - status.observed_at > OBSERVED_WITHIN and status.state is not SystemState.RETIRED,
    )


def _age(age: timedelta, language: Language) -> str:
    """Return an age in the largest whole unit, at least a minute."""
    minutes = max(1, int(age.total_seconds()) // 60)
    for unit, size in (("day", 1440), ("hour", 60), ("minute", 1)):
        if (count := minutes // size) >= 1:
            return f"{count} {WORDS[language][unit if count == 1 else f'{unit}s']}"
    raise AssertionError("a minute at least")


def _json(row: Row, *, contacts: bool) -> dict[str, Any]:
    form: dict[str, Any] = to_json(row.status)
    if not contacts:
        form.pop("contact", None)
    form |= {"health": row.health, "freshness": row.freshness.value, "freshness_words": row.freshness_words}
    if row.rejection_rate is not None:
        form["rejection_rate_24h"] = round(row.rejection_rate, 4)
    return form


def _table(rows: Sequence[Row], language: Language, *, contacts: bool) -> str:
    words = WORDS[language]
    heads = "".join(f'<th scope="col">{words[head]}</th>' for head in _HEADS)
    lines = "\n".join(_line(row, language, contacts=contacts) for row in rows)
    return (
        f'<div role="region" aria-label="{words["title"]}" tabindex="0">\n<table>\n'
        f"<caption>{words['caption']}</caption>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n"
        "</table>\n</div>"
    )


_HEADS = ("system", "owner", "product", "joined", "direction", "health", "freshness", "records", "terms")


def _line(row: Row, language: Language, *, contacts: bool) -> str:
    status, words = row.status, WORDS[language]
    state = status.state.lower()
    cells = [
        f"{_text(status.owner.name)}<br><small>{_text(status.owner.oin)}</small>",
        _text(status.product),
        f"{_text(status.protocol)}<br><small>{_text(', '.join(status.standards))}</small>",
        words[f"direction_{status.direction.lower()}"],
        _marked(row.health, state),
        f"{_marked(row.freshness_words, row.freshness)}<br><small>{_newest(row, language)}</small>",
        _records(row, language),
        f"{_text(status.licence)}<br><small>{_contact(row) if contacts else ''}</small>",
    ]
    head = f'<th scope="row">{_text(status.name)}<br><small>{_text(status.system)}</small></th>'
    return f"<tr>{head}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _marked(text: str, code: str) -> str:
    """Return words with a mark beside them: never colour alone."""
    kind = "fine" if code in _FINE else "alarm" if code in _ALARMING else "quiet"
    sign = {"fine": "●", "alarm": "▲", "quiet": "○"}[kind]
    return f'<span class="{kind}"><span aria-hidden="true">{sign}</span> {_text(text)}</span>'


def _newest(row: Row, language: Language) -> str:
    newest = row.status.newest_record_at
    return f"{WORDS[language]['newest']} {_time(newest)}" if newest else ""


def _records(row: Row, language: Language) -> str:
    words, status = WORDS[language], row.status
    text = words["plans"].format(count=status.plans)
    rate = "" if row.rejection_rate is None else f" ({row.rejection_rate:.1%})"
    return f"{text}<br><small>{words['rejected'].format(count=status.rejected_24h)}{rate}</small>"


def _contact(row: Row) -> str:
    contact = row.status.contact
    if contact is None:
        return ""
    parts = [_text(contact.unit)]
    if contact.email:
        parts.append(f'<a href="mailto:{escape(contact.email, quote=True)}">{_text(contact.email)}</a>')
    if contact.url and contact.url.startswith(("https://", "http://")):
        parts.append(f'<a href="{escape(contact.url, quote=True)}" rel="noreferrer">{_text(contact.url)}</a>')
    return "<br>".join([*parts, *([_text(contact.phone)] if contact.phone else [])])


def _text(text: str | None) -> str:
    return escape(text) if text else "–"


def _time(instant: datetime) -> str:
    local = instant.astimezone(_ZONE)
    return f'<time datetime="{escape(instant.isoformat())}">{local:%Y-%m-%d %H:%M}</time>'


STYLE = """
body{font:1rem/1.5 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#fff}
main{max-width:90rem;margin:0 auto;padding:1rem}
div[role=region]{overflow-x:auto}
div[role=region]:focus-visible,a:focus-visible{outline:3px solid #154273}
table{border-collapse:collapse;width:100%}
caption{text-align:left;padding:.5rem 0}
th,td{border-bottom:1px solid #767676;padding:.5rem .75rem;text-align:left;vertical-align:top}
thead th{background:#f3f3f3}
small{color:#4d4d4d;overflow-wrap:anywhere}
a{color:#154273}
.fine{color:#1f5f1f}.alarm{color:#9c1006;font-weight:bold}.quiet{color:#4d4d4d}
"""
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'"
)
"""Header of the page: nothing but its own style, known by its hash."""
