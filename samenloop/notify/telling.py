"""The decisions: is this news for this subscription, and what is it called.

what is now                    nothing told yet                 told, and open to the subscriber
not visible                    silent                           ENDED, the id alone: it must be deleted
a finding of a hidden plan     its owner: NEW, masked           masked: CHANGED by severity; whole: ENDED, then NEW
closed, removed, cancelled     silent                           ENDED
not asked for, below threshold silent                           a plan: ENDED; a finding: as the next line
open and asked for             NEW (a first load: a summary)    CHANGED if material, else silent
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from samenloop import visibility
from samenloop.model import AlertReason, Conflict, Finding, FindingStatus, Phase, Subject, SubscriberRole
from samenloop.notify import content, interest, materiality
from samenloop.notify.baseline import PlanFigures, Told, finding_figures, masked_figures
from samenloop.notify.interest import Interest, Known, KnownPlan
from samenloop.notify.ledger import Event, Ledger, Saying
from samenloop.rules import Rules
from samenloop.value import value
from samenloop.visibility import FindingSight

OPEN = frozenset({FindingStatus.OPEN, FindingStatus.ACKNOWLEDGED})
OVER = frozenset({Phase.CANCELLED, Phase.COMPLETED})
_STEP = {AlertReason.NEW: "opened", AlertReason.CHANGED: "changed", AlertReason.ENDED: "closed"}


@value
class Heard:
    """A finding as last heard, and the event that said so."""

    finding: Finding
    event: Event


@value
class Moment:
    """When something is told; *quietly*: what is new goes into one summary."""

    now: datetime
    quietly: bool = False


class Teller:
    """Decides for one subscription at a time; *plans*, *zones* and *ledger* are shared with the notifier."""

    def __init__(
        self,
        rules: Rules,
        words: content.Words,
        ledger: Ledger,
        *,
        plans: Mapping[str, KnownPlan],
        zones: Mapping[str, Known],
    ) -> None:
        self._rules, self._words, self._ledger, self._plans, self._zones = rules, words, ledger, plans, zones
        self.suppressed: Counter[str] = Counter()
        self.loaded_at: datetime | None = None
        """When something last went into a summary that is owed."""

    def plan(self, wants: Interest, plan_id: str, event: Event, moment: Moment) -> None:
        """Tell of a plan of another, as it stands in *plans* now; absent from them, it was removed."""
        known, told = self._plans.get(plan_id), self._ledger.open_told(wants, plan_id)
        if known is None or not wants.sees([known.plan]):
            if told is not None:
                self._plan_gone(wants, told, Saying(plan_id, event, "", AlertReason.ENDED), moment)
            return
        role = wants.plan_role(known)
        wanted = role is not None and known.plan.phase not in OVER
        if told is None and not wanted:
            return
        saying = Saying(plan_id, event, interest.PLAN_CHANGED, AlertReason.NEW, role or SubscriberRole.OBSERVER)
        fresh = Told(revision=known.row.version, plans=self.figures([known]))
        changes: tuple[str, ...] = ()
        if told is None:
            if moment.quietly or known.row.first_load:
                self._owe(wants, saying, fresh, moment)
                return
        elif wanted:
            own = wants.subscription.materiality
            changes = materiality.plan_changes(told, fresh, self._rules.materiality, own)
            saying = replace(saying, reason=AlertReason.CHANGED)
            if not changes:
                self.suppressed["immaterial"] += 1
                return
        else:
            changes = (known.plan.phase.value.lower() if known.plan.phase in OVER else "area",)
            saying = replace(saying, reason=AlertReason.ENDED)
        saying = replace(saying, data=self._words.plan(wants, known.plan, saying.role, changes))
        self._ledger.say(wants, saying, [known.plan], moment.now, told=fresh if wanted else None)

    def finding(self, wants: Interest, heard: Heard, moment: Moment) -> None:
        """Tell of a finding as it was last heard."""
        finding, subject = heard.finding, str(heard.finding.id)
        if finding.revision < self._ledger.revision(wants, subject):
            return  # read again after a restart
        told = self._ledger.open_told(wants, subject)
        known = [plan for p in finding.participants if (plan := self._known(p.id)) is not None]
        guards = [visibility.guarded(plan.plan) for plan in known]
        seen = visibility.finding_sight(guards, wants.viewer) if guards else FindingSight.WHOLE
        if told is not None and told.masked and len(known) < len(finding.participants):
            seen = FindingSight.MASKED  # a plan that was hidden and is gone stays hidden
        if seen is not FindingSight.WHOLE:
            if told is not None and not told.masked:
                saying = replace(self._saying(heard, AlertReason.ENDED), data=content.withheld(finding))
                saying = replace(saying, event=saying.event.about("withheld"))
                self._ledger.say(wants, saying, [], moment.now, told=Told(revision=finding.revision), open_=False)
                told = None
            if seen is FindingSight.MASKED:
                self._finding_masked(wants, heard, known, told, moment)
        elif finding.status in OPEN:
            self._finding_open(wants, heard, known, moment)
        elif told is not None:
            named: dict[str, Subject] = {
                p.id: f.as_plan(p.id) for p in finding.participants if (f := told.plans.get(p.id)) is not None
            }
            named |= {plan.plan.id: plan.plan for plan in known}
            saying = self._worded(wants, self._saying(heard, AlertReason.ENDED), heard, named, changes=())
            fresh = Told(revision=finding.revision)
            self._ledger.say(wants, saying, named.values(), moment.now, told=fresh, open_=False)

    def vanished(self, wants: Interest, subject_id: str, event: Event, moment: Moment) -> None:
        """Tell that something ended while the subscription was not listening; its last record is gone by now."""
        told = self._ledger.open_told(wants, subject_id)
        if told is None:
            return
        if not told.rule_id:
            self._plan_gone(wants, told, Saying(subject_id, event, "", AlertReason.ENDED), moment)
            return
        record = "conflict" if told.score is None else "opportunity"
        event_type = f"nl.samenloop.{record}-closed.v1"
        saying = Saying(subject_id, event, event_type, AlertReason.ENDED, data=content.gone(subject_id))
        self._ledger.say(wants, saying, [], moment.now)

    def figures(self, plans: Sequence[Known]) -> dict[str, PlanFigures]:
        """Return the figures of plans that are kept as told."""
        return {known.plan.id: known.figures(self._rules.committed) for known in plans}

    def _known(self, subject_id: str) -> Known | None:
        return self._plans.get(subject_id) or self._zones.get(subject_id)

    def _finding_open(self, wants: Interest, heard: Heard, known: list[Known], moment: Moment) -> None:
        finding = heard.finding
        told, passed = self._ledger.open_told(wants, str(finding.id)), wants.passes(finding)
        saying = self._saying(heard, AlertReason.NEW if told is None else AlertReason.CHANGED)
        asked = wants.takes(saying.event_type, saying.subject_id)
        if told is None and not (passed and asked and wants.finding_role(finding, known)):
            return
        fresh = finding_figures(finding, self.figures(known), passed=passed)
        changes: tuple[str, ...] = ()
        if told is not None and told.masked:
            changes = ("unmasked",)
        elif told is not None:
            own = wants.subscription.materiality
            changes = materiality.finding_changes(told, fresh, self._rules.materiality, own)
            if not changes or not (passed or told.passed) or not asked:
                self.suppressed["immaterial"] += 1
                return
        elif moment.quietly or finding.status_reason == "FIRST_LOAD":
            self._owe(wants, saying, fresh, moment)
            return
        named = {plan.plan.id: plan.plan for plan in known}
        saying = self._worded(wants, saying, heard, named, changes=changes)
        self._ledger.say(wants, saying, named.values(), moment.now, told=fresh)

    def _finding_masked(
        self, wants: Interest, heard: Heard, known: list[Known], told: Told | None, moment: Moment
    ) -> None:
        """Tell the owner of a plan that there is a finding with one it may not see. rule: contract.md 10.

        Neither area nor thresholds but that of severity are asked of the hidden side: by trying them out, a
        subscriber would find where and how large it is.
        """
        finding = heard.finding
        guards = [visibility.guarded(plan.plan) for plan in known]
        own = [plan for plan in known if wants.viewer.owns(plan.plan.owner.oin)]
        ended = finding.status not in OPEN
        reason = AlertReason.ENDED if ended else AlertReason.NEW if told is None else AlertReason.CHANGED
        saying = self._saying(heard, reason)
        passed, asked = wants.passes_masked(finding), wants.takes(saying.event_type, saying.subject_id)
        if told is None:
            if ended or not (passed and asked and wants.finding_role(finding, own)):
                return
        elif not ended and (told.severity == finding.severity.value or not (passed or told.passed) or not asked):
            self.suppressed["immaterial"] += 1
            return
        fresh = masked_figures(finding, passed=passed)
        if told is None and (moment.quietly or finding.status_reason == "FIRST_LOAD"):
            self._owe(wants, saying, fresh, moment)
            return
        changes = ("severity",) if reason is AlertReason.CHANGED else ()
        data = self._words.masked(wants, visibility.mask(finding, guards, wants.viewer), changes)
        saying = replace(saying, role=SubscriberRole.OWNER, data=data)
        self._ledger.say(wants, saying, [k.plan for k in known], moment.now, told=fresh, open_=not ended)

    def _plan_gone(self, wants: Interest, told: Told, saying: Saying, moment: Moment) -> None:
        """A plan was removed, or may no longer be seen: then not even its title is repeated."""
        plan_id = saying.subject_id
        if plan_id in self._plans:
            saying = replace(saying, event_type=interest.PLAN_WITHDRAWN)
            self._ledger.say(wants, saying, [], moment.now)
            return
        gone = told.plans[plan_id].as_plan(plan_id)
        saying = replace(saying, event_type=interest.PLAN_REMOVED, data=self._words.removed(wants, gone))
        self._ledger.say(wants, saying, [gone], moment.now)

    def _owe(self, wants: Interest, saying: Saying, fresh: Told, moment: Moment) -> None:
        self.loaded_at = moment.now
        self.suppressed["first_load"] += 1
        self._ledger.owe(wants, saying, fresh, moment.now)

    def _saying(self, heard: Heard, reason: AlertReason) -> Saying:
        """The type follows the reason: what is new to this subscriber is *opened*, whatever the record said."""
        finding = heard.finding
        record = "conflict" if isinstance(finding, Conflict) else "opportunity"
        causes = (self._known(p.id) for p in finding.participants)
        at = next((k.row.accepted_at for k in causes if k is not None and k.row.cause_id == finding.cause_id), None)
        return Saying(
            subject_id=str(finding.id),
            event=heard.event if at is None else replace(heard.event, at=at),
            event_type=f"nl.samenloop.{record}-{_STEP[reason]}.v1",
            reason=reason,
            revision=finding.revision,
            severity=finding.severity,
        )

    def _worded(
        self, wants: Interest, saying: Saying, heard: Heard, named: Mapping[str, Subject], *, changes: tuple[str, ...]
    ) -> Saying:
        known = [plan for plan_id in named if (plan := self._known(plan_id)) is not None]
        role = wants.finding_role(heard.finding, known) or SubscriberRole.OBSERVER
        data = self._words.finding(wants, heard.finding, named, role=role, changes=changes)
        return replace(saying, role=role, data=data)
