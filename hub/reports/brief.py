"""The four answers about a customer, in one call, each with its sources."""

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.accounts import streams_seen
from hub.reports.gaps import gaps
from hub.reports.people import describe, party_id, person_of
from hub.reports.seen import Seen, everything, of_identifiers, rows
from hub.reports.timeline import SAID, _shown, entries
from hub.store import among, instant_or_none, micros
from hub.store import tables as t

_NEWEST = 1000  # entries of a party that are looked through for who of ours deals with it


def brief(c: Connection, public_id: str, now: datetime, seen: Seen = everything) -> dict[str, Any]:
    """What did we last talk about, who is responsible, what is the next step, what happened across the relationship.

    Raises KeyError when there is no such party. Answers that nobody gave are None, never made up.
    """
    pid = party_id(c, public_id, seen)
    if pid is None:
        raise KeyError(public_id)
    who = describe(c, [pid], seen)[pid]
    theirs = [r[0] for r in rows(c, _identifiers, seen, party=pid)]
    items = [r._asdict() for r in rows(c, _items, seen, values=theirs)]
    return {
        "party": _shown(who),
        "last": _last(c, pid, now, seen),
        "responsible": _responsible(c, pid, who, items, seen),
        "next_step": _next_step(c, pid, items, now, seen),
        "relationship": _relationship(c, pid, items, seen),
        "sources": [
            {"connection": name, "as_of": instant_or_none(at) if n == good else None, "is_complete": n == good}
            for name, at, n, good in rows(c, _freshness, seen)
        ],
        "coverage": {**_coverage(c), "gaps": gaps(c, now, seen)},
    }


def _identifiers(seen: Seen) -> "sa.Select[Any]":
    """The party's identifiers, and for an organization those of its people too."""
    query = sa.select(t.identifier.c.id).join(t.party, t.party.c.id == t.identifier.c.party_id)
    theirs = sa.or_(t.party.c.id == sa.bindparam("party"), t.party.c.organization_id == sa.bindparam("party"))
    return query.where(theirs, of_identifiers(seen))


def _items(seen: Seen) -> "sa.Select[Any]":
    return (
        sa.select(t.item, t.connection.c.name.label("connection"))
        .join(t.item_party, t.item_party.c.record_id == t.item.c.record_id)
        .join(t.record, t.record.c.id == t.item.c.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(among(t.item_party.c.identifier_id), t.item.c.gone_at.is_(None), seen(t.item))
        .order_by(t.item.c.due_at, t.item.c.record_id)
        .distinct()
    )


def _last(c: Connection, pid: int, now: datetime, seen: Seen) -> dict[str, Any] | None:
    """The newest exchange that was said or written, up to now."""
    found = entries(c, [r[0] for r in rows(c, _said_last, seen, party=pid, now=micros(now))], seen)
    return found[0] if found else None


def _said_last(seen: Seen) -> "sa.Select[Any]":
    k, i = t.link.c, t.interaction.c
    return (
        sa.select(k.interaction_id)
        .join(t.interaction, i.id == k.interaction_id)
        .where(
            k.party_id == sa.bindparam("party"), k.occurred_at <= sa.bindparam("now"), k.direction != "internal",
            i.kind.in_(SAID), seen(t.link),
        )
        .order_by(k.occurred_at.desc(), k.interaction_id.desc())
        .limit(1)
    )  # fmt: skip


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
    row = next(iter(rows(c, _wrote_last, seen, party=pid, newest=_NEWEST)), None)
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
    first, last = (
        next(iter(found), (None,))[0] for found in (rows(c, end, seen, party=pid) for end in (_first, _latest))
    )
    by_channel = _by(c, pid, "channel", seen)
    deals = [i for i in items if i["kind"] == "deal" and not i["is_closed"]]
    return {
        "first_at": instant_or_none(first), "last_at": instant_or_none(last), "interactions": sum(by_channel.values()),
        "by_channel": by_channel, "by_direction": _by(c, pid, "direction", seen),
        "conversations": rows(c, _conversations, seen, party=pid)[0][0],
        "people": _people(c, pid, seen), "open_deals": [_deal(c, d, seen) for d in deals],
        "open_tickets": [i["title"] for i in items if i["kind"] == "ticket" and not i["is_closed"]],
    }  # fmt: skip


def _end(seen: Seen, is_last: bool) -> "sa.Select[Any]":
    k = t.link.c
    query = sa.select(k.occurred_at).where(k.party_id == sa.bindparam("party"), seen(t.link))
    return query.order_by(k.occurred_at.desc() if is_last else k.occurred_at).limit(1)


def _first(seen: Seen) -> "sa.Select[Any]":
    return _end(seen, is_last=False)


def _latest(seen: Seen) -> "sa.Select[Any]":
    return _end(seen, is_last=True)


def _conversations(seen: Seen) -> "sa.Select[Any]":
    k, i = t.link.c, t.interaction.c
    query = sa.select(sa.func.count(sa.distinct(i.conversation_id))).join(t.link, k.interaction_id == i.id)
    return query.where(k.party_id == sa.bindparam("party"), seen(t.link))


def _by(c: Connection, pid: int, what: str, seen: Seen) -> dict[str, int]:
    """Entries by channel or direction."""
    found = rows(c, _by_channel if what == "channel" else _by_direction, seen, party=pid)
    return {key: int(n) for key, n in found if n}


def _by_channel(seen: Seen) -> "sa.Select[Any]":
    return _grouped("channel", seen)


def _by_direction(seen: Seen) -> "sa.Select[Any]":
    return _grouped("direction", seen)


def _grouped(what: str, seen: Seen) -> "sa.Select[Any]":
    """From the figures that are kept, where all entries may be seen."""
    of = t.volume if seen is everything else t.link
    n = sa.func.sum(t.volume.c.count) if seen is everything else sa.func.count()
    query = sa.select(of.c[what], n).where(of.c.party_id == sa.bindparam("party")).group_by(of.c[what])
    return query if seen is everything else query.where(seen(t.link))


def _newest(seen: Seen) -> Any:
    """The newest entries of a party: enough to say who writes to it, whatever number there is."""
    k = t.link.c
    mine = sa.select(k.interaction_id, k.occurred_at).where(k.party_id == sa.bindparam("party"), seen(t.link))
    latest = mine.order_by(k.occurred_at.desc(), k.interaction_id.desc()).limit(sa.bindparam("newest"))
    return latest.subquery("newest")


def _ours(seen: Seen, *columns: Any) -> "tuple[sa.Select[Any], Any]":
    """(these columns of our people's parts in the newest entries of a party, those entries)."""
    newest, p = _newest(seen), t.participation.c
    query = (
        sa.select(*columns)
        .select_from(newest)
        .join(t.participation, p.interaction_id == newest.c.interaction_id)
        .join(t.identifier, t.identifier.c.id == p.identifier_id)
        .join(t.party, t.party.c.id == t.identifier.c.party_id)
        .where(t.party.c.kind == "own", seen(t.participation))
    )
    return query, newest


def _wrote_last(seen: Seen) -> "sa.Select[Any]":
    query, newest = _ours(seen, t.participation.c.identifier_id)
    said = query.where(t.participation.c.role.in_(("from", "organizer", "author")))
    return said.order_by(
        newest.c.occurred_at.desc(), newest.c.interaction_id.desc(), t.participation.c.identifier_id
    ).limit(1)


def _deals_most(seen: Seen) -> "sa.Select[Any]":
    of = t.identifier.c.party_id
    n = sa.func.count(sa.distinct(t.participation.c.interaction_id)).label("n")
    return _ours(seen, of, n)[0].group_by(of).order_by(sa.desc("n"), of).limit(5)


def _people(c: Connection, pid: int, seen: Seen) -> list[dict[str, Any]]:
    """Our people this party deals with most, in its newest `_NEWEST` entries."""
    found = rows(c, _deals_most, seen, party=pid, newest=_NEWEST)
    known = describe(c, [r[0] for r in found], seen, is_counted=False)
    return [{"public_id": known[p]["public_id"], "name": known[p]["name"], "interactions": n} for p, n in found]


def members(c: Connection, public_id: str, limit: int = 200, seen: Seen = everything) -> list[dict[str, Any]]:
    """People of an organization, who was in touch last first. Raises KeyError when there is no such party."""
    pid = party_id(c, public_id, seen)
    if pid is None:
        raise KeyError(public_id)
    p, k = t.party.c, t.link.c
    last = sa.select(sa.func.max(k.occurred_at)).where(k.party_id == p.id, seen(t.link)).correlate(t.party)
    stands = sa.exists().where(t.identifier.c.party_id == p.id)  # what was joined to another party is nobody any more
    query = sa.select(p.id).where(p.organization_id == pid, p.kind == "person", stands, seen(t.party))
    ids = c.execute(query.order_by(last.scalar_subquery().desc().nulls_last(), p.id).limit(limit)).scalars().all()
    return [_shown(who) for who in describe(c, ids, seen).values()]


def _deal(c: Connection, item: dict[str, Any], seen: Seen) -> dict[str, Any]:
    plain = msgspec.json.decode(item["entity"])
    owner = person_of(c, item["owner_identifier_id"], seen)
    return {
        "title": item["title"], "stage": item["state"], "amount": plain.get("amount", ""),
        "currency": plain.get("currency", ""), "closes_at": instant_or_none(item["due_at"]),
        "owner": owner["name"] if owner else "", "url": item["url"],
    }  # fmt: skip


def _freshness(seen: Seen) -> "sa.Select[Any]":
    """How fresh each connection's part is: the oldest good moment of its streams, and the worst status."""
    k, s = t.connection.c, t.stream.c
    query = sa.select(k.name, sa.func.min(s.last_good_at), sa.func.count(), sa.func.count(s.last_good_at))
    query = query.join(t.stream, s.connection_id == k.id).where(*streams_seen(seen))
    return query.group_by(k.name).order_by(k.name)


def _coverage(c: Connection) -> dict[str, Any]:
    at_source, held, taken = rows(c, _counted, everything)[0]
    at_source, held = int(at_source or 0), int(held or 0)  # PostgreSQL adds whole numbers up to decimals
    return {
        "at_source": at_source, "held": held, "taken_at": instant_or_none(taken),
        "percent": round(100.0 * held / at_source, 2) if at_source else None,
    }  # fmt: skip


def _counted(_: Seen) -> "sa.Select[Any]":
    """The newest census of every stream, added up."""
    n = t.census.c
    newest = sa.select(n.stream_id, sa.func.max(n.id).label("id")).group_by(n.stream_id).subquery()
    sums = sa.select(sa.func.sum(n.at_source), sa.func.sum(n.held), sa.func.min(n.taken_at))
    return sums.join(newest, newest.c.id == n.id)
