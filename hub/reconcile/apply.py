"""Mapped interactions become timeline entries: found again by their keys, merged with their other copies.

Everything works on a page at once. The result does not depend on which source arrives first: the public id comes
from the smallest shared key, the content from the lowest-ranked source, the people from the union of all sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.own import Own
from hub.reconcile import shape
from hub.reconcile.conversations import assign
from hub.reconcile.links import insert_new, relink
from hub.reconcile.shape import Mapped
from hub.store import add, add_ids, chunks, micros, pack, put
from hub.store import tables as t


@dataclass(slots=True)
class Outcome:
    """What became of one record: "new", "updated", "unchanged", "duplicate" (another copy) or "echo" (our own)."""

    record_id: int
    interaction_id: int
    what: str


@dataclass(slots=True)
class _Entry:
    """An interaction of this page, stored or about to be. `sources`: rank of each record that tells of it."""

    id: int | None
    public_id: str
    rank: bytes = b""
    hash: bytes = b""
    is_gone: bool = False
    conversation_id: int | None = None
    sources: dict[int, bytes] = field(default_factory=dict)
    offers: dict[int, Mapped] = field(default_factory=dict)
    content: Mapped | None = None
    values: dict[str, Any] | None = None
    is_new: bool = False
    refs: list[str] = field(default_factory=list)


def apply(
    c: Connection, page: Sequence[Mapped], own: Own, now: datetime
) -> tuple[list[Outcome], list[int]]:
    """Put the page's interactions on the timeline.

    Returns one outcome for each, in order, and the records outside the page that must be mapped again because
    they now give the content of their interaction.
    """
    if not page:
        return [], []
    entries = _find(c, page)
    by_key: dict[str, _Entry] = {}
    outcomes, of_record = [], {}
    for m in page:
        entry = _entry(m, entries, by_key)
        content = shape.content_hash(m.entity)
        is_echo = bool(m.hub_key)
        outcomes.append(Outcome(m.record_id, 0, _what(entry, m, content, is_echo)))
        entry.sources[m.record_id] = shape.rank(micros(m.at(now)), content, is_echo)
        entry.offers[m.record_id] = m
        if not is_echo:
            entry.refs += m.entity.thread_refs
        of_record[m.record_id] = entry
    unique = list({id(e): e for e in of_record.values()}.values())
    again = [rid for e in unique if (rid := _choose_content(e, own, now)) is not None]
    _write_entries(c, unique, by_key, now)
    for outcome in outcomes:
        outcome.interaction_id = _id(of_record[outcome.record_id])
    _write_sources(c, page, of_record, outcomes)
    _write_links(c, unique, now)
    return outcomes, again


def _choose_content(e: _Entry, own: Own, now: datetime) -> int | None:
    """Take the lowest-ranked source's content; its record id when that record is not in this page."""
    best = min(e.sources, key=lambda rid: (e.sources[rid], rid))
    ranked = e.sources[best]
    if ranked == e.rank and not e.is_gone:
        return None
    if best not in e.offers:
        return best
    e.content, e.rank = e.offers[best], ranked
    e.values = shape.row(e.content, own, now, shape.content_hash(e.content.entity), ranked)
    return None


def _find(c: Connection, page: Sequence[Mapped]) -> dict[str, _Entry]:
    """Stored entries of the page under every name it may be asked for: record, key and public id."""
    names: dict[int, list[str]] = {}
    record_ids = [m.record_id for m in page]
    for part in chunks(record_ids):
        rows = c.execute(sa.select(t.source.c.record_id, t.source.c.interaction_id).where(t.source.c.record_id.in_(part)))
        for rid, iid in rows:
            names.setdefault(iid, []).append(f"r:{rid}")
    for part in chunks(sorted({k for m in page for k in m.keys})):
        rows = c.execute(sa.select(t.dedup_key.c.key, t.dedup_key.c.interaction_id).where(t.dedup_key.c.key.in_(part)))
        for key, iid in rows:
            names.setdefault(iid, []).append(f"k:{key}")
    public = sorted({m.hub_key or m.public_id for m in page})
    wanted = (
        t.interaction.c.id, t.interaction.c.public_id, t.interaction.c.rank, t.interaction.c.hash,
        t.interaction.c.gone_at, t.interaction.c.conversation_id,
    )  # fmt: skip
    entries: dict[str, _Entry] = {}
    found: dict[int, _Entry] = {}
    for where, values in ((t.interaction.c.id, sorted(names)), (t.interaction.c.public_id, public)):
        for part in chunks(list(values)):
            for iid, pub, rank, digest, gone_at, conv in c.execute(sa.select(*wanted).where(where.in_(part))):
                entry = found.setdefault(
                    iid, _Entry(iid, pub, bytes(rank), bytes(digest), gone_at is not None, conv)
                )
                entries[f"p:{pub}"] = entry
                for name in names.get(iid, ()):
                    entries[name] = entry
    for part in chunks(sorted(found)):
        columns = (t.source.c.interaction_id, t.source.c.record_id, t.source.c.rank)
        for iid, rid, rank in c.execute(sa.select(*columns).where(t.source.c.interaction_id.in_(part))):
            found[iid].sources[rid] = bytes(rank)
    return entries


def _entry(m: Mapped, entries: dict[str, _Entry], by_key: dict[str, _Entry]) -> _Entry:
    """The entry a record belongs to; the first of: our key, a shared key, its own earlier entry, a new one."""
    candidates = [f"p:{m.hub_key}"] if m.hub_key else []
    candidates += [f"k:{k}" for k in m.keys] + [f"r:{m.record_id}", f"p:{m.public_id}"]
    entry = next((entries[n] for n in candidates if n in entries), None)
    if entry is None:
        entry = _Entry(None, m.public_id, is_new=True)
        entries[f"p:{m.public_id}"] = entry
    for k in m.keys:
        if f"k:{k}" not in entries:
            by_key[k] = entry
            entries[f"k:{k}"] = entry
    return entry


def _what(entry: _Entry, m: Mapped, content: bytes, is_echo: bool) -> str:
    if is_echo and (entry.id is not None or entry.sources):
        return "echo"
    if m.record_id in entry.sources:
        return "updated" if entry.hash != content or entry.is_gone else "unchanged"
    return "duplicate" if entry.sources else "new"


def _write_entries(c: Connection, unique: list[_Entry], by_key: dict[str, _Entry], now: datetime) -> None:
    fresh = [e for e in unique if e.is_new]
    rows = [{"public_id": e.public_id, **(e.values or {})} for e in fresh]
    for e, new_id in zip(fresh, add_ids(c, t.interaction, rows), strict=True):
        e.id = new_id
    changed = [e for e in unique if not e.is_new and e.values is not None]
    for e in changed:
        c.execute(sa.update(t.interaction).where(t.interaction.c.id == e.id).values(**(e.values or {})))
    add(c, t.dedup_key, [{"key": k, "interaction_id": _id(e)} for k, e in by_key.items()])
    conversations = assign(
        c,
        {_id(e): e.refs or [f"interaction:{e.public_id}"] for e in unique if e.is_new or e.refs},
        {_id(e): e.conversation_id for e in unique if e.conversation_id is not None},
        micros(now),
    )
    moved = [
        {"iid": _id(e), "conversation_id": conversations[_id(e)]}
        for e in unique
        if conversations.get(_id(e), e.conversation_id) != e.conversation_id
    ]
    if moved:
        c.execute(sa.update(t.interaction).where(t.interaction.c.id == sa.bindparam("iid")), moved)
    _write_content(c, [e for e in unique if e.values is not None])


def _write_content(c: Connection, entries: list[_Entry]) -> None:
    bodies, files = [], []
    for e in entries:
        m = e.content
        if m is None:
            continue
        codec, text = pack(m.entity.text.encode("utf-8", "surrogatepass"))
        full = None
        if m.entity.body:
            raw = m.entity.body.encode("utf-8", "surrogatepass")
            full = pack(raw)[1] if codec == "zlib" else raw
            if codec == "zlib" and pack(raw)[0] != "zlib":
                codec, text, full = "plain", m.entity.text.encode("utf-8", "surrogatepass"), raw
        if text or full:
            bodies.append({"interaction_id": _id(e), "codec": codec, "text": text, "full_text": full})
        files += [
            {
                "interaction_id": _id(e), "external_id": a.external_id[:256], "filename": a.filename[:512],
                "media_type": a.media_type[:128], "size": a.size,
            }
            for a in m.entity.attachments
        ]  # fmt: skip
    old = [_id(e) for e in entries if not e.is_new]
    for part in chunks(old):
        c.execute(sa.delete(t.body).where(t.body.c.interaction_id.in_(part)))
        c.execute(sa.delete(t.attachment).where(t.attachment.c.interaction_id.in_(part)))
    put(c, t.body, bodies)
    put(c, t.attachment, files)


def _write_sources(
    c: Connection, page: Sequence[Mapped], of_record: dict[int, _Entry], outcomes: list[Outcome]
) -> None:
    rows, people, again = [], {}, []
    for m, outcome in zip(page, outcomes, strict=True):
        entry = of_record[m.record_id]
        is_echo = bool(m.hub_key)
        rows.append({
            "record_id": m.record_id, "interaction_id": _id(entry), "url": m.entity.url,
            "rank": entry.sources[m.record_id], "is_echo": is_echo,
        })  # fmt: skip
        if outcome.what not in {"new", "duplicate"}:
            again.append(m.record_id)
        if is_echo:
            continue
        for p in m.entity.participants:
            who = m.who[p.identifier]
            people[_id(entry), who.identifier_id, p.role, m.record_id] = p.name[:256]
    put(c, t.source, rows)
    for part in chunks(again):
        c.execute(sa.delete(t.participation).where(t.participation.c.record_id.in_(part)))
    add(c, t.participation, [
        {"interaction_id": i, "identifier_id": ident, "role": role, "record_id": rid, "name": name}
        for (i, ident, role, rid), name in people.items()
    ])  # fmt: skip


def _write_links(c: Connection, unique: list[_Entry], now: datetime) -> None:
    """New entries of one source get their links straight from it; all others are computed from the store."""
    rows, others = [], []
    for e in unique:
        if not (e.is_new and len(e.sources) == 1 and e.content and e.values):
            others.append(_id(e))
        elif not e.content.hub_key:
            rows += [
                {
                    "party_id": p, "occurred_at": e.values["occurred_at"], "interaction_id": _id(e),
                    "channel": e.values["channel"], "direction": e.values["direction"],
                }
                for p in shape.parties(e.content)
            ]  # fmt: skip
    insert_new(c, rows)
    relink(c, others, now)


def remove(c: Connection, record_ids: Sequence[int], now: datetime) -> tuple[list[int], list[int]]:
    """Records whose source is gone leave the timeline.

    Returns (interactions that lost their last source and are gone, records whose interactions live on and whose
    content must be mapped again because the gone record gave it).
    """
    gone, again, touched = [], [], set()
    for part in chunks(list(record_ids)):
        rows = c.execute(sa.select(t.source).where(t.source.c.record_id.in_(part))).mappings().all()
        affected = {r["interaction_id"] for r in rows}
        c.execute(sa.delete(t.participation).where(t.participation.c.record_id.in_(part)))
        c.execute(sa.delete(t.source).where(t.source.c.record_id.in_(part)))
        left: dict[int, list[tuple[bytes, int]]] = {}
        query = sa.select(t.source).where(t.source.c.interaction_id.in_(affected), t.source.c.is_echo.is_(sa.false()))
        for r in c.execute(query).mappings():
            left.setdefault(r["interaction_id"], []).append((bytes(r["rank"]), r["record_id"]))
        touched |= affected
        lost = sorted(affected - set(left))
        gone += lost
        ranks = sa.select(t.interaction.c.id, t.interaction.c.rank).where(t.interaction.c.id.in_(list(left)))
        shown = {iid: rank for iid, rank in c.execute(ranks)}
        again += [min(srcs)[1] for iid, srcs in left.items() if bytes(shown[iid]) not in {r for r, _ in srcs}]
        if lost:
            values = {"gone_at": micros(now), "changed_at": micros(now), "rank": b"", "hash": b"", "snippet": "", "subject": ""}
            c.execute(sa.update(t.interaction).where(t.interaction.c.id.in_(lost)).values(**values))
            for table in (t.body, t.attachment):
                c.execute(sa.delete(table).where(table.c.interaction_id.in_(lost)))
    relink(c, touched, now)
    return gone, again


def _id(entry: _Entry) -> int:
    if entry.id is None:
        raise AssertionError("an entry was used before it was written")
    return entry.id
