"""What stands in an alert: JSON text, already filtered for its subscriber, small enough for a webhook.

The receiver gets the record in the contract's JSON form, the same in plain sentences, and who is involved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from samenloop import visibility
from samenloop.model import Conflict, Finding, Payload, Plan, Subject, SubscriberRole
from samenloop.notify.interest import Interest
from samenloop.rules import Rules, remedy_sentences, sentence
from samenloop.rules.configuration import Language
from samenloop.visibility import MaskedFinding, Sight

ToJson = Callable[[Any], dict[str, Any]]
"""A value of the domain in the contract's JSON form."""

LARGEST_DATA = 18_000
"""Bytes. With the envelope a webhook's body stays below 20 kB; what is larger goes out thin."""
SUMMARY_ITEMS = 20
TEST = orjson.dumps({"sentences": {"nl": "Dit is een proefmelding.", "en": "This is a test alert."}}).decode()
"""What stands in a test alert."""
_MASKED = {
    "nl": "Een plan of beperking van u raakt aan een plan of beperking van een ander die u niet mag inzien. "
    "Neem contact op met de eigenaar daarvan.",
    "en": "A plan or restriction of yours meets one that you may not see. Get in touch with its owner.",
}
_LANGUAGES: tuple[Language, ...] = ("nl", "en")
_SEVERITY_ORDER = ("BLOCKING", "WARNING", "UNKNOWN", "INFO")


class Words:
    """Writes the data of alerts, in Dutch and in English."""

    def __init__(self, rules: Rules, to_json: ToJson) -> None:
        self._rules, self._to_json = rules, to_json

    def finding(
        self,
        interest: Interest,
        finding: Finding,
        plans: Mapping[str, Subject],
        *,
        role: SubscriberRole,
        changes: Sequence[str],
    ) -> str | None:
        """Return the data of an alert on a finding; *changes* names what changed."""
        return _text(
            interest,
            {
                "finding": self._to_json(finding),
                "role": role.value,
                "changes": list(changes),
                "sentences": {code: sentence(finding, plans, code, self._rules) for code in _LANGUAGES},
                "remedies": {code: remedy_sentences(finding, plans, code, self._rules) for code in _LANGUAGES},
                "participants": [self._participant(interest, p.id, plans.get(p.id)) for p in finding.participants],
            },
        )

    def plan(self, interest: Interest, plan: Plan, role: SubscriberRole, changes: Sequence[str]) -> str | None:
        """Return the data of an alert on a plan: all of it that this subscriber may have."""
        seen = visibility.show(plan, interest.viewer)
        return _text(interest, {"plan": self._to_json(seen), "role": role.value, "changes": list(changes)})

    def masked(self, interest: Interest, finding: MaskedFinding, changes: Sequence[str]) -> str | None:
        """Return the data of an alert to an owner about a finding with a plan that it may not see: whom to call."""
        return _text(
            interest,
            {
                "finding": self._to_json(finding),
                "masked": True,
                "role": SubscriberRole.OWNER.value,
                "changes": list(changes),
                "sentences": _MASKED,
            },
        )

    def removed(self, interest: Interest, plan: Plan) -> str | None:
        """Return the data of an alert on a plan that is gone: what the subscriber knew it by."""
        return _text(interest, {"plan": self._participant(interest, plan.id, plan), "changes": ["removed"]})

    def summary(
        self, interest: Interest, findings: Iterable[tuple[Finding, Mapping[str, Subject]]], *, plans: int, masked: int
    ) -> str:
        """Return the data of the summary after a first load: counts, and the worst findings in a sentence each.

        *masked*: findings with a plan that the subscriber may not see, which are in no other count.
        """
        found = sorted(findings, key=_worst_first)
        conflicts = [f for f, _ in found if isinstance(f, Conflict)]
        counts = {level: sum(f.severity == level for f in conflicts) for level in ("BLOCKING", "WARNING", "INFO")}
        data: dict[str, Any] = {
            "conflicts": len(conflicts),
            "conflicts_by_severity": {level: count for level, count in counts.items() if count},
            "opportunities": len(found) - len(conflicts),
            "plans": plans,
            "masked": masked,
            "sentences": _summary_sentences(len(conflicts), len(found) - len(conflicts), plans),
            "findings": [],
        }
        for finding, by_id in found[:SUMMARY_ITEMS]:
            data["findings"].append(
                {
                    "id": str(finding.id),
                    "kind": finding.kind,
                    "severity": finding.severity.value,
                    "sentences": {code: sentence(finding, by_id, code, self._rules) for code in _LANGUAGES},
                }
            )
            if len(orjson.dumps(data)) > LARGEST_DATA:
                data["findings"].pop()
                break
        return orjson.dumps(data).decode()

    def _participant(self, interest: Interest, plan_id: str, plan: Subject | None) -> dict[str, Any]:
        if plan is None:
            return {"id": plan_id}
        seen: dict[str, Any] = {
            "id": plan_id,
            "title": plan.title,
            "owner": self._to_json(plan.owner),
            "period": self._to_json(plan.period),
            "own": plan.owner.oin == interest.oin,
        }
        guarded = visibility.guarded(plan)
        if guarded.contact is not None and visibility.sight(guarded, interest.viewer) >= Sight.SHARED:
            seen["contact"] = self._to_json(guarded.contact)
        return seen


def withheld(finding: Finding) -> str:
    """Return the data that says only which finding may no longer be seen, and must be deleted."""
    return orjson.dumps({"finding": {"id": str(finding.id), "status": "WITHDRAWN"}, "changes": ["withheld"]}).decode()


def gone(finding_id: str) -> str:
    """Return the data that says only which finding ended, when how it ended is no longer known."""
    return orjson.dumps({"finding": {"id": finding_id}, "changes": ["closed"]}).decode()


def _text(interest: Interest, data: dict[str, Any]) -> str | None:
    if interest.subscription.payload is Payload.THIN:
        return None
    text = orjson.dumps(data)
    return text.decode() if len(text) <= LARGEST_DATA else None


def _worst_first(item: tuple[Finding, Mapping[str, Subject]]) -> tuple[int, float, str]:
    finding = item[0]
    if isinstance(finding, Conflict):
        return _SEVERITY_ORDER.index(finding.severity.value), 0.0, str(finding.id)
    return len(_SEVERITY_ORDER), -finding.score, str(finding.id)


def _summary_sentences(conflicts: int, opportunities: int, plans: int) -> dict[str, str]:
    return {
        "nl": f"Beginstand: {conflicts} conflicten, {opportunities} meekoppelkansen en {plans} plannen van anderen "
        "die u aangaan. Vanaf nu krijgt u bericht van wat er verandert.",
        "en": f"To begin with: {conflicts} conflicts, {opportunities} opportunities and {plans} plans of others that "
        "concern you. From now on you are told what changes.",
    }
