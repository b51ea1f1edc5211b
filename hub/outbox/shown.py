"""Plans as people read them: every change field by field, what stood there before, and what became of it.

Reads only; plain dicts, instants aware UTC. What a change says "before" is what the hub wrote there last, or, of a field that is
kept equal, what the destination's own record says: nothing is asked of the tool.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.store import among, fetch, instant, instant_or_none
from hub.store import tables as t

Row = dict[str, Any]
TITLES = {  # in the order they are read
    "subject": "Subject", "name": "Name", "title": "Title", "kind": "Kind", "channel": "Channel", "direction": "Direction",
    "occurred_at": "When", "all_day": "On", "all_day_last": "Until the end of", "ended_at": "Until", "status": "Status",
    "due_at": "Due", "owner": "Owner", "is_done": "Done", "participants": "People", "identifiers": "Addresses",
    "identifier": "Address", "state": "Permission", "at": "Since", "evidence": "Evidence", "text": "Text",
}  # fmt: skip
BATCH = 100  # changes that a tool is given at once
_HISTORY = 20  # runs whose cost is looked at
_COUNTED = 20_000  # changes whose outcomes are counted for a page
_p, _ch = t.plan.c, t.change.c
_PLANS = sa.select(t.plan, t.connection.c.name.label("destination")).join(
    t.connection, t.connection.c.id == _p.connection_id
)


def listed(c: Connection, limit: int, before: int | None = None) -> list[Row]:
    """All plans, newest first: {"plan", "destination", "kind", "status", "created_at", "approved_by", "approved_at", "applied_at",
    "effects": {"create": n, ...} over all kinds, "counts": by kind, "unchanged", "not_due", "held", "changes", "proposed": of what an
    assistant proposed, {"by", "named", "via"}, else None}."""
    query = _PLANS.where(_p.id < before) if before is not None else _PLANS
    return [_plan(r) for r in c.execute(query.order_by(_p.id.desc()).limit(limit)).mappings()]


def one(c: Connection, plan_id: int) -> Row | None:
    """One plan, as `listed` has it, with "states": how many changes stand how, and "outcomes": what became of those done; of very
    many done ones {}, for those are not looked at one by one."""
    row = c.execute(_PLANS.where(_p.id == plan_id)).mappings().first()
    if row is None:
        return None
    # From its index alone: a plan may have a hundred thousand.
    counted = sa.select(_ch.state, sa.func.count()).where(_ch.plan_id == plan_id).group_by(_ch.state)
    states = dict(c.execute(counted).tuples().all())
    outcomes: dict[str, int] = {}
    if 0 < states.get("done", 0) <= _COUNTED:
        done = sa.select(_ch.outcome, sa.func.count()).where(_ch.plan_id == plan_id, _ch.state == "done")
        outcomes = {outcome or "": n for outcome, n in c.execute(done.group_by(_ch.outcome))}
    return {**_plan(row), "states": states, "outcomes": outcomes}


def _plan(r: Mapping[Any, Any]) -> Row:
    stored = json.loads(r["counts"]) or {"counts": {}, "unchanged": 0, "not_due": {}, "held": ""}
    effects: dict[str, int] = {}
    for of_kind in stored["counts"].values():
        for effect, n in of_kind.items():
            effects[effect] = effects.get(effect, 0) + n
    return {
        "plan": r["id"], "destination": r["destination"], "connection_id": r["connection_id"], "kind": r["kind"],
        "status": r["status"], "created_at": instant(r["created_at"]), "approved_by": r["approved_by"] or "",
        "approved_at": instant_or_none(r["approved_at"]), "applied_at": instant_or_none(r["applied_at"]),
        "effects": {e: n for e, n in effects.items() if n}, "changes": sum(effects.values()),
        "proposed": None, **stored,
    }  # fmt: skip


# --- the changes ------------------------------------------------------------------------------------------------------

_EARLIER = (  # what the hub wrote under the same key before
    sa.select(sa.func.max(_ch.id))
    .join(t.plan, _p.id == _ch.plan_id)
    .where(
        _p.connection_id == sa.bindparam("of"), among(_ch.key), _ch.plan_id < sa.bindparam("plan"), _ch.state == "done",
        _ch.kind.not_in(("fields", "consent")), _ch.op == "upsert",
    )
    .group_by(_ch.kind, _ch.key)
)  # fmt: skip
_PAYLOADS = sa.select(_ch.kind, _ch.key, _ch.payload).where(among(_ch.id))
_TRIES = (
    sa.select(
        t.journal.c.change_id, sa.func.count(), sa.func.max(t.journal.c.sent_at), sa.func.max(t.journal.c.answered_at)
    )
    .where(among(t.journal.c.change_id))
    .group_by(t.journal.c.change_id)
)
_URLS = (  # of what the tool told us of our own copy since
    sa.select(t.interaction.c.public_id, t.source.c.url)
    .join(t.source, t.source.c.interaction_id == t.interaction.c.id)
    .join(t.record, t.record.c.id == t.source.c.record_id)
    .join(t.stream, t.stream.c.id == t.record.c.stream_id)
    .where(among(t.interaction.c.public_id), t.stream.c.connection_id == sa.bindparam("of"), t.source.c.url != "")
)


def changes(
    c: Connection, plan_id: int, *, limit: int = 50, after: int = 0, effect: str = "", state: str = "", kind: str = "",
    told: "sa.ColumnElement[bool] | None" = None,
) -> list[Row]:  # fmt: skip
    """A page of a plan's changes, in the order in which they are made; `after` the "change" the page before ended with.

    told: which rows of `identifier` may name a party that has no name; None for all.

    {"change", "key", "kind", "effect", "title", "state", "outcome", "error", "remote_id", "url": in the tool, "tries", "sent_at",
    "answered_at", "of": what `about` names: "customer", "entry" or "", "about": a public id, "is_known": whether what stood there
    is known, "fields": [{"field", "title", "before", "after"}] that differ, "same": how many do not, "merge": of a merge, else None}
    """
    wanted = [_ch.plan_id == plan_id]
    wanted += [
        column == value for column, value in ((_ch.effect, effect), (_ch.state, state), (_ch.kind, kind)) if value
    ]
    if (
        after
        and (phase := c.execute(sa.select(_ch.phase).where(_ch.id == after, _ch.plan_id == plan_id)).scalar())
        is not None
    ):
        wanted.append(sa.or_(_ch.phase > phase, sa.and_(_ch.phase == phase, _ch.id > after)))
    page = sa.select(_ch.id).where(*wanted).order_by(_ch.phase, _ch.id).limit(limit)
    rows = c.execute(sa.select(t.change).where(_ch.id.in_(page)).order_by(_ch.phase, _ch.id)).mappings().all()
    of = c.execute(sa.select(_p.connection_id).where(_p.id == plan_id)).scalar()
    plain = {r["id"]: msgspec.msgpack.decode(r["payload"]) for r in rows}
    keys = sorted({r["key"] for r in rows})
    latest = sorted(n for (n,) in fetch(c, _EARLIER, of=of, values=keys, plan=plan_id))
    before = {(kind, key): msgspec.msgpack.decode(data) for kind, key, data in fetch(c, _PAYLOADS, values=latest)}
    tries = {n: more for n, *more in fetch(c, _TRIES, values=sorted(plain))}
    urls = dict(fetch(c, _URLS, of=of, values=[r["key"] for r in rows if r["kind"] == "interaction"]))
    ends = {x["key"] for p in (*plain.values(), *before.values()) for x in (*p["links"], *(p.get("unlinks") or ()))}
    names = _names(c, sorted(ends), sa.true() if told is None else told)
    return [
        _change(r, plain[r["id"]], before.get((r["kind"], r["key"])), tries.get(r["id"]), urls, names) for r in rows
    ]


def _names(c: Connection, public_ids: Sequence[str], told: "sa.ColumnElement[bool]") -> dict[str, str]:
    """The name of each party, or the first of its addresses."""
    p, i = t.party.c, t.identifier.c
    first = sa.select(sa.func.min(i.value)).where(i.party_id == p.id, told).correlate(t.party).scalar_subquery()
    query = sa.select(p.public_id, sa.func.coalesce(sa.func.nullif(p.name, ""), first)).where(
        p.public_id.in_(public_ids)
    )
    return {public_id: name or "" for public_id, name in c.execute(query)} if public_ids else {}


def _change(
    r: Mapping[Any, Any], plain: Row, before: Row | None, tried: Any, urls: Mapping[str, str], names: Mapping[str, str]
) -> Row:
    receipt = msgspec.msgpack.decode(r["receipt"]) if r["receipt"] else {}
    note, kind = plain.get("note") or {}, r["kind"]
    entity = plain.get("entity") or (before or {}).get("entity") or {}
    first = next((i["value"] for i in entity.get("identifiers") or ()), "")
    title = (
        entity.get("subject") or entity.get("name") or entity.get("title") or plain.get("title") or first or r["key"]
    )
    told: list[Row] = []
    if kind == "fields":
        told = [_field(name, note["before"].get(name, ""), value) for name, value in sorted(entity["fields"].items())]
    elif r["effect"] != "merge":
        told = _beside(_readable(before, names), {} if r["effect"] == "delete" else _readable(plain, names))
    count, sent, answered = tried or (0, None, None)
    is_party = kind in {"person", "organization", "fields"} and r["effect"] != "merge"
    return {
        "change": r["id"], "key": r["key"], "kind": kind, "effect": r["effect"], "title": title, "state": r["state"],
        "outcome": r["outcome"] or "", "error": r["error"] or "", "remote_id": receipt.get("remote_id") or plain["remote_id"],
        "url": urls.get(r["key"], ""), "tries": count, "sent_at": instant_or_none(sent), "answered_at": instant_or_none(answered),
        "of": "customer" if is_party else "entry" if kind == "interaction" else "",
        "about": r["key"].partition("/")[0] if is_party or kind == "interaction" else "",
        "is_known": kind == "fields" or before is not None or r["effect"] == "create",
        "fields": [f for f in told if f["before"] != f["after"]], "same": sum(f["before"] == f["after"] for f in told),
        "merge": _merge(plain, note, receipt, r["state"]) if r["effect"] == "merge" else None,
        "ends": sorted({x["key"] for x in plain.get("links") or ()}), "links": len(plain.get("links") or ()),
    }  # fmt: skip


def _merge(plain: Row, note: Row, receipt: Row, state: str) -> Row:
    return {
        "stream": note.get("stream", ""), "stays": plain["remote_id"], "absorbs": plain["absorbs"], "why": note.get("why", ""),
        "because": list(note.get("because", ())), "addresses": note.get("listed", [[], []]), "calls": note.get("calls", 0),
        "fields": note.get("fields", []), "records": note.get("records", []),
        "became": receipt.get("remote_id", "") if state == "done" else "",
    }  # fmt: skip


def _readable(plain: Row | None, names: Mapping[str, str]) -> Row:
    """field -> text or instant, of what a change says."""
    if plain is None or not plain.get("entity"):
        return {}
    entity = plain["entity"]
    found: Row = {name: _value(name, entity[name]) for name in TITLES if entity.get(name) not in (None, "", [], False)}
    found |= {name: value for name, value in (entity.get("fields") or {}).items() if value}
    under = sorted({names.get(x["key"]) or x["key"] for x in plain["links"]})
    return found | ({"filed": ", ".join(under)} if under else {})


def _value(name: str, value: Any) -> Any:
    if name == "participants":
        people = sorted((p["role"], p.get("name", ""), p["identifier"]["value"]) for p in value)
        return ", ".join(
            f"{called} <{at}> ({role})" if called and called != at else f"{at} ({role})" for role, called, at in people
        )
    if name == "identifiers":
        return ", ".join(i["value"] for i in value)
    if name in {"identifier", "owner"}:
        return value["value"]
    if name == "state":
        return str(value).replace("_", " ")
    return "yes" if value is True else value


def _beside(before: Row, after: Row) -> list[Row]:
    order = [*TITLES, "filed"]
    names = sorted({*before, *after}, key=lambda n: (order.index(n) if n in order else len(order), n))
    return [_field(n, before.get(n, ""), after.get(n, "")) for n in names]


def _field(name: str, before: Any, after: Any) -> Row:
    title = TITLES.get(name) or ("Filed under" if name == "filed" else name.replace("_", " ").capitalize())
    return {"field": name, "title": title, "before": before, "after": after}


# --- what it costs ----------------------------------------------------------------------------------------------------


def calls_at_least(plan: Row) -> int:
    """Calls of the tool that no connector can do without: what goes together goes in batches."""
    if plan["kind"] == "merge":
        return int(plan["changes"])
    together = [
        n for e in plan["counts"].values() for n in (e.get("create", 0) + e.get("update", 0), e.get("delete", 0))
    ]
    return sum(-(-n // BATCH) for n in together)


_RUNS = (
    sa.select(t.run.c.seen, t.run.c.requests, t.run.c.ended_at - t.run.c.started_at)
    .where(t.run.c.connection_id == sa.bindparam("of"), t.run.c.kind == "push", t.run.c.seen > 0, t.run.c.requests > 0,
           t.run.c.ended_at.is_not(None))
    .order_by(t.run.c.id.desc())
    .limit(_HISTORY)
)  # fmt: skip


def measured(c: Connection, connection_id: int) -> Row | None:
    """What writing there took lately: {"changes", "calls", "seconds"} of the last runs together; None for none that called."""
    rows: Sequence[Any] = fetch(c, _RUNS, of=connection_id)
    if not rows:
        return None
    seen, requests, took = (sum(column) for column in zip(*rows, strict=True))
    return {"changes": seen, "calls": requests, "seconds": took / 1e6}


def reasons(rows: Iterable[Row]) -> list[Row]:
    """The failures among changes, those alike together: [{"error", "titles"}]."""
    found: dict[str, list[str]] = {}
    for row in rows:
        if row["error"]:
            found.setdefault(row["error"], []).append(row["title"])
    return [{"error": error, "titles": titles} for error, titles in found.items()]
