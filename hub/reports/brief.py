"""The four answers about a customer, in one call, each with its sources."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.people import describe, party_id, person_of
from hub.reports.seen import Seen, everything, of_identifiers
from hub.reports.timeline import _shown, entries
from hub.store import instant_or_none, micros
from hub.store import tables as t


def brief(c: Connection, public_id: str, now: datetime, seen: Seen = everything) -> dict[str, Any]:
    """What did we last talk about, who is responsible, what is the next step, what happened across the relationship.

    Raises KeyError when there is no such party. Answers that nobody gave are None, never made up.
    """
    pid = party_id(c, public_id, seen)
    if pid is None:
        raise KeyError(public_id)
    who = describe(c, [pid], seen)[pid]
    items = _items(c, _identifiers(c, pid, seen), seen)
    return {
        "party": _shown(who),
        "last": _last(c, pid, now, seen),
        "responsible": _responsible(c, pid, who, items, seen),
        "next_step": _next_step(c, pid, items, now, seen),
        "relationship": _relationship(c, pid, items, seen),
        "sources": _freshness(c),
        "coverage": _coverage(c),
    }


def _identifiers(c: Connection, pid: int, seen: Seen) -> list[int]:
    """The party's identifiers, and for an organization those of its people too."""
    query = sa.select(t.identifier.c.id).join(t.party, t.party.c.id == t.identifier.c.party_id)
    theirs = sa.or_(t.party.c.id == pid, t.party.c.organization_id == pid)
    return list(c.execute(query.where(theirs, of_identifiers(seen))).scalars())


def _items(c: Connection, identifiers: list[int], seen: Seen) -> list[dict[str, Any]]:
    query = (
        sa.select(t.item, t.connection.c.name.label("connection"))
        .join(t.item_party, t.item_party.c.record_id == t.item.c.record_id)
        .join(t.record, t.record.c.id == t.item.c.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(t.item_party.c.identifier_id.in_(identifiers), t.item.c.gone_at.is_(None), seen(t.item))
        .order_by(t.item.c.due_at, t.item.c.record_id)
        .distinct()
    )
    return [dict(r) for r in c.execute(query).mappings()]


def _last(c: Connection, pid: int, now: datetime, seen: Seen) -> dict[str, Any] | None:
    """The newest exchange that was said or written, up to now."""
    k = t.link.c
    query = (
        sa.select(k.interaction_id)
        .join(t.interaction, t.interaction.c.id == k.interaction_id)
        .where(
            k.party_id == pid, k.occurred_at <= micros(now), k.direction != "internal",
            t.interaction.c.kind.in_(("message", "call", "meeting", "comment", "note", "ticket")), seen(t.link),
        )
        .order_by(k.occurred_at.desc(), k.interaction_id.desc())
        .limit(1)
    )  # fmt: skip
    found = entries(c, list(c.execute(query).scalars()), seen)
    return found[0] if found else None


def _responsible(
    c: Connection, pid: int, who: dict[str, Any], items: list[dict[str, Any]], seen: Seen
) -> dict[str, Any] | None:
    """The owner the system of record names; else of the organization, of an open deal; else who wrote last."""
    if owner := person_of(c, who["owner_identifier_id"], seen):
        return {**owner, "why": "owner of the record"}
    org = c.execute(
        sa.select(t.party.c.owner_identifier_id).where(
            t.party.c.id == sa.select(t.party.c.organization_id).where(t.party.c.id == pid).scalar_subquery()
        )
    ).scalar()
    if owner := person_of(c, org, seen):
        return {**owner, "why": "owner of the organization"}
    for item in items:
        if (
            item["kind"] == "deal"
            and not item["is_closed"]
            and (owner := person_of(c, item["owner_identifier_id"], seen))
        ):
            return {**owner, "why": f"owner of the deal {item['title']!r}"}
    query = (
        sa.select(t.participation.c.identifier_id, sa.func.max(t.link.c.occurred_at))
        .join(t.link, t.link.c.interaction_id == t.participation.c.interaction_id)
        .join(t.identifier, t.identifier.c.id == t.participation.c.identifier_id)
        .join(t.party, t.party.c.id == t.identifier.c.party_id)
        .where(
            t.link.c.party_id == pid,
            t.participation.c.role.in_(("from", "organizer", "author")),
            t.party.c.kind == "own",
            seen(t.participation),
        )
        .group_by(t.participation.c.identifier_id)
        .order_by(sa.func.max(t.link.c.occurred_at).desc())
        .limit(1)
    )
    row = c.execute(query).first()
    owner = person_of(c, row[0], seen) if row else None
    return {**owner, "why": "wrote last; nobody is named as owner"} if owner else None


def _next_step(
    c: Connection, pid: int, items: list[dict[str, Any]], now: datetime, seen: Seen
) -> dict[str, Any] | None:
    """The open task due first, else the next meeting."""
    tasks = [i for i in items if i["kind"] == "task" and not i["is_closed"]]
    if tasks:
        task = min(tasks, key=lambda i: (i["due_at"] is None, i["due_at"] or 0))
        due = instant_or_none(task["due_at"])
        return {
            "title": task["title"], "due_at": due, "owner": person_of(c, task["owner_identifier_id"], seen),
            "source": task["connection"], "url": task["url"], "is_overdue": bool(due and due < now), "kind": "task",
            "others": len(tasks) - 1, "people": [], "all_day": None, "all_day_last": None,
        }  # fmt: skip
    k = t.link.c
    query = (
        sa.select(k.interaction_id)
        .join(t.interaction, t.interaction.c.id == k.interaction_id)
        .where(k.party_id == pid, k.occurred_at > micros(now), t.interaction.c.kind == "meeting", seen(t.link))
        .order_by(k.occurred_at)
        .limit(1)
    )
    found = entries(c, list(c.execute(query).scalars()), seen)
    if not found:
        return None
    meeting = found[0]
    return {
        "title": meeting["subject"], "due_at": meeting["at"], "owner": None, "kind": "meeting", "is_overdue": False,
        "source": meeting["sources"][0]["connection"] if meeting["sources"] else "", "url": "", "others": 0,
        "people": meeting["people"], "all_day": meeting["all_day"], "all_day_last": meeting["all_day_last"],
    }  # fmt: skip


def _relationship(c: Connection, pid: int, items: list[dict[str, Any]], seen: Seen) -> dict[str, Any]:
    k, mine = t.link.c, sa.and_(t.link.c.party_id == pid, seen(t.link))
    first, last, total = c.execute(
        sa.select(sa.func.min(k.occurred_at), sa.func.max(k.occurred_at), sa.func.count()).where(mine)
    ).one()
    conversations = c.execute(
        sa.select(sa.func.count(sa.distinct(t.interaction.c.conversation_id)))
        .join(t.link, k.interaction_id == t.interaction.c.id)
        .where(mine)
    ).scalar_one()
    deals = [i for i in items if i["kind"] == "deal" and not i["is_closed"]]
    return {
        "first_at": instant_or_none(first), "last_at": instant_or_none(last), "interactions": total,
        "by_channel": _by(c, pid, "channel", seen), "by_direction": _by(c, pid, "direction", seen), "conversations": conversations,
        "people": _people(c, pid, seen), "open_deals": [_deal(c, d, seen) for d in deals],
        "open_tickets": [i["title"] for i in items if i["kind"] == "ticket" and not i["is_closed"]],
    }  # fmt: skip


def _by(c: Connection, pid: int, what: str, seen: Seen) -> dict[str, int]:
    """Entries by channel or direction: from the figures that are kept, where all of them may be seen."""
    of = t.volume if seen is everything else t.link
    n = sa.func.sum(t.volume.c.count) if seen is everything else sa.func.count()
    query = sa.select(of.c[what], n).where(of.c.party_id == pid)
    if seen is not everything:
        query = query.where(seen(t.link))
    return {key: int(found) for key, found in c.execute(query.group_by(of.c[what])) if found}


def _people(c: Connection, pid: int, seen: Seen) -> list[dict[str, Any]]:
    """Our people this party deals with most."""
    query = (
        sa.select(t.identifier.c.party_id, sa.func.count(sa.distinct(t.participation.c.interaction_id)).label("n"))
        .join(t.participation, t.participation.c.identifier_id == t.identifier.c.id)
        .join(t.link, t.link.c.interaction_id == t.participation.c.interaction_id)
        .join(t.party, t.party.c.id == t.identifier.c.party_id)
        .where(t.link.c.party_id == pid, t.party.c.kind == "own", seen(t.participation))
        .group_by(t.identifier.c.party_id)
        .order_by(sa.desc("n"), t.identifier.c.party_id)
        .limit(5)
    )
    rows = c.execute(query).all()
    known = describe(c, [r[0] for r in rows], seen)
    return [{"name": known[p]["name"], "interactions": n} for p, n in rows]


def _deal(c: Connection, item: dict[str, Any], seen: Seen) -> dict[str, Any]:
    plain = msgspec.json.decode(item["entity"])
    owner = person_of(c, item["owner_identifier_id"], seen)
    return {
        "title": item["title"], "stage": item["state"], "amount": plain.get("amount", ""),
        "currency": plain.get("currency", ""), "closes_at": instant_or_none(item["due_at"]),
        "owner": owner["name"] if owner else "", "url": item["url"],
    }  # fmt: skip


def _freshness(c: Connection) -> list[dict[str, Any]]:
    """How fresh each connection's part is: the oldest good moment of its streams, and the worst status."""
    query = sa.select(
        t.connection.c.name,
        sa.func.min(t.stream.c.last_good_at),
        sa.func.count(),
        sa.func.count(t.stream.c.last_good_at),
    ).join(t.stream, t.stream.c.connection_id == t.connection.c.id)
    return [
        {"connection": name, "as_of": instant_or_none(at) if n == good else None, "is_complete": n == good}
        for name, at, n, good in c.execute(query.group_by(t.connection.c.name).order_by(t.connection.c.name))
    ]


def _coverage(c: Connection) -> dict[str, Any]:
    """The newest census of every stream, added up."""
    newest = (
        sa.select(t.census.c.stream_id, sa.func.max(t.census.c.id).label("id"))
        .group_by(t.census.c.stream_id)
        .subquery()
    )
    at_source, held, taken = c.execute(
        sa.select(
            sa.func.sum(t.census.c.at_source), sa.func.sum(t.census.c.held), sa.func.min(t.census.c.taken_at)
        ).join(newest, newest.c.id == t.census.c.id)
    ).one()
    at_source, held = int(at_source or 0), int(held or 0)  # PostgreSQL adds whole numbers up to decimals
    return {
        "at_source": at_source, "held": held, "taken_at": instant_or_none(taken),
        "percent": round(100.0 * held / at_source, 2) if at_source else None,
    }  # fmt: skip
