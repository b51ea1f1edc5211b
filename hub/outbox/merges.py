"""Merging a tool's own duplicates there: what no tool takes back, so a kind of plan of its own.

A pair is looked at once more right before its call: as the hub last read the two, and still one here. What they were is
kept before the call leaves. Pairs go one by one, so that a killed process leaves one unknown outcome at most; the connector
then looks whether it was done before anything is sent again.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import (
    Change,
    Identifier,
    Merge,
    Organization,
    Person,
    RawRecord,
    Receipt,
    Tombstone,
    Transient,
)
from hub.outbox.apply import TRIES, Applied, Run, _close, _Item, _journal, _next, _phases, _record
from hub.outbox.plans import Plan, begin, drop, finish, newest, over, store
from hub.outbox.wanted import PHASES, Wanted
from hub.store import among, change, digest, fetch, pack, renew, scalar, unpack
from hub.store import tables as t

MERGE = "merge"  # the kind of such a plan
Row = dict[str, Any]
Still = Callable[[Connection, Sequence[int]], str]
CHANGED = "it is not there as the hub had read it; that is read again now: make a new plan"
GONE = "it is gone there since it was read"
_s, _r = t.statement.c, t.record.c
_SAID = sa.select(_s.record_id, _s.field, _s.value).where(among(_s.record_id), _s.value != "")
_LISTED = (
    sa.select(t.observation.c.record_id, t.identifier.c.scheme, t.identifier.c.value)
    .join(t.identifier, t.identifier.c.id == t.observation.c.identifier_id)
    .where(among(t.observation.c.record_id), t.identifier.c.scheme.in_(("email", "domain")))
    .order_by(t.identifier.c.id)
)

_STANDING = (
    sa.select(sa.func.count())
    .select_from(t.record)
    .join(t.stream, t.stream.c.id == _r.stream_id)
    .where(t.stream.c.connection_id == sa.bindparam("of"), among(t.stream.c.name), _r.gone_at.is_(None))
)


# --- the plan ---------------------------------------------------------------------------------------------------------


def make(
    c: Connection, connection_id: int, pairs: Iterable[Row], rules: Mapping[str, Merge], now: datetime, brake_percent: float,
    brake_count: int,
) -> Plan:  # fmt: skip
    """Store a plan of these merges as a draft; an older one that nobody approved is superseded. Id 0 for none.

    pairs: {"stream", "kind", "name", "stays", "absorbs": {"id", "external_id", "hash"}, "why", "because"}. One that is approved
    and not finished is returned as it is. The brake holds one that merges very many of what is there.
    """
    if open_plan := newest(c, connection_id, ("approved", "applying"), MERGE):
        return open_plan
    plan = begin(c, connection_id, now, MERGE)
    wanted = [_wanted(c, pair, rules[pair["stream"]]) for pair in pairs]
    if not wanted:
        return drop(c, plan)
    marks = store(c, plan, wanted)
    standing = int(scalar(c, _STANDING, of=connection_id, values=sorted(rules)))
    plan.held = over(len(wanted), standing, brake_percent, brake_count, "records there would be merged into others")
    plan.status = "held" if plan.held else "draft"
    return finish(c, plan, marks)


def key_of(record_id: int) -> str:
    """Of the merge that this record goes in, whoever it stands for."""
    return f"merge/{record_id}"


def _wanted(c: Connection, pair: Row, rule: Merge) -> Wanted:
    one, other = pair["stays"], pair["absorbs"]
    listed = _listed(c, one["id"], other["id"])
    make = Person if pair["kind"] == "person" else Organization
    merge = Change(
        key=key_of(other["id"]), kind=pair["kind"], op="merge", remote_id=one["external_id"],
        absorbs=other["external_id"], entity=make(external_id=other["external_id"], identifiers=listed[1]),
    )  # fmt: skip
    note = {
        "stream": pair["stream"], "records": [one["id"], other["id"]], "hashes": [bytes(one["hash"]), bytes(other["hash"])],
        "why": pair["why"], "because": list(pair["because"]), "fields": _fields(c, one["id"], other["id"], rule),
        "listed": [[i.value for i in of] for of in listed], "calls": rule.calls,
    }  # fmt: skip
    mark = digest(msgspec.msgpack.encode((merge.remote_id, merge.absorbs, note["hashes"])))
    return Wanted(PHASES[pair["kind"]], "merge", merge, mark, note=note, title=pair["name"])


def _fields(c: Connection, one: int, other: int, rule: Merge) -> list[Row]:
    """Fields in which the two differ: {"field", "stays", "other", "outcome": kept, filled, lost or the tool's own}."""
    said: dict[int, dict[str, str]] = {one: {}, other: {}}
    for record_id, field, value in fetch(c, _SAID, values=[one, other]):
        said[record_id][field] = value
    found = []
    for field in sorted(said[other]):
        mine, theirs = said[one].get(field, ""), said[other][field]
        if mine != theirs:
            outcome = "own" if field in rule.own else "kept" if mine else "filled" if rule.fills else "lost"
            found.append({"field": field, "stays": mine, "other": theirs, "outcome": outcome})
    return found


def _listed(c: Connection, one: int, other: int) -> tuple[tuple[Identifier, ...], tuple[Identifier, ...]]:
    """The addresses, or domains, that each of the two lists."""
    listed: dict[int, list[Identifier]] = {one: [], other: []}
    for record_id, scheme, value in fetch(c, _LISTED, values=[one, other]):
        listed[record_id].append(Identifier(scheme, value))
    return tuple(listed[one]), tuple(listed[other])


_CHANGES = sa.select(t.change).where(t.change.c.plan_id == sa.bindparam("plan")).order_by(t.change.c.id)


def pairs(c: Connection, plan_id: int, limit: int | None = None) -> list[Row]:
    """The merges of a plan for people: {"kind", "name", "stream", "stays", "absorbs": ids there, "why", "because", "fields",
    "addresses": of both, "calls", "state", "became": the id of both, "" while it is not done, "error", "has_snapshot"}."""
    found = []
    for row in c.execute(_CHANGES.limit(limit), {"plan": plan_id}).mappings():
        plain = msgspec.msgpack.decode(row["payload"])
        note, receipt = plain.get("note") or {}, msgspec.msgpack.decode(row["receipt"]) if row["receipt"] else {}
        found.append({
            "kind": row["kind"], "name": plain.get("title", ""), "stream": note.get("stream", ""), "stays": plain["remote_id"],
            "absorbs": plain["absorbs"], "why": note.get("why", ""), "because": note.get("because", []),
            "fields": note.get("fields", []), "addresses": note.get("listed", [[], []]), "calls": note.get("calls", 0),
            "state": row["state"], "became": receipt.get("remote_id", "") if row["state"] == "done" else "",
            "error": row["error"] or "", "has_snapshot": "snapshot" in note,
        })  # fmt: skip
    return found


# --- what they were ---------------------------------------------------------------------------------------------------

_OWN_ID = (
    sa.select(t.identifier.c.id)
    .join(t.observation, t.observation.c.identifier_id == t.identifier.c.id)
    .join(t.record, _r.id == t.observation.c.record_id)
    .where(_r.id == sa.bindparam("record"), t.identifier.c.sharing == "id", t.identifier.c.value == _r.external_id)
)
_beside = sa.select(t.stream.c.name, _r.external_id).join(t.stream, t.stream.c.id == _r.stream_id)
_here = sa.and_(t.stream.c.connection_id == sa.bindparam("connection_id"), _r.gone_at.is_(None))
_NAMING = (
    _beside.join(t.participation, t.participation.c.record_id == _r.id)
    .where(_here, t.participation.c.identifier_id == sa.bindparam("identifier"))
    .distinct()
)
_ABOUT = (
    _beside.join(t.item_party, t.item_party.c.record_id == _r.id)
    .where(_here, t.item_party.c.identifier_id == sa.bindparam("identifier"))
    .distinct()
)
_entries = (
    sa.select(t.interaction.c.public_id)
    .join(t.link, t.link.c.interaction_id == t.interaction.c.id)
    .join(t.observation, t.observation.c.party_id == t.link.c.party_id)
    .where(t.observation.c.record_id == sa.bindparam("record"))
)
_WRITTEN = (
    sa.select(t.change.c.receipt)
    .join(t.plan, t.plan.c.id == t.change.c.plan_id)
    .where(
        t.change.c.key.in_(_entries), t.plan.c.connection_id == sa.bindparam("connection_id"),
        t.change.c.kind == "interaction", t.change.c.state == "done", t.change.c.receipt.is_not(None),
    )
    .order_by(t.change.c.id)
)  # fmt: skip


def _snapshot(c: Connection, run: Run, item: _Item, given: Mapping[str, RawRecord]) -> bytes:
    """Both records as they were just read, with all that the hub knows to hang on each."""
    sides: dict[str, Row] = {}
    ends = zip(("stays", "absorbs"), (item.change.remote_id, item.change.absorbs), _note(item)["records"], strict=True)
    for side, external_id, record_id in ends:
        held = {"connection_id": run.connection_id, "record": record_id}
        linked: list[str] = []
        for (identifier,) in fetch(c, _OWN_ID, record=record_id):
            for query in (_NAMING, _ABOUT):
                rows = fetch(c, query, connection_id=run.connection_id, identifier=identifier)
                linked += [f"{stream}/{ext}" for stream, ext in rows]
        sides[side] = {
            "external_id": external_id, "record": _as_told(given[external_id].body), "linked": sorted(set(linked)),
            "filed": _filed(c, held, item.change.kind, external_id),
        }  # fmt: skip
    return msgspec.json.encode({"taken_at": run.clock.now(), "stream": _note(item)["stream"], **sides})


def _as_told(body: bytes) -> Any:
    """What the tool gave for a record, as JSON; as a text where it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace")


def _filed(c: Connection, held: Row, kind: str, external_id: str) -> list[str]:
    """Ids of what we wrote onto this record and have not taken off since."""
    found: dict[str, None] = {}
    for (data,) in fetch(c, _WRITTEN, **held):
        receipt = msgspec.msgpack.decode(data, type=Receipt)
        if any((x.kind, x.remote_id) == (kind, external_id) for x in receipt.links):
            found[receipt.remote_id] = None
        elif any((x.kind, x.remote_id) == (kind, external_id) for x in receipt.unlinked):
            found.pop(receipt.remote_id, None)
    return list(found)


def snapshots(c: Connection, plan_id: int, external_id: str = "") -> list[Row]:
    """What the records of a plan's merges were right before: {"taken_at", "stream", "became", "stays", "absorbs": {"external_id",
    "record": as the tool gave it, "linked": "stream/id" of what told of it, "filed": ids of what the hub wrote onto it}}."""
    found = []
    for row in fetch(c, _CHANGES, plan=plan_id):
        plain = msgspec.msgpack.decode(row.payload)
        kept = (plain.get("note") or {}).get("snapshot")
        if kept is None or external_id not in {"", plain["remote_id"], plain["absorbs"]}:
            continue
        receipt = msgspec.msgpack.decode(row.receipt) if row.receipt else {}
        became = receipt.get("remote_id", "") if row.state == "done" else ""
        found.append({**msgspec.json.decode(unpack(*kept)), "became": became})
    return found


# --- carrying it out --------------------------------------------------------------------------------------------------


async def merge(run: Run, plan_id: int, still: Still) -> Applied:
    """Carry out an approved plan of merges, or go on with one that was interrupted; raises as `apply` does.

    still: what speaks today against merging two records, "" for nothing.
    """
    total, phases = _phases(run, plan_id)
    done = 0
    for phase, kind, op in phases:
        while batch := _next(run, plan_id, phase, kind, op):
            for item in batch:
                await _one(run, kind, item, still)
                done += 1
                run.progress(done, total)
    return _close(run, plan_id)


async def _one(run: Run, kind: str, item: _Item, still: Still) -> None:
    for attempt in range(1, TRIES + 1):
        if reason := await _refused(run, item, still):
            _record(run, kind, [item], [Receipt(key=item.change.key, outcome="failed", error=reason)])
            return
        _journal(run, [item])
        try:
            receipts = await run.connector.push([item.change])
        except Transient:
            item.state = "sent"
            if attempt == TRIES:
                raise
            await run.clock.sleep(min(30.0, 0.5 * 2**attempt))
            continue
        _record(run, kind, [item], receipts)
        return


async def _refused(run: Run, item: _Item, still: Still) -> str:
    """Why the two are not merged; "" when nothing has changed, and then their snapshot is stored.

    With an outcome unknown and the absorbed one no longer there, the connector is asked: that may be our own merge.
    """
    note, ids = _note(item), (item.change.remote_id, item.change.absorbs)
    given = {r.external_id: r for r in await run.connector.fetch(note["stream"], ids) if _is_there(run, note, r)}
    if item.state == "sent" and ids[1] not in given:
        return ""
    for external_id, planned in zip(ids, note["hashes"], strict=True):
        if external_id not in given:
            return f"{note['stream']}/{external_id}: {GONE}"
        if digest(given[external_id].body) != bytes(planned):
            return f"{note['stream']}/{external_id}: {CHANGED}"
    now = run.clock.now()
    with run.store.write() as c:
        renew(c, run.lease, run.fence, now, run.ttl)
        if reason := still(c, note["records"]):
            return reason
        note["snapshot"] = pack(_snapshot(c, run, item, given))
        plain = msgspec.msgpack.decode(scalar(c, _PAYLOAD, change=item.id))
        change(c, t.change, [{"id": item.id, "payload": msgspec.msgpack.encode({**plain, "note": note})}])
    return ""


_PAYLOAD = sa.select(t.change.c.payload).where(t.change.c.id == sa.bindparam("change"))


def _is_there(run: Run, note: Row, raw: RawRecord) -> bool:
    try:
        return not any(isinstance(e, Tombstone) for e in run.connector.to_canonical(note["stream"], raw))
    except Exception:  # it cannot be read today, by whosever fault, and it is there
        return True


def _note(item: _Item) -> Row:
    return item.note or {}
