"""The timeline in figures: what came in, what became of it, who wrote to whom. Every rule is in docs/figures.md."""

import hashlib
from collections.abc import Sequence
from statistics import median_high
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.own import Own
from hub.store import chunks, instant_or_none
from hub.store import tables as t

LIVE = t.interaction.c.gone_at.is_(None)


def summary(c: Connection, own: Own, *, people: Sequence[str] = ()) -> dict[str, Any]:
    """Figures of the whole timeline; `people`: addresses to report on one by one."""
    i = t.interaction.c
    first, last, total, files, conversations = c.execute(
        sa.select(
            sa.func.min(i.occurred_at), sa.func.max(i.occurred_at), sa.func.count(),
            sa.func.sum(sa.case((i.files > 0, 1), else_=0)), sa.func.count(sa.distinct(i.conversation_id)),
        ).where(LIVE)
    ).one()  # fmt: skip
    sizes = list(c.execute(sa.select(sa.func.count()).where(LIVE).group_by(i.conversation_id)).scalars())
    message_ids = c.execute(
        sa.select(sa.func.count()).select_from(t.dedup_key.join(t.interaction, i.id == t.dedup_key.c.interaction_id)).where(
            t.dedup_key.c.key.like("message-id:%"), LIVE
        )
    ).scalar_one()  # fmt: skip
    return {
        "records": _records(c), "interactions": total, "message_ids": message_ids,
        "conversations": conversations, "largest_conversation": max(sizes, default=0),
        "conversations_of_one": sum(1 for n in sizes if n == 1), "first_at": instant_or_none(first),
        "last_at": instant_or_none(last), "with_files": int(files or 0), "by_channel": _grouped(c, i.channel),
        "by_direction": _grouped(c, i.direction), "by_kind": _grouped(c, i.kind), "senders": _senders(c),
        "correspondents": _correspondents(c, own), "parties": _parties(c), "response": response(c),
        "people": [person(c, address) for address in people], "state_hash": state_hash(c),
    }  # fmt: skip


def _records(c: Connection) -> list[dict[str, Any]]:
    """Per connection and stream: records ever seen and the disposition each stands in."""
    query = (
        sa.select(t.connection.c.name, t.stream.c.name, t.record.c.disposition, t.record.c.rule, sa.func.count())
        .join(t.stream, t.stream.c.connection_id == t.connection.c.id)
        .join(t.record, t.record.c.stream_id == t.stream.c.id)
        .group_by(t.connection.c.name, t.stream.c.name, t.record.c.disposition, t.record.c.rule)
        .order_by(t.connection.c.name, t.stream.c.name)
    )
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for connection, stream, disposition, rule, n in c.execute(query):
        row = found.setdefault(
            (connection, stream),
            {"connection": connection, "stream": stream, "seen": 0, "dispositions": {}, "rules": {}},
        )
        row["seen"] += n
        row["dispositions"][disposition] = row["dispositions"].get(disposition, 0) + n
        if rule:
            key = f"{disposition}:{rule}"
            row["rules"][key] = row["rules"].get(key, 0) + n
    return list(found.values())


def _grouped(c: Connection, column: Any) -> dict[str, int]:
    return {
        k: n for k, n in c.execute(sa.select(column, sa.func.count()).where(LIVE).group_by(column).order_by(column))
    }


def _senders(c: Connection) -> int:
    """Distinct addresses in the true sender's place."""
    query = (
        sa.select(sa.func.count(sa.distinct(t.participation.c.identifier_id)))
        .join(t.interaction, t.interaction.c.id == t.participation.c.interaction_id)
        .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
        .where(t.participation.c.role == "from", t.identifier.c.scheme == "email", LIVE)
    )
    return int(c.execute(query).scalar_one())


def _correspondents(c: Connection, own: Own) -> int:
    """Distinct addresses in any part, our own mailing lists left out."""
    query = (
        sa.select(sa.func.count(sa.distinct(t.participation.c.identifier_id)))
        .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
        .where(t.identifier.c.scheme == "email", t.identifier.c.value.not_in(own.lists))
    )
    return int(c.execute(query).scalar_one())


def _parties(c: Connection) -> dict[str, int]:
    """Parties that something points at, by kind."""
    pointed = sa.select(t.identifier.c.party_id).distinct()
    query = sa.select(t.party.c.kind, sa.func.count()).where(t.party.c.id.in_(pointed)).group_by(t.party.c.kind)
    return {k: n for k, n in c.execute(query)}


def response(c: Connection) -> dict[str, Any]:
    """First outbound message later than the first message of each conversation an outsider began; hours, the upper median (a real wait)."""
    i = t.interaction.c
    rows = c.execute(
        sa.select(i.conversation_id, i.occurred_at, i.direction)
        .where(LIVE, i.kind == "message")
        .order_by(i.conversation_id, i.occurred_at, i.id)
    )
    started: dict[str, int] = {"inbound": 0, "outbound": 0, "internal": 0}
    answered: list[float] = []
    current, begun, is_open = None, 0, False
    for conversation, at, direction in rows:
        if conversation != current:
            current, begun, is_open = conversation, at, direction == "inbound"
            started[direction] += 1
        elif is_open and direction == "outbound" and at > begun:
            answered.append((at - begun) / 3.6e9)
            is_open = False
    return {
        "started": started, "answered": len(answered), "unanswered": started["inbound"] - len(answered),
        "median_hours": round(median_high(answered), 2) if answered else None,
    }  # fmt: skip


def person(c: Connection, address: str) -> dict[str, Any]:
    """One address: interactions it sent and received (To or Cc), conversations, first and last. Zeroes if unknown."""
    p, i = t.participation.c, t.interaction.c
    base = (
        sa.select(i.id, i.conversation_id, i.occurred_at, p.role)
        .join(t.participation, p.interaction_id == i.id)
        .join(t.identifier, t.identifier.c.id == p.identifier_id)
        .where(t.identifier.c.scheme == "email", t.identifier.c.value == address.strip().lower(), LIVE)
    )
    sent, received, threads, times = set(), set(), set(), []
    for iid, conversation, at, role in c.execute(base):
        if role == "from":
            sent.add(iid)
        elif role in {"to", "cc"}:
            received.add(iid)
        else:
            continue
        threads.add(conversation)
        times.append(at)
    return {
        "address": address, "sent": len(sent), "received": len(received), "conversations": len(threads),
        "first_at": instant_or_none(min(times, default=None)), "last_at": instant_or_none(max(times, default=None)),
    }  # fmt: skip


def top(c: Connection, limit: int = 10) -> list[str]:
    """The busiest addresses, mailing lists left out."""
    query = (
        sa.select(t.identifier.c.value, sa.func.count(sa.distinct(t.participation.c.interaction_id)).label("n"))
        .join(t.participation, t.participation.c.identifier_id == t.identifier.c.id)
        .where(t.identifier.c.scheme == "email", t.identifier.c.sharing != "list")
        .group_by(t.identifier.c.value)
        .order_by(sa.desc("n"), t.identifier.c.value)
        .limit(limit)
    )
    return [value for value, _ in c.execute(query)]


def state_hash(c: Connection) -> str:
    """Names the timeline's whole content, whatever the internal ids, the order of arrival and the time of day.

    Covers interactions with their texts and people, the sources of each, the partition into conversations, the party
    behind each identifier, and what stands at the destinations by our own keys.
    """
    h = hashlib.sha256()
    i = t.interaction.c
    rows = c.execute(
        sa.select(
            i.id, i.public_id, i.conversation_id, i.kind, i.channel, i.direction, i.occurred_at, i.subject, i.hash
        )
        .where(LIVE)
        .order_by(i.public_id)
    ).all()
    threads: dict[int, str] = {}
    for r in rows:
        threads.setdefault(r.conversation_id, r.public_id)
    ids = [r.id for r in rows]
    people: dict[int, list[str]] = {}
    sources: dict[int, list[str]] = {}
    for part in chunks(ids):
        q = (
            sa.select(
                t.participation.c.interaction_id, t.participation.c.role, t.identifier.c.scheme, t.identifier.c.value
            )
            .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
            .where(t.participation.c.interaction_id.in_(part))
            .distinct()
        )
        for iid, role, scheme, value in c.execute(q):
            people.setdefault(iid, []).append(f"{role}|{scheme}|{value}")
        s = (
            sa.select(t.source.c.interaction_id, t.connection.c.name, t.stream.c.name, t.record.c.external_id)
            .join(t.record, t.record.c.id == t.source.c.record_id)
            .join(t.stream, t.stream.c.id == t.record.c.stream_id)
            .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
            .where(t.source.c.interaction_id.in_(part), t.source.c.is_echo.is_(sa.false()))
        )
        for iid, conn, stream, ext in c.execute(s):
            sources.setdefault(iid, []).append(f"{conn}|{stream}|{ext}")
    for r in rows:
        line = (
            r.public_id, threads[r.conversation_id], r.kind, r.channel, r.direction, r.occurred_at, r.subject,
            bytes(r.hash).hex(), sorted(people.get(r.id, [])), sorted(sources.get(r.id, [])),
        )  # fmt: skip
        h.update(repr(line).encode("utf-8", "surrogatepass"))
    groups: dict[int, list[str]] = {}
    for party, scheme, value in c.execute(
        sa.select(t.identifier.c.party_id, t.identifier.c.scheme, t.identifier.c.value).where(
            t.identifier.c.scheme.in_(("email", "domain", "phone"))
        )
    ):
        groups.setdefault(party, []).append(f"{scheme}|{value}")
    h.update(repr(sorted(sorted(g) for g in groups.values())).encode("utf-8", "surrogatepass"))
    written = c.execute(
        sa.select(t.remote.c.kind, t.remote.c.key, t.remote.c.hash)
        .where(t.remote.c.remote_id != "")
        .order_by(t.remote.c.kind, t.remote.c.key)
    )
    for kind, key, digest in written:
        h.update(f"{kind}|{key}|{bytes(digest).hex() if digest else ''}\n".encode())
    return h.hexdigest()
