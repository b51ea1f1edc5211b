"""Plans: a stored, countable list of changes, shown before anything is written and applied as shown."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Person
from hub.outbox import nonces
from hub.outbox.fields import differences
from hub.outbox.meetings import meetings
from hub.outbox.refusals import refusals
from hub.outbox.tasks import tasks
from hub.outbox.wanted import Due, Scope, Wanted, timeline
from hub.store import add, add_ids, among, change, digest, fetch, micros, put, scalar, tell
from hub.store import tables as t

OPEN = ("draft", "approved", "applying", "held", "partly")
STEP = "step"
# what the changes of each kind of plan promise
EFFECTS = {"push": ("create", "update", "delete"), "merge": ("merge",), STEP: ("create",)}

_of = t.plan.c.connection_id == sa.bindparam("of")
_this, _waits = t.plan.c.id == sa.bindparam("plan"), t.plan.c.status.in_(("draft", "held"))
_of_kind = t.plan.c.kind == sa.bindparam("of_kind")
_PLAN = sa.select(t.plan.c.status, t.plan.c.counts, t.plan.c.kind).where(_this)
_NEWEST = sa.select(sa.func.max(t.plan.c.id)).where(_of, _of_kind, among(t.plan.c.status))
_SUPERSEDE = sa.update(t.plan).where(_of, _of_kind, _waits).values(status="superseded")
_DROP = sa.delete(t.plan).where(_this)
_APPROVE = (
    sa.update(t.plan)
    .where(_this, _waits)
    .values(status="approved", approved_by=sa.bindparam("actor"), approved_at=sa.bindparam("now"))
    .returning(t.plan.c.id)
)
_SEEN = (
    sa.update(t.remote)
    .where(
        t.remote.c.connection_id == sa.bindparam("of"), t.remote.c.kind == "interaction",
        t.remote.c.key == sa.bindparam("k"),
    )
    .values(written_at=sa.bindparam("as_of"))
)  # fmt: skip
_OURS = sa.select(sa.func.count()).where(
    t.remote.c.connection_id == sa.bindparam("of"), t.remote.c.is_ours.is_(sa.true())
)
_THEIRS = (
    sa.select(sa.func.count(sa.distinct(t.observation.c.record_id)))
    .join(t.record, t.record.c.id == t.observation.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .where(t.stream.c.connection_id == sa.bindparam("of"), t.record.c.gone_at.is_(None))
)


@dataclass
class Plan:
    """counts: {"interaction": {"create": n, "update": n, "delete": n}, ...}; unchanged and not_due complete the books.

    kind: "push", "merge" for a tool's own duplicates, {"person": {"merge": n}}, or "step" for what an assistant proposed.
    proposed: {"by": the actor, "named", "via"} of such a one; its approval takes a nonce (`hub.outbox.nonces`).
    """

    id: int
    status: str
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    unchanged: int = 0
    not_due: dict[str, int] = field(default_factory=dict)
    held: str = ""
    kind: str = "push"
    proposed: dict[str, str] | None = None

    @property
    def changes(self) -> int:
        return sum(n for effects in self.counts.values() for n in effects.values())

    def to_dict(self) -> dict[str, Any]:
        return {
            "plan": self.id, "kind": self.kind, "status": self.status, "changes": self.changes, "counts": self.counts,
            "unchanged": self.unchanged, "not_due": self.not_due, "held": self.held,
        }  # fmt: skip


def make(c: Connection, scope: Scope, now: datetime, brake_percent: float, brake_count: int) -> Plan:
    """Compute the difference and store it as a draft; an older open plan of the same destination is superseded.

    A plan that updates or deletes more than the brake allows of what is there is "held": approving it takes a
    person who says so. A plan without changes is not stored (id 0).
    """
    plan = begin(c, scope.connection_id, now)
    due = Due()
    hashes: list[bytes] = []
    for part in _everything(c, scope, due, now):
        hashes += store(c, plan, part)
    put(c, t.agreed, due.agreed)
    if due.seen_unchanged:
        tell(c, _SEEN, [{"of": scope.connection_id, "k": key, "as_of": as_of} for key, as_of in due.seen_unchanged])
    plan.unchanged, plan.not_due = due.unchanged, dict(due.not_due)
    if not plan.changes:
        return drop(c, plan)
    plan.held = _braked(c, scope, plan, brake_percent, brake_count)
    plan.status = "held" if plan.held else "draft"
    return finish(c, plan, hashes)


def begin(c: Connection, connection_id: int, now: datetime, kind: str = "push") -> Plan:
    """An empty draft, in place of older ones of its kind that nobody approved; proposals wait side by side."""
    if kind != STEP:
        tell(c, _SUPERSEDE, [{"of": connection_id, "of_kind": kind}])
    row = {
        "connection_id": connection_id, "kind": kind, "created_at": micros(now), "status": "draft", "counts": "{}",
        "digest": b"",
    }  # fmt: skip
    return Plan(add_ids(c, t.plan, [row])[0], "draft", kind=kind)


def store(c: Connection, plan: Plan, part: Sequence[Wanted]) -> list[bytes]:
    """Add these changes to a plan and its counts; their marks."""
    rows, hashes = [], []
    for w in part:
        kind = w.stored_as or w.change.kind
        effects = plan.counts.setdefault(kind, dict.fromkeys(EFFECTS[plan.kind], 0))
        effects[w.effect] += 1
        hashes.append(digest(w.change.key.encode() + w.hash))
        rows.append({
            "plan_id": plan.id, "phase": w.phase, "kind": kind, "key": w.change.key, "op": w.change.op,
            "effect": w.effect, "payload": encode(w), "hash": w.hash, "state": "due",
        })  # fmt: skip
    add(c, t.change, rows)
    return hashes


def finish(c: Connection, plan: Plan, hashes: list[bytes]) -> Plan:
    """Keep the plan as it is now: its counts are promises."""
    mark = digest(b"".join(sorted(hashes)))
    change(c, t.plan, [
        {"id": plan.id, "status": plan.status, "counts": json.dumps(_stored(plan)), "digest": mark}
    ])  # fmt: skip
    return plan


def drop(c: Connection, plan: Plan) -> Plan:
    """A plan without changes is not stored."""
    tell(c, _DROP, [{"plan": plan.id}])
    plan.id, plan.status = 0, "nothing to do"
    return plan


def _everything(c: Connection, scope: Scope, due: Due, now: datetime) -> Iterator[list[Wanted]]:
    made: list[str] = []  # addresses of the people this plan makes
    for part in timeline(c, scope, due) if scope.kinds else ():
        for w in part:
            if isinstance(w.change.entity, Person) and w.effect == "create":
                made += [i.value for i in w.change.entity.identifiers if i.scheme == "email"]
        yield part
    if scope.consents:
        yield from refusals(c, scope, due, made)
    if "task" in scope.kinds:
        yield from tasks(c, scope, due)
    if scope.calendars:
        yield from meetings(c, scope, due, now)
    yield from differences(c, scope, due, now)


def encode(w: Wanted) -> bytes:
    """A change as it is stored: with the stamp of the state it was read from."""
    more = {"as_of": w.as_of, "note": w.note, "title": w.title}
    return msgspec.msgpack.encode({**msgspec.structs.asdict(w.change), **more})


def _braked(c: Connection, scope: Scope, plan: Plan, percent: float, count: int) -> str:
    standing = int(scalar(c, _OURS, of=scope.connection_id))
    if "fields" in plan.counts or "consent" in plan.counts:  # these go to records of people we did not write
        standing += int(scalar(c, _THEIRS, of=scope.connection_id))
    going = sum(effects["update"] + effects["delete"] for effects in plan.counts.values())
    return over(going, standing, percent, count, "objects there would be updated or deleted")


def over(going: int, standing: int, percent: float, count: int, what: str) -> str:
    """Why the brake holds so many of so many, "" where it does not."""
    share = 100.0 * going / standing if standing else 0.0
    if going > count and share > percent:
        return f"{going} of {standing} {what} ({share:.0f} %, the brake is at {percent:g} %)"
    return ""


def _stored(plan: Plan) -> dict[str, Any]:
    kept = {"counts": plan.counts, "unchanged": plan.unchanged, "not_due": plan.not_due, "held": plan.held}
    return {**kept, "proposed": plan.proposed} if plan.proposed else kept


def read(c: Connection, plan_id: int) -> Plan | None:
    for status, counts, kind in fetch(c, _PLAN, plan=plan_id):
        stored = json.loads(counts)
        counted = stored["counts"], stored["unchanged"], stored["not_due"], stored["held"]
        return Plan(plan_id, status, *counted, kind, stored.get("proposed"))
    return None


def newest(c: Connection, connection_id: int, statuses: tuple[str, ...] = OPEN, kind: str = "push") -> Plan | None:
    """The newest plan of a kind in one of these states."""
    plan_id = scalar(c, _NEWEST, of=connection_id, of_kind=kind, values=statuses)
    return read(c, plan_id) if plan_id else None


def approve(c: Connection, plan_id: int, actor: str, now: datetime, nonce: str = "") -> bool:
    """Let a draft or held plan be applied; False when it is neither.

    Raises ConfigError for what an assistant proposed without the nonce that the actor was shown with it (`nonce`).
    """
    found = read(c, plan_id)
    if found is not None and found.proposed and found.status in {"draft", "held"}:
        nonces.must_fit(c, plan_id, actor, nonce, now)
    return bool(fetch(c, _APPROVE, plan=plan_id, actor=actor, now=micros(now)))


def preview(c: Connection, plan_id: int, limit: int = 20) -> list[dict[str, Any]]:
    """The first changes of each kind and effect, for people."""
    rows = []
    query = sa.select(t.change.c.kind, t.change.c.effect, t.change.c.payload).where(t.change.c.plan_id == plan_id)
    for kind, effect, payload in c.execute(query.order_by(t.change.c.phase, t.change.c.id).limit(limit)):
        plain = msgspec.msgpack.decode(payload)
        entity = plain.get("entity") or {}
        title = entity.get("subject") or entity.get("name") or entity.get("title") or plain.get("title") or plain["key"]
        row = {"kind": kind, "effect": effect, "title": title, "links": len(plain.get("links") or ())}
        if kind == "fields":
            row |= {"fields": entity["fields"], "before": plain["note"]["before"]}
        rows.append(row)
    return rows
