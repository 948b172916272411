"""A picture for a machine: the form that docs/operators/status.md describes. Lists are bounded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from samenloop.contract import to_json
from samenloop.model import DeliveryReceipt, SourcePoll
from samenloop.status.picture import (
    Concern,
    PartnerLine,
    Picture,
    Place,
    SourceLine,
    StageLine,
    answered_well,
    concerns,
    freshness,
)

MOST = 500
"""Entries of one list."""


def form(picture: Picture) -> dict[str, Any]:
    """Return the picture as plain values: instants in UTC, counts, names as in the settings."""
    found = concerns(picture)
    lists = {"concerns": found, "sources": picture.sources, "stages": picture.stages, "partners": picture.partners}
    return {
        "at": picture.at,
        "kafka": picture.kafka,
        "prefix": picture.prefix,
        "complete": picture.trouble is None and not picture.reading,
        "reading": picture.reading,
        "at_least": picture.at_least,
        "trouble": picture.trouble,
        "concerns": [_concern(one) for one in found[:MOST]],
        "sources": [_source(line, picture) for line in picture.sources[:MOST]],
        "stages": [_stage(line) for line in picture.stages[:MOST]],
        "partners": [_partner(line) for line in picture.partners[:MOST]],
        "findings": {
            "conflicts": {"open": sum(picture.conflicts.values()), "by_severity": dict(picture.conflicts)},
            "opportunities": {"open": picture.opportunities},
        },
        "dead_letters": {
            "waiting": sum(picture.letters.waiting.values()),
            "by_origin": dict(sorted(picture.letters.waiting.items())[:MOST]),
            "oldest_at": picture.letters.oldest_at,
        },
        "left_off": {name: _over(lines) for name, lines in lists.items() if _over(lines)},
    }


def _over(lines: Sequence[object]) -> int:
    return max(0, len(lines) - MOST)


def _concern(one: Concern) -> dict[str, Any]:
    return {"code": one.code, "subject": one.subject, "words": one.words}


def _source(line: SourceLine, picture: Picture) -> dict[str, Any]:
    status = line.status
    return {
        "source": line.name,
        "system": status.system if status else None,
        "owner": to_json(status.owner) if status else None,
        "state": line.state.value,
        "error_code": line.error_code,
        "freshness": freshness(line, picture.at).value,
        "freshness_objective_seconds": line.objective_seconds,
        "last_success_at": line.good_at,
        "observed_at": status.observed_at if status else None,
        "plans": status.plans if status else 0,
        "rejected_24h": status.rejected_24h if status else 0,
        "last_poll": _poll(line.poll) if line.poll else None,
    }


def _poll(poll: SourcePoll) -> dict[str, Any]:
    counts = ("read", "created", "updated", "removed", "unchanged", "rejected")
    return {
        "at": poll.started_at,
        "outcome": poll.outcome.value,
        "error_code": poll.error_code,
        "duration_ms": poll.duration_ms,
        **{name: getattr(poll, name) for name in counts},
    }


def _stage(line: StageLine) -> dict[str, Any]:
    return {
        "stage": line.group,
        "waiting": line.waiting,
        "oldest_at": line.oldest_at,
        "rate_per_second": None if line.rate is None else round(line.rate, 1),
        "workers": [
            {"name": worker.name, "host": worker.host, "partitions": worker.partitions} for worker in line.workers
        ],
        "unowned_partitions": line.unowned,
        "inputs": [_place(place) for place in line.places],
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "topic": place.topic,
        "partition": place.partition,
        "committed": place.committed,
        "end": place.end,
        "waiting": place.waiting,
        "oldest_at": place.oldest_at,
    }


def _partner(line: PartnerLine) -> dict[str, Any]:
    return {
        "oin": line.oin,
        "name": line.name,
        "subscriptions": dict(line.subscriptions),
        "paused_because": line.reasons,
        "pending": line.pending,
        "oldest_due_at": line.oldest_at,
        "last_answer": _answer(line.answer) if line.answer else None,
    }


def _answer(receipt: DeliveryReceipt) -> dict[str, Any]:
    return {
        "at": receipt.attempted_at,
        "outcome": receipt.outcome.value,
        "accepted": answered_well(receipt),
        "http_status": receipt.http_status,
        "problem": receipt.problem,
        "duration_ms": receipt.duration_ms,
    }
