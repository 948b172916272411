"""The plans and zones that detection holds: one row of figures each, so that a million fit in memory.

A plan keeps its slot for as long as the process lives, also when it is removed: findings about it must still be
closed, and a plan that returns is the same plan.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from samenloop.detection.findings import Side
from samenloop.geometry import Shapes
from samenloop.identity import is_restriction
from samenloop.model import Certainty, Precision, Visibility
from samenloop.rules import Gone, Subject, Zone, same_owner
from samenloop.rules.judge import FROZEN, LINKED, LOW_SCORE, NO_OVERLAP, NOT_NEAR, SAME_OWNER, SUPERSEDED, TOO_SMALL
from samenloop.rules.subject import CANCELLED, DELETED, GEOMETRY_LOST, NOT_MATCHED, OVER, PERIOD_LOST, Times
from samenloop.rules.zones import RESTRICTION_CANCELLED, RESTRICTION_DELETED, RESTRICTION_ENDED

Slots = NDArray[np.int64]

_COLUMNS: Final = np.dtype(
    [
        ("revision", "i8"), ("start", "i4"), ("end", "i4"), ("known_end", "i4"), ("earliest", "i4"), ("latest", "i4"),
        ("owner", "i4"), ("accuracy_m", "f8"), ("certainty", "i1"), ("precision", "i1"), ("visibility", "i1"),
        ("traits", "i4"), ("gone", "i1"), ("bits", "i2"),
    ]
)  # fmt: skip
_ZONES: Final = 1 << 40
"""The group of all zones, beyond any number of an owner: zones are never paired with zones."""
_NEVER: Final = np.iinfo(np.int32).min
_CERTAINTIES: Final = tuple(Certainty)
_PRECISIONS: Final = tuple(Precision)
_VISIBILITIES: Final = tuple(Visibility)
_CERTAINTY: Final = {member: number for number, member in enumerate(_CERTAINTIES)}
_PRECISION: Final = {member: number for number, member in enumerate(_PRECISIONS)}
_VISIBILITY: Final = {member: number for number, member in enumerate(_VISIBILITIES)}
_GONE: Final = (
    None, DELETED, CANCELLED, OVER, NOT_MATCHED, GEOMETRY_LOST, PERIOD_LOST, LINKED, SAME_OWNER, NOT_NEAR, NO_OVERLAP,
    FROZEN, TOO_SMALL, LOW_SCORE, SUPERSEDED, RESTRICTION_CANCELLED, RESTRICTION_ENDED, RESTRICTION_DELETED,
)  # fmt: skip
"""Why a plan is not matched, by number; 0 means that it is."""

EXTENT, REPAIRED, OPEN_END, ASSUMED, EXECUTION, GROUND, GROUND_ASSUMED, TRAFFIC, FIRST_LOAD, EXTRAS = (
    1 << n for n in range(10)
)


class _Extra(NamedTuple):
    """What few plans have."""

    times: Times | None
    ties: tuple[str, ...]
    audience: tuple[str, ...]


class PlanTable:
    """Plans by slot. Geometry in metres of the metric CRS, repaired."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.shapes: Shapes = np.full(1024, None, dtype=np.object_)
        self.zones: dict[int, Zone] = {}
        """The slots that hold a zone that is matched; their rows are those of its place and time."""
        self._slots: dict[str, int] = {}
        self._rows = np.zeros(1024, dtype=_COLUMNS)
        self._extras: dict[int, _Extra] = {}
        self._owners: list[str] = []
        self._owner_numbers: dict[str, int] = {}
        self._unknown_owners: list[int] = []
        self._traits: list[tuple[frozenset[str], frozenset[str]]] = []
        self._traits_numbers: dict[tuple[frozenset[str], frozenset[str]], int] = {}

    def __len__(self) -> int:
        """Return the number of slots, those of removed plans included."""
        return len(self.ids)

    @property
    def matched(self) -> int:
        """How many plans can be part of a finding."""
        return int((self._rows["gone"][: len(self)] == 0).sum())

    def slot(self, plan_id: str) -> int:
        """Return the slot of a plan; a new one counts as deleted until it is put."""
        slot = self._slots.get(plan_id)
        if slot is None:
            slot = self._slots[plan_id] = len(self.ids)
            self.ids.append(plan_id)
            if slot == len(self._rows):
                self._rows = np.concatenate([self._rows, np.zeros(slot, dtype=_COLUMNS)])
                self.shapes = np.concatenate([self.shapes, np.full(slot, None, dtype=np.object_)])
            self._rows[slot]["gone"] = _GONE.index(DELETED)
        return slot

    def put(self, slot: int, subject: Subject) -> None:
        """Keep a matchable plan."""
        spans, known = subject.times.spans, subject.times.known
        bits = (
            (EXTENT if subject.extent_known else 0)
            | (REPAIRED if subject.repaired else 0)
            | (OPEN_END if subject.times.is_open else 0)
            | (ASSUMED if known is not spans else 0)
            | (EXECUTION if subject.in_execution else 0)
            | (GROUND if subject.groundworks else 0)
            | (GROUND_ASSUMED if subject.ground_assumed else 0)
            | (TRAFFIC if subject.hinders_traffic else 0)
        )
        times = subject.times if len(spans) > 1 or len(known) > 1 else None
        if times or subject.ties or subject.audience:
            bits |= EXTRAS
            self._extras[slot] = _Extra(times, subject.ties, subject.audience)
        else:
            self._extras.pop(slot, None)
        self._rows[slot] = (
            subject.revision,
            spans[0][0],
            spans[-1][1],
            known[-1][1],
            _NEVER if subject.earliest_start is None else subject.earliest_start,
            _NEVER if subject.latest_end is None else subject.latest_end,
            self._owner(subject.owner_oin),
            subject.accuracy_m,
            _CERTAINTY[subject.certainty],
            _PRECISION[subject.precision],
            _VISIBILITY[subject.visibility],
            self._number_of((subject.judged_by, subject.work_kinds)),
            0,
            bits,
        )
        self.shapes[slot] = subject.shape

    def put_zone(self, slot: int, zone: Zone) -> None:
        """Keep a matchable zone."""
        self.put(slot, zone.subject)
        self.zones[slot] = zone

    def put_gone(self, slot: int, gone: Gone, side: Side) -> None:
        """Keep what a finding about an unmatched plan must still say."""
        self._rows[slot] = np.zeros(1, dtype=_COLUMNS)[0]
        row = self._rows[slot]
        row["revision"], row["owner"] = side.revision, self._owner(side.owner_oin)
        row["visibility"], row["gone"] = _VISIBILITY[side.visibility], _GONE.index(gone)
        self._extras.pop(slot, None)
        if side.audience:
            row["bits"] = EXTRAS
            self._extras[slot] = _Extra(None, (), side.audience)
        self.shapes[slot] = None

    def remove(self, slot: int) -> None:
        """Note that a plan was deleted; its revision, owner and visibility stay known."""
        self.zones.pop(slot, None)
        self.put_gone(slot, RESTRICTION_DELETED if is_restriction(self.ids[slot]) else DELETED, self.side(slot))

    def side(self, slot: int) -> Side:
        """Return what a finding says of a plan."""
        row = self._rows[slot]
        extra = self._extras.get(slot)
        return Side(
            self.ids[slot],
            int(row["revision"]),
            self._owners[row["owner"]] if self._owners else "",
            _VISIBILITIES[row["visibility"]],
            extra.audience if extra else (),
        )

    def get(self, slot: int) -> Subject | Gone:
        """Return a plan as the rules see it, or why it is not matched."""
        (revision, start, end, known_end, earliest, latest, owner, accuracy, certainty, precision, visibility,
         traits, gone, bits) = self._rows[slot].item()  # fmt: skip
        if gone:
            why = _GONE[gone]
            return DELETED if why is None else why
        extra = self._extras[slot] if bits & EXTRAS else None
        spans = ((start, end),)
        times = extra.times if extra is not None and extra.times is not None else None
        if times is None:
            times = Times(spans, ((start, known_end),) if bits & ASSUMED else spans, bool(bits & OPEN_END))
        judged_by, work_kinds = self._traits[traits]
        return Subject(
            self.ids[slot],
            revision,
            self._owners[owner],
            self.shapes[slot],
            bool(bits & EXTENT),
            bool(bits & REPAIRED),
            accuracy,
            times,
            _PRECISIONS[precision],
            bool(bits & EXECUTION),
            _CERTAINTIES[certainty],
            None if earliest == _NEVER else earliest,
            None if latest == _NEVER else latest,
            judged_by,
            work_kinds,
            bool(bits & GROUND),
            bool(bits & GROUND_ASSUMED),
            bool(bits & TRAFFIC),
            extra.ties if extra else (),
            _VISIBILITIES[visibility],
            extra.audience if extra else (),
        )

    def note_first_load(self, slot: int) -> None:
        """Note that the last row of a plan came with its source's first complete page."""
        self._rows[slot]["bits"] |= FIRST_LOAD

    def is_first_load(self, slot: int) -> bool:
        """Tell whether `note_first_load` was said of the plan's last row."""
        return bool(self._rows[slot]["bits"] & FIRST_LOAD)

    def is_matched(self, slots: Slots) -> NDArray[np.bool_]:
        """Tell for each slot whether its plan can be part of a finding."""
        found: NDArray[np.bool_] = self._rows["gone"][slots] == 0
        return found

    def envelope(self, slots: Slots, today: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return first and last day of plans as matched on *today*: open works in execution last until then."""
        rows = self._rows[slots]
        start, end = rows["start"], rows["end"]
        running = (rows["bits"] & (OPEN_END | EXECUTION)) == (OPEN_END | EXECUTION)
        return start, np.where(running & (start <= today) & (end < today), np.int32(today), end)

    def groups(self, slots: Slots, *, skip_same_owner: bool) -> NDArray[np.int64]:
        """Return a number per owner, -1 where pairs of one owner are judged or it is unknown; zones share one."""
        groups = self._owner_groups(slots) if skip_same_owner else np.full(len(slots), -1, dtype=np.int64)
        if self.zones:
            groups[np.isin(slots, list(self.zones))] = _ZONES
        return groups

    def _owner_groups(self, slots: Slots) -> NDArray[np.int64]:
        owners = self._rows["owner"][slots].astype(np.int64)
        return np.where(np.isin(owners, self._unknown_owners), -1, owners) if self._unknown_owners else owners

    def _owner(self, oin: str) -> int:
        number = self._owner_numbers.get(oin)
        if number is None:
            number = self._owner_numbers[oin] = len(self._owners)
            self._owners.append(oin)
            if not same_owner(oin, oin):
                self._unknown_owners.append(number)
        return number

    def _number_of(self, traits: tuple[frozenset[str], frozenset[str]]) -> int:
        number = self._traits_numbers.get(traits)
        if number is None:
            number = self._traits_numbers[traits] = len(self._traits)
            self._traits.append(traits)
        return number
