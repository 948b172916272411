"""Is a change of a plan or restriction taken, a repeat, too late, or not for this source to say?

One plan at a time, in the order of its partition. Each change carries the whole plan, so none waits for another.
rule: contract, identity and order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from samenloop.errors import Reject
from samenloop.identity import check_oin, system_oin
from samenloop.model import ChangeKind, Organisation, Phase, PlanChanged

MOST_HOPS = 3
"""A change that came through more hubs goes in circles."""


class Ruling(StrEnum):
    """What becomes of a change."""

    ACCEPTED = "ACCEPTED"
    DUPLICATE = "DUPLICATE"
    STALE = "STALE"


@dataclass(slots=True)
class Known:
    """What is remembered of one plan: enough to judge the next change, and no more.

    *content_hash* None is a plan that was removed: its revision goes on when it returns. *owner_oin* None is not known.
    """

    revision: int
    content_hash: bytes | None
    phase: Phase
    event_id: str
    recorded_at: datetime
    sequence: int
    owner_oin: str | None


class Claim(NamedTuple):
    """What a change says, without its plan; a report of a restriction says the same of its restriction.

    *key* is the Kafka key, *source* the envelope's source, *event_id* its id, *subject_id* the plan it speaks of.
    *plan_id*, *plan_system* and *owner_oin* are those of the plan inside, None where the change brings none.
    """

    key: str
    source: str
    event_id: str
    subject_id: str
    change: ChangeKind
    system: str
    oin: str
    hops: int
    recorded_at: datetime
    sequence: int
    content_hash: bytes | None
    phase: Phase
    plan_id: str | None
    plan_system: str | None
    owner_oin: str | None
    changed_fields: tuple[str, ...] = ()
    kind: Literal["plan", "restriction"] = "plan"


class Facts(Protocol):
    """What must be known of a plan to judge a change of it: a plan, or as much of one as was read."""

    @property
    def id(self) -> str: ...
    @property
    def system(self) -> str: ...
    @property
    def owner(self) -> Organisation: ...
    @property
    def phase(self) -> Phase: ...


def claim_of(
    change: PlanChanged, plan: Facts | None, *, key: str, source: str, event_id: str, content_hash: bytes | None
) -> Claim:
    """Return what *change* says of *plan* (not looked for in the change), under the names of its envelope."""
    origin = change.origin
    return Claim(
        key,
        source,
        event_id,
        change.plan_id,
        change.change,
        origin.system,
        origin.oin,
        origin.hops,
        change.recorded_at,
        change.sequence,
        content_hash,
        plan.phase if plan else Phase.UNKNOWN,
        plan.id if plan else None,
        plan.system if plan else None,
        plan.owner.oin if plan else None,
        change.changed_fields,
    )


def check(claim: Claim, *, allow_test_oin: bool = True) -> None:
    """Refuse a change that its source may not make, or that contradicts itself.

    Raises Reject: `identity.…` for names that do not belong together, `mandate.…` for a source that speaks for
    another, `loop.hops`, `record.…` for a change that lacks its plan.
    """
    if claim.key != claim.subject_id or (claim.plan_id is not None and claim.plan_id != claim.subject_id):
        kind = claim.kind
        raise Reject(f"identity.{kind}-id", f"key, {kind}_id and {kind}.id name different {kind}s", field=f"{kind}_id")
    if claim.source != claim.system:
        raise Reject("mandate.source", "the envelope's source is not the system in origin", field="origin.system")
    if system_oin(claim.system) != claim.oin:
        raise Reject("mandate.origin", "the system does not belong to the organisation in origin", field="origin.oin")
    if not claim.subject_id.startswith(f"{claim.system}:{claim.kind}:") or claim.plan_system not in (
        None,
        claim.system,
    ):
        detail = f"the {claim.kind} belongs to another system than the one that speaks"
        raise Reject("mandate.system", detail, field=claim.kind)
    if not allow_test_oin:
        check_oin(claim.oin, allow_test=False)
        if claim.owner_oin is not None and not claim.owner_oin.startswith("urn:"):
            check_oin(claim.owner_oin, allow_test=False)
    if claim.hops > MOST_HOPS:
        raise Reject("loop.hops", f"the change came through more than {MOST_HOPS} hubs", field="origin.hops")
    if claim.change is ChangeKind.UNKNOWN:
        raise Reject("record.change", "the kind of change is unknown to this version", field="change")
    if (claim.change is ChangeKind.DELETED) != (claim.plan_id is None):
        detail = f"a change carries the whole {claim.kind}, a deletion none"
        raise Reject(f"record.{claim.kind}", detail, field=claim.kind)


def judge(known: Known | None, claim: Claim) -> Ruling:
    """Say what becomes of a change that passed `check`.

    A repeat has the same event id, or the same content hash and phase, as the state. Stale is what the source recorded
    before the state was. Deleting what is not there is a repeat. Raises Reject("mandate.owner") for a change that
    gives the plan another owner without saying so in its changed fields.
    """
    if known is None:
        return Ruling.DUPLICATE if claim.plan_id is None else Ruling.ACCEPTED
    if claim.event_id == known.event_id:
        return Ruling.DUPLICATE
    if claim.recorded_at < known.recorded_at:
        return Ruling.STALE
    if claim.plan_id is None:
        return Ruling.DUPLICATE if known.content_hash is None else Ruling.ACCEPTED
    if known.content_hash is not None and known.owner_oin != claim.owner_oin and not _says_owner(claim):
        detail = f"the {claim.kind} has another owner, and the change does not say so"
        raise Reject("mandate.owner", detail, field=f"{claim.kind}.owner")
    same = claim.content_hash == known.content_hash and claim.phase is known.phase
    return Ruling.DUPLICATE if same else Ruling.ACCEPTED


def accept(known: Known | None, claim: Claim) -> Known:
    """Return what is remembered once *claim* was taken: the revision rises by one, also over deletion and return."""
    return Known(
        revision=1 if known is None else known.revision + 1,
        content_hash=None if claim.plan_id is None else claim.content_hash,
        phase=claim.phase,
        event_id=claim.event_id,
        recorded_at=claim.recorded_at,
        sequence=claim.sequence,
        owner_oin=claim.owner_oin,
    )


def _says_owner(claim: Claim) -> bool:
    """A first complete reading says everything anew."""
    return claim.change is ChangeKind.SNAPSHOT or any(
        pointer == "" or pointer.startswith("/owner") for pointer in claim.changed_fields
    )
