"""One party's timeline, newest first, by keyset; bodies only where asked for."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.people import describe, party_id
from hub.reports.seen import Seen, everything
from hub.store import chunks, instant, micros, unpack
from hub.store import tables as t


def timeline(
    c: Connection, public_id: str, *, limit: int = 50, before: str | None = None, channel: str | None = None,
    direction: str | None = None, kind: str | None = None, since: datetime | None = None, seen: Seen = everything,
) -> dict[str, Any]:  # fmt: skip
    """A page of a party's entries. `before`: the `next` of the page before; cost does not depend on depth.

    Raises KeyError when there is no such party.
    """
    pid = party_id(c, public_id, seen)
    if pid is None:
        raise KeyError(public_id)
    k = t.link.c
    query = sa.select(k.interaction_id, k.occurred_at).where(k.party_id == pid, seen(t.link))
    if before:
        at, _, iid = before.partition("-")
        query = query.where(
            sa.tuple_(k.occurred_at, k.interaction_id) < sa.tuple_(sa.literal(int(at)), sa.literal(int(iid)))
        )
    if channel:
        query = query.where(k.channel == channel)
    if direction:
        query = query.where(k.direction == direction)
    if since:
        query = query.where(k.occurred_at >= micros(since))
    if kind:
        query = query.join(t.interaction, t.interaction.c.id == k.interaction_id).where(t.interaction.c.kind == kind)
    rows = c.execute(query.order_by(k.occurred_at.desc(), k.interaction_id.desc()).limit(limit + 1)).all()
    more = f"{rows[limit - 1][1]}-{rows[limit - 1][0]}" if len(rows) > limit else None
    found = entries(c, [r[0] for r in rows[:limit]], seen)
    return {"party": _shown(describe(c, [pid], seen)[pid]), "entries": found, "next": more}


def _shown(party: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in party.items() if key != "owner_identifier_id"}


def entries(c: Connection, ids: list[int], seen: Seen = everything) -> list[dict[str, Any]]:
    """Timeline entries in the order of `ids`, with their people and sources."""
    found: dict[int, dict[str, Any]] = {}
    for part in chunks(ids):
        for r in c.execute(sa.select(t.interaction).where(t.interaction.c.id.in_(part))).mappings():
            found[r["id"]] = {
                "public_id": r["public_id"], "at": instant(r["occurred_at"]), "all_day": r["all_day"],
                "all_day_last": r["all_day_last"], "channel": r["channel"], "kind": r["kind"],
                "direction": r["direction"], "subject": r["subject"], "snippet": r["snippet"],
                "status": r["status"], "people": [], "conversation": r["conversation_id"],
                "sources": [], "files": r["files"], "is_metadata_only": bool(r["is_metadata_only"]),
            }  # fmt: skip
        people = (
            sa.select(
                t.participation.c.interaction_id, t.participation.c.role, sa.func.max(t.participation.c.name),
                t.identifier.c.value, t.party.c.name, t.party.c.public_id, t.party.c.kind,
            )
            .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
            .join(t.party, t.party.c.id == t.identifier.c.party_id)
            .where(t.participation.c.interaction_id.in_(part), seen(t.participation))
            .group_by(
                t.participation.c.interaction_id, t.participation.c.role, t.identifier.c.value, t.party.c.name,
                t.party.c.public_id, t.party.c.kind,
            )
            .order_by(t.participation.c.interaction_id, t.identifier.c.value)
        )  # fmt: skip
        answers = _answers(c, part, seen)
        for iid, role, given, value, name, public, kind in c.execute(people):
            found[iid]["people"].append({
                "role": role, "name": name or given or value, "address": value, "party": public, "kind": kind,
                "answer": answers.get((iid, value), ""),
            })  # fmt: skip
        for iid, source in sources(c, part, seen):
            found[iid]["sources"].append(source)
    return [found[i] for i in ids if i in found]


def _answers(c: Connection, ids: list[int], seen: Seen) -> dict[tuple[int, str], str]:
    """(interaction id, address) -> how that person answered the invitation: as the best copy that knows it says."""
    p = t.participation.c
    query = (
        sa.select(p.interaction_id, t.identifier.c.value, p.answer)
        .join(t.identifier, t.identifier.c.id == p.identifier_id)
        .join(t.source, t.source.c.record_id == p.record_id)
        .where(p.interaction_id.in_(ids), p.answer != "", seen(t.participation))
        .order_by(p.answer == "unanswered", t.source.c.rank, p.record_id)
    )
    found: dict[tuple[int, str], str] = {}
    for iid, value, answer in c.execute(query):
        found.setdefault((iid, value), answer)
    return found


def sources(c: Connection, ids: list[int], seen: Seen = everything) -> list[tuple[int, dict[str, Any]]]:
    """(interaction id, {connection, stream, external_id, url, is_echo, first_seen_at}) for each source."""
    query = (
        sa.select(
            t.source.c.interaction_id, t.connection.c.name, t.stream.c.name, t.record.c.external_id, t.source.c.url,
            t.source.c.is_echo, t.record.c.first_seen_at, t.record.c.disposition, t.record.c.rule,
        )
        .join(t.record, t.record.c.id == t.source.c.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(t.source.c.interaction_id.in_(ids), seen(t.source))
        .order_by(t.source.c.record_id)
    )  # fmt: skip
    return [
        (iid, {
            "connection": conn, "stream": stream, "external_id": ext, "url": url, "is_echo": bool(echo),
            "first_seen_at": instant(seen), "disposition": disposition, "rule": rule,
        })
        for iid, conn, stream, ext, url, echo, seen, disposition, rule in c.execute(query)
    ]  # fmt: skip


def text_of(c: Connection, interaction_id: int) -> tuple[str, str]:
    """(the new part, the whole body); ("", "") when nothing is kept."""
    row = c.execute(sa.select(t.body).where(t.body.c.interaction_id == interaction_id)).mappings().first()
    if row is None:
        return "", ""
    text = unpack(row["codec"], row["text"]).decode("utf-8", "replace")
    full = unpack(row["codec"], row["full_text"]).decode("utf-8", "replace") if row["full_text"] else text
    return text, full
