"""What was told: the log of deliveries, telling again, and forgetting what is old."""

import json
import logging
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from hub.hooks import kinds, line
from hub.hooks.endpoints import Endpoint, NoSuchEndpoint, endpoint, endpoints
from hub.hooks.relay import envelope
from hub.store import Store, among, chunks, instant, instant_or_none, micros
from hub.store import tables_hooks as h

log = logging.getLogger("hub.hooks")
d, e, a = h.delivery.c, h.event.c, h.attempt.c
STATES = ("waiting", "due", "done", "failed")
MOST_REPLAYED = 100_000


def counts(c: Connection, found: Endpoint) -> dict[str, int]:
    """How many deliveries are in each state."""
    query = sa.select(d.state, sa.func.count()).where(d.endpoint_id == found.id).group_by(d.state)
    by_state: dict[str, int] = {state: n for state, n in c.execute(query)}
    return {state: by_state.get(state, 0) for state in STATES}


def deliveries(
    c: Connection, found: Endpoint, *, states: Sequence[str] = (), before: int | None = None, limit: int = 20,
    customer: str = "",
) -> list[dict[str, Any]]:  # fmt: skip
    """The log, newest event first, each with its tries. before: a cursor, for the next page. customer: a public id."""
    query = (
        sa.select(
            d.id, d.state, d.tries, d.next_at, d.ended_at, e.id.label("cursor"), e.public_id, e.type, e.subject, e.at
        )
        .join(h.event, e.id == d.event_id)
        .where(d.endpoint_id == found.id)
        .order_by(e.id.desc())
        .limit(limit)
    )
    if states:
        query = query.where(d.state.in_(states))
    if before is not None:
        query = query.where(e.id < before)
    if customer:
        query = query.where(e.lanes.contains(f'"{customer}"', autoescape=True))
    rows = c.execute(query).all()
    tried: dict[int, list[dict[str, Any]]] = {}
    query = sa.select(h.attempt).where(among(a.delivery_id)).order_by(a.id)
    for r in c.execute(query, {"values": [row.id for row in rows]}).mappings():
        tried.setdefault(r["delivery_id"], []).append({
            "at": instant(r["at"]), "ms": r["ms"], "status": r["status"], "error": r["error"], "answer": r["answer"],
        })  # fmt: skip
    return [
        {
            "event": r.public_id, "cursor": r.cursor, "type": r.type, "subject": r.subject, "at": instant(r.at),
            "state": r.state, "tries": r.tries, "next_at": instant(r.next_at) if r.state == "due" else None,
            "ended_at": instant_or_none(r.ended_at), "attempts": tried.get(r.id, []),
        }
        for r in rows
    ]  # fmt: skip


def event(c: Connection, public_id: str) -> dict[str, Any]:
    """An event as it is sent. Raises NoSuchEndpoint."""
    body = c.execute(sa.select(e.body).where(e.public_id == public_id)).scalar()
    if body is None:
        raise NoSuchEndpoint(f"there is no event {public_id!r}: it may be older than what is kept")
    return dict(json.loads(body))


def resend(store: Store, public_id: str, event_id: str, now: datetime) -> None:
    """Tell this endpoint of one event again, at its old place in line, with its old id. Raises NoSuchEndpoint."""
    with store.write() as c:
        found = endpoint(c, public_id)
        line.lock(c, [found.id])
        query = sa.select(e.id, e.lanes).where(e.public_id == event_id, e.audience == found.owner)
        row = c.execute(query).first()
        if row is None:
            raise NoSuchEndpoint(f"there is no event {event_id!r} for {found.public_id}: see `ihub hook deliveries`")
        line.anew(c, found.id, [(row.id, json.loads(row.lanes))], micros(now))


def replay(store: Store, public_id: str, after: int, now: datetime, until: int | None = None) -> int:
    """Tell this endpoint again of everything behind the cursor `after` that it wants, up to `until`; how many events.

    Also of what it was never told, if it has listened to such events only since. At most a hundred thousand at once, the
    oldest; call it again behind the last of them. Raises NoSuchEndpoint.
    """
    with store.write() as c:
        found = endpoint(c, public_id)
        line.lock(c, [found.id])
        query = sa.select(e.id, e.lanes, e.type).where(e.id > after, e.audience == found.owner).order_by(e.id)
        if until is not None:
            query = query.where(e.id <= until)
        events = [
            (r.id, json.loads(r.lanes))
            for r in c.execute(query.limit(MOST_REPLAYED))
            if kinds.matches(found.events, r.type)
        ]
        line.anew(c, found.id, events, micros(now))
    return len(events)


def newest(c: Connection) -> int:
    """The cursor of the last event; 0 before the first."""
    return int(c.execute(sa.select(sa.func.max(e.id))).scalar() or 0)


def prune(store: Store, before: datetime, most: int = 5000) -> int:
    """Forget events of that time and older, told or not (an endpoint may be paused for long); how many.

    The last event of all stays: numbers go on from it.
    """
    with store.write() as c:
        old = list(
            c.execute(
                sa.select(e.id).where(e.at <= micros(before), e.id < newest(c)).order_by(e.id).limit(most)
            ).scalars()
        )
        if not old:
            return 0
        for to in endpoints(c):
            line.lock(c, [to.id])
            query = sa.select(d.id, d.event_id, e.lanes).join(h.event, e.id == d.event_id).where(
                d.endpoint_id == to.id, d.state.in_(("waiting", "due")), among(d.event_id)
            )  # fmt: skip
            late = c.execute(query, {"values": old}).all()
            if late:
                log.warning(
                    "webhooks: %d events were too old to be told to %s, which is %s", len(late), to.public_id, to.state
                )
            line.leave(c, to.id, [(r.event_id, json.loads(r.lanes)) for r in late])
        for part in chunks(old):
            told = sa.select(d.id).where(d.event_id.in_(part))
            c.execute(sa.delete(h.attempt).where(a.delivery_id.in_(told)))
            c.execute(sa.delete(h.delivery).where(d.event_id.in_(part)))
            c.execute(sa.delete(h.event).where(e.id.in_(part)))
    return len(old)


def trial(source: str, now: datetime) -> tuple[str, bytes]:
    """(id, body) of an event that tells of nothing."""
    name = f"evt_{secrets.token_hex(12)}"
    data = {"id": "test", "kind": "test", "changed": [], "customers": [], "links": {}}
    return name, json.dumps(envelope(kinds.TEST, name, "test", micros(now), source) | {"data": data}).encode()
