"""Deals, services, tasks and tickets as their tools have them: by customer, by kind, one of them."""

from collections import defaultdict
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.accounts import named, owners
from hub.reports.people import party_id
from hub.reports.seen import Seen, everything
from hub.store import instant_or_none
from hub.store import tables as t

Row = dict[str, Any]
KINDS = ("deal", "service", "task", "ticket")
_i, _o, _a, _p = t.item.c, t.item_party.c, t.identifier.c, t.party.c


def items(
    c: Connection, *, kind: str = "", party: str | None = None, is_closed: bool | None = None, limit: int = 50,
    before: int | None = None, seen: Seen = everything,
) -> list[Row]:  # fmt: skip
    """Newest of the hub's first. party: those about this person or company, its people included. before: an item's number.

    {"item": number, "kind", "title", "state", "is_closed", "due_at", "amount", "currency", "severity": texts, "" where the kind
    has none, "owner": {"public_id": None for whom only the tool knows, "name"} or None, "about": [{"public_id", "kind", "name"}],
    "connection", "stream", "external_id", "url"}. Raises KeyError when there is no such party.
    """
    query = _select(seen).where(_i.kind.in_([kind] if kind else KINDS))
    if party is not None:
        pid = party_id(c, party, seen)
        if pid is None:
            raise KeyError(party)
        whose = (
            sa.select(_o.record_id).join(t.identifier, _a.id == _o.identifier_id).join(t.party, _p.id == _a.party_id)
        )
        query = query.where(_i.record_id.in_(whose.where(sa.or_(_p.id == pid, _p.organization_id == pid))))
    if is_closed is not None:
        query = query.where(_i.is_closed.is_(sa.true() if is_closed else sa.false()))
    if before is not None:
        query = query.where(_i.record_id < before)
    return _rows(c, query.order_by(_i.record_id.desc()).limit(limit), seen)


def item(c: Connection, number: int, seen: Seen = everything) -> Row:
    """Raises KeyError."""
    found = _rows(c, _select(seen).where(_i.record_id == number, _i.kind.in_(KINDS)), seen)
    if not found:
        raise KeyError(number)
    return found[0]


def _select(seen: Seen) -> "sa.Select[Any]":
    return (
        sa.select(t.item, t.record.c.external_id, t.stream.c.name.label("stream"), t.connection.c.name.label("connection"))
        .join(t.record, t.record.c.id == _i.record_id)
        .join(t.stream, t.stream.c.id == t.record.c.stream_id)
        .join(t.connection, t.connection.c.id == t.stream.c.connection_id)
        .where(_i.gone_at.is_(None), seen(t.item))
    )  # fmt: skip


class _Said(msgspec.Struct):
    amount: str = ""
    currency: str = ""
    severity: str = ""


def _rows(c: Connection, query: "sa.Select[Any]", seen: Seen) -> list[Row]:
    found = c.execute(query).mappings().all()
    about = _about(c, [r["record_id"] for r in found], seen)
    people = owners(c, {r["owner_identifier_id"] for r in found if r["owner_identifier_id"] is not None})
    public = named(c, {who.key[1] for who in people.values() if who.key[0] == "party"})
    rows = []
    for r in found:
        said, owner = msgspec.json.decode(r["entity"], type=_Said), people.get(r["owner_identifier_id"])
        known = public.get(owner.key[1]) if owner and owner.key[0] == "party" else None
        rows.append({
            "item": r["record_id"], "kind": r["kind"], "title": r["title"], "state": r["state"],
            "is_closed": bool(r["is_closed"]), "due_at": instant_or_none(r["due_at"]), "amount": said.amount,
            "currency": said.currency, "severity": said.severity,
            "owner": {"public_id": known.public_id if known else None, "name": owner.name} if owner else None,
            "about": about[r["record_id"]], "connection": r["connection"], "stream": r["stream"],
            "external_id": r["external_id"], "url": r["url"],
        })  # fmt: skip
    return rows


def _about(c: Connection, numbers: list[int], seen: Seen) -> dict[int, list[Row]]:
    """Whom each is about, of those that the asker sees."""
    found: dict[int, list[Row]] = defaultdict(list)
    query = (
        sa.select(_o.record_id, _p.id)
        .join(t.identifier, _a.id == _o.identifier_id)
        .join(t.party, _p.id == _a.party_id)
        .where(_o.record_id.in_(numbers), seen(t.party))
        .distinct()
        .order_by(_o.record_id, _p.id)
    )
    pairs = c.execute(query).all() if numbers else []
    names = named(c, {pid for _, pid in pairs})
    for number, pid in pairs:
        found[number].append({"public_id": names[pid].public_id, "kind": names[pid].kind, "name": names[pid].name})
    return found
