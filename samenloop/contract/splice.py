"""Plans carried from record to record as bytes: a change is judged by its head, its plan is copied and never rebuilt.

`plan` is the last field of PlanChanged, PlanState and PlanRegion. Where the writer's schema is laid out as ours, the
bytes of the plan are checked field by field and copied; else the change is decoded and its plan written anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, cast

from samenloop.contract import compiled
from samenloop.contract.codec import Codec, read_whole
from samenloop.contract.files import current
from samenloop.model import FieldOrigin, Organisation, Phase, Plan, PlanChanged, PlanRegion, PlanState, Visibility
from samenloop.stage import Headers
from samenloop.value import value

_FACTS = ("id", "system", "owner", "phase", "visibility")
UNREAD: Final = cast(Plan, None)
"""Stands in a PlanState where its plan travels as bytes beside it."""


@value
class PlanFacts:
    """What must be known of a plan to judge a change of it."""

    id: str
    system: str
    owner: Organisation
    phase: Phase
    visibility: Visibility


@value
class ReadChange:
    """A change without its plan (*change.plan* is None), what is known of the plan, and the plan as our Avro bytes."""

    change: PlanChanged
    facts: PlanFacts | None
    plan: bytes | None


@value
class StateHead:
    """What the stage remembers of a plan state it wrote, read back without the plan itself."""

    plan_id: str
    revision: int
    sequence: int
    event_id: str
    content_hash: bytes
    provenance: dict[str, FieldOrigin]
    plan: PlanFacts


class PlanSplicer:
    """Reads changes and writes states and region rows around the bytes of their plan."""

    def __init__(self, codec: Codec) -> None:
        changed = current("PlanChanged")
        plan = compiled.named_types(changed)["Plan"]
        state = current("PlanState")
        self._codec = codec
        self._frame = codec.wires["plan-changes"].frame
        self._change = compiled.reader(changed, PlanChanged, stop="plan")
        self._facts = compiled.reader(plan, PlanFacts, keep=_FACTS, within=changed)
        self._plan = compiled.writer(plan, within=changed)
        self._state = compiled.writer(state, leave_out=("plan",))
        self._region = compiled.writer(current("PlanRegion"), leave_out=("plan",))
        keep = ("plan_id", "revision", "sequence", "event_id", "content_hash", "provenance", "plan")
        self._known = compiled.reader(state, StateHead, keep=keep, parts={"Plan": (PlanFacts, _FACTS)})

    def read_change(self, value: bytes, headers: Headers = ()) -> ReadChange:
        """Read a value of `plan-changes`. Raises Reject("schema.…") and Retry as `Codec.decode` does."""
        if not value.startswith(self._frame) and not self._codec.writer("plan-changes", value, headers).ours:
            return self.split(self._codec.decode("plan-changes", value, headers))
        return cast(ReadChange, read_whole(self._read_ours, value))

    def split(self, change: PlanChanged) -> ReadChange:
        """Return a decoded *change* as if it had been read from bytes of our own layout."""
        plan = change.plan
        if plan is None:
            return ReadChange(change, None, None)
        parts: list[bytes] = []
        self._plan(plan, parts.append)
        facts = PlanFacts(plan.id, plan.system, plan.owner, plan.phase, plan.visibility)
        return ReadChange(replace(change, plan=None), facts, b"".join(parts))

    def state_value(self, state: PlanState, plan: bytes) -> bytes:
        """Return the framed PlanState whose head is *state* (its plan is not looked at)."""
        parts = [self._codec.wires["plan-states"].frame]
        self._state(state, parts.append)
        parts.append(plan)
        return b"".join(parts)

    def region_value(self, region: PlanRegion, plan: bytes | None) -> bytes:
        """Return the framed PlanRegion whose head is *region* (its plan is not looked at)."""
        parts = [self._codec.wires["plan-regions"].frame]
        self._region(region, parts.append)
        parts.append(b"\x00" if plan is None else b"\x02" + plan)
        return b"".join(parts)

    def read_state(self, value: bytes, headers: Headers = ()) -> StateHead:
        """Read what must be remembered of a value of `plan-states`. Raises as `Codec.decode` does."""
        if self._codec.writer("plan-states", value, headers).ours:
            return cast(StateHead, read_whole(self._known, value))
        state: PlanState = self._codec.decode("plan-states", value, headers)
        plan = state.plan
        return StateHead(
            plan_id=state.plan_id,
            revision=state.revision,
            sequence=state.sequence,
            event_id=state.event_id,
            content_hash=state.content_hash,
            provenance=dict(state.provenance),
            plan=PlanFacts(plan.id, plan.system, plan.owner, plan.phase, plan.visibility),
        )

    def _read_ours(self, value: bytes, start: int) -> tuple[ReadChange, int]:
        change, here = self._change(value, start)
        if value[here] == 0:
            return ReadChange(change, None, None), here + 1
        if value[here] != compiled.SECOND_BRANCH:
            raise ValueError("no such branch")
        facts, end = self._facts(value, here + 1)
        return ReadChange(change, facts, value[here + 1 : end]), end
