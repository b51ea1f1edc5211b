"""Carrying a plan out: every write is journalled before it is sent and looked up before it is ever sent again.

A change is due -> sent -> done or failed. "sent" without an answer means the outcome is unknown: `find` by our key
decides whether it goes again as a create or as an update of what is there. Killing the process anywhere leaves
one of these states, and the next run goes on from it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import (
    Change,
    Clock,
    ConfigError,
    Connector,
    Consent,
    Interaction,
    JournalEntry,
    Link,
    Organization,
    Person,
    Receipt,
    Task,
    Transient,
)
from hub.outbox.fields import written
from hub.outbox.places import by_key, mark, remote_ids
from hub.store import Store, add, among, change, digest, fetch, micros, put, renew, scalar, tell
from hub.store import tables as t

log = logging.getLogger("hub.outbox")
BATCH = 100
TRIES = 5
ENTITIES: dict[str, type[Any]] = {
    "person": Person, "organization": Organization, "interaction": Interaction, "task": Task, "consent": Consent,
}  # fmt: skip
BY_ID_ONLY = {"fields", "consent"}  # repeating these changes nothing, and `find` by our key does not know them


@dataclass
class Applied:
    """What came of a plan: counts by outcome; `failures` are (key, the destination's words)."""

    done: dict[str, int] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    is_complete: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {
            "done": self.done,
            "failed": len(self.failures),
            "failures": self.failures[:50],
            "complete": self.is_complete,
        }


@dataclass
class Run:
    """The lease and clock an application runs under."""

    store: Store
    connector: Connector[Any]
    connection_id: int
    clock: Clock
    lease: str
    fence: int
    ttl: timedelta
    progress: Callable[[int, int], None] = lambda done, total: None


@dataclass(slots=True)
class _Item:
    id: int
    state: str
    change: Change
    hash: bytes
    as_of: int = 0
    note: dict[str, Any] | None = None
    attempt: int = 0


_ch = t.change.c
_of_plan = _ch.plan_id == sa.bindparam("plan")
_in_phase = sa.and_(_of_plan, _ch.phase == sa.bindparam("phase"), _ch.kind == sa.bindparam("kind"))
_TOTAL = sa.select(sa.func.count()).where(_of_plan)
_PHASES = sa.select(_ch.phase, _ch.kind, _ch.op).where(_of_plan).distinct().order_by(_ch.phase)
_NEXT = (
    sa.select(_ch.id, _ch.state, _ch.payload, _ch.hash)
    .where(_in_phase, _ch.op == sa.bindparam("op"), _ch.state.in_(("sent", "due")))
    .order_by(_ch.state.desc(), _ch.id)
    .limit(BATCH)
)
_OURS = sa.select(t.remote.c.kind, t.remote.c.key, t.remote.c.remote_id).where(
    t.remote.c.connection_id == sa.bindparam("of"), among(t.remote.c.key), t.remote.c.remote_id != "",
    t.remote.c.kind.not_in(("person", "organization")),
)  # fmt: skip
_EARLIER = (
    sa.select(t.journal.c.change_id, sa.func.count())
    .where(among(t.journal.c.change_id))
    .group_by(t.journal.c.change_id)
)
_SENT = sa.update(t.change).where(among(_ch.id)).values(state="sent")
_ANSWERED = (
    sa.update(t.journal)
    .where(t.journal.c.change_id == sa.bindparam("of"), t.journal.c.attempt == sa.bindparam("no"))
    .values(answered_at=sa.bindparam("at"), outcome=sa.bindparam("what"), error=sa.bindparam("why"))
)
_DONE = sa.select(_ch.outcome, sa.func.count()).where(_of_plan, _ch.state == "done").group_by(_ch.outcome)
_FAILED = sa.select(_ch.key, _ch.error).where(_of_plan, _ch.error.is_not(None))


# Approved, or begun after it was: going over one again sends nothing twice.
APPROVED = ("approved", "applying", "partly", "applied")
_BEGIN = (
    sa.update(t.plan)
    .where(t.plan.c.id == sa.bindparam("plan"), t.plan.c.status.in_(APPROVED))
    .values(status="applying")
)


async def apply(run: Run, plan_id: int) -> Applied:
    """Apply an approved plan, or go on with one that was interrupted.

    Raises what the connector raises when nothing more can be done now (RateLimited, AuthError, Transient after
    several tries); what is done stays done, and the next call goes on.
    """
    total, phases = _phases(run, plan_id)
    done = 0
    for phase, kind, op in phases:
        while batch := _next(run, plan_id, phase, kind, op):
            for of in dict.fromkeys(i.change.kind for i in batch):
                await _push(run, kind, [i for i in batch if i.change.kind == of])
            done += len(batch)
            run.progress(done, total)
    return _close(run, plan_id)


def _phases(run: Run, plan_id: int) -> tuple[int, list[Any]]:
    """How many changes there are, and (phase, kind, op) in their order. From here on the plan is being applied.

    Raises ConfigError for a plan that nobody approved, or that was rejected, replaced or taken back.
    """
    with run.store.write() as c:
        if not c.execute(_BEGIN, {"plan": plan_id}).rowcount:
            raise ConfigError(
                f"plan {plan_id} is not approved: `ihub approve {plan_id}`, or `ihub plan` makes a new one"
            )
        return int(scalar(c, _TOTAL, plan=plan_id)), fetch(c, _PHASES, plan=plan_id)


def _next(run: Run, plan_id: int, phase: int, kind: str, op: str) -> list[_Item]:
    """The next changes to send, those with an unknown outcome first, with the ids their links point at by now."""
    with run.store.read() as c:
        items = [_item(r) for r in fetch(c, _NEXT, plan=plan_id, phase=phase, kind=kind, op=op)]
        _resolve(c, run.connection_id, items)
    return items


def _item(row: Any) -> _Item:
    plain = msgspec.msgpack.decode(row.payload)
    return _Item(row.id, row.state, _typed(plain), bytes(row.hash), plain.get("as_of", 0), plain.get("note"))


def _typed(plain: dict[str, Any]) -> Change:
    entity = plain.get("entity")
    return Change(
        key=plain["key"], kind=plain["kind"], op=plain["op"], remote_id=plain["remote_id"], absorbs=plain.get("absorbs", ""),
        links=msgspec.convert(plain["links"], tuple[Link, ...]),
        unlinks=msgspec.convert(plain.get("unlinks", ()), tuple[Link, ...]),
        entity=None if entity is None else msgspec.convert(entity, ENTITIES[plain["kind"]]),
    )  # fmt: skip


def _resolve(c: Connection, connection_id: int, items: list[_Item]) -> None:
    """Fill in remote ids: of the objects themselves, and of what they link to."""
    keys: set[tuple[str, str]] = {(link.kind, link.key) for i in items for link in i.change.links}
    keys |= {(i.change.kind, i.change.key) for i in items}
    known = _known_ids(c, connection_id, keys)
    for i in items:
        named = ((x, x.remote_id or known.get((x.kind, x.key), "")) for x in i.change.links)
        links = tuple(Link(x.kind, x.key, remote_id) for x, remote_id in named)
        own = i.change.remote_id or known.get((i.change.kind, i.change.key), "")
        i.change = msgspec.structs.replace(i.change, links=links, remote_id=own)


def _known_ids(c: Connection, connection_id: int, keys: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    names = sorted({key for _, key in keys})
    found = remote_ids(c, connection_id, by_key(c, names))
    found.update({(kind, key): rid for kind, key, rid in fetch(c, _OURS, of=connection_id, values=names)})
    return found


async def _push(run: Run, kind: str, items: list[_Item]) -> None:
    stranded = [i for i in items if any(not link.remote_id for link in i.change.links)]
    if stranded:
        reason = "what it belongs to could not be written"
        _record(run, kind, stranded, [Receipt(key=i.change.key, outcome="failed", error=reason) for i in stranded])
        items = [i for i in items if i not in stranded]
    if not items:
        return
    for attempt in range(1, TRIES + 1):
        unknown = [i for i in items if i.state == "sent"]
        if unknown and kind not in BY_ID_ONLY:
            await _look_up(run, kind, unknown)
        _journal(run, items)
        try:
            receipts = await run.connector.push([i.change for i in items])
        except Transient as exc:
            for i in items:
                i.state = "sent"
            if attempt == TRIES:
                raise
            log.warning("push of %d %s: %s; looking up before sending again", len(items), kind, exc)
            await run.clock.sleep(min(30.0, 0.5 * 2**attempt))
            continue
        _record(run, kind, items, receipts)
        return


async def _look_up(run: Run, kind: str, items: list[_Item]) -> None:
    """Which of the changes with unknown outcome took effect: those go on as updates of what is there."""
    found = {f.key: f for f in await run.connector.find(kind, [i.change.key for i in items])}
    for i in items:
        if hit := found.get(i.change.key):
            i.change = msgspec.structs.replace(i.change, remote_id=hit.remote_id)


def _journal(run: Run, items: Sequence[_Item]) -> None:
    """The intent, on disk before the request leaves."""
    now = run.clock.now()
    with run.store.write() as c:
        renew(c, run.lease, run.fence, now, run.ttl)
        ids = [i.id for i in items]
        earlier = dict(fetch(c, _EARLIER, values=ids))
        rows = []
        for i in items:
            i.attempt = earlier.get(i.id, 0) + 1
            rows.append({
                "change_id": i.id, "attempt": i.attempt, "sent_at": micros(now),
                "request_hash": digest(msgspec.msgpack.encode(i.change)),
            })  # fmt: skip
        add(c, t.journal, rows)
        tell(c, _SENT, [{"values": ids}])


def _record(run: Run, kind: str, items: list[_Item], receipts: list[Receipt]) -> None:
    """The answers, with what we now know of the destination, in one transaction."""
    by_key = {r.key: r for r in receipts}
    now = run.clock.now()
    states, remotes, answers, agreed = [], [], [], []
    merged: list[tuple[str, Change, dict[str, Any]]] = []
    for i in items:
        r = by_key.get(i.change.key) or Receipt(
            key=i.change.key, outcome="failed", error="the connector gave no receipt"
        )
        is_failed = r.outcome == "failed"
        states.append({
            "id": i.id, "state": "failed" if is_failed else "done", "outcome": r.outcome, "error": r.error or None,
            "receipt": msgspec.msgpack.encode(r),
        })  # fmt: skip
        answers.append({
            "of": i.id, "no": i.attempt, "at": micros(now), "what": r.outcome, "why": r.error or None,
        })  # fmt: skip
        if i.change.op == "merge":
            merged += [] if is_failed else [(r.remote_id, i.change, i.note or {})]
        elif i.note and not is_failed and i.change.entity:
            agreed += written(i.note, getattr(i.change.entity, "fields", {}), micros(now))
        elif not is_failed:
            is_gone = i.change.op == "delete"
            is_whole = not is_gone and not r.error  # an object without all of its links is planned again
            remotes.append({
                "connection_id": run.connection_id, "kind": i.change.kind, "key": i.change.key,
                "remote_id": "" if is_gone else r.remote_id, "hash": _hash(i) if is_whole else None, "version": r.version,
                "written_at": i.as_of if is_gone or is_whole else 0, "is_ours": not is_gone and kind not in BY_ID_ONLY,
            })  # fmt: skip
    with run.store.write() as c:
        renew(c, run.lease, run.fence, now, run.ttl)
        change(c, t.change, states)
        tell(c, _ANSWERED, answers)
        put(c, t.remote, remotes)
        put(c, t.agreed, agreed)
        for became, merge, note in merged:
            _point(c, became, merge, note)


def _point(c: Connection, became: str, merge: Change, note: dict[str, Any]) -> None:
    """What we know of a merge that was ours: where the ids that are gone lead. Not every tool tells."""
    ends = zip((merge.remote_id, merge.absorbs), note.get("records", ()), strict=False)
    gone = [record_id for external_id, record_id in ends if external_id != became]
    change(c, t.record, [{"id": record_id, "redirect_to": became} for record_id in gone])


def _hash(i: _Item) -> bytes:
    """Of the state as written: with the ids that its associations turned out to have."""
    if i.change.kind not in {"interaction", "task"}:
        return i.hash
    return i.hash[:8] + mark(f"{x.kind}:{x.remote_id}" for x in i.change.links)


def _close(run: Run, plan_id: int) -> Applied:
    now = run.clock.now()
    with run.store.write() as c:
        done = {str(outcome): n for outcome, n in fetch(c, _DONE, plan=plan_id)}
        failed = [(key, error or "") for key, error in fetch(c, _FAILED, plan=plan_id)]
        change(c, t.plan, [{"id": plan_id, "status": "partly" if failed else "applied", "applied_at": micros(now)}])
    return Applied(done, failed, True)


# --- undo ----------------------------------------------------------------------------------------------------------

_DONE_PHASES = sa.select(_ch.phase, _ch.kind).where(_of_plan, _ch.state == "done").distinct().order_by(_ch.phase.desc())
_UNDOABLE = (
    sa.select(_ch.id, _ch.state, _ch.payload, _ch.hash, _ch.receipt)
    .where(_in_phase, _ch.state == "done")
    .order_by(_ch.id.desc())
    .limit(BATCH)
)
_DISAGREE = sa.delete(t.agreed).where(t.agreed.c.record_id == sa.bindparam("record"), among(t.agreed.c.field))
_mine = (
    t.remote.c.connection_id == sa.bindparam("of"), t.remote.c.kind == sa.bindparam("of_kind"),
    t.remote.c.key == sa.bindparam("of_key"),
)  # fmt: skip
_FORGET = sa.delete(t.remote).where(*_mine)
_UNSURE = sa.update(t.remote).where(*_mine).values(hash=None, written_at=None)
_BACK = _UNSURE.values(remote_id=sa.bindparam("id_there"), is_ours=True)


async def undo(run: Run, plan_id: int) -> Applied:
    """Take a plan back from its journal, last phase first. Idempotent: what is undone already stays so."""
    applied = Applied()
    with run.store.read() as c:
        phases = fetch(c, _DONE_PHASES, plan=plan_id)
    for phase, kind in phases:
        while entries := _undoable(run, plan_id, phase, kind):
            for of in dict.fromkeys(e.change.kind for _, e, _ in entries):
                part = [e for e in entries if e[1].change.kind == of]
                receipts = {r.key: r for r in await run.connector.undo([e for _, e, _ in part])}
                _took_back(run, part, receipts, applied)
    with run.store.write() as c:
        change(c, t.plan, [{"id": plan_id, "status": "partly" if applied.failures else "undone"}])
    applied.is_complete = not applied.failures
    return applied


_Entry = tuple[int, JournalEntry, dict[str, Any] | None]


def _undoable(run: Run, plan_id: int, phase: int, kind: str) -> list[_Entry]:
    with run.store.read() as c:
        rows = fetch(c, _UNDOABLE, plan=plan_id, phase=phase, kind=kind)
    found = [(i.id, _entry(i.change, r.receipt), i.note) for r in rows for i in [_item(r)]]
    return found[::-1]  # the last of them, in the order they were applied


def _entry(change: Change, receipt: bytes) -> JournalEntry:
    return JournalEntry(change=change, receipt=msgspec.msgpack.decode(receipt, type=Receipt))


def _took_back(run: Run, entries: list[_Entry], receipts: dict[str, Receipt], applied: Applied) -> None:
    now = run.clock.now()
    with run.store.write() as c:
        renew(c, run.lease, run.fence, now, run.ttl)
        for cid, entry, note in entries:
            key = entry.change.key
            r = receipts.get(key)
            if r is None or r.outcome == "failed":
                error = r.error if r else "the connector gave no receipt"
                applied.failures.append((key, error))
                change(c, t.change, [{"id": cid, "state": "stuck", "error": error}])
                continue
            applied.done[r.outcome] = applied.done.get(r.outcome, 0) + 1
            change(c, t.change, [{"id": cid, "state": "undone"}])
            if note:  # as if never written: the two sides differ again, and a person may say what is to be
                tell(c, _DISAGREE, [{"record": note["record_id"], "values": list(note["before"])}])
                continue
            if entry.change.kind == "consent":
                continue  # a refusal is not taken back
            mine = {"of": run.connection_id, "of_kind": entry.change.kind, "of_key": key}
            if entry.receipt.outcome == "created":
                tell(c, _FORGET, [mine])
            elif entry.receipt.outcome == "deleted":  # it stands there again, and is ours
                tell(c, _BACK, [{**mine, "id_there": r.remote_id or entry.receipt.remote_id}])
            else:
                tell(c, _UNSURE, [mine])
