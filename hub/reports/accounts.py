"""Who counts as an account in reports, what parties are called, and how fresh what we hold is."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.reports.definition import BadParameter
from hub.reports.seen import Seen, everything
from hub.store import among, chunks, fetch, instant_or_none
from hub.store import tables as t

_p, _i = t.party.c, t.identifier.c
# A company, or a person who belongs to none. Role addresses, lists and our own people are no accounts.
ACCOUNT = sa.or_(_p.kind == "organization", sa.and_(_p.kind == "person", _p.organization_id.is_(None)))

_NAMED = sa.select(_p.id, _p.public_id, _p.kind, _p.name).where(among(_p.id))
_ADDRESSED = (
    sa.select(_i.party_id, _i.value)
    .where(among(_i.party_id), _i.scheme.in_(("email", "domain", "phone")))
    .order_by(_i.id.desc())
)
_OWNERS = (
    sa.select(_i.id, _p.id.label("party_id"), _p.public_id, _p.name, _i.value)
    .outerjoin(t.party, _p.id == _i.party_id)
    .where(among(_i.id))
)


class Named(NamedTuple):
    """name: never "": where a party has none, its first address, else its public id."""

    public_id: str
    kind: str
    name: str


def named(c: Connection, party_ids: Iterable[int]) -> dict[int, Named]:
    """Party id -> how a report shows it."""
    found: dict[int, Named] = {}
    for part in chunks(sorted(set(party_ids)), 5000):
        rows = fetch(c, _NAMED, values=part)
        nameless = [r.id for r in rows if not r.name]
        addresses = dict(fetch(c, _ADDRESSED, values=nameless)) if nameless else {}
        for r in rows:
            found[r.id] = Named(r.public_id, r.kind, r.name or addresses.get(r.id) or r.public_id)
    return found


class Owner(NamedTuple):
    """One of us, as an identifier names them. key: the same for all identifiers of one person."""

    key: tuple[str, int]
    name: str


def owners(c: Connection, identifier_ids: Iterable[int]) -> dict[int, Owner]:
    """Identifier id -> the person behind it; who is not known by name is called by the tool's own id."""
    found: dict[int, Owner] = {}
    for part in chunks(sorted(set(identifier_ids)), 5000):
        rows = fetch(c, _OWNERS, values=part)
        names = named(c, {r.party_id for r in rows if r.party_id is not None})
        for r in rows:
            who = names.get(r.party_id)
            found[r.id] = Owner(("party", r.party_id), who.name) if who else Owner(("identifier", r.id), r.value)
    return found


def customer(c: Connection, public_id: str, seen: Seen) -> int:
    """The id of a person or company that the asker sees. Raises BadParameter."""
    query = sa.select(_p.id).where(_p.public_id == public_id, seen(t.party))
    found = c.execute(query).scalar()
    if found is None:
        raise BadParameter("account", "there is no such person or company")
    return int(found)


class Fresh(NamedTuple):
    """One connection's part: everything of it up to `as_of` is in. None: a stream of it was never read to its end."""

    connection: str
    as_of: datetime | None


def fresh(c: Connection, seen: Seen) -> list[Fresh]:
    """Each connection that has streams and is not paused, by name."""
    s, k = t.stream.c, t.connection.c
    query = sa.select(k.name, sa.func.min(s.last_good_at), sa.func.count(), sa.func.count(s.last_good_at)).join(
        t.stream, s.connection_id == k.id
    )
    query = query.where(k.is_paused.is_(sa.false()), *streams_seen(seen)).group_by(k.name).order_by(k.name)
    return [Fresh(name, instant_or_none(at) if n == good else None) for name, at, n, good in c.execute(query)]


def streams_seen(seen: Seen) -> "list[sa.ColumnElement[bool]]":
    """Conditions on `stream`: those whose records the asker would see, were there any."""
    if seen is everything:
        return []
    as_records: Any = sa.select(t.stream.c.id.label("stream_id"), sa.literal("").label("external_id")).subquery()
    return [t.stream.c.id.in_(sa.select(as_records.c.stream_id).where(seen(as_records)))]
