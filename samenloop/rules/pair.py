"""Two plans side by side, measured on one day: what judgement, evidence and remedies all look at."""

from __future__ import annotations

from typing import Final, NamedTuple

from samenloop.model import Certainty, ContactKind
from samenloop.rules.configuration import Rules
from samenloop.rules.measures import Place, Timing, measure_time
from samenloop.rules.subject import Subject

CERTAINTY_ORDER: Final = {
    Certainty.UNKNOWN: 0,
    Certainty.INDICATIVE: 1,
    Certainty.INTENDED: 2,
    Certainty.FIXED: 3,
    Certainty.PERMITTED: 4,
}


class Pair(NamedTuple):
    """A measured pair; *a* has the smaller plan id, *today* is days since 1970-01-01."""

    a: Subject
    b: Subject
    rules: Rules
    today: int
    place: Place
    time: Timing
    contact: ContactKind
    weakest: Certainty

    @property
    def first(self) -> Subject:
        """The plan that starts first."""
        return self.a if self.time.second_is_b else self.b

    @property
    def second(self) -> Subject:
        """The plan that starts second."""
        return self.b if self.time.second_is_b else self.a

    @property
    def clash_limit_m(self) -> float:
        """The distance, inclusive, within which the two can be in each other's way."""
        rule = self.rules.rules.clash
        return rule.distance_traffic_m if self.a.hinders_traffic or self.b.hinders_traffic else rule.distance_m

    @property
    def is_coarse(self) -> bool:
        """Whether the dates of either are only roughly known."""
        coarse = self.rules.coarse_precisions
        return self.a.precision in coarse or self.b.precision in coarse

    @property
    def has_assumed_end(self) -> bool:
        """Whether an end is assumed."""
        return self.a.assumed_on(self.today) or self.b.assumed_on(self.today)

    @property
    def rests_on_guess(self) -> bool:
        """Whether the days in common exist only through coarse dates or an assumed end."""
        return self.is_coarse or self.time.known_overlap_days < self.rules.rules.clash.min_overlap_days


def pair_up(a: Subject, b: Subject, rules: Rules, today: int, place: Place) -> Pair:
    """Measure two plans, *a* with the smaller id, on *today* (days since 1970-01-01) at a *place* already measured."""
    contact = place.contact(rules.rules.clash.min_overlap_m2)
    weakest = min(a.certainty, b.certainty, key=CERTAINTY_ORDER.__getitem__)
    return Pair(a, b, rules, today, place, measure_time(a, b, today), contact, weakest)
