"""Mapped interactions become timeline entries: found again by their keys, merged with their other copies.

Everything works on a page at once. The result does not depend on which source arrives first: the public id comes
from the smallest shared key, the content from the lowest-ranked source, the people from the union of all sources.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.api import Interaction
from hub.own import Own
from hub.reconcile import shape
from hub.reconcile.conversations import assign
from hub.reconcile.links import insert_new, relink
from hub.reconcile.shape import Mapped
from hub.store import add, add_ids, among, change, chunks, fetch, keep_replies, micros, pack, put, squeeze, tell, texts
from hub.store import tables as t


@dataclass(slots=True)
class Outcome:
    """What became of one record: "new", "updated", "unchanged", "duplicate" (another copy) or "echo" (our own)."""

    record_id: int
    interaction_id: int
    what: str


SHORT_TEXT = 1000  # bytes
BESIDE = ("direction", "zone", "owner_identifier_id", "is_metadata_only")


@dataclass(slots=True)
class _Entry:
    """An interaction of this page, stored or about to be. `sources`: rank of each record that tells of it.

    beside: the stored values of `BESIDE`, which may change though the content does not.
    """

    id: int | None
    public_id: str
    rank: bytes = b""
    is_gone: bool = False
    conversation_id: int | None = None
    beside: tuple[Any, ...] = ()
    sources: dict[int, bytes] = field(default_factory=dict)
    offers: dict[int, Mapped] = field(default_factory=dict)
    content: Mapped | None = None
    values: dict[str, Any] | None = None
    is_new: bool = False
    refs: list[str] = field(default_factory=list)


def apply(c: Connection, page: Sequence[Mapped], own: Own, now: datetime) -> tuple[list[Outcome], list[int]]:
    """Put the page's interactions on the timeline.

    Returns one outcome for each, in order, and the records outside the page that must be mapped again because
    they now give the content of their interaction.
    """
    if not page:
        return [], []
    entries = _find(c, page)
    by_key: dict[str, _Entry] = {}
    outcomes, of_record, moved = [], {}, {}
    for m in page:
        before = entries.get(f"r:{m.record_id}")
        entry = _entry(m, entries, by_key)
        if before is not None and before is not entry:
            moved[m.record_id] = before
        is_echo = bool(m.hub_key)
        ranked = shape.rank(m, now)
        outcomes.append(Outcome(m.record_id, 0, _what(entry, m, ranked, is_echo)))
        entry.sources[m.record_id] = ranked
        entry.offers[m.record_id] = m
        if not is_echo:
            entry.refs += m.entity.thread_refs
        of_record[m.record_id] = entry
    again = _leave(c, moved, now)
    unique = list({id(e): e for e in of_record.values()}.values())
    again += [rid for e in unique if (rid := _choose_content(e, own, now)) is not None]
    _write_entries(c, unique, by_key, now)
    for outcome in outcomes:
        entry = of_record[outcome.record_id]
        outcome.interaction_id = _id(entry)
        if outcome.what == "unchanged" and entry.content is entry.offers[outcome.record_id]:
            outcome.what = "updated"
    _write_sources(c, page, of_record, outcomes, now)
    _write_links(c, unique, now)
    return outcomes, again


def _leave(c: Connection, moved: dict[int, _Entry], now: datetime) -> list[int]:
    """Records that tell of another interaction from now on; returns what must be mapped again for the old ones."""
    if not moved:
        return []
    lost, again = remove(c, list(moved), now)
    for rid, old in moved.items():
        old.sources.pop(rid, None)
        old.offers.pop(rid, None)
        if old.id in lost:
            old.is_gone, old.rank = True, b""
    return again


def _choose_content(e: _Entry, own: Own, now: datetime) -> int | None:
    """Take the lowest-ranked source's content; its record id when that record is not in this page.

    What only echoes tell of is not on the timeline: our own writes must not bring back what is gone.
    """
    if not e.sources:
        return None
    best = min(e.sources, key=lambda rid: (e.sources[rid], rid))
    ranked = e.sources[best]
    is_known = ranked == e.rank and not e.is_gone
    if best not in e.offers and ranked.startswith(shape.ENVELOPE) and not is_known:
        # Nothing is kept that could be mapped again; a copy at hand with the same envelope says the same.
        best = next((rid for rid in e.offers if e.sources[rid] == ranked), best)
    if best not in e.offers:
        is_echo = ranked.startswith(shape.ECHO)
        return None if is_known or is_echo else best
    m = e.offers[best]
    values = shape.row(m, own, now, ranked)
    if m.hub_key:
        if e.is_new:
            e.values, e.is_gone = values | shape.GONE | {"gone_at": micros(now)}, True
        return None
    if is_known and e.beside == tuple(values[k] for k in BESIDE):
        return None
    e.content, e.rank, e.values = m, ranked, values
    return None


_STORED = sa.select(
    t.interaction.c.id, t.interaction.c.public_id, t.interaction.c.rank, t.interaction.c.gone_at,
    t.interaction.c.conversation_id, *(t.interaction.c[k] for k in BESIDE),
)  # fmt: skip
_BY_ID = _STORED.where(among(t.interaction.c.id))
_BY_PUBLIC_ID = _STORED.where(among(t.interaction.c.public_id))
_BY_RECORD = sa.select(t.source.c.record_id, t.source.c.interaction_id).where(among(t.source.c.record_id))
_BY_KEY = sa.select(t.dedup_key.c.key, t.dedup_key.c.interaction_id).where(among(t.dedup_key.c.key))
_SOURCES = sa.select(t.source.c.interaction_id, t.source.c.record_id, t.source.c.rank).where(
    among(t.source.c.interaction_id)
)


def _find(c: Connection, page: Sequence[Mapped]) -> dict[str, _Entry]:
    """Stored entries of the page under every name it may be asked for: record, key and public id."""
    names: dict[int, list[str]] = {}
    for rid, iid in _rows(c, _BY_RECORD, [m.record_id for m in page]):
        names.setdefault(iid, []).append(f"r:{rid}")
    for key, iid in _rows(c, _BY_KEY, sorted({k for m in page for k in m.keys})):
        names.setdefault(iid, []).append(f"k:{key}")
    public = sorted({m.hub_key or m.public_id for m in page})
    entries: dict[str, _Entry] = {}
    found: dict[int, _Entry] = {}
    for statement, values in ((_BY_ID, sorted(names)), (_BY_PUBLIC_ID, public)):
        for iid, pub, rank, gone_at, conv, *beside in _rows(c, statement, values):
            entry = found.setdefault(iid, _Entry(iid, pub, bytes(rank), gone_at is not None, conv, tuple(beside)))
            entries[f"p:{pub}"] = entry
            for name in names.get(iid, ()):
                entries[name] = entry
    for iid, rid, rank in _rows(c, _SOURCES, sorted(found)):
        found[iid].sources[rid] = bytes(rank)
    return entries


def _rows(c: Connection, statement: Any, values: list[Any]) -> Iterable[Any]:
    return fetch(c, statement, values=values) if values else ()


def _entry(m: Mapped, entries: dict[str, _Entry], by_key: dict[str, _Entry]) -> _Entry:
    """The entry a record belongs to; the first of: our key, a shared key, its own earlier entry, a new one."""
    candidates = [f"p:{m.hub_key}"] if m.hub_key else []
    candidates += [f"k:{k}" for k in m.keys] + [f"r:{m.record_id}", f"p:{m.public_id}"]
    entry = next((entries[n] for n in candidates if n in entries), None)
    if entry is None:
        # An echo that arrives before what it echoes keeps its place: our key is the public id of the thing itself.
        public_id = m.hub_key if shape.is_public_id(m.hub_key) else m.public_id
        entry = _Entry(None, public_id, is_new=True)
        entries[f"p:{public_id}"] = entry
    for k in m.keys:
        if f"k:{k}" not in entries:
            by_key[k] = entry
            entries[f"k:{k}"] = entry
    return entry


def _what(entry: _Entry, m: Mapped, ranked: bytes, is_echo: bool) -> str:
    if is_echo and (entry.id is not None or entry.sources):
        return "echo"
    if m.record_id in entry.sources:
        return "updated" if entry.sources[m.record_id] != ranked or entry.is_gone else "unchanged"
    return "duplicate" if any(not r.startswith(shape.ECHO) for r in entry.sources.values()) else "new"


def _write_entries(c: Connection, unique: list[_Entry], by_key: dict[str, _Entry], now: datetime) -> None:
    fresh = [e for e in unique if e.is_new]
    rows = [{"public_id": e.public_id, **(e.values or {})} for e in fresh]
    for e, new_id in zip(fresh, add_ids(c, t.interaction, rows), strict=True):
        e.id = new_id
    told_anew = [e for e in unique if not e.is_new and e.values is not None]
    texts.unindex(c, [_id(e) for e in told_anew])
    change(c, t.interaction, [{"id": e.id, **(e.values or {})} for e in told_anew])
    add(c, t.dedup_key, [{"key": k, "interaction_id": _id(e)} for k, e in by_key.items()])
    conversations = assign(
        c,
        {_id(e): e.refs or [f"interaction:{e.public_id}"] for e in unique if e.is_new or e.refs},
        {_id(e): e.conversation_id for e in unique if e.conversation_id is not None},
        micros(now),
    )
    change(c, t.interaction, [
        {"id": _id(e), "conversation_id": conversations[_id(e)]}
        for e in unique
        if conversations.get(_id(e), e.conversation_id) != e.conversation_id
    ])  # fmt: skip
    moved = [e for e in unique if e.values is not None or conversations.get(_id(e)) != e.conversation_id]
    keep_replies(c, {conv for e in moved if (conv := conversations.get(_id(e), e.conversation_id)) is not None})
    _write_content(c, [e for e in unique if e.values is not None])


_CONTENT = tuple(sa.delete(table).where(among(table.c.interaction_id)) for table in (t.body, t.attachment))
_UNNAME = sa.delete(t.participation).where(among(t.participation.c.record_id))


def _empty(c: Connection, interaction_ids: list[int]) -> None:
    for statement in _CONTENT if interaction_ids else ():
        tell(c, statement, [{"values": interaction_ids}])


def _write_content(c: Connection, entries: list[_Entry]) -> None:
    bodies, files, said = [], [], []
    for e in entries:
        m = e.content
        if m is None or e.values is None:
            continue
        said.append((_id(e), texts.said(e.values["subject"], m.entity.text)))
        if m.entity.text or m.entity.body:
            codec, text, full = _packed(m.entity)
            bodies.append({"interaction_id": _id(e), "codec": codec, "text": text, "full_text": full})
        files += [
            {
                "interaction_id": _id(e), "external_id": a.external_id[:256], "filename": a.filename[:512],
                "media_type": a.media_type[:128], "size": a.size,
            }
            for a in m.entity.attachments
        ]  # fmt: skip
    _empty(c, [_id(e) for e in entries if not e.is_new])
    put(c, t.body, bodies)
    put(c, t.attachment, files)
    texts.index(c, said)


def _packed(entity: Interaction) -> tuple[str, bytes, bytes | None]:
    """(codec, text, body or None), both in one codec. Short texts stay plain: their raw form is kept compressed."""
    text = entity.text.encode("utf-8", "surrogatepass")
    if not entity.body:
        return *pack(text, SHORT_TEXT), None
    codec, body = pack(entity.body.encode("utf-8", "surrogatepass"), SHORT_TEXT)
    return codec, text if codec == "plain" else squeeze(text), body


def _write_sources(
    c: Connection, page: Sequence[Mapped], of_record: dict[int, _Entry], outcomes: list[Outcome], now: datetime
) -> None:
    rows, people, again, stale = [], {}, [], set()
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
            people[_id(entry), who.identifier_id, p.role, m.record_id] = (p.name[:256], p.answer)
        is_news = outcome.what == "updated" or any(p.answer for p in m.entity.participants)
        if entry.values is None and is_news and outcome.what != "unchanged":
            stale.add(_id(entry))
    put(c, t.source, rows)
    if again:
        tell(c, _UNNAME, [{"values": again}])
    add(c, t.participation, [
        {"interaction_id": i, "identifier_id": ident, "role": role, "record_id": rid, "name": name, "answer": answer}
        for (i, ident, role, rid), (name, answer) in people.items()
    ])  # fmt: skip
    # Names and answers are read from all copies: what a copy says that is not the shown one changes the entry too.
    change(c, t.interaction, [{"id": i, "changed_at": micros(now)} for i in sorted(stale)])


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


_ANSWERED = sa.select(t.participation.c.interaction_id).where(
    among(t.participation.c.record_id), t.participation.c.answer != ""
)
_UNTELL = sa.delete(t.source).where(among(t.source.c.record_id))
_STILL = _SOURCES.where(t.source.c.is_echo.is_(sa.false()))
_SHOWN = sa.select(t.interaction.c.id, t.interaction.c.rank).where(among(t.interaction.c.id))
_IN = sa.select(t.interaction.c.conversation_id).where(
    among(t.interaction.c.id), t.interaction.c.conversation_id.is_not(None)
)
_LOSE = (
    sa.update(t.interaction)
    .where(among(t.interaction.c.id))
    .values(**shape.GONE, gone_at=sa.bindparam("now"), changed_at=sa.bindparam("now"))
)


def remove(c: Connection, record_ids: Sequence[int], now: datetime) -> tuple[list[int], list[int]]:
    """Records whose source is gone leave the timeline.

    Returns (interactions that lost their last source and are gone, records whose interactions live on and whose
    content must be mapped again because the gone record gave it).
    """
    gone, again, touched = [], [], set()
    for part in chunks(list(record_ids)):
        affected = {iid for _, iid in fetch(c, _BY_RECORD, values=part)}
        told = {iid for (iid,) in fetch(c, _ANSWERED, values=part)}
        change(c, t.interaction, [{"id": i, "changed_at": micros(now)} for i in sorted(told)])
        tell(c, _UNNAME, [{"values": part}])
        tell(c, _UNTELL, [{"values": part}])
        left: dict[int, list[tuple[bytes, int]]] = {}
        for iid, rid, rank in _rows(c, _STILL, sorted(affected)):
            left.setdefault(iid, []).append((bytes(rank), rid))
        touched |= affected
        lost = sorted(affected - set(left))
        gone += lost
        shown = dict(_rows(c, _SHOWN, sorted(left)))
        again += [min(srcs)[1] for iid, srcs in left.items() if bytes(shown[iid]) not in {r for r, _ in srcs}]
        if lost:
            texts.unindex(c, lost)
            tell(c, _LOSE, [{"values": lost, "now": micros(now)}])
            _empty(c, lost)
            keep_replies(c, {conv for (conv,) in fetch(c, _IN, values=lost)})
    relink(c, touched, now)
    return gone, again


def _id(entry: _Entry) -> int:
    if entry.id is None:
        raise AssertionError("an entry was used before it was written")
    return entry.id
