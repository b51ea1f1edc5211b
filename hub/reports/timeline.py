"""One party's timeline, newest first, by keyset, and who was in touch last; bodies only where asked for."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.people import describe, party_id
from hub.reports.seen import Seen, everything, rows
from hub.store import among, chunks, instant, micros, unpack
from hub.store import tables as t

SAID = ("message", "call", "meeting", "comment", "note", "ticket")  # kinds in which somebody said or wrote something
_RECENT = 2000  # newest entries that are looked through for who was in touch last


def timeline(
    c: Connection, public_id: str, *, limit: int = 50, before: str | None = None, channel: str | None = None,
    direction: str | None = None, kind: str | None = None, since: datetime | None = None, purpose: str | None = None,
    connection: str | None = None, person: str | None = None, seen: Seen = everything,
) -> dict[str, Any]:  # fmt: skip
    """A page of a party's entries. `before`: the `next` of the page before; cost does not depend on depth.

    connection: entries that this tool tells of, among others. person: in which this party takes part, too.
    Raises KeyError when there is no such party, ValueError for a mark that no page gave.
    """
    pid = party_id(c, public_id, seen)
    if pid is None:
        raise KeyError(public_id)
    k = t.link.c
    query = sa.select(k.interaction_id, k.occurred_at).where(k.party_id == pid, seen(t.link))
    if before:
        query = query.where(sa.tuple_(k.occurred_at, k.interaction_id) < sa.tuple_(*map(sa.literal, _mark(before))))
    if channel:
        query = query.where(k.channel == channel)
    if direction:
        query = query.where(k.direction == direction)
    if since:
        query = query.where(k.occurred_at >= micros(since))
    if person:
        query = query.where(_with(party_id(c, person, seen), seen))
    if connection:
        query = query.where(_told_by(connection, seen))
    if kind or purpose:
        i = t.interaction.c
        query = query.join(t.interaction, i.id == k.interaction_id)
        query = query.where(*(column == value for column, value in ((i.kind, kind), (i.purpose, purpose)) if value))
    page = c.execute(query.order_by(k.occurred_at.desc(), k.interaction_id.desc()).limit(limit + 1)).all()
    more = f"{page[limit - 1][1]}-{page[limit - 1][0]}" if len(page) > limit else None
    found = entries(c, [r[0] for r in page[:limit]], seen)
    return {"party": _shown(describe(c, [pid], seen)[pid]), "entries": found, "next": more}


def _mark(text: str) -> tuple[int, int]:
    """(instant, interaction) of a mark; the instant may be before 1970. Raises ValueError."""
    at, _, iid = text.rpartition("-")
    found = int(at), int(iid)
    if max(map(abs, found)) >= 2**63:
        raise ValueError(text)
    return found


def _with(pid: int | None, seen: Seen) -> "sa.ColumnElement[bool]":
    """On that party's timeline as well."""
    theirs = t.link.alias()
    return sa.exists().where(
        theirs.c.party_id == (-1 if pid is None else pid), theirs.c.occurred_at == t.link.c.occurred_at,
        theirs.c.interaction_id == t.link.c.interaction_id, seen(theirs),
    )  # fmt: skip


def _told_by(connection: str, seen: Seen) -> "sa.ColumnElement[bool]":
    source, record = t.source.alias(), t.record.alias()
    streams = sa.select(t.stream.c.id).join(t.connection, t.connection.c.id == t.stream.c.connection_id)
    return sa.exists().where(
        source.c.interaction_id == t.link.c.interaction_id, record.c.id == source.c.record_id,
        record.c.stream_id.in_(streams.where(t.connection.c.name == connection)), seen(source),
    )  # fmt: skip


def recent(c: Connection, now: datetime, limit: int = 12, seen: Seen = everything) -> list[dict[str, Any]]:
    """Customers in touch last, each once, newest first: {"party", "entry"}. A person stands for their organization.

    Looks through the newest entries alone: what was last said before thousands of campaign mails is not found.
    """
    i, k, p = t.interaction.c, t.link.c, t.party.c
    newest = (
        sa.select(i.id).where(i.occurred_at <= micros(now)).order_by(i.occurred_at.desc(), i.id.desc()).limit(_RECENT)
    )
    query = (
        sa.select(k.interaction_id, p.id, p.kind, p.organization_id)
        .join(t.interaction, i.id == k.interaction_id)
        .join(t.party, p.id == k.party_id)
        .where(i.id.in_(newest), i.kind.in_(SAID), p.kind.in_(("person", "organization")), seen(t.link))
        .order_by(i.occurred_at.desc(), i.id.desc(), p.kind.desc(), p.id)
    )
    latest: dict[int, int] = {}  # party -> its newest entry
    represented: set[tuple[int, int]] = set()
    for iid, pid, kind, organization in c.execute(query):
        if kind == "person" and organization is not None:
            represented.add((iid, organization))
        if kind == "organization" and (iid, pid) in represented:
            continue
        latest.setdefault(pid, iid)
        if len(latest) > limit:
            break
    chosen = dict(list(latest.items())[:limit])
    who = describe(c, chosen, seen)
    ids = list(dict.fromkeys(chosen.values()))
    shown = dict(zip(ids, entries(c, ids, seen), strict=True))
    return [{"party": _shown(who[pid]), "entry": shown[iid]} for pid, iid in chosen.items()]


def _shown(party: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in party.items() if key != "owner_identifier_id"}


def entries(c: Connection, ids: list[int], seen: Seen = everything) -> list[dict[str, Any]]:
    """Timeline entries in the order of `ids`, with their people and sources."""
    found: dict[int, dict[str, Any]] = {}
    for part in chunks(ids):
        for r in rows(c, _interactions, seen, values=part):
            found[r.id] = {
                "public_id": r.public_id, "at": instant(r.occurred_at), "all_day": r.all_day, "all_day_last": r.all_day_last,
                "channel": r.channel, "kind": r.kind, "direction": r.direction, "subject": r.subject, "snippet": r.snippet,
                "status": r.status, "people": [], "conversation": r.conversation_id, "sources": [], "files": r.files,
                "is_metadata_only": bool(r.is_metadata_only),
            }  # fmt: skip
        answers: dict[tuple[int, str], str] = {}
        for iid, value, answer in rows(c, _answers, seen, values=part):
            answers.setdefault((iid, value), answer)
        for iid, role, given, value, name, public, kind in rows(c, _people, seen, values=part):
            found[iid]["people"].append({
                "role": role, "name": name or given or value, "address": value, "party": public, "kind": kind,
                "answer": answers.get((iid, value), ""),
            })  # fmt: skip
        for iid, source in sources(c, part, seen):
            found[iid]["sources"].append(source)
    return [found[i] for i in ids if i in found]


def _interactions(_: Seen) -> "sa.Select[Any]":
    return sa.select(t.interaction).where(among(t.interaction.c.id))


def _people(seen: Seen) -> "sa.Select[Any]":
    p, i, who = t.participation.c, t.identifier.c, t.party.c
    query = (
        sa.select(p.interaction_id, p.role, sa.func.max(p.name), i.value, who.name, who.public_id, who.kind)
        .join(t.identifier, i.id == p.identifier_id)
        .join(t.party, who.id == i.party_id)
        .where(among(p.interaction_id), seen(t.participation))
        .group_by(p.interaction_id, p.role, i.value, who.name, who.public_id, who.kind)
    )
    return query.order_by(p.interaction_id, i.value)


def _answers(seen: Seen) -> "sa.Select[Any]":
    """(interaction id, address, how that person answered the invitation): first as the best copy that knows it says."""
    p = t.participation.c
    return (
        sa.select(p.interaction_id, t.identifier.c.value, p.answer)
        .join(t.identifier, t.identifier.c.id == p.identifier_id)
        .join(t.source, t.source.c.record_id == p.record_id)
        .where(among(p.interaction_id), p.answer != "", seen(t.participation))
        .order_by(p.answer == "unanswered", t.source.c.rank, p.record_id)
    )


def sources(c: Connection, ids: list[int], seen: Seen = everything) -> list[tuple[int, dict[str, Any]]]:
    """(interaction id, {connection, stream, external_id, url, is_echo, first_seen_at}) for each source."""
    return [
        (iid, {
            "connection": conn, "stream": stream, "external_id": ext, "url": url, "is_echo": bool(echo),
            "first_seen_at": instant(at), "disposition": disposition, "rule": rule,
        })
        for iid, conn, stream, ext, url, echo, at, disposition, rule in rows(c, _sources, seen, values=ids)
    ]  # fmt: skip


def _sources(seen: Seen) -> "sa.Select[Any]":
    s, r = t.source.c, t.record.c
    return (
        sa.select(
            s.interaction_id, t.connection.c.name, t.stream.c.name, r.external_id, s.url, s.is_echo, r.first_seen_at,
            r.disposition, r.rule,
        )
        .join(t.record, r.id == s.record_id)
        .join(t.stream, t.stream.c.id == r.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(among(s.interaction_id), seen(t.source))
        .order_by(s.record_id)
    )  # fmt: skip


def text_of(c: Connection, interaction_id: int) -> tuple[str, str]:
    """(the new part, the whole body); ("", "") when nothing is kept."""
    row = c.execute(sa.select(t.body).where(t.body.c.interaction_id == interaction_id)).mappings().first()
    if row is None:
        return "", ""
    text = unpack(row["codec"], row["text"]).decode("utf-8", "replace")
    full = unpack(row["codec"], row["full_text"]).decode("utf-8", "replace") if row["full_text"] else text
    return text, full
